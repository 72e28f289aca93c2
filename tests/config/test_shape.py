"""One fault of shape each, as a person is told of it."""

from __future__ import annotations

import pytest

from proxy.config.later import LATER
from tests.support.configuration import completed, faults, told

ISSUER = "issuers: [{{issuer: 'https://i.example', {}}}]"
RULE = "rules: [{{path: /a, {}}}]"

CASES = [
    pytest.param("upstream: ftp://a", "upstream: not an absolute URL", id="an upstream of another scheme"),
    pytest.param(
        "upstream: {url: 'http://a/b'}",
        "upstream.url: a URL with more than scheme, host and port",
        id="an upstream with a path",
    ),
    pytest.param("upstream: http://u:p@a", "upstream: a URL with userinfo", id="an upstream with userinfo"),
    pytest.param(
        "upstream: unix:run/a", "upstream: not an absolute socket path", id="an upstream on a relative socket"
    ),
    pytest.param("upstream: {}", "upstream.url: missing", id="an upstream without a URL"),
    pytest.param("upstream: [a]", "upstream: not a mapping", id="an upstream that is a list"),
    pytest.param(
        "upstream: {url: 'http://a', host: keep}",
        "upstream.host: not one of its values",
        id="an unknown host policy",
    ),
    pytest.param(
        "upstream: {url: 'http://a', host_policy: preserve}",
        "upstream.host_policy: unknown key",
        id="the model's own name for it",
    ),
    pytest.param(
        "upstream: {url: 'http://a', connections: 0}",
        "upstream.connections: zero or less",
        id="no connections",
    ),
    pytest.param(
        "upstream: {url: 'http://a', connections: 1e3}",
        "upstream.connections: not a whole number",
        id="connections as a float",
    ),
    pytest.param(
        "upstream: {url: 'http://a', retry: 11}",
        "upstream.retry: not a number from 0 to 10",
        id="more attempts than anybody waits for",
    ),
    pytest.param(
        "upstream: {url: 'http://a', retry: -1}",
        "upstream.retry: not a whole number",
        id="fewer attempts than none",
    ),
    pytest.param(
        "upstream: {url: 'http://a', retry: true}",
        "upstream.retry: not a whole number",
        id="attempts without a number",
    ),
    pytest.param(
        "upstream: {url: 'http://a', timeouts: {idle: 5}}",
        "upstream.timeouts.idle: not a duration",
        id="a timeout without a unit",
    ),
    pytest.param(
        "upstream: {url: 'http://a', timeouts: {idle: 0s}}",
        "upstream.timeouts.idle: zero or less",
        id="a timeout of nothing",
    ),
    pytest.param(
        "upstream: {url: 'http://a', headers: {'X A': b}}",
        'upstream.headers["X A"]: not a header name',
        id="a credential in no header",
    ),
    pytest.param(
        'upstream: {url: "http://a", headers: {X-A: "b\\r\\nX-B: c"}}',
        "upstream.headers.X-A: empty, with spaces around it or with control characters",
        id="a credential of two lines",
    ),
    pytest.param("redis: http://a", "redis: no URL of a Redis", id="a Redis over http"),
    pytest.param("redis: {}", "redis.url: missing", id="a Redis without a URL"),
    pytest.param("revocations: http://a", "revocations: no URL of a Redis", id="revocations over http"),
    pytest.param("revocations: [a]", "revocations: not a place of revocations", id="revocations in a list"),
    pytest.param("assertion: {ttl: 0s}", "assertion.ttl: zero or less", id="an assertion for no time"),
    pytest.param("assertion: edge", "assertion: not a mapping", id="an assertion that is text"),
    pytest.param("jwks_cache: [a]", "jwks_cache: not a path", id="a cache in two places"),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', dpop: yes}]",
        "issuers[0].dpop: not one of its values",
        id="another mode of DPoP",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', dpop: {mode: required, nonce: maybe}}]",
        "issuers[0].dpop.nonce: neither true nor false",
        id="a nonce, perhaps",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', introspection: {url: 'https://a.example', client_id: a}}]",
        "issuers[0].introspection.client_secret: missing",
        id="introspection without a secret",
    ),
    pytest.param("rules: [{path: /a, rate: 600}]", "rules[0].rate: not a rate", id="a rate without a period"),
    pytest.param(
        "rules: [{path: /a, rate: {limit: 1/s, burst: 0}}]",
        "rules[0].rate: a burst of nothing",
        id="a burst of nothing",
    ),
    pytest.param(
        "rules: [{path: /a, rate: {limit: 1/s, burst: many}}]",
        "rules[0].rate: not a whole number",
        id="a burst in words",
    ),
    pytest.param(
        "rules: [{path: /a, rate: {burst: 1}}]", "rules[0].rate: not a rate", id="a burst without a limit"
    ),
    pytest.param(
        "rules: [{path: /a, passthrough: [digest]}]",
        "rules[0].passthrough[0]: no credential that can pass",
        id="passthrough of another scheme",
    ),
    pytest.param(
        "rules: [{path: /a, passthrough: [{cookie: 'a=b'}]}]",
        "rules[0].passthrough[0]: no credential that can pass",
        id="a cookie that cannot be one",
    ),
    pytest.param("listen: 8080", "listen: not an address and a port", id="a port alone"),
    pytest.param("listen: {host: a}", "listen: not an address", id="listen as a mapping"),
    pytest.param("admin: 9901", "admin: not an address and a port", id="an admin port alone"),
    pytest.param("admin: [a]", "admin: not a mapping", id="a list of admin listeners"),
    pytest.param(
        "admin: {listen: 9901}",
        "admin.listen: not an address and a port",
        id="an admin port alone, in a mapping",
    ),
    pytest.param(
        "admin: {token: 0123456789abcde}",
        "admin.token: not 16 visible characters or more",
        id="a token that can be guessed",
    ),
    pytest.param(
        "admin: {token: 0123456789 abcdefghi}",
        "admin.token: not 16 visible characters or more",
        id="a token that no header carries as one word",
    ),
    pytest.param(
        "admin: false",
        "admin: not an address and a port",
        id="an admin listener that is switched off in another way",
    ),
    pytest.param("workers: 0", "workers: not a number from 1 to 256", id="no worker"),
    pytest.param("workers: 257", "workers: not a number from 1 to 256", id="too many workers"),
    pytest.param("workers: some", "workers: not a whole number", id="workers that are no number"),
    pytest.param("drain: 30", "drain: not a duration", id="a drain without a unit"),
    pytest.param("watch: yes", "watch: neither true nor false", id="a watch that YAML 1.1 would take"),
    pytest.param(
        "resource: mcp.example.com", "resource: not an absolute URL", id="a resource that is no URL"
    ),
    pytest.param("resource:", "resource: without a value", id="a key without a value"),
    pytest.param("hosts: ['http://a']", "hosts[0]: not a host, or host:port", id="a host with a scheme"),
    pytest.param("hosts: '*.example.com'", "hosts: not a host name", id="a host with a wildcard"),
    pytest.param("hosts: {a: b}", "hosts: not a list", id="hosts as a mapping"),
    pytest.param(
        "trusted_proxies: [10.0.0.1/8]", "trusted_proxies[0]: not a network", id="a network with host bits"
    ),
    pytest.param(
        "trusted_proxies: [[a]]", "trusted_proxies[0]: not a network", id="a network that is a list"
    ),
    pytest.param("path_parameters: yes", "path_parameters: not one of its values", id="another path policy"),
    pytest.param(
        "identity_headers: {X-A: email}",
        "identity_headers.X-A: not one of its values",
        id="an unknown identity value",
    ),
    pytest.param(
        "identity_headers: {'X A': id}",
        'identity_headers["X A"]: not a header name',
        id="a header name with a space",
    ),
    pytest.param(
        "identity_headers: [X-A]", "identity_headers: not a mapping", id="identity headers as a list"
    ),
    pytest.param("scopes: {'a b': c}", 'scopes["a b"]: not a scope', id="a granting scope with a space"),
    pytest.param("scopes: {a: ['b\"']}", "scopes.a[0]: not a scope", id="a granted scope with a quote"),
    pytest.param("issuers: {issuer: 'https://a'}", "issuers: not a list", id="issuers as a mapping"),
    pytest.param("issuers: ['https://a']", "issuers[0]: not a mapping", id="an issuer as text"),
    pytest.param("issuers: [{jwks: a}]", "issuers[0].issuer: missing", id="an issuer without its identifier"),
    pytest.param(
        ISSUER.format("jwks: 'ftp://a'"),
        "issuers[0].jwks: neither a URL that can be fetched nor a file",
        id="keys over ftp",
    ),
    pytest.param(
        ISSUER.format("jwks: 'https://u@a'"),
        "issuers[0].jwks: a URL with userinfo",
        id="keys behind userinfo",
    ),
    pytest.param(
        ISSUER.format("jwks: ''"),
        "issuers[0].jwks: neither a URL that can be fetched nor a file",
        id="keys from nowhere",
    ),
    pytest.param(ISSUER.format("jwks: {keys: a}"), "issuers[0].jwks: not a JWK set", id="keys that are text"),
    pytest.param(
        ISSUER.format("jwks: {keys: [a]}"), "issuers[0].jwks: not a JWK set", id="a key that is text"
    ),
    pytest.param(
        ISSUER.format("jwks: {keys: [], url: a}"), "issuers[0].jwks: not a JWK set", id="keys and more"
    ),
    pytest.param(ISSUER.format("jwks: [a]"), "issuers[0].jwks: not a source of keys", id="keys as a list"),
    pytest.param(ISSUER.format("audience: []"), "issuers[0].audience: empty", id="no audience"),
    pytest.param(
        ISSUER.format("audience: ''"),
        "issuers[0].audience: empty, or with control characters",
        id="an empty audience",
    ),
    pytest.param(
        ISSUER.format('audience: "a\\nb"'),
        "issuers[0].audience: empty, or with control characters",
        id="an audience with a line break",
    ),
    pytest.param(
        ISSUER.format("algorithms: [HS256]"),
        "issuers[0].algorithms[0]: an algorithm that is never accepted",
        id="HS256",
    ),
    pytest.param(
        ISSUER.format("algorithms: nOnE"),
        "issuers[0].algorithms: an algorithm that is never accepted",
        id="none",
    ),
    pytest.param(
        ISSUER.format("algorithms: [ES256K]"),
        "issuers[0].algorithms[0]: an unknown algorithm",
        id="an unknown algorithm",
    ),
    pytest.param(
        ISSUER.format("algorithms: [eddsa]"),
        "issuers[0].algorithms[0]: an unknown algorithm",
        id="an algorithm in another case",
    ),
    pytest.param(ISSUER.format("algorithms: []"), "issuers[0].algorithms: empty", id="no algorithms"),
    pytest.param(
        ISSUER.format("types: [a b]"), "issuers[0].types[0]: not a media type", id="a type with a space"
    ),
    pytest.param(ISSUER.format("types: []"), "issuers[0].types: empty", id="no types"),
    pytest.param(ISSUER.format("leeway: -1s"), "issuers[0].leeway: not a duration", id="a negative leeway"),
    pytest.param(
        ISSUER.format("max_lifetime: 0s"), "issuers[0].max_lifetime: zero or less", id="no lifetime"
    ),
    pytest.param(
        ISSUER.format("keys: {refresh: 0ms}"), "issuers[0].keys.refresh: zero or less", id="no refresh time"
    ),
    pytest.param(
        ISSUER.format("keys: {cooldown: 0s}"), "issuers[0].keys.cooldown: zero or less", id="no cooldown"
    ),
    pytest.param(
        ISSUER.format("keys: {max_stale: 0s}"), "issuers[0].keys.max_stale: zero or less", id="no stale time"
    ),
    pytest.param(ISSUER.format("claims: {id: []}"), "issuers[0].claims.id: empty", id="no id claim"),
    pytest.param(ISSUER.format("claims: sub"), "issuers[0].claims: not a mapping", id="claims as text"),
    pytest.param(
        ISSUER.format("require: {a: {min: x}}"),
        "issuers[0].require.a: a bound that is not a number",
        id="a bound that is text",
    ),
    pytest.param(
        ISSUER.format("require: {a: {min: 2, max: 1}}"),
        "issuers[0].require.a: min is greater than max, which nothing satisfies",
        id="bounds that cross",
    ),
    pytest.param(
        ISSUER.format("require: {a.b: []}"),
        'issuers[0].require["a.b"]: an empty list, which nothing satisfies',
        id="a condition that never holds",
    ),
    pytest.param(
        ISSUER.format("require: {a.b: 1, a: {b: 2}}"),
        "issuers[0].require: a claim named twice",
        id="a claim named twice",
    ),
    pytest.param(
        ISSUER.format("require: [a]"), "issuers[0].require: not a mapping", id="conditions as a list"
    ),
    pytest.param(
        ISSUER.format("grants: [a b]"), "issuers[0].grants[0]: not a scope", id="a grant with a space"
    ),
    pytest.param(
        ISSUER.format("allow_insecure: yes"),
        "issuers[0].allow_insecure: neither true nor false",
        id="yes for true",
    ),
    pytest.param(
        ISSUER.format("allow_insecure: [true]"),
        "issuers[0].allow_insecure: not a single value",
        id="a list for true",
    ),
    pytest.param("rules: {path: /}", "rules: not a list", id="rules as a mapping"),
    pytest.param("rules: [{}]", "rules[0].path: missing", id="a rule without a path"),
    pytest.param("rules: [{path: []}]", "rules[0].path: empty", id="a rule with no path"),
    pytest.param("rules: [{path: api}]", "rules[0].path: not an absolute path", id="a relative path"),
    pytest.param(
        "rules: [{path: [/, /a**]}]", "rules[0].path[1]: ** beside other characters", id="** glued to a name"
    ),
    pytest.param(
        "rules: [{path: /a%20b}]",
        "rules[0].path: a character that no matched path contains",
        id="an encoded path",
    ),
    pytest.param("rules: [{path: /a/../b}]", "rules[0].path: an empty or dot segment", id="a dot segment"),
    pytest.param(RULE.format("methods: get"), "rules[0].methods: not a method", id="a method in lower case"),
    pytest.param(
        RULE.format("methods: ['GET,PUT']"), "rules[0].methods[0]: not a method", id="two methods in one"
    ),
    pytest.param(
        RULE.format("host: 'https://a'"),
        "rules[0].host: not a host, or host:port",
        id="a rule's host with a scheme",
    ),
    pytest.param(RULE.format("scopes: [a b]"), "rules[0].scopes[0]: not a scope", id="two scopes in one"),
    pytest.param(
        RULE.format("any_scopes: 'a\\b'"), "rules[0].any_scopes: not a scope", id="a scope with a backslash"
    ),
    pytest.param(RULE.format("public: 1"), "rules[0].public: neither true nor false", id="1 for true"),
    pytest.param(
        RULE.format("name: ''"), "rules[0].name: empty, or with control characters", id="an empty name"
    ),
    pytest.param(
        "limits: {header_bytes: 32000}", "limits.header_bytes: not a size", id="a size without a unit"
    ),
    pytest.param("limits: {uri_bytes: 0B}", "limits.uri_bytes: zero or less", id="a size of nothing"),
    pytest.param(
        "limits: {head_timeout: 10}", "limits.head_timeout: not a duration", id="a limit without a unit"
    ),
    pytest.param(
        RULE.format("mcp: false"), "rules[0].mcp: false, as it is where the key is absent", id="no MCP"
    ),
    pytest.param(
        RULE.format("mcp: yes"), "rules[0].mcp: neither true nor a list of entries", id="yes for MCP"
    ),
    pytest.param(
        RULE.format("mcp: {tool: a}"), "rules[0].mcp: neither true nor a list of entries", id="an entry alone"
    ),
    pytest.param(RULE.format("mcp: []"), "rules[0].mcp: empty: every tool would be refused", id="no entries"),
    pytest.param(RULE.format("mcp: [a]"), "rules[0].mcp[0]: not a mapping", id="an entry that is text"),
    pytest.param(RULE.format("mcp: [{tool: a}, {tool: []}]"), "rules[0].mcp[1].tool: empty", id="no tool"),
    pytest.param(
        RULE.format("mcp: [{tool: [a, '']}]"),
        "rules[0].mcp[0].tool[1]: empty, or with control characters",
        id="a tool without a name",
    ),
    pytest.param(
        RULE.format("mcp: [{resource: 'Memory://a'}]"),
        "rules[0].mcp[0].resource: a scheme or host in upper case, which no admitted URI has",
        id="a resource that is never admitted",
    ),
    pytest.param(
        RULE.format("mcp: [{tool: a, arguments: [b]}]"),
        "rules[0].mcp[0].arguments: not a mapping",
        id="arguments in a list",
    ),
    pytest.param(
        RULE.format("mcp: [{tool: a, arguments: {b: {min: x}}}]"),
        "rules[0].mcp[0].arguments.b: a bound that is not a number",
        id="an argument's bound that is text",
    ),
    pytest.param(
        RULE.format("mcp: [{tool: a, arguments: {b: {present: maybe}}}]"),
        "rules[0].mcp[0].arguments.b: not a condition",
        id="an argument that may be present",
    ),
    pytest.param(
        RULE.format("mcp: [{tool: a, rate: 5}]"), "rules[0].mcp[0].rate: not a rate", id="an entry's rate"
    ),
    pytest.param(
        RULE.format("mcp: true, transport: stdio"),
        "rules[0].transport: not one of its values",
        id="another transport",
    ),
    pytest.param(
        RULE.format("upgrade: [websocket, h2c]"), "rules[0].upgrade[1]: not one of its values", id="h2c"
    ),
    pytest.param(RULE.format("cors: maybe"), "rules[0].cors: neither true nor false", id="cors, perhaps"),
    pytest.param(
        RULE.format("origins: 'https://a/b'"), "rules[0].origins: not an origin", id="an origin with a path"
    ),
    pytest.param("origins: []", "origins: empty", id="no origins"),
    pytest.param(
        "origins: ['*']",
        "origins[0]: every page of the web, whose visitors' browsers may reach this server",
        id="every origin",
    ),
    pytest.param("cors: [a]", "cors: not a single value", id="cors for a list"),
    pytest.param(
        "session_key: 0123456789abcdef0123456789abcde",
        "session_key: shorter than 32 characters",
        id="a short key",
    ),
    pytest.param(
        "session_key: [0123456789abcdef0123456789abcdef, short]",
        "session_key[1]: shorter than 32 characters",
        id="a short key behind another",
    ),
    pytest.param("session_key: []", "session_key: empty", id="no key"),
    pytest.param("limits: {mcp_body: 4}", "limits.mcp_body: not a size", id="a message without a unit"),
    pytest.param(
        "limits: {response_time: 0s}", "limits.response_time: zero or less", id="an answer in no time"
    ),
    pytest.param("log: {arguments: {a: b}}", "log.arguments: not a list", id="arguments as a mapping"),
    pytest.param("log: stdout", "log: not a mapping", id="log as text"),
    pytest.param("log: {format: json}", "log.format: not one of its values", id="a format that is none"),
    pytest.param("log: {fields: [a]}", "log.fields: not a mapping", id="fields as a list"),
    pytest.param(
        "log: {fields: {service.name: ''}}",
        'log.fields["service.name"]: empty, or with control characters',
        id="a field that says nothing",
    ),
    pytest.param(
        "log: {fields: {Service: a}}", "log.fields: 'Service' is no name", id="a field in upper case"
    ),
    pytest.param(
        "log: {fields: {'a\\nb': a}}",
        "log.fields: 'a\\\\nb' is no name",
        id="a field with a backslash in its name",
    ),
    pytest.param(
        "log: {fields: {decision: allow}}",
        "log.fields: decision is a field of every line",
        id="a field of the log's own",
    ),
    pytest.param(
        "log: {fields: {mcp.tool: x}}",
        "log.fields: mcp.tool is a field of every line",
        id="a field within the log's own",
    ),
    pytest.param(
        "log: {fields: {a.b: x, a_b: y}}",
        "log.fields: a.b and a_b are one label in ECS",
        id="two fields for one label",
    ),
    pytest.param(
        "log: {fields: {service.name: x, service.name.long: y}}",
        "log.fields: service.name.long stands below service.name",
        id="a field below another",
    ),
    *(
        pytest.param(
            RULE.format(f"log: {{sample: {share}}}"),
            "rules[0].log.sample: no share",
            id=f"a share of {share}",
        )
        for share in ("0", "0.0", "1", "1.5", "-0.5", "10%", "1e-3", "'.5'", "0.1234567")
    ),
    pytest.param(RULE.format("log: 0.1"), "rules[0].log: not a mapping", id="a share without its key"),
    pytest.param(
        "log: {output: stderr}",
        "log.output: stderr, where the operational log goes",
        id="the access log on stderr",
    ),
    pytest.param("hosts: [a.b, ]\nhosts: c", "hosts: a key written twice", id="a key written twice"),
]


