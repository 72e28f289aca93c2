"""What a valid file becomes: defaults, shorthand, derived values."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest
from pydantic import ValidationError

from proxy.config import (
    Address,
    AdminListener,
    ArgumentCondition,
    Assertion,
    ClaimNames,
    Condition,
    Config,
    Dpop,
    Entry,
    Issuer,
    JwksFile,
    JwksInline,
    JwksUrl,
    Keys,
    Limits,
    Log,
    Mcp,
    Passthrough,
    Rate,
    Redis,
    RevocationFile,
    RevocationRedis,
    Rule,
    Timeouts,
    Upstream,
)
from tests.support.configuration import completed, faults, loaded

ALGORITHMS = (
    "EdDSA",
    "Ed25519",
    "Ed448",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
)


def test_everything_has_a_safe_default():
    config = loaded(completed(""))
    assert config.listen == Address(host="127.0.0.1", port=8080)
    assert config.admin == AdminListener(listen=Address(host="127.0.0.1", port=9901), token=None)
    assert (config.hosts, config.trusted_proxies) == ((), ())
    assert config.path_parameters == "refuse"
    assert config.identity_headers == {"X-Agent-Id": "id", "X-Agent-Scopes": "scopes"}
    assert config.upstream.timeouts == Timeouts(connect=5.0, first_byte=60.0, idle=300.0)
    assert (config.upstream.host_policy, config.upstream.connections) == ("rewrite", 256)
    assert config.upstream.retry == 0
    assert config.limits == Limits(
        header_bytes=32768,
        uri_bytes=8192,
        connections=10000,
        head_timeout=10.0,
        mcp_body=4194304,
        mcp_buffer=268435456,
        response_time=3600.0,
    )
    assert config.log == Log(output="stdout", arguments=(), refuse_when_full=False)
    assert (config.origins, config.cors, config.session_key) == ((), False, ())
    assert (config.drain, config.watch, config.workers) == (30.0, False, 1)
    (rule,) = config.rules
    assert (rule.mcp, rule.transport, rule.origins, rule.cors) == (None, "auto", (), None)


def test_an_issuer_needs_no_more_than_its_name():
    (issuer,) = loaded(completed("")).issuers
    assert issuer.audience == ("https://mcp.example.com/mcp",)
    assert (issuer.algorithms, issuer.types) == (ALGORITHMS, ("at+jwt", "JWT", "none"))
    assert (issuer.jwks, issuer.leeway, issuer.max_lifetime) == (None, 30.0, None)
    assert issuer.keys == Keys(refresh=600.0, cooldown=30.0, max_stale=86400.0)
    assert issuer.claims == ClaimNames(
        id=("sub",),
        name=("al_name", "client_id", "azp"),
        scopes=("al_scopes", "scope", "scp"),
        audit_url=("al_audit_url",),
    )
    assert (issuer.require, issuer.grants, issuer.allow_insecure) == ({}, None, False)


def test_shorthand_says_what_the_long_form_says():
    short = completed("hosts: a.b\nrules: [{path: /a, methods: GET, scopes: x, claims: {t: {s: [5, '5']}}}]")
    long = short.replace("127.0.0.1:8000", "127.0.0.1:8000}").replace("upstream: ", "upstream: {url: ")
    for scalar in ("a.b", "/a", "GET", "x"):
        long = long.replace(f": {scalar}", f": [{scalar}]")
    long = long.replace("{t: {s: [5, '5']}}", "{t.s: [5, '5']}")
    assert loaded(short) == loaded(long)
    assert loaded(short).rules[0].claims == {"t.s": Condition(one_of=(5, "5"))}


def test_networks_may_be_single_addresses():
    config = loaded(completed("trusted_proxies: [10.0.0.0/8, 10.1.2.3, 'fd00::/8']"))
    assert config.trusted_proxies == (
        IPv4Network("10.0.0.0/8"),
        IPv4Network("10.1.2.3/32"),
        IPv6Network("fd00::/8"),
    )


def test_key_sources():
    url, inline = (
        "{issuer: 'https://a', jwks: 'HTTPS://a/k'}",
        "{issuer: 'https://b', jwks: {keys: [{kid: 7}]}}",
    )
    first, second = loaded(completed(f"issuers: [{url}, {inline}]")).issuers
    assert first.jwks == JwksUrl(url="HTTPS://a/k")
    assert second.jwks == JwksInline(keys={"keys": [{"kid": "7"}]})
    assert type(second.jwks.keys["keys"][0]["kid"]) is str


NAMES = [
    pytest.param({"path": "/a"}, "/a", id="a path"),
    pytest.param({"path": ["/a", "/b"]}, "/a,/b", id="two paths"),
    pytest.param({"path": "/a", "methods": ["GET", "PUT"]}, "GET,PUT /a", id="methods"),
    pytest.param({"path": "/a", "methods": "GET", "host": "b.c:1"}, "GET b.c:1/a", id="a host"),
    pytest.param({"path": "/a", "name": "x"}, "x", id="its own name"),
]


@pytest.mark.parametrize(("keys", "name"), NAMES)
def test_a_rule_is_named_after_what_it_selects(keys, name):
    assert Rule(**keys).name == name


ISSUER_HEADERS = [
    pytest.param("{X-Agent-Id: id}", ["X-Agent-Id", "X-Agent-Issuer"], id="added"),
    pytest.param("{x-agent-issuer: issuer}", ["x-agent-issuer"], id="there already"),
    pytest.param("{X_Agent_Issuer: issuer}", ["X_Agent_Issuer"], id="there already in another spelling"),
]


@pytest.mark.parametrize(("headers", "names"), ISSUER_HEADERS)
def test_several_issuers_are_told_apart(headers, names):
    issuers = "issuers: [{issuer: 'https://a'}, {issuer: 'https://b'}]"
    config = loaded(completed(f"{issuers}\nidentity_headers: {headers}"))
    assert list(config.identity_headers) == names
    assert loaded(completed(issuers)).identity_headers["X-Agent-Issuer"] == "issuer"


UPSTREAMS = [
    ("http://127.0.0.1:8000", ("http", "127.0.0.1", 8000, "", "127.0.0.1:8000")),
    ("https://[::1]", ("https", "::1", 443, "", "[::1]")),
    ("unix:/run/a.sock", ("unix", "", 0, "/run/a.sock", "localhost")),
]


@pytest.mark.parametrize(("url", "parts"), UPSTREAMS)
def test_an_upstream_knows_where_it_is(url, parts):
    upstream = Upstream(url=url)
    assert (upstream.scheme, upstream.host, upstream.port, upstream.path, upstream.authority) == parts


LOOPBACK = [
    ("127.0.0.1:1", True),
    ("[::1]:1", True),
    ("unix:/a", True),
    ("0.0.0.0:1", False),
    ("[::]:1", False),
]


@pytest.mark.parametrize(("listen", "loopback"), LOOPBACK)
def test_an_address_knows_who_can_reach_it(listen, loopback):
    assert loaded(completed(f"listen: '{listen}'")).listen.is_loopback is loopback


def test_values_made_in_python_are_taken_as_they_are():
    sources = (JwksUrl(url="https://a/k"), JwksFile(path=Path("k.json")), JwksInline(keys={"keys": []}))
    issuers = [Issuer(issuer=f"https://i{index}", jwks=source) for index, source in enumerate(sources)]
    config = Config(
        listen=Address(unix="/a"),
        upstream=Upstream(url="http://a", host_policy="preserve"),
        issuers=issuers,
        rules=[Rule(path="/a", claims={"c": Condition(minimum=1)}, scopes=())],
    )
    assert config.listen == Address(unix="/a")
    assert config.upstream.host_policy == "preserve"
    assert tuple(issuer.jwks for issuer in config.issuers) == sources
    assert config.rules[0].claims == {"c": Condition(minimum=1)}


def test_nothing_changes_afterwards():
    config = Config(
        upstream="http://a", rules=[{"path": "/a", "public": True}], issuers=[Issuer(issuer="https://a")]
    )
    for value, key in [(config, "listen"), (config.rules[0], "public"), (config.issuers[0], "algorithms")]:
        with pytest.raises(ValidationError):
            setattr(value, key, None)


SHORTHANDS = [
    pytest.param("dpop: required", Dpop(mode="required"), id="a mode of DPoP alone"),
    pytest.param("dpop: off", Dpop(mode="off"), id="off, which YAML 1.1 takes for false"),
    pytest.param("dpop: {mode: optional, nonce: true}", Dpop(mode="optional", nonce=True), id="a mapping"),
    pytest.param("leeway: 1s", Dpop(mode="off"), id="nothing at all"),
]


@pytest.mark.parametrize(("text", "expected"), SHORTHANDS)
def test_dpop(text, expected):
    (issuer,) = loaded(completed(f"issuers: [{{issuer: 'https://a.example', {text}}}]")).issuers
    assert issuer.dpop == expected


RATES = [
    pytest.param("600/m", Rate(count=600, period=60.0, burst=600), id="a limit alone"),
    pytest.param("{limit: 5/s}", Rate(count=5, period=1.0, burst=5), id="a limit as a mapping"),
    pytest.param("{limit: 10/h, burst: 2}", Rate(count=10, period=3600.0, burst=2), id="with a burst"),
    pytest.param("1/d", Rate(count=1, period=86400.0, burst=1), id="once a day"),
]


@pytest.mark.parametrize(("text", "expected"), RATES)
def test_rates(text, expected):
    (rule,) = loaded(completed(f"rules: [{{path: /a, rate: {text}}}]")).rules
    assert rule.rate == expected


SERVED = [
    pytest.param("true", Mcp(entries=None), id="every operation"),
    pytest.param("[{tool: a}]", Mcp(entries=(Entry(tool="a"),)), id="one entry"),
    pytest.param(
        "[{resource: ['m://**', 'n://*'], method: resources/read}, {prompt: '*', any_scopes: x, rate: 5/m}]",
        Mcp(
            entries=(
                Entry(resource=("m://**", "n://*"), method=("resources/read",)),
                Entry(prompt=("*",), any_scopes=("x",), rate=Rate(count=5, period=60.0, burst=5)),
            )
        ),
        id="all selectors but arguments",
    ),
    pytest.param(
        "[{tool: a, arguments: {b: [x*, 5, '5'], c: {min: 1}, d.e: {present: false}}, claims: {t: {u: [1]}}}]",
        Mcp(
            entries=(
                Entry(
                    tool=("a",),
                    arguments={
                        "b": ArgumentCondition.read(["x*", 5, "5"]),
                        "c": ArgumentCondition.read({"min": 1}),
                        "d.e": ArgumentCondition.read({"present": False}),
                    },
                    claims={"t.u": Condition(one_of=(1,))},
                ),
            )
        ),
        id="arguments and claims",
    ),
]


@pytest.mark.parametrize(("text", "expected"), SERVED)
def test_mcp(text, expected):
    (rule,) = loaded(completed(f"rules: [{{path: /a, mcp: {text}}}]")).rules
    assert rule.mcp == expected
    assert Rule(path="/a", mcp=expected).mcp == expected


def test_mcp_as_python_writes_it():
    assert Rule(path="/a", mcp=True).mcp == Mcp()
    assert Rule(path="/a", mcp=[{"tool": "a"}]).mcp == Mcp(entries=(Entry(tool=("a",)),))
    assert Rule(path="/a", mcp=None).mcp is None


def test_origins_are_spelled_as_browsers_spell_them():
    config = loaded(
        completed("origins: 'https://A.Example:443'\nrules: [{path: /a, origins: ['http://B:80']}]")
    )
    assert (config.origins, config.rules[0].origins) == (("https://a.example",), ("http://b",))


def test_what_may_pass_to_the_upstreams_own_login():
    (rule,) = loaded(completed("rules: [{path: /a, passthrough: [basic, {cookie: sid}]}]")).rules
    assert rule.passthrough == (Passthrough(kind="basic"), Passthrough(kind="cookie", name="sid"))


def test_an_assertion_says_who_signs_it_and_for_whom():
    config = loaded(completed("assertion: {}"))
    assert config.assertion == Assertion(
        key=None, issuer="https://mcp.example.com", audience="http://127.0.0.1:8000", ttl=300.0
    )


def test_files_lie_beside_the_configuration():
    text = "jwks_cache: keys\nrevocations: revoked.yaml\nassertion: {key: a.pem}"
    config = loaded(completed(text), files={"revoked.yaml": b"[]", "a.pem": b""})
    assert isinstance(config.revocations, RevocationFile)
    assert config.assertion is not None
    paths = (config.jwks_cache, config.revocations.path, config.assertion.key)
    assert [path.name for path in paths] == ["keys", "revoked.yaml", "a.pem"]
    assert len({path.parent for path in paths}) == 1
    assert all(path.is_absolute() for path in paths)


SECRET = "pass-w0rd"
KEY = "0123456789abcdef0123456789abcdef"


def test_secrets_are_read_and_never_shown():
    text = """\
