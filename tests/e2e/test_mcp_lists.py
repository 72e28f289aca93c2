"""Two agents before the same unmodified server: each is told of what it may use, and refused the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.agents import initialized, say
from tests.e2e.memory import READER, WRITER, memory
from tests.support.programs import free_port, program
from tests.support.service import agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READING = agent_token(sub="acc_reader", al_scopes=READER)
WRITING = agent_token(sub="acc_writer", al_scopes=WRITER)


def writers(**selector: str) -> dict[str, Any]:
    return {**selector, "scopes": ["memory:write"]}


@pytest.fixture(scope="module", params=["json", "stream"])
def python(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Keystile's URL before the Python SDK, and the type of its answers in a session."""
    kind = {"json": "application/json", "stream": "text/event-stream"}[request.param]
    with memory(tmp_path_factory.mktemp("memory"), request.param) as service:
        yield f"{service.url}/mcp", kind


@pytest.mark.parametrize("modern", [False, True], ids=["in a session", "stateless"])
@pytest.mark.parametrize(
    ("token", "tools"), [(READING, ["recall"]), (WRITING, ["remember", "recall"])], ids=["reader", "writer"]
)
def test_tools_of_the_python_sdk(
    python: tuple[str, str], token: str, tools: list[str], *, modern: bool
) -> None:
    url, kind = python
    session = None if modern else initialized(url, token)
    told = say(url, token, "tools/list", session=session, modern=modern)
    # Stateless, the SDK streams only what has more than one message.
    assert (told.status, told.kind) == (200, "application/json" if modern else kind)
    result = told.message["result"]
    assert [tool["name"] for tool in result["tools"]] == tools
    assert result.get("cacheScope") == ("private" if modern else None)
    # It came whole, not only by name.
    assert all("inputSchema" in tool for tool in result["tools"])


@pytest.fixture(scope="module")
def everything(node: str, modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Keystile's URL before npm's server-everything, which answers with streams."""
    folder = tmp_path_factory.mktemp("everything")
    port = free_port()
    command = [node, modules / ".bin" / "mcp-server-everything", "streamableHttp"]
    document = "demo://resource/static/document"
    entries = [
        {"tool": "echo"},
        writers(tool="get-s*"),
        {"prompt": "simple-prompt"},
        writers(prompt="*"),
        {"resource": f"{document}/f*"},
        writers(resource="demo://**"),
    ]
    with program(command, folder / "server", {"PORT": str(port)}) as server:
        server.says(r"(listening) on port")
        rules = [{"path": "/mcp", "scopes": ["memory:read"], "mcp": entries}]
        with keystile(folder / "keystile", upstream=f"http://127.0.0.1:{port}", rules=rules) as service:
            yield f"{service.url}/mcp"


DOCUMENTS = ["architecture", "extension", "features", "how-it-works", "instructions", "startup", "structure"]
LISTS = [
    pytest.param(
        "tools/list", "tools", "name", ["echo"], ["echo", "get-structured-content", "get-sum"], id="tools"
    ),
    pytest.param(
        "prompts/list",
        "prompts",
        "name",
        ["simple-prompt"],
        ["simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"],
        id="prompts",
    ),
    pytest.param(
        "resources/list",
        "resources",
        "uri",
        ["demo://resource/static/document/features.md"],
        [f"demo://resource/static/document/{name}.md" for name in DOCUMENTS],
        id="resources",
    ),
    pytest.param(
        "resources/templates/list",
        "resourceTemplates",
        "uriTemplate",
        [],
        ["demo://resource/dynamic/text/{resourceId}", "demo://resource/dynamic/blob/{resourceId}"],
        id="templates",
    ),
]


@pytest.mark.parametrize(("method", "member", "name", "readers", "writers"), LISTS)
def test_lists_of_server_everything(
    everything: str, method: str, member: str, name: str, readers: list[str], writers: list[str]
) -> None:
    for token, names in ((READING, readers), (WRITING, writers)):
        told = say(everything, token, method, session=initialized(everything, token))
        assert told.kind == "text/event-stream"
        assert [item[name] for item in told.message["result"][member]] == names


REFUSED = [
    pytest.param(
        "tools/call",
        {"name": "get-sum", "arguments": {"a": 1, "b": 2}},
        "needs scope memory:write to call get-sum",
        id="a tool of another's",
    ),
    pytest.param(
        "tools/call", {"name": "get-env"}, "tool get-env may not be called here", id="a tool of nobody's"
    ),
    pytest.param(
        "prompts/get",
        {"name": "args-prompt"},
        "needs scope memory:write to use prompt args-prompt",
        id="a prompt",
    ),
    pytest.param(
        "resources/read",
        {"uri": "demo://resource/static/document/startup.md"},
        "needs scope memory:write to read demo://resource/static/document/startup.md",
        id="a resource",
    ),
]


@pytest.mark.parametrize(("method", "params", "sentence"), REFUSED)
def test_what_is_not_listed_is_refused(
    everything: str, method: str, params: dict[str, Any], sentence: str
) -> None:
    told = say(everything, READING, method, params, initialized(everything, READING))
    assert (told.status, told.kind) == (403, "application/json")
    assert told.message["id"] == 7
    assert sentence in told.message["error"]["message"]


def test_what_is_listed_is_answered(everything: str) -> None:
    session = initialized(everything, WRITING)
    added = say(
        everything, WRITING, "tools/call", {"name": "get-sum", "arguments": {"a": 2, "b": 40}}, session
    )
    assert added.message["result"]["content"][0]["text"] == "The sum of 2 and 40 is 42."
