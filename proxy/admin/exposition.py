"""A snapshot as Prometheus reads it: the names, units and labels of every metric.

Pure. Labels are rules, issuers, statuses, decisions and reasons: all from the configuration, from HTTP or
from a list in the code. Nothing that a client says is one, so no client can make the series grow. Every name
is public API.
"""

from __future__ import annotations

import platform
from functools import partial
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy.audit import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from proxy.admin.snapshot import Contact, Reloads, Snapshot
    from proxy.audit import Requests

_OPEN_ENDED = "+Inf"
_OPENMETRICS = "application/openmetrics-text"

_counter = CounterMetricFamily
_gauge = GaugeMetricFamily


def exposition(snapshot: Snapshot, version: str, accept: str) -> tuple[bytes, str]:
    """Return a snapshot as text, and its Content-Type: OpenMetrics where `accept` asks for it.

    `version` is Keystile's own.
    """
    shown = _Shown(snapshot, version)
    # Not prometheus-client's own choice, which fails on versions that are none.
    if any(media.partition(";")[0].strip() == _OPENMETRICS for media in accept.split(",")):
        text: bytes = openmetrics.generate_latest(shown)  # type: ignore[no-untyped-call]  # is one in some versions
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(shown), CONTENT_TYPE_PLAIN_0_0_4


class _Shown(Collector):
    def __init__(self, snapshot: Snapshot, version: str) -> None:
        self._snapshot = snapshot
        self._version = version

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        yield from _requests(snapshot.requests)
        yield from _keys(snapshot)
        yield from _revocations(snapshot)
        yield from _connections(snapshot)
        yield from _log(snapshot)
        yield from _reloads(snapshot.reloads)
        yield from _state(snapshot)
        yield _labelled(
            _gauge,
            "keystile_build_info",
            "Which Keystile this is, on which Python.",
            ("version", "python"),
            [((self._version, platform.python_version()), 1)],
        )
        yield from _process(snapshot.process)


def _requests(requests: list[Requests]) -> Iterator[Metric]:
    yield _labelled(
        _counter,
        "keystile_requests",
        "Requests that have ended.",
        ("rule", "status", "decision", "reason"),
        (
            ((one.rule or "", str(one.status), one.decision, one.reason or ""), sum(one.durations))
            for one in requests
        ),
    )
    durations = HistogramMetricFamily(
        "keystile_request_duration_seconds",
        "From a request's head to the end of its answer, streams included.",
        labels=("rule",),
    )
    upstream = HistogramMetricFamily(
        "keystile_upstream_duration_seconds",
        "From a request's departure to the head of the upstream's answer.",
        labels=("rule",),
    )
    for rule in dict.fromkeys(one.rule for one in requests):
        alike = [one for one in requests if one.rule == rule]
        counts = _sums(one.durations for one in alike)
        durations.add_metric((rule or "",), _buckets(counts), sum(one.seconds for one in alike))
        counts = _sums(one.upstream_durations for one in alike)
        if any(counts):
            upstream.add_metric((rule or "",), _buckets(counts), sum(one.upstream_seconds for one in alike))
    yield durations
    yield upstream


def _sums(histograms: Iterable[list[int]]) -> list[int]:
    total = [0] * (len(BOUNDS) + 1)
    for counts in histograms:
        total = list(map(add, total, counts))
    return total


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    bounds = (*map(floatToGoString, BOUNDS), _OPEN_ENDED)
    return list(zip(bounds, accumulate(counts), strict=True))


def _keys(snapshot: Snapshot) -> Iterator[Metric]:
    keys = snapshot.keys
    by_issuer = partial(_labelled, _gauge, labels=("issuer",))
    yield by_issuer(
        "keystile_keys", "Keys that an issuer has.", values=(((one.issuer,), one.keys) for one in keys)
    )
    yield by_issuer(
        "keystile_keys_usable",
        "Whether an issuer's keys may be used: 0 where there are none, or too old ones.",
        values=(((one.issuer,), one.usable) for one in keys),
    )
    yield by_issuer(
        "keystile_keys_stale",
        "Whether the latest attempt to fetch an issuer's keys failed.",
        values=(((one.issuer,), one.stale) for one in keys),
    )
    yield by_issuer(
        "keystile_keys_age_seconds",
        "Since an issuer's keys were last fetched.",
        values=(((one.issuer,), one.age) for one in keys if one.age is not None),
    )
    yield _labelled(
        _counter,
        "keystile_key_fetches",
        "Attempts to fetch an issuer's keys, by outcome.",
        ("issuer", "outcome"),
        (
            ((one.issuer, outcome), count)
            for one in keys
            for outcome, count in (("ok", one.fetched), ("failed", one.failed))
        ),
    )
    tokens = snapshot.tokens
    yield _gauge("keystile_token_cache_entries", "Verified tokens that are kept.", tokens.entries)
    yield _counter("keystile_token_cache_hits", "Tokens that were known.", tokens.hits)
    yield _counter("keystile_token_cache_misses", "Tokens that had to be verified.", tokens.misses)


