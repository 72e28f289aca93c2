"""Answers: their bodies, those without one, interim ones, and those that end too early."""

from __future__ import annotations

import pytest

from tests.support.upstream import CLOSE
from tests.wire.exchanges.table import (
    ARRIVED,
    GET,
    HOST,
    OK,
    Cut,
    Exchange,
    Refused,
    arrived,
    arrived_post,
    chunked,
    http,
    ok,
    ok_chunked,
    plain,
    post,
)

_OK_CLOSE = ok(b"ok", "Connection: close")
_HINTS = http("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSED = Refused(401, "credential_missing")


def _chunked_answer(body: bytes, leaves: bytes | None = None) -> Exchange:
    reply = ok_chunked(body if leaves is None else leaves)
    return Exchange(GET, (ARRIVED,), (reply,), answers=((ok_chunked(body),),), connections=1)


ANSWER_BODIES = [
    pytest.param(Exchange(GET, (ARRIVED,), (ok(b""),), answers=(plain(b""),)), id="an answer of no bytes"),
    pytest.param(
        Exchange(GET, (ARRIVED,), (ok(bytes(range(256))),), answers=(plain(bytes(range(256))),)),
        id="an answer of every byte",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (ok(OK),), answers=(plain(OK),)),
        id="an answer whose body looks like an answer",
    ),
    pytest.param(_chunked_answer(chunked(b"one", b"two")), id="a chunked answer"),
    pytest.param(_chunked_answer(chunked()), id="a chunked answer of no bytes"),
    pytest.param(_chunked_answer(chunked(bytes(range(256)))), id="a chunked answer of every byte"),
    pytest.param(
        _chunked_answer(chunked(b"one", end=b"0\r\nDigest: x\r\nX-Request-Id: y\r\n\r\n"), chunked(b"one")),
        id="an answer's trailers are dropped",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST),
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Connection: close", body=b"onetwo"),),
            answers=((ok_chunked(chunked(b"one", b"two")),),),
            closes=True,
        ),
        id="chunks are unwrapped for an HTTP/1.0 client",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST, "Connection: keep-alive"),
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Connection: close", body=b"onetwo"),),
            answers=((ok_chunked(chunked(b"one", b"two", end=b"0\r\nDigest: x\r\n\r\n")),),),
            closes=True,
        ),
        id="chunks end an HTTP/1.0 client's keep-alive",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 404 Not Found", "Content-Length: 4", body=b"gone"),),
            answers=((http("HTTP/1.1 404 Not Found", "Content-Length: 4", body=b"gone"),),),
        ),
        id="an error of the upstream's passes",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 200 ", "Content-Length: 0"),),
            answers=((http("HTTP/1.1 200 ", "Content-Length: 0"),),),
        ),
        id="an answer without a phrase passes",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 599 Na\xefve words", "Content-Length: 0"),),
            answers=((http("HTTP/1.1 599 Na\xefve words", "Content-Length: 0"),),),
        ),
        id="an unknown status and a phrase beyond ASCII pass",
    ),
]

