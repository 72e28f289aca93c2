"""A configuration that changes while requests are served: what takes effect, what stays, and that nobody notices."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import ConfigError, load
from proxy.reading import Files, Reloader
from tests.messages.conversation import MCP, answer, bearer, post, said, told
from tests.support.harness import ISSUER, JWKS, LOG, RESOURCE, TOKEN, keystile, settings_file, token
from tests.support.key_server import after, document, key_server, status
from tests.support.keys import jwks, make_key
from tests.support.proofs import proof_claims, sign_proof, thumbprint
from tests.support.records import operations, until
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import get, http

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.raw import Client

BEARER = f"Authorization: Bearer {TOKEN}"
_THEIRS = make_key("EdDSA", "theirs")
_WEAK = {"issuer": ISSUER, "jwks": JWKS, "dpop": "optional"}


async def ask(client: Client, target: str = "/guarded/a", *lines: str) -> int:
    await client.write(get(target, *(lines or (BEARER,))))
    return (await client.response()).status


def issuers(**changed: Any) -> dict[str, Any]:
    return {"issuers": [{"issuer": ISSUER, "jwks": JWKS, **changed}]}


def rules(**changed: Any) -> dict[str, Any]:
    return {"rules": [{"path": "/guarded/**", **changed}]}


TAKES_EFFECT = [
    pytest.param(
        {}, rules(scopes=["write"]), (200, None), (403, "scope_insufficient"), id="a rule asks for more"
    ),
    pytest.param(
        rules(scopes=["write"]), {}, (403, "scope_insufficient"), (200, None), id="a rule asks for less"
    ),
    pytest.param({}, {"rules": [{"path": "/b"}]}, (200, None), (404, "route_unmatched"), id="a rule is gone"),
    pytest.param(
        {},
        {"hosts": ["a.test"], "resource": "https://a.test"},
        (200, None),
        (421, "host_refused"),
        id="another host",
    ),
    pytest.param(
        {}, issuers(audience="other"), (200, None), (401, "audience_mismatch"), id="another audience"
    ),
    pytest.param(
        {}, issuers(algorithms=["RS256"]), (200, None), (401, "algorithm_refused"), id="other algorithms"
    ),
    pytest.param(
        {}, issuers(require={"tenant": "a"}), (200, None), (403, "claim_refused"), id="a claim that is needed"
    ),
    pytest.param(
        {}, issuers(dpop="required"), (200, None), (401, "proof_invalid"), id="proofs that are needed"
    ),
    pytest.param(
        {},
        issuers(grants=["none"]),
        (200, None),
        (403, "claim_refused"),
        id="scopes that it may not confer",
    ),
    pytest.param({}, issuers(jwks=jwks(_THEIRS)), (200, None), (401, "key_unknown"), id="other keys"),
    pytest.param(
        {},
        {"issuers": [{"issuer": "https://other.test", "jwks": jwks(_THEIRS)}]},
        (200, None),
        (401, "issuer_unknown"),
        id="another issuer",
    ),
    pytest.param(
        {}, {"revocations": "revoked.yaml"}, (200, None), (401, "token_revoked"), id="what is revoked"
    ),
    pytest.param(
        {**rules(scopes=["write"]), "scopes": {"read": ["write"]}},
        rules(scopes=["write"]),
        (200, None),
        (403, "scope_insufficient"),
        id="a scope grants less",
    ),
    pytest.param(
        {}, {"limits": {"header_bytes": "64B"}}, (200, None), (431, "headers_too_large"), id="a limit"
    ),
]


@pytest.mark.parametrize(("before", "later", "first", "then"), TAKES_EFFECT)
async def test_what_is_changed_takes_effect_on_an_open_connection(
    before: Mapping[str, Any],
    later: Mapping[str, Any],
    first: tuple[int, Any],
    then: tuple[int, Any],
    tmp_path: Path,
) -> None:
    (tmp_path / "revoked.yaml").write_text("- agent: acc_1")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **before) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client) == first[0]
        await proxy.reload(**later)
        assert await ask(client) == then[0]
        lines = await proxy.lines()
    assert [(line["status"], line.get("reason")) for line in lines] == [first, then]
    assert len(server.requests) == [first[0], then[0]].count(200)


async def test_identity_headers_of_a_cached_token_change(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await ask(client)
        await proxy.reload(identity_headers={"X-Who": "id"})
        await ask(client)
    assert [request.value(b"x-agent-id") for request in server.requests] == [b"acc_1", None]
    assert [request.value(b"x-who") for request in server.requests] == [None, b"acc_1"]


async def test_an_answer_in_progress_ends_as_it_began(tmp_path: Path) -> None:
    """Also where its rule, its issuer and its upstream are gone; what comes next goes to the new one."""
    halves = http("HTTP/1.1 200 OK", "Content-Length: 8", body=b"half")
    async with (
        upstream([(halves, Gate("go on"), b"full")]) as old,
        upstream() as new,
        keystile(tmp_path, old.url) as proxy,
        proxy.client() as client,
        proxy.client() as waiting,
        proxy.client() as other,
    ):
        await client.write(get("/guarded/begun", BEARER) + get("/next"))
        await client.bytes_until(b"half")
        await waiting.write(get("/guarded/waits", BEARER))
        await old.arrived(2)
        await proxy.reload(to=new.url, rules=[{"path": "/**", "public": True}], issuers=None)
        assert await ask(other, "/other", "X: y") == 200
        old.gates["go on"].set()
        await client.bytes_until(b"full")
        assert (await client.response()).content == b"/next"
        assert (await waiting.response()).content == b"halffull"
        lines = await proxy.lines()
    assert {line["path"]: (line["status"], line.get("agent_id")) for line in lines} == {
        "/guarded/begun": (200, "acc_1"),
        "/guarded/waits": (200, "acc_1"),
        "/other": (200, None),
        "/next": (200, None),
    }
    assert [request.target for request in new.requests] == [b"/other", b"/next"]


async def test_connections_to_the_same_upstream_stay(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await ask(client)
        await proxy.reload(rules=[{"path": "/**"}])
        await ask(client)
    assert (len(server.requests), len(server.connections)) == (2, 1)


async def test_connections_to_another_upstream_close(tmp_path: Path) -> None:
    async with (
        upstream() as old,
        upstream() as new,
        keystile(tmp_path, old.url) as proxy,
        proxy.client() as client,
    ):
        await ask(client)
        await proxy.reload(to=new.url)
        await old.connections[0].until(lambda: old.connections[0].ended)
        assert await ask(client) == 200
    assert (len(old.requests), len(new.requests)) == (1, 1)


KEEPS = [
    pytest.param({}, 2, id="nothing changes"),
    pytest.param({"rules": [{"path": "/**"}]}, 2, id="a rule"),
    pytest.param(
        {"issuers": [{"issuer": ISSUER, "jwks": JWKS}]},
        0,
        id="the other issuer goes, and with it the header that told them apart",
    ),
    pytest.param(
        {
            "issuers": [
                {"issuer": ISSUER, "jwks": JWKS, "leeway": "1s"},
                {"issuer": "https://other.test", "jwks": jwks(_THEIRS)},
            ]
        },
        1,
        id="one issuer changes",
    ),
    pytest.param({"scopes": {"write": ["read"]}}, 0, id="what scopes mean"),
    pytest.param(
        {"identity_headers": {"X-Agent-Id": "id", "X-Agent-Issuer": "issuer"}},
        0,
        id="what the upstream is told",
    ),
]


@pytest.mark.parametrize(("later", "count"), KEEPS)
async def test_verified_tokens_stay_where_their_issuer_is_as_before(
    later: Mapping[str, Any], count: int, tmp_path: Path
) -> None:
    both = {
        "issuers": [{"issuer": ISSUER, "jwks": JWKS}, {"issuer": "https://other.test", "jwks": jwks(_THEIRS)}]
    }
    theirs = f"Authorization: Bearer {token(_THEIRS, iss='https://other.test')}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **both) as proxy,
        proxy.client() as client,
    ):
        assert (await ask(client), await ask(client, "/guarded/a", theirs)) == (200, 200)
        await proxy.reload(**{**both, **later})
        gatehouse = proxy._server._gatehouse
        assert gatehouse is not None
        assert len(gatehouse.verifier._cache) == count


async def test_keys_of_the_same_issuer_are_not_fetched_again(tmp_path: Path) -> None:
    async with key_server() as issuer:
        issuer.serve(document(jwks(_THEIRS)))
        trusts: dict[str, Any] = {"issuers": [{"issuer": "https://other.test", "jwks": issuer.jwks_url}]}
        theirs = f"Authorization: Bearer {token(_THEIRS, iss='https://other.test')}"
        async with (
            upstream() as server,
            keystile(tmp_path, server.url, **trusts) as proxy,
            proxy.client() as client,
        ):
            assert await ask(client, "/guarded/a", theirs) == 200
            issuer.serve(status(500))
            trusts["issuers"][0]["leeway"] = "1s"
            await proxy.reload(**trusts)
            assert await ask(client, "/guarded/a", theirs) == 200
        assert issuer.fetches == 1


async def test_a_new_issuers_keys_are_there_when_it_takes_effect(tmp_path: Path) -> None:
    theirs = f"Authorization: Bearer {token(_THEIRS, iss='https://other.test')}"
    async with (
        key_server() as issuer,
        upstream() as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        issuer.serve(document(jwks(_THEIRS)))
        assert await ask(client, "/guarded/a", theirs) == 401
        await proxy.reload(issuers=[{"issuer": "https://other.test", "jwks": issuer.jwks_url}])
        issuer.serve(status(500))
        assert await ask(client, "/guarded/a", theirs) == 200


async def test_a_request_that_waits_for_its_issuer_is_decided_as_it_began(tmp_path: Path) -> None:
    theirs = f"Authorization: Bearer {token(_THEIRS, iss='https://other.test')}"
    go = asyncio.Event()

    async with key_server() as issuer:
        issuer.serve(after(go, document(jwks(_THEIRS))))
        trusts = [{"issuer": "https://other.test", "jwks": issuer.jwks_url}]
        async with (
            upstream() as server,
            keystile(tmp_path, server.url, issuers=trusts) as proxy,
            proxy.client() as client,
        ):
            await client.write(get("/guarded/a", theirs))
            await issuer.fetched(1)
            await until(lambda: proxy.in_progress() == 1)
            await proxy.reload()
            go.set()
            assert (await client.response()).status == 200
            # What was verified under the one before is not known under this one.
            assert await ask(client, "/guarded/a", theirs) == 401


async def test_sessions_stay_without_a_configured_key(tmp_path: Path) -> None:
    opened = answer({"protocolVersion": "2025-11-25"}, "Mcp-Session-Id: upstream-id")
    async with (
        upstream([opened, plain()]) as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        sealed = (await told(client, post(said("initialize", {}), bearer()))).value(b"mcp-session-id")
        assert sealed is not None
        await proxy.reload(rules=[MCP, {"path": "/other"}])
        line = f"Mcp-Session-Id: {sealed.decode()}"
        assert (await told(client, post(said("ping"), bearer(), line))).status == 200
    assert server.requests[1].value(b"mcp-session-id") == b"upstream-id"


async def test_rates_go_on(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=[{"name": "a", "path": "/guarded/**", "rate": "1/h"}]) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client) == 200
        await proxy.reload(rules=[{"name": "a", "path": "/**", "rate": "1/h"}])
        assert await ask(client) == 429


async def test_a_proof_that_was_used_stays_used(tmp_path: Path) -> None:
    key = make_key("ES256", "own")
    bound = token(cnf={"jkt": thumbprint(key)})
    claims = proof_claims(bound.encode(), time.time(), "GET", f"{RESOURCE}/guarded/a")
    lines = (f"Authorization: DPoP {bound}", f"DPoP: {sign_proof(key, claims).decode()}")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, issuers=[_WEAK]) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client, "/guarded/a", *lines) == 200
        await proxy.reload(issuers=[{**_WEAK, "leeway": "31s"}])
        assert await ask(client, "/guarded/a", *lines) == 401


async def test_a_stream_goes_on_until_a_new_configuration_revokes_it(tmp_path: Path) -> None:
    (tmp_path / "revoked.yaml").write_text("- agent: acc_1")
    script = (
        http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"),
        b"9\r\ndata: 1\n\n\r\n",
        Gate("go on"),
        b"9\r\ndata: 2\n\n\r\n",
        Gate("never"),
    )
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/guarded/events", BEARER))
        await client.bytes_until(b"data: 1")
        await proxy.reload(rules=[{"path": "/other"}])
        server.gates["go on"].set()
        await client.bytes_until(b"data: 2")
        await proxy.reload(rules=[{"path": "/other"}], revocations="revoked.yaml")
        assert (await client.rest()).endswith(b"\r\n0\r\n\r\n")
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(200, "token_revoked")]


REFUSED = [
    pytest.param({"listen": "127.0.0.1:1"}, "listen: cannot change while it runs; restart", id="listen"),
    pytest.param(
        {"tls": {"certificate": "broken.json", "key": "broken.json"}},
        "tls: cannot change while it runs; restart",
        id="tls where there was none",
    ),
    pytest.param({"workers": 2}, "workers: cannot change while it runs; restart", id="workers"),
    pytest.param(
        {"log": {"output": LOG, "format": "ecs"}},
        "log.format: cannot change while it runs; restart",
        id="log.format",
    ),
    pytest.param(
        {"log": {"output": LOG, "fields": {"env": "a"}}},
        "log.fields: cannot change while it runs; restart",
        id="log.fields",
    ),
    pytest.param(
        {"log": {"output": "stdout"}}, "log.output: cannot change while it runs; restart", id="log.output"
    ),
    pytest.param(
        issuers(jwks="broken.json"),
        "broken.json: the key set is not a plain JSON object",
        id="keys that cannot be read",
    ),
    pytest.param({"revocations": "broken.json"}, "broken.json", id="revocations that cannot be read"),
    pytest.param(
        {"assertion": {"key": "broken.json"}}, "not an Ed25519 private key", id="a key that is none"
    ),
]


@pytest.mark.parametrize(("later", "why"), REFUSED)
async def test_what_cannot_take_effect_changes_nothing(
    later: Mapping[str, Any], why: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text("broken")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client) == 200
        with pytest.raises(ConfigError, match=why):
            await proxy.reload(**{"rules": [{"path": "/**", "public": True}], **later})
        assert await ask(client, "/guarded/a", "X: y") == 401
        assert await ask(client) == 200
        gatehouse = proxy._server._gatehouse
        assert gatehouse is not None
        assert len(gatehouse.verifier._cache) == 1


async def test_keys_that_go_take_their_tokens_along_after_a_reload_that_failed(tmp_path: Path) -> None:
    """The verifier that was prepared in vain has not become the one that is told."""
    (tmp_path / "keys.json").write_text(json.dumps(JWKS))
    (tmp_path / "broken.json").write_text("broken")
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **issuers(jwks="keys.json")) as proxy,
        proxy.client() as client,
    ):
        assert await ask(client) == 200
        with pytest.raises(ConfigError):
            await proxy.reload(**issuers(jwks="keys.json"), revocations="broken.json")
        (tmp_path / "keys.json").write_text(json.dumps(jwks(_THEIRS)))
        async with asyncio.timeout(10):
            while await ask(client) != 401:  # noqa: ASYNC110 - the file is looked at now and then
                await asyncio.sleep(0.05)


class Told:
    """Takes configurations; `said` is how many rules each had, `ended` how each reading ended."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.file = settings_file(folder, "http://127.0.0.1:9", **settings)
        self.said: list[int] = []
        self.ended: list[bool] = []
        self.current = load(self.file, {})
        self.reloader = Reloader(
            self.file, {}, [self.file], lambda: self.current, self.apply, self.ended.append
        )

    async def apply(self, config: Any) -> None:
        self.current = config
        self.said.append(len(config.rules))


