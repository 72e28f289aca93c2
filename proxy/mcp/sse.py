"""Server-sent events: a stream of bytes cut into whole events (WHATWG HTML, section 9.2).

Knows the framing alone. A line ends in CR, LF or CRLF; an event ends at its empty line. What belongs to no
event (comments, keep-alives, the byte order mark) passes at once. An event that is unfinished when the stream
ends never was one.
"""

from __future__ import annotations

import re

from msgspec import Struct

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n)")
_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"
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
        new: bytes | None = data
        for line, end in _LINE.findall(self.raw):
            if _field(line)[0] != b"data":
                out += line, end
            elif new is not None:
                for piece in new.split(b"\n"):
                    out += b"data: ", piece, end
                new = None
        return b"".join(out)


class Events:
    """Cuts one stream into events of at most `limit` bytes each, however it was split on the way."""

    __slots__ = ("_after_cr", "_begun", "_held", "_limit", "_line", "_scanned", "_started")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._started = False  # a byte order mark can no longer come
        self._begun = False  # what is held has lines of an event
        self._line = 0  # where the unfinished line begins
        self._scanned = 0  # up to where it is known to have no end
        self._after_cr = False  # an LF that comes next still belongs to the line before

    def cut(self, data: bytes) -> list[Event] | None:
        """Return what is whole now; None where something is over the limit: the stream then ends."""
        held = self._held
        held += data
        if not self._started and len(held) < len(_MARK) and _MARK.startswith(bytes(held)):
            return []
        events: list[Event] = []
        start = self._skip(events)
        while (end := _END.search(held, self._scanned)) is not None:
            if end.start() - start > self._limit:
                return None
            empty = end.start() == self._line
            comment = held.startswith(b":", self._line)
            self._line = self._scanned = end.end()
            self._after_cr = end.end() == len(held) and held.endswith(b"\r")
            if empty or (comment and not self._begun):
                events.append(_read(bytes(held[start : end.end()])))
                self._begun = False
                start = end.end()
            else:
                self._begun = True
        del held[:start]
        self._line -= start
        self._scanned = len(held)
        return None if len(held) > self._limit else events

    def _skip(self, events: list[Event]) -> int:
        """Step over what is no line: the mark at the start, and the LF of a CRLF whose CR came before.

        Returns where what has not passed yet begins.
        """
        held, skipped = self._held, b""
        if not self._started:
            self._started = True
            skipped = _MARK
        elif self._after_cr and self._line < len(held):
            self._after_cr = False
            skipped = b"\n"
        if not skipped or not held.startswith(skipped, self._line):
            return 0
        self._line = self._scanned = self._line + len(skipped)
        if self._begun:
            return 0
        events.append(Event(skipped))
        return self._line


def _read(raw: bytes) -> Event:
    """Read the lines of one event, or of none."""
    name = b""
    data: list[bytes] = []
    for line, _ in _LINE.findall(raw):
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
