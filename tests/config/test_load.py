"""The file itself, paths beside it, and what an error may show."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import ConfigError, Fault, JwksFile, load
from tests.support.configuration import REST, faults, loaded

FILES = [
    pytest.param("/nowhere/keystile.yaml", "cannot be read: No such file or directory", id="no file"),
    pytest.param("/", "cannot be read: Is a directory", id="a directory"),
]


@pytest.mark.parametrize(("path", "problem"), FILES)
def test_tells_a_file_that_cannot_be_read(path, problem):
    with pytest.raises(ConfigError) as raised:
        load(Path(path), {})
    assert raised.value.faults == (Fault(path, None, problem, "mend its path or mode"),)


def test_tells_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "keystile.yaml"
    path.write_bytes("upstream: é".encode("latin-1"))
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert raised.value.faults == (Fault(str(path), None, "not UTF-8 text", "save it as UTF-8"),)


def test_takes_a_byte_order_mark(tmp_path):
    path = tmp_path / "keystile.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + REST.encode())
    assert load(path, {}).resource == "https://mcp.example.com/mcp"


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "jwks.json").write_text("{}")
    path = tmp_path / "keystile.yaml"
    path.write_text(REST.replace('example"}', 'example", jwks: jwks.json}') + "log: {output: access.log}")
    config = load(path, {})
    assert config.issuers[0].jwks == JwksFile(path=tmp_path / "jwks.json")
    assert config.log.output == str(tmp_path / "access.log")


def test_an_error_lists_each_fault_with_line_place_and_remedy():
    with pytest.raises(ConfigError) as raised:
        loaded("upstream: ftp://a\nrules: [{path: /}]\nscopes:\n  'a\\b': c")
    assert str(raised.value) == (
        "line 1, upstream: not an absolute URL; write https://host/… (or http://host/…)\n"
        "line 1, issuers: missing, while rules need a token; name an issuer, or make every rule public\n"
        'line 4, scopes["a\\\\b"]: not a scope; write visible ASCII without space, " and backslash'
    )


SECRET = "hunter2-ÿ"
PLACES = [
    "upstream: {}",
    "upstream: {{url: {}, host: {}}}",
    "listen: {}",
    "admin: {}",
    "resource: {}",
    "hosts: {}",
    "trusted_proxies: [{}]",
    "path_parameters: {}",
    "identity_headers: {{X-A: {}}}",
    "scopes: {{a: [{}, {}]}}",
    "issuers: {}",
    "issuers: [{}]",
    "issuers: [{{issuer: {}, jwks: {}, audience: {}, algorithms: {}, types: {}, leeway: {}}}]",
    "issuers: [{{issuer: 'https://a', require: {{a: {{min: {}}}, b: {{min: 1, c: {}}}, d: [[{}]]}}}}]",
    "issuers: [{{issuer: 'https://a', jwks: {{keys: {}}}, claims: {{id: [[{}]]}}, keys: {{refresh: {}}}}}]",
    "rules: [{{path: {}, methods: {}, host: {}, public: {}, scopes: {}, claims: {}, mcp: {}}}]",
    "limits: {{header_bytes: {}, connections: {}}}",
    "log: {{output: {}/{}, refuse_when_full: {}}}",
    "upstream: {{url: 'http://a', headers: {{X-A: {}, X-B: [{}], Host: {}}}}}",
    "upstream: {{url: 'http://a', headers: {}}}",
    "redis: {}",
    "redis: {{url: {}, password: {}}}",
    "redis: redis://:{}/a@b",
    "redis: redis://:a@b:{}",
    "redis: redis://a?password={}",
    "revocations: {}",
    "revocations: [{}]",
    "revocations: redis://:{}#a@b",
    "revocations: other://:{}@a",
    "jwks_cache: {}",
    "assertion: {}",
    "assertion: {{key: {}, issuer: {}, audience: {}, ttl: {}}}",
    "issuers: [{{issuer: 'https://a', ca: {}, dpop: {}, introspection: {}, allow_link_local: {}}}]",
    "issuers: [{{issuer: 'https://a', dpop: {{mode: {}, nonce: {}}}}}]",
    "issuers: [{{issuer: 'https://a', introspection: {{url: {}, client_id: {}, client_secret: [{}]}}}}]",
    "issuers: [{{issuer: 'https://a', introspection: {{client_secret: {}, client_auth: {}, timeout: {}}}}}]",
    "issuers: [{{issuer: 'https://a', introspection: {{client_secret: {{a: {}}}, mode: {}, secret: {}}}}}]",
    "issuers: [{{issuer: 'https://a', jwks: {}}}]",
    "issuers: [{{issuer: 'https://a', ca: {}}}]",
    "assertion: {{key: {}}}",
    "tls: {{certificate: {}, key: {}}}",
    "rules: [{{path: /a, passthrough: {}, rate: {}}}]",
    "rules: [{{path: /a, passthrough: [{}, {{cookie: [{}]}}], rate: {{limit: {}, burst: {}}}}}]",
    "rules: [{{path: /a, rate: {{limit: 1/s, burst: {}}}}}]",
    "a: [{}",
    "upstream: !x {}",
    "upstream: &x {}\nlisten: *x",
]
WAYS = {
    "written": SECRET,
    "quoted": f"'{SECRET}'",
    "referred to": "${SECRET}",
    "a URL": f"https://u:{SECRET}@a",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_no_value_is_ever_shown(place, way):
    with pytest.raises(ConfigError) as raised:
        loaded(
            place.replace("{}", WAYS[way].replace("{", "{{").replace("}", "}}")).format(), {"SECRET": SECRET}
        )
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(raised.value.faults)
    assert SECRET not in shown
    assert "hunter2" not in shown


scalars = st.sampled_from(
    ["a", "~", "", "5", "true", "${X}", "https://a", "/a/**", "unix:/a", "[]", "{}", "30s", "1KiB"]
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(
                [
                    "url",
                    "path",
                    "issuer",
                    "jwks",
                    "keys",
                    "min",
                    "a.b",
                    "X-A",
                    "id",
                    "scopes",
                    "claims",
                    "headers",
                    "dpop",
                    "introspection",
                    "rate",
                    "limit",
                    "passthrough",
                ]
            ),
            inner,
            max_size=2,
        ).map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"),
    ),
    max_leaves=6,
)
keys = st.sampled_from(
    [
        "upstream",
        "listen",
        "issuers",
        "rules",
        "scopes",
        "identity_headers",
        "limits",
        "log",
        "hosts",
        "assertion",
        "jwks_cache",
        "revocations",
        "redis",
    ]
)


@settings(deadline=None)
@given(st.dictionaries(keys, trees))
def test_any_tree_loads_or_is_told(tree):
    assert isinstance(faults("\n".join(f"{key}: {value}" for key, value in tree.items())), tuple)


@settings(deadline=None)
@given(st.text(alphabet=" \n-:[]{}'\"&*!|>#%@`?,ab\t\\\x00\u2028é$", max_size=60))
def test_any_text_loads_or_is_told(text):
    assert faults(text)
