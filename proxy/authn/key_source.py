"""One issuer's keys, kept: read at start, in the background, and when a token names a key not seen before.

A thin shell: it knows when to read, and how old keys may be. A failing issuer keeps its last good keys until
`max_stale`; no number of odd tokens makes more than one fetch per cooldown; no issuer waits for another.

Two cases make no fetch on purpose. A signature that does not hold under the one key that fits: else every
forged token would cost a fetch, and the next refresh finds a key that its issuer has replaced under the same
kid, or under none. An alg that does not fit the kid's key: that key is there.
"""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import structlog

from proxy.authn.keyset import KeySet, KeySetError
from proxy.authn.negative import NegativeCache
from proxy.authn.state import Attempts, KeysState
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.authn.fetch import Fetched
    from proxy.authn.jose import Key
    from proxy.authn.jwks_cache import JwksCache
    from proxy.config import Issuer, Keys

_log = structlog.get_logger()


class KeySource:
    """One issuer's keys, and when to `read` them anew.

    `look`, in seconds, is how often local keys are read. What is wrong with these at start is for a person to
    mend, not for time; and reading them needs no cooldown. None: the keys are on the network. `patience` is
    seconds for one attempt. `cache` keeps fetched keys. `attempts` is what an earlier source has counted.
    """

    def __init__(
        self,
        issuer: Issuer,
        read: Callable[[], Awaitable[Fetched]],
        *,
        look: float | None,
        clock: Callable[[], float],
        patience: float,
        cache: JwksCache | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self.attempts = attempts or Attempts()
        """How often the issuer's keys were read, whatever else of this source is new."""
        self.usable_until = -math.inf
        """The moment (Unix seconds) from which the keys are too old to trust."""
        self.watcher: Callable[[KeySet], None] | None = None
        """Called with the keys whenever these have changed."""
        self._issuer = issuer.issuer
        self._times = issuer.keys
        self._read = read
        self._look = look
        self._clock = clock
        self._patience = patience
        self._cache = cache
        self._keys = KeySet()
        self._negative = NegativeCache()
        self._max_age: float | None = None
        self._failures = 0
        self._told: tuple[str, bool] | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._rested_at = -math.inf

    def select(self, algorithm: str, kid: str | None, now: float) -> Key | Deny:
        """Choose a token's key at `now` (Unix seconds).

        KEY_UNKNOWN is final: a fetch that began after the kid was first seen did not bring it. Until one has,
        and while there are no keys to trust, it is KEYS_UNAVAILABLE, and `may_ask` says whether to wait.
        """
        if now >= self.usable_until:
            return self._unavailable("the issuer's keys could not be fetched", now)
        found = self._keys.select(algorithm, kid)
        if not isinstance(found, Deny) or found.reason is not Reason.KEY_UNKNOWN:
            return found
        if self._negative.is_answered(algorithm, kid, now):
            return found
        return self._unavailable(
            "no key fits the token, and its issuer has not been asked since it came", now
        )

    def state(self, now: float, *, asks: bool) -> KeysState:
        """Return how its keys fare at `now` (Unix seconds); `asks` as in `KeysState`."""
        known = self.usable_until > -math.inf
        return KeysState(
            self._issuer,
            len(self._keys.keys),
            now < self.usable_until,
            self._failures > 0,
            max(0.0, now - (self.usable_until - self._times.max_stale)) if known else None,
            self.attempts.succeeded,
            self.attempts.failed,
            asks,
        )

    def may_ask(self, now: float) -> bool:
        """Say whether `refetch` is worth waiting for at `now`: an attempt is under way, or may be made."""
        return self._attempt is not None or now >= self._rested_at

    async def refetch(self) -> float:
        """Read once for everybody who asks meanwhile; returns the time (Unix seconds) at which it ended."""
        # Asked again: since the caller looked, another one's fetch may have ended.
        if self.may_ask(self._clock()):
            # Whoever stops waiting ends its own wait, not everybody's attempt.
            await asyncio.shield(self._under_way(asked=True))
        return self._clock()

    async def load(self) -> None:
        """Read local keys, or those that were kept of the last run.

        Raises:
            KeySetError: local keys cannot be used.
        """
        if self._look is not None:
            self._succeeded(self._negative.begin(), await self._read())
        elif self._cache is not None:
            kept = await asyncio.to_thread(self._cache.last, self._clock())
            if kept is not None:
                self._adopt(kept.keys, kept.fetched_at)

    def start(self) -> None:
        """Keep the keys fresh from now on."""
        first = None if self._look is not None else self._under_way(asked=False)
        self._upkeep = asyncio.create_task(self._keep_fresh(first))

    async def settle(self) -> None:
        """Wait for the attempt that is under way, if there is one."""
        if self._attempt is not None:
            await asyncio.shield(self._attempt)

    async def close(self) -> None:
        """Stop every attempt."""
        tasks = [task for task in (self._upkeep, self._attempt) if task is not None]
        for task in tasks:
            task.cancel()
        # What is being written is finished.
        await asyncio.gather(*tasks, *filter(None, [self._keeping]), return_exceptions=True)

    async def _keep_fresh(self, first: asyncio.Task[None] | None) -> None:
        if first is not None:
            await asyncio.shield(first)
        while True:
            wait = self._look or pause(self._times, self._max_age, self._failures)
            # Replicas that started together must not go on asking together.
            await asyncio.sleep(wait * random.uniform(0.8, 1.0))  # noqa: S311 - no secret hangs on it
            await asyncio.shield(self._under_way(asked=False))

    def _under_way(self, *, asked: bool) -> asyncio.Task[None]:
        """Return the one attempt that is under way, or begin one: `asked` for by a token, or due."""
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._try(asked=asked))
        return self._attempt

    async def _try(self, *, asked: bool) -> None:
        fetch = self._negative.begin()
        try:
            async with asyncio.timeout(self._patience):
                fetched = await self._read()
        except Exception as error:  # noqa: BLE001 - whatever an issuer answers, the last good keys stay
            self._failed(error)
            asked = True  # while it fails, time alone asks again
        else:
            self._succeeded(fetch, fetched)
            asked = asked and self._look is None
        finally:
            self._attempt = None
        if asked:
            self._rested_at = self._clock() + self._times.cooldown

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self.attempts.failed += 1
        told = _problem(error), self._clock() < self.usable_until
        if told != self._told:
            _log.warning("keys_not_refreshed", issuer=self._issuer, problem=told[0], usable=told[1])
        self._told = told

    def _succeeded(self, fetch: int, fetched: Fetched) -> None:
        now = self._clock()
        if self._told is not None:
            _log.info("keys_refreshed", issuer=self._issuer)
        self._failures, self._told, self._max_age = 0, None, fetched.max_age
        self.attempts.succeeded += 1
        removed = self._keys.keys - fetched.keys.keys
        self._negative.succeed(
            fetch,
            now + (self._look or self._times.cooldown),
            ((algorithm, key.kid) for key in removed for algorithm in key.algorithms),
        )
        self._adopt(fetched.keys, now)
        # A slow disk must not hold up whoever waits for the keys: what is written late is written next time.
        if self._cache is not None and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(asyncio.to_thread(self._cache.keep, fetched.document, now))

    def _adopt(self, keys: KeySet, fetched_at: float) -> None:
        self.usable_until = fetched_at + self._times.max_stale
        before, self._keys = self._keys, keys
        if keys.skipped != before.skipped:
            for why in keys.skipped:
                _log.warning("key_skipped", issuer=self._issuer, problem=why)
        if keys.keys != before.keys:
            _log.info("keys_changed", issuer=self._issuer, keys=sorted(key.kid or "" for key in keys.keys))
            if self.watcher is not None:
                self.watcher(keys)

    def _unavailable(self, detail: str, now: float) -> Deny:
        wait = math.ceil(max(1, self._rested_at - now))
        return Deny(Reason.KEYS_UNAVAILABLE, detail, retry_after=wait)


def pause(times: Keys, max_age: float | None, failures: int) -> float:
    """Return the seconds until keys are fetched again, after so many failures in a row.

    A shorter `max_age` of the issuer's is honoured, but none is a reason to fetch more than once a cooldown.
    """
    shortest = min(times.cooldown, times.refresh)
    if failures:
        # An issuer that starts beside Keystile is there in a moment.
        return min(shortest, 2.0 ** min(failures - 1, 16))
    return times.refresh if max_age is None else min(times.refresh, max(shortest, max_age))


def _problem(error: Exception) -> str:
    if isinstance(error, KeySetError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the issuer took too long"
    # Foreign texts may quote what was answered.
    return type(error).__name__
