"""An MCP server as its author would write it: the Python SDK, without a word on tokens.

Run as a program: `python memory_server.py [sse | json]`. It picks a free port, which the SDK's own web server prints.
It speaks streamable HTTP and answers with streams of events; with "json" it answers in JSON, with "sse" it
speaks the transport of 2024-11-05 instead.
"""

from __future__ import annotations

import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the SDK reads the annotation when it runs

server = MCPServer("memory")
_memory: dict[str, str] = {}


@server.tool()
def remember(key: str, text: str) -> str:
    """Keep a text."""
    _memory[key] = text
    return f"kept {key}"


@server.tool()
def recall(key: str) -> str:
    """Return a text that was kept."""
    return _memory[key]


@server.tool()
def request_headers(context: Context) -> list[tuple[str, str]]:
    """Return the header lines of the HTTP request that carried this call, as they reached this process."""
    return list((context.headers or {}).items())


if __name__ == "__main__":
    if "sse" in sys.argv:
        server.run("sse", host="127.0.0.1", port=0)
    else:
        server.run("streamable-http", host="127.0.0.1", port=0, json_response="json" in sys.argv)
