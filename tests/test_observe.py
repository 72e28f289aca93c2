"""`mode: observe`: what rules refuse goes on with its agent's name, and its line says so; nothing else does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import answer, ask, bearer, post, said, told
from tests.support.harness import keystile
from tests.support.upstream import plain, upstream

if TYPE_CHECKING:
    from pathlib import Path

RULES: list[dict[str, Any]] = [
    {"name": "senior", "path": "/senior", "claims": {"level": "senior"}},
    {"name": "paced", "path": "/paced", "rate": "1/h"},
    {"name": "open", "path": "/open", "public": True, "rate": "1/h"},
    {"name": "login", "path": "/login", "passthrough": ["basic"]},
    {
        "name": "mcp",
        "path": "/mcp",
        "methods": ["GET", "POST", "DELETE"],
        "mcp": [
            {"tool": "read"},
            {"tool": "save", "scopes": ["write"]},
            {"tool": "often", "rate": "1/h"},
            {"tool": "plan", "claims": {"level": "senior"}},
        ],
    },
    {"name": "guarded", "path": "/guarded/**", "scopes": ["write"]},
    {"name": "get", "path": "/get", "methods": ["GET"]},
]
ME = bearer()


def call(tool: str, **arguments: Any) -> bytes:
    return said("tools/call", {"name": tool, "arguments": arguments})


BATCH = b"[" + b",".join([call("read"), call("save"), call("other")]) + b"]"

# What an agent asks that may not, its reason, the rule, the scopes that its line names.
OF_RULES = [
    pytest.param(
        ask("GET", ME, target="/guarded/x"), "scope_insufficient", "guarded", ["write"], id="a scope"
    ),
    pytest.param(ask("GET", ME, target="/senior"), "claim_refused", "senior", None, id="a claim"),
    pytest.param(ask("GET", ME, target="/elsewhere"), "route_unmatched", None, None, id="no rule"),
    pytest.param(ask("PUT", ME, target="/get"), "route_unmatched", None, None, id="no rule for a method"),
    pytest.param(post(call("save"), ME), "scope_insufficient", "mcp", ["write"], id="an entry's scope"),
    pytest.param(post(call("plan"), ME), "claim_refused", "mcp", None, id="an entry's claim"),
    pytest.param(post(call("other"), ME), "operation_refused", "mcp", None, id="no entry"),
    pytest.param(
        post(BATCH, ME), "scope_insufficient", "mcp", ["write"], id="the first of a batch that is refused"
    ),
]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize(("request_", "reason", "rule", "scopes"), OF_RULES)
async def test_what_rules_refuse(
    request_: bytes, reason: str, rule: str | None, scopes: list[str] | None, mode: str, tmp_path: Path
) -> None:
    async with (
        upstream([plain(b"ok")]) as server,
        keystile(tmp_path, server.url, rules=RULES, mode=mode) as proxy,
        proxy.client() as client,
    ):
        status = (await told(client, request_)).status
        [line] = await proxy.lines()
    observed = mode == "observe"
    assert (status == 200, line["decision"]) == (observed, "would_deny" if observed else "deny")
    assert (line["reason"], line.get("rule"), line["agent_id"]) == (reason, rule, "acc_1")
    assert (line.get("required_scopes"), line["level"]) == (scopes, "warning")
    assert [seen.value(b"x-agent-id") for seen in server.requests] == ([b"acc_1"] if observed else [])
    assert [seen.body for seen in server.requests if seen.body] == (
        [request_.partition(b"\r\n\r\n")[2]] if observed and b"POST" in request_ else []
    )


PACED = [
    pytest.param(ask("GET", ME, target="/paced"), id="a rule's rate"),
    pytest.param(post(call("often"), ME), id="an entry's rate"),
    pytest.param(ask("GET", ME, target="/open"), id="a public rule's rate, of somebody who says who it is"),
]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize("request_", PACED)
async def test_a_rate_that_is_used_up(request_: bytes, mode: str, tmp_path: Path) -> None:
    async with (
        upstream([plain(b"ok")] * 2) as server,
        keystile(tmp_path, server.url, rules=RULES, mode=mode) as proxy,
        proxy.client() as client,
    ):
        statuses = [(await told(client, request_)).status for _ in range(2)]
        lines = await proxy.lines()
    observed = mode == "observe"
    assert statuses == [200, 200 if observed else 429]
    assert [line["decision"] for line in lines] == ["allow", "would_deny" if observed else "deny"]
    assert lines[1]["reason"] == "rate_limited"
    assert len(server.requests) == (2 if observed else 1)


STANDS = [
    pytest.param(ask("GET", target="/guarded/x"), "credential_missing", id="no token"),
    pytest.param(ask("GET", target="/elsewhere"), "credential_missing", id="no token, and no rule"),
    pytest.param(ask("GET", bearer(exp=1), target="/guarded/x"), "token_expired", id="an expired token"),
    pytest.param(ask("GET", bearer(aud="x"), target="/elsewhere"), "audience_mismatch", id="another's token"),
    pytest.param(ask("GET", bearer(sub="a\x00"), target="/senior"), "claim_refused", id="an id that is none"),
    pytest.param(ask("GET", ME, target="/guarded//x"), "path_ambiguous", id="a path with two readings"),
    pytest.param(ask("GET", ME, target="/GUARDED/x"), "path_ambiguous", id="a path in another case"),
    pytest.param(ask("PUT", ME, "Content-Length: 0"), "method_refused", id="a method that MCP has not"),
    pytest.param(post(said("unknown/method"), ME), "operation_unknown", id="a method that nobody knows"),
    pytest.param(post(b"{}", ME), "mcp_malformed", id="a body that is no message"),
    pytest.param(
        post(call("read"), ME, media="Content-Type: text/plain"), "media_type_refused", id="no JSON"
    ),
    pytest.param(
        post(call("read"), ME, "Mcp-Name: save"), "mcp_mismatch", id="a header that says another tool"
    ),
    pytest.param(post(call("read"), ME, "Mcp-Session-Id: a"), "session_foreign", id="a session of nobody's"),
    pytest.param(
        ask("GET", ME, "Origin: https://evil.test", target="/mcp"), "origin_refused", id="a foreign page"
    ),
    pytest.param(
        ask("GET", ME, "Mcp-Session-Id: a", target="/elsewhere"), "session_foreign", id="nor without a rule"
    ),
    pytest.param(ask("GET", target="/login"), "credential_missing", id="a login that was not tried"),
]


@pytest.mark.parametrize(("request_", "reason"), STANDS)
async def test_everything_else_is_refused(request_: bytes, reason: str, tmp_path: Path) -> None:
    async with (
        upstream([]) as server,
        keystile(tmp_path, server.url, rules=RULES, mode="observe") as proxy,
        proxy.client() as client,
    ):
        assert (await told(client, request_)).status >= 400
        [line] = await proxy.lines()
    assert (line["decision"], line["reason"]) == ("deny", reason)
    assert server.requests == []


async def test_the_rate_of_somebody_unknown_is_kept(tmp_path: Path) -> None:
    async with (
        upstream([plain(b"ok")]) as server,
        keystile(tmp_path, server.url, rules=RULES, mode="observe") as proxy,
        proxy.client() as client,
    ):
        assert [(await told(client, ask("GET", target="/open"))).status for _ in range(2)] == [200, 429]
    assert len(server.requests) == 1


async def test_without_a_rule_origins_are_kept(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rules": RULES, "mode": "observe", "origins": ["https://app.test"]}
    async with (
        upstream([plain(b"ok")]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        for origin, status in (("https://evil.test", 403), ("https://app.test", 200)):
            request = ask("GET", ME, f"Origin: {origin}", target="/elsewhere")
            assert (await told(client, request)).status == status
    assert len(server.requests) == 1


async def test_lists_stay_whole(tmp_path: Path) -> None:
    tools = {"tools": [{"name": "read"}, {"name": "save"}, {"name": "other"}]}
    async with (
        upstream([answer(tools)]) as server,
        keystile(tmp_path, server.url, rules=RULES, mode="observe") as proxy,
        proxy.client() as client,
    ):
        shown = json.loads((await told(client, post(said("tools/list"), ME))).content)
        [line] = await proxy.lines()
    assert shown["result"] == tools
    assert line["decision"] == "allow"
