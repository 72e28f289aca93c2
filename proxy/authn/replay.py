"""Proofs that were used already: each one passes once (RFC 9449 section 11.1).

Pure, with `now` as a value; for one process. `replay_redis` does the same for many. Knows no proof's
content, only a digest and until when the proof could be used again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Generator

    from proxy.model import Wait

Agent = tuple[str, str]
"""Issuer and id."""

REPLAYED = Deny(Reason.PROOF_INVALID, "the proof was used before")

# Seconds that share a bucket: proofs are forgotten by the bucket, up to this much later than they could be.
_SPAN = 30


class Replay(Protocol):
    """Who knows which proofs were used."""

    def use(self, agent: Agent, proof: bytes, until: float, now: float) -> Generator[Wait, Any, Deny | None]:
        """Use up the proof with this digest, which nobody takes after `until`; both times in Unix seconds.

        None: it had not been used. An answer that is not known is a `Deny` too.
        """


class UsedProofs:
    """The proofs used in this process, at most `limit`, and at most a quarter of it by one agent.

    When it is full it refuses, and forgets nothing: an agent that could push others' proofs out
    could use what it has overheard once more. Its own share is all that an agent can fill.
    """

    def __init__(self, limit: int = 400_000) -> None:
        self._limit = limit
        self._count = 0
        self._buckets: dict[int, defaultdict[Agent, set[bytes]]] = {}

    def use(self, agent: Agent, proof: bytes, until: float, now: float) -> Generator[Wait, Any, Deny | None]:
        """As `Replay.use`; waits for nothing."""
        yield from ()
        self._forget(now)
        own = [bucket[agent] for bucket in self._buckets.values() if agent in bucket]
        if any(proof in used for used in own):
            return REPLAYED
        if self._count >= self._limit or sum(map(len, own)) >= self._limit // 4:
            return Deny(Reason.OVERLOADED, "as many proofs as are remembered were used within a minute")
        self._buckets.setdefault(int(until // _SPAN), defaultdict(set))[agent].add(proof)
        self._count += 1
        return None

    def _forget(self, now: float) -> None:
        over = [span for span in self._buckets if (span + 1) * _SPAN <= now]
        for span in over:
            self._count -= sum(map(len, self._buckets.pop(span).values()))
