"""What others wrote, made fit for a line: no longer than a bound, and without what must not stand there.

Pure. Knows values, not formats.

A line is printable ASCII and ends in one LF: all else stands as a JSON escape (RFC 8259 section 7), so that
no control character, ANSI sequence, U+2028 or lone surrogate can split or repaint it, whatever reads it.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING

from msgspec.json import Encoder
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call, Opening

CAP = 256
"""Bytes of UTF-8 that a text may have in a line."""
_MOST_CALLS = 100
_VAST = 2**53
_OF_A_REQUEST = (
    "request_id",
    "client_request_id",
    "trace_id",
    "client",
    "method",
    "path",
    "rule",
    "user_agent",
)
_DELETE = 0x7F
_UNPRINTABLE = re.compile(r"[^\n -~]")
_TEXTS = ("method", "tool", "resource", "prompt", "session", "protocol", "client")

_encode = Encoder().encode


def whole(value: str) -> str:
    """Return `value` without lone surrogates: UTF-8 has none, and strict readers refuse them even escaped."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def capped(value: str) -> tuple[str, bool]:
    """Return `value` cut to the bound, and whether that took anything away."""
    if len(value) <= CAP and value.isascii():
        return value, False
    raw = whole(value).encode()
    return raw[:CAP].decode("utf-8", "ignore"), len(raw) > CAP


def tamed(opening: Opening) -> tuple[Opening, bool]:
    """Return `opening` with nothing in it that cannot stand in a line, and whether a value had to be cut.

    Almost always that is `opening` itself: one look at all its values together finds nothing to do.
    """
    seen = (
        f"{opening.request_id}{opening.client_request_id}{opening.trace_id}{opening.client}{opening.method}"
        f"{opening.path}{opening.rule}{opening.user_agent}"
    )
    if len(seen) <= CAP and seen.isascii() and "?" not in seen:
        return opening, False
    changed = {}
    truncated = False
    for name in _OF_A_REQUEST:
        value: str | None = getattr(opening, name)
        if value is not None:
            # The gate hands over no query; should it ever, it stops here.
            changed[name], cut = capped(value.partition("?")[0] if name == "path" else value)
            truncated = truncated or cut
    return replace(opening, **changed), truncated


def printable(line: bytes) -> bytes:
    """Escape what is not printable ASCII; in JSON that is only found within strings."""
    if line.isascii() and _DELETE not in line:
        return line
    return _UNPRINTABLE.sub(lambda found: encode_basestring_ascii(found[0])[1:-1], line.decode()).encode()


def calls(mcp: Call | tuple[Call, ...]) -> tuple[Call | tuple[Call, ...], bool]:
    """Return what a request asked an MCP server for, as a line shows it, and whether something was cut."""
    if not isinstance(mcp, tuple):
        return _call(mcp)
    # Whatever else is left out, it is never what was touched.
    ordered = mcp if len(mcp) <= _MOST_CALLS else sorted(mcp, key=_names_nothing)
    shown = [_call(call) for call in ordered[:_MOST_CALLS]]
    cut = len(mcp) > _MOST_CALLS or any(cut for _, cut in shown)
    return tuple(call for call, _ in shown), cut


def _names_nothing(call: Call) -> bool:
    return call.tool is None and call.resource is None and call.prompt is None


def _call(call: Call) -> tuple[Call, bool]:
    changed, cut = _texts(call)
    if call.arguments:
        arguments, was_cut = _arguments(call.arguments)
        cut = cut or was_cut
        if arguments is not call.arguments:
            changed["arguments"] = arguments
    return (replace(call, **changed) if changed else call), cut


def _texts(call: Call) -> tuple[dict[str, object], bool]:
    """What has to be told otherwise, and whether something was cut."""
    changed: dict[str, object] = {}
    # Almost always one look at all its values together finds nothing to do.
    if call.resource is None:
        seen = f"{call.method}{call.tool}{call.prompt}{call.session}{call.protocol}{call.client}"
        if len(seen) <= CAP and seen.isascii():
            return changed, False
    cut = False
    for name in _TEXTS:
        value: str | None = getattr(call, name)
        if value is not None:
            told, was_cut = capped(_bare(value) if name == "resource" else value)
            cut = cut or was_cut
            if told != value:
                changed[name] = told
    return changed, cut


def _bare(uri: str) -> str:
    """Leave out of a URI what may be secret: query, fragment and userinfo (RFC 3986 section 3.2.1)."""
    uri = uri.partition("#")[0].partition("?")[0]
    scheme, found, rest = uri.partition("://")
    if not found:
        return uri
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _arguments(arguments: Mapping[str, object]) -> tuple[Mapping[str, object], bool]:
    """Numbers, truth values and null stay what they are; texts are cut, and all else stands as JSON text."""
    # As in `_texts`: almost always there is nothing to do.
    for value in arguments.values():
        if type(value) is not str or len(value) > CAP or not value.isascii():
            break
    else:
        return arguments, False
    shown: dict[str, object] = {}
    cut = False
    for name, value in arguments.items():
        if isinstance(value, str):
            told, was_cut = capped(value)
        elif value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < _VAST):
            shown[name] = value
            continue
        else:
            told, was_cut = capped(_json(value))
        shown[name] = told
        cut = cut or was_cut
    return shown, cut


def _json(value: object) -> str:
    try:
        return _encode(value).decode()
    except (ValueError, RecursionError):  # numbers of thousands of digits, and nesting beyond all reason
        return "…"
