"""Messages that come slowly, or that never come whole: they hold memory, and nobody may hold all of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.messages.conversation import MCP, answer, bearer, post, said, told
from tests.support.harness import keystile
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = bearer(), bearer(sub="acc_2")
_CALL = said("tools/call", {"name": "read", "arguments": {"text": "x" * 900}})


async def test_one_agent_holds_a_quarter_of_what_may_be_held(tmp_path: Path) -> None:
    limits = {"mcp_body": "1KiB", "mcp_buffer": "8KiB"}
    async with (
        upstream([answer({})]) as server,
        keystile(tmp_path, server.url, rules=[MCP], limits=limits) as proxy,
        AsyncExitStack() as stack,
    ):
        for _ in range(2):
            client = await stack.enter_async_context(proxy.client())
            await client.write(post(_CALL, ONE)[:-1])
        async with proxy.client() as third:
            await third.write(post(_CALL, ONE)[:-1])
            assert (await third.response()).status == 503
        async with proxy.client() as other:
            sent = post(_CALL, OTHER)
            await other.write(sent[:-1])
            await other.write(sent[-1:])
            assert (await other.response()).status == 200
        # What was held is given back.
        await client.write(_CALL[-1:])
        assert (await client.response()).status == 200
        async with proxy.client() as fourth:
            assert (await told(fourth, post(_CALL, ONE))).status == 200
        lines = await proxy.lines()
    assert [(line["status"], line.get("reason")) for line in lines[:2]] == [(503, "overloaded"), (200, None)]


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
async def test_a_message_that_comes_byte_by_byte_is_not_waited_for(chunked: bool, tmp_path: Path) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: edge.test\r\nContent-Type: application/json\r\n" + ONE.encode()
    framing = b"\r\nTransfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\nContent-Length: 1000000\r\n\r\n"
    piece = b"1\r\n \r\n" if chunked else b" "
    async with (
        upstream([answer({})]) as server,
        keystile(tmp_path, server.url, rules=[MCP], limits={"head_timeout": "300ms"}) as proxy,
        proxy.client() as client,
    ):
        await client.write(head + framing)
        while not client.ended:
            await client.write(piece)
            await asyncio.sleep(0.02)  # slower than any body may come
        assert client.received.startswith(b"HTTP/1.1 408 ")
        assert [line["reason"] for line in await proxy.lines()] == ["request_timeout"]
    assert server.requests == []
