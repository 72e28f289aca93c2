"""Hostile and broken answers: a clean 502, or a connection that ends; and the next request gets its own answer.

CVE-2026-34520, CVE-2026-71324: what the upstream says wrong must not become another request's answer.
"""

from __future__ import annotations

import pytest

from tests.support.upstream import CLOSE, RESET
from tests.wire.exchanges.table import (
    ARRIVED,
    GET,
    HOST,
    OK,
    TRICKLED,
    Cut,
    Exchange,
    Refused,
    arrived,
    chunked,
    http,
    ok_chunked,
)

_POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
_MALFORMED = Refused(502, "upstream_malformed")


def _broken(answer: bytes) -> Exchange:
    # The close ends the heads that would else go on.
    return Exchange(GET, (ARRIVED,), (_MALFORMED,), answers=((answer, CLOSE),))


def _line(line: bytes) -> Exchange:
    return _broken(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nok")


def _framed(*lines: str) -> Exchange:
    return _broken(http("HTTP/1.1 200 OK", *lines, body=chunked(b"ok")))


def _surplus(answer: bytes, reply: bytes, method: str = "GET") -> Exchange:
    return Exchange(
        http(f"{method} / HTTP/1.1", HOST),
        (arrived(f"{method} / HTTP/1.1"),),
        (reply,),
        answers=((answer + _POISON,),),
        methods=(method.encode(),),
        connections=2,
        skips=(TRICKLED,),
    )


def _cut(answer: bytes, sent: bytes | None = None) -> Exchange:
    """The head may be out when the fault is seen, so all that is left is to end the connection."""
    return Exchange(
        GET,
        (ARRIVED,),
        (Cut(answer if sent is None else sent, "upstream_malformed"),),
        answers=((answer, CLOSE),),
        closes=True,
    )


ANSWER_HEADS = [
    *[
        pytest.param(_line(line), id=f"an answer with {name}")
        for line, name in [
            (b"X-A: one\nX-B: two", "a bare LF"),
            (b"X-A: one\rtwo", "a bare CR"),
            (b"X-A: one\r\r\nX-B: two", "CR CR LF"),
            (b"X-A: one\r\n two", "a line folded with a space"),
            (b"X-A: one\r\n\ttwo", "a line folded with a tab"),
            (b" X-A: one", "a line that begins with a space"),
            (b"X-A: \x00", "a NUL in a value"),
            (b"X-A: \x01", "a control byte in a value"),
            (b"X-A: \x1b[31m", "an escape sequence in a value"),
            (b"X-A: a\x7fb", "a DEL in a value"),
            (b"X-\x00A: one", "a NUL in a name"),
            (b"X-A : one", "a space before a colon"),
            (b"X A: one", "a space in a name"),
            (b": one", "an empty name"),
            (b"X-A", "a line without a colon"),
            (b"X-\xc3\xa4: one", "a name beyond ASCII"),
        ]
    ],
    *[
        pytest.param(
            _broken(start + b"\r\nContent-Length: 2\r\n\r\nok"), id=f"an answer that begins with {name}"
        )
        for start, name in [
            (b"HTTP/1.2 200 OK", "HTTP/1.2"),
            (b"HTTP/2.0 200 OK", "HTTP/2.0"),
            (b"HTTP/2 200", "HTTP/2"),
            (b"HTTP/0.9 200 OK", "HTTP/0.9"),
            (b"HTTP/1.10 200 OK", "HTTP/1.10"),
            (b"http/1.1 200 OK", "http in lower case"),
            (b"ICY 200 OK", "ICY"),
            (b"RTSP/1.0 200 OK", "RTSP"),
            (b"HTTP/1.1 20 OK", "a status of two digits"),
            (b"HTTP/1.1 2000 OK", "a status of four digits"),
            (b"HTTP/1.1 +20 OK", "a status with a plus"),
            (b"HTTP/1.1 2x0 OK", "a status with a letter"),
            (b"HTTP/1.1 000 OK", "a status of zero"),
            (b"HTTP/1.1 099 OK", "a status below 100"),
            (b"HTTP/1.1 OK", "no status"),
            (b"HTTP/1.1200 OK", "no space"),
            (b"HTTP/1.1  200 OK", "two spaces"),
            (b" HTTP/1.1 200 OK", "a space"),
            (b"HTTP/1.1 200 O\x00K", "a NUL in its phrase"),
            (b"HTTP/1.1 200 O\x1bK", "an escape in its phrase"),
            (b"HTTP/1.1 200 O\rK", "a bare CR in its phrase"),
            (b"HTTP/1.1 200 OK\nX-A: one", "a bare LF behind its status line"),
            (b"GET / HTTP/1.1", "a request line"),
        ]
    ],
    *[
        pytest.param(_framed(*lines), id=f"an answer with {name}")
        for lines, name in [
            (("Content-Length: 12", "Transfer-Encoding: chunked"), "a length and a coding"),
            (("Transfer-Encoding: chunked", "Content-Length: 12"), "a coding and a length"),
            (("Content-Length: 12", "Content-Length: 12"), "two equal lengths"),
            (("Content-Length: 12", "Content-Length: 2"), "two unequal lengths"),
            (("Content-Length: 12, 12",), "a list of lengths"),
            (("Content-Length: +12",), "a length with a plus"),
            (("Content-Length: -1",), "a length below zero"),
            (("Content-Length: 0xc",), "a length in hexadecimal"),
            (("Content-Length: ",), "an empty length"),
            (("Content-Length: 99999999999999999999",), "a length beyond 64 bits"),
            (("Transfer-Encoding: gzip",), "the coding gzip"),
            (("Transfer-Encoding: gzip, chunked",), "the codings gzip and chunked"),
            (("Transfer-Encoding: chunked, gzip",), "the codings chunked and gzip"),
            (("Transfer-Encoding: identity",), "the coding identity"),
            (("Transfer-Encoding: ",), "an empty coding"),
            (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "two codings"),
            (("Transfer-Encoding : chunked",), "a space before the coding's colon"),
        ]
    ],
    pytest.param(
        _broken(http("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body=chunked(b"ok"))),
        id="an HTTP/1.0 answer with a coding",
    ),
    pytest.param(_broken(b"just words\r\n\r\n"), id="an answer of HTTP/0.9"),
    pytest.param(
        _broken(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), id="an answer with bare LF throughout"
    ),
    pytest.param(_broken(b"HTTP/1.1 200 OK\r\nContent-Le"), id="an answer that ends within its head"),
    pytest.param(_broken(b"H"), id="an answer that ends with its first byte"),
    pytest.param(
        Exchange(GET, (ARRIVED,), (_MALFORMED,), answers=((b"HTTP/1.1 200 OK\r\nContent-Le", RESET),)),
        id="an answer that is reset within its head",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_MALFORMED,),
            answers=((b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000,),),
            skips=(TRICKLED,),
        ),
        id="an answer with an endless header line",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_MALFORMED,),
            answers=((b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 20_000,),),
            skips=(TRICKLED,),
        ),
        id="an answer with header lines without end",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (Refused(502, "upstream_malformed"),),
            answers=((b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + OK,),),
            skips=(TRICKLED,),
        ),
        id="interim answers without end",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_MALFORMED,),
            answers=((http("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: h2c"),),),
        ),
        id="an upgrade that nobody asked for",
    ),
    pytest.param(_broken(b"HTTP/1.1 100 Continue\r\nX-A : b\r\n\r\n" + OK), id="a malformed interim answer"),
    pytest.param(
        _broken(b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK),
        id="an interim answer with a coding",
    ),
]

