"""Whether it is ready for requests, and what else an operator should look at.

Pure. Few things make it unready, for that takes the proxy out of service: it drains, an issuer's tokens
cannot be verified, or its log is full and must not be. Whatever else is amiss is `degraded`, and ready.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.admin.snapshot import Contact, Snapshot
    from proxy.authn import KeysState, RevocationsState


class Readiness(Struct, frozen=True):
    """`status` is `ready`, `degraded` or `unready`; `problems` says why; `facts` is all the rest."""

    status: str
    problems: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def ready(self) -> bool:
        """Whether requests should come here."""
        return self.status != "unready"


def readiness(snapshot: Snapshot) -> Readiness:
    """Judge what a snapshot says."""
    grave, slight = tuple(_grave(snapshot)), tuple(_slight(snapshot))
    status = "unready" if grave else "degraded" if slight else "ready"
    return Readiness(status, grave + slight, _facts(snapshot))


def _grave(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.draining:
        yield "draining"
    if not snapshot.answering:
        yield "no worker says that it can serve"
    for keys in snapshot.keys:
        if not keys.usable and not keys.asks:
            yield f"no usable keys of {keys.issuer}"
    if snapshot.log.full and snapshot.log.refuses:
        yield "the log is full, and nothing is admitted unlogged"


def _slight(snapshot: Snapshot) -> Iterator[str]:
    for keys in snapshot.keys:
        if not keys.usable and keys.asks:
            yield f"no usable keys of {keys.issuer}; it is asked about its tokens"
        elif keys.usable and keys.stale:
            yield f"the keys of {keys.issuer} could not be fetched again"
    if snapshot.log.full and not snapshot.log.refuses:
        yield "the log is full, and lines are lost"
    if snapshot.upstream.reachable is False:
        yield "the upstream cannot be reached"
    if snapshot.redis is not None and snapshot.redis.reachable is False:
        yield "Redis does not answer"
    if 0 < snapshot.answering < snapshot.workers:
        yield f"{snapshot.workers - snapshot.answering} of {snapshot.workers} workers do not answer"
    yield from _revoking(snapshot.revocations)
    if snapshot.reloads is not None and not snapshot.reloads.last_ok:
        yield "the latest configuration is faulty; the one before it is in force"


def _revoking(revocations: RevocationsState | None) -> Iterator[str]:
    if revocations is not None and not revocations.ready:
        yield "the revocations have not been read yet, and no token is admitted"
    elif revocations is not None and revocations.failing:
        yield "the revocations cannot be read; those last known are in force"


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    revocations = snapshot.revocations
    facts: dict[str, Any] = {
        "draining": snapshot.draining,
        "workers": {"configured": snapshot.workers, "answering": snapshot.answering},
        "keys": [_keys(one) for one in snapshot.keys],
        "upstream": _contact(snapshot.upstream),
        "log": {"full": snapshot.log.full, "queued_bytes": snapshot.log.queued},
    }
    if snapshot.redis is not None:
        facts["redis"] = _contact(snapshot.redis)
    if revocations is not None:
        facts["revocations"] = {
            "ready": revocations.ready,
            "failing": revocations.failing,
            "entries": revocations.entries,
            "age_seconds": _rounded(revocations.age),
        }
    return facts


def _keys(keys: KeysState) -> dict[str, Any]:
    return {
        "issuer": keys.issuer,
        "usable": keys.usable,
        "stale": keys.stale,
        "keys": keys.keys,
        "age_seconds": _rounded(keys.age),
    }


def _contact(contact: Contact) -> dict[str, Any]:
    """`reachable` is null until something is known."""
    return {
        "reachable": contact.reachable,
        "answered_seconds_ago": _rounded(contact.answered),
        "missed_seconds_ago": _rounded(contact.missed),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
