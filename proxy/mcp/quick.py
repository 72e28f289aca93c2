"""The quick way to read a message: that of a body with no room for doubt; for any other body, none.

Pure. A compact body whose members, each said once in its shortest spelling, add up to exactly its length has
no other key, no key twice and no escape in one: every reader finds the same. Clients of MCP write such ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from proxy.mcp.careful import DEEPEST
from proxy.mcp.message import CLIENT, NAMED, VERSION, Message
from proxy.model import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID = re.compile(rb'0|-?[1-9][0-9]{0,15}|"[^"\\\x7f]*"')
_META = tuple(f'"{key}"'.lower().encode() for key in (VERSION, CLIENT, "traceparent"))
_NAME = b'"name"'
_COMPLETION = "completion/complete"
# Lengths in compact JSON: quotes, colon, and a comma for all members but the first.
_TOP = len('{"jsonrpc":"2.0","method":""}')
_ID_MEMBER = len(',"id":')
_PARAMS_MEMBER = len(',"params":')
_BRACES = 2
_TEXT_MEMBER = len('"name":"",')
_URI_MEMBER = len('"uri":"",')
_ARGUMENTS_MEMBER = len('"arguments":,')
_META_MEMBER = len('"_meta":,')


class _Params(Struct, gc=False):
    name: str | UnsetType = UNSET
    uri: str | UnsetType = UNSET
    arguments: Raw | UnsetType = UNSET
    meta: Raw | UnsetType = msgspec.field(default=UNSET, name="_meta")


class _Message(Struct, gc=False):
    jsonrpc: str
    method: str
    id: Raw | UnsetType = UNSET
    params: _Params | UnsetType = UNSET


class _Meta(Struct, gc=False):
    version: str | UnsetType = msgspec.field(default=UNSET, name=VERSION)
    client: Raw | UnsetType = msgspec.field(default=UNSET, name=CLIENT)
    traceparent: str | UnsetType = UNSET


class _Client(Struct, gc=False):
    name: str


class _Said(Struct, frozen=True, gc=False):
    """What `_meta` says of the client."""

    protocol: str | None = None
    client: str | None = None
    traceparent: str | None = None


_NOTHING: Mapping[str, Any] = {}
_UNSAID = _Said()
_message = msgspec.json.Decoder(_Message).decode
_meta = msgspec.json.Decoder(_Meta).decode
_client = msgspec.json.Decoder(_Client).decode


class Quick:
    """Reads messages; `arguments` names the arguments that are looked at."""

    def __init__(self, arguments: frozenset[str]) -> None:
        # Other names may be spelled in escapes, and some cannot be a field's.
        self._plain = all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in arguments)
        names = sorted(arguments) if self._plain else []
        self._keys = tuple(
            (name, f"f{index}", f'"{name}"'.encode().lower()) for index, name in enumerate(names)
        )
        chosen = msgspec.defstruct(
            "_Arguments",
            [(field, Any, UNSET) for _, field, _ in self._keys],
            rename={field: name for name, field, _ in self._keys},
        )
        self._arguments = msgspec.json.Decoder(chosen).decode

    def read(self, body: bytes) -> Message | None:
        """Return the message, None where only a careful look can tell."""
        if not body.isascii() or body.count(b"{") + body.count(b"[") > DEEPEST:
            return None
        try:
            return self._read(body)
        except msgspec.MsgspecError:
            return None

    def _read(self, body: bytes) -> Message | None:
        top = _message(body)
        method, number, params = top.method, None, top.params
        length = _TOP + len(method)
        if top.id is not UNSET:
            number = bytes(top.id)
            length += _ID_MEMBER + len(number)
        if params is not UNSET:
            length += _PARAMS_MEMBER + _length(params)
        # Printable, and ASCII as the whole body is: no character that no name has.
        if length != len(body) or top.jsonrpc != "2.0" or not method.isprintable():
            return None
        # What a completion is about stands deeper than this looks.
        if (number is not None and _ID.fullmatch(number) is None) or method == _COMPLETION:
            return None
        if params is not UNSET:
            return self._asked(method, number, params)
        return None if method in NAMED else Message(method, number, (Operation(method),))

    def _asked(self, method: str, number: bytes | None, params: _Params) -> Message | None:
        arguments, meta = params.arguments, params.meta
        said = _UNSAID if meta is UNSET else _said(bytes(meta))
        named = NAMED.get(method)
        if said is None:
            return None
        if named is None:
            return None if arguments is not UNSET else _built(Operation(method), number, None, said)
        kind, key = named
        target = params.name if key == "name" else params.uri
        found = _NOTHING if arguments is UNSET else self._chosen(bytes(arguments))
        if target is UNSET or found is None or not target.isprintable():
            return None
        return _built(Operation(method, kind, target, found), number, target, said)

    def _chosen(self, raw: bytes) -> Mapping[str, Any] | None:
        """Return the arguments that are looked at."""
        if raw[:1] != b"{" or not self._plain:
            return None
        if not self._keys:
            return _NOTHING
        if b"\\u" in raw:
            return None
        lower = raw.lower()
        values = self._arguments(raw)
        found: dict[str, Any] = {}
        for name, field, key in self._keys:
            value = getattr(values, field)
            # Once where it is there, and not at all where it is not: in no case, and as no text.
            if lower.count(key) != (value is not UNSET):
                return None
            if value is not UNSET:
                found[name] = value
        return found


def _length(params: _Params) -> int:
    """Return how long the members of `params` are in their shortest spelling."""
    length = _BRACES
    if params.name is not UNSET:
        length += _TEXT_MEMBER + len(params.name)
    if params.uri is not UNSET:
        length += _URI_MEMBER + len(params.uri)
    if params.arguments is not UNSET:
        length += _ARGUMENTS_MEMBER + len(params.arguments)
    if params.meta is not UNSET:
        length += _META_MEMBER + len(params.meta)
    # The first member has no comma before it.
    return length - (length > _BRACES)


def _built(operation: Operation, number: bytes | None, named: str | None, said: _Said) -> Message:
    return Message(
        operation.method, number, (operation,), named, said.protocol, said.client, said.traceparent
    )


def _said(raw: bytes) -> _Said | None:
    # The names have slashes, which may be escaped without a number.
    if b"\\" in raw:
        return None
    lower = raw.lower()
    meta = _meta(raw)
    version, client, traceparent = members = (meta.version, meta.client, meta.traceparent)
    for key, member in zip(_META, members, strict=True):
        if lower.count(key) != (member is not UNSET):
            return None
    if version is not UNSET and not version.isprintable():
        return None
    name = None
    if client is not UNSET:
        info = bytes(client)
        if info.lower().count(_NAME) != 1:
            return None
        name = _client(info).name
    return _Said(None if version is UNSET else version, name, None if traceparent is UNSET else traceparent)
