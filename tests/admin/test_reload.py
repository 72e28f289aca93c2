"""What the admin listener shows over a reload: counts go on, and the rest is of the configuration in force."""

from __future__ import annotations

import json

from tests.support.admin import Samples, metrics, named, page, readiness, readiness_when
from tests.support.harness import ISSUER, JWKS, TOKEN, keystile
from tests.support.key_server import document, key_server
from tests.support.redis_server import redis_server
from tests.support.upstream import Gate, plain, upstream

ADMIN = "127.0.0.1:0"
BEARER = f"Authorization: Bearer {TOKEN}"
OLD = [{"name": "old", "path": "/**", "scopes": ["read"]}]
NEW = [{"name": "new", "path": "/**", "scopes": ["read"]}]


async def ask(running, *lines: str) -> int:
    return (await page(running.address, "/a", *lines, "Connection: close", host="edge.test")).status


def requests(told: Samples) -> dict[tuple[str, str], float]:
    """Rule and status to how many requests there were."""
    counted = [
        (dict(labels), count) for (name, labels), count in told.items() if name == "keystile_requests_total"
    ]
    return {(labels["rule"], labels["status"]): count for labels, count in counted}


async def test_what_is_counted_goes_on(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, rules=OLD) as running:
        assert [await ask(running, BEARER), await ask(running, BEARER), await ask(running)] == [200, 200, 401]
        await running.reload(admin=ADMIN, rules=NEW)
        assert await ask(running, BEARER) == 200
        told = await metrics(running.admin)
    assert requests(told) == {("old", "200"): 2, ("old", "401"): 1, ("new", "200"): 1}
    assert told[named("keystile_token_cache_hits_total")] == 2
    assert told[named("keystile_token_cache_misses_total")] == 1
    assert told[named("keystile_token_cache_entries")] == 1


async def test_fetches_of_an_issuer_whose_settings_change_go_on(tmp_path):
    async with key_server() as keys, upstream() as behind:
        keys.serve(document(JWKS))
        issuer = {"issuer": ISSUER, "jwks": keys.jwks_url}
        changed = {**issuer, "keys": {"max_stale": "1h"}}
        async with keystile(tmp_path, behind.url, admin=ADMIN, issuers=[issuer]) as running:
            await readiness_when(running.admin, lambda told: told["keys"][0]["usable"])
            await running.reload(admin=ADMIN, issuers=[changed])
            told = await metrics(running.admin)
    assert told[named("keystile_key_fetches_total", issuer=ISSUER, outcome="ok")] == 2


async def test_an_issuer_that_is_asked_from_now_on_needs_no_keys(tmp_path):
    """Its keys are settings of their own, and stay what they were."""
    async with key_server() as keys, upstream() as behind:
        issuer = {"issuer": ISSUER, "jwks": keys.jwks_url}
        asked = {
            **issuer,
            "introspection": {"url": f"{keys.url}/introspect", "client_id": "a", "client_secret": "b"},
        }
        async with keystile(tmp_path, behind.url, admin=ADMIN, issuers=[issuer]) as running:
            before = (await readiness(running.admin))[0]
            await running.reload(admin=ADMIN, issuers=[asked])
            after = (await readiness(running.admin))[0]
    assert (before, after) == (503, 200)


async def test_failures_of_revocations_that_are_elsewhere_now_go_on(tmp_path):
    for name in ("one.yaml", "other.yaml"):
        (tmp_path / name).write_text("[]")
    settings = {"admin": ADMIN, "revocations": "one.yaml"}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        (tmp_path / "one.yaml").write_text("nonsense")
        await readiness_when(running.admin, lambda told: told["revocations"]["failing"])
        await running.reload(admin=ADMIN, revocations="other.yaml")
        told = await metrics(running.admin)
        after = await readiness_when(running.admin, lambda told: told["revocations"]["ready"])
    assert told[named("keystile_revocation_failures_total")] == 1
    assert after[1]["revocations"]["failing"] is False