BODILESS_ANSWERS = [
    pytest.param(
        Exchange(
            http("HEAD / HTTP/1.1", HOST),
            (arrived("HEAD / HTTP/1.1"),),
            (http("HTTP/1.1 200 OK", "Content-Length: 1000"),),
            answers=((http("HTTP/1.1 200 OK", "Content-Length: 1000"),),),
            methods=(b"HEAD",),
            connections=2,
        ),
        id="HEAD has a length and no body",
    ),
    pytest.param(
        Exchange(
            http("HEAD / HTTP/1.1", HOST),
            (arrived("HEAD / HTTP/1.1"),),
            (http("HTTP/1.1 200 OK"),),
            answers=((http("HTTP/1.1 200 OK"),),),
            methods=(b"HEAD",),
            connections=2,
        ),
        id="HEAD needs no length to end",
    ),
    pytest.param(
        Exchange(
            http("HEAD / HTTP/1.0", HOST, "Connection: keep-alive"),
            (arrived("HEAD / HTTP/1.1"),),
            (http("HTTP/1.1 200 OK", "Connection: keep-alive"),),
            answers=((http("HTTP/1.1 200 OK"),),),
            methods=(b"HEAD",),
        ),
        id="HEAD of an HTTP/1.0 client keeps its connection",
    ),
    pytest.param(
        Exchange(
            http("HEAD / HTTP/1.1", HOST),
            (arrived("HEAD / HTTP/1.1"),),
            (http("HTTP/1.1 200 OK", "Content-Length: 4"),),
            answers=((http("HTTP/1.1 200 OK", "Content-Length: 4", body=b"body"),),),
            methods=(b"HEAD",),
            connections=2,
        ),
        id="a body behind HEAD goes nowhere",
    ),
    pytest.param(
        Exchange(http("HEAD /guarded HTTP/1.1", HOST), (), (_REFUSED,), methods=(b"HEAD",)),
        id="a refusal of HEAD has no body",
    ),
    *[
        pytest.param(
            Exchange(
                GET,
                (ARRIVED,),
                (http(f"HTTP/1.1 {status}", 'ETag: "a"'),),
                answers=((http(f"HTTP/1.1 {status}", 'ETag: "a"'),),),
                connections=2,
            ),
            id=f"{status} has no body",
        )
        for status in ("204 No Content", "304 Not Modified")
    ],
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 304 Not Modified", "Content-Length: 1000"),),
            answers=((http("HTTP/1.1 304 Not Modified", "Content-Length: 1000"),),),
            connections=2,
        ),
        id="304 has the length of what it stands for",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 204 No Content"),),
            answers=((http("HTTP/1.1 204 No Content", "Content-Length: 0"),),),
            connections=2,
        ),
        id="204 loses the length that it must not have",
    ),
    *[
        pytest.param(
            Exchange(
                GET,
                (ARRIVED,),
                (http(f"HTTP/1.1 {status}"),),
                answers=((http(f"HTTP/1.1 {status}", body=b"body"),),),
                connections=2,
            ),
            id=f"a body behind {status} goes nowhere",
        )
        for status in ("204 No Content", "304 Not Modified")
    ],
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 205 Reset Content", "Content-Length: 0"),),
            answers=((http("HTTP/1.1 205 Reset Content", "Content-Length: 0"),),),
            connections=1,
        ),
        id="205 frames its empty body",
    ),
]

INTERIM_ANSWERS = [
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((_CONTINUE, OK),), connections=1), id="a 100 is swallowed"
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((_CONTINUE + _CONTINUE + OK,),)),
        id="several 100 are swallowed",
    ),
    pytest.param(
        Exchange(post(b"body"), (arrived_post(b"body"),), (OK,), answers=((_CONTINUE, OK),)),
        id="a 100 that the upstream gives unasked is swallowed",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (_HINTS, OK), answers=((_HINTS, OK),), connections=1),
        id="103 passes",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_HINTS, OK),
            answers=((_HINTS.replace(b"Link", b"Mcp-Session-Id: own\r\nLink"), OK),),
        ),
        id="103 with a session, which is not told",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (_HINTS, _HINTS, OK), answers=((_HINTS + _CONTINUE + _HINTS + OK,),)),
        id="several interim answers in one piece with the final one",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST), (ARRIVED,), (_OK_CLOSE,), answers=((_HINTS, OK),), closes=True
        ),
        id="103 never reaches an HTTP/1.0 client",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_HINTS, OK),
            answers=(
                (
                    http("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload", "Connection: close"),
                    OK,
                ),
            ),
            connections=1,
        ),
        id="an interim answer's hop-by-hop headers go",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (_HINTS, OK),
            answers=((_HINTS.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n"), OK),),
            connections=1,
        ),
        id="an interim answer loses the length that it must not have",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (_HINTS, ok(b"")), answers=((_HINTS, ok(b"")),)),
        id="103 before an answer of no bytes",
    ),
    pytest.param(
        Exchange(
            http("HEAD / HTTP/1.1", HOST),
            (arrived("HEAD / HTTP/1.1"),),
            (_HINTS, OK[:-2]),
            answers=((_HINTS, OK[:-2]),),
            methods=(b"HEAD",),
        ),
        id="103 before an answer to HEAD",
    ),
]

CUT_ANSWERS = [
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "upstream_malformed"),),
            answers=((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", CLOSE),),
            closes=True,
        ),
        id="an answer that ends too early ends the connection",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (
                Cut(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", "upstream_malformed"
                ),
            ),
            answers=((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", CLOSE),),
            closes=True,
        ),
        id="chunks without the last one end the connection",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST),
            (ARRIVED,),
            (Cut(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none", "upstream_malformed"),),
            answers=((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n", CLOSE),),
            closes=True,
        ),
        id="chunks without the last one end an HTTP/1.0 client's connection",
    ),
]
