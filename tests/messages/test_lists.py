"""Each agent sees its own tools: lists are filtered in JSON and in event streams, and what is hidden is refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import EVENTS, JSON, answer, ask, bearer, events, post, said, streamed, told
from tests.support.harness import keystile
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

RULE: dict[str, Any] = {
    "name": "mcp",
    "path": "/mcp",
    "mcp": [
        {"tool": "read_*", "scopes": ["memory:read"]},
        {"tool": "save", "arguments": {"project": "demo"}, "scopes": ["memory:read"]},
        {"tool": "*", "scopes": ["memory:write"]},
        {"prompt": "plan", "scopes": ["memory:write"]},
        {"prompt": "*"},
        {"resource": "memory://public/**"},
        {"resource": "memory://private/**", "scopes": ["memory:write"]},
    ],
}
SETTINGS: dict[str, Any] = {"rules": [RULE], "scopes": {"memory:write": ["memory:read"]}}
NOBODY, READER, WRITER = bearer(scope=""), bearer(scope="memory:read"), bearer(scope="memory:write")


def named(*names: str, key: str = "name") -> list[dict[str, Any]]:
    return [{key: name, "description": f"about {name}"} for name in names]


TOOLS = {"tools": named("read_memory", "save", "delete_memory"), "nextCursor": "abc"}
PROMPTS = {"prompts": named("plan", "greet")}
RESOURCES = {"resources": named("memory://public/a", "memory://private/a", "file:///etc/passwd", key="uri")}
TEMPLATES = {
    "resourceTemplates": named(
        "memory://public/{id}", "memory://private/{id}", "memory://{any}/x", key="uriTemplate"
    )
}
LISTS = [
    pytest.param(TOOLS, NOBODY, [], id="tools, for nobody in particular"),
    pytest.param(TOOLS, READER, ["read_memory", "save"], id="tools, for a reader"),
    pytest.param(TOOLS, WRITER, ["read_memory", "save", "delete_memory"], id="tools, for a writer"),
    pytest.param(PROMPTS, READER, ["greet"], id="prompts, for a reader"),
    pytest.param(PROMPTS, WRITER, ["plan", "greet"], id="prompts, for a writer"),
    pytest.param(RESOURCES, READER, ["memory://public/a"], id="resources, for a reader"),
    pytest.param(
        RESOURCES, WRITER, ["memory://public/a", "memory://private/a"], id="resources, for a writer"
    ),
    pytest.param(
        TEMPLATES, READER, ["memory://public/{id}", "memory://{any}/x"], id="templates, for a reader"
    ),
]


def seen(result: dict[str, Any]) -> list[str]:
    (items,) = (value for value in result.values() if isinstance(value, list))
    return [item.get("name") or item.get("uri") or item["uriTemplate"] for item in items]


@pytest.mark.parametrize(("result", "credential", "names"), LISTS)
async def test_a_list_in_json(
    result: dict[str, Any], credential: str, names: list[str], tmp_path: Path
) -> None:
    async with (
        upstream([answer(result, 'ETag: "a"')]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(
            client, post(said("tools/list"), credential, "Accept-Encoding: gzip", "Range: bytes=0-9")
        )
        shown = json.loads(answered.content)["result"]
        assert seen(shown) == names
        assert shown.get("nextCursor") == result.get("nextCursor")
        assert answered.value(b"etag") is None
        assert answered.value(b"content-length") == b"%d" % len(answered.content)
    # Compressed, or in part, it could not be read.
    assert server.requests[0].values(b"accept-encoding") == [b"identity"]
    assert server.requests[0].values(b"range") == []


@pytest.mark.parametrize("trickle", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("result", "credential", "names"), LISTS)
async def test_a_list_on_a_stream(
    result: dict[str, Any], credential: str, names: list[str], trickle: bool, tmp_path: Path
) -> None:
    before, after = b": hello\n\nid: 1\nevent: message\ndata: {}\n\n", b"data: x\n\n: bye\n\n"
    async with (
        upstream([streamed(before + events(result) + after)], trickle=trickle) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), credential))
        # The id of the first event leaves sealed.
        content = re.sub(rb"^id: [\w-]{20,}$", b"id: 1", answered.content, count=1, flags=re.MULTILINE)
        assert content.startswith(before)
        assert content.endswith(after)
        event = content[len(before) : -len(after)]
        assert event.startswith(b"event: message\ndata: ")
        assert seen(json.loads(event.removeprefix(b"event: message\ndata: "))["result"]) == names


async def test_what_is_hidden_is_refused(tmp_path: Path) -> None:
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        for tool, credential, status in (
            ("read_memory", READER, 200),
            ("delete_memory", READER, 403),
            ("delete_memory", WRITER, 200),
            ("read_memory", NOBODY, 403),
        ):
            answered = await told(client, post(said("tools/call", {"name": tool}), credential))
            assert answered.status == status
        lines = await proxy.lines()
    assert [line.get("reason") for line in lines] == [None, "scope_insufficient", None, "scope_insufficient"]
    assert len(server.requests) == 2


async def test_a_modern_list_is_for_its_caller_alone(tmp_path: Path) -> None:
    modern = ("MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list")
    async with (
        upstream([answer({**TOOLS, "cacheScope": "public", "ttlMs": 1000})]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), WRITER, *modern))
        shown = json.loads(answered.content)["result"]
        assert shown["cacheScope"] == "private"
        assert shown["ttlMs"] == 1000


_BYTES = b'{"jsonrpc":"2.0","id":1, "result" : {"content":[],"n":1.0e2,"tool":"tools"}}'
UNTOUCHED = [
    pytest.param(JSON, _BYTES, id="a result that is no list"),
    pytest.param("Content-Type: text/plain", b"done", id="plain text"),
    pytest.param("Content-Type: image/png", b"\x89PNG", id="an image"),
]


@pytest.mark.parametrize(("media", "content"), UNTOUCHED)
async def test_everything_else_goes_on_byte_for_byte(media: str, content: bytes, tmp_path: Path) -> None:
    script = (http("HTTP/1.1 200 OK", media, f"Content-Length: {len(content)}", body=content),)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), NOBODY))
        assert answered.content == content


WITHHELD = [
    pytest.param(
        (JSON,), b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x"}],"tools":[]}}', id="two lists"
    ),
    pytest.param((JSON,), b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"nam', id="half a document"),
    pytest.param((JSON, "Content-Encoding: gzip"), b"\x1f\x8b", id="compressed in spite of what was asked"),
    pytest.param((EVENTS, "Content-Encoding: br"), b"abc", id="a compressed stream"),
    pytest.param((JSON,), json.dumps({"result": {"tools": named("x" * 2000)}}).encode(), id="over the limit"),
]


@pytest.mark.parametrize(("lines", "content"), WITHHELD)
async def test_what_cannot_be_read_is_withheld(
    lines: tuple[str, ...], content: bytes, tmp_path: Path
) -> None:
    script = (http("HTTP/1.1 200 OK", *lines, f"Content-Length: {len(content)}", body=content),)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, **SETTINGS, limits={"mcp_body": "1KiB"}) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), WRITER))
        assert answered.status == 502
        logged = await proxy.lines()
    assert logged[0]["reason"] == "upstream_malformed"


async def test_the_stream_of_a_session_is_filtered_too(tmp_path: Path) -> None:
    async with (
        upstream([streamed(events(TOOLS))]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, ask("GET", READER, "Accept: text/event-stream"), b"GET")
        data = answered.content.partition(b"data: ")[2]
        assert seen(json.loads(data)["result"]) == ["read_memory", "save"]


async def test_without_entries_nothing_is_filtered(tmp_path: Path) -> None:
    rules = [{"name": "mcp", "path": "/mcp", "mcp": True}]
    async with (
        upstream([answer(TOOLS, 'ETag: "a"')]) as server,
        keystile(tmp_path, server.url, rules=rules) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), NOBODY, "Accept-Encoding: gzip"))
        assert json.loads(answered.content)["result"] == TOOLS
        assert answered.value(b"etag") == b'"a"'
    assert server.requests[0].value(b"accept-encoding") == b"gzip"


UNNAMED = [
    pytest.param((), id="without a type"),
    pytest.param(("Content-Type: text/plain",), id="as plain text"),
    pytest.param(("Content-Type: application/octet-stream",), id="as bytes"),
]


@pytest.mark.parametrize("media", UNNAMED)
async def test_a_list_is_filtered_in_whatever_it_comes(media: tuple[str, ...], tmp_path: Path) -> None:
    content = json.dumps({"jsonrpc": "2.0", "id": 1, "result": TOOLS}).encode()
    script = (http("HTTP/1.1 200 OK", *media, f"Content-Length: {len(content)}", body=content),)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("tools/list"), NOBODY))
        assert seen(json.loads(answered.content)["result"]) == []
