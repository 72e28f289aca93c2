"""The Python SDK's MCP server, unmodified, behind Keystile; the SDK's own client before it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp import MCPError

from tests.e2e.agents import list_tools, mcp_client
from tests.support.programs import program, until
from tests.support.service import ISSUER, RESOURCE, agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.programs import Program
    from tests.support.service import Service

SERVER = Path(__file__).parent / "memory_server.py"
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
MODES = [
    pytest.param("auto", "2026-07-28", id="stateless, as of 2026-07-28"),
    pytest.param("legacy", "2025-11-25", id="with initialize and a session, as of 2025-11-25"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with program([sys.executable, SERVER], tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def service(server: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with keystile(
        tmp_path_factory.mktemp("keystile"),
        upstream=server.says(r"running on (http://\S+)"),
        rules=[{"name": "mcp", "path": "/mcp", "scopes": ["mcp:tools:read"]}],
        identity_headers={
            "X-Agent-Id": "id",
            "X-Agent-Scopes": "scopes",
            "X-Agent-Name": "name",
            "X-Agent-Audit-Url": "audit_url",
        },
    ) as running:
        yield running


@pytest.mark.parametrize(("mode", "version"), MODES)
async def test_the_sdk_client_lists_and_calls_tools(service: Service, mode: str, version: str) -> None:
    async with mcp_client(f"{service.url}/mcp", agent_token(jti=f"tok-{mode}"), mode) as client:
        assert client.protocol_version == version
        tools = await client.list_tools()
        assert [tool.name for tool in tools.tools] == ["remember", "recall", "request_headers"]
        await client.call_tool("remember", {"key": mode, "text": "the café opens at 9"})
        recalled = await client.call_tool("recall", {"key": mode})
        assert recalled.structured_content == {"result": "the café opens at 9"}

    line = service.access(token_id=f"tok-{mode}", method="POST", status=200)
    told = (
        "rule",
        "decision",
        "path",
        "agent_id",
        "agent_name",
        "issuer",
        "scopes",
        "audit_url",
        "key_id",
        "audience",
    )
    assert {name: line[name] for name in told} == {
        "rule": "mcp",
        "decision": "allow",
        "path": "/mcp",
        "agent_id": "acc_7f3k2m9x",
        "agent_name": "research-agent",
        "issuer": ISSUER,
        "scopes": ["mcp:tools:read", "memory:read"],
        "audit_url": "https://agentlair.dev/audit/acc_7f3k2m9x",
        "key_id": "al-2026-11",
        "audience": [RESOURCE],
    }


@pytest.mark.parametrize(("mode", "version"), MODES)
async def test_the_server_learns_who_calls_and_never_sees_the_token(
    service: Service, mode: str, version: str
) -> None:
    async with mcp_client(f"{service.url}/mcp", agent_token(), mode) as client:
        answer = await client.call_tool("request_headers")
    assert answer.structured_content is not None
    headers = [(name, value) for name, value in answer.structured_content["result"]]
    assert [(name, value) for name, value in headers if name.startswith("x-agent")] == [
        ("x-agent-id", "acc_7f3k2m9x"),
        ("x-agent-scopes", "mcp:tools:read memory:read"),
        ("x-agent-name", "research-agent"),
        ("x-agent-audit-url", "https://agentlair.dev/audit/acc_7f3k2m9x"),
    ]
    assert "authorization" not in dict(headers)
    assert dict(headers)["mcp-protocol-version"] == version


REFUSED = [
    pytest.param(
        None,
        401,
        "credential_missing",
        {},
        None,
        id="no token",
    ),
    pytest.param(
        {"al_scopes": ["memory:read"], "sub": "acc_narrow"},
        403,
        "scope_insufficient",
        {"error": "insufficient_scope"},
        "acc_narrow",
        id="a token without the scope",
    ),
    pytest.param(
        {"aud": "https://other.example.com/mcp", "sub": "acc_elsewhere"},
        401,
        "audience_mismatch",
        {"error": "invalid_token"},
        "acc_elsewhere",
        id="a token for another server",
    ),
]


@pytest.mark.parametrize(("claims", "status", "reason", "error", "agent"), REFUSED)
def test_a_refusal_says_what_to_do_and_is_logged(
    service: Service,
    claims: dict[str, object] | None,
    status: int,
    reason: str,
    error: dict[str, str],
    agent: str | None,
) -> None:
    answer = list_tools(f"{service.url}/mcp", None if claims is None else agent_token(**claims))
    assert answer.status == status
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', answer.headers["WWW-Authenticate"]))
    challenge.pop("error_description", None)
    assert challenge == {"resource_metadata": METADATA, "scope": "mcp:tools:read", **error}
    line = service.access(request_id=json.loads(answer.body)["request_id"])
    assert (line["status"], line["decision"], line["reason"], line["rule"]) == (status, "deny", reason, "mcp")
    assert line.get("agent_id") == agent


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    "claims", [pytest.param(None, id="no token"), pytest.param({"al_scopes": ["other"]}, id="no scope")]
)
async def test_the_sdk_client_is_refused_before_the_server_hears_of_it(
    service: Service, server: Program, mode: str, claims: dict[str, object] | None
) -> None:
    heard = server.output.count("POST /mcp")
    token = None if claims is None else agent_token(**claims)
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True, allow_unwrapped=True):
        async with mcp_client(f"{service.url}/mcp", token, mode):
            pass
    async with mcp_client(f"{service.url}/mcp", agent_token(), "2026-07-28") as client:
        await client.list_tools()
    # The server's own log has the one request since then that was let through.
    assert until(lambda: server.output.count("POST /mcp") - heard, lambda: "request") == 1
