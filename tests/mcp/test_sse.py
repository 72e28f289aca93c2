"""Streams cut into events: every row is a stream, and the events in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.mcp.sse import Event, Events

LIMIT = 1000

# Each is a stream, and what is dispatched of it, by the standard: name and data.
STREAMS = [
    pytest.param(b"data: a\n\n", [(b"message", b"a")], id="one line of data"),
    pytest.param(b"data: a\r\n\r\n", [(b"message", b"a")], id="lines that end in CRLF"),
    pytest.param(b"data: a\r\r", [(b"message", b"a")], id="lines that end in CR"),
    pytest.param(
        b"data: a\r\n\ndata: b\n\r\n", [(b"message", b"a"), (b"message", b"b")], id="line ends that differ"
    ),
    pytest.param(
        b"data: a\n\rdata: b\r\n\r", [(b"message", b"a"), (b"message", b"b")], id="LF CR is two line ends"
    ),
    pytest.param(b"data: a\ndata: b\n\n", [(b"message", b"a\nb")], id="two lines of data"),
    pytest.param(
        b"data\n\ndata\ndata\n\ndata:", [(b"message", b""), (b"message", b"\n")], id="fields without a colon"
    ),
    pytest.param(
        b"data:a\n\ndata: a\n\n", [(b"message", b"a")] * 2, id="one space after the colon is not the value's"
    ),
    pytest.param(b"data:  a \n\n", [(b"message", b" a ")], id="another space is"),
    pytest.param(b"data: a: b\n\n", [(b"message", b"a: b")], id="a colon in the value"),
    pytest.param(b"event: x\ndata: a\n\n", [(b"x", b"a")], id="a named event"),
    pytest.param(b"data: a\nevent: x\nevent: y\n\n", [(b"y", b"a")], id="the last name holds"),
    pytest.param(b"event: x\nevent\ndata: a\n\n", [(b"message", b"a")], id="an empty name is none"),
    pytest.param(b"event: x\n\ndata: a\n\n", [(b"message", b"a")], id="a name without data names nothing"),
    pytest.param(b"id: 1\nretry: 5\ndata: a\n\n", [(b"message", b"a")], id="id and retry"),
    pytest.param(b"id: 1\n\nretry: 5\n\n", [], id="an id and a time alone"),
    pytest.param(b": hi\n\n: hi\r\n:\r\r", [], id="comments"),
    pytest.param(b"data: a\n: hi\ndata: b\n\n", [(b"message", b"a\nb")], id="a comment within an event"),
    pytest.param(b"\n\r\n\r\n\r\rdata: a\n\n", [(b"message", b"a")], id="empty lines"),
    pytest.param(b" data: a\n\nDATA: a\n\ndata : a\n\n", [], id="names that are no field's"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [(b"message", b"a")], id="a byte order mark"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="a second one belongs to the line"),
    pytest.param(b"\xef\xbbdata: a\n\n", [], id="half a mark belongs to the line"),
    pytest.param(b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [(b"message", b"a")], id="a mark that comes later"),
    pytest.param(b"\xef\xbb\xbf\ndata: a\n\n", [(b"message", b"a")], id="a mark and an empty line"),
    pytest.param(b"data: a\n\ndata: b\n", [(b"message", b"a")], id="an event that is not finished"),
    pytest.param(
        b"data: \xff\x00\xe2\x80\xa8\x0b\x0c\x85\n\n",
        [(b"message", b"\xff\x00\xe2\x80\xa8\x0b\x0c\x85")],
        id="what ends no line",
    ),
    pytest.param(b"", [], id="nothing"),
]


def cut(pieces: list[bytes], limit: int = LIMIT) -> list[Event] | None:
    """All that comes of a stream; None where it is cut off."""
    events = Events(limit)
    found: list[Event] = []
    for piece in pieces:
        whole = events.cut(piece)
        if whole is None:
            return None
        found += whole
    return found


def dispatched(events: list[Event]) -> list[tuple[bytes, bytes]]:
    return [(event.name, event.data) for event in events if event.data is not None]


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("stream", "expected"), STREAMS)
def test_what_is_dispatched(stream: bytes, expected: list[tuple[bytes, bytes]], trickle: bool) -> None:
    pieces = [stream[i : i + 1] for i in range(len(stream))] if trickle else [stream]
    events = cut(pieces)
    assert events is not None
    assert dispatched(events) == expected


AT_ONCE = [
    pytest.param([b": hi\n"], [b": hi\n"], id="a comment, without an empty line"),
    pytest.param([b": hi", b"\n"], [b"", b": hi\n"], id="a comment, once it is whole"),
    pytest.param([b"\n"], [b"\n"], id="an empty line"),
    pytest.param([b"\xef\xbb", b"\xbf"], [b"", b"\xef\xbb\xbf"], id="a byte order mark, once it is whole"),
    pytest.param([b"data: a\n", b"\n"], [b"", b"data: a\n\n"], id="an event, once it is whole"),
    pytest.param([b"data: a\n\n", b": hi\n\n"], [b"data: a\n\n", b": hi\n\n"], id="an event and a comment"),
    pytest.param(
        [b"data: a\n", b": hi\n", b"\n"],
        [b"", b"", b"data: a\n: hi\n\n"],
        id="a comment within an event waits",
    ),
    pytest.param(
        [b"data: a\r\r", b"\n"], [b"data: a\r\r", b"\n"], id="CR ends an event before its LF has come"
    ),
    pytest.param(
        [b"data: a\r", b"\n", b"\r\n"], [b"", b"", b"data: a\r\n\r\n"], id="an LF whose CR came before"
    ),
    pytest.param([b": hi\r", b"", b"\n"], [b": hi\r", b"", b"\n"], id="a comment before its LF has come"),
    pytest.param([b"data: a\r", b"\r"], [b"", b"data: a\r\r"], id="two CRs"),
    pytest.param([b"data: a\n\ndata: b", b"\n\n"], [b"data: a\n\n", b"data: b\n\n"], id="a piece and a half"),
]


@pytest.mark.parametrize(("pieces", "passed"), AT_ONCE)
def test_what_passes_at_once(pieces: list[bytes], passed: list[bytes]) -> None:
    events = Events(LIMIT)
    assert [b"".join(event.raw for event in events.cut(piece) or ()) for piece in pieces] == passed


RECOMPOSED = [
    pytest.param(b"data: a\n\n", b"x", b"data: x\n\n", id="one line"),
    pytest.param(b"data:a\r\n\r\n", b"x", b"data: x\r\n\r\n", id="its line ends"),
    pytest.param(b"data: a\r\r", b"x\ny", b"data: x\rdata: y\r\r", id="more lines than there were"),
    pytest.param(b"data: a\ndata: b\n\n", b"x", b"data: x\n\n", id="fewer lines than there were"),
    pytest.param(
        b"id: 1\n: hi\nevent: e\ndata: a\nretry: 2\ndata: b\nnew: c\n\n",
        b"x",
        b"id: 1\n: hi\nevent: e\ndata: x\nretry: 2\nnew: c\n\n",
        id="every other line as it came",
    ),
    pytest.param(b"data: a\n\n", b"", b"data: \n\n", id="no data at all"),
]


@pytest.mark.parametrize(("came", "data", "left"), RECOMPOSED)
def test_an_event_with_other_data(came: bytes, data: bytes, left: bytes) -> None:
    events = Events(LIMIT).cut(came)
    assert events is not None
    assert [event.with_data(data) for event in events] == [left]


BOUNDS = [
    pytest.param(b"data: abc\n\n", 10, True, id="an event of the limit"),
    pytest.param(b"data: abc\n\n", 9, False, id="an event over the limit"),
    pytest.param(b"data: abc\r\n\r\n", 11, True, id="an event of the limit, in CRLF"),
    pytest.param(b"data: abc\r\n\r\n", 10, False, id="an event over the limit, in CRLF"),
    pytest.param(b"data: abc", 9, True, id="an unfinished event of the limit"),
    pytest.param(b"data: abc", 8, False, id="an unfinished event over the limit"),
    pytest.param(b"data: a\n\n" * 100, 8, True, id="many events within it"),
    pytest.param(b"data: a\n\n" * 100 + b"data: ab\n\n", 8, False, id="one among many over it"),
    pytest.param(b": abc\n", 5, True, id="a comment of the limit"),
    pytest.param(b": abc\n", 4, False, id="a comment over the limit"),
    pytest.param(b": abc", 4, False, id="an unfinished comment over the limit"),
]


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("stream", "limit", "passes"), BOUNDS)
def test_events_are_bounded(stream: bytes, limit: int, passes: bool, trickle: bool) -> None:
    pieces = [stream[i : i + 1] for i in range(len(stream))] if trickle else [stream]
    assert (cut(pieces, limit) is not None) is passes


# ---- whatever the stream is, and however it is split -------------------------------------------------------

_PIECES = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b"data: a",
            b"data",
            b":",
            b": hi",
            b"event: e",
            b"id: 1",
            b"x",
            b" ",
            b"\xef\xbb\xbf",
            b"\xef",
        ]
    ),
    max_size=30,
)


def _reference(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Read a whole stream as the standard says it, word for word."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found, name, data = [], b"", b""
    for line in lines:
        if not line:
            if data:
                found.append((name or b"message", data[:-1]))
            name, data = b"", b""
            continue
        field, colon, value = line.partition(b":")
        if colon and value[:1] == b" ":
            value = value[1:]
        if field == b"event":
            name = value
        elif field == b"data":
            data += value + b"\n"
    return found


@given(_PIECES)
@example([b"\xef\xbb\xbf", b"\n"])
def test_any_split_of_a_stream_gives_the_same(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)
    for split in (pieces, [stream], [stream[i : i + 1] for i in range(len(stream))]):
        events = cut(split)
        assert events is not None
        assert dispatched(events) == _reference(stream)
        passed = b"".join(event.raw for event in events)
        assert stream.startswith(passed)
        # Nothing was kept back that the standard would dispatch, and a client may stop at any event.
        assert _reference(passed) == _reference(stream)


@given(_PIECES, st.integers(0, 12))
def test_any_split_of_a_stream_is_bounded_alike(pieces: list[bytes], limit: int) -> None:
    stream = b"".join(pieces)
    whole = cut([stream], limit)
    assert (cut(pieces, limit) is None) is (whole is None)
    assert (cut([stream[i : i + 1] for i in range(len(stream))], limit) is None) is (whole is None)


@given(_PIECES, st.text("ab\n", max_size=5))
def test_other_data_changes_nothing_else(pieces: list[bytes], text: str) -> None:
    data = text.encode()
    for event in cut(pieces) or ():
        if event.data is not None:
            again = Events(LIMIT).cut(event.with_data(data))
            assert again is not None
            assert dispatched(again) == [(event.name, data)]
            assert bare(event.with_data(event.data)) == bare(event.raw)


def bare(event: bytes) -> bytes:
    """An event without its data fields' names; which line end each data line had is nobody's to keep."""
    event = re.sub(rb"\r\n?", b"\n", event)
    return event.replace(b"data: ", b"").replace(b"data:", b"").replace(b"data", b"")


def test_a_long_event_in_many_pieces_is_not_read_again_and_again() -> None:
    events = Events(4 << 20)
    for _ in range(1 << 15):
        assert events.cut(b"x" * 64) == []
    assert events.cut(b"\n\n") != []
