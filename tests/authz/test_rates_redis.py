"""Rates in a real Redis: counted together, kept no longer than needed, counted alone while it is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from proxy.authz import Router
from proxy.authz.rates_redis import SharedRates
from proxy.config import Rule
from proxy.model import Caller, Identity, Reason
from tests.support.steps import driven, straight

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

    from proxy.authz import Route
    from proxy.model import Deny
    from tests.support.redis_server import Redis

# A busy machine is no outage.
PATIENCE = 10.0
RESOURCE = "https://edge.test"
NOW = 1_800_000_000.0
ALICE = Caller(Identity("alice", "https://one.example", (), (), {}, NOW + 600), frozenset(), b"", b"")


def route(rate: object, name: str = "api") -> Route:
    return Router([Rule(path="/", name=name, rate=rate)]).find("GET", b"", "/")


async def ask(
    rates: SharedRates, at: Route, who: Caller | None = ALICE, client: str = "", now: float = NOW
) -> Deny | None:
    return await driven(rates.judge(at, who, client, now))


async def test_all_count_together(redis_client: Client) -> None:
    here, there, at = (
        SharedRates(redis_client, RESOURCE, PATIENCE),
        SharedRates(redis_client, RESOURCE, PATIENCE),
        route("2/h"),
    )
    assert await ask(here, at) is None
    assert await ask(there, at) is None
    for rates in (here, there):
        deny = await ask(rates, at)
        assert deny is not None
        assert (deny.reason, deny.caller) == (Reason.RATE_LIMITED, ALICE)
        assert deny.retry_after in {1799, 1800}
        assert deny.lines.startswith(b'RateLimit-Policy: "api";q=2;w=3600\r\nRateLimit: "api";r=0;t=')


async def test_each_caller_and_each_rule_counts_for_itself(redis_client: Client) -> None:
    rates = SharedRates(redis_client, RESOURCE, PATIENCE)
    one, other = route("1/h", "one"), route("1/h", "other")
    assert await ask(rates, one) is None
    assert await ask(rates, other) is None
    assert await ask(rates, one, None, "192.0.2.1") is None
    assert await ask(rates, one, None, "2001:db8::1") is None
    assert await ask(rates, one, None, "2001:db8::2") is not None
    assert await ask(rates, one) is not None
    assert sorted(await redis_client.keys()) == [
        b"keystile:rate:https://edge.test\none\n\n192.0.2.1",
        b"keystile:rate:https://edge.test\none\n\n2001:0db8:0000:0000",
        b"keystile:rate:https://edge.test\none\nhttps://one.example\nalice",
        b"keystile:rate:https://edge.test\nother\nhttps://one.example\nalice",
    ]


async def test_requests_at_the_same_time_are_counted_one_by_one(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("20/h")
    passed = await asyncio.gather(*(ask(rates, at) for _ in range(50)))
    assert passed.count(None) == 20


async def test_it_is_kept_until_the_whole_burst_is_there_again(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route({"limit": "1/m", "burst": "10"})
    for seconds in (60, 120, 180):
        await ask(rates, at)
        left = await redis_client.pttl("keystile:rate:https://edge.test\napi\nhttps://one.example\nalice")
        assert seconds * 1000 - 5000 < left <= seconds * 1000


async def test_a_refused_request_counts_for_nothing(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("1/h")
    assert await ask(rates, at) is None
    before = await redis_client.get("keystile:rate:https://edge.test\napi\nhttps://one.example\nalice")
    assert await ask(rates, at) is not None
    assert (
        await redis_client.get("keystile:rate:https://edge.test\napi\nhttps://one.example\nalice") == before
    )


async def test_the_time_is_redis_own(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("1/h")
    assert await ask(rates, at, now=NOW) is None
    assert await ask(rates, at, now=NOW + 86400) is not None


async def test_a_clock_that_was_set_back_locks_nobody_out(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("3600/h")
    seconds, _ = await redis_client.time()
    await redis_client.set(
        "keystile:rate:https://edge.test\napi\nhttps://one.example\nalice", (seconds + 10**7) * 10**6
    )
    deny = await ask(rates, at)
    assert deny is not None
    assert deny.retry_after == 1
    assert (
        int(await redis_client.get("keystile:rate:https://edge.test\napi\nhttps://one.example\nalice"))
        < (seconds + 3700) * 10**6
    )


async def test_a_rate_that_is_hardly_one(redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route({"limit": "1/d", "burst": "999999999"})
    for _ in range(3):
        assert await ask(rates, at) is None


async def test_a_rule_without_a_rate_asks_nobody(redis_client: Client) -> None:
    found = Router([Rule(path="/")]).find("GET", b"", "/")
    assert straight(SharedRates(redis_client, RESOURCE, PATIENCE).judge(found, ALICE, "", NOW)) is None


async def test_while_redis_is_away_each_process_counts_alone(redis: Redis, redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("1/h")
    assert await ask(rates, at) is None
    with capture_logs() as lines:
        await redis.stop()
        assert await ask(rates, at) is None
        # Nobody waits for what has just failed.
        assert straight(rates.judge(at, ALICE, "", NOW + 0.9)) is not None
        # Later, one request tries, and the others do not.
        trial = rates.judge(at, ALICE, "", NOW + 1.1)
        wait = next(trial)
        assert straight(rates.judge(at, ALICE, "", NOW + 1.1)) is not None
        with pytest.raises(StopIteration) as ended:
            trial.send(await wait.call())
        assert ended.value.value is not None
        await redis.start()
        assert straight(rates.judge(at, ALICE, "", NOW + 1.2)) is not None
        # It has forgotten everything, and its script too.
        assert await ask(rates, at, now=NOW + 2.2) is None
        assert await ask(rates, at, now=NOW + 2.2) is not None
    assert [line["event"] for line in lines] == ["rates_counted_alone", "rates_counted_together"]
    assert "alice" not in str(lines)


async def test_a_clock_that_was_set_back_does_not_keep_redis_away(redis: Redis, redis_client: Client) -> None:
    rates, at = SharedRates(redis_client, RESOURCE, PATIENCE), route("1/h")
    await redis.stop()
    assert await ask(rates, at) is None
    await redis.start()
    assert await ask(rates, at, now=NOW - 3600) is None
    assert await redis_client.dbsize() == 1


async def test_a_redis_that_stalls_holds_nobody_up_for_long(redis: Redis, redis_client: Client) -> None:
    rates, at = SharedRates(redis_client), route("1/h")
    assert await ask(rates, at) is None
    async with redis_client.from_url(redis.url) as other:
        await other.client_pause(1000)
        assert await ask(rates, at) is None
        assert await ask(rates, at) is not None


async def test_services_that_share_a_redis_count_for_themselves(redis_client: Client) -> None:
    here, there = (SharedRates(redis_client, f"https://{name}.test", PATIENCE) for name in ("a", "b"))
    at = route("1/h")
    assert [await ask(here, at) is None, await ask(there, at) is None] == [True, True]
    assert await ask(here, at) is not None
