"""MCP Inspector's command line before an unmodified server: what a person sees of their tools and of a refusal."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.memory import READER, WRITER, memory
from tests.support.service import agent_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Inspect = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def inspect(node: str, modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspect]:
    """Run the command with these words against Keystile, as an agent with these scopes."""
    folder = tmp_path_factory.mktemp("inspector")
    entries = [
        {"tool": "recall", "arguments": {"key": "a*"}},
        {"tool": "remember", "scopes": ["memory:write"]},
    ]
    with memory(folder, rule={"mcp": entries}) as service:

        def run(scopes: list[str], *words: str) -> subprocess.CompletedProcess[str]:
            token = f"Authorization: Bearer {agent_token(al_scopes=scopes)}"
            command = [node, modules / ".bin" / "mcp-inspector", "--cli", f"{service.url}/mcp"]
            command += ["--transport", "http", "--header", token, *words]
            # It keeps files under its person's home.
            return subprocess.run(
                command, env={"HOME": str(folder)}, capture_output=True, text=True, timeout=60, check=False
            )

        yield run


def test_it_lists_the_tools_of_its_person(inspect: Inspect) -> None:
    listed = inspect(READER, "--method", "tools/list")
    assert listed.returncode == 0, listed.stderr
    assert [tool["name"] for tool in json.loads(listed.stdout)["tools"]] == ["recall"]


REMEMBER = ("remember", "key=a", "text=b")
CALLS = [
    pytest.param(REMEMBER, WRITER, 0, "kept a", id="a tool of theirs"),
    pytest.param(
        REMEMBER, READER, 5, "Tool 'remember' not found", id="a tool of others, which is not listed"
    ),
    pytest.param(
        ("recall", "key=b"),
        READER,
        3,
        "tool recall may not be called here",
        id="a tool that is theirs for other arguments",
    ),
    pytest.param(REMEMBER, ["files:read"], 1, "Insufficient scope: required", id="no scope of the server"),
]


@pytest.mark.parametrize(("call", "scopes", "code", "text"), CALLS)
def test_it_shows_what_came_of_a_call(
    inspect: Inspect, call: tuple[str, ...], scopes: list[str], code: int, text: str
) -> None:
    tool, *arguments = call
    called = inspect(scopes, "--method", "tools/call", "--tool-name", tool, "--tool-arg", *arguments)
    assert called.returncode == code, called.stderr
    assert text in called.stdout + called.stderr
