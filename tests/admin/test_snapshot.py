"""What a process tells of itself, and what several of them tell together."""

from __future__ import annotations

import pytest
from msgspec import msgpack

from proxy.admin import Contact, Reloads, Snapshot, merged, with_counts
from proxy.audit import LogState, Requests
from proxy.authn import KeysState, RevocationsState, TokensState
from proxy.wire import WireState


def requests(rule="a", status=200, decision="allow", reason=None, seconds=0.5):
    return Requests(rule, status, decision, reason, [0, 1], [2, 0], seconds, 0.25)


MERGED = [
    pytest.param(
        {"requests": [requests()], "sessions": 1},
        {"requests": [requests()], "sessions": 2},
        {"requests": [Requests("a", 200, "allow", None, [0, 2], [4, 0], 1.0, 0.5)], "sessions": 3},
        id="requests that are alike are added up",
    ),
    pytest.param(
        {"requests": [requests()]},
        {"requests": [requests(rule=None), requests(status=502, reason="upstream_unreachable")]},
        {
            "requests": [
                requests(),
                requests(rule=None),
                requests(status=502, reason="upstream_unreachable"),
            ]
        },
        id="requests that differ stay apart",
    ),
    pytest.param(
        {"tokens": TokensState(1, 2, 3)},
        {"tokens": TokensState(10, 20, 30)},
        {"tokens": TokensState(11, 22, 33)},
        id="each has a token cache of its own",
    ),
    pytest.param(
        {"keys": [KeysState("i", 2, True, False, 10.0, 3, 0)]},
        {"keys": [KeysState("i", 1, False, True, 5.0, 1, 2), KeysState("j", age=1.0)]},
        {"keys": [KeysState("i", 1, False, True, 10.0, 4, 2), KeysState("j", age=1.0)]},
        id="an issuer is as badly off as in its worst worker",
    ),
    pytest.param(
        {"keys": [KeysState("i", age=None)]},
        {"keys": [KeysState("i", age=5.0)]},
        {"keys": [KeysState("i", age=None)]},
        id="never read is older than any age",
    ),
    pytest.param(
        {"revocations": RevocationsState(3, True, False, 1.0, 1)},
        {"revocations": RevocationsState(2, False, True, None, 2)},
        {"revocations": RevocationsState(2, False, True, None, 3)},
        id="revocations are those of the worst worker",
    ),
    pytest.param(
        {"revocations": None},
        {"revocations": RevocationsState(2, True, False, 1.0, 0)},
        {"revocations": RevocationsState(2, True, False, 1.0, 0)},
        id="revocations that one knows of",
    ),
    pytest.param(
        {"wire": WireState(1, 2, 3, 4, 5)},
        {"wire": WireState(10, 20, 30, 40, 50)},
        {"wire": WireState(11, 22, 33, 44, 55)},
        id="connections are added up",
    ),
    pytest.param(
        {"upstream": Contact(1.0, None), "redis": None},
        {"upstream": Contact(3.0, 2.0), "redis": Contact(None, 1.0)},
        {"upstream": Contact(1.0, 2.0), "redis": Contact(None, 1.0)},
        id="whoever met the upstream last knows best",
    ),
    pytest.param(
        {"log": LogState(100, False, True, 1, 10)},
        {"log": LogState(200, True, True, 2, 20)},
        {"log": LogState(300, True, True, 3, 30)},
        id="one full queue is a full log",
    ),
    pytest.param(
        {"reloads": None},
        {"reloads": Reloads(1, 2, False, 50.0)},
        {"reloads": Reloads(1, 2, False, 50.0)},
        id="whoever reads the configuration tells of it",
    ),
    pytest.param(
        {"draining": True},
        {"draining": False, "observing": True},
        {"draining": True, "observing": True},
        id="one that drains is enough",
    ),
    pytest.param(
        {
            "process": {
                "process_open_fds": 5,
                "process_start_time_seconds": 10,
                "process_max_fds": 100,
                "b": 1,
            }
        },
        {"process": {"process_open_fds": 6, "process_start_time_seconds": 9, "process_max_fds": 200, "c": 1}},
        {"process": {"process_open_fds": 11, "process_start_time_seconds": 9, "process_max_fds": 100}},
        id="what processes use is added up, but for start and limit",
    ),
]


