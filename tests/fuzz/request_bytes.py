"""Requests as bytes: mostly sound, with a few of the things in them that servers have read differently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.fuzz.frame import cut, hurt, often, some
from tests.support.harness import TOKEN, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

OTHER = token(sub="acc_2", scope="read write")
TOKENS = {TOKEN.encode(): b"acc_1", OTHER.encode(): b"acc_2"}
"""Tokens that hold, and whom they name."""
_GOOD = [b"Bearer " + one for one in TOKENS]

_METHODS = [b"GET"] * 6 + [b"POST"] * 6 + [b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"M-SEARCH"]
_ODD_METHODS = [
    *(
        b"get",
        b"TRACE",
        b"CONNECT",
        b"PRI",
        b"G\x00T",
        b"GE T",
        b"",
        b"POST\t",
        b"SOURCE",
        b"QUERY",
        b"A" * 70,
    ),
    *(b"\r\nGET", b"\r\n\r\nGET", b"\nGET", b" GET", b"M\xc3\xa9", b"G:T"),
]
_TARGETS = [b"/guarded/a", b"/guarded/a?b=c", b"/open", b"/open/x?y", b"/", b"/mcp"]
_ODD_TARGETS = [
    *(
        b"*",
        b"open",
        b"",
        b"//evil/open",
        b"/open#x",
        b"/guarded/../open",
        b"/guarded/%2e%2e/open",
        b"/open\x00",
    ),
    *(
        b"http://edge.test/open",
        b"HTTP://edge.test",
        b"http://evil.test/open",
        b"http://edge.test@evil/",
        b"/\xff",
    ),
    *(
        b"https://edge.test/guarded/a",
        b"http://edge.test?x",
        b"edge.test:443",
        b"/open\tx",
        b"/open x",
        b"/o\\pen",
    ),
    *(
        b"/guarded%2fa",
        b"/GUARDED/a",
        b"/guarded/a;x",
        b"/open%00",
        b"/" + b"a" * 200,
        b"/open HTTP/1.1\r\nX: y",
    ),
    b"/.well-known/oauth-protected-resource",
]
_VERSIONS = [
    *(
        b"HTTP/1.0",
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/2.0",
        b"HTTP/1.2",
        b"HTTP/1.10",
        b"http/1.1",
        b"HTTP/1.1 ",
    ),
    *(
        b"HTTP/11",
        b"HTTP/1,1",
        b"",
        b"HTTP/ 1.1",
        b"\tHTTP/1.1",
        b"ICE/1.1",
        b"RTSP/1.0",
        b"HTTP/01.1",
        b"HTTP/1.1\x00",
    ),
]
_HOSTS = [
    *(b"Host: 127.0.0.1", b"host: edge.test", b"Host: evil.test", b"Host:", b"Host: edge.test, evil.test"),
    *(b"Host: edge.test\x00", b"Host: edge.test/", b"Host: a@edge.test", b"X: y", b"Host : edge.test"),
    *(
        b"Host: edge.test\r\nHost: edge.test",
        b"Host: edge.test\r\nhost: evil.test",
        b"Host:edge.test:80",
        b"Ho st: edge.test",
    ),
]
_FRAMING = [
    *(
        b"Content-Length: 3",
        b"Content-Length: 0",
        b"Content-Length:",
        b"Content-Length: +3",
        b"Content-Length: 3, 3",
    ),
    *(
        b"Content-Length: -1",
        b"Content-Length: 0x3",
        b"Content-Length: 3 ",
        b"Content-Length: 03",
        b"Content-Length: 3\x0b",
    ),
    *(
        b"content-length: 4",
        b"Content_Length: 3",
        b"Content-Length : 3",
        b"Content-Length\t: 3",
        b"Content-Length: 3,4",
    ),
    *(
        b"Content-Length: 99999999999999999999",
        b"Content-Length: \xd9\xa3",
        b"Content-Length: 3\r\n 4",
        b"\nContent-Length: 3",
    ),
    *(
        b"Content-Length: 1e1",
        b"Content-Length: 1_0",
        b"Content-Length: 3;",
        b"Content-Length: 3\x00",
        b"Xontent-Length: 3",
    ),
    *(
        b"Transfer-Encoding: chunked",
        b"transfer-encoding: CHUNKED",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding:",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked, chunked",
    ),
    *(
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked;q=1",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer_Encoding: chunked",
    ),
    *(
        b"Transfer-Encoding : chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding:\tchunked",
        b'Transfer-Encoding: "chunked"',
    ),
    *(
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"Transfer-Encoding\r\n : chunked",
        b"Transfer-Encoding:\r\n chunked",
    ),
    *(
        b"Transfer-Encoding: ,chunked",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding: chunKed\x00",
        b"TE: trailers, chunked",
    ),
]
_LINES = [
    *(
        b"X-Agent-Id: root",
        b"x-agent-id: root",
        b"X_Agent_Id: root",
        b"X.Agent.Id: root",
        b"X-Agent_Scopes: admin",
        b"X-AGENT-SCOPES: admin",
    ),
    *(
        b"X-Agent-Id : root",
        b"X-Agent-Id\t: root",
        b" X-Agent-Id: root",
        b"X-Agent-Name: root",
        b"X-Agent-Id:",
        b"X-Agent-\x00Id: root",
    ),
    *(
        b"X: y\nX-Agent-Id: root",
        b"X: y\rX-Agent-Id: root",
        b"X: y\r\r\nX-Agent-Id: root",
        b"X: y\r\n X-Agent-Id: root",
        b"X~Agent~Id: root",
    ),
    *(
        b"X-Agent-Assertion: x",
        b"X|Agent!Id: root",
        b"x-agent: root",
        b"X-Forwarded-For: 1.2.3.4",
        b"Forwarded: for=1.2.3.4",
    ),
    *(
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: X-Agent-Id",
        b"Connection: close, X-Agent-Scopes, Host",
        b"Connection: Content-Length",
    ),
    *(
        b"Connection: Transfer-Encoding",
        b"Connection: Authorization",
        b"connection: x-request-id, traceparent",
        b"Connection: ,",
        b"Connection:\xff",
    ),
    *(
        b"Upgrade: websocket",
        b"Upgrade: h2c\r\nConnection: Upgrade",
        b"Keep-Alive: 5",
        b"Proxy-Connection: close",
        b"Trailer: X-Agent-Id",
        b"TE: trailers",
    ),
    *(
        b"Expect: 100-continue",
        b"Expect: 100-Continue",
        b"Expect: x",
        b"X-HTTP-Method-Override: DELETE",
        b"X-Original-URL: /guarded/a",
        b"DPoP: x",
    ),
    *(
        b"Authorization: Basic YTpi",
        b"Authorization : " + _GOOD[0],
        b"authorization: " + _GOOD[1],
        b"Authorization_: x",
        b"Authorization:",
        b"AUTHORIZATION: Bearer x",
    ),
    *(
        b"Authorization:\r\n " + _GOOD[0],
        b"Author_ization: x",
        b"Proxy-Authorization: " + _GOOD[0],
        b"X-Request-Id: mine",
        b"traceparent: 00-x",
        b"tracestate: a=b",
    ),
    *(
        b"User-Agent: a",
        b"X-Obs: \xe9\xff",
        b"X-Ctl: a\x01b",
        b"X-Nul: a\x00b",
        b"X-Del: \x7f",
        b"X-Fold: a\r\n b",
        b"X-Fold: a\r\n\tb",
        b"NoColon",
        b": novalue",
    ),
    *(
        b"X-Bare: a\nb",
        b"X-Cr: a\rb",
        b"X\x80: high",
        b"X(y): z",
        b'X"y: z',
        b"X-Empty:",
        b"X-Long: " + b"a" * 500,
        b"Origin: https://evil.test",
        b"Cookie: a=b",
    ),
    *(
        b"Content-Type: application/json",
        b"Content-Type: text/plain",
        b"Accept: text/event-stream",
        b"Mcp-Session-Id: x",
        b"Content-Encoding: gzip",
        b"Date: \t x \t",
    ),
]
_CHUNKS = [
    *(b"3\r\nabc\r\n", b"A\r\n0123456789\r\n", b"03\r\nabc\r\n", b"1\r\n\n\r\n", b"2\r\n\r\n\r\n"),
    *(
        b"3;a=b\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"3\nabc\n",
        b"3\r\nabcd\r\n",
        b"3\r\nab\r\n",
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"g\r\nabc\r\n",
    ),
    *(
        b"\r\nabc\r\n",
        b"-1\r\n",
        b"3\r\nabcXX",
        b"3\r\nabc\n",
        b"3\r\nabc\rX",
        b"3\x00\r\nabc\r\n",
        b"3;\nabc\r\n",
        b"fffffffffffffffff\r\n",
        b"3_0\r\nabc\r\n",
    ),
]
_ENDS = [
    *(b"0\r\n\r\n",) * 6,
    *(
        b"0\r\nX-Agent-Id: root\r\n\r\n",
        b"0\r\nA: b\r\n\r\n",
        b"00\r\n\r\n",
        b"0\n\n",
        b"0\r\n",
        b"0\r\n\n",
        b"0;x\r\n\r\n",
        b"0 \r\n\r\n",
    ),
    *(
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\n x\r\n\r\n",
        b"0\r\nbad line\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"",
        b"0\r\nA: b\nC: d\r\n\r\n",
    ),
]
_BODIES = [
    b"",
    b"abc",
    b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
    b"GET /guarded/a HTTP/1.1\r\nHost: edge.test\r\n\r\n",
    b"0\r\n\r\n",
    b"x" * 700,
]
_PIECES = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\x00",
        b"\xff",
        b"\x0b",
        b"\x0c",
        b"\x7f",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"\x85",
        b"\xe2\x80\xa8",
        b"\xc4\x8a",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\n",
        b"X-Agent-Id: root\r\n",
        b"HTTP/1.1",
        b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: edge.test\r\n\r\n",
    ),
]


@dataclass(frozen=True)
class Case:
    """What a client sends on one connection, where its reads are cut, and what the upstream makes of it."""

    data: bytes
    cuts: tuple[int, ...] = ()
    trickles: bool = False
    """Every byte is read by itself."""
    hastes: bool = False
    """The client does not wait between its pieces."""
    early: bool = False
    """The upstream answers as soon as the head has come."""
    answer: int = 0
    """Which of the upstream's forms of answer it gives first."""

    @property
    def pieces(self) -> list[bytes]:
        if self.trickles:
            return [self.data[at : at + 1] for at in range(len(self.data))]
        places = sorted({place % (len(self.data) + 1) for place in self.cuts} | {0, len(self.data)})
        return [self.data[one:other] for one, other in pairwise(places)]


