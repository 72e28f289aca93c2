"""Requests whose body has more than one end, or none: refused, closed upon, and nothing behind is ever read.

RFC 9112 sections 6 and 7; CVE-2023-25725, CVE-2023-37276, CVE-2024-52304, CVE-2025-43859, CVE-2025-53643.
"""

from __future__ import annotations

import pytest

from tests.wire.exchanges.table import HOST, Exchange, Refused, chunked, get, http, post_chunked

_MALFORMED = Refused(400, "request_malformed", closes=True)


def _broken(sent: bytes) -> Exchange:
    """Refused, closed upon, and nothing of it arrives whole."""
    return Exchange(sent, (), (_MALFORMED,), closes=True)


def _length(value: str) -> Exchange:
    return _broken(http("POST / HTTP/1.1", HOST, f"Content-Length: {value}", body=b"body"))


def _coding(*lines: str) -> Exchange:
    return _broken(http("POST / HTTP/1.1", HOST, *lines, body=chunked(b"body")))


def _chunks(body: bytes) -> Exchange:
    # What follows would be a request of its own, were the body read otherwise.
    return _broken(post_chunked(body + b"\r\n0\r\n\r\n" + get("/smuggled")))


LENGTHS = [
    pytest.param(_length(value), id=f"Content-Length {name}")
    for value, name in [
        ("+4", "with a plus"),
        ("-4", "below zero"),
        ("-0", "of minus zero"),
        ("0x4", "in hexadecimal"),
        ("4 4", "of two words"),
        ("4 ,", "with a comma behind"),
        ("4,4", "as a list of equals"),
        ("4, 5", "as a list"),
        ("", "of nothing"),
        ("four", "in words"),
        ("4b", "with a letter behind"),
        ("4.0", "with a fraction"),
        ("1e1", "with an exponent"),
        ("1_0", "with an underscore"),
        ('"4"', "in quotes"),
        ("\xef\xbc\x94", "of a full-width digit"),
        ("\xb2", "of a superscript digit"),
        ("99999999999999999999", "beyond 64 bits"),
        ("18446744073709551620", "that wraps around to 4"),
    ]
]

