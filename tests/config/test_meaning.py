"""One fault of meaning each; configurations that only look wrong; and all faults at once."""

from __future__ import annotations

import pytest

from tests.support.configuration import faults, told

A = "{issuer: 'https://a.example'}"
B = "{issuer: 'https://b.example'}"
ISSUER = "issuers: [{{issuer: '{}', {}}}]"
INSECURE = "not an https URL"
SUFFIX = "a URL with a query or fragment"
RESERVED = "a header that HTTP or the proxy itself uses"
SPELLING = "a second spelling of the same header"
CIRCLE = "a scope that grants itself"
PUBLIC = "a requirement on a public rule"
UNSERVED = "a host that is refused before any rule"
PARAMETER = "a ; that no admitted path has"

# What the wire takes off every request, or writes itself.
OF_THE_WIRE = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authorization",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "DPoP",
    "X-Request-Id",
    "traceparent",
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Override-URL",
    "Forwarded",
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Host",
    "X-Scheme",
    "X-Agent-Assertion",
]

ITSELF = "this proxy itself: every request would go round in a circle"
UPSTREAM = "upstream: {{url: 'http://a', headers: {{{}}}}}"
INTROSPECTION = "{{url: '{}', client_id: me, client_secret: s}}"

CLIENTS = "the clients' own address"
NOT_FOR_CLIENTS = "the admin listener, which is not for clients"

