"""Keep-alive on both sides, old clients, pipelining, and pooled connections that have just closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.upstream import CLOSE, HALF_CLOSE, RESET
from tests.wire.exchanges.table import (
    ARRIVED,
    BEHIND,
    GET,
    HOST,
    OK,
    PIPELINED,
    TRICKLED,
    Exchange,
    Refused,
    Reply,
    arrived,
    arrived_post,
    echo,
    get,
    http,
    ok,
    plain,
    post,
)

if TYPE_CHECKING:
    from tests.support.upstream import Answer

_UNBOUNDED = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
_HEAD = http("HTTP/1.1 200 OK", "Content-Length: 2")
_OK_CLOSE = ok(b"ok", "Connection: close")
_OK_KEEP = ok(b"ok", "Connection: keep-alive")


def _twice(second: bytes, arrival: bytes, *answers: Answer, reply: Reply, arrivals: int) -> Exchange:
    """A request that fills the pool, then `second`, for which the upstream does `answers` in turn."""
    return Exchange(
        sent=get("/1") + second,
        answers=(echo, *answers),
        arrives=(arrived("GET /1 HTTP/1.1"), *[arrival] * arrivals),
        replies=(ok(b"/1"), reply),
        methods=(b"GET", second.partition(b" ")[0]),
        skips=(PIPELINED,),
    )


def _bare(method: str) -> tuple[bytes, bytes]:
    return http(f"{method} /2 HTTP/1.1", HOST), arrived(f"{method} /2 HTTP/1.1")


CONNECTIONS = [
    pytest.param(Exchange(GET, (ARRIVED,), (OK,), connections=1), id="a request is answered"),
    pytest.param(
        Exchange(
            sent=get("/1") + get("/2") + get("/3"),
            answers=(echo,),
            arrives=tuple(arrived(f"GET /{n} HTTP/1.1") for n in (1, 2, 3)),
            replies=(ok(b"/1"), ok(b"/2"), ok(b"/3")),
            connections=1,
        ),
        id="requests written at once are answered in order",
    ),
    pytest.param(
        Exchange(
            sent=post(b"one", target="/1") + get("/2") + post(b"", target="/3") + get("/4"),
            answers=(echo,),
            arrives=(
                arrived_post(b"one", target="/1"),
                arrived("GET /2 HTTP/1.1"),
                arrived_post(b"", target="/3"),
                arrived("GET /4 HTTP/1.1"),
            ),
            replies=(ok(b"/1"), ok(b"/2"), ok(b"/3"), ok(b"/4")),
            connections=1,
        ),
        id="a body is followed at once by the next request",
    ),
    pytest.param(
        Exchange(
            sent=get("/guarded") + get("/2") + get("/guarded") + get("/4"),
            answers=(echo,),
            arrives=(arrived("GET /2 HTTP/1.1"), arrived("GET /4 HTTP/1.1")),
            replies=(
                Refused(401, "credential_missing"),
                ok(b"/2"),
                Refused(401, "credential_missing"),
                ok(b"/4"),
            ),
        ),
        id="refused and admitted requests on one connection are answered in order",
    ),
    pytest.param(
        Exchange(get("/", "Connection: keep-alive"), (ARRIVED,), (OK,)),
        id="an HTTP/1.1 client may ask for keep-alive",
    ),
    pytest.param(
        Exchange(get("/", "Connection: close"), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="the client closes by Connection",
    ),
    pytest.param(
        Exchange(get("/", "Connection: Close"), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="Connection options have no case",
    ),
    pytest.param(
        Exchange(get("/", "Connection: keep-alive, close"), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="close outweighs keep-alive",
    ),
    pytest.param(
        Exchange(get("/", "Connection: x-thing", "Connection: close"), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="close is found in a second Connection line",
    ),
    pytest.param(
        Exchange(get("/", "Connection: closed, not-close"), (ARRIVED,), (OK,)),
        id="close is a whole option and no part of one",
    ),
    pytest.param(
        Exchange(
            get("/guarded", "Connection: close"),
            (),
            (Refused(401, "credential_missing", closes=True),),
            closes=True,
        ),
        id="the client closes by Connection and is refused",
    ),
    pytest.param(
        Exchange(http("GET / HTTP/1.0", HOST), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="an HTTP/1.0 client is closed upon",
    ),
    pytest.param(
        Exchange(http("GET / HTTP/1.0", HOST, "Connection: close"), (ARRIVED,), (_OK_CLOSE,), closes=True),
        id="an HTTP/1.0 client says close",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST, "Connection: keep-alive"), (ARRIVED,), (_OK_KEEP,), connections=1
        ),
        id="an HTTP/1.0 client asks for keep-alive",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST, "Connection: Keep-Alive, x-thing", "X-Thing: 1"),
            (ARRIVED,),
            (_OK_KEEP,),
        ),
        id="an HTTP/1.0 client asks for keep-alive and names another header",
    ),
    pytest.param(
        Exchange(
            http("GET /guarded HTTP/1.0", HOST),
            (),
            (Refused(401, "credential_missing", closes=True),),
            closes=True,
        ),
        id="an HTTP/1.0 client is refused",
    ),
    pytest.param(
        Exchange(http("GET / HTTP/1.0"), (), (Refused(421, "host_refused", closes=True),), closes=True),
        id="an HTTP/1.0 client without Host is refused for its host",
    ),
    pytest.param(
        Exchange(
            http("POST / HTTP/1.0", HOST, "Connection: keep-alive", "Content-Length: 4", body=b"body"),
            (arrived_post(b"body"),),
            (_OK_KEEP,),
        ),
        id="an HTTP/1.0 client sends a body and keeps the connection",
    ),
    pytest.param(
        Exchange(b"\r\n" + GET, (ARRIVED,), (OK,)), id="one empty line before a request is forgiven"
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((ok(b"ok", "Connection: close"), CLOSE),), connections=2),
        id="the upstream closes by Connection and the client stays",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((ok(b"ok", "Connection: close"),),), connections=2),
        id="the upstream says close and does not: it is not used again",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((OK, CLOSE),)),
        id="the upstream closes behind its answer without a word",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((OK, RESET),)),
        id="the upstream resets behind its answer",
    ),
    pytest.param(
        Exchange(GET, (ARRIVED,), (OK,), answers=((OK, HALF_CLOSE),), skips=(PIPELINED, TRICKLED)),
        id="the upstream half-closes behind its answer",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (OK,),
            answers=((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",),),
            connections=2,
        ),
        id="an HTTP/1.0 upstream is not used again",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (OK,),
            answers=((b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",),),
            connections=1,
        ),
        id="an HTTP/1.0 upstream that keeps alive is used again",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"d\r\nuntil the end\r\n0\r\n\r\n"),),
            answers=((_UNBOUNDED, CLOSE),),
            connections=2,
        ),
        id="a close-delimited answer leaves as chunks",
    ),
    pytest.param(
        Exchange(
            get("/", "Connection: close"),
            (ARRIVED,),
            (
                http(
                    "HTTP/1.1 200 OK",
                    "Connection: close",
                    "Transfer-Encoding: chunked",
                    body=b"d\r\nuntil the end\r\n0\r\n\r\n",
                ),
            ),
            answers=((_UNBOUNDED, CLOSE),),
            closes=True,
        ),
        id="a close-delimited answer leaves as chunks where the client closes, too",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),),
            answers=((b"HTTP/1.1 200 OK\r\n\r\n", CLOSE),),
        ),
        id="an empty close-delimited answer leaves as the last chunk",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"d\r\nuntil the end\r\n0\r\n\r\n"),),
            answers=((b"HTTP/1.0 200 OK\r\n\r\nuntil the end", CLOSE),),
        ),
        id="a close-delimited answer of an HTTP/1.0 upstream leaves as chunks",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST),
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Connection: close", body=b"until the end"),),
            answers=((_UNBOUNDED, CLOSE),),
            closes=True,
        ),
        id="a close-delimited answer stays so for an HTTP/1.0 client",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.0", HOST, "Connection: keep-alive"),
            (ARRIVED,),
            (http("HTTP/1.1 200 OK", "Connection: close", body=b"until the end"),),
            answers=((_UNBOUNDED, CLOSE),),
            closes=True,
        ),
        id="a close-delimited answer ends an HTTP/1.0 client's keep-alive",
    ),
    *[
        pytest.param(
            _twice(*_bare(method), (end,), echo, reply=ok(b"/2"), arrivals=2),
            id=f"{method} is sent again where the pooled connection {how}",
        )
        for method in ("GET", "OPTIONS", "PUT", "DELETE")
        for end, how in [(CLOSE, "closes"), (RESET, "is reset")]
    ],
    pytest.param(
        _twice(*_bare("HEAD"), (CLOSE,), (_HEAD,), reply=_HEAD, arrivals=2),
        id="HEAD is sent again where the pooled connection closes",
    ),
    *[
        pytest.param(
            _twice(*_bare(method), (end,), echo, reply=Refused(502, "upstream_unreachable"), arrivals=1),
            id=f"{method} is never sent again, though the pooled connection {how}",
        )
        for method in ("POST", "PATCH", "REPORT")
        for end, how in [(CLOSE, "closes"), (RESET, "is reset")]
    ],
    pytest.param(
        _twice(
            http("PUT /2 HTTP/1.1", HOST, "Content-Length: 4", body=b"body"),
            http("PUT /2 HTTP/1.1", "Content-Length: 4", body=b"body"),
            (CLOSE,),
            echo,
            reply=Refused(502, "upstream_unreachable"),
            arrivals=1,
        ),
        id="PUT with a body is never sent again",
    ),
    pytest.param(
        _twice(*_bare("GET"), (CLOSE,), (CLOSE,), reply=Refused(502, "upstream_unreachable"), arrivals=2),
        id="a request is sent again once and not twice",
    ),
    pytest.param(
        _twice(
            *_bare("GET"), (b"HTTP/1.1 2", CLOSE), echo, reply=Refused(502, "upstream_malformed"), arrivals=1
        ),
        id="a request is not sent again once a byte of its answer has come",
    ),
    pytest.param(
        _twice(
            *_bare("GET"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE),
            echo,
            reply=Refused(502, "upstream_malformed"),
            arrivals=1,
        ),
        id="a request is not sent again once an interim answer has come",
    ),
    pytest.param(
        Exchange(
            GET,
            (ARRIVED,),
            (Refused(502, "upstream_unreachable"),),
            answers=((CLOSE,), plain()),
            skips=(PIPELINED, BEHIND),
        ),
        id="a fresh connection that closes without an answer is no reason to send again",
    ),
]
