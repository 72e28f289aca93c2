"""Rates counted for all workers and replicas together, in Redis.

Thin I/O: one script for each request. The time is Redis's own, so that replicas agree. While Redis is
away each process counts alone: a rate protects the upstream, and refusing everybody would not.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from proxy.authz.rates import OwnRates, key, refusal
from proxy.model import Wait

if TYPE_CHECKING:
    from collections.abc import Generator

    from redis.asyncio import Redis

    from proxy.authz.rates import Key, Pace
    from proxy.authz.requirements import Route
    from proxy.model import Caller, Deny

_PREFIX = "keystile:rate:"
_PATIENCE = 0.25
# After a failure nobody waits for Redis for this long, then one request tries it.
_PAUSE = 1.0

# `gcra` once more.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, slack = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
tat = math.min(math.max(tat, now), now + slack + interval)
local wait = math.max(tat - now - slack, 0)
if wait == 0 then tat = tat + interval end
redis.call('SET', KEYS[1], tat, 'PX', math.ceil((tat - now) / 1000))
return wait
"""

_log = structlog.get_logger()


class SharedRates:
    """Counts for everybody who serves `resource` and shares this Redis.

    It has `patience` seconds for an answer. `own` counts while there is none.
    """

    def __init__(
        self,
        redis: Redis,
        resource: str = "",
        patience: float = _PATIENCE,
        own: OwnRates | None = None,
    ) -> None:
        self._prefix = f"{_PREFIX}{resource}\n"
        self._patience = patience
        self._script = redis.register_script(_SCRIPT)
        self._own = own or OwnRates()
        self._failing = False
        self._pause_ends = 0.0

    def judge(
        self, route: Route, caller: Caller | None, client: str, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        """As `Rates.judge`; yields once, to ask Redis, unless it has just failed."""
        pace = route.rate
        if pace is None:
            return None
        if self._failing:
            if 0 < self._pause_ends - now <= _PAUSE:
                return (yield from self._own.judge(route, caller, client, now))
            self._pause_ends = now + _PAUSE
        wait = yield Wait(partial(self._ask, key(route, caller, client), pace))
        if wait is None:
            self._pause_ends = now + _PAUSE
            return (yield from self._own.judge(route, caller, client, now))
        return refusal(route.name, pace, caller, wait) if wait else None

    async def _ask(self, who: Key, pace: Pace) -> int | None:
        # None of the three has a control character: no two keys are spelled alike.
        name = self._prefix + "\n".join(who)
        try:
            async with asyncio.timeout(self._patience):
                wait = int(await self._script(keys=[name], args=[pace.interval, pace.slack]))
        except Exception as error:  # noqa: BLE001 - whatever went wrong: then this process counts
            self._tell(type(error).__name__)
            return None
        self._tell(None)
        return wait

    def _tell(self, problem: str | None) -> None:
        """Log once that Redis went away, and once that it is back."""
        if self._failing == (problem is not None):
            return
        self._failing = problem is not None
        if self._failing:
            _log.warning("rates_counted_alone", problem=problem)
        else:
            _log.info("rates_counted_together")
