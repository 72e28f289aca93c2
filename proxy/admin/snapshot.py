"""All that the admin listener shows of one process, as a value; and several of them as the one of the whole.

Pure. A worker makes a `Snapshot` and sends it (msgspec encodes it); whoever serves the admin listener merges
them. Knows neither HTTP nor the names that metrics have.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from proxy.audit import LogState, Requests
from proxy.authn import KeysState, RevocationsState, TokensState
from proxy.wire import WireState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")


class Contact(Struct, frozen=True):
    """When something last answered, and when it last did not: seconds ago, None where that has not been."""

    answered: float | None = None
    missed: float | None = None

    @classmethod
    def at(cls, now: float, answered_at: float | None, missed_at: float | None) -> Contact:
        """Return it as it is `now`, of moments by the same clock."""
        return cls(
            None if answered_at is None else now - answered_at, None if missed_at is None else now - missed_at
        )

    @property
    def reachable(self) -> bool | None:
        """Whether the latest of the two is an answer; None where nothing is known."""
        if self.missed is None:
            return None if self.answered is None else True
        return self.answered is not None and self.answered <= self.missed

    @property
    def age(self) -> float | None:
        """How old the latest of the two is."""
        return _least(self.answered, self.missed)

    def joined(self, other: Contact) -> Contact:
        """Return what is known from both."""
        return Contact(_least(self.answered, other.answered), _least(self.missed, other.missed))


class Reloads(Struct):
    """How often the configuration was read anew, how that ended, and when it last took effect (Unix seconds).

    The start counts as none.
    """

    succeeded: int = 0
    failed: int = 0
    last_ok: bool = True
    last_succeeded_at: float = 0.0

    def count(self, now: float, *, succeeded: bool) -> None:
        """Count one that has ended `now`."""
        self.last_ok = succeeded
        if succeeded:
            self.succeeded += 1
            self.last_succeeded_at = now
        else:
            self.failed += 1


class Snapshot(Struct):
    """One process, or `workers` of them.

    `redis` is None where none is configured, `revocations` likewise; `reloads` where another process reads
    the configuration. `answering` of the `workers` have told how they fare. `process` has the values of
    prometheus-client's process collector by their names, none where the system tells none.
    """

    requests: list[Requests] = field(default_factory=list)
    sessions: int = 0
    tokens: TokensState = TokensState()
    keys: list[KeysState] = field(default_factory=list)
    revocations: RevocationsState | None = None
    wire: WireState = WireState()
    upstream: Contact = Contact()
    redis: Contact | None = None
    log: LogState = LogState()
    reloads: Reloads | None = None
    draining: bool = False
    observing: bool = False
    process: dict[str, float] = field(default_factory=dict)
    workers: int = 1
    answering: int = 1


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return the snapshot of the whole: sums of what is counted, and the worst of what is judged.

    Ages are the oldest; what is known of the upstream and of Redis is what was learnt last, by any of them.

    Raises:
        ValueError: there are none.
    """
    if not snapshots:
        raise ValueError("no snapshots")
    return reduce(_joined, snapshots)


def with_counts(snapshot: Snapshot, past: Snapshot) -> Snapshot:
    """Return `snapshot` with what `past` had counted: a process that tells nothing any more."""
    attempts = {one.issuer: one for one in past.keys}
    revocations, log, tokens = snapshot.revocations, snapshot.log, snapshot.tokens
    if revocations is not None and past.revocations is not None:
        revocations = replace(revocations, failures=revocations.failures + past.revocations.failures)
    return replace(
        snapshot,
        requests=_requests((*snapshot.requests, *past.requests)),
        sessions=snapshot.sessions + past.sessions,
        tokens=replace(
            tokens, hits=tokens.hits + past.tokens.hits, misses=tokens.misses + past.tokens.misses
        ),
        keys=[_with_attempts(one, attempts.get(one.issuer)) for one in snapshot.keys],
        revocations=revocations,
        log=replace(
            log, dropped=log.dropped + past.log.dropped, suppressed=log.suppressed + past.log.suppressed
        ),
        process={
            name: value + past.process.get(name, 0.0) if name in _COUNTED else value
            for name, value in snapshot.process.items()
        },
    )


