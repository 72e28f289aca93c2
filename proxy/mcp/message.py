"""What a body of an MCP client says, once it has been read: messages, and the operations that they ask for.

Values only. The methods are those of the MCP specification up to 2026-07-28.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Kind, Operation

VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT = "io.modelcontextprotocol/clientInfo"
# No server takes these for part of a name, and some end a name at the first.
UNSOUND = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Readers in C end a text at the first, others put a question mark for the second.
CUT = re.compile("[\x00\ud800-\udfff]")
NAMED: Mapping[str, tuple[Kind, str]] = MappingProxyType(
    {
        "tools/call": ("tool", "name"),
        "prompts/get": ("prompt", "name"),
        "resources/read": ("resource", "uri"),
        "resources/subscribe": ("resource", "uri"),
        "resources/unsubscribe": ("resource", "uri"),
    }
)
"""Methods that name what they are about: its kind, and the member of `params` that names it."""


class Message(Struct, frozen=True, gc=False):
    """One message.

    `method` is None of a response. `id` is its JSON, None where there is none. There is one of `operations`
    as a rule, none of a response, more where several resources are named. `named` is what `Mcp-Name` has to
    say. `protocol`, `client` and `traceparent` are what the client says of itself, unchecked.
    """

    method: str | None
    id: bytes | None = None
    operations: tuple[Operation, ...] = ()
    named: str | None = None
    protocol: str | None = None
    client: str | None = None
    traceparent: str | None = None


class Reading(Struct, frozen=True, gc=False):
    """A body: one message, or a batch of them."""

    messages: tuple[Message, ...]
    batch: bool = False