def make(random: Random) -> Case:
    data = b"".join(_request(random) for _ in range(random.choice((1, 1, 1, 2, 2, 3))))
    if often(random, 0.25):
        data = hurt(random, data, _PIECES)
    if often(random, 0.1):
        data = data[: random.randint(0, len(data))]
    count = random.choice((0, 0, 0, 1, 2, 6))
    cuts = tuple(random.randint(0, len(data)) for _ in range(count))
    trickles, hastes, early = (often(random, chance) for chance in (0.02, 0.5, 0.15))
    return Case(data, cuts, trickles, hastes, early, random.randrange(6))


def smaller(case: Case) -> Iterator[Case]:
    if case.cuts:
        yield replace(case, cuts=())
        yield replace(case, cuts=case.cuts[: len(case.cuts) // 2])
    for plainer in ({"trickles": False}, {"early": False}, {"hastes": False}, {"answer": 0}):
        yield replace(case, **plainer)
    yield from (replace(case, data=data) for data in cut(case.data))


def _request(random: Random) -> bytes:
    sound = often(random, 0.4)
    method, target, version, host = (
        random.choice(_METHODS),
        random.choice(_TARGETS),
        b"HTTP/1.1",
        b"Host: edge.test",
    )
    lines = [b"Authorization: " + random.choice(_GOOD)] if often(random, 0.7) else []
    if target == b"/mcp" and often(random, 0.8):
        method = b"POST"
        lines += [b"Content-Type: application/json", b"Accept: application/json, text/event-stream"]
    framing, body = _framed(random, sound=sound)
    lines += framing
    if not sound:
        lines += some(random, _LINES, 3)
        if often(random, 0.08):
            method = random.choice(_ODD_METHODS)
        if often(random, 0.12):
            target = random.choice(_ODD_TARGETS)
        if often(random, 0.08):
            version = random.choice(_VERSIONS)
        if often(random, 0.08):
            host = random.choice(_HOSTS)
        if often(random, 0.15):
            lines.append(random.choice(_FRAMING))
    random.shuffle(lines)
    lines.insert(random.choice((0, 0, 0, len(lines))), host)
    end = b"\r\n" if sound or often(random, 0.97) else random.choice((b"\n", b"\r", b"\r\r\n", b"\n\r\n"))
    return end.join([b" ".join((method, target, version)), *lines, b"", b""]) + body


def _framed(random: Random, *, sound: bool) -> tuple[list[bytes], bytes]:
    """Lines that say where a body ends, and the body."""
    kind = random.randrange(3)
    if kind == 0:
        return [], b""
    body = random.choice(_BODIES)
    if kind == 1:
        return [b"Content-Length: %d" % len(body)], body
    if sound:
        chunks = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return [b"Transfer-Encoding: chunked"], chunks + b"0\r\n\r\n"
    chunks = b"".join(some(random, _CHUNKS[: random.choice((5, 5, len(_CHUNKS)))], 3))
    return [b"Transfer-Encoding: chunked"], chunks + random.choice(_ENDS)