def _with_attempts(one: KeysState, past: KeysState | None) -> KeysState:
    if past is None:
        return one
    return replace(one, fetched=one.fetched + past.fetched, failed=one.failed + past.failed)


def _joined(one: Snapshot, other: Snapshot) -> Snapshot:
    return Snapshot(
        requests=_requests((*one.requests, *other.requests)),
        sessions=one.sessions + other.sessions,
        tokens=TokensState(
            one.tokens.entries + other.tokens.entries,
            one.tokens.hits + other.tokens.hits,
            one.tokens.misses + other.tokens.misses,
        ),
        keys=_keys((*one.keys, *other.keys)),
        revocations=_either(_revocations, one.revocations, other.revocations),
        wire=_wire(one.wire, other.wire),
        upstream=one.upstream.joined(other.upstream),
        redis=_either(Contact.joined, one.redis, other.redis),
        log=LogState(
            one.log.queued + other.log.queued,
            one.log.full or other.log.full,
            one.log.refuses or other.log.refuses,
            one.log.dropped + other.log.dropped,
            one.log.suppressed + other.log.suppressed,
        ),
        reloads=one.reloads or other.reloads,
        draining=one.draining or other.draining,
        observing=one.observing or other.observing,
        process=_process(one.process, other.process),
        workers=one.workers + other.workers,
        answering=one.answering + other.answering,
    )


def _requests(all_of_them: Iterable[Requests]) -> list[Requests]:
    found: dict[tuple[object, ...], Requests] = {}
    for one in all_of_them:
        key = (one.rule, one.status, one.decision, one.reason)
        alike = found.get(key)
        found[key] = one if alike is None else _added(alike, one)
    return list(found.values())


def _added(one: Requests, other: Requests) -> Requests:
    return Requests(
        one.rule,
        one.status,
        one.decision,
        one.reason,
        list(map(add, one.durations, other.durations)),
        list(map(add, one.upstream_durations, other.upstream_durations)),
        one.seconds + other.seconds,
        one.upstream_seconds + other.upstream_seconds,
    )


def _keys(all_of_them: Iterable[KeysState]) -> list[KeysState]:
    found: dict[str, KeysState] = {}
    for one in all_of_them:
        alike = found.get(one.issuer)
        found[one.issuer] = one if alike is None else _worse_keys(alike, one)
    return list(found.values())


def _worse_keys(one: KeysState, other: KeysState) -> KeysState:
    return KeysState(
        one.issuer,
        min(one.keys, other.keys),
        one.usable and other.usable,
        one.stale or other.stale,
        _most(one.age, other.age),
        one.fetched + other.fetched,
        one.failed + other.failed,
        one.asks,
    )


def _revocations(one: RevocationsState, other: RevocationsState) -> RevocationsState:
    return RevocationsState(
        min(one.entries, other.entries),
        one.ready and other.ready,
        one.failing or other.failing,
        _most(one.age, other.age),
        one.failures + other.failures,
    )


def _wire(one: WireState, other: WireState) -> WireState:
    return WireState(
        one.connections + other.connections,
        one.streams + other.streams,
        one.in_use + other.in_use,
        one.idle + other.idle,
        one.waiting + other.waiting,
    )


def _process(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Add up what processes use; the start is the earliest, and a limit is each one's own."""
    return {
        name: min(value, other[name]) if name in _EACH_ITS_OWN else value + other[name]
        for name, value in one.items()
        if name in other
    }


_COUNTED = frozenset({"process_cpu_seconds"})
_EACH_ITS_OWN = frozenset({"process_start_time_seconds", "process_max_fds"})


def _either(join: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    if one is None or other is None:
        return other if one is None else one
    return join(one, other)


def _least(one: float | None, other: float | None) -> float | None:
    return min((age for age in (one, other) if age is not None), default=None)


def _most(one: float | None, other: float | None) -> float | None:
    """Return the greater age; None, which is never, is the greatest."""
    return None if one is None or other is None else max(one, other)
