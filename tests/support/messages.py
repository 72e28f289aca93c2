"""A strict reader of HTTP/1.1 messages, written for the tests alone and sharing nothing with the product.

What the proxy sends must be readable in exactly one way, so this reader knows one way (RFC 9112): CRLF only,
no folding, Content-Length of plain digits or Transfer-Encoding `chunked`, never both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e]+ HTTP/1\.[01]")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD_LINE = re.compile(
    rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ \t]*([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*))?"
)
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


class UnsoundError(Exception):
    """The bytes have no sure reading."""


@dataclass(frozen=True)
class Message:
    """A request or an answer; `body` is as framed on the wire, chunk sizes included."""

    start: bytes
    lines: tuple[bytes, ...]
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        pairs = (line.split(b":", 1) for line in self.lines)
        return [value.strip() for own, value in pairs if own.lower() == name.lower()]

    def value(self, name: bytes) -> bytes | None:
        values = self.values(name)
        if len(values) > 1:
            raise UnsoundError(f"{name!r} stands {len(values)} times")
        return values[0] if values else None

    @property
    def method(self) -> bytes:
        return self.start.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.start.split(b" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    @property
    def content(self) -> bytes:
        """The body without its framing."""
        if self.value(b"transfer-encoding") is None:
            return self.body
        parts, rest = [], self.body
        while (size := int(rest[: rest.index(b"\r\n")], 16)) > 0:
            start = rest.index(b"\r\n") + 2
            parts.append(rest[start : start + size])
            rest = rest[start + size + 2 :]
        return b"".join(parts)


def read_head(data: bytes, start_line: re.Pattern[bytes]) -> tuple[Message, int] | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    start, *lines = data[:end].split(b"\r\n")
    if not start_line.fullmatch(start):
        raise UnsoundError(f"start line {start!r}")
    for line in lines:
        if not _FIELD_LINE.fullmatch(line):
            raise UnsoundError(f"header line {line!r}")
    return Message(start, tuple(lines)), end + 4


def read_request_head(data: bytes) -> tuple[Message, int] | None:
    return read_head(data, _REQUEST_LINE)


def read_request(data: bytes) -> tuple[Message, int] | None:
    """The first request in `data` and its length; None where it has not come whole yet."""
    read = read_head(data, _REQUEST_LINE)
    if read is None:
        return None
    head, start = read
    end = _body_end(head, data, start, without=start)
    return _message(head, data, start, end)


def read_response(data: bytes, method: bytes = b"GET", *, ended: bool = False) -> tuple[Message, int] | None:
    """The first answer in `data`, interim ones included; `ended` says that nothing follows `data`."""
    read = read_head(data, _STATUS_LINE)
    if read is None:
        return None
    head, start = read
    if method == b"HEAD" or head.status < 200 or head.status in {204, 304}:
        return head, start
    end = _body_end(head, data, start, without=len(data) if ended else None)
    return _message(head, data, start, end)


def _message(head: Message, data: bytes, start: int, end: int | None) -> tuple[Message, int] | None:
    if end is None:
        return None
    return Message(head.start, head.lines, bytes(data[start:end])), end


def _body_end(head: Message, data: bytes, start: int, *, without: int | None) -> int | None:
    """Where the body ends, None where that is still to come; `without` is its end where no line frames it."""
    coding, length = head.value(b"transfer-encoding"), head.value(b"content-length")
    if coding is not None:
        if length is not None or coding != b"chunked":
            raise UnsoundError(f"Transfer-Encoding {coding!r}, Content-Length {length!r}")
        return _chunks_end(data, start)
    if length is None:
        return without
    if not length.isdigit():
        raise UnsoundError(f"Content-Length {length!r}")
    end = start + int(length)
    return end if end <= len(data) else None


def _chunks_end(data: bytes, position: int) -> int | None:
    while (line_end := data.find(b"\r\n", position)) >= 0:
        line = data[position:line_end]
        if not _CHUNK_SIZE.fullmatch(line):
            raise UnsoundError(f"chunk size {line!r}")
        position = line_end + 2
        size = int(line, 16)
        if size == 0:
            return _trailers_end(data, position)
        if len(data) < position + size + 2:
            return None
        if data[position + size : position + size + 2] != b"\r\n":
            raise UnsoundError("no CRLF behind a chunk")
        position += size + 2
    return None


def _trailers_end(data: bytes, position: int) -> int | None:
    if data[position : position + 2] == b"\r\n":
        return position + 2
    end = data.find(b"\r\n\r\n", position)
    return None if end < 0 else end + 4
