"""Ids of events on a stream, however it is cut: each is sealed, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mcp.event_ids import EventIds

LONG = b"x" * 3057


def seal(value: bytes) -> bytes:
    return b"<%b>" % value


CASES = [
    pytest.param(b"id: 1\ndata: {}\n\n", b"id: <1>\ndata: {}\n\n", id="an id"),
    pytest.param(b"data: {}\nid:1\n\n", b"data: {}\nid: <1>\n\n", id="without a space, behind the data"),
    pytest.param(b"id: 1\r\ndata: {}\r\n\r\n", b"id: <1>\r\ndata: {}\r\n\r\n", id="lines that end in CRLF"),
    pytest.param(b"id: 1\rdata: {}\r\r", b"id: <1>\rdata: {}\r\r", id="lines that end in CR"),
    pytest.param(b"id:  1 \n\n", b"id: < 1 >\n\n", id="one space is taken off, no more"),
    pytest.param(b"id: a: b\n\n", b"id: <a: b>\n\n", id="a colon in it"),
    pytest.param(b"id: 1\nid: 2\n\n", b"id: <1>\nid: <2>\n\n", id="two of them"),
    pytest.param(b"id\n\n", b"id\n\n", id="one that takes the last back"),
    pytest.param(b"id:\n\nid: \n\n", b"id:\n\nid: \n\n", id="an empty one"),
    pytest.param(b"idx: 1\n i: 1\nID: 1\n\n", b"idx: 1\n i: 1\nID: 1\n\n", id="other fields"),
    pytest.param(b"data: id: 1\n: id: 1\n\n", b"data: id: 1\n: id: 1\n\n", id="inside other lines"),
    pytest.param(b"id: %b\n\n" % LONG, b"id: %b\n\n" % LONG, id="one that is too long to be sealed"),
    pytest.param(b"data: 1\n\nid: 2\n", b"data: 1\n\nid: <2>\n", id="a stream that ends behind an id"),
    pytest.param(b"data: 1\n\nid: 2", b"data: 1\n\n", id="a stream that ends inside an id"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000], ids="{} at once".format)
@pytest.mark.parametrize(("said", "told"), CASES)
def test_an_id_leaves_sealed(said: bytes, told: bytes, size: int) -> None:
    ids = EventIds(seal)
    parts = [ids.feed(said[start : start + size]) for start in range(0, len(said), size)]
    assert b"".join(part or b"" for part in parts) + ids.end() == told


def test_nothing_is_held_back_that_is_no_id() -> None:
    ids = EventIds(seal)
    assert ids.feed(b"data: part of a long li") == b"data: part of a long li"
    assert ids.feed(b"ne, and id: 7") == b"ne, and id: 7"
    assert ids.feed(b"\ni") == b"\n"
    assert ids.feed(b"d: 8\n") == b"id: <8>\n"


_LINES = st.lists(
    st.sampled_from([b"id", b":", b" ", b"7", b"\n", b"\r", b"\r\n", b"data", b"i", b"x"]), max_size=30
).map(b"".join)


@given(_LINES, st.integers(1, 5))
def test_how_a_stream_is_cut_makes_no_difference(stream: bytes, size: int) -> None:
    whole, cut = EventIds(seal), EventIds(seal)
    parts = [cut.feed(stream[start : start + size]) or b"" for start in range(0, len(stream), size)]
    assert b"".join(parts) == whole.feed(stream)
