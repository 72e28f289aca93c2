"""Traps in sound configurations, what only looks like one, and what is unwise."""

from __future__ import annotations

import pytest

from proxy.config import advice
from tests.support.configuration import completed, loaded

ENTRIES = "rules: [{{path: /a, mcp: [{}]}}]"
MISSING = "where an argument is missing or of another type, it goes to mcp[{}] and needs less"
METHOD = "by {} the same goes to mcp[{}] and needs less"
GRANTS = "scopes: {write: [read]}\n"


def warned(text: str) -> list[str]:
    return [f"{fault.path}: {fault.problem}" for fault in advice.warnings(loaded(completed(text)))]


TRAPS = [
    pytest.param(
        "{tool: a, arguments: {force: true}, scopes: x}, {tool: a}",
        [(0, MISSING.format(1))],
        id="no scope at all",
    ),
    pytest.param(
        "{tool: a, arguments: {force: true}, scopes: [x, y]}, {tool: '*', scopes: x}",
        [(0, MISSING.format(1))],
        id="one scope of two",
    ),
    pytest.param(
        "{tool: 'a*', arguments: {force: true}, scopes: x}, {tool: '*b', arguments: {c: 1}}",
        [(0, MISSING.format(1))],
        id="names that meet, and another argument",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, any_scopes: x}, {tool: a, any_scopes: [x, y]}",
        [(0, MISSING.format(1))],
        id="a wider choice",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: x}, {tool: a, any_scopes: [x, y]}",
        [(0, MISSING.format(1))],
        id="a choice in place of a scope",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, claims: {t: 1, u: 1}}, {tool: a, claims: {t: 1}}",
        [(0, MISSING.format(1))],
        id="one claim of two",
    ),
    pytest.param(
        "{arguments: {b: 1}, scopes: x}, {tool: '*'}", [(0, MISSING.format(1))], id="arguments of any tool"
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: [x, y]}, {tool: a, arguments: {b: 2}, scopes: x}, {tool: a}",
        [(0, MISSING.format(2)), (1, MISSING.format(2))],
        id="two values, then the rest",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1, c: 1}, scopes: x}, {tool: a, arguments: {c: 1}}",
        [(0, MISSING.format(1))],
        id="one argument of two",
    ),
    pytest.param(
        "{method: resources/read, resource: 'm://**', scopes: x}, {resource: '**'}",
        [(0, METHOD.format("resources/subscribe", 1))],
        id="another method",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: [x, y]}, {tool: a, arguments: {c: 1}, scopes: [x, y]}, {tool: a}",
        [(0, MISSING.format(2)), (1, MISSING.format(2))],
        id="both arguments of two entries",
    ),
    pytest.param(
        "{method: resources/read, resource: 'm://**', scopes: x}, {method: 'resources/un*', resource: '**'}",
        [(0, METHOD.format("resources/unsubscribe", 1))],
        id="one other method",
    ),
    pytest.param(
        "{method: prompts/get, prompt: a, scopes: x}, {prompt: '*'}",
        [(0, METHOD.format("completion/complete", 1))],
        id="completion",
    ),
]


@pytest.mark.parametrize(("entries", "expected"), TRAPS)
def test_warns_of_entries(entries, expected):
    assert warned(ENTRIES.format(entries)) == [f"rules[0].mcp[{index}]: {text}" for index, text in expected]