upstream: {url: 'http://a', headers: {Authorization: 'Basic ${SECRET}'}}
redis: redis://:${SECRET}@a.example
session_key: ["${KEY}", "${KEY}2"]
revocations: rediss://:${SECRET}@b.example
issuers:
  - issuer: https://a.example
    introspection: {url: 'https://a.example/ask', client_id: me, client_secret: '${SECRET}'}
"""
    config = loaded(completed(text), {"SECRET": SECRET, "KEY": KEY})
    (issuer,) = config.issuers
    assert issuer.introspection is not None
    assert isinstance(config.revocations, RevocationRedis)
    assert isinstance(config.redis, Redis)
    secrets = [
        config.upstream.headers["Authorization"],
        config.redis.url,
        config.revocations.url,
        issuer.introspection.client_secret,
    ]
    assert [secret.get_secret_value() for secret in secrets] == [
        f"Basic {SECRET}",
        f"redis://:{SECRET}@a.example",
        f"rediss://:{SECRET}@b.example",
        SECRET,
    ]
    assert [key.get_secret_value() for key in config.session_key] == [KEY, f"{KEY}2"]
    assert SECRET not in f"{config!r} {config}"
    assert KEY not in f"{config!r} {config}"


def test_a_short_key_is_not_shown():
    (fault,) = faults(completed(f"session_key: {SECRET}"))
    assert SECRET not in str(fault)
