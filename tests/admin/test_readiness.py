"""When it is ready, when only just, and when not: as a table of snapshots, and of a running proxy."""

from __future__ import annotations

import asyncio
import os

import pytest

from proxy.admin import Contact, Reloads, Snapshot
from proxy.admin.readiness import readiness as judged
from proxy.audit import LogState
from proxy.authn import KeysState, RevocationsState
from tests.support.admin import readiness, readiness_when
from tests.support.harness import ISSUER, JWKS, keystile
from tests.support.key_server import document, key_server, never, status
from tests.support.raw import connect
from tests.support.redis_server import redis_server
from tests.support.upstream import Gate, plain, upstream

ADMIN = "127.0.0.1:0"
GOOD = KeysState("https://a", 1, usable=True, age=1.0)
NONE = KeysState("https://b")
TOO_OLD = KeysState("https://b", 1, usable=False, stale=True, age=1e6)
STALE = KeysState("https://b", 1, usable=True, stale=True, age=1e4)
ASKED = KeysState("https://c", asks=True)

SNAPSHOTS = [
    pytest.param(Snapshot(), "ready", [], id="nothing that could be wrong"),
    pytest.param(Snapshot(keys=[GOOD]), "ready", [], id="keys"),
    pytest.param(Snapshot(draining=True), "unready", ["draining"], id="draining"),
    pytest.param(Snapshot(keys=[NONE]), "unready", ["no usable keys of https://b"], id="no keys"),
    pytest.param(
        Snapshot(keys=[TOO_OLD]), "unready", ["no usable keys of https://b"], id="keys that are too old"
    ),
    pytest.param(
        Snapshot(keys=[GOOD, NONE]), "unready", ["no usable keys of https://b"], id="one of two issuers"
    ),
    pytest.param(
        Snapshot(keys=[GOOD, STALE]),
        "degraded",
        ["the keys of https://b could not be fetched again"],
        id="stale keys",
    ),
    pytest.param(
        Snapshot(keys=[ASKED]),
        "degraded",
        ["no usable keys of https://c; it is asked about its tokens"],
        id="no keys of an issuer that is asked",
    ),
    pytest.param(
        Snapshot(log=LogState(full=True, refuses=True)),
        "unready",
        ["the log is full, and nothing is admitted unlogged"],
        id="a full log that must not lose a line",
    ),
    pytest.param(
        Snapshot(log=LogState(full=True)),
        "degraded",
        ["the log is full, and lines are lost"],
        id="a full log",
    ),
    pytest.param(
        Snapshot(log=LogState(refuses=True, dropped=5)), "ready", [], id="lines that were lost once"
    ),
    pytest.param(
        Snapshot(upstream=Contact(None, 1.0)),
        "degraded",
        ["the upstream cannot be reached"],
        id="no upstream",
    ),
    pytest.param(Snapshot(upstream=Contact(1.0, 2.0)), "ready", [], id="an upstream that is back"),
    pytest.param(Snapshot(redis=Contact(5.0, 1.0)), "degraded", ["Redis does not answer"], id="no Redis"),
    pytest.param(Snapshot(redis=Contact()), "ready", [], id="a Redis nobody has asked yet"),
    pytest.param(
        Snapshot(revocations=RevocationsState(ready=False, failing=True)),
        "degraded",
        ["the revocations have not been read yet, and no token is admitted"],
        id="revocations that were never read",
    ),
    pytest.param(
        Snapshot(revocations=RevocationsState(failing=True, age=100.0)),
        "degraded",
        ["the revocations cannot be read; those last known are in force"],
        id="revocations that cannot be read",
    ),
    pytest.param(
        Snapshot(reloads=Reloads(last_ok=False)),
        "degraded",
        ["the latest configuration is faulty; the one before it is in force"],
        id="a faulty configuration",
    ),
    pytest.param(
        Snapshot(draining=True, keys=[NONE], upstream=Contact(None, 1.0)),
        "unready",
        ["draining", "no usable keys of https://b", "the upstream cannot be reached"],
        id="everything is told, the worst first",
    ),
]


