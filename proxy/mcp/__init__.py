"""The MCP room: messages with one reading, lists cut to their reader, sealed sessions, event streams.

Pure: bytes in, values out. Knows JSON-RPC 2.0 and the MCP specification (2024-11-05 to 2026-07-28); neither
tokens nor rules nor the wire. Who may use what, a callable says.
"""

from proxy.mcp.agreement import disagreement, is_modern, media
from proxy.mcp.answers import Answering, McpAnswer
from proxy.mcp.endpoint import Endpoints, names_session, sealed_endpoint
from proxy.mcp.message import Message, Reading
from proxy.mcp.reader import Reader, identify
from proxy.mcp.sessions import Seals, digest

__all__ = [
    "Answering",
    "Endpoints",
    "McpAnswer",
    "Message",
    "Reader",
    "Reading",
    "Seals",
    "digest",
    "disagreement",
    "identify",
    "is_modern",
    "media",
    "names_session",
    "sealed_endpoint",
]