CASES = [
    pytest.param("listen: 127.0.0.1:9901", [f"admin: {CLIENTS}"], id="clients on the default admin port"),
    pytest.param(
        "admin: localhost:8080", [f"admin: {CLIENTS}"], id="the same port of loopback by another name"
    ),
    pytest.param("admin: 0.0.0.0:8080", [f"admin: {CLIENTS}"], id="the same port on every address"),
    pytest.param("listen: unix:/a\nadmin: unix:/a", [f"admin: {CLIENTS}"], id="the same unix socket"),
    pytest.param(
        "upstream: http://localhost:9901",
        [f"upstream: {NOT_FOR_CLIENTS}"],
        id="the admin listener as upstream",
    ),
    pytest.param(
        "upstream: unix:/a\nadmin: unix:/a",
        [f"upstream: {NOT_FOR_CLIENTS}"],
        id="its unix socket as upstream",
    ),
    pytest.param("issuers: []", ["issuers: missing, while rules need a token"], id="no issuers"),
    pytest.param("resource: http://mcp.example.com", [f"resource: {INSECURE}"], id="a resource over http"),
    pytest.param("resource: https://a.example/?b", [f"resource: {SUFFIX}"], id="a resource with a query"),
    pytest.param("resource: https://a.example/#b", [f"resource: {SUFFIX}"], id="a resource with a fragment"),
    pytest.param(
        ISSUER.format("http://a.example", "audience: x"),
        [f"issuers[0].issuer: {INSECURE}"],
        id="an issuer over http",
    ),
    pytest.param(
        ISSUER.format("https://a.example?b", "audience: x"),
        [f"issuers[0].issuer: {SUFFIX}"],
        id="an issuer with a query",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "jwks: 'http://a.example'"),
        [f"issuers[0].jwks: {INSECURE}"],
        id="keys over http",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "jwks: 'https://a.example#b'"),
        ["issuers[0].jwks: a URL with a fragment"],
        id="keys with a fragment",
    ),
    pytest.param(
        f"issuers: [{A}, {B}, {A}]",
        ["issuers[2].issuer: an issuer that is configured twice"],
        id="an issuer twice",
    ),
    pytest.param(
        "identity_headers: {Host: id}", [f"identity_headers.Host: {RESERVED}"], id="identity in Host"
    ),
    pytest.param(
        "identity_headers: {authorization: id}",
        [f"identity_headers.authorization: {RESERVED}"],
        id="in Authorization",
    ),
    pytest.param(
        "identity_headers: {TE: id}", [f"identity_headers.TE: {RESERVED}"], id="in a hop-by-hop field"
    ),
    pytest.param(
        "identity_headers: {X_Forwarded.For: id}",
        [f'identity_headers["X_Forwarded.For"]: {RESERVED}'],
        id="in another spelling of a reserved field",
    ),
    pytest.param(
        "identity_headers: {X-Agent-Id: id, x-agent-id: name}",
        [f"identity_headers.x-agent-id: {SPELLING}"],
        id="two headers that differ in case",
    ),
    pytest.param(
        "identity_headers: {X-Agent-Id: id, X_Agent_Id: name}",
        [f"identity_headers.X_Agent_Id: {SPELLING}"],
        id="two headers that differ in _",
    ),
    pytest.param(
        f"issuers: [{A}, {B}]\nidentity_headers: {{X-Agent-Issuer: name}}",
        ["identity_headers.X-Agent-Issuer: another meaning for the header that tells issuers apart"],
        id="X-Agent-Issuer for something else, with several issuers",
    ),
    pytest.param("scopes: {a: a}", [f"scopes.a: {CIRCLE}"], id="a scope that grants itself"),
    pytest.param("scopes: {a: b, b: [c], c: a}", [f"scopes.a: {CIRCLE}"], id="a circle of three, told once"),
    pytest.param(
        "scopes: {x: a, a: b, b: a, c: d, d: c}",
        [f"scopes.a: {CIRCLE}", f"scopes.c: {CIRCLE}"],
        id="two circles",
    ),
    pytest.param("upstream: http://127.0.0.1:8080", [f"upstream: {ITSELF}"], id="the listener as upstream"),
    pytest.param("upstream: http://localhost:8080", [f"upstream: {ITSELF}"], id="the listener by name"),
    pytest.param(
        "listen: 0.0.0.0:9\nupstream: 'http://[::1]:9'",
        [f"upstream: {ITSELF}"],
        id="a listener on all addresses",
    ),
    pytest.param(
        "listen: unix:/run/a\nupstream: unix:/run/a", [f"upstream: {ITSELF}"], id="the listener's own socket"
    ),
    pytest.param(
        UPSTREAM.format("X-Agent-Id: a"), [f"upstream.headers.X-Agent-Id: {RESERVED}"], id="a false identity"
    ),
    pytest.param(
        UPSTREAM.format("X_Agent.Role: a"),
        [f'upstream.headers["X_Agent.Role"]: {RESERVED}'],
        id="a false identity in another spelling",
    ),
    pytest.param(
        UPSTREAM.format("X!Agent~Id: a"),
        [f'upstream.headers["X!Agent~Id"]: {RESERVED}'],
        id="a false identity in the spelling of another server",
    ),
    pytest.param(
        "identity_headers: {X-Agent-Id: id, X~Agent~Id: name}",
        [f'identity_headers["X~Agent~Id"]: {SPELLING}'],
        id="two headers that differ in punctuation",
    ),
    pytest.param(UPSTREAM.format("Host: a"), [f"upstream.headers.Host: {RESERVED}"], id="Host for upstream"),
    pytest.param(
        UPSTREAM.format("X-Api-Key: a, x_api_key: b"),
        [f"upstream.headers.x_api_key: {SPELLING}"],
        id="two credentials that differ in spelling",
    ),
    pytest.param(
        "identity_headers: {X-Api-Key: id}\n" + UPSTREAM.format("X-Api-Key: a"),
        [f"upstream.headers.X-Api-Key: {SPELLING}"],
        id="a credential where the identity stands",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "introspection: " + INTROSPECTION.format("http://b.example")),
        [f"issuers[0].introspection.url: {INSECURE}"],
        id="introspection over http",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "introspection: " + INTROSPECTION.format("https://b.example/#a")),
        ["issuers[0].introspection.url: a URL with a fragment"],
        id="introspection with a fragment",
    ),
    pytest.param(
        "issuers:\n"
        f"  - {{issuer: 'https://a.example', introspection: {INTROSPECTION.format('https://a.example')}}}\n"
        f"  - {{issuer: 'https://b.example', introspection: {INTROSPECTION.format('https://b.example')}}}",
        ["issuers[1].introspection: a second one for opaque tokens, which do not say whose they are"],
        id="two issuers with opaque tokens",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "keys: {refresh: 30d, max_stale: 1.5s}"),
        [
            (
                "issuers[0].keys.max_stale: 1.5 s, shorter than keys.refresh (2592000 s):"
                " sound keys would be dropped before they are fetched again"
            ),
        ],
        id="keys that are too old before they are fetched again",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "dpop: {nonce: true}"),
        ["issuers[0].dpop.nonce: for proofs that nobody asks for"],
        id="a nonce for proofs while proofs are off",
    ),
    *(
        pytest.param(
            f"identity_headers: {{{name}: id}}",
            [f"identity_headers.{name}: {RESERVED}"],
            id=f"identity in {name}",
        )
        for name in OF_THE_WIRE
    ),
    *(
        pytest.param(
            UPSTREAM.format(f"{name}: a"), [f"upstream.headers.{name}: {RESERVED}"], id=f"{name} for upstream"
        )
        for name in OF_THE_WIRE
    ),
    *(
        pytest.param(
            f"rules: [{{path: /a, passthrough: basic, {other}}}]".replace("basic", "[basic]"),
            [f"rules[0].{other.partition(':')[0]}: on a rule with passthrough"],
            id=f"passthrough and {other.partition(':')[0]}",
        )
        for other in ("public: true", "scopes: x", "any_scopes: x", "claims: {a: 1}", "mcp: true")
    ),
    pytest.param(
        "rules: [{path: /a, passthrough: []}]", ["rules[0].passthrough: empty"], id="nothing that passes"
    ),
    pytest.param(
        "rules: [{path: /a/**, passthrough: [basic]}, {path: /a/b}]",
        ["rules[1]: never reached: all that it matches goes to rules[0]"],
        id="a rule behind one with passthrough",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', ca: none.pem}]",
        ["issuers[0].ca: not a file"],
        id="an authority that is not there",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', ca: %s}]" % ("n" * 300),
        ["issuers[0].ca: not a file"],
        id="an authority with a name too long for a file",
    ),
    pytest.param("assertion: {key: none.pem}", ["assertion.key: not a file"], id="a key that is not there"),
    pytest.param("revocations: none.yaml", ["revocations: not a file"], id="revocations that are not there"),
    pytest.param("jwks_cache: keystile.yaml", ["jwks_cache: not a directory"], id="a cache that is a file"),
    pytest.param("rules: []", ["rules: empty: every request would be refused"], id="no rules"),
    pytest.param(
        "rules: [{path: /a, name: x}, {path: /b, name: x}]",
        ["rules[1].name: the name of an earlier rule"],
        id="one name for two rules",
    ),
    pytest.param(
        "rules: [{path: /a}, {path: /b, name: /a}]",
        ["rules[1].name: the name of an earlier rule"],
        id="a name that another rule has by default",
    ),
    pytest.param(
        "rules: [{path: /a, public: true, scopes: x}]", [f"rules[0].scopes: {PUBLIC}"], id="public, scopes"
    ),
    pytest.param(
        "rules: [{path: /a, public: true, any_scopes: x}]",
        [f"rules[0].any_scopes: {PUBLIC}"],
        id="public, any_scopes",
    ),
    pytest.param(
        "rules: [{path: /a, public: true, claims: {a: 1}}]",
        [f"rules[0].claims: {PUBLIC}"],
        id="public, claims",
    ),
    pytest.param(
        "rules: [{path: /a, public: true, issuers: 'https://issuer.example'}]",
        [f"rules[0].issuers: {PUBLIC}"],
        id="public, issuers",
    ),
    *(
        pytest.param(
            f"rules: [{{path: /a, public: true, mcp: [{{tool: b}}, {{tool: c, {other}}}]}}]",
            [f"rules[0].mcp[1].{other.partition(':')[0]}: {PUBLIC}"],
            id=f"public, {other.partition(':')[0]} of an entry",
        )
        for other in ("scopes: x", "any_scopes: x", "claims: {a: 1}")
    ),
    pytest.param(
        "rules: [{path: /a, transport: auto}]",
        ["rules[0].transport: on a rule without mcp"],
        id="a transport without MCP",
    ),
    pytest.param(
        "rules: [{path: /a, mcp: true, upgrade: websocket}]",
        ["rules[0].upgrade: on a rule with mcp: it would hide the messages"],
        id="an upgrade where messages are read",
    ),
    pytest.param(
        "rules: [{path: /a, methods: POST, upgrade: websocket}]",
        ["rules[0].methods: without GET, with which an upgrade begins"],
        id="an upgrade without GET",
    ),
    pytest.param(
        "rules: [{path: /a, mcp: true, methods: [GET, DELETE]}]",
        ["rules[0].methods: without POST, which all messages of MCP are"],
        id="MCP without POST",
    ),
    pytest.param(
        "rules: [{path: /a, mcp: true, methods: POST, transport: sse}]",
        ["rules[0].methods: without GET, which opens the streams of this transport"],
        id="the older transport without GET",
    ),
    pytest.param(
        "rules: [{path: /a, methods: POST}, {path: [/b, /a], mcp: true}]",
        ["rules[1].path[1]: every POST goes to rules[0], which is for no MCP and refuses it"],
        id="MCP behind a rule that takes its messages",
    ),
    pytest.param(
        "limits: {mcp_buffer: 1MiB}",
        ["limits.mcp_buffer: less than one message (mcp_body)"],
        id="room for less than one message",
    ),
    pytest.param(
        "rules: [{path: /a, any_host: true}]",
        ["rules[0].any_host: on a rule that is not public"],
        id="any_host where a token is needed",
    ),
    pytest.param(
        "rules: [{path: /a/**}, {path: /a/b}]",
        ["rules[1]: never reached: all that it matches goes to rules[0]"],
        id="a rule that is never reached",
    ),
    pytest.param("rules: [{path: /a, methods: []}]", ["rules[0].methods: empty"], id="no methods"),
    pytest.param("rules: [{path: /a, host: []}]", ["rules[0].host: empty"], id="no hosts"),
    pytest.param("rules: [{path: /a, scopes: []}]", ["rules[0].scopes: empty"], id="no scopes"),
    pytest.param(
        "rules: [{path: /a, any_scopes: []}]", ["rules[0].any_scopes: empty"], id="none of no scopes"
    ),
    pytest.param("rules: [{path: /a, claims: {}}]", ["rules[0].claims: empty"], id="no claims"),
    pytest.param("rules: [{path: /a, issuers: []}]", ["rules[0].issuers: empty"], id="no issuers on a rule"),
    pytest.param(
        "rules: [{path: /a, issuers: 'https://other.example'}]",
        ["rules[0].issuers: not a configured issuer"],
        id="an issuer that is not configured",
    ),
    pytest.param(
        "rules: [{path: [/a, /b;c]}]", [f"rules[0].path[1]: {PARAMETER}"], id="a path that is always refused"
    ),
    pytest.param(
        "rules: [{path: /a, host: b.example}]", [f"rules[0].host: {UNSERVED}"], id="a host that is not served"
    ),
    pytest.param(
        "hosts: b.example:1\nrules: [{path: /a, host: b.example:2}]",
        [f"rules[0].host: {UNSERVED}"],
        id="a port that is not served",
    ),
    pytest.param(
        "listen: 0.0.0.0:80\nrules: [{path: /a, host: localhost}]",
        [f"rules[0].host: {UNSERVED}"],
        id="loopback's name beyond loopback",
    ),
    pytest.param(
        "log: {output: nowhere/access.log}",
        ["log.output: in a directory that does not exist"],
        id="a log in no folder",
    ),
    pytest.param(
        ISSUER.format("https://a.example", "jwks: nowhere.json"),
        ["issuers[0].jwks: not a file"],
        id="keys in no file",
    ),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_tells(text, expected):
    assert told(text) == expected