@pytest.mark.parametrize(("snapshot", "expected", "problems"), SNAPSHOTS)
def test_judges(snapshot, expected, problems):
    told = judged(snapshot)
    assert (told.status, list(told.problems), told.ready) == (expected, problems, expected != "unready")


def test_tells_what_it_knows():
    snapshot = Snapshot(
        keys=[STALE],
        upstream=Contact(1.23456, None),
        redis=Contact(),
        revocations=RevocationsState(3, age=0.5),
        log=LogState(100),
        workers=2,
    )
    assert judged(snapshot).facts == {
        "draining": False,
        "workers": {"configured": 2, "answering": 1},
        "keys": [{"issuer": "https://b", "usable": True, "stale": True, "keys": 1, "age_seconds": 10000.0}],
        "upstream": {"reachable": True, "answered_seconds_ago": 1.235, "missed_seconds_ago": None},
        "log": {"full": False, "queued_bytes": 100},
        "redis": {"reachable": None, "answered_seconds_ago": None, "missed_seconds_ago": None},
        "revocations": {"ready": True, "failing": False, "entries": 3, "age_seconds": 0.5},
    }


async def test_ready(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        code, told = await readiness_when(
            running.admin, lambda told: told["upstream"]["reachable"] is not None
        )
    assert (code, told["status"], told["upstream"]["reachable"], told["keys"][0]["keys"]) == (
        200,
        "ready",
        True,
        1,
    )


async def test_an_upstream_that_nobody_has_asked_for_is_tried_once(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        first = (await readiness(running.admin))[1]
        await readiness_when(running.admin, lambda told: told["upstream"]["reachable"])
        for _ in range(5):
            await readiness(running.admin)
    assert first["upstream"]["reachable"] is None
    assert (len(behind.connections), behind.requests) == (1, [])


async def test_an_upstream_that_is_away_is_no_reason_to_send_requests_elsewhere(tmp_path):
    async with keystile(tmp_path, "http://127.0.0.1:9", admin=ADMIN) as running:
        code, told = await readiness_when(running.admin, lambda told: told["problems"])
    assert (code, told["status"], told["problems"]) == (200, "degraded", ["the upstream cannot be reached"])


async def test_an_upstream_on_a_unix_socket(tmp_path):
    async with (
        upstream(path=tmp_path / "a.sock") as behind,
        keystile(tmp_path, behind.url, admin=ADMIN) as running,
    ):
        told = (await readiness_when(running.admin, lambda told: told["upstream"]["reachable"] is not None))[
            1
        ]
    assert told["upstream"]["reachable"] is True


async def test_an_issuer_that_is_away(tmp_path):
    async with key_server() as keys, upstream() as behind:
        keys.serve(status(500))
        issuers = [{"issuer": ISSUER, "jwks": keys.jwks_url}]
        async with keystile(tmp_path, behind.url, admin=ADMIN, issuers=issuers) as running:
            away = await readiness_when(running.admin, lambda told: told["keys"][0]["stale"])
            keys.serve(document(JWKS))
            back = await readiness_when(running.admin, lambda told: told["keys"][0]["usable"])
    assert (away[0], away[1]["status"], away[1]["problems"]) == (
        503,
        "unready",
        ["no usable keys of https://issuer.test"],
    )
    assert away[1]["keys"][0]["age_seconds"] is None
    assert (back[0], back[1]["status"]) == (200, "ready")


async def test_an_issuer_that_has_not_answered_yet(tmp_path):
    async with key_server() as keys, upstream() as behind:
        keys.serve(never())
        issuers = [{"issuer": ISSUER, "jwks": keys.jwks_url}]
        async with keystile(tmp_path, behind.url, admin=ADMIN, issuers=issuers) as running:
            assert (await readiness(running.admin))[0] == 503


async def test_stale_keys_serve_on(tmp_path):
    async with key_server() as keys, upstream() as behind:
        keys.serve(document(JWKS))
        issuers = [{"issuer": ISSUER, "jwks": keys.jwks_url, "keys": {"refresh": "50ms", "cooldown": "50ms"}}]
        async with keystile(tmp_path, behind.url, admin=ADMIN, issuers=issuers) as running:
            await readiness_when(running.admin, lambda told: told["keys"][0]["usable"])
            keys.serve(status(500))
            code, told = await readiness_when(running.admin, lambda told: told["keys"][0]["stale"])
    assert (code, told["status"]) == (200, "degraded")
    assert "the keys of https://issuer.test could not be fetched again" in told["problems"]


async def test_draining(tmp_path):
    async with (
        upstream([(Gate("go"), *plain())]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN) as running,
        running.client() as client,
    ):
        client.transport.write(b"GET /public HTTP/1.1\r\nHost: edge.test\r\n\r\n")
        await behind.arrived(1)
        admin = running.admin
        closing = asyncio.create_task(running.close())
        code, told = await readiness_when(admin, lambda told: told["draining"])
        behind.gates["go"].set()
        assert (await client.response()).status == 200
        await closing
        with pytest.raises(ConnectionRefusedError):
            async with connect(admin):
                pass
    assert (code, told["status"], told["problems"]) == (503, "unready", ["draining"])


FULL = [
    pytest.param(False, 200, "degraded", id="lines are counted"),
    pytest.param(True, 503, "unready", id="nothing goes unlogged"),
]


@pytest.mark.parametrize(("refuses", "code", "expected"), FULL)
async def test_a_log_that_is_full(tmp_path, refuses, code, expected):
    pipe = tmp_path / "log.pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = {"output": str(pipe), "refuse_when_full": refuses}
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, log=log) as running:
        # As much as thousands of requests write.
        running._server._log._sink.append(b"x" * (9 << 20))
        told = await readiness(running.admin)
        os.set_blocking(reader, True)
        reading = asyncio.create_task(asyncio.to_thread(_drained, reader))
        after = await readiness_when(running.admin, lambda told: not told["log"]["full"])
        await running.close()
        await reading
    assert (told[0], told[1]["status"], told[1]["log"]["full"]) == (code, expected, True)
    assert (after[0], after[1]["status"]) == (200, "ready")


def _drained(reader: int) -> None:
    while os.read(reader, 1 << 20):
        pass
    os.close(reader)


async def test_redis(tmp_path):
    (tmp_path / "redis").mkdir()
    async with (
        upstream() as behind,
        redis_server(tmp_path / "redis") as redis,
        keystile(tmp_path, behind.url, admin=ADMIN, redis=redis.url) as running,
    ):
        there = await readiness_when(running.admin, lambda told: told["redis"]["reachable"] is not None)
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, redis=redis.url) as running:
        away = await readiness_when(running.admin, lambda told: told["redis"]["reachable"] is not None)
    assert (there[0], there[1]["redis"]["reachable"]) == (200, True)
    assert (away[0], away[1]["status"], away[1]["problems"]) == (200, "degraded", ["Redis does not answer"])


async def test_a_list_of_revocations_that_breaks(tmp_path):
    revoked = tmp_path / "revoked.yaml"
    revoked.write_text("[{agent: a}]")
    settings = {"admin": ADMIN, "revocations": "revoked.yaml"}
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        sound = await readiness(running.admin)
        revoked.write_text("nonsense")
        code, told = await readiness_when(running.admin, lambda told: told["revocations"]["failing"])
        revoked.write_text("[]")
        mended = await readiness_when(running.admin, lambda told: not told["revocations"]["failing"])
    assert (sound[0], sound[1]["revocations"]["entries"]) == (200, 1)
    assert (code, told["revocations"]["entries"]) == (200, 1)
    assert "the revocations cannot be read; those last known are in force" in told["problems"]
    assert mended[1]["status"] == "ready"