@pytest.mark.parametrize(("text", "fault"), CASES)
def test_tells(text, fault):
    assert told(text) == [fault]


WHOLE = [
    pytest.param("", [("the file", None, "without a value")], id="an empty file"),
    pytest.param("- a", [("the file", 1, "not a mapping")], id="a list"),
    pytest.param("a", [("the file", 1, "not a mapping")], id="text"),
    pytest.param("{}", [("upstream", 1, "missing"), ("rules", 1, "missing")], id="an empty mapping"),
    pytest.param(
        "a: [", [("the file", 2, "not YAML: did not find expected node content")], id="broken syntax"
    ),
    pytest.param("*a", [("the file", 1, "a YAML alias")], id="an alias"),
]


@pytest.mark.parametrize(("text", "expected"), WHOLE)
def test_tells_of_the_whole_file(text, expected):
    assert [(fault.path, fault.line, fault.problem) for fault in faults(text)] == expected


UNKNOWN = [
    pytest.param("upstrem: http://a", "upstrem", "did you mean upstream?", id="a slip of the finger"),
    pytest.param(RULE.format("scope: a"), "rules[0].scope", "did you mean scopes?", id="a slip in a rule"),
    pytest.param(
        "upstream: {url: 'http://a', hosts: a}",
        "upstream.hosts",
        "did you mean host?",
        id="a key by its YAML name",
    ),
    pytest.param(
        ISSUER.format("claims: {ids: a}"),
        "issuers[0].claims.ids",
        "did you mean id?",
        id="a slip two levels down",
    ),
    pytest.param(
        RULE.format("mcp: [{tools: a}]"),
        "rules[0].mcp[0].tools",
        "did you mean tool?",
        id="a slip in an entry",
    ),
    pytest.param(
        "log: {zzz: a}",
        "log.zzz",
        "choose from arguments, fields, format, output, refuse_when_full",
        id="nothing that is near",
    ),
]


