"""Answers as bytes: mostly sound, with a few of the things in them that a hostile or broken upstream would say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.fuzz.frame import cut, hurt, often, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_METHODS = [b"GET", b"GET", b"GET", b"POST", b"HEAD", b"DELETE"]
_STATUSES = [
    *(b"200 OK",) * 12,
    *(
        b"201 Created",
        b"204 No Content",
        b"304 Not Modified",
        b"404 Not Found",
        b"500 Oops",
        b"301 Moved",
        b"401 No",
        b"206 Part",
    ),
]
_ODD_STATUSES = [
    *(
        b"099 x",
        b"600 x",
        b"20 OK",
        b"2000 OK",
        b"OK",
        b"",
        b"200",
        b"200 ",
        b"200  two",
        b"-200 OK",
        b"+200 OK",
        b"0x8 OK",
        b"999 x",
    ),
    *(
        b"200 \x00",
        b"200 O\x01K",
        b"200 O\rK",
        b"200 O\nK",
        b"200 \xff\xe9",
        b"101 Switching Protocols",
        b"100 Continue",
        b"103 Early",
        b"\xd9\xa2\xd9\xa0\xd9\xa0 OK",
    ),
]
_VERSIONS = [
    *(
        b"HTTP/1.0",
        b"HTTP/1.0",
        b"HTTP/0.9",
        b"HTTP/2",
        b"HTTP/2.0",
        b"HTTP/1.2",
        b"http/1.1",
        b"HTTP/1.1 ",
        b"HTTP/11",
        b"",
        b"ICY",
        b"HTTP/ 1.1",
    ),
]
_FRAMING = [
    *(
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: 2",
        b"Content-Length: 99",
        b"Content-Length:",
        b"Content-Length: +5",
    ),
    *(
        b"Content-Length: 5, 5",
        b"Content-Length: -1",
        b"Content-Length: 05",
        b"Content-Length : 5",
        b"Content-Length: 5\x00",
        b"Content-Length: 5\r\n 5",
    ),
    *(
        b"Content-Length: 99999999999999999999",
        b"Content_Length: 5",
        b"content-length: 5",
        b"X: y\nContent-Length: 5",
        b"Content-Length: 0x5",
    ),
    *(
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, chunked",
    ),
    *(
        b"Transfer-Encoding: CHUNKED",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\x0bchunked",
    ),
    *(
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked;x",
    ),
]
_LINES = [
    *(
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: Content-Length",
        b"Connection: Transfer-Encoding, X",
        b"connection: CLOSE",
        b"Connection: x\xff",
    ),
    *(
        b"Keep-Alive: timeout=0",
        b"Upgrade: websocket",
        b"Trailer: X",
        b"Proxy-Connection: close",
        b"Date: now",
        b"Server: x",
        b"Set-Cookie: a=b",
        b"Set-Cookie: c=d",
    ),
    *(
        b"X-Ctl: a\x01b",
        b"X-Nul: a\x00b",
        b"X-Del: \x7f",
        b"X-Fold: a\r\n b",
        b"X-Lf: a\nb",
        b"X-Cr: a\rb",
        b"NoColon",
        b": x",
        b"X y: z",
        b"X\x80: y",
        b"X(: y",
        b"X:",
    ),
    *(
        b" X: y",
        b"\tX: y",
        b"X : y",
        b"X\t: y",
        b"X-Obs: \xe9",
        b"Location: http://127.0.0.1:9/x",
        b"Location: //127.0.0.1:9",
        b"Content-Location: http://127.0.0.1:9/",
    ),
    *(
        b"Location: http://127.0.0.1:9\r\n x",
        b"Content-Type: text/event-stream",
        b"Content-Type: text/event-stream",
        b"Content-Type: application/json",
        b"Content-Encoding: gzip",
    ),
    *(
        b"DPoP-Nonce: x",
        b"Access-Control-Allow-Origin: *",
        b"HTTP/1.1 200 OK",
        b"X: y\r\r\n",
        b"X: \x85y",
        b"Mcp-Session-Id: abc",
        b"X-Long: " + b"a" * 600,
    ),
]
_CHUNKS = [
    *(b"5\r\nhello\r\n", b"3\r\nabc\r\n", b"9\r\ndata: x\n\n\r\n", b"1\r\n\r\r\n", b"2\r\n\r\n\r\n"),
    *(
        b"5;x=y\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhell\r\n",
        b"5\r\nhello!\r\n",
        b"x\r\n",
        b"\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
    ),
    *(
        b"5\r\nhelloXX",
        b"5\r\nhello\n",
        b"5\r\nhello\rX",
        b"ffffffffffffffffff\r\n",
        b"5\x00\r\nhello\r\n",
        b"005\r\nhello\r\n",
    ),
]
_ENDS = [
    *(b"0\r\n\r\n",) * 6,
    *(
        b"0\r\nA: b\r\n\r\n",
        b"0\r\nA: \x00\r\n\r\n",
        b"0\r\n",
        b"",
        b"0\n\n",
        b"0\r\n x\r\n\r\n",
        b"00\r\n\r\n",
        b"0;x\r\n\r\n",
        b"0\r\nbad\r\n\r\n",
    ),
]
_BODIES = [b"hello", b"", b"data: x\n\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen", b"x" * 900]
_BEHIND = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
    b"\r\n",
    b"\n",
    b"x",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"\x00",
    b"0\r\n\r\n",
]
_BEFORE = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    b"\r\n",
    b"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 102 P\r\n\r\n" * 20,
]
_PIECES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\x00",
    b"\xff",
    b" ",
    b"\t",
    b":",
    b"HTTP/1.1 ",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\x0b",
    b"0\r\n\r\n",
]


@dataclass(frozen=True)
class Answer:
    """What the upstream does about one request."""

    data: bytes
    cuts: tuple[int, ...] = ()
    end: str = "stays"
    """`stays`, `leaves` (FIN) or `resets`, once everything is said."""

    @property
    def pieces(self) -> list[bytes]:
        places = sorted({place % (len(self.data) + 1) for place in self.cuts} | {0, len(self.data)})
        return [self.data[one:other] for one, other in pairwise(places)]


@dataclass(frozen=True)
class Case:
    """The requests of one client, by method and version, and what they are answered."""

    methods: tuple[bytes, ...]
    http10: bool
    filters: bool
    """They go to a rule under which answers are read, and not only passed on."""
    answers: tuple[Answer, ...]


def make(random: Random) -> Case:
    count = random.choice((1, 1, 2, 3))
    methods = tuple(random.choice(_METHODS) for _ in range(count))
    http10, filters = often(random, 0.1), often(random, 0.3)
    return Case(methods, http10, filters, tuple(_answer(random) for _ in range(count)))


def smaller(case: Case) -> Iterator[Case]:
    for number, answer in enumerate(case.answers):
        count = len(case.answers)
        if count > 1:
            kept = [at for at in range(count) if at != number]
            yield replace(
                case,
                methods=tuple(case.methods[at] for at in kept),
                answers=tuple(case.answers[at] for at in kept),
            )
        for less in (
            replace(answer, cuts=()),
            replace(answer, end="stays"),
            *(replace(answer, data=data) for data in cut(answer.data)),
        ):
            yield replace(case, answers=(*case.answers[:number], less, *case.answers[number + 1 :]))
    yield replace(case, http10=False)
    yield replace(case, filters=False)


def _answer(random: Random) -> Answer:
    data = _response(random)
    if often(random, 0.12):
        data = random.choice(_BEFORE) + data
    if often(random, 0.1):
        data += random.choice(_BEHIND)
    if often(random, 0.2):
        data = hurt(random, data, _PIECES)
    if often(random, 0.1):
        data = data[: random.randint(0, len(data))]
    cuts = tuple(random.randint(0, len(data)) for _ in range(random.choice((0, 0, 1, 3))))
    return Answer(data, cuts, random.choice(("stays", "stays", "leaves", "resets")))


def _response(random: Random) -> bytes:
    sound = often(random, 0.4)
    version, status = b"HTTP/1.1", random.choice(_STATUSES)
    body, kind = random.choice(_BODIES), random.randrange(3)
    if kind == 0:
        lines: list[bytes] = []
    elif kind == 1:
        lines = [b"Content-Length: %d" % len(body)]
    else:
        lines = [b"Transfer-Encoding: chunked"]
        chunks = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        body = chunks + b"0\r\n\r\n"
    if not sound:
        if kind == 2:
            body = b"".join(some(random, _CHUNKS[: random.choice((5, 5, len(_CHUNKS)))], 3)) + random.choice(
                _ENDS
            )
        lines += some(random, _LINES, 3)
        if often(random, 0.1):
            status = random.choice(_ODD_STATUSES)
        if often(random, 0.1):
            version = random.choice(_VERSIONS)
        if often(random, 0.2):
            lines.append(random.choice(_FRAMING))
    random.shuffle(lines)
    end = b"\r\n" if sound or often(random, 0.97) else random.choice((b"\n", b"\r", b"\r\r\n"))
    return end.join([version + b" " + status, *lines, b"", b""]) + body
