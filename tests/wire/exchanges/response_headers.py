"""What reaches the client of an answer's header lines."""

from __future__ import annotations

import pytest

from tests.wire.exchanges.table import ARRIVED, GET, OK, Exchange, ok


def _becomes(sent: tuple[str, ...], leaves: tuple[str, ...], **config: object) -> Exchange:
    return Exchange(GET, (ARRIVED,), (ok(b"ok", *leaves),), answers=((ok(b"ok", *sent),),), config=config)


def _goes(*lines: str) -> Exchange:
    return _becomes(lines, ())


def _passes(*lines: str) -> Exchange:
    return _becomes(lines, lines)


RESPONSE_HEADERS = [
    *[
        pytest.param(_goes(line), id=f"{line.partition(':')[0]} of an answer goes")
        for line in [
            "Connection: keep-alive",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authenticate: Basic",
            "TE: trailers",
            "Trailer: Digest",
            "Upgrade: h2c",
        ]
    ],
    pytest.param(
        _goes("Connection: X-Thing, x-other", "X-Thing: 1", "X-Other: 2"),
        id="headers that Connection names go",
    ),
    pytest.param(
        _becomes(("Connection: Content-Type, x-thing", "Content-Type: text/plain", "X-A: 1"), ("X-A: 1",)),
        id="Connection names an end-to-end header",
    ),
    pytest.param(
        Exchange(
            GET, (ARRIVED,), (OK,), answers=((ok(b"ok", "Connection: Content-Length"),),), connections=1
        ),
        id="Connection cannot remove the length of an answer",
    ),
    *[
        pytest.param(_passes(line), id=f"{line.partition(':')[0]} of an answer passes")
        for line in [
            "Content-Type: application/json; charset=utf-8",
            "Server: upstream/1.0",
            "WWW-Authenticate: Basic realm=upstream",
            'ETag: W/"a"',
            "Vary: Accept, Origin",
            "Retry-After: 5",
            "Access-Control-Allow-Origin: *",
            "X-Latin: caf\xe9",
            "X-Tab: a\tb",
        ]
    ],
    pytest.param(_passes("Set-Cookie: a=1", "Set-Cookie: b=2; HttpOnly"), id="every cookie passes by itself"),
    pytest.param(
        _becomes(("X-A:1", "X-B:  \t 2 "), ("X-A: 1", "X-B: 2")),
        id="space around an answer's value is trimmed",
    ),
    pytest.param(_becomes(("X-Empty:",), ("X-Empty: ",)), id="an answer's empty value passes"),
]

LOCATIONS = [
    pytest.param(_becomes((f"{name}: {sent}",), (f"{name}: {leaves}",)), id=f"{name} {case}")
    for name in ("Location", "Content-Location")
    for sent, leaves, case in [
        ("http://{upstream}/a?b=c#d", "https://edge.test/a?b=c#d", "that names the upstream names the proxy"),
        ("http://{upstream}", "https://edge.test", "that names the upstream alone names the proxy"),
        (
            "http://{upstream}?b",
            "https://edge.test?b",
            "that names the upstream with a query names the proxy",
        ),
        ("https://{upstream}/a", "https://edge.test/a", "that names the upstream by another scheme"),
        ("HTTP://{upstream}/a", "https://edge.test/a", "that names the upstream in capitals"),
        ("//{upstream}/a", "https://edge.test/a", "that names the upstream without a scheme"),
        ("/a?b=c", "/a?b=c", "of a path passes"),
        ("a/../b", "a/../b", "of a relative path passes"),
        ("https://other.test/a", "https://other.test/a", "that names somebody else passes"),
        ("http://{upstream}0/a", "http://{upstream}0/a", "that begins with the upstream's name passes"),
        (
            "https://other.test/?to=http://{upstream}/a",
            "https://other.test/?to=http://{upstream}/a",
            "that mentions the upstream passes",
        ),
    ]
] + [
    pytest.param(
        _becomes(("location: http://{upstream}/a",), ("location: https://edge.test/a",)),
        id="Location in lower case names the proxy",
    ),
]