BARE = "upstream: http://a\n"
NO_RESOURCE = [
    pytest.param(
        BARE + "issuers: [{issuer: 'https://a'}]\nrules: [{path: /}]",
        ["issuers[0].audience: missing"],
        id="an issuer without an audience",
    ),
    pytest.param(
        BARE + "issuers: [{issuer: 'https://a', audience: x}, {issuer: 'https://b'}]\nrules: [{path: /}]",
        ["issuers[1].audience: missing"],
        id="one of two issuers without an audience",
    ),
    pytest.param(
        BARE + "listen: 0.0.0.0:80\nissuers: [{issuer: 'https://a', audience: x}]\nrules: [{path: /}]",
        ["listen: beyond loopback, while it is unknown which hosts to answer for"],
        id="listening to all without a host",
    ),
    pytest.param(
        BARE + "listen: '[::]:80'\nrules: [{path: /, public: true}]",
        ["listen: beyond loopback, while it is unknown which hosts to answer for"],
        id="listening to all over IPv6",
    ),
    pytest.param(
        BARE + "issuers: [{issuer: 'https://a', audience: x, dpop: optional}]\nrules: [{path: /}]",
        ["issuers[0].dpop: without `resource`, whose origin a proof must name (RFC 9449 4.3)"],
        id="proofs of possession",
    ),
    pytest.param(
        BARE + "assertion: {}\nrules: [{path: /, public: true}]",
        ["assertion.issuer: missing"],
        id="an assertion that nobody signs",
    ),
    pytest.param(
        BARE + "assertion: {issuer: edge}\nrules: [{path: /, public: true}]", [], id="a named signer"
    ),
    pytest.param(
        BARE + "issuers: [{issuer: 'https://a', audience: x}]\nrules: [{path: /}]", [], id="on loopback"
    ),
    pytest.param(BARE + "rules: [{path: /, public: true}]", [], id="public rules alone need no issuer"),
    pytest.param(BARE + "listen: unix:/run/a\nrules: [{path: /, public: true}]", [], id="on a unix socket"),
    pytest.param(
        BARE + "listen: 0.0.0.0:80\nhosts: a.b\nrules: [{path: /, public: true}]", [], id="with hosts"
    ),
]


