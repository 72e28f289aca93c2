"""What reaches the upstream of a request's header lines, byte by byte (design section 9).

CVE-2024-45410, CVE-2025-48865: Connection must not remove what the proxy adds. CVE-2025-64484: no spelling of an
identity header passes. CVE-2023-27487: X-Forwarded-* is believed of trusted proxies alone.
"""

from __future__ import annotations

import pytest

from tests.support.harness import TOKEN, TOKEN_LINES
from tests.wire.exchanges.table import (
    HOST,
    OK,
    Exchange,
    Refused,
    arrived,
    arrived_post,
    chunked,
    get,
    http,
    post,
    post_chunked,
)

_BEARER = f"Authorization: Bearer {TOKEN}"
_TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}
_TRACE = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _goes(*lines: str) -> Exchange:
    """None of these lines arrives."""
    return Exchange(get("/", *lines), (arrived("GET / HTTP/1.1"),), (OK,))


def _passes(*lines: str) -> Exchange:
    """All of these lines arrive as they came."""
    return Exchange(get("/", *lines), (arrived("GET / HTTP/1.1", *lines),), (OK,))


def _becomes(sent: tuple[str, ...], arrives: tuple[str, ...]) -> Exchange:
    return Exchange(get("/", *sent), (arrived("GET / HTTP/1.1", *arrives),), (OK,))


def _identified(*lines: str, target: str = "/") -> Exchange:
    """The verified identity arrives once, and none of these lines."""
    return Exchange(
        get(target, _BEARER, *lines),
        (arrived(f"GET {target} HTTP/1.1", *TOKEN_LINES),),
        (OK,),
        reason=None if target == "/guarded" else "public",
    )


def _told(sent: tuple[str, ...], told: tuple[str, ...]) -> Exchange:
    """What a trusted proxy says, and what the upstream is told."""
    return Exchange(
        get("/", *sent),
        (arrived("GET / HTTP/1.1"),),
        (OK,),
        told=tuple(line.encode() for line in told),
        config=_TRUSTED,
    )