@pytest.mark.parametrize(("one", "other", "whole"), MERGED)
def test_two_are_told_as_one(one, other, whole):
    assert merged([Snapshot(**one), Snapshot(**other)]) == Snapshot(**whole, workers=2, answering=2)


def test_three_are_told_as_one():
    assert merged([Snapshot(sessions=number) for number in (1, 2, 4)]) == Snapshot(
        sessions=7, workers=3, answering=3
    )


def test_one_is_the_whole():
    assert merged([Snapshot(sessions=1)]) == Snapshot(sessions=1)


ADDED = [
    pytest.param(
        {"requests": [requests()], "sessions": 1},
        {"requests": [requests(), requests(rule="b")], "sessions": 2},
        {
            "requests": [
                Requests("a", 200, "allow", None, [0, 2], [4, 0], 1.0, 0.5),
                requests(rule="b"),
            ],
            "sessions": 3,
        },
        id="requests and sessions",
    ),
    pytest.param(
        {"tokens": TokensState(1, 2, 3)},
        {"tokens": TokensState(10, 20, 30)},
        {"tokens": TokensState(1, 22, 33)},
        id="tokens that it held are gone, those that it knew were known",
    ),
    pytest.param(
        {"keys": [KeysState("a", 2, usable=True, age=1.0, fetched=1, failed=2)]},
        {"keys": [KeysState("a", stale=True, fetched=10, failed=20), KeysState("b", fetched=5)]},
        {"keys": [KeysState("a", 2, usable=True, age=1.0, fetched=11, failed=22)]},
        id="its keys say nothing of those that are there, its fetches count",
    ),
    pytest.param(
        {"keys": [KeysState("a", fetched=1)]},
        {},
        {"keys": [KeysState("a", fetched=1)]},
        id="an issuer that it did not know",
    ),
    pytest.param(
        {"revocations": RevocationsState(5, failures=1)},
        {"revocations": RevocationsState(4, ready=False, failing=True, failures=2)},
        {"revocations": RevocationsState(5, failures=3)},
        id="revocations",
    ),
    pytest.param(
        {"revocations": None}, {"revocations": RevocationsState(4)}, {"revocations": None}, id="none any more"
    ),
    pytest.param(
        {"log": LogState(1, dropped=1, suppressed=2), "wire": WireState(1)},
        {"log": LogState(2, full=True, refuses=True, dropped=10, suppressed=20), "wire": WireState(2)},
        {"log": LogState(1, dropped=11, suppressed=22), "wire": WireState(1)},
        id="lines that are lost stay lost; its connections are closed",
    ),
    pytest.param(
        {"process": {"process_cpu_seconds": 1.0, "process_open_fds": 5.0}},
        {"process": {"process_cpu_seconds": 2.0, "process_open_fds": 6.0}, "draining": True, "workers": 3},
        {"process": {"process_cpu_seconds": 3.0, "process_open_fds": 5.0}},
        id="CPU time is spent, files are closed",
    ),
]


@pytest.mark.parametrize(("one", "past", "whole"), ADDED)
def test_what_a_process_has_counted_outlives_it(one, past, whole):
    assert with_counts(Snapshot(**one), Snapshot(**past)) == Snapshot(**whole)


def test_none_at_all_tell_nothing():
    with pytest.raises(ValueError, match="no snapshots"):
        merged([])


def test_a_snapshot_goes_from_process_to_process():
    sent = Snapshot(
        [requests()],
        1,
        TokensState(1, 2, 3),
        [KeysState("i", age=1.0)],
        RevocationsState(1),
        WireState(1),
        Contact(1.0),
        Contact(None, 2.0),
        LogState(1),
        Reloads(1),
        True,
        True,
        {"process_open_fds": 5.0},
        2,
    )
    assert msgpack.decode(msgpack.encode(sent), type=Snapshot) == sent


CONTACTS = [
    pytest.param(Contact(), None, id="nothing is known"),
    pytest.param(Contact(5.0), True, id="it has answered"),
    pytest.param(Contact(None, 5.0), False, id="it never has"),
    pytest.param(Contact(1.0, 5.0), True, id="it has answered since"),
    pytest.param(Contact(5.0, 1.0), False, id="it has not since"),
]


@pytest.mark.parametrize(("contact", "reachable"), CONTACTS)
def test_the_latest_counts(contact, reachable):
    assert contact.reachable is reachable