def _renamed(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def _overwritten(file: Path, text: str) -> None:
    file.write_text(text)


def _linked(file: Path, text: str) -> None:
    """As Kubernetes changes a ConfigMap: the link of a folder is turned to another folder."""
    folder = file.parent / "next"
    folder.mkdir()
    (folder / file.name).write_text(text)
    link = file.parent / "link"
    link.symlink_to(folder / file.name)
    link.replace(file)


@pytest.mark.parametrize("change", [_renamed, _overwritten, _linked])
async def test_a_file_that_changes_is_read_anew(change: Any, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    taking = Told(tmp_path, watch=True)
    running = asyncio.create_task(taking.reloader.run())
    change(
        taking.file,
        settings_file(
            tmp_path / "other", "http://127.0.0.1:9", watch=True, rules=[{"path": "/"}]
        ).read_text(),
    )
    await until(lambda: taking.said == [1])
    running.cancel()
    await asyncio.wait([running])


def test_a_change_is_seen_once_and_at_rest(tmp_path: Path) -> None:
    file, same = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    files = Files([file])
    assert not files.have_changed()
    file.write_text("half of tw")
    assert not files.have_changed()
    file.write_text("two")
    assert not files.have_changed()
    assert files.have_changed()
    assert not files.have_changed()
    same.write_text("two")
    same.replace(file)
    assert [files.have_changed() for _ in range(3)] == [False, False, False]
    file.unlink()
    assert [files.have_changed() for _ in range(3)] == [False, True, False]


async def test_every_fault_is_told_and_no_secret(tmp_path: Path) -> None:
    with operations(tmp_path / "operations") as said_there:
        taking = Told(tmp_path)
        running = asyncio.create_task(taking.reloader.run())
        taking.file.write_text(
            "upstream: {url: http://a, headers: {X-Key: swordfish}}\nrulez: swordfish\nlimits: {connections: swordfish}\n"
        )
        taking.reloader.ask()
        await until(lambda: any(line["event"] == "reload_failed" for line in said_there()))
        settings_file(tmp_path, "http://127.0.0.1:9", rules=[{"path": "/"}])
        taking.reloader.ask()
        await until(lambda: taking.said == [1])
        running.cancel()
        await asyncio.wait([running])
        lines = said_there()
    assert "swordfish" not in json.dumps(lines)
    assert [line["event"] for line in lines] == [*["reload_refused"] * 3, "reload_failed", "reloaded"]
    assert [line.get("fault", "").partition(":")[0] for line in lines[:3]] == [
        "line 1, rules",
        "line 2, rulez",
        "line 3, limits.connections",
    ]
