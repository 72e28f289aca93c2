"""Message bodies: where one ends, and which bytes of it go on (RFC 9112 sections 6 and 7).

Pure: takes bytes, returns bytes, knows no socket and no reason why. Stricter than the RFC where two
readers could disagree: one Content-Length of plain digits or one Transfer-Encoding of exactly
`chunked`, never both, no chunk extensions. What passes goes on as it came; trailers are dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

# 18 digits stay below 2**63, so no reader on the way overflows.
_MOST_DIGITS = 18
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
# A trailer may not frame (RFC 9110 6.5.1): who reads it as a header would end the body elsewhere.
_TRAILER = re.compile(
    rb"(?!(?i:content-length|transfer-encoding):)[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t \x21-\x7e\x80-\xff]*"
)
_LONGEST_SIZE_LINE = 15
_LONGEST_TRAILER = 4096
_MOST_TRAILERS = 64
# Statuses whose answers have no body whatever their header lines say (RFC 9112 6.3).
BODILESS = frozenset({204, 304})


class Malformed(Exception):  # noqa: N818 - a fault of the peer's, not an error of ours
    """The peer's framing has more than one reading. Carries no byte of the message."""


class Framing(Protocol):
    """One body on its way through."""

    done: bool
    """All of it has been taken."""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Split `data` into what goes on and what lies behind this body.

        Raises:
            Malformed: the bytes are no body of this kind.
        """


class Sized:
    """A body of `length` bytes (Content-Length), counted and otherwise untouched."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Take up to what is left."""
        left = self.left - len(data)
        if left > 0:
            self.left = left
            return data, b""
        cut = self.left
        self.left = 0
        self.done = True
        return (data, b"") if left == 0 else (data[:cut], data[cut:])


class UntilClose:
    """A body that ends with its connection; only an answer can have one (RFC 9112 6.3, rule 8)."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Take everything."""
        return data, b""


# What a message without a body has. Shared: taking from it changes nothing.
NO_BODY: Framing = Sized(0)


class Chunked:
    """A chunked body (RFC 9112 7.1), passed on as it came, or with `decode` as its bare content."""

    __slots__ = ("_decode", "_left", "_line", "_trailers", "done")

    def __init__(self, *, decode: bool = False) -> None:
        self.done = False
        self._decode = decode
        self._left = 0  # bytes of the current chunk that are still to come, its CRLF included
        self._line = b""  # a size or trailer line of which the end has not come yet
        self._trailers = -1  # trailer lines seen; -1 before the last chunk

    @property
    def between_chunks(self) -> bool:
        """Whether everything taken so far ends with a whole chunk, so that a last chunk may follow."""
        return not self._left and not self._line and self._trailers < 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Take whole lines and whatever there is of a chunk; hold an unfinished line back."""
        if len(data) <= self._left - 2:
            self._left -= len(data)
            return data, b""
        out: list[bytes] = []
        if self._line:
            data = self._line + data
            self._line = b""
        position, size = 0, len(data)
        while position < size and not self.done:
            if self._left:
                position = self._content(data, position, out)
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._hold(data[position:])
                return b"".join(out), b""
            line = data[position:end]
            position = end + 2
            if self._trailers >= 0:
                self._trailer(line, out)
            else:
                self._size(line, out)
        return b"".join(out), data[position:]

    def _size(self, line: bytes, out: list[bytes]) -> None:
        if not _CHUNK_SIZE.fullmatch(line):
            raise Malformed
        length = int(line, 16)
        if not self._decode:
            out.append(line + b"\r\n")
        if length:
            self._left = length + 2
        else:
            self._trailers = 0

    def _content(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Pass chunk content and check that CRLF follows it; returns the new position."""
        end = min(position + self._left, len(data))
        content_end = position + max(self._left - 2, 0)
        tail = data[max(content_end, position) : end]
        if not b"\r\n"[-min(self._left, 2) :].startswith(tail):
            raise Malformed
        out.append(data[position : min(content_end, end)] if self._decode else data[position:end])
        self._left -= end - position
        return end

    def _trailer(self, line: bytes, out: list[bytes]) -> None:
        if line:
            self._trailers += 1
            if (
                self._trailers > _MOST_TRAILERS
                or len(line) > _LONGEST_TRAILER
                or not _TRAILER.fullmatch(line)
            ):
                raise Malformed
            return
        if not self._decode:
            out.append(b"\r\n")
        self.done = True

    def _hold(self, line: bytes) -> None:
        # A lone CR at the end may be the first half of this line's CRLF.
        longest = _LONGEST_TRAILER if self._trailers >= 0 else _LONGEST_SIZE_LINE
        if len(line) > longest + 1 or b"\n" in line:
            raise Malformed
        self._line = line


def request_framing(fields: Mapping[bytes, bytes], repeated: frozenset[bytes], *, http10: bool) -> Framing:
    """The framing of a request's body; `NO_BODY` where its head declares none.

    Raises:
        Malformed: more than one reading is possible (RFC 9112 6.1 and 6.3; request smuggling).
    """
    if b"transfer-encoding" not in fields and b"content-length" not in fields:
        return NO_BODY
    return _declared(fields, repeated, http10=http10, decode=False)


def response_framing(
    method: str,
    status: int,
    fields: Mapping[bytes, bytes],
    repeated: frozenset[bytes],
    *,
    http10: bool,
    decode: bool,
) -> Framing:
    """The framing of an answer's body; `NO_BODY` where it cannot have one.

    `http10` is the answer's version; `decode` unwraps chunks for a client that cannot read them.

    Raises:
        Malformed: more than one reading is possible (RFC 9112 6.3).
    """
    declared: Framing | None = None
    if b"transfer-encoding" in fields or b"content-length" in fields:
        declared = _declared(fields, repeated, http10=http10, decode=decode)
    if method == "HEAD" or status in BODILESS:
        return NO_BODY
    return declared or UntilClose()


def _declared(
    fields: Mapping[bytes, bytes], repeated: frozenset[bytes], *, http10: bool, decode: bool
) -> Framing:
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is None and length is not None:
        if b"content-length" in repeated or not length.isdigit() or len(length) > _MOST_DIGITS:
            raise Malformed
        return Sized(int(length))
    # Transfer-Encoding beside Content-Length, twice, on HTTP/1.0, or anything but `chunked`: the raw
    # material of request smuggling (CVE-2023-25725, CVE-2025-43859).
    if length is not None or http10 or b"transfer-encoding" in repeated or coding is None:
        raise Malformed
    if coding.lower() != b"chunked":
        raise Malformed
    return Chunked(decode=decode)


def keeps_alive(fields: Mapping[bytes, bytes], *, http10: bool) -> bool:
    """Whether the sender of a head is willing to go on with the connection (RFC 9112 9.3)."""
    told = fields.get(b"connection")
    if told is None:
        return not http10
    options = [option.strip(b" \t") for option in told.lower().split(b",")]
    return b"close" not in options and (not http10 or b"keep-alive" in options)
