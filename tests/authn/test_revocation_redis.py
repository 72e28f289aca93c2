"""Revocations in a real Redis: read, followed, kept while it is away, and not forgotten when it has forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis as Client
from structlog.testing import capture_logs

from proxy.authn.revocation import NOTHING, Revocation, Revocations
from proxy.authn.revocation_redis import KEY, RedisSource, add_to_redis
from proxy.authn.revocation_source import RevocationError
from tests.support.programs import free_port
from tests.support.records import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis_server import Redis

# Long enough that nothing is read again unless somebody says so.
LONG = 3600.0


def revoked(*agents: str) -> Revocations:
    return Revocations.of(Revocation(agent=agent) for agent in agents)


def field(agent: str) -> str:
    return json.dumps({"agent": agent})


@contextlib.asynccontextmanager
async def followed(redis: Redis, **settings: float) -> AsyncIterator[RedisSource]:
    source = RedisSource(redis.url, **{"reread": LONG, "pause": 0.02, **settings})
    await source.start()
    try:
        yield source
    finally:
        await source.close()


async def add(redis: Redis, agent: str) -> bool:
    """Do what the command does, in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(add_to_redis, redis.url, Revocation(agent=agent), 1_700_000_000.9)


async def tell(redis: Redis, *commands: tuple[Any, ...]) -> None:
    """Do what a person does with redis-cli."""
    async with Client.from_url(redis.url) as client:
        for command in commands:
            await client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py says no types here


async def test_what_is_there_is_known_at_the_start(redis: Redis) -> None:
    await add(redis, "a")
    async with followed(redis) as source:
        assert (source.ready, source.current) == (True, revoked("a"))


async def test_what_is_added_is_told_to_all(redis: Redis) -> None:
    async with followed(redis) as here, followed(redis) as there:
        told: list[Revocations] = []
        here.watcher = told.append
        assert (here.ready, here.current) == (True, NOTHING)
        assert await add(redis, "a")
        await until(lambda: here.current == there.current == revoked("a"))
        assert told == [revoked("a")]


async def test_an_entry_is_added_once(redis: Redis) -> None:
    assert [await add(redis, "a"), await add(redis, "a"), await add(redis, "b")] == [True, False, True]
    async with Client.from_url(redis.url) as client:
        assert await client.hgetall(KEY) == {
            b'{"agent":"a"}': b"1700000000",
            b'{"agent":"b"}': b"1700000000",
        }


async def test_what_a_person_writes_and_removes_is_followed(redis: Redis) -> None:
    async with followed(redis) as source:
        await tell(redis, ("HSET", KEY, field("a"), "", field("b"), ""), ("PUBLISH", KEY, ""))
        await until(lambda: source.current == revoked("a", "b"))
        await tell(redis, ("HDEL", KEY, field("a")), ("PUBLISH", KEY, ""))
        await until(lambda: source.current == revoked("b"))
        await tell(redis, ("DEL", KEY), ("PUBLISH", KEY, ""))
        await until(lambda: source.current == NOTHING)


async def test_many_who_publish_at_once_are_one_change(redis: Redis) -> None:
    async with followed(redis) as source:
        told: list[Revocations] = []
        source.watcher = told.append
        await tell(redis, ("PUBLISH", KEY, ""), *(("PUBLISH", KEY, ""),) * 20, ("HSET", KEY, field("a"), ""))
        await tell(redis, ("PUBLISH", KEY, ""))
        await until(lambda: source.current == revoked("a"))
        assert told == [revoked("a")]


async def test_what_nobody_publishes_is_found_all_the_same(redis: Redis) -> None:
    async with followed(redis, reread=0.05) as source:
        await tell(redis, ("HSET", KEY, field("a"), ""))
        await until(lambda: source.current == revoked("a"))


async def test_a_quiet_redis_is_asked_again_and_again(redis: Redis) -> None:
    async def readings() -> int:
        async with Client.from_url(redis.url) as client:
            return int((await client.info("commandstats"))["cmdstat_hscan"]["calls"])

    async with followed(redis, reread=0.01) as source, asyncio.timeout(20):
        while await readings() < 3:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)
        assert (source.current, source.failures) == (NOTHING, 0)


async def test_a_field_that_is_no_entry_stops_no_other(redis: Redis) -> None:
    fields = ("acc_7", "", '{"agent":"x","agent":"y"}', "", '{"agnt":"x"}', "", field("a"), "", b"\xff", "")
    with capture_logs() as lines:
        async with followed(redis) as source:
            await tell(redis, ("HSET", KEY, *fields), ("PUBLISH", KEY, ""))
            await until(lambda: source.current == revoked("a"))
    assert {"event": "revocations_unreadable", "log_level": "warning", "fields": 4} in lines


