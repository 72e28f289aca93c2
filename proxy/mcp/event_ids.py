"""The ids of events on a stream, sealed on their way to the client (WHATWG HTML, section 9.2.6).

A client that lost its stream names the last id that it saw, and the server goes on from there. Many servers
keep the events of all sessions in one store and look at nothing but that id: it is worth what a session is.
Knows lines alone: an `id` line is rewritten, every other byte passes as it comes. One that cannot be sealed
passes, too: it opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.mcp.sessions import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE_ENDS = (b"\n", b"\r")
_FIELD = b"id:"


class EventIds:
    """Rewrites one stream; `seal` returns what stands for an id of 1 to `LONGEST` bytes."""

    __slots__ = ("_held", "_inside", "_seal", "whole")

    def __init__(self, seal: Callable[[bytes], bytes]) -> None:
        self.whole: int | None = None
        self._seal = seal
        self._held = b""  # a line that has begun, and may be an id's
        self._inside = False  # a line that has begun, and is none

    def feed(self, data: bytes) -> bytes | None:
        """As `Transform.feed`."""
        if not self._held and b"i" not in data:
            if data:
                self._inside = not data.endswith(_LINE_ENDS)
            return data
        out: list[bytes] = []
        # Of bytes, splitlines splits at CR, LF and CRLF alone.
        for piece in data.splitlines(keepends=True):
            ended = piece.endswith(_LINE_ENDS)
            if self._inside:
                out.append(piece)
                self._inside = not ended
                continue
            line = self._held + piece
            if ended:
                self._held = b""
                out.append(self._rewritten(line))
            elif _FIELD.startswith(line[: len(_FIELD)]) and len(line) <= LONGEST:
                self._held = line
            else:
                self._held = b""
                self._inside = True
                out.append(line)
        return b"".join(out)

    def end(self) -> bytes:
        """As `Transform.end`: an event that is unfinished is none."""
        return b""

    def _rewritten(self, line: bytes) -> bytes:
        text = line.rstrip(b"\r\n")
        field, _, value = text.partition(b":")
        value = value.removeprefix(b" ")
        if field != b"id" or not 0 < len(value) <= LONGEST:
            return line
        return b"id: " + self._seal(value) + line[len(text) :]
