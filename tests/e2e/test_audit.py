"""The question that this product exists for, asked of a log that real agents have filled: who touched memory X?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastmcp
import pytest
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError

from tests.e2e.agents import mcp_client
from tests.e2e.memory import READER, WRITER, memory
from tests.support.programs import until
from tests.support.service import agent_token

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

X = 'project "Käse"/ü'  # what a careless search would miss
SCOPES = {"ann": WRITER, "bob": READER, "cyd": WRITER, "dan": READER, "eve": READER}
TOKENS = {name: agent_token(sub=f"acc_{name}", al_name=name, al_scopes=held) for name, held in SCOPES.items()}


def _now() -> str:
    """This moment, once it lies behind every line so far and before every later one."""
    mark = int(time.time() * 1000 + 1) / 1000
    until(lambda: time.time() > mark + 0.001, lambda: "later moment")
    return datetime.fromtimestamp(mark, UTC).isoformat(timespec="milliseconds")


async def _say(service: Service, name: str, tool: str, key: str, mode: str = "auto") -> None:
    arguments = {"key": key, **({"text": "hello"} if tool == "remember" else {})}
    async with mcp_client(f"{service.url}/mcp", TOKENS[name], mode) as client:
        await client.call_tool(tool, arguments)


def _audit(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "audit", str(service.log), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _done(service: Service, calls: int) -> None:
    """Wait until the log has the line of every call."""

    def look() -> bool:
        agents = json.loads(_audit(service, "--tool", "*", "--json").stdout)["agents"]
        return sum(one["calls"] + one["refusals"] for one in agents) == calls

    until(look, lambda: f"log with {calls} calls:\n{service.log.read_text()}")


LOGS = [
    pytest.param("stream", "keystile", id="answers that are streams"),
    pytest.param("json", "keystile", id="answers in JSON"),
    pytest.param("stream", "ecs", id="a log in ECS"),
    pytest.param("stream", "otel", id="a log in OTLP"),
]


@pytest.mark.parametrize(("kind", "form"), LOGS)
async def test_exactly_the_agents_that_touched_a_memory_are_named(
    kind: str, form: str, tmp_path: Path
) -> None:
    log = {"output": "access.log", "arguments": ["key"], "format": form}
    with memory(tmp_path, *([kind] if kind == "json" else []), log=log) as service:
        await _say(service, "eve", "recall", X)
        start = _now()
        await _say(service, "ann", "remember", X)
        await _say(service, "ann", "recall", X, "legacy")
        await _say(service, "ann", "recall", "another")
        auth = BearerAuth(TOKENS["bob"])
        async with fastmcp.Client(StreamableHttpTransport(f"{service.url}/mcp", auth=auth)) as client:
            await client.call_tool("recall", {"key": X})
        await _say(service, "cyd", "remember", "another")
        async with mcp_client(f"{service.url}/mcp", TOKENS["dan"], "auto") as client:
            with pytest.raises(MCPError, match="needs scope memory:write to call remember"):
                await client.call_tool("remember", {"key": X, "text": "hello"})
        end = _now()
        await _say(service, "eve", "recall", X)
        _done(service, 8)
        window = ["--target", X, "--from", start, "--to", end]
        told = _audit(service, *window, "--json")
        table = _audit(service, *window, "--decision", "allow")
    agents: list[dict[str, Any]] = json.loads(told.stdout)["agents"]
    facts = [
        (one["agent_id"], one["agent_name"], one["calls"], one["refusals"], one["tools"]) for one in agents
    ]
    assert facts == [
        ("acc_ann", "ann", 2, 0, {"remember": 1, "recall": 1}),
        ("acc_bob", "bob", 1, 0, {"recall": 1}),
        ("acc_dan", "dan", 0, 1, {}),
    ]
    assert agents[2]["reasons"] == {"scope_insufficient": 1}
    assert (told.returncode, told.stderr) == (0, "")
    assert [line.split()[:3] for line in table.stdout.splitlines()[1:3]] == [
        ["acc_ann", "ann", "2"],
        ["acc_bob", "bob", "1"],
    ]
    assert table.stdout.endswith("\n\n2 agents, 3 calls\n")
