"""Requests with more than one reading, or none: each is refused, and nothing behind it is ever read.

The classes are those of RFC 9112 sections 2 to 7 and of the peers' advisories: CVE-2023-25725, CVE-2023-37276,
CVE-2024-52304, CVE-2025-43859, CVE-2025-53643, CVE-2025-69224.
"""

from __future__ import annotations

import pytest

from tests.wire.exchanges.table import (
    ARRIVED,
    GET,
    HOST,
    OK,
    TRICKLED,
    Exchange,
    Refused,
    arrived,
    get,
    http,
)

_MALFORMED = Refused(400, "request_malformed", closes=True)
_AMBIGUOUS = Refused(400, "path_ambiguous")


def _broken(sent: bytes) -> Exchange:
    """Refused, closed upon, and nothing of it arrives."""
    return Exchange(sent, (), (_MALFORMED,), closes=True)


def _line(line: bytes) -> Exchange:
    """A GET with one strange header line among good ones."""
    return _broken(b"GET / HTTP/1.1\r\nHost: edge.test\r\n" + line + b"\r\nAccept: */*\r\n\r\n")


def _start(line: bytes) -> Exchange:
    return _broken(line + b"\r\nHost: edge.test\r\n\r\n")


LINES = [
    pytest.param(_line(line), id=name)
    for line, name in [
        (b"X-A: one\r\n two", "a line folded with a space"),
        (b"X-A: one\r\n\ttwo", "a line folded with a tab"),
        (b"X-A: one\r\n ", "a line folded onto nothing"),
        (b" X-A: one", "a line that begins with a space"),
        (b"X-A: one\nX-B: two", "a line that ends in a bare LF"),
        (b"X-A: one\n", "an empty line of a bare LF"),
        (b"X-A: one\n\r\nX-B: two", "LF CR LF"),
        (b"X-A: one\rtwo", "a bare CR in a value"),
        (b"X-A: one\r\r\nX-B: two", "CR CR LF"),
        (b"X-A: one\r", "a value that ends in a bare CR"),
        (b"X-A: \x00", "a NUL in a value"),
        (b"X-\x00A: one", "a NUL in a name"),
        (b"X-A: \x01", "a control byte in a value"),
        (b"X-A: a\x0bb", "a vertical tab in a value"),
        (b"X-A: a\x0cb", "a form feed in a value"),
        (b"X-A: \x1b[31m", "an escape sequence in a value"),
        (b"X-A: a\x7fb", "a DEL in a value"),
        (b"X-A : one", "a space before the colon"),
        (b"X-A\t: one", "a tab before the colon"),
        (b": one", "an empty name"),
        (b":", "a lone colon"),
        (b"X A: one", "a space in a name"),
        (b"X-A", "no colon"),
        (b"X(A): one", "brackets in a name"),
        (b"X-\xc3\xa4: one", "a name beyond ASCII"),
        (b'"X-A": one', "a name in quotes"),
        (b"X-A/B: one", "a slash in a name"),
        (b"GET /other HTTP/1.1", "a request line among the lines"),
    ]
]

