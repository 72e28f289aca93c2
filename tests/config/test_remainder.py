"""Faults of shape and of meaning are told together, and nothing is told that only follows from another fault."""

from __future__ import annotations

import pytest

from tests.support.configuration import told

RESOURCE = "resource: not an https URL"
LEEWAY = "issuers[0].leeway: not a duration"
SHADOWED = "never reached: all that it matches goes to"

TOGETHER = [
    pytest.param(
        "resource: http://a.example\nlimits: {head_timeout: 5}",
        {RESOURCE, "limits.head_timeout: not a duration"},
        id="another key",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', leeway: 5}, {issuer: 'https://b.example', jwks: none.json}]",
        {LEEWAY, "issuers[1].jwks: not a file"},
        id="another issuer",
    ),
    pytest.param(
        "rules: [{path: a}, {path: /b/**}, {path: /b/c}]",
        {"rules[0].path: not an absolute path", f"rules[2]: {SHADOWED} rules[1]"},
        id="other rules, with their own numbers",
    ),
    pytest.param(
        "resource: http://a.example\nlog: {output: '${NONE}'}",
        {RESOURCE, "log.output: the environment variable NONE is not set"},
        id="a reference",
    ),
    pytest.param(
        "resource: http://a.example\nresource: http://b.example\nscopes: {a: a}",
        {"resource: a key written twice", "scopes.a: a scope that grants itself"},
        id="a key written twice",
    ),
    pytest.param(
        "listen: 8080\nscopes: {a: a}\nunknown: 1",
        {"listen: not an address and a port", "scopes.a: a scope that grants itself", "unknown: unknown key"},
        id="three at once",
    ),
]


@pytest.mark.parametrize(("text", "expected"), TOGETHER)
def test_tells_together(text: str, expected: set[str]) -> None:
    assert set(told(text)) >= expected


ALONE = [
    pytest.param(
        "resource: [a]\nissuers: [{issuer: 'https://a.example', dpop: required}]\nassertion: {}",
        "resource",
        id="what needs a resource, without one that can be read",
    ),
    pytest.param("issuers: 3", "issuers", id="rules that need issuers, without any that can be read"),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', leeway: 5}]\nrules: [{path: /, issuers: 'https://a.example'}]",
        "issuers[0].leeway",
        id="a rule that names the faulty issuer",
    ),
    pytest.param(
        "hosts: [a b]\nrules: [{path: /, host: a.example}]", "hosts[0]", id="a rule that names a faulty host"
    ),
    pytest.param(
        "path_parameters: yes\nrules: [{path: /a;b}]", "path_parameters", id="a rule with parameters"
    ),
    pytest.param(
        "rules: [{path: /a/**, scopes: [' ']}, {path: /a/b}]",
        "rules[0].scopes[0]",
        id="a rule behind a faulty one",
    ),
    pytest.param(
        "rules: [{path: /a/**}, {path: /a/b, scopes: [' ']}]", "rules[1].scopes[0]", id="a rule faulty twice"
    ),
    pytest.param("rules: [3]", "rules[0]", id="no rule left"),
    pytest.param("upstream: 3", "upstream", id="no upstream"),
    pytest.param(
        "issuers: [{issuer: 'https://a.example'}, 3]\nidentity_headers: {X-Agent-Issuer: name}",
        "issuers[1]",
        id="a header that tells issuers apart, of which one is faulty",
    ),
]


@pytest.mark.parametrize(("text", "place"), ALONE)
def test_tells_no_consequence(text: str, place: str) -> None:
    assert [fault.partition(": ")[0] for fault in told(text)] == [place]