FRAMINGS = [
    pytest.param(
        _coding("Content-Length: 15", "Transfer-Encoding: chunked"), id="a length and then a coding"
    ),
    pytest.param(
        _coding("Transfer-Encoding: chunked", "Content-Length: 15"), id="a coding and then a length"
    ),
    pytest.param(
        _coding("Content-Length: 0", "Transfer-Encoding: chunked"), id="a length of zero and a coding"
    ),
    pytest.param(
        _coding("Transfer-Encoding: chunked", "Content-Length: "), id="a coding and an empty length"
    ),
    pytest.param(_coding("Content-Length: 15", "Content-Length: 15"), id="two equal lengths"),
    pytest.param(_coding("Content-Length: 15", "content-length: 0"), id="two unequal lengths"),
    pytest.param(_coding("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), id="two codings"),
    pytest.param(
        _coding("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), id="two different codings"
    ),
    pytest.param(
        _coding("Transfer-Encoding: chunked", "transfer-encoding: identity"), id="a coding and its denial"
    ),
    *[
        pytest.param(_coding(f"Transfer-Encoding: {value}"), id=f"Transfer-Encoding {name}")
        for value, name in [
            ("gzip", "gzip"),
            ("gzip, chunked", "gzip and chunked"),
            ("chunked, gzip", "chunked and gzip"),
            ("chunked, chunked", "chunked twice"),
            ("identity", "identity"),
            ("identity, chunked", "identity and chunked"),
            ("", "of nothing"),
            ("chunked,", "with a comma behind"),
            (",chunked", "with a comma before"),
            ("chunked;q=1", "with a parameter"),
            ("xchunked", "with a letter before"),
            ("chunkedx", "with a letter behind"),
            ('"chunked"', "in quotes"),
            ("chunked\x0b", "with a vertical tab"),
            ("chun\xe2\x84\xaaed", "with a Kelvin sign for k"),
            ("\x00chunked", "with a NUL"),
        ]
    ],
    pytest.param(
        _broken(http("POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked", body=chunked(b"body"))),
        id="a coding on HTTP/1.0",
    ),
    pytest.param(
        _broken(
            http(
                "POST / HTTP/1.0",
                HOST,
                "Connection: keep-alive",
                "Content-Length: 4",
                "Transfer-Encoding: chunked",
                body=chunked(b"body"),
            )
        ),
        id="a coding and a length on HTTP/1.0",
    ),
    pytest.param(_coding("Transfer-Encoding : chunked"), id="a space before the coding's colon"),
    pytest.param(_coding("Content-Length : 15"), id="a space before the length's colon"),
    pytest.param(_coding(" Transfer-Encoding: chunked"), id="a space before the coding's name"),
    pytest.param(_coding("Transfer-Encoding:\r\n chunked"), id="a coding on a folded line"),
    pytest.param(_coding("Content-Length:\r\n 15"), id="a length on a folded line"),
    pytest.param(_coding("X-A: b\nTransfer-Encoding: chunked"), id="a coding behind a bare LF"),
    pytest.param(_coding("X-A: b\rTransfer-Encoding: chunked"), id="a coding behind a bare CR"),
]

CHUNKS = [
    pytest.param(_chunks(body), id=name)
    for body, name in [
        (b"zz\r\none", "a chunk size that is no number"),
        (b"\r\none", "an empty chunk size"),
        (b" 3\r\none", "a space before a chunk size"),
        (b"3 \r\none", "a space behind a chunk size"),
        (b"+3\r\none", "a chunk size with a plus"),
        (b"-3\r\none", "a chunk size below zero"),
        (b"0x3\r\none", "a chunk size with 0x"),
        (b"3_0\r\none", "a chunk size with an underscore"),
        (b"3.0\r\none", "a chunk size with a fraction"),
        (b"\xef\xbc\x93\r\none", "a chunk size of a full-width digit"),
        (b"3;a=b\r\none", "a chunk extension"),
        (b"3;\r\none", "an empty chunk extension"),
        (b"3 ;a=b\r\none", "a chunk extension behind a space"),
        (b'3;a="\n"\r\none', "a chunk extension with a line end in quotes"),
        (b"3;\nxx\r\none", "a chunk extension that ends in a bare LF"),
        (b"ffffffffffffffff3\r\none", "a chunk size beyond 64 bits"),
        (b"00000000000000000000003\r\none", "a chunk size with many zeros"),
        (b"3\none", "a chunk size that ends in a bare LF"),
        (b"3\r\r\none", "a chunk size that ends in CR CR LF"),
        (b"3\r\nonex", "a chunk that is longer than its size"),
        (b"3\r\none\n", "a chunk that ends in a bare LF"),
        (b"3\r\none\rx", "a chunk that ends in a bare CR"),
        (b"4\r\none", "a chunk that is shorter than its size"),
        (b"3\r\none\r\n0\r\nX-A : b\r\n", "a trailer with a space before its colon"),
        (b"3\r\none\r\n0\r\nX-A\r\n", "a trailer without a colon"),
        (b"3\r\none\r\n0\r\n: b\r\n", "a trailer without a name"),
        (b"3\r\none\r\n0\r\nX-A: b\r\n c\r\n", "a folded trailer"),
        (b"3\r\none\r\n0\r\nX-A: \x00\r\n", "a NUL in a trailer"),
        (b"3\r\none\r\n0\r\nX-A: b\nX-C: d\r\n", "a bare LF in a trailer"),
        (b"3\r\none\r\n0\r\nX-A: b\rc\r\n", "a bare CR in a trailer"),
        (b"3\r\none\r\n0\r\nContent-Length: 9\r\n", "a length among the trailers"),
        (b"3\r\none\r\n0\r\ncontent-length:\r\n", "a length without a value among the trailers"),
        (b"3\r\none\r\n0\r\nX-A: b\r\nTRANSFER-ENCODING: chunked\r\n", "a coding among the trailers"),
        (b"3\r\none\r\n0\r\n\nX", "the last chunk followed by a bare LF"),
        (b"3\r\none\r\n0\n", "a last chunk that ends in a bare LF"),
        (b"3\r\none\r\n0\r\n" + b"X-A: b\r\n" * 65, "trailers without end"),
    ]
]

# Another reader, or another version of ours, would read these otherwise, and nobody would notice.
CVES = {
    "LENGTHS": ("CVE-2025-69224",),
    "FRAMINGS": ("CVE-2023-37276",),
    "CHUNKS": ("CVE-2024-52304", "CVE-2025-43859", "CVE-2025-53643"),
}