async def test_another_upstream_is_another_acquaintance(tmp_path):
    async with upstream() as behind, keystile(tmp_path, "http://127.0.0.1:9", admin=ADMIN) as running:
        await readiness_when(running.admin, lambda told: told["upstream"]["reachable"] is False)
        await running.reload(admin=ADMIN, to=behind.url)
        told = (await readiness(running.admin))[1]
        later = await readiness_when(running.admin, lambda told: told["upstream"]["reachable"] is not None)
    assert told["upstream"] == {
        "reachable": None,
        "answered_seconds_ago": None,
        "missed_seconds_ago": None,
    }
    assert (later[1]["status"], later[1]["upstream"]["reachable"]) == ("ready", True)


async def test_what_is_known_of_the_same_upstream_stays_known(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        await readiness_when(running.admin, lambda told: told["upstream"]["reachable"])
        await running.reload(admin=ADMIN, rules=OLD)
        assert (await readiness(running.admin))[1]["upstream"]["reachable"] is True
    assert len(behind.connections) == 1


async def test_what_is_in_progress_at_an_earlier_upstream_is_shown(tmp_path):
    async with (
        upstream([(Gate("go"), *plain())]) as behind,
        upstream() as other,
        keystile(tmp_path, behind.url, admin=ADMIN) as running,
        running.client() as client,
    ):
        client.transport.write(b"GET /public HTTP/1.1\r\nHost: edge.test\r\n\r\n")
        await behind.arrived(1)
        await running.reload(admin=ADMIN, to=other.url)
        told = await metrics(running.admin)
        behind.gates["go"].set()
        await client.response()
        after = await metrics(running.admin)
    in_use = named("keystile_upstream_connections", state="in_use")
    assert (told[in_use], told[named("keystile_client_connections")]) == (1, 1)
    assert after[in_use] == 0


async def test_redis_that_is_configured_later(tmp_path):
    (tmp_path / "redis").mkdir()
    async with (
        upstream() as behind,
        redis_server(tmp_path / "redis") as redis,
        keystile(tmp_path, behind.url, admin=ADMIN) as running,
    ):
        before = (await readiness(running.admin))[1]
        await running.reload(admin=ADMIN, redis=redis.url)
        there = await readiness_when(running.admin, lambda told: told["redis"]["reachable"] is not None)
        await running.reload(admin=ADMIN, redis=redis.url, rules=OLD)
        same = (await readiness(running.admin))[1]
        await running.reload(admin=ADMIN)
        after = (await readiness(running.admin))[1]
    assert ("redis" in before, "redis" in after) == (False, False)
    assert (there[1]["redis"]["reachable"], same["redis"]["reachable"]) == (True, True)


async def test_observe_mode_is_a_gauge(tmp_path):
    """What rules refuse goes on, and is counted as such."""
    rules = [{"name": "write", "path": "/**", "scopes": ["write"]}]
    async with (
        upstream() as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=rules, mode="observe") as running,
    ):
        assert await ask(running, BEARER) == 200
        observed = await metrics(running.admin)
        await running.reload(admin=ADMIN, rules=rules)
        assert await ask(running, BEARER) == 403
        enforced = await metrics(running.admin)
    gauge = named("keystile_observe_mode")
    assert (observed[gauge], enforced[gauge]) == (1, 0)
    common = {"rule": "write", "reason": "scope_insufficient"}
    let_through = named("keystile_requests_total", **common, status="200", decision="would_deny")
    refused = named("keystile_requests_total", **common, status="403", decision="deny")
    assert (observed[let_through], refused in observed) == (1, False)
    assert (enforced[let_through], enforced[refused]) == (1, 1)


async def test_the_configuration_shown_is_the_new_one(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, rules=OLD) as running:
        await running.reload(admin=ADMIN, rules=NEW)
        told = json.loads((await page(running.admin, "/config")).body)
    assert [rule["name"] for rule in told["rules"]] == ["new"]
