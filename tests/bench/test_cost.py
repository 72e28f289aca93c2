"""What a request costs, counted: calls of ours from its first byte to its access line, which no machine changes.

The bounds are what it is now, and one more for a deadline that falls due. Whoever raises one says in the commit what the users get for it; whoever lowers
the count lowers the bound. Figures in time are `tests/bench/run`'s.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import proxy
from proxy.wire.client import ClientConnection
from proxy.wire.upstream import UpstreamConnection
from tests.support.harness import TOKEN, keystile, token

if TYPE_CHECKING:
    from types import FrameType

_OURS = str(Path(proxy.__file__).parent)
_RUNS = 20
RULES = [
    {"path": "/mcp", "scopes": ["read"], "mcp": [{"tool": "write_*", "scopes": ["write"]}, {"tool": "*"}]},
    {"path": "/**", "scopes": ["read"]},
]
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{"jsonrpc":"2.0","id":"1"}'
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":%d}}}'
OTHERS = [token(sub=f"acc_{number}") for number in range(_RUNS)]


class Memory(asyncio.Transport):
    """A transport that leads nowhere."""

    def write(self, data: object) -> None:
        """Forget it."""

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


def get(number: int, *, told: str = TOKEN, trace: bool = False) -> bytes:
    line = f"traceparent: 00-{number + 1:032x}-00f067aa0ba902b7-01\r\n" if trace else ""
    return (
        f"GET /api/x HTTP/1.1\r\nHost: edge.test\r\nAuthorization: Bearer {told}\r\n"
        f"Accept: application/json\r\n{line}\r\n"
    ).encode()


def call(number: int) -> bytes:
    body = CALL % number
    return (
        b"POST /mcp HTTP/1.1\r\nHost: edge.test\r\nAuthorization: Bearer %b\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        b"MCP-Protocol-Version: 2025-11-25\r\nContent-Length: %d\r\n\r\n%b"
        % (TOKEN.encode(), len(body), body)
    )


COSTS = [
    pytest.param(get, 77, id="a request that comes again"),
    pytest.param(lambda number: get(number, trace=True), 79, id="a request with a trace of its own"),
    pytest.param(
        lambda number: get(0, told=OTHERS[number]), 80, id="a request of another agent, whose token is known"
    ),
    pytest.param(call, 120, id="a call of a tool, judged by its name"),
]


@pytest.mark.parametrize(("request_of", "most"), COSTS)
async def test_calls_of_a_request(request_of, most, tmp_path):
    async with keystile(tmp_path, "http://127.0.0.1:9", rules=RULES, admin="127.0.0.1:0") as running:
        wire = running._server._wire
        client, upstream = ClientConnection(wire), UpstreamConnection(wire.pool)
        client.connection_made(Memory())
        upstream.connection_made(Memory())
        wire.pool._open = 1
        wire.pool.put(upstream)

        def exchange(number: int) -> None:
            client.data_received(request_of(number))
            wire.outbox.flush()
            upstream.data_received(ANSWER)
            wire.outbox.flush()

        for number in range(_RUNS):
            exchange(number)
            # A token that was never seen is verified beside the loop.
            while running.in_progress():
                await asyncio.sleep(0)
                if upstream.exchange is not None:
                    upstream.data_received(ANSWER)
        calls: Counter[str] = Counter()

        def count(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(_OURS):
                calls[frame.f_code.co_name] += 1

        sys.setprofile(count)
        try:
            for number in range(_RUNS):
                exchange(number)
        finally:
            sys.setprofile(None)
        client.connection_lost(None)
        upstream.connection_lost(None)
        lines = await running.lines()
    assert [line["status"] for line in lines] == [200] * 2 * _RUNS
    assert calls.total() / _RUNS <= most, calls.most_common()
