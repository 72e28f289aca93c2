"""Heads: bytes up to the empty line in, one unambiguous value out (RFC 9112 sections 2 to 5).

Pure, and the only file that knows the parser: llhttp, through httptools, a fresh one for each head. It
accepts more than this proxy may pass on, so every head is checked once more here, in both directions. Its
error texts are never looked at: they may quote the message, credential included.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations when it first sees one
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser, HttpResponseParser
from msgspec import Struct, field
from msgspec.structs import replace

from proxy.model import Peer, Reason, RequestHead
from proxy.wire.tunnel import asks

Lines = tuple[tuple[bytes, bytes], ...]

_REQUEST_LINE = re.compile(rb"([!-~]+) ([!-~]+) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(.*)", re.DOTALL)
# Everything that may stand in a head apart from CR and LF.
_TEXT = bytes(byte for byte in range(256) if byte == 9 or 32 <= byte != 127)  # noqa: PLR2004 - HTAB, SP, DEL
# 128 header lines, the first line and the empty one.
_MOST_ENDS = 130
_NEVER = frozenset[bytes]()
# Names are the other side's choice: neither many nor long ones may fill the memory.
_MOST_KNOWN = 2048
_LONGEST_KNOWN = 64
_LONGEST_KEPT = 4096
# What each request of an agent may say anew, in its plainest form: that reads the same to everybody.
_VARYING = {
    b"authorization": re.compile(rb"[!-~]+ [!-~]+"),
    b"content-length": re.compile(rb"[0-9]{1,18}"),
    b"traceparent": re.compile(rb"[0-9a-f-]+"),
}


class ResponseHead(Struct, frozen=True, gc=False):
    """An answer's head that passed the checks; the members are those of `RequestHead`."""

    status: int
    phrase: bytes
    http10: bool
    lines: Lines
    fields: Mapping[bytes, bytes]
    repeated: frozenset[bytes]
    memo: dict[Any, Any] = field(default_factory=dict)


