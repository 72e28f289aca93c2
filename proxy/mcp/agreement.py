"""Headers of MCP requests against their bodies: what one server goes by and another executes must be one.

Pure. MCP 2026-07-28, Streamable HTTP: `Mcp-Method`, `Mcp-Name` and `MCP-Protocol-Version` repeat the body,
and a mismatch is refused there; here it is refused at every revision. The body is what is judged.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from proxy.mcp.message import Message, Reading
    from proxy.model import RequestHead

_LEGACY = frozenset({b"2024-11-05", b"2025-03-26", b"2025-06-18", b"2025-11-25"})
_ONCE = frozenset({b"mcp-method", b"mcp-name", b"mcp-protocol-version"})
_ENCODED = re.compile(rb"=\?base64\?(.*)\?=", re.IGNORECASE)
_MEDIA = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)
_SHOWN = 100

_TWICE = Deny(Reason.MCP_MISMATCH, "an MCP header is there more than once")
_NO_JSON = Deny(Reason.MEDIA_TYPE_REFUSED, "the body is not declared as JSON in UTF-8")
_CODED = Deny(Reason.MEDIA_TYPE_REFUSED, "the body has a content coding")


def media(head: RequestHead) -> Deny | None:
    """Return why a body cannot be read: it is not JSON in UTF-8 (RFC 8259 section 8.1) as it stands."""
    fields = head.fields
    said = fields.get(b"content-type", b"")
    if said != b"application/json" and _MEDIA.fullmatch(said) is None:
        return _NO_JSON
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        return _CODED
    return None


def is_modern(head: RequestHead) -> bool:
    """Say whether a request is of 2026-07-28 or of a later revision: one without sessions."""
    version = head.fields.get(b"mcp-protocol-version")
    return version is not None and version not in _LEGACY


def disagreement(head: RequestHead, reading: Reading) -> Deny | None:
    """Return what of the headers is not what the body says; None where they agree."""
    fields = head.fields
    if head.repeated and not head.repeated.isdisjoint(_ONCE):
        return _TWICE
    version = fields.get(b"mcp-protocol-version")
    method, name = fields.get(b"mcp-method"), fields.get(b"mcp-name")
    modern = is_modern(head)
    bare = method is None and name is None and not modern
    for message in reading.messages:
        refused = None if message.protocol is None else _version(version, message)
        if refused is None and not bare:
            refused = _method(method, message, required=modern) or _name(name, message, required=modern)
        if refused is not None:
            return refused
    return None


def _version(said: bytes | None, message: Message) -> Deny | None:
    """The version of a body is that of its header; initialize only proposes one."""
    told = message.protocol
    if told is None or message.method == "initialize":
        return None
    if said is None:
        return _mismatch("MCP-Protocol-Version", "is missing", told)
    return None if said == told.encode() else _mismatch("MCP-Protocol-Version", "says another version", told)


def _method(said: bytes | None, message: Message, *, required: bool) -> Deny | None:
    meant = message.method
    if said is None:
        return _mismatch("Mcp-Method", "is missing", meant) if required and meant is not None else None
    if meant is None or said != meant.encode():
        return _mismatch("Mcp-Method", "says another method", meant)
    return None


def _name(said: bytes | None, message: Message, *, required: bool) -> Deny | None:
    meant = message.named
    if said is None:
        return _mismatch("Mcp-Name", "is missing", meant) if required and meant is not None else None
    if meant is None or _decoded(said) != meant.encode("utf-8", "surrogatepass"):
        return _mismatch("Mcp-Name", "says another name", meant)
    return None


def _decoded(said: bytes) -> bytes | None:
    """Return the name in a header, None where its encoding has more than one reading.

    Some take the marks in any case, and decode what is no strict base64 (RFC 4648 section 3); some do not.
    """
    encoded = _ENCODED.fullmatch(said)
    if encoded is None:
        return said
    try:
        decoded = b64decode(encoded[1], validate=True)
    except ValueError:
        return None
    return decoded if said == b"=?base64?%b?=" % b64encode(decoded) else None


def _mismatch(header: str, fault: str, meant: str | None) -> Deny:
    body = "names none" if meant is None else f"says {meant[:_SHOWN]}"
    return Deny(Reason.MCP_MISMATCH, f"{header} {fault}; the body {body}")
