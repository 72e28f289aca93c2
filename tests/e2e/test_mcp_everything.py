"""npm's `@modelcontextprotocol/server-everything`, unmodified, behind Keystile, called by the Python SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp import ClientSession, MCPError
from mcp.client.sse import sse_client
from mcp_types import TextContent

from tests.e2e.agents import list_tools, mcp_client
from tests.support.programs import free_port, program
from tests.support.service import agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.service import Service


@pytest.fixture(scope="module")
def service(node: str, modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("everything")
    port = free_port()
    command = [node, modules / ".bin" / "mcp-server-everything", "streamableHttp"]
    with program(command, folder / "server", {"PORT": str(port)}) as server:
        server.says(r"(listening) on port")
        rules = [{"name": "mcp", "path": "/mcp", "scopes": ["mcp:tools:read"]}]
        with keystile(folder / "keystile", upstream=f"http://127.0.0.1:{port}", rules=rules) as running:
            yield running


async def test_the_sdk_client_lists_and_calls_tools(service: Service) -> None:
    async with mcp_client(f"{service.url}/mcp", agent_token(), "auto") as client:
        # It knows no 2026-07-28: the client has fallen back to a session.
        assert client.protocol_version == "2025-11-25"
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"echo", "get-sum", "trigger-long-running-operation"} <= tools
        echoed = await client.call_tool("echo", {"message": "through the gate"})
        assert echoed.content == [TextContent(text="Echo: through the gate")]
        added = await client.call_tool("get-sum", {"a": 2, "b": 40})
        assert added.content == [TextContent(text="The sum of 2 and 40 is 42.")]


async def test_progress_arrives_while_the_call_runs(service: Service) -> None:
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with mcp_client(f"{service.url}/mcp", agent_token(), "legacy") as client:
        arguments = {"duration": 0.3, "steps": 3}
        answer = await client.call_tool("trigger-long-running-operation", arguments, progress_callback=note)
    assert not answer.is_error
    assert steps == [1.0, 2.0, 3.0]


async def test_every_request_of_a_session_has_its_line(service: Service) -> None:
    async with mcp_client(
        f"{service.url}/mcp", agent_token(jti="tok_session", sub="acc_session"), "legacy"
    ) as client:
        await client.call_tool("echo", {"message": "hello"})
    # The last request of a session ends it; only then does the stream of notifications end.
    service.access(token_id="tok_session", method="DELETE")
    service.access(token_id="tok_session", method="GET", event="access")
    lines = [
        line
        for line in service.lines()
        if line.get("token_id") == "tok_session" and line["event"] == "access"
    ]
    # initialize, notifications/initialized, tools/call; tools/list, for the client checks answers by it.
    assert sorted((line["method"], line["status"]) for line in lines) == [
        ("DELETE", 200),
        ("GET", 200),
        ("POST", 200),
        ("POST", 200),
        ("POST", 200),
        ("POST", 202),
    ]
    assert {(line["agent_id"], line["rule"], line["decision"]) for line in lines} == {
        ("acc_session", "mcp", "allow")
    }


async def test_the_older_transport(node: str, modules: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [node, modules / ".bin" / "mcp-server-everything", "sse"]
    rules = [{"path": "/sse", "scopes": ["mcp:tools:read"], "mcp": [{"tool": "echo"}]}]
    with program(command, tmp_path / "server", {"PORT": str(port)}) as server:
        server.says(r"(running) on port")
        with keystile(tmp_path / "keystile", upstream=f"http://127.0.0.1:{port}", rules=rules) as older:
            headers = {"Authorization": f"Bearer {agent_token()}"}
            async with (
                sse_client(f"{older.url}/sse", headers=headers) as (reading, writing),
                ClientSession(reading, writing, read_timeout_seconds=20) as session,
            ):
                await session.initialize()
                assert [tool.name for tool in (await session.list_tools()).tools] == ["echo"]
                echoed = await session.call_tool("echo", {"message": "through the gate"})
                assert echoed.content == [TextContent(text="Echo: through the gate")]


REFUSED = [
    pytest.param(None, 401, "credential_missing", None, id="no token"),
    pytest.param({"al_scopes": ["memory:read"]}, 403, "scope_insufficient", "acc_7f3k2m9x", id="no scope"),
]


@pytest.mark.parametrize(("claims", "status", "reason", "agent"), REFUSED)
async def test_a_refusal_is_final(
    service: Service, claims: dict[str, object] | None, status: int, reason: str, agent: str | None
) -> None:
    token = None if claims is None else agent_token(**claims)
    assert list_tools(f"{service.url}/mcp", token).status == status
    line = service.access(status=status)
    assert (line["reason"], line.get("agent_id"), line.get("upstream_status")) == (reason, agent, None)
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True, allow_unwrapped=True):
        async with mcp_client(f"{service.url}/mcp", token, "auto"):
            pass