class _LowerNames(dict[bytes, bytes]):
    """Header name as it came → lower-cased, or empty where it is no token. Bounded."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower() if _TOKEN.fullmatch(name) else b""
        if len(name) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[name] = lower
        return lower


_LOWER = _LowerNames()


class _Found:
    """The header lines of one head, as the parser reports them."""

    __slots__ = ("fields", "lines", "repeated")

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}
        self.repeated = _NEVER

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.rstrip(b" \t")
        self.lines.append((name, value))
        lower = _LOWER[name]
        if lower in self.fields:
            self.fields[lower] += b", " + value
            self.repeated |= {lower}
        else:
            self.fields[lower] = value


def _is_clean(head: bytes, ends: int, found: _Found) -> bool:
    """Whether `head`, with its `ends` CRLFs, is a first line, the lines found and the empty line.

    Says no to bare CR and LF, control bytes, names that are no tokens, and obs-fold: a folded line is one
    that the parser did not count.
    """
    return (
        head.translate(None, _TEXT) == b"\r\n" * ends
        and len(found.lines) + 2 == ends
        and b"" not in found.fields
    )


def read_request(head: bytes, peer: Peer) -> tuple[RequestHead, Reason | None] | Reason:
    """Read one request head, from its first line to its empty line.

    The reason beside a head refuses this request only. A reason alone means that the bytes have no sure
    reading, so the connection must end.
    """
    ends = head.count(b"\r\n")
    if ends > _MOST_ENDS:  # before they cost anything
        return Reason.HEADERS_TOO_LARGE
    found = _Found()
    upgrades = False
    try:
        HttpRequestParser(found).feed_data(head)
    except HttpParserUpgrade:
        upgrades = True
    except Exception:  # noqa: BLE001 - whatever it raises says "unreadable"
        return Reason.REQUEST_MALFORMED
    first = _REQUEST_LINE.match(head)
    if first is None or not _is_clean(head, ends, found):
        return Reason.REQUEST_MALFORMED
    method, target, minor = first.groups()
    fields = found.fields
    host = fields.get(b"host", b"")
    http10 = minor == b"0"
    if b"host" in found.repeated or b"#" in target or not (host or http10):
        return Reason.REQUEST_MALFORMED
    refused = None
    asked = upgrades or b"upgrade" in fields
    if asked and not asks(method, fields, http10=http10):
        refused = Reason.UPGRADE_REFUSED
    elif method == b"TRACE":  # it would echo the credential of the next hop
        refused = Reason.METHOD_REFUSED
    elif not target.startswith(b"/"):
        target, host, refused = _absolute(target, host)
    return RequestHead(
        method.decode(), target, host, tuple(found.lines), fields, found.repeated, peer, http10
    ), refused


class RequestHeads:
    """Reads the request heads of one connection, from one `peer`.

    Agents say the same again and again, and reading is the dearest step. So a head that comes again, byte for
    byte, is not read again, and of one in which only what varies has changed nothing else is. What is kept is
    one head for each connection, so no client takes another's place, and none is told what another said.
    """

    __slots__ = ("_head", "_peer", "_read")

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._head = b""
        self._read: tuple[RequestHead, Reason | None] | None = None

    def __call__(self, head: bytes) -> tuple[RequestHead, Reason | None] | Reason:
        """Read one head, as `read_request` would."""
        before = self._read
        if before is not None:
            if head == self._head:
                return before
            varied = _varied(self._head, before[0], head)
            if varied is not None:
                self._head, self._read = head, (varied, before[1])
                return self._read
        read = read_request(head, self._peer)
        if isinstance(read, tuple) and len(head) <= _LONGEST_KEPT:
            self._head, self._read = head, read
        return read


def _varied(known: bytes, before: RequestHead, head: bytes) -> RequestHead | None:
    """Read a head that is `known`, of which `before` was read, but for what varies; else None."""
    if len(head) > _LONGEST_KEPT:
        return None
    lines, known_lines = head.split(b"\r\n"), known.split(b"\r\n")
    if len(lines) != len(known_lines) or lines[0] != known_lines[0]:
        return None
    found, fields = list(before.lines), dict(before.fields)
    for index, line in enumerate(lines):
        if line == known_lines[index]:
            continue
        name, _ = found[index - 1]
        lower = _LOWER[name]
        told = line[len(name) + 2 :]
        form = _VARYING.get(lower)
        if (
            form is None
            or lower in before.repeated
            or not form.fullmatch(told)
            or line != b"%b: %b" % (name, told)
        ):
            return None
        found[index - 1] = name, told
        fields[lower] = told
    return replace(before, lines=tuple(found), fields=fields, memo={})


class ResponseHeads:
    """Reads the response heads of one connection: one that comes again, byte for byte, is not read again."""

    __slots__ = ("_head", "_read")

    def __init__(self) -> None:
        self._head = b""
        self._read: ResponseHead | None = None

    def __call__(self, head: bytes) -> ResponseHead | None:
        """Read one head, as `read_response` would."""
        if head == self._head:
            return self._read
        read = read_response(head)
        if len(head) <= _LONGEST_KEPT:
            self._head, self._read = head, read
        return read


def _absolute(target: bytes, host: bytes) -> tuple[bytes, bytes, Reason | None]:
    """Origin-form and authority of an absolute-form target (RFC 9112 3.2.2).

    What one server reads from the target and another from Host must be the same.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or absolute[1].lower() != (host or absolute[1]).lower():
        return target, host, Reason.PATH_AMBIGUOUS
    path = absolute[2]
    return (path if path.startswith(b"/") else b"/" + path), host or absolute[1], None


def read_response(head: bytes) -> ResponseHead | None:
    """Read one answer's head, from its first line to its empty line; None where it is not to be trusted."""
    ends = head.count(b"\r\n")
    if ends > _MOST_ENDS:
        return None
    found = _Found()
    try:
        with contextlib.suppress(HttpParserUpgrade):
            HttpResponseParser(found).feed_data(head)
    except Exception:  # noqa: BLE001 - as above
        return None
    first = _STATUS_LINE.match(head)
    if first is None or not _is_clean(head, ends, found):
        return None
    minor, status, phrase = first.groups(b"")
    return ResponseHead(int(status), phrase, minor == b"0", tuple(found.lines), found.fields, found.repeated)