SOUND = [
    pytest.param("{tool: a, arguments: {b: 1}}, {tool: a, scopes: x}", id="the rest needs more"),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: x}, {tool: a, scopes: x}", id="the rest needs as much"
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: x}, {tool: a, scopes: y}", id="the rest needs another"
    ),
    pytest.param("{tool: a, arguments: {b: 1}, scopes: x}", id="the rest is refused"),
    pytest.param("{tool: a, arguments: {b: 1}, scopes: x}, {tool: b}", id="another tool"),
    pytest.param("{tool: a, arguments: {b: 1}, scopes: x}, {resource: '**'}", id="no tool"),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: x}, {tool: a, arguments: {b: {present: false}}}",
        id="absence that is asked for",
    ),
    pytest.param(
        "{tool: a, arguments: {b: {present: false}}, scopes: x}, {tool: a}", id="presence that needs less"
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, scopes: x}, {tool: 'a*', scopes: [x, y]}, {tool: '*'}",
        id="something stricter comes first",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, any_scopes: [x, y]}, {tool: a, any_scopes: [x, y]}",
        id="the same choice",
    ),
    pytest.param(
        "{tool: a, arguments: {b: 1}, any_scopes: [x, y]}, {tool: a, any_scopes: x}", id="a narrower choice"
    ),
    pytest.param(
        "{method: resources/read, resource: 'm://**', scopes: x}, {resource: 'n://**'}", id="another resource"
    ),
    pytest.param("{method: tools/call, tool: a, scopes: x}, {tool: '*'}", id="there is no other method"),
    pytest.param(
        "{method: prompts/get, prompt: a, scopes: x}, {method: completion/complete, scopes: x}, {prompt: '*'}",
        id="the other method needs as much",
    ),
    pytest.param(
        "{method: completion/complete, scopes: x}, {method: prompts/get, prompt: a, scopes: x}, {prompt: '*'}",
        id="an earlier entry takes the other method",
    ),
    pytest.param("{method: 'tasks/*', scopes: x}, {tool: '*'}", id="methods that name nothing"),
]


@pytest.mark.parametrize("entries", SOUND)
def test_does_not_warn_of_entries(entries):
    assert warned(ENTRIES.format(entries)) == []


def test_a_scope_that_grants_another_is_more():
    entries = "{tool: a, arguments: {b: 1}, scopes: write}, {tool: a, scopes: read}"
    assert warned(GRANTS + ENTRIES.format(entries)) == [f"rules[0].mcp[0]: {MISSING.format(1)}"]
    entries = "{tool: a, arguments: {b: 1}, scopes: read}, {tool: a, scopes: write}"
    assert warned(GRANTS + ENTRIES.format(entries)) == []


def test_what_the_rule_demands_is_demanded_by_every_entry():
    entries = "{tool: a, arguments: {b: 1}, scopes: x}, {tool: a}"
    assert warned(f"rules: [{{path: /a, scopes: x, mcp: [{entries}]}}]") == []


def taken(index: int, methods: str, taker: int) -> str:
    return f"rules[{index}].methods: without {methods}, which then go to rules[{taker}] and need less"


METHODS = [
    pytest.param(
        "{path: /a, methods: [POST, PUT], scopes: x}, {path: /a}",
        [taken(0, "PATCH, DELETE", 1)],
        id="the same path",
    ),
    pytest.param(
        "{path: /a/**, methods: GET, scopes: x}, {path: /**}",
        [taken(0, "POST, PUT, PATCH, DELETE", 1)],
        id="a catch-all",
    ),
    pytest.param(
        "{path: /a/**, methods: GET, scopes: x}, {path: /a/b, methods: [GET, PUT]}",
        [taken(0, "PUT", 1)],
        id="a part",
    ),
    pytest.param(
        "{path: /a, methods: POST}, {path: /a, public: true}",
        [taken(0, "PUT, PATCH, DELETE", 1)],
        id="everybody",
    ),
    pytest.param(
        "{path: /a, methods: POST}, {path: /a, passthrough: [basic]}",
        [taken(0, "PUT, PATCH, DELETE", 1)],
        id="the upstream's own login",
    ),
    pytest.param(
        "{path: /a, methods: POST, issuers: 'https://issuer.example'}, {path: /a}",
        [taken(0, "PUT, PATCH, DELETE", 1)],
        id="every issuer",
    ),
    pytest.param(
        "{path: /a, methods: [GET, POST], scopes: x, mcp: true}, {path: /**}",
        [taken(0, "DELETE", 1)],
        id="MCP",
    ),
    pytest.param(
        "{path: /a, methods: POST, scopes: x}, {path: /a, methods: [PUT, PATCH], scopes: x}, {path: /a}",
        [taken(0, "DELETE", 2), taken(1, "DELETE", 2)],
        id="what no rule names",
    ),
]


@pytest.mark.parametrize(("rules", "expected"), METHODS)
def test_warns_of_methods(rules, expected):
    assert warned(f"rules: [{rules}]") == expected