ANSWER_BODIES = [
    *[
        pytest.param(_cut(ok_chunked(body + b"\r\n0\r\n\r\n"), ok_chunked(good)), id=f"an answer with {name}")
        for body, good, name in [
            (b"zz\r\none", b"", "a chunk size that is no number"),
            (b"3;a=b\r\none", b"", "a chunk extension"),
            (b"3 \r\none", b"", "a space behind a chunk size"),
            (b"ffffffffffffffff3\r\none", b"", "a chunk size beyond 64 bits"),
            (b"3\none", b"", "a chunk size that ends in a bare LF"),
            (b"3\r\nonex", b"3\r\none", "a chunk that is longer than its size"),
            (b"3\r\none\n", b"3\r\none", "a chunk that ends in a bare LF"),
            (b"3\r\none\r\n0\r\nX-A : b\r\n", b"3\r\none\r\n0\r\n", "a malformed trailer"),
            (b"3\r\none\r\n0\r\nContent-Length: 9\r\n", b"3\r\none\r\n0\r\n", "a length among its trailers"),
        ]
    ],
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "upstream_malformed"),),
            answers=((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", RESET),),
            closes=True,
        ),
        id="an answer that is reset within its body",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (
                Cut(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                    "upstream_malformed",
                ),
            ),
            answers=((b"HTTP/1.1 200 OK\r\n\r\nhalf", RESET),),
            closes=True,
            skips=(TRICKLED,),
        ),
        id="a close-delimited answer that is reset",
    ),
]

SURPLUS = [
    pytest.param(_surplus(OK, OK), id="an answer behind an answer"),
    pytest.param(
        _surplus(ok_chunked(chunked(b"ok")), ok_chunked(chunked(b"ok"))), id="an answer behind chunks"
    ),
    pytest.param(
        _surplus(
            http("HTTP/1.1 200 OK", "Content-Length: 2"),
            http("HTTP/1.1 200 OK", "Content-Length: 2"),
            method="HEAD",
        ),
        id="an answer behind the answer to HEAD",
    ),
    pytest.param(
        _surplus(http("HTTP/1.1 204 No Content"), http("HTTP/1.1 204 No Content")), id="an answer behind 204"
    ),
    pytest.param(
        _surplus(http("HTTP/1.1 304 Not Modified"), http("HTTP/1.1 304 Not Modified")),
        id="an answer behind 304",
    ),
]

# Another reader, or another version of ours, would read these otherwise, and nobody would notice.
CVES = {
    "ANSWER_HEADS": ("CVE-2026-34520",),
    "ANSWER_BODIES": ("CVE-2026-71324",),
    "SURPLUS": ("CVE-2026-71324",),
}
