"""The body of an answer: cut by the upstream's framing, changed where asked, framed for the client.

Pure: takes bytes, returns bytes. Knows no reason why anything is changed. Without a transform the bytes go on
as they came, chunks and all; with one only their content does, in chunks of our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.wire.framing import Chunked, Malformed, UntilClose

if TYPE_CHECKING:
    from proxy.model import Note, Transform
    from proxy.wire.framing import Framing

LAST_CHUNK = b"0\r\n\r\n"
# A whole event, and the chunk that it ends.
_ENDS = (b"\n\n\r\n", b"\r\r\r\n", b"\r\n\r\n\r\n")


class AnswerBody(Protocol):
    """One answer's body on its way through."""

    done: bool
    """All of it has come."""

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what goes to the client for `data`, and whether bytes lie behind this body.

        Raises:
            Malformed: the bytes are no such body, or must not go on.
        """

    def closed(self) -> bytes | None:
        """Return what goes to the client where the upstream has closed; None where more was to come.

        Raises:
            Malformed: as above.
        """

    def cut(self, note: Note) -> bytes | None:
        """Return what ends a stream here, and says why where that is possible.

        None where only the end of the connection can end it.
        """


class AsItCame:
    """A body that nothing is changed in. `chunks`: the client can read them."""

    __slots__ = ("_chunks", "_framing", "_tail", "_wraps", "done")

    def __init__(self, framing: Framing, *, chunks: bool) -> None:
        self._framing = framing
        self._chunks = chunks
        self._wraps = chunks and isinstance(framing, UntilClose)
        self._tail = b""
        self.done = framing.done

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """As `AnswerBody.take`."""
        out, surplus = self._framing.take(data)
        self.done = self._framing.done
        if self._wraps:
            out = _chunk(out)
        self._tail = out[-6:]
        return out, bool(surplus)

    def closed(self) -> bytes | None:
        """As `AnswerBody.closed`."""
        if not isinstance(self._framing, UntilClose):
            return None
        return LAST_CHUNK if self._wraps else b""

    def cut(self, note: Note) -> bytes | None:
        """As `AnswerBody.cut`."""
        framing = self._framing
        between = self._wraps or (isinstance(framing, Chunked) and framing.between_chunks)
        if not between or not self._chunks:
            return None
        whole = not self._tail or self._tail.endswith(_ENDS)
        return _chunk(_comment(note)) + LAST_CHUNK if whole else LAST_CHUNK


class Changed:
    """A body that a transform changes as it comes; the client gets it in `chunks` where it can read them."""

    __slots__ = ("_chunks", "_framing", "_transform", "done")

    def __init__(self, framing: Framing, transform: Transform, *, chunks: bool) -> None:
        self._framing = framing
        self._transform = transform
        self._chunks = chunks
        self.done = False

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """As `AnswerBody.take`."""
        content, surplus = self._framing.take(data)
        out = self._framed(self._transform.feed(content)) if content else b""
        if self._framing.done:
            self.done = True
            out += self._end()
        return out, bool(surplus)

    def closed(self) -> bytes | None:
        """As `AnswerBody.closed`."""
        return self._end() if isinstance(self._framing, UntilClose) else None

    def cut(self, note: Note) -> bytes | None:
        """As `AnswerBody.cut`."""
        return _chunk(_comment(note)) + LAST_CHUNK if self._chunks else None

    def _end(self) -> bytes:
        return self._framed(self._transform.end()) + (LAST_CHUNK if self._chunks else b"")

    def _framed(self, content: bytes | None) -> bytes:
        if content is None:
            raise Malformed
        return _chunk(content) if self._chunks else content


class Whole:
    """A body that is collected first, `most` bytes of it, and changed in one piece; it then has a length."""

    __slots__ = ("_framing", "_left", "_parts", "_transform", "done")

    def __init__(self, framing: Framing, transform: Transform, most: int) -> None:
        self._framing = framing
        self._transform = transform
        self._parts: list[bytes] = []
        self._left = most
        self.done = False

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """As `AnswerBody.take`; nothing until all of it has come."""
        content, surplus = self._framing.take(data)
        self._left -= len(content)
        if self._left < 0:
            raise Malformed
        self._parts.append(content)
        return (self._end() if self._framing.done else b""), bool(surplus)

    def closed(self) -> bytes | None:
        """As `AnswerBody.closed`."""
        return self._end() if isinstance(self._framing, UntilClose) else None

    def cut(self, note: Note) -> bytes | None:
        """As `AnswerBody.cut`: it is no stream."""
        del note
        return None

    def _end(self) -> bytes:
        out = self._transform.feed(b"".join(self._parts))
        if out is None:
            raise Malformed
        self.done = True
        return out


def _comment(note: Note) -> bytes:
    """Return a comment in a stream of events: clients leave it unread, people see it."""
    return b": %b\n\n" % note.encode()


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content) if content else b""
