"""WebSocket: which handshakes open a tunnel, and where its frames end (RFC 6455 sections 4 and 5.2).

Pure. A handshake that is anything else is none: a client that takes a tunnel for open, while the next hop
still reads requests, could write those (CVE-2026-59950). h2c is never spoken here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

from proxy.model import Note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import RequestHead
    from proxy.wire.heads import ResponseHead

UPGRADED = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
# 16 bytes in base64, in their one spelling.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BODY = frozenset({b"content-length", b"transfer-encoding"})
# Lengths of up to 125 stand in the second byte; these two say that 2 or 8 bytes hold it.
_LENGTHS = {126: 2, 127: 8}
_MASKED = 0x80
_CLOSE = 0x88
_GOING_AWAY, _POLICY_VIOLATION = 1001, 1008


def asks(method: bytes, fields: Mapping[bytes, bytes], *, http10: bool) -> bool:
    """Say whether a request head is a client's handshake, letter by letter (section 4.2.1).

    A field that is there twice stands in `fields` as a list, which none of these may be.
    """
    return (
        method == b"GET"
        and not http10
        and fields.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in _options(fields)
        and fields.get(b"sec-websocket-version") == b"13"
        and _KEY.fullmatch(fields.get(b"sec-websocket-key", b"")) is not None
        and _BODY.isdisjoint(fields)
    )


def opens(request: RequestHead, answer: ResponseHead) -> bool:
    """Say whether the 101 `answer` accepts this very handshake (section 4.1, numbers 2 to 4)."""
    fields = answer.fields
    key = request.fields.get(b"sec-websocket-key", b"")
    accept = b64encode(sha1(key + _GUID).digest())  # noqa: S324 - the RFC's choice; it protects nothing
    return (
        fields.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in _options(fields)
        and fields.get(b"sec-websocket-accept") == accept
        and _BODY.isdisjoint(fields)
    )


def _options(fields: Mapping[bytes, bytes]) -> list[bytes]:
    return [option.strip(b" \t") for option in fields.get(b"connection", b"").lower().split(b",")]


class Frames:
    """What the server says in a tunnel, as an `AnswerBody`: passed on as it comes; frames are counted."""

    __slots__ = ("_header", "_left", "done")

    def __init__(self) -> None:
        self.done = False
        self._header = b""  # of a frame, as far as it has come
        self._left = 0  # bytes of the frame in hand that are still to come

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """As `AnswerBody.take`: it ends with its connection."""
        position, size = 0, len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
            else:
                step = self._begin(data[position : position + 14])
            position += step
        return data, False

    def _begin(self, data: bytes) -> int:
        """Read on in a frame's header; return how many bytes of `data` belong to it."""
        before = len(self._header)
        header = self._header + data
        if len(header) < 2:  # noqa: PLR2004 - section 5.2: opcode, length
            self._header = header
            return len(data)
        length = header[1] & ~_MASKED
        extended = _LENGTHS.get(length, 0)
        whole = 2 + extended + (4 if header[1] & _MASKED else 0)
        if len(header) < whole:
            self._header = header
            return len(data)
        self._left = int.from_bytes(header[2 : 2 + extended]) if extended else length
        self._header = b""
        return whole - before

    def closed(self) -> bytes | None:
        """As `AnswerBody.closed`."""
        return b""

    def cut(self, note: Note) -> bytes | None:
        """As `AnswerBody.cut`: a Close frame, where one may stand here (section 5.5.1)."""
        if self._left or self._header:
            return None
        code = _GOING_AWAY if note is Note.DRAINING else _POLICY_VIOLATION
        said = code.to_bytes(2) + note.encode()
        return bytes((_CLOSE, len(said))) + said
