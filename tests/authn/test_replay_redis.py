"""Used proofs in a real Redis: shared, forgotten in time, and nobody passes while it is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from proxy.authn.replay_redis import SharedProofs
from proxy.model import Reason
from tests.support.steps import driven

if TYPE_CHECKING:
    from redis.asyncio import Redis as Client

    from tests.support.redis_server import Redis

# A busy machine is no outage.
PATIENCE = 10.0
NOW = 1_700_000_000.0
ALICE = ("https://issuer.test", "alice")


async def use(used: SharedProofs, proof: bytes, until: float = NOW + 65) -> Reason | None:
    deny = await driven(used.use(ALICE, proof, until, NOW))
    return None if deny is None else deny.reason


async def test_a_proof_passes_once_whichever_replica_sees_it(redis_client: Client) -> None:
    here, there = SharedProofs(redis_client, PATIENCE), SharedProofs(redis_client, PATIENCE)
    assert await use(here, b"one") is None
    assert await use(here, b"one") is Reason.PROOF_INVALID
    assert await use(there, b"one") is Reason.PROOF_INVALID
    assert await use(there, b"two") is None


async def test_it_is_kept_for_the_proofs_time_and_clocks_that_differ(redis_client: Client) -> None:
    await use(SharedProofs(redis_client, PATIENCE), b"\x00\xff one", until=NOW + 65.5)
    assert await redis_client.keys() == [b"keystile:dpop:\x00\xff one"]
    assert 120 <= await redis_client.ttl(b"keystile:dpop:\x00\xff one") <= 126


async def test_nobody_passes_while_redis_is_away(redis: Redis, redis_client: Client) -> None:
    used = SharedProofs(redis_client, PATIENCE)
    assert await use(used, b"one") is None
    with capture_logs() as lines:
        await redis.stop()
        assert await use(used, b"two") is Reason.INTROSPECTION_UNAVAILABLE
        assert await use(used, b"two") is Reason.INTROSPECTION_UNAVAILABLE
        await redis.start()
        assert await use(used, b"two") is None
        assert await use(used, b"two") is Reason.PROOF_INVALID
    assert [line["event"] for line in lines] == ["used_proofs_unavailable", "used_proofs_available"]


async def test_a_redis_that_refuses_lets_nobody_pass(redis_client: Client) -> None:
    await redis_client.config_set("maxmemory", "1")
    await redis_client.config_set("maxmemory-policy", "noeviction")
    assert await use(SharedProofs(redis_client, PATIENCE), b"one") is Reason.INTROSPECTION_UNAVAILABLE


async def test_a_redis_that_has_forgotten_lets_nothing_pass_here_again(redis_client: Client) -> None:
    used = SharedProofs(redis_client, PATIENCE)
    assert await use(used, b"one") is None
    await redis_client.flushall()
    assert await use(used, b"one") is Reason.PROOF_INVALID
    assert await use(used, b"two") is None
