"""Revocations in Redis: read, followed, and added to.

One hash, `keystile:revoked`. Each field is an entry as JSON, as in {"agent":"acc_7","issuer":"https://…"};
its value is when it was written (Unix seconds), for people. Whatever is published on the channel of the same
name says that the hash has changed; it is also read again every ten seconds, for what is published while
nobody listens is lost. Thin I/O; Redis's own texts are never passed on: they may quote the URL's password.

A Redis that comes back may have forgotten: what is gone from it after a lost connection stays revoked
here until this process ends. Only what disappears while the connection holds was removed by somebody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from proxy.authn.compact import json_object
from proxy.authn.revocation import MAX_ENTRIES, NOTHING, Revocation, Revocations, read_revocation
from proxy.authn.revocation_source import RevocationError, RevocationSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

KEY = "keystile:revoked"

_PATIENCE = 3.0
_REREAD = 10.0
_PAUSE = 0.5
# Many who revoke at once are one change.
_BREATH = 0.05
# Small enough that the event loop is never held for long.
_PAGE = 500

_log = structlog.get_logger()


class RedisSource(RevocationSource):
    """The revocations in the Redis at `url`.

    Times are in seconds: `patience` for one answer, `reread` between two readings that nobody asked for,
    `pause` before a lost connection is made anew.
    """

    def __init__(
        self, url: str, patience: float = _PATIENCE, reread: float = _REREAD, pause: float = _PAUSE
    ) -> None:
        super().__init__()
        self.ready = False
        self._url = url
        self._patience = patience
        self._reread = reread
        self._pause = pause
        self._fields: frozenset[bytes] = frozenset()
        self._kept = NOTHING
        """What a Redis that came back no longer had."""
        self._tried = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read once, if Redis answers, and follow it from now on: without it, `ready` stays False.

        Raises:
            RevocationError: redis-py is not installed, or the URL is none.
        """
        await _client(self._url, self._patience).aclose()
        self._following = asyncio.create_task(self._follow())
        await self._tried.wait()

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever happens, it is followed again
                known = isinstance(error, RevocationError)
                # How one outage began is told, not every way in which it goes on.
                self._failed(self._problem or (str(error) if known else f"Redis: {type(error).__name__}"))
            self._tried.set()
            await asyncio.sleep(self._pause)

    async def _session(self) -> None:
        """Follow on one connection for news and one for reading; ends by raising, when either is lost."""
        async with _client(self._url, self._patience) as redis, redis.pubsub() as news:
            await news.subscribe(KEY)
            await self._answer(news)
            await self._read(redis, resumed=self.ready)
            while True:
                self._tried.set()
                await self._wait(news)
                await self._read(redis, resumed=False)

    async def _wait(self, news: PubSub) -> None:
        if await news.get_message(timeout=self._reread) is None:
            # A connection that nobody uses may be gone without a word.
            await news.ping()
            await self._answer(news)
            return
        await asyncio.sleep(_BREATH)
        while await news.get_message(timeout=0) is not None:
            pass

    async def _answer(self, news: PubSub) -> None:
        if await news.get_message(timeout=self._patience) is None:
            raise TimeoutError

    async def _read(self, redis: Redis, *, resumed: bool) -> None:
        fields = await _fields(redis)
        self._confirmed(asyncio.get_running_loop().time())
        if fields == self._fields and self.ready and not resumed:
            return
        # Off the loop: thousands of entries take a while.
        listed, unreadable = await asyncio.to_thread(_revocations, fields)
        self._fields = fields
        gone = (self.current if resumed else self._kept).beyond(listed)
        if resumed and gone != NOTHING:
            _log.warning("revocations_gone_from_redis", kept=len(gone.moments))
        self._kept = gone
        if unreadable:
            _log.warning("revocations_unreadable", fields=unreadable)
        self._adopt(listed.joined(gone))


def add_to_redis(url: str, item: Revocation, now: float) -> bool:
    """Add an entry, written at `now` (Unix seconds), and tell everybody; False if it was there already.

    Raises:
        RevocationError: Redis cannot be reached, or takes no further entry.
    """
    return asyncio.run(_added(_client(url, _PATIENCE), item, now))


async def _added(client: Redis, item: Revocation, now: float) -> bool:
    try:
        async with client as redis, redis.pipeline() as pipeline:
            full = await redis.hlen(KEY) >= MAX_ENTRIES
            pipeline.hsetnx(KEY, item.canonical(), str(int(now)))
            pipeline.publish(KEY, "changed")
            added, _ = (False, 0) if full else await pipeline.execute()
    except Exception as error:  # noqa: BLE001 - whatever a Redis answers, its words stay here
        raise RevocationError(f"the Redis of `revocations` failed ({type(error).__name__})") from None
    if full:
        raise RevocationError(f"Redis: {KEY} holds {MAX_ENTRIES} entries, which is all; remove what expired")
    return bool(added)


def _client(url: str, patience: float) -> Redis:
    """Make a client that never connects anew by itself: after a lost connection much may have changed."""
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an optional extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    except ImportError:
        raise RevocationError("revocations in Redis need redis-py: pip install 'keystile[redis]'") from None
    # Not the default of every version; other kinds of connection do not take it.
    tls: dict[str, Any] = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
    try:
        return Redis.from_url(
            url,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
            **tls,
        )
    except ValueError:
        raise RevocationError("the URL of `revocations` is none that Redis knows") from None


async def _fields(redis: Redis) -> frozenset[bytes]:
    """Read all fields, a page at a time; what is added meanwhile is published after it."""
    fields: set[bytes] = set()
    cursor = 0
    while True:
        answer: Any = await redis.hscan(KEY, cursor, count=_PAGE)
        cursor, page = answer
        fields.update(page)
        if len(fields) > MAX_ENTRIES:
            raise RevocationError(f"Redis: more than {MAX_ENTRIES} fields in {KEY}; remove what has expired")
        if cursor == 0:
            return frozenset(fields)


def _revocations(fields: Iterable[bytes]) -> tuple[Revocations, int]:
    """Read entries; those that are none are counted, for the others must not wait until they are mended."""
    read = [read_revocation(json_object(field)) for field in fields]
    found = [one for one in read if isinstance(one, Revocation)]
    return Revocations.of(found), len(read) - len(found)