def _revocations(snapshot: Snapshot) -> Iterator[Metric]:
    revocations = snapshot.revocations
    if revocations is None:
        return
    yield _gauge("keystile_revocations", "What is revoked: entries in force.", revocations.entries)
    yield _gauge(
        "keystile_revocations_ready", "Whether they have been read at all.", float(revocations.ready)
    )
    if revocations.age is not None:
        yield _gauge(
            "keystile_revocations_age_seconds",
            "Since the source was last seen to say so.",
            revocations.age,
        )
    yield _counter("keystile_revocation_failures", "Attempts to read them that failed.", revocations.failures)


def _connections(snapshot: Snapshot) -> Iterator[Metric]:
    wire = snapshot.wire
    yield _gauge("keystile_client_connections", "Client connections that are open.", wire.connections)
    yield _gauge("keystile_streams_open", "Event streams under way.", wire.streams)
    yield _counter(
        "keystile_sessions_opened", "Sessions of MCP servers that were given out, sealed.", snapshot.sessions
    )
    yield _labelled(
        _gauge,
        "keystile_upstream_connections",
        "Connections to the upstream.",
        ("state",),
        [(("in_use",), wire.in_use), (("idle",), wire.idle)],
    )
    yield _gauge(
        "keystile_upstream_waiting_requests", "Requests that wait for a connection to it.", wire.waiting
    )
    yield from _contact("keystile_upstream_reachable", "the upstream", snapshot.upstream)
    if snapshot.redis is not None:
        yield from _contact("keystile_redis_reachable", "Redis", snapshot.redis)


def _contact(name: str, what: str, contact: Contact) -> Iterator[Metric]:
    if contact.reachable is not None:
        yield _gauge(name, f"Whether {what} answered when it was last tried.", float(contact.reachable))


def _log(snapshot: Snapshot) -> Iterator[Metric]:
    log = snapshot.log
    yield _gauge("keystile_log_queue_bytes", "Access lines that wait to be written.", log.queued)
    yield _gauge("keystile_log_full", "Whether the queue is as full as it may get.", float(log.full))
    yield _counter(
        "keystile_log_dropped_lines", "Access lines that found no room and were only counted.", log.dropped
    )
    yield _counter(
        "keystile_log_suppressed_lines",
        "Access lines of refused anonymous callers that were only counted.",
        log.suppressed,
    )


def _reloads(reloads: Reloads | None) -> Iterator[Metric]:
    if reloads is None:
        return
    yield _labelled(
        _counter,
        "keystile_config_reloads",
        "Configurations that were read anew, by outcome.",
        ("outcome",),
        [(("ok",), reloads.succeeded), (("failed",), reloads.failed)],
    )
    yield _gauge(
        "keystile_config_last_reload_successful",
        "Whether the latest configuration is in force.",
        float(reloads.last_ok),
    )
    yield _gauge(
        "keystile_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was read.",
        reloads.last_succeeded_at,
    )


def _state(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge(
        "keystile_observe_mode",
        "Whether rules are only observed: 1 lets through what they refuse.",
        float(snapshot.observing),
    )
    yield _gauge("keystile_draining", "Whether it is about to stop.", float(snapshot.draining))
    yield _gauge("keystile_workers", "Processes that serve, or should.", snapshot.workers)
    yield _gauge("keystile_workers_answering", "Processes that said how they fare.", snapshot.answering)


def _process(process: dict[str, float]) -> Iterator[Metric]:
    for name, text in _PROCESS.items():
        if name in process:
            family = _counter if name == "process_cpu_seconds" else _gauge
            yield family(name, text, process[name])


_PROCESS = {
    "process_cpu_seconds": "CPU time, of user and system.",
    "process_resident_memory_bytes": "Resident memory.",
    "process_virtual_memory_bytes": "Virtual memory.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "Open file descriptors that a process may have.",
    "process_start_time_seconds": "When the first process started.",
}


def _labelled(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = kind(name, text, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family
