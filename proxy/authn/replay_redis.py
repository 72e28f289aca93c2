"""Proofs that were used already, known to all workers and replicas through Redis.

Thin I/O: one `SET NX EX` for each proof. Knows digests only. Where Redis cannot say, the proof is refused.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from proxy.authn.replay import REPLAYED, UsedProofs
from proxy.model import Deny, Reason, Wait

if TYPE_CHECKING:
    from collections.abc import Generator

    from redis.asyncio import Redis

    from proxy.authn.replay import Agent, Replay

_PREFIX = b"keystile:dpop:"
_PATIENCE = 1.0
# Replicas' clocks differ: one that is late must not meet a proof that an early one has let go.
_CLOCKS_APART = 60

_log = structlog.get_logger()


class SharedProofs:
    """The proofs used by anybody who shares this Redis, which must not evict keys (`noeviction`).

    It has `patience` seconds for an answer. `own` knows what was used here.
    """

    def __init__(self, redis: Redis, patience: float = _PATIENCE, own: Replay | None = None) -> None:
        self._patience = patience
        self._own = own or UsedProofs()
        self._redis = redis
        self._failing = False

    def use(
        self,
        agent: Agent,
        proof: bytes,
        until: float,
        now: float,
    ) -> Generator[Wait, Any, Deny | None]:
        """As `Replay.use`; yields once, to ask Redis."""
        seconds = math.ceil(until - now) + _CLOCKS_APART
        fresh = yield Wait(partial(self._set, proof, seconds))
        if fresh is None:
            return Deny(
                Reason.INTROSPECTION_UNAVAILABLE, "the Redis that remembers used proofs does not answer"
            )
        if not fresh:
            return REPLAYED
        # A Redis that comes back may have forgotten; what passed here does not pass here again.
        own = yield from self._own.use(agent, proof, until, now)
        return own if own is REPLAYED else None

    async def _set(self, proof: bytes, seconds: int) -> bool | None:
        try:
            async with asyncio.timeout(self._patience):
                fresh = await self._redis.set(_PREFIX + proof, b"", nx=True, ex=seconds) is not None
        except Exception as error:  # noqa: BLE001 - whatever went wrong: nobody knows whether it was used
            self._tell(type(error).__name__)
            return None
        self._tell(None)
        return fresh

    def _tell(self, problem: str | None) -> None:
        """Log once that Redis went away, and once that it is back."""
        if self._failing == (problem is not None):
            return
        self._failing = problem is not None
        if self._failing:
            _log.warning("used_proofs_unavailable", problem=problem)
        else:
            _log.info("used_proofs_available")
