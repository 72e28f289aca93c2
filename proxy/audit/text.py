"""What others wrote, made fit for a line: no longer than a bound, and without what must not stand there.

Pure. Knows values, not lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.json import Encoder
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call

CAP = 256
"""Bytes of UTF-8 that a text may have in a line."""
_MOST_CALLS = 100
_VAST = 2**53
_TEXTS = ("method", "tool", "resource", "prompt", "session", "protocol", "client")

_encode = Encoder().encode


def whole(value: str) -> str:
    """Return `value` without lone surrogates: UTF-8 has none, and strict readers refuse them even escaped."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def capped(value: str) -> tuple[str, bool]:
    """Return `value` cut to the bound, and whether that took anything away."""
    raw = whole(value).encode()
    return raw[:CAP].decode("utf-8", "ignore"), len(raw) > CAP


def calls(mcp: Call | tuple[Call, ...] | None) -> tuple[Call | tuple[Call, ...] | None, bool]:
    """Return what a request asked an MCP server for, as a line shows it, and whether something was cut."""
    if mcp is None:
        return None, False
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
    # Almost always one look at all its values together finds nothing to do.
    if call.resource is None and not call.arguments:
        seen = f"{call.method}{call.tool}{call.prompt}{call.session}{call.protocol}{call.client}"
        if len(seen) <= CAP and seen.isascii():
            return call, False
    changed: dict[str, object] = {}
    cut = False
    for name in _TEXTS:
        value: str | None = getattr(call, name)
        if value is not None:
            told, was_cut = capped(_bare(value) if name == "resource" else value)
            cut = cut or was_cut
            if told != value:
                changed[name] = told
    if call.arguments:
        changed["arguments"], was_cut = _arguments(call.arguments)
        cut = cut or was_cut
    return (replace(call, **changed) if changed else call), cut


def _bare(uri: str) -> str:
    """Leave out of a URI what may be secret: query, fragment and userinfo (RFC 3986 section 3.2.1)."""
    uri = uri.partition("#")[0].partition("?")[0]
    scheme, found, rest = uri.partition("://")
    if not found:
        return uri
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _arguments(arguments: Mapping[str, object]) -> tuple[dict[str, object], bool]:
    """Numbers, truth values and null stay what they are; texts are cut, and all else stands as JSON text."""
    shown: dict[str, object] = {}
    cut = False
    for name, value in arguments.items():
        if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < _VAST):
            shown[name] = value
            continue
        shown[name], was_cut = capped(value if isinstance(value, str) else _json(value))
        cut = cut or was_cut
    return shown, cut


def _json(value: object) -> str:
    try:
        return _encode(value).decode()
    except (ValueError, RecursionError):  # numbers of thousands of digits, and nesting beyond all reason
        return "…"