SOUND_METHODS = [
    pytest.param("{path: /a, methods: GET, scopes: x}, {path: /a, scopes: [x, y]}", id="the rest needs more"),
    pytest.param("{path: /a, methods: GET, scopes: x}, {path: /a, scopes: y}", id="the rest needs another"),
    pytest.param(
        "{path: /a, methods: [POST, PUT, PATCH, DELETE], scopes: x}, {path: /a}", id="reading needs less"
    ),
    pytest.param("{path: /a, methods: GET, scopes: x}, {path: /b}", id="another path"),
    pytest.param("{path: /a, methods: POST, scopes: x}", id="the rest is refused"),
    pytest.param("{path: /a, scopes: x}, {path: /**}", id="every method"),
    pytest.param(
        "{path: /a, methods: GET, scopes: x, host: localhost}, {path: /a, host: 127.0.0.1}", id="another host"
    ),
]


@pytest.mark.parametrize("rules", SOUND_METHODS)
def test_does_not_warn_of_methods(rules):
    assert warned(f"rules: [{rules}]") == []


ALONE = "counted by each process alone, without redis"
UNWISE = [
    pytest.param("", [], id="nothing"),
    pytest.param(
        "rules: [{path: [/a, /b/**], public: true}]",
        ["rules[0].path: a wildcard in a public path: what is added below it later is public too"],
        id="a public wildcard",
    ),
    pytest.param("rules: [{path: /a, public: true}]", [], id="a public path"),
    pytest.param(
        "rules: [{path: /a, log: {sample: 0.1}}]",
        ["rules[0].log.sample: of most requests there is no line: who did what cannot be answered here"],
        id="few lines of who did what",
    ),
    pytest.param(
        "rules: [{path: /a, public: true, log: {sample: 0.1}}]", [], id="few lines of a public path"
    ),
    pytest.param(
        "admin: 0.0.0.0:9901",
        ["admin: beyond loopback: whoever reaches it reads the metrics, and nobody the dashboard"],
        id="an admin listener for everybody",
    ),
    pytest.param(
        "admin: {listen: 0.0.0.0:9901, token: 0123456789abcdef}",
        ["admin: beyond loopback: whoever reaches it reads the metrics, and on the way the token"],
        id="an admin listener for whoever has the token",
    ),
    pytest.param("admin: unix:/run/admin.sock", [], id="an admin listener on a unix socket"),
    pytest.param("admin: null", [], id="no admin listener"),
    pytest.param(
        "rules: [{path: /a*, passthrough: [basic]}]",
        ["rules[0].path: a wildcard in a path that the upstream's own login may open"],
        id="a wildcard for the upstream's own login",
    ),
    pytest.param(
        "issuers: [{issuer: 'http://a.example', allow_insecure: true}]",
        [
            "issuers[0].allow_insecure: its keys may come over plain http: whoever is on the way can sign anything"
        ],
        id="an issuer over http",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a.example', dpop: optional}]",
        [f"issuers[0].dpop: used proofs are {ALONE}: another process takes them once more"],
        id="proofs without a Redis",
    ),
    pytest.param(
        "session_key: 0123456789abcdef0123456789abcdef\n"
        "rules: [{path: /a, rate: 1/s, mcp: [{tool: a}, {tool: b, rate: 1/s}]}]",
        [f"rules[0].rate: {ALONE}", f"rules[0].mcp[1].rate: {ALONE}"],
        id="rates without a Redis",
    ),
    pytest.param(
        "redis: redis://a.example\nissuers: [{issuer: 'https://a.example', dpop: optional}]\n"
        "rules: [{path: /a, rate: 1/s}]",
        [],
        id="proofs and rates with a Redis",
    ),
    pytest.param(
        "rules: [{path: /a, mcp: [{tool: a}]}]",
        ["session_key: absent: no session of MCP outlives a restart"],
        id="MCP without a key",
    ),
    pytest.param(
        "session_key: 0123456789abcdef0123456789abcdef\nrules: [{path: /a, mcp: true}]",
        ["rules[0].mcp: every tool is open to whoever meets the rule, and so is what is added later"],
        id="MCP without entries",
    ),
]


@pytest.mark.parametrize(("text", "expected"), UNWISE)
def test_tells_what_is_unwise(text, expected):
    told = advice.unwise(loaded(completed(text)))
    assert [f"{fault.path}: {fault.problem}" for fault in told] == expected