@pytest.mark.parametrize(("text", "expected"), NO_RESOURCE)
def test_tells_where_there_is_no_resource(text, expected):
    assert [f"{fault.path}: {fault.problem}" for fault in faults(text)] == expected


SOUND = [
    pytest.param("resource: http://localhost:8080/mcp", id="a resource over http on loopback"),
    pytest.param(
        ISSUER.format("http://127.0.0.1:9000", "jwks: 'http://[::1]/jwks'"), id="an issuer on loopback"
    ),
    pytest.param(
        ISSUER.format("http://a.example", "allow_insecure: true"), id="an issuer over http, allowed"
    ),
    pytest.param(
        ISSUER.format("https://a.example", "allow_insecure: true, jwks: 'http://a.example/?b'"),
        id="keys over http, allowed",
    ),
    pytest.param(ISSUER.format("https://a.example", "grants: []"), id="an issuer that confers no scope"),
    pytest.param("identity_headers: {}", id="no identity headers"),
    pytest.param(
        "identity_headers: {X-Agent-Issuer: name}", id="X-Agent-Issuer for something else, with one issuer"
    ),
    pytest.param(
        "identity_headers: {X-Forwarded-User: id}", id="a header that other proxies use for identity"
    ),
    pytest.param("scopes: {a: [b, c], b: d, c: d}", id="two ways to one scope"),
    pytest.param(
        "rules: [{path: /a, public: true, any_host: true, host: b.example}]", id="any host, and one named"
    ),
    pytest.param(
        "rules: [{path: /a, host: 'mcp.example.com:444'}]", id="the resource's host on another port"
    ),
    pytest.param("rules: [{path: /a, host: [localhost, 127.0.0.1]}]", id="loopback's names on loopback"),
    pytest.param(
        "hosts: b.example:1\nrules: [{path: /a, host: b.example}]", id="a host that is served on one port"
    ),
    pytest.param("upstream: http://127.0.0.1:8081", id="an upstream on another port of this machine"),
    pytest.param("listen: 127.0.0.1:0\nupstream: http://127.0.0.1:80", id="a listener on any port"),
    pytest.param(UPSTREAM.format("Authorization: a, Cookie: b, X-Api-Key: c"), id="credentials for upstream"),
    pytest.param(
        ISSUER.format("https://a.example", "introspection: " + INTROSPECTION.format("http://127.0.0.1")),
        id="introspection over http on loopback",
    ),
    pytest.param(
        "rules: [{path: /a, passthrough: [basic], issuers: 'https://issuer.example', rate: 1/s}]",
        id="passthrough, issuers and a rate",
    ),
    pytest.param("jwks_cache: keys", id="a cache that will be made"),
    pytest.param("path_parameters: allow\nrules: [{path: /a;b}]", id="a path parameter, allowed"),
    pytest.param("rules: [{path: /a, methods: GET}, {path: /a}]", id="two rules on one path"),
    pytest.param("rules: [{path: /a, public: true, mcp: true}]", id="MCP for everybody"),
    pytest.param(
        "rules: [{path: /a, public: true, mcp: [{tool: b, rate: 1/s}]}]",
        id="entries for everybody, and a rate",
    ),
    pytest.param("rules: [{path: /a, mcp: true, methods: POST}]", id="MCP without streams"),
    pytest.param("limits: {mcp_body: 1MiB, mcp_buffer: 1MiB}", id="room for one message"),
    pytest.param("log: {output: access.log}", id="a log beside the configuration"),
]


@pytest.mark.parametrize("text", SOUND)
def test_takes(text):
    assert told(text) == []


def test_tells_everything_at_once():
    text = """\
resource: http://a.example
identity_headers: {Host: id}
rules:
  - {path: /a, public: true, scopes: x, any_host: true}
  - {path: /b, issuers: 'https://b.example'}
"""
    assert told(text) == [
        f"resource: {INSECURE}",
        f"identity_headers.Host: {RESERVED}",
        f"rules[0].scopes: {PUBLIC}",
        "rules[1].issuers: not a configured issuer",
    ]
