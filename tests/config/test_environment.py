from __future__ import annotations

import pytest

from proxy.config import Address, ConfigError, JwksUrl, load

LEAST = {
    "KEYSTILE_UPSTREAM": "http://127.0.0.1:8000",
    "KEYSTILE_JWKS_URI": "https://issuer.example/jwks",
    "KEYSTILE_JWT_ISSUER": "https://issuer.example",
    "KEYSTILE_JWT_AUDIENCE": "https://mcp.example.com/mcp",
}


def test_three_variables_and_an_upstream_protect_every_path():
    config = load(None, {**LEAST, "PATH": "/bin", "KEYSTILE_CMD": "run", "KEYSTILE_BENCH_MCP": "0"})
    (issuer,), (rule,) = config.issuers, config.rules
    assert (config.upstream.url, config.listen) == (
        "http://127.0.0.1:8000",
        Address(host="127.0.0.1", port=8080),
    )
    assert (issuer.issuer, issuer.jwks) == (
        "https://issuer.example",
        JwksUrl(url="https://issuer.example/jwks"),
    )
    assert (issuer.audience, config.resource) == (
        ("https://mcp.example.com/mcp",),
        "https://mcp.example.com/mcp",
    )
    assert (rule.path, rule.public, rule.scopes, rule.methods) == (("/**",), False, (), ())


def test_the_others_narrow_it():
    more = {
        "KEYSTILE_SCOPES": "read  write",
        "KEYSTILE_LISTEN": "0.0.0.0:80",
        "KEYSTILE_HOSTS": "a.example, B.example:81",
        "KEYSTILE_ADMIN": "0.0.0.0:81",
    }
    config = load(None, {**LEAST, **more})
    assert config.admin is not None
    assert config.admin.listen == Address(host="0.0.0.0", port=81)
    assert config.rules[0].scopes == ("read", "write")
    assert config.listen == Address(host="0.0.0.0", port=80)
    assert config.hosts == ("a.example", "b.example:81")


def test_the_admin_listener_can_be_switched_off():
    assert load(None, {**LEAST, "KEYSTILE_ADMIN": "null"}).admin is None


AUDIENCES = [
    ("https://a.example", "https://a.example"),
    ("http://localhost/a", "http://localhost/a"),
    ("http://a.example", None),
    ("https://a.example/?b", None),
    ("https://a.example/#b", None),
    ("urn:a", None),
    ("a", None),
]


@pytest.mark.parametrize(("audience", "resource"), AUDIENCES)
def test_audience_is_the_resource_where_it_can_be(audience, resource):
    config = load(None, {**LEAST, "KEYSTILE_JWT_AUDIENCE": audience})
    assert (config.issuers[0].audience, config.resource) == ((audience,), resource)


FAULTS = [
    pytest.param({"KEYSTILE_UPSTREAM": None}, ("KEYSTILE_UPSTREAM", "not set"), id="no upstream"),
    pytest.param({"KEYSTILE_JWKS_URI": None}, ("KEYSTILE_JWKS_URI", "not set"), id="no keys"),
    pytest.param({"KEYSTILE_JWT_ISSUER": None}, ("KEYSTILE_JWT_ISSUER", "not set"), id="no issuer"),
    pytest.param({"KEYSTILE_JWT_AUDIENCE": None}, ("KEYSTILE_JWT_AUDIENCE", "not set"), id="no audience"),
    pytest.param({"KEYSTILE_JWT_AUDIENCE": ""}, ("KEYSTILE_JWT_AUDIENCE", "empty"), id="an empty audience"),
    pytest.param({"KEYSTILE_SCOPES": " "}, ("KEYSTILE_SCOPES", "empty"), id="scopes that protect nothing"),
    pytest.param({"KEYSTILE_LISTEN": ""}, ("KEYSTILE_LISTEN", "empty"), id="an empty address"),
    pytest.param({"KEYSTILE_HOSTS": ""}, ("KEYSTILE_HOSTS", "empty"), id="empty hosts"),
    pytest.param({"KEYSTILE_ADMIN": ""}, ("KEYSTILE_ADMIN", "empty"), id="an empty admin address"),
    pytest.param(
        {"KEYSTILE_ADMIN": "off"},
        ("KEYSTILE_ADMIN", "not an address and a port"),
        id="no admin in another word",
    ),
    pytest.param({"KEYSTILE_SCOPE": "a"}, ("KEYSTILE_SCOPE", "unknown variable"), id="a misspelt variable"),
    pytest.param(
        {"KEYSTILE_CMDS": "a"}, ("KEYSTILE_CMDS", "unknown variable"), id="nearly the rig's variable"
    ),
    pytest.param(
        {"KEYSTILE_UPSTREAM": "a"}, ("KEYSTILE_UPSTREAM", "not an absolute URL"), id="a broken upstream"
    ),
    pytest.param({"KEYSTILE_SCOPES": 'a"b'}, ("KEYSTILE_SCOPES", "not a scope"), id="a broken scope"),
    pytest.param(
        {"KEYSTILE_HOSTS": "a,,b"}, ("KEYSTILE_HOSTS", "not a host, or host:port"), id="a broken host"
    ),
    pytest.param({"KEYSTILE_JWT_ISSUER": "http://a"}, ("KEYSTILE_JWT_ISSUER", "not an https URL"), id="http"),
    pytest.param(
        {"KEYSTILE_JWKS_URI": "nowhere.json"}, ("KEYSTILE_JWKS_URI", "not a file"), id="keys in no file"
    ),
    pytest.param({"KEYSTILE_JWKS_URI": "${HOME}"}, ("KEYSTILE_JWKS_URI", "not a file"), id="no references"),
    pytest.param(
        {"KEYSTILE_LISTEN": "0.0.0.0:80", "KEYSTILE_JWT_AUDIENCE": "a"},
        ("KEYSTILE_LISTEN", "beyond loopback, while it is unknown which hosts to answer for"),
        id="listening to all without a host",
    ),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTS)
def test_tells(changes, fault):
    environ = {name: value for name, value in {**LEAST, **changes}.items() if value is not None}
    with pytest.raises(ConfigError) as raised:
        load(None, environ)
    assert [(one.path, one.problem) for one in raised.value.faults] == [fault]
    assert raised.value.faults[0].line is None


def test_tells_all_that_is_missing_at_once():
    with pytest.raises(ConfigError) as raised:
        load(None, {})
    assert [fault.path for fault in raised.value.faults] == list(LEAST)