@pytest.mark.parametrize(("text", "path", "remedy"), UNKNOWN)
def test_helps_with_an_unknown_key(text, path, remedy):
    (fault,) = (fault for fault in faults(completed(text)) if fault.problem == "unknown key")
    assert (fault.path, fault.remedy) == (path, remedy)


PLACES = {
    "Config": "{}: x",
    "Upstream": "upstream: {{url: 'http://a', {}: x}}",
    "Issuer": "issuers: [{{issuer: 'https://i.example', {}: x}}]",
    "Rule": "rules: [{{path: /a, {}: x}}]",
    "Limits": "limits: {{{}: x}}",
    "Log": "log: {{{}: x}}",
}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        pytest.param(section, key, id=f"{section.__name__}.{key}")
        for section in LATER
        for key in sorted(LATER[section])
    ],
)
def test_refuses_a_key_of_a_later_version(section, key):
    (fault,) = faults(completed(PLACES[section.__name__].format(key)))
    assert fault.path.endswith(key)
    assert fault.problem == "not supported yet"


def test_no_key_is_both_known_and_of_a_later_version():
    assert not any(section.model_fields.keys() & keys for section, keys in LATER.items())


def test_tells_everything_at_once_in_the_order_of_the_file():
    text = """\
upstream: ftp://a
listen: ${NOPE}
workers: many
rules:
  - path: api
    methods: get
  - &x {path: /, scopes: }
  - name: c
    public: true
issuers: [*x]
limits: {header_bytes: 32k}
limits: {}
"""
    assert [(fault.line, fault.path) for fault in faults(text)] == [
        (1, "upstream"),
        (2, "listen"),
        (3, "workers"),
        (5, "rules[0].path"),
        (6, "rules[0].methods"),
        (7, "rules[1]"),
        (7, "rules[1].scopes"),
        (8, "rules[2].path"),
        (10, "issuers[0]"),
        (11, "limits.header_bytes"),
        (12, "limits"),
    ]