STARTS = [
    pytest.param(_start(line), id=name)
    for line, name in [
        (b"GET /", "HTTP/0.9 with header lines"),
        (b"GET / HTTP/1.2", "HTTP/1.2"),
        (b"GET / HTTP/1.9", "HTTP/1.9"),
        (b"GET / HTTP/0.9", "HTTP/0.9 that says so"),
        (b"GET / HTTP/2.0", "HTTP/2.0"),
        (b"GET / HTTP/2", "HTTP/2"),
        (b"GET / HTTP/3.0", "HTTP/3.0"),
        (b"GET / HTTP/1.10", "HTTP/1.10"),
        (b"GET / HTTP/01.1", "HTTP/01.1"),
        (b"GET / HTTP/1.", "HTTP/1 without a minor version"),
        (b"GET / HTTP/1,1", "HTTP/1,1"),
        (b"GET / http/1.1", "http in lower case"),
        (b"GET / HTTPS/1.1", "HTTPS/1.1"),
        (b"GET / ICE/1.0", "GET of ICE"),
        (b"SOURCE / ICE/1.0", "SOURCE of ICE"),
        (b"OPTIONS / RTSP/1.0", "OPTIONS of RTSP"),
        (b"GET / HTTP/1.1 ", "a space behind the version"),
        (b"GET / HTTP/1.1\t", "a tab behind the version"),
        (b"GET / HTTP/ 1.1", "a space within the version"),
        (b"GET  / HTTP/1.1", "two spaces before the target"),
        (b"GET /  HTTP/1.1", "two spaces behind the target"),
        (b"GET\t/ HTTP/1.1", "a tab before the target"),
        (b"GET /\tHTTP/1.1", "a tab behind the target"),
        (b" GET / HTTP/1.1", "a space before the method"),
        (b"GET / other HTTP/1.1", "a space in the target"),
        (b"GET HTTP/1.1", "no target"),
        (b"GET  HTTP/1.1", "an empty target"),
        (b"/ HTTP/1.1", "no method"),
        (b"GET/ HTTP/1.1", "no space"),
        (b"G@T / HTTP/1.1", "a method that is no token"),
        (b"G\x00T / HTTP/1.1", "a NUL in the method"),
        (b"GET /\x00 HTTP/1.1", "a NUL in the target"),
        (b"GET /\x01 HTTP/1.1", "a control byte in the target"),
        (b"GET /\x7f HTTP/1.1", "a DEL in the target"),
        (b"GET /\rX HTTP/1.1", "a bare CR in the target"),
        (b"GET /a#b HTTP/1.1", "a fragment"),
        (b"GET /# HTTP/1.1", "an empty fragment"),
        (b"GET http://edge.test/#a HTTP/1.1", "a fragment in absolute-form"),
        (b"GET / HTTP/1.1\r\nHost: edge.test\n", "a bare LF behind the first line"),
        (b"GET / HTTP/1.1\nX-A: one", "a request line that ends in a bare LF"),
        (b"GET / HTTP/1.1\r\r\nX-A: one", "a request line that ends in CR CR LF"),
        (b"GET / HTTP/1.1\r\n X-A: one", "a folded request line"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS greeting"),
    ]
]

HOSTS = [
    pytest.param(_broken(http("GET / HTTP/1.1", "Accept: */*")), id="HTTP/1.1 without Host"),
    pytest.param(_broken(http("GET / HTTP/1.1", "Host: ")), id="an empty Host"),
    pytest.param(_broken(http("GET / HTTP/1.1", HOST, HOST)), id="two equal Hosts"),
    pytest.param(_broken(http("GET / HTTP/1.1", HOST, "host: other.test")), id="two unequal Hosts"),
    pytest.param(_broken(http("GET / HTTP/1.0", HOST, HOST)), id="two Hosts on HTTP/1.0"),
    pytest.param(
        _broken(http("GET http://edge.test/ HTTP/1.1", "Accept: */*")), id="absolute-form without Host"
    ),
    *[
        pytest.param(
            Exchange(http("GET / HTTP/1.1", f"Host: {value}"), (), (Refused(421, "host_refused"),)),
            id=f"Host {name}",
        )
        for value, name in [
            ("other.test", "of somebody else"),
            ("edge.test.", "with a dot behind"),
            ("edge.test.other.test", "that begins well"),
            ("other-edge.test", "that ends well"),
            ("user@edge.test", "with userinfo"),
            ("edge.test/path", "with a path"),
            ("edge.test, other.test", "as a list"),
            ("edge.test:", "with an empty port"),
            ("edge.test:http", "with a port in words"),
            ("edge.test:99999999", "with a port beyond all"),
            ("edge.test other.test", "of two words"),
            ("edge\xe4.test", "beyond ASCII"),
        ]
    ],
    pytest.param(
        Exchange(
            http("GET / HTTP/1.1", "Host: EDGE.test"),
            (ARRIVED,),
            (OK,),
            told=(b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: EDGE.test"),
        ),
        id="Host in capitals",
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.1", "Host: edge.test:8443"),
            (ARRIVED,),
            (OK,),
            told=(
                b"X-Forwarded-For: 127.0.0.1",
                b"X-Forwarded-Proto: http",
                b"X-Forwarded-Host: edge.test:8443",
            ),
        ),
        id="Host with a port",
    ),
]

TARGETS = [
    *[
        pytest.param(
            Exchange(http(f"GET {target} HTTP/1.1", HOST), (arrived(f"GET {origin} HTTP/1.1"),), (OK,)),
            id=name,
        )
        for target, origin, name in [
            ("http://edge.test/a?b=c", "/a?b=c", "absolute-form arrives in origin-form"),
            ("http://edge.test", "/", "absolute-form without a path"),
            ("http://edge.test?b=c", "/?b=c", "absolute-form with a query and no path"),
            ("HTTP://edge.test/a", "/a", "absolute-form in capitals"),
            ("/a?b=http://other.test/", "/a?b=http://other.test/", "a query that holds a URI"),
            ("/?a=%2e%2e/%2f;b", "/?a=%2e%2e/%2f;b", "a query arrives as it came"),
            ("/a%20b", "/a%20b", "an encoded path arrives as it came"),
        ]
    ],
    *[
        pytest.param(Exchange(http(f"GET {target} HTTP/1.1", HOST), (), (_AMBIGUOUS,)), id=name)
        for target, name in [
            ("http://other.test/", "absolute-form with another authority"),
            ("http://edge.test:8443/", "absolute-form with another port"),
            ("http://user@edge.test/", "absolute-form with userinfo"),
            ("ftp://edge.test/", "absolute-form of another scheme"),
            ("/a/../b", "dot segments"),
            ("//a", "two slashes"),
            ("/a%2fb", "an encoded slash"),
            ("/a\\b", "a backslash"),
            ("/a;b", "a path parameter"),
            ("/a%zz", "a bad escape"),
        ]
    ],
    pytest.param(
        Exchange(http("OPTIONS * HTTP/1.1", HOST), (), (_AMBIGUOUS,), methods=(b"OPTIONS",)),
        id="asterisk-form",
    ),
    pytest.param(
        Exchange(http("GET http:///a HTTP/1.1", HOST), (), (_AMBIGUOUS,)),
        id="absolute-form with an empty authority",
    ),
]

METHODS = [
    pytest.param(
        Exchange(http("TRACE / HTTP/1.1", HOST), (), (Refused(405, "method_refused"),), methods=(b"TRACE",)),
        id="TRACE",
    ),
    pytest.param(
        Exchange(http("CONNECT edge.test:443 HTTP/1.1", HOST), (), (Refused(403, "upgrade_refused"),)),
        id="CONNECT",
    ),
    pytest.param(
        Exchange(
            get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
            (),
            (Refused(403, "upgrade_refused", closes=True),),
            closes=True,
        ),
        id="an upgrade to WebSocket",
    ),
    pytest.param(
        Exchange(
            get(
                "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
            ),
            (),
            (Refused(403, "upgrade_refused", closes=True),),
            closes=True,
        ),
        id="an upgrade to h2c",
    ),
    pytest.param(
        Exchange(get("/", "Upgrade: h2c"), (), (Refused(403, "upgrade_refused", closes=True),), closes=True),
        id="an upgrade that Connection does not name",
    ),
    pytest.param(
        Exchange(
            http(
                "POST / HTTP/1.1",
                HOST,
                "Connection: Upgrade",
                "Upgrade: h2c",
                "Content-Length: 4",
                body=b"body",
            ),
            (),
            (Refused(403, "upgrade_refused", closes=True),),
            closes=True,
        ),
        id="an upgrade with a body",
    ),
]

PREFACES = [
    pytest.param(_broken(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), id="the preface of HTTP/2"),
    pytest.param(_broken(b"GET /\r\n\r\n"), id="HTTP/0.9"),
    pytest.param(
        Exchange(
            b"GET / HTTP/1.1\nHost: edge.test\n\n",
            (),
            (_MALFORMED,),
            closes=True,
            config={"limits": {"head_timeout": "250ms"}},
        ),
        id="every line ends in a bare LF",
    ),
    pytest.param(_broken(b"\r\n\r\n\r\n" + GET), id="several empty lines before a request"),
    pytest.param(_broken(b"\n" + GET), id="a bare LF before a request"),
    pytest.param(_broken(b"\x00" + GET), id="a NUL before a request"),
]

LIMITS = [
    pytest.param(
        Exchange(
            get("/" + "a" * 9000),
            (),
            (Refused(414, "uri_too_long", closes=True),),
            closes=True,
            skips=(TRICKLED,),
        ),
        id="a request line beyond its limit",
    ),
    pytest.param(
        Exchange(
            get("/", "X-A: " + "a" * 33000),
            (),
            (Refused(431, "headers_too_large", closes=True),),
            closes=True,
            skips=(TRICKLED,),
        ),
        id="a header line beyond the limit",
    ),
    pytest.param(
        Exchange(
            get("/", *["X-A: " + "a" * 1000] * 33),
            (),
            (Refused(431, "headers_too_large", closes=True),),
            closes=True,
            skips=(TRICKLED,),
        ),
        id="a header block beyond the limit",
    ),
    pytest.param(
        Exchange(
            get("/", *["X-A: a"] * 200), (), (Refused(431, "headers_too_large", closes=True),), closes=True
        ),
        id="header lines without end",
    ),
    pytest.param(
        Exchange(
            get("/" + "a" * 8000), (arrived("GET /" + "a" * 8000 + " HTTP/1.1"),), (OK,), skips=(TRICKLED,)
        ),
        id="a request line just within its limit",
    ),
    pytest.param(
        Exchange(
            get("/", "X-A: " + "a" * 32000),
            (arrived("GET / HTTP/1.1", "X-A: " + "a" * 32000),),
            (OK,),
            skips=(TRICKLED,),
        ),
        id="a header line just within the limit",
    ),
]

BEHIND = [
    pytest.param(
        Exchange(
            GET + b"GET / HTTP/1.1\r\nHost : edge.test\r\n\r\n", (ARRIVED,), (OK, _MALFORMED), closes=True
        ),
        id="a malformed request behind a good one ends the connection",
    ),
]

# Another reader, or another version of ours, would read these otherwise, and nobody would notice.
CVES = {
    "LINES": ("CVE-2023-25725", "CVE-2023-37276"),
    "STARTS": ("CVE-2023-37276",),
    "HOSTS": ("CVE-2026-34525",),
    "METHODS": ("CVE-2026-59950",),
}
