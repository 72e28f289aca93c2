"""Bodies: where they end and what of them goes on, however the bytes are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.framing import Chunked, Malformed, Sized, UntilClose, request_framing, response_framing

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.wire.framing import Framing

BODIES = [
    pytest.param(lambda: Sized(0), b"next", b"", b"next", True, id="no bytes"),
    pytest.param(lambda: Sized(4), b"body", b"body", b"", True, id="a length"),
    pytest.param(lambda: Sized(4), b"bodynext", b"body", b"next", True, id="a length with more behind"),
    pytest.param(lambda: Sized(5), b"body", b"body", b"", False, id="a length of which some is missing"),
    pytest.param(UntilClose, b"body", b"body", b"", False, id="until the connection closes"),
    pytest.param(Chunked, b"0\r\n\r\n", b"0\r\n\r\n", b"", True, id="the last chunk alone"),
    pytest.param(Chunked, b"3\r\none\r\n0\r\n\r\n", b"3\r\none\r\n0\r\n\r\n", b"", True, id="one chunk"),
    pytest.param(
        Chunked,
        b"3\r\none\r\n0\r\n\r\nGET /",
        b"3\r\none\r\n0\r\n\r\n",
        b"GET /",
        True,
        id="chunks with more behind",
    ),
    pytest.param(
        Chunked,
        b"1\r\na\r\n2\r\n\r\n\r\n0\r\n\r\n",
        b"1\r\na\r\n2\r\n\r\n\r\n0\r\n\r\n",
        b"",
        True,
        id="a chunk of CRLF",
    ),
    pytest.param(
        Chunked,
        b"0A\r\n0123456789\r\n00\r\n\r\n",
        b"0A\r\n0123456789\r\n00\r\n\r\n",
        b"",
        True,
        id="leading zeros",
    ),
    pytest.param(
        Chunked, b"0\r\nDigest: x\r\nA: b\r\n\r\nnext", b"0\r\n\r\n", b"next", True, id="trailers are dropped"
    ),
    pytest.param(Chunked, b"5\r\nhel", b"5\r\nhel", b"", False, id="a chunk of which some is missing"),
    pytest.param(Chunked, b"3\r\none\r", b"3\r\none\r", b"", False, id="a chunk whose end is missing"),
    pytest.param(
        Chunked, b"3\r\none\r\n0\r", b"3\r\none\r\n", b"", False, id="a size of which some is missing"
    ),
    pytest.param(Chunked, b"0\r\nDigest: x\r\n", b"0\r\n", b"", False, id="trailers that have not ended"),
    pytest.param(
        lambda: Chunked(decode=True),
        b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\nnext",
        b"onetwo",
        b"next",
        True,
        id="decoded",
    ),
    pytest.param(
        lambda: Chunked(decode=True), b"0\r\nA: b\r\n\r\n", b"", b"", True, id="trailers decoded to nothing"
    ),
]

BROKEN_CHUNKS = [
    pytest.param(data, id=name)
    for data, name in [
        (b"\r\n", "an empty size"),
        (b"g\r\n", "a size that is no number"),
        (b"3 \r\n", "a space behind a size"),
        (b"3;a=b\r\n", "an extension"),
        (b"3\nabc", "a size that ends in LF"),
        (b"1234567890abcdef0", "a size that is too long, before its end has come"),
        (b"3\r\nonex", "a chunk that is too long"),
        (b"3\r\none\rx", "a chunk that ends in CR"),
        (b"0\r\nA : b\r\n", "a space in a trailer's name"),
        (b"0\r\nA: \x00\r\n", "a NUL in a trailer"),
        (b"0\r\n A: b\r\n", "a folded trailer"),
        (b"0\r\nA: b\nB: c", "a bare LF in a trailer, before its end has come"),
        (b"0\r\nA: " + b"b" * 5000, "a trailer that is too long, before its end has come"),
        (b"0\r\nA: " + b"b" * 5000 + b"\r\n\r\n", "a trailer that is too long"),
        (b"0\r\n" + b"A: b\r\n" * 65, "too many trailers"),
    ]
]


def taken(framing: Framing, data: bytes, *, size: int) -> tuple[bytes, bytes]:
    """What goes on and what lies behind, with the data given in pieces of `size`."""
    out, rest = b"", b""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        if framing.done:
            rest += piece
        else:
            went, rest = framing.take(piece)
            out += went
    return out, rest


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(("framing", "data", "out", "rest", "done"), BODIES)
def test_bodies(
    framing: Callable[[], Framing], data: bytes, out: bytes, rest: bytes, done: bool, size: int
) -> None:
    made = framing()
    assert taken(made, data, size=size) == (out, rest)
    assert made.done is done


@pytest.mark.parametrize("size", [1, 2, 3, 10000])
@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("data", BROKEN_CHUNKS)
def test_broken_chunks(data: bytes, decode: bool, size: int) -> None:
    with pytest.raises(Malformed):
        taken(Chunked(decode=decode), data, size=size)


@given(
    data=st.lists(st.sampled_from([b"1", b"a", b"0", b"\r\n", b"\r", b"\n", b"A: b", b";"]), max_size=16),
    cut=st.integers(1, 5),
)
def test_how_bytes_are_cut_changes_nothing(data: list[bytes], cut: int) -> None:
    whole = b"".join(data)
    assert _outcome(whole, size=cut) == _outcome(whole, size=1000)


@given(chunks=st.lists(st.binary(min_size=1, max_size=40)), cut=st.integers(1, 50))
def test_chunks_decode_to_their_content(chunks: list[bytes], cut: int) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\nnext"
    assert taken(Chunked(decode=True), data, size=cut) == (b"".join(chunks), b"next")
    assert taken(Chunked(), data, size=cut) == (data.removesuffix(b"next"), b"next")


def _outcome(data: bytes, *, size: int) -> object:
    framing = Chunked()
    try:
        out, rest = taken(framing, data, size=size)
    except Malformed:
        return "malformed"
    return out, rest, framing.done


NO_BODY = "no body"
NONE = frozenset[bytes]()
LENGTH, CODING = b"content-length", b"transfer-encoding"

REQUESTS = [
    pytest.param({}, NONE, False, NO_BODY, id="neither length nor coding"),
    pytest.param({LENGTH: b"0"}, NONE, False, NO_BODY, id="a length of zero"),
    pytest.param({LENGTH: b"4"}, NONE, True, Sized, id="a length on HTTP/1.0"),
    pytest.param({LENGTH: b"9" * 18}, NONE, False, Sized, id="a length of 18 digits"),
    pytest.param({LENGTH: b"9" * 19}, NONE, False, Malformed, id="a length of 19 digits"),
    pytest.param({LENGTH: b"4, 4"}, frozenset({LENGTH}), False, Malformed, id="two lengths"),
    pytest.param({LENGTH: b"4"}, frozenset({LENGTH}), False, Malformed, id="two lengths, one of them empty"),
    pytest.param({LENGTH: b""}, NONE, False, Malformed, id="an empty length"),
    pytest.param({LENGTH: "٤".encode()}, NONE, False, Malformed, id="a length of another script's digit"),
    pytest.param({LENGTH: b"4\n"}, NONE, False, Malformed, id="a length with a line end"),
    pytest.param({CODING: b"chunked"}, NONE, False, Chunked, id="chunked"),
    pytest.param({CODING: b"Chunked"}, NONE, False, Chunked, id="chunked in another case"),
    pytest.param({CODING: b"chunked"}, NONE, True, Malformed, id="chunked on HTTP/1.0"),
    pytest.param({CODING: b"chunked"}, frozenset({CODING}), False, Malformed, id="two codings"),
    pytest.param({CODING: b"gzip"}, NONE, False, Malformed, id="another coding"),
    pytest.param({CODING: b"chunked", LENGTH: b"4"}, NONE, False, Malformed, id="a coding and a length"),
]

RESPONSES = [
    pytest.param("GET", 200, {}, False, UntilClose, id="neither length nor coding"),
    pytest.param("GET", 200, {LENGTH: b"4"}, False, Sized, id="a length"),
    pytest.param("GET", 200, {CODING: b"chunked"}, False, Chunked, id="chunked"),
    pytest.param("GET", 200, {CODING: b"chunked"}, True, Malformed, id="chunked on HTTP/1.0"),
    pytest.param("HEAD", 200, {LENGTH: b"4"}, False, NO_BODY, id="HEAD"),
    pytest.param("HEAD", 200, {}, False, NO_BODY, id="HEAD without a length"),
    pytest.param("HEAD", 200, {CODING: b"gzip"}, False, Malformed, id="HEAD with another coding"),
    pytest.param("GET", 204, {LENGTH: b"4"}, False, NO_BODY, id="204 with a length"),
    pytest.param("GET", 304, {LENGTH: b"4"}, False, NO_BODY, id="304 with a length"),
    pytest.param("GET", 304, {LENGTH: b"x"}, False, Malformed, id="304 with a length that is none"),
    pytest.param("GET", 205, {}, False, UntilClose, id="205 like any other"),
]


@pytest.mark.parametrize(("fields", "repeated", "http10", "expected"), REQUESTS)
def test_request_framing(
    fields: dict[bytes, bytes], repeated: frozenset[bytes], http10: bool, expected: object
) -> None:
    if expected is Malformed:
        with pytest.raises(Malformed):
            request_framing(fields, repeated, http10=http10)
    else:
        assert _kind(request_framing(fields, repeated, http10=http10)) is expected


@pytest.mark.parametrize(("method", "status", "fields", "http10", "expected"), RESPONSES)
def test_response_framing(
    method: str, status: int, fields: dict[bytes, bytes], http10: bool, expected: object
) -> None:
    if expected is Malformed:
        with pytest.raises(Malformed):
            response_framing(method, status, fields, NONE, http10=http10, decode=False)
    else:
        assert _kind(response_framing(method, status, fields, NONE, http10=http10, decode=False)) is expected


def _kind(framing: Framing) -> object:
    return NO_BODY if framing.done else type(framing)


BETWEEN = [
    pytest.param(b"", True, id="before the first chunk"),
    pytest.param(b"3", False, id="within a size"),
    pytest.param(b"3\r\non", False, id="within a chunk"),
    pytest.param(b"3\r\none\r", False, id="within a chunk's end"),
    pytest.param(b"3\r\none\r\n", True, id="behind a chunk"),
    pytest.param(b"3\r\none\r\n0\r\n", False, id="behind the last chunk"),
]


@pytest.mark.parametrize(("data", "between"), BETWEEN)
def test_where_a_stream_may_be_ended(data: bytes, between: bool) -> None:
    body = Chunked()
    body.take(data)
    assert body.between_chunks is between
