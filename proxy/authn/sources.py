"""Each issuer's keys, kept: read at start, in the background, and when a token names a key not seen before.

A thin shell around `keyset` and `fetch`: it knows when to read, and how old keys may be. A failing issuer
keeps its last good keys until `max_stale`; no number of odd tokens makes more than one fetch per cooldown.
"""

from __future__ import annotations

import asyncio
import math
import random
from functools import partial
from typing import TYPE_CHECKING

import structlog

from proxy.authn import fetch
from proxy.authn.keyset import KeySet, KeySetError, key_set
from proxy.config import JwksFile, JwksInline, JwksUrl
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from proxy.authn.jose import Key
    from proxy.config import Issuer

_log = structlog.get_logger()


class KeySource:
    """One issuer's keys, and when to `read` them anew.

    `local` keys are not on the network: what is wrong with them at start is for a person to mend, not for
    time. `patience` is seconds for one attempt.
    """

    def __init__(
        self,
        issuer: Issuer,
        read: Callable[[], Awaitable[KeySet]],
        *,
        local: bool,
        clock: Callable[[], float],
        patience: float,
    ) -> None:
        self.usable_until = -math.inf
        """The moment (Unix seconds) from which the keys are too old to trust."""
        self.watcher: Callable[[frozenset[Key]], None] | None = None
        """Called with the keys whenever these have changed."""
        self._issuer = issuer.issuer
        self._times = issuer.keys
        self._read = read
        self._local = local
        self._clock = clock
        self._patience = patience
        self._keys = KeySet()
        self._failing = False
        self._attempt: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._asked = False
        self._rested_at = -math.inf

    def select(self, algorithm: str, kid: str | None, now: float) -> Key | Deny:
        """Choose a token's key; KEYS_UNAVAILABLE where an issuer that answers might have one."""
        if now >= self.usable_until:
            return self._unavailable("the issuer's keys could not be fetched", now)
        found = self._keys.select(algorithm, kid)
        if self._failing and isinstance(found, Deny) and found.reason is Reason.KEY_UNKNOWN:
            return self._unavailable(
                "no key fits the token, and its issuer cannot be asked for newer ones", now
            )
        return found

    def may_ask(self, now: float) -> bool:
        """Say whether a token without a key is worth waiting for `refetch`.

        KEY_UNKNOWN wants a fetch newer than the first sighting of the kid. One that is under way, and one
        that ended less than a cooldown ago after a token had asked for it, count as newer: the cooldown is
        how long an issuer's new key may go unseen, and the price for made-up kids making no fetches.
        """
        return self._attempt is not None or now >= self._rested_at

    async def refetch(self) -> float:
        """Read once for everybody who asks meanwhile; returns the time (Unix seconds) at which it ended."""
        # Asked again: since the caller looked, another one's fetch may have ended.
        if self.may_ask(self._clock()):
            self._asked = True
            await self._attempted()
        return self._clock()

    async def load(self) -> None:
        """Read local keys.

        Raises:
            KeySetError: they cannot be used.
        """
        if self._local:
            self._adopt(await self._read())

    def start(self) -> None:
        """Keep the keys fresh from now on."""
        self._upkeep = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        """Stop every attempt."""
        tasks = [task for task in (self._upkeep, self._attempt) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_fresh(self) -> None:
        if not self._local:
            await self._attempted()
        while True:
            pause = min(self._times.cooldown, self._times.refresh) if self._failing else self._times.refresh
            # Replicas that started together must not go on asking together.
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311 - no secret hangs on it
            await self._attempted()

    async def _attempted(self) -> None:
        """Wait for the one attempt that is under way, or make one."""
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._try())
        # Whoever stops waiting ends its own wait, not everybody's attempt.
        await asyncio.shield(self._attempt)

    async def _try(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                keys = await self._read()
        except Exception as error:  # noqa: BLE001 - whatever an issuer answers, the last good keys stay
            self._failing = True
            _log.warning("keys_not_refreshed", issuer=self._issuer, problem=_problem(error))
        else:
            self._adopt(keys)
        finally:
            self._attempt = None
            if self._asked:
                self._asked, self._rested_at = False, self._clock() + self._times.cooldown

    def _adopt(self, keys: KeySet) -> None:
        self._failing = False
        self.usable_until = self._clock() + self._times.max_stale
        if keys == self._keys:
            return
        self._keys = keys
        _log.info("keys_changed", issuer=self._issuer, keys=sorted(key.kid or "" for key in keys.keys))
        for why in keys.skipped:
            _log.warning("key_skipped", issuer=self._issuer, problem=why)
        if self.watcher is not None:
            self.watcher(keys.keys)

    def _unavailable(self, detail: str, now: float) -> Deny:
        wait = max(1, math.ceil(self._rested_at - now)) if self._rested_at > now else 1
        return Deny(Reason.KEYS_UNAVAILABLE, detail, retry_after=wait)


class KeySources:
    """The source of each configured issuer, started and closed together."""

    def __init__(self, sources: dict[str, KeySource], web: fetch.Web) -> None:
        self._sources = sources
        self._web = web

    def __getitem__(self, issuer: str) -> KeySource:
        return self._sources[issuer]

    async def start(self) -> None:
        """Read local keys, and begin to fetch the others: a token that comes first waits for them.

        Raises:
            KeySetError: a file or a set in the configuration cannot be used; nothing was started.
        """
        for source in self._sources.values():
            await source.load()
        for source in self._sources.values():
            source.start()

    async def close(self) -> None:
        """Stop every fetch and close every connection."""
        for source in self._sources.values():
            await source.close()
        await self._web.close()


def key_sources(issuers: Iterable[Issuer], clock: Callable[[], float], patience: float = 10.0) -> KeySources:
    """Make each issuer's source, as its `jwks` says; `clock` gives Unix seconds, `patience` is seconds."""
    web = fetch.Web()
    return KeySources(
        {
            issuer.issuer: KeySource(
                issuer,
                _reader(issuer, web),
                local=isinstance(issuer.jwks, JwksFile | JwksInline),
                clock=clock,
                patience=patience,
            )
            for issuer in issuers
        },
        web,
    )


def _reader(issuer: Issuer, web: fetch.Web) -> Callable[[], Awaitable[KeySet]]:
    match issuer.jwks:
        case JwksInline(keys=document):
            return partial(_inline, issuer.issuer, document)
        case JwksFile(path=path):
            return partial(fetch.from_file, path)
        case JwksUrl(url=url):
            return partial(fetch.from_url, web, url, insecure=issuer.allow_insecure)
        case None:
            return partial(fetch.from_issuer, web, issuer.issuer, insecure=issuer.allow_insecure)


async def _inline(issuer: str, document: dict[str, object]) -> KeySet:
    try:
        return key_set(document)
    except KeySetError as error:
        raise KeySetError(f"issuer {issuer}: {error}") from None


def _problem(error: Exception) -> str:
    if isinstance(error, KeySetError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the issuer took too long"
    # Foreign texts may quote what was answered.
    return type(error).__name__
