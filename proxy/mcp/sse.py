"""Server-sent events: a stream of bytes cut into whole events (WHATWG HTML, section 9.2).

Knows the framing alone. A line ends in CR, LF or CRLF; an event ends at its empty line. What belongs to no
event (comments, keep-alives, the byte order mark) passes at once. An event that is unfinished when the stream
ends never was one.
"""

from __future__ import annotations

from msgspec import Struct

_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")
_EMPTY_LINES = frozenset({b"\n", b"\r", b"\r\n"})
_MESSAGE = b"message"


class Event(Struct, frozen=True, gc=False):
    """Something whole on a stream; a client may lose the connection behind it.

    `raw` is its bytes as they came, line ends included. `name` is the event's type. `data` is its data lines,
    joined by LF; None where there is nothing to dispatch.
    """

    raw: bytes
    name: bytes = _MESSAGE
    data: bytes | None = None

    def with_data(self, data: bytes) -> bytes:
        """Return its bytes with other data in place of its own; every other line is as it came."""
        out: list[bytes] = []
        pieces = data.split(b"\n")
        for line in self.raw.splitlines(keepends=True):
            text = line.rstrip(b"\r\n")
            if _field(text)[0] != b"data":
                out.append(line)
            else:
                out += [b"data: " + piece + line[len(text) :] for piece in pieces]
                pieces = []
        return b"".join(out)


class Events:
    """Cuts one stream into events of at most `limit` bytes each, however it was split on the way."""

    __slots__ = ("_after_cr", "_held", "_limit", "_mark", "_tail")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._mark: bytes | None = b""  # what may become a byte order mark; None: it no longer can
        self._held = bytearray()  # the lines of an event
        self._tail = bytearray()  # what there is of the next line
        self._after_cr = False

    def cut(self, data: bytes) -> list[Event] | None:
        """Return what is whole now; None where something is over the limit: the stream then ends."""
        events: list[Event] = []
        held, tail = self._held, self._tail
        # Of bytes, splitlines splits at CR, LF and CRLF alone.
        for piece in self._lines(data, events).splitlines(keepends=True):
            if not piece.endswith(_LINE_ENDS):
                tail += piece
                break
            line = piece
            if tail:
                line = bytes(tail + piece)
                tail.clear()
            if line not in _EMPTY_LINES and (held or not line.startswith(b":")):
                held += line
                continue
            if len(held) + len(line.rstrip(b"\r\n")) > self._limit:
                return None
            events.append(_read(bytes(held + line)) if held else Event(line))
            held.clear()
        return None if len(held) + len(tail) > self._limit else events

    def _lines(self, data: bytes, events: list[Event]) -> bytes:
        """Take away what is no line: the mark at the start, and the LF of a CRLF whose CR came before."""
        if not data:
            return data
        if self._mark is not None:
            data = self._mark + data
            if len(data) < len(_MARK) and _MARK.startswith(data):
                self._mark = data
                return b""
            self._mark = None
            if data.startswith(_MARK):
                events.append(Event(_MARK))
                data = data[len(_MARK) :]
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            if self._held:
                self._held += b"\n"
            else:
                events.append(Event(b"\n"))
        self._after_cr = data.endswith(b"\r")
        return data


def _read(raw: bytes) -> Event:
    """Read the lines of one event."""
    name = b""
    data: list[bytes] = []
    for line in raw.splitlines():
        field, value = _field(line)
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(raw, name or _MESSAGE, b"\n".join(data)) if data else Event(raw)


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Part a line into field and value; a comment has no field."""
    field, _, value = line.partition(b":")
    return field, value.removeprefix(b" ")