async def test_without_redis_at_the_start_it_is_not_ready_until_there_is_one(redis: Redis) -> None:
    await redis.stop()
    async with followed(redis) as source:
        assert (source.ready, source.current, source.failures) == (False, NOTHING, 1)
        await redis.start()
        await until(lambda: source.ready)
        await add(redis, "a")
        await until(lambda: source.current == revoked("a"))


async def test_an_outage_is_counted_and_told_once_and_nothing_is_forgotten(redis: Redis) -> None:
    with capture_logs() as lines:
        async with followed(redis) as source:
            await add(redis, "a")
            await until(lambda: source.current == revoked("a"))
            await redis.stop()
            await until(lambda: source.failures >= 2)
            assert (source.ready, source.current) == (True, revoked("a"))
            await redis.start()
            await add(redis, "b")
            await until(lambda: source.current == revoked("a", "b"))
    told = [(line["event"], line.get("problem") or line.get("kept")) for line in lines]
    assert told == [
        ("revocations_changed", None),
        ("revocations_not_read", "Redis: ConnectionError"),
        ("revocations_read_again", None),
        ("revocations_gone_from_redis", 1),
        ("revocations_changed", None),
    ]


async def test_what_is_gone_after_an_outage_can_be_lifted_by_writing_and_removing_it(redis: Redis) -> None:
    async with followed(redis) as source:
        await add(redis, "a")
        await add(redis, "b")
        await until(lambda: source.current == revoked("a", "b"))
        await redis.stop()
        await redis.start()
        await add(redis, "a")
        await until(lambda: source.failures >= 1 and source._kept == revoked("b"))
        await tell(redis, ("HDEL", KEY, field("a").replace(" ", "")), ("PUBLISH", KEY, ""))
        await until(lambda: source.current == revoked("b"))


async def test_a_redis_that_hangs_is_an_outage(redis: Redis) -> None:
    await add(redis, "a")
    async with followed(redis, patience=0.1, reread=0.05) as source:
        await tell(redis, ("CLIENT", "PAUSE", 500, "ALL"))
        await until(lambda: source.failures >= 1)
        assert (source.ready, source.current) == (True, revoked("a"))
        await until(lambda: source._problem is None)


async def test_more_than_is_bearable_keeps_what_was_known(redis: Redis) -> None:
    await add(redis, "a")
    fill = f"for i = 1, 20000 do redis.call('HSET', '{KEY}', '{{\"jti\":\"' .. i .. '\"}}', '') end"
    async with followed(redis) as source:
        with capture_logs() as lines:
            await tell(redis, ("EVAL", fill, 0), ("PUBLISH", KEY, ""))
            await until(lambda: source.failures >= 1)
        assert source.current == revoked("a")
        problem = f"Redis: more than 20000 fields in {KEY}; remove what has expired"
        assert problem in [line.get("problem") for line in lines]
        with pytest.raises(RevocationError, match="holds 20000 entries, which is all"):
            await add(redis, "b")


async def test_another_kind_of_key_keeps_what_was_known(redis: Redis) -> None:
    async with followed(redis) as source:
        await add(redis, "a")
        await until(lambda: source.current == revoked("a"))
        await tell(redis, ("DEL", KEY), ("SET", KEY, "x"), ("PUBLISH", KEY, ""))
        await until(lambda: source.failures >= 1)
        assert source.current == revoked("a")


UNUSABLE = [
    pytest.param("redis://user:s3cret@127.0.0.1:port", "the URL of `revocations` is none that Redis knows", id="a port that is none"),
    pytest.param("http://user:s3cret@127.0.0.1", "the URL of `revocations` is none that Redis knows", id="another scheme"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "problem"), UNUSABLE)
async def test_a_url_that_is_none_is_an_error_at_the_start(url: str, problem: str) -> None:
    source = RedisSource(url)
    with pytest.raises(RevocationError) as caught:
        await source.start()
    assert str(caught.value) == problem
    await source.close()


async def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(RevocationError, match=r"pip install 'keystile\[redis\]'"):
        await RedisSource("redis://127.0.0.1").start()


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_nothing_is_written_where_nobody_answers(scheme: str) -> None:
    with pytest.raises(RevocationError) as caught:
        add_to_redis(f"{scheme}://user:s3cret@127.0.0.1:{free_port()}", Revocation(agent="a"), 0.0)
    assert str(caught.value) == "the Redis of `revocations` failed (ConnectionError)"
    assert caught.value.__suppress_context__
