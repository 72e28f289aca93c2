"""Records into counts: each request in one place, in the right bucket."""

from __future__ import annotations

import pytest

from proxy.audit import BOUNDS, Metrics
from proxy.model import Closing, Note, Opening, Reason


def opening(rule="a", decision="allow", reason=None):
    return Opening(0.0, "r", "c", decision, reason, rule=rule)


def buckets(**counts):
    return [counts.get(f"b{index}", 0) for index in range(len(BOUNDS) + 1)]


BUCKETS = [
    pytest.param(0.0, 0, id="no time at all"),
    pytest.param(0.0005, 0, id="a bound belongs to its bucket"),
    pytest.param(0.00051, 1, id="just above it"),
    pytest.param(0.3, 9, id="a third of a second"),
    pytest.param(60.0, 15, id="the last bound"),
    pytest.param(3600.0, 16, id="beyond every bound"),
]


@pytest.mark.parametrize(("seconds", "bucket"), BUCKETS)
def test_durations_fall_into_buckets(seconds, bucket):
    metrics = Metrics()
    metrics.count(opening(), Closing(200, 0, 0, seconds, seconds / 2, 200))
    [one] = metrics.requests()
    assert one.durations == buckets(**{f"b{bucket}": 1})
    assert (one.seconds, one.upstream_seconds, sum(one.upstream_durations)) == (seconds, seconds / 2, 1)


def test_what_the_upstream_never_answered_is_in_no_bucket_of_its():
    metrics = Metrics()
    metrics.count(opening(), Closing(401, 0, 0, 0.002))
    [one] = metrics.requests()
    assert (sum(one.durations), sum(one.upstream_durations), one.upstream_seconds) == (1, 0, 0.0)


LABELS = [
    pytest.param(opening(), Closing(200, 0, 0, 0.0), ("a", 200, "allow", None), id="allowed"),
    pytest.param(
        opening(reason=Note.PUBLIC), Closing(200, 0, 0, 0.0), ("a", 200, "allow", "public"), id="a note"
    ),
    pytest.param(
        opening(None, "deny", Reason.ROUTE_UNMATCHED),
        Closing(404, 0, 0, 0.0),
        (None, 404, "deny", "route_unmatched"),
        id="refused, without a rule",
    ),
    pytest.param(
        opening(reason=Note.PUBLIC),
        Closing(200, 0, 0, 0.0, reason=Note.DRAINING),
        ("a", 200, "allow", "draining"),
        id="why it ended, rather than why it began",
    ),
]


@pytest.mark.parametrize(("began", "ended", "labels"), LABELS)
def test_labels_are_what_the_line_says(began, ended, labels):
    metrics = Metrics()
    metrics.count(began, ended)
    metrics.count(began, ended)
    [one] = metrics.requests()
    assert (one.rule, one.status, one.decision, one.reason) == labels
    assert (type(one.reason), sum(one.durations)) == (type(labels[3]), 2)


def test_what_was_told_does_not_change():
    metrics = Metrics()
    metrics.count(opening(), Closing(200, 0, 0, 0.0, 0.0))
    [told] = metrics.requests()
    metrics.count(opening(), Closing(200, 0, 0, 0.0, 0.0))
    assert (sum(told.durations), sum(told.upstream_durations)) == (1, 1)
