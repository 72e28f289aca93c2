"""Bodies both ways: lengths, chunks, answers without a body, interim answers, Expect, and early answers."""

from __future__ import annotations

import pytest

from tests.support.upstream import EARLY
from tests.wire.exchanges.table import (
    ARRIVED,
    HOST,
    OK,
    PIPELINED,
    TRICKLED,
    Exchange,
    Refused,
    arrived,
    arrived_post,
    chunked,
    get,
    http,
    ok,
    post,
    post_chunked,
)

_OK_CLOSE = ok(b"ok", "Connection: close")
_EXPECT = "Expect: 100-continue"
_HINTS = http("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSED = Refused(401, "credential_missing")
_REFUSED_CLOSE = Refused(401, "credential_missing", closes=True)


def _chunked_request(body: bytes, arrives: bytes | None = None) -> Exchange:
    arrival = http("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body if arrives is None else arrives)
    return Exchange(post_chunked(body), (arrival,), (OK,))


REQUEST_BODIES = [
    pytest.param(Exchange(post(b"body"), (arrived_post(b"body"),), (OK,)), id="a body with a length"),
    pytest.param(Exchange(post(b""), (arrived_post(b""),), (OK,)), id="a body of no bytes"),
    pytest.param(
        Exchange(post(b"\r\n\r\n"), (arrived_post(b"\r\n\r\n"),), (OK,)), id="a body of empty lines"
    ),
    pytest.param(
        Exchange(
            post(b"GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"),
            (arrived_post(b"GET /smuggled HTTP/1.1\r\nHost: edge.test\r\n\r\n"),),
            (OK,),
        ),
        id="a body that looks like a request",
    ),
    pytest.param(
        Exchange(post(bytes(range(256))), (arrived_post(bytes(range(256))),), (OK,)),
        id="a body of every byte",
    ),
    pytest.param(
        Exchange(
            http("POST / HTTP/1.1", HOST, "Content-Length: 0004", body=b"body"),
            (arrived_post(b"body"),),
            (OK,),
        ),
        id="a length with leading zeros arrives without them",
    ),
    pytest.param(
        Exchange(
            http("POST / HTTP/1.1", HOST, "content-length:4", body=b"body"), (arrived_post(b"body"),), (OK,)
        ),
        id="a length in lower case without a space",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.1", HOST, "Content-Length: 4", body=b"body"),
            (http("GET / HTTP/1.1", "Content-Length: 4", body=b"body"),),
            (OK,),
        ),
        id="a GET with a body",
    ),
    pytest.param(
        Exchange(http("POST / HTTP/1.1", HOST), (arrived("POST / HTTP/1.1"),), (OK,)),
        id="a POST without length or coding has no body",
    ),
    pytest.param(_chunked_request(chunked(b"one", b"two")), id="a chunked body"),
    pytest.param(_chunked_request(chunked()), id="a chunked body of no bytes"),
    pytest.param(_chunked_request(chunked(bytes(range(256)))), id="a chunk of every byte"),
    pytest.param(_chunked_request(chunked(b"0\r\n\r\n", b"\r\n")), id="chunks that look like the last one"),
    pytest.param(
        _chunked_request(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), id="chunk sizes in both cases"
    ),
    pytest.param(_chunked_request(b"0003\r\none\r\n000\r\n\r\n"), id="chunk sizes with leading zeros"),
    pytest.param(
        _chunked_request(chunked(b"one", end=b"0\r\nX-Agent-Id: root\r\nDigest: x\r\n\r\n"), chunked(b"one")),
        id="a request's trailers are dropped",
    ),
    pytest.param(
        Exchange(
            http("POST / HTTP/1.1", HOST, "Transfer-Encoding: CHUNKED", body=chunked(b"one")),
            (http("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunked(b"one")),),
            (OK,),
        ),
        id="the name of the chunked coding has no case",
    ),
]

REFUSED_BODIES = [
    pytest.param(
        Exchange(post(b"body", target="/guarded"), (), (_REFUSED,)), id="a refused request's body is dropped"
    ),
    pytest.param(
        Exchange(post_chunked(chunked(b"one", b"two"), target="/guarded"), (), (_REFUSED,)),
        id="a refused request's chunks are dropped",
    ),
    pytest.param(
        Exchange(post(b"x" * 4096, target="/guarded") + get("/guarded"), (), (_REFUSED, _REFUSED)),
        id="a refused request's body is no request",
    ),
    pytest.param(
        Exchange(
            post_chunked(b"zz\r\n", target="/guarded"), (), (_REFUSED,), closes=True, skips=(PIPELINED,)
        ),
        id="a refused request's body that cannot be read ends the connection",
    ),
]

EXPECT = [
    pytest.param(
        Exchange(get("/", _EXPECT), (ARRIVED,), (OK,)), id="Expect without a body is nobody's to answer"
    ),
    pytest.param(
        Exchange(
            http(
                "POST / HTTP/1.0", HOST, "Connection: keep-alive", _EXPECT, "Content-Length: 4", body=b"body"
            ),
            (arrived_post(b"body"),),
            (ok(b"ok", "Connection: keep-alive"),),
        ),
        id="an HTTP/1.0 client is never told to continue",
    ),
    pytest.param(
        Exchange(
            post(b"body", "Expect: 200-maybe"), (), (Refused(400, "request_malformed"),), skips=(TRICKLED,)
        ),
        id="an unknown expectation is refused",
    ),
]

EARLY_ANSWERS = [
    pytest.param(
        Exchange(post(b"body"), (arrived_post(b"body"),), (OK,), answers=((EARLY, OK),)),
        id="an answer before the body was read",
    ),
    pytest.param(
        Exchange(
            post_chunked(chunked(b"one", b"two")),
            (http("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunked(b"one", b"two")),),
            (OK,),
            answers=((EARLY, OK),),
        ),
        id="an answer before the chunks were read",
    ),
]