HOP_BY_HOP = [
    *[
        pytest.param(_goes(line), id=f"{line.strip()} goes")
        for line in [
            "Connection: keep-alive",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic YTpi",
            "Proxy-Authenticate: Basic",
            "TE: trailers",
            "TE: gzip",
            "Trailer: Digest",
            "KEEP-ALIVE: timeout=5",
            "proxy-authorization: Basic YTpi",
            "Proxy_Authorization: Basic YTpi",
            "Transfer_Encoding: chunked",
            "Content_Length: 5",
            "Content.Length: 5",
        ]
    ],
    pytest.param(_goes("Connection: X-Thing", "X-Thing: 1"), id="a header that Connection names goes"),
    pytest.param(
        _goes("Connection: x-thing , X-OTHER", "X-Thing: 1", "x-other: 2", "X-Thing: 3"),
        id="every header that Connection names goes, in any case, as often as it stands",
    ),
    pytest.param(
        _goes("Connection: x-thing", "Connection: x-other", "X-Thing: 1", "X-Other: 2"),
        id="a second Connection line names headers, too",
    ),
    pytest.param(_passes("X-Thing: 1", "X-Other: 2"), id="a header that Connection does not name stays"),
    pytest.param(
        Exchange(post(b"body", "Connection: Content-Length, Host"), (arrived_post(b"body"),), (OK,)),
        id="Connection cannot remove a body's length or the Host",
    ),
    pytest.param(
        Exchange(
            post_chunked(chunked(b"one"), "Connection: Transfer-Encoding"),
            (http("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunked(b"one")),),
            (OK,),
        ),
        id="Connection cannot remove a body's coding",
    ),
    pytest.param(
        _goes("Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, traceparent"),
        id="Connection cannot remove what the upstream is told of the client",
    ),
    pytest.param(
        _identified("Connection: X-Agent-Id, X-Agent-Scopes"), id="Connection cannot remove the identity"
    ),
    pytest.param(
        _identified("Connection: X-Agent-Id", "X-Agent-Id: root"),
        id="Connection can neither remove nor replace the identity",
    ),
    pytest.param(
        Exchange(
            get("/guarded", _BEARER, "Connection: Authorization"),
            (arrived("GET /guarded HTTP/1.1", *TOKEN_LINES),),
            (OK,),
            reason=None,
        ),
        id="Connection cannot hide the credential from the proxy",
    ),
]

IDENTITY = [
    *[
        pytest.param(_goes(line), id=f"{line.strip()} goes on a public route")
        for line in [
            "X-Agent-Id: root",
            "x-agent-id: root",
            "X-AGENT-ID: root",
            "X_Agent_Id: root",
            "X!Agent!Id: root",
            "X~Agent~Id: root",
            "x_agent_id: root",
            "X-Agent_Id: root",
            "X_AGENT-ID: root",
            "X.Agent.Id: root",
            "x.agent-id: root",
            "X-Agent-Id:root",
            "X-Agent-Id: ",
            "X-Agent-Scopes: all",
            "x_agent_scopes: all",
            "X-Agent-Name: root",
            "X-Agent-Issuer: https://issuer.test",
            "X-Agent-Audit-Url: https://other.test",
            "X-Agent-Trust: 100",
            "X-Agent-: root",
            "x_agent_anything: root",
            "Content_Type: application/json",
            "CONTENT_ENCODING: gzip",
            "Mcp_Method: tools/call",
            "mcp.name: read",
            "MCP_Protocol-Version: 2025-11-25",
            "Last_Event_Id: 1",
        ]
    ],
    *[
        pytest.param(_identified(line), id=f"{line.strip()} goes beside a verified identity")
        for line in [
            "X-Agent-Id: root",
            "x-agent-id: root",
            "X_Agent_Id: root",
            "X.Agent.Id: root",
            "X-Agent-Scopes: all",
            "x_agent_scopes: all",
            "X-Agent-Name: root",
        ]
    ],
    pytest.param(_identified(), id="the identity of a valid token arrives on a public route"),
    pytest.param(
        _identified(target="/guarded"), id="the identity of a valid token arrives on a guarded route"
    ),
    pytest.param(
        _identified("X-Agent-Id: a", "X-Agent-Id: b", "x-agent-id: c", target="/guarded"), id="duplicates go"
    ),
    pytest.param(
        Exchange(
            http("GET /guarded HTTP/1.1", "X-Agent-Id: a", HOST, "x_agent_id: b", _BEARER, "X-Agent-Id: c"),
            (arrived("GET /guarded HTTP/1.1", *TOKEN_LINES),),
            (OK,),
            reason=None,
        ),
        id="identity headers go wherever they stand",
    ),
    pytest.param(
        Exchange(
            post_chunked(chunked(b"one", end=b"0\r\nX-Agent-Id: root\r\nx_agent_id: root\r\n\r\n"), _BEARER),
            (http("POST / HTTP/1.1", *TOKEN_LINES, "Transfer-Encoding: chunked", body=chunked(b"one")),),
            (OK,),
        ),
        id="identity headers go as trailers",
    ),
    pytest.param(
        Exchange(get("/guarded", "X-Agent-Id: root"), (), (Refused(401, "credential_missing"),)),
        id="an identity header is no credential",
    ),
    pytest.param(
        Exchange(
            get("/", "X-Caller: root", "x_caller: root"),
            (arrived(),),
            (OK,),
            config={"identity_headers": {"X-Caller": "id"}},
        ),
        id="an identity header by a configured name goes",
    ),
    pytest.param(
        Exchange(
            get("/", _BEARER, "X-Caller: root", "x_caller: root", "X-Agent-Id: root"),
            (arrived("GET / HTTP/1.1", "X-Caller: acc_1"),),
            (OK,),
            config={"identity_headers": {"X-Caller": "id"}},
        ),
        id="the identity arrives by its configured name",
    ),
]

CREDENTIALS = [
    *[
        pytest.param(
            Exchange(get("/", f"{name}: Bearer {TOKEN}"), (arrived("GET / HTTP/1.1", *TOKEN_LINES),), (OK,)),
            id=f"{name} goes",
        )
        for name in ("Authorization", "authorization", "AUTHORIZATION", "aUTHORIZATION")
    ],
    pytest.param(
        Exchange(get("/", _BEARER, _BEARER), (), (Refused(400, "credential_duplicated"),)),
        id="two credentials are refused",
    ),
    pytest.param(_goes("DPoP: e30.e30.e30"), id="DPoP goes"),
    pytest.param(_passes("Cookie: session=1"), id="cookies pass"),
    pytest.param(
        Exchange(
            post_chunked(chunked(b"one", end=b"0\r\nAuthorization: Bearer x\r\n\r\n")),
            (http("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunked(b"one")),),
            (OK,),
        ),
        id="a credential among the trailers goes unread",
    ),
]

OVERRIDES = [
    pytest.param(_goes(line), id=f"{line.strip()} goes")
    for line in [
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "x_http_method_override: DELETE",
        "X-Original-URL: /admin",
        "X-Original-Uri: /admin",
        "X-Rewrite-URL: /admin",
        "x_rewrite_url: /admin",
        "X-Forwarded-For: 203.0.113.9",
        "x-forwarded-for: 203.0.113.9",
        "X_Forwarded_For: 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: other.test",
        "X-Forwarded-Port: 443",
        "X-Forwarded-Prefix: /admin",
        "X-Forwarded-Uri: /admin",
        "X-Forwarded-Method: DELETE",
        "X-Forwarded-User: root",
        "X-Forwarded-Server: other.test",
        "Forwarded: for=203.0.113.9",
        "forwarded: for=203.0.113.9",
        "X-Real-IP: 203.0.113.9",
        "x_real_ip: 203.0.113.9",
        "X-Request-Id: theirs",
        "x_request_id: theirs",
        "trace_parent: 1",
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: nonsense",
    ]
    if not line.startswith("trace_parent")
] + [
    pytest.param(_goes("tracestate: a=1"), id="tracestate without traceparent goes"),
    pytest.param(_goes("X-Forwarded-For: a", "X-Forwarded-For: b"), id="X-Forwarded-For twice goes"),
    pytest.param(
        Exchange(
            get("/", _TRACE, "tracestate: a=1"),
            (arrived("GET / HTTP/1.1", _TRACE, "tracestate: a=1"),),
            (OK,),
        ),
        id="a trace is passed on",
    ),
]

TRUSTED = [
    pytest.param(
        _told((), ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: edge.test")),
        id="a trusted proxy says nothing",
    ),
    pytest.param(
        _told(
            ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: public.test"),
            (
                "X-Forwarded-For: 203.0.113.9, 127.0.0.1",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: public.test",
            ),
        ),
        id="a trusted proxy says who, how and where",
    ),
    pytest.param(
        _told(
            ("X-Forwarded-For: 198.51.100.1, 203.0.113.9",),
            (
                "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: edge.test",
            ),
        ),
        id="a trusted proxy's list is appended to",
    ),
    pytest.param(
        _told(
            ("X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.9"),
            (
                "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: edge.test",
            ),
        ),
        id="a trusted proxy's two lines become one",
    ),
    pytest.param(
        _told(
            ("X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b"),
            ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: edge.test"),
        ),
        id="a trusted proxy says nonsense",
    ),
    pytest.param(
        _told(
            ("Forwarded: for=203.0.113.9;proto=https",),
            (
                "X-Forwarded-For: 127.0.0.1",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Host: edge.test",
                'Forwarded: for=203.0.113.9;proto=https, for=127.0.0.1;proto=http;host="edge.test"',
            ),
        ),
        id="a trusted proxy's Forwarded is appended to",
    ),
    pytest.param(
        _told(
            ("x_forwarded_for: 203.0.113.9", "X-Forwarded-User: root"),
            ("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: edge.test"),
        ),
        id="a trusted proxy is believed in one spelling",
    ),
    pytest.param(
        Exchange(
            get("/", "X-Agent-Id: root", "Authorization-: x"),
            (arrived("GET / HTTP/1.1", "Authorization-: x"),),
            (OK,),
            config=_TRUSTED,
        ),
        id="a trusted proxy makes no identity",
    ),
]

PASSED = [
    *[
        pytest.param(_passes(line), id=f"{line.partition(':')[0]} passes")
        for line in [
            "Accept: text/event-stream, application/json",
            "Accept-Encoding: gzip, br",
            "User-Agent: probe/1.0 (test)",
            "Origin: https://edge.test",
            "Range: bytes=0-99",
            'If-None-Match: W/"a", "b"',
            "X-Agents: many",
            "X-Agentid: 1",
            "XX-Agent-Id: 1",
            "Via: 1.1 other",
            "X-Tab: a\tb",
            "X-Latin: caf\xe9",
            "X-Utf: caf\xc3\xa9",
            "!#$%&'*+-.^_`|~09: every mark of a token",
        ]
    ],
    pytest.param(_passes("X-A: 1", "X-B: 2", "X-A: 3", "x-a: 4"), id="repeated lines pass in their order"),
    pytest.param(_passes("X-Long: " + "a" * 2000), id="a long line passes"),
    pytest.param(_becomes(("X-Empty:",), ("X-Empty: ",)), id="an empty value passes"),
    pytest.param(
        _becomes(("X-A:1", "X-B:  \t 2 \t "), ("X-A: 1", "X-B: 2")), id="space around a value is trimmed"
    ),
    pytest.param(
        Exchange(
            http("GET / HTTP/1.1", "Accept: */*", HOST),
            (arrived("GET / HTTP/1.1", "Accept: */*"),),
            (OK,),
        ),
        id="Host need not come first",
    ),
]

# Another reader, or another version of ours, would read these otherwise, and nobody would notice.
CVES = {
    "HOP_BY_HOP": ("CVE-2024-45410", "CVE-2025-48865"),
    "IDENTITY": ("CVE-2025-64484",),
    "TRUSTED": ("CVE-2023-27487",),
}
