"""Revocation at the running proxy: cached tokens and open streams end with it, whoever else goes on."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from proxy.audit import AccessLog
from proxy.cli import app
from proxy.config import Log, load
from proxy.gatehouse import Gatehouse
from proxy.model import Peer, Reply, RequestHead, Time, Wait
from proxy.wire import Forwarding
from tests.support.harness import ISSUER, TOKEN, Keystile, keystile, settings_file, token
from tests.support.redis_server import redis_server
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import get, http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.raw import Client

BEARER = f"Authorization: Bearer {TOKEN}"
OTHER = f"Authorization: Bearer {token(sub='acc_2')}"
FILE = "revoked.yaml"
_STREAM = (
    http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"),
    b"9\r\ndata: 1\n\n\r\n",
    Gate("never"),
)


async def ask(client: Client, *credentials: str) -> int:
    await client.write(get("/guarded/a", *credentials))
    return (await client.response()).status


async def until_answered(client: Client, credential: str, status: int) -> None:
    """Ask until the answer is this one: a revocation needs a moment, and only one."""
    async with asyncio.timeout(10):
        while True:
            if await ask(client, credential) == status:
                return
            await asyncio.sleep(0.02)


async def until_refused(client: Client, credential: str) -> None:
    await until_answered(client, credential, 401)


def revoke(folder: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["revoke", str(folder / "keystile.yaml"), *words])
    assert result.exit_code == 0, result.stderr
    return result.stdout


ENTRIES = [
    pytest.param("- agent: acc_1", id="the agent"),
    pytest.param(f"- {{agent: acc_1, issuer: '{ISSUER}'}}", id="the agent of this issuer"),
    pytest.param("- jti: t-1", id="the token"),
    pytest.param("- {agent: acc_1, before: 2030-01-01T00:00:00Z}", id="what the agent got before a time"),
]


@pytest.mark.parametrize("entry", ENTRIES)
async def test_a_cached_token_that_is_revoked_passes_no_more(entry: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    revoked = f"Authorization: Bearer {token(jti='t-1')}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        assert [await ask(client, revoked), await ask(client, revoked), await ask(client, OTHER)] == [200] * 3
        (tmp_path / FILE).write_text(entry)
        await until_refused(client, revoked)
        reached = len(server.requests)
        assert [await ask(client, revoked), await ask(client, OTHER)] == [401, 200]
        assert len(server.requests) == reached + 1
        lines = await proxy.lines()
    refused = lines[-2]
    assert (refused["status"], refused["reason"], refused["agent_id"]) == (401, "token_revoked", "acc_1")


UNTOUCHED = [
    pytest.param("- {agent: acc_1, issuer: 'https://other.test'}", id="the agent of another issuer"),
    pytest.param(
        "- {agent: acc_1, before: 2020-01-01T00:00:00Z}", id="what the agent got before it got this"
    ),
    pytest.param("- {agent: acc_1, jti: another}", id="another token of the agent"),
]


@pytest.mark.parametrize("entry", UNTOUCHED)
async def test_what_is_not_meant_passes(entry: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(entry)
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client, BEARER) == 200


async def test_an_open_stream_ends_with_its_token(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    async with (
        upstream([_STREAM, _STREAM, plain()]) as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as revoked,
        proxy.client() as other,
    ):
        for client, credential in ((revoked, BEARER), (other, OTHER)):
            await client.write(get("/guarded/stream", credential))
            await client.until(lambda client=client: b"data: 1" in client.received)
        assert revoke(tmp_path, "--agent", "acc_1") == "revoked: agent acc_1\n"
        await revoked.until(lambda: revoked.ended)
        assert revoked.received.endswith(b"data: 1\n\n\r\n11\r\n: token_revoked\n\n\r\n0\r\n\r\n")
        assert not other.ended
        lines = await proxy.lines()
    reasons = {line["agent_id"]: (line["status"], line["decision"], line["reason"]) for line in lines}
    assert reasons["acc_1"] == (200, "allow", "token_revoked")
    assert reasons["acc_2"] == (200, "allow", "draining")
    assert server.requests[0].value(b"x-agent-id") == b"acc_1"


async def test_a_download_that_ends_with_its_token_does_not_look_whole(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    half = (
        http("HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked"),
        b"4\r\nhalf\r\n",
        Gate("never"),
    )
    async with (
        upstream([half]) as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded/file", BEARER))
        await client.until(lambda: b"half" in client.received)
        revoke(tmp_path, "--agent", "acc_1")
        await client.until(lambda: client.ended or client.gone)
        assert client.received.endswith(b"half\r\n")
        [line] = await proxy.lines()
    assert (line["status"], line["reason"]) == (200, "token_revoked")


async def test_a_request_in_progress_ends_with_its_token(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    async with (
        upstream([(Gate("never"),)]) as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded/slow", BEARER))
        await server.arrived(1)
        revoke(tmp_path, "--agent", "acc_1")
        assert (await client.response()).status == 401
        [line] = await proxy.lines()
    assert (line["decision"], line["reason"], line["agent_id"]) == ("deny", "token_revoked", "acc_1")


async def test_a_broken_list_revokes_what_the_last_good_one_did(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("- agent: acc_1")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client, BEARER) == 401
        with capture_logs() as told:
            (tmp_path / FILE).write_text("- agnet: acc_2")
            async with asyncio.timeout(10):
                while "revocations_not_read" not in {line["event"] for line in told}:
                    await ask(client, BEARER)
        assert [await ask(client, BEARER), await ask(client, OTHER)] == [401, 200]
        (tmp_path / FILE).write_text("- agent: acc_2")
        await until_refused(client, OTHER)


async def test_revocation_by_a_real_redis_survives_its_outage(tmp_path: Path) -> None:
    async with (
        redis_server(tmp_path) as redis,
        upstream() as server,
        keystile(tmp_path, server.url, revocations=redis.url) as proxy,
        proxy.client() as client,
    ):
        assert [await ask(client, BEARER), await ask(client, OTHER)] == [200, 200]
        await asyncio.to_thread(revoke, tmp_path, "--agent", "acc_1")
        await until_refused(client, BEARER)
        # The last known state stays, under traffic, while Redis is away and when it comes back empty.
        await redis.stop()
        assert [await ask(client, BEARER), await ask(client, OTHER)] == [401, 200]
        await redis.start()
        assert [await ask(client, BEARER), await ask(client, OTHER)] == [401, 200]
        await asyncio.to_thread(revoke, tmp_path, "--agent", "acc_2")
        await until_refused(client, OTHER)
        assert await ask(client, BEARER) == 401
        lines = await proxy.lines()
    assert {line["reason"] for line in lines if line["status"] == 401} == {"token_revoked"}


async def test_nobody_is_admitted_before_the_revocations_were_read_once(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis, upstream() as server:
        await redis.stop()
        async with (
            keystile(tmp_path, server.url, revocations=redis.url) as proxy,
            proxy.client() as client,
        ):
            await client.write(get("/guarded/a", BEARER))
            answer = await client.response()
            assert (answer.status, answer.values(b"retry-after")) == (503, [b"5"])
            assert server.requests == []
            await redis.start()
            await until_answered(client, BEARER, 200)
            lines = await proxy.lines()
    assert lines[0]["reason"] == "introspection_unavailable"
    assert "agent_id" not in lines[0]


def test_a_broken_list_at_the_start_is_a_fault(tmp_path: Path) -> None:
    settings_file(tmp_path, "http://127.0.0.1:9", revocations=FILE)
    (tmp_path / FILE).write_text("- agnet: acc_1")
    result = CliRunner().invoke(app, ["run", str(tmp_path / "keystile.yaml")])
    assert result.exit_code == 2
    assert f"{tmp_path / FILE}: line 1, [0].agnet: unknown key" in result.stderr


async def test_no_line_and_no_answer_says_what_is_on_the_list(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("- {agent: acc_1}\n- {agent: someone-else}")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded/a", BEARER))
        answer = await client.response()
        lines = await proxy.lines()
    assert b"someone-else" not in answer.content
    assert "someone-else" not in json.dumps(lines)


def _keeps(proxy: Keystile) -> int:
    gatehouse = proxy._server._gatehouse
    assert gatehouse is not None
    return len(gatehouse.verifier._cache)


async def test_a_revocation_takes_nothing_from_the_cache_but_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, revocations=FILE) as proxy,
        proxy.client() as client,
    ):
        await ask(client, BEARER)
        await ask(client, OTHER)
        assert _keeps(proxy) == 2
        (tmp_path / FILE).write_text("- agent: acc_1")
        await until_refused(client, BEARER)
        assert _keeps(proxy) == 1


async def test_whoever_is_revoked_while_a_step_waits_does_not_pass(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    rules = [{"path": "/guarded/**", "scopes": ["read"], "rate": "9/h"}]
    async with redis_server(tmp_path) as redis:
        file = settings_file(
            tmp_path, "http://127.0.0.1:9", revocations=FILE, redis=redis.url, rules=rules, log={}
        )
        house = Gatehouse(load(file, {}), AccessLog(Log()), Forwarding(()), time.time)
        await house.start()
        credential = BEARER.partition(": ")[2].encode()
        fields = {b"authorization": credential}
        head = RequestHead(
            "GET", b"/guarded/a", b"edge.test", tuple(fields.items()), fields, frozenset(), Peer("127.0.0.1")
        )
        judgement = house.gate.judge(head, time.time())
        need = next(judgement)
        while isinstance(need, Time):
            need = judgement.send(time.time())
        assert isinstance(need, Wait)
        counted = await need.call()
        (tmp_path / FILE).write_text("- agent: acc_1")
        async with asyncio.timeout(10):
            while not house.source.current.moments:  # noqa: ASYNC110 - the file is looked at now and then
                await asyncio.sleep(0.02)
        assert judgement.send(counted) == Time()
        with pytest.raises(StopIteration) as ended:
            judgement.send(time.time())
        await house.close()
    assert isinstance(ended.value.value, Reply)
    assert (ended.value.value.status, ended.value.value.opening.reason) == (401, "token_revoked")
