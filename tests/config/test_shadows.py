"""Rules that no request reaches, and rules that only look so."""

from __future__ import annotations

import pytest

from proxy.config.rule import Rule
from proxy.config.shadows import slips

FIRST = "never reached: all that it matches goes to rules[0]"
ALL = "never reached: all that it matches goes to the rules before it"
POSTS = "every POST goes to rules[0], which is for no MCP and refuses it"
CASE = "ambiguous: where case is ignored, all that it matches goes to earlier rules"


def rule(path, methods=(), host=(), mcp=None):
    return Rule(path=path, methods=methods, host=host, mcp=mcp)


def mcp(path, methods=(), host=()):
    return rule(path, methods, host, mcp=True)


UNREACHABLE = [
    pytest.param([rule("/a"), rule("/a")], {("rules", 1): FIRST}, id="the same path"),
    pytest.param([rule("/a"), rule("/a/")], {("rules", 1): FIRST}, id="the same path with a slash"),
    pytest.param([rule("/api/**"), rule("/api/x")], {("rules", 1): FIRST}, id="below a **"),
    pytest.param([rule("/api/**"), rule("/api")], {("rules", 1): FIRST}, id="the root of a **"),
    pytest.param([rule("/*"), rule("/a")], {("rules", 1): FIRST}, id="a literal after *"),
    pytest.param(
        [rule("/**"), rule("/a"), rule("/b")], {("rules", 1): FIRST, ("rules", 2): FIRST}, id="after all"
    ),
    pytest.param(
        [rule("/a"), rule("/b"), rule(["/a", "/b"])], {("rules", 2): ALL}, id="two rules that add up"
    ),
    pytest.param([rule(["/a", "/b"]), rule("/b", "PUT")], {("rules", 1): FIRST}, id="any method before one"),
    pytest.param([rule("/a", "GET"), rule("/a", "HEAD")], {("rules", 1): FIRST}, id="GET covers HEAD"),
    pytest.param(
        [rule("/a", "GET"), rule("/a", ["HEAD", "GET"])], {("rules", 1): FIRST}, id="GET covers both"
    ),
    pytest.param(
        [rule("/a", "GET"), rule("/a", "PUT"), rule("/a", ["PUT", "GET"])],
        {("rules", 2): ALL},
        id="methods that add up",
    ),
    pytest.param([rule("/a", "POST"), mcp("/a")], {("rules", 1, "path", 0): POSTS}, id="POST before MCP"),
    pytest.param(
        [rule("/**", ["GET", "POST"]), mcp(["/a", "/b"])],
        {("rules", 1, "path", 0): POSTS, ("rules", 1, "path", 1): POSTS},
        id="POST of every path before MCP",
    ),
    pytest.param(
        [rule("/a", "POST"), mcp(["/a", "/b"], ["GET", "POST"])],
        {("rules", 1, "path", 0): POSTS},
        id="POST of one path of two before MCP",
    ),
    pytest.param(
        [rule("/a", "POST"), rule("/*", ["POST", "PUT"]), mcp("/a")],
        {("rules", 2, "path", 0): POSTS},
        id="POST before MCP, twice",
    ),
    pytest.param([rule("/a"), mcp("/a")], {("rules", 1): FIRST}, id="every method before MCP"),
    pytest.param(
        [rule("/a"), mcp(["/a", "/b"])],
        {("rules", 1, "path", 0): POSTS},
        id="every method of one path of two before MCP",
    ),
    pytest.param([rule("/a"), rule("/a", (), "h.b")], {("rules", 1): FIRST}, id="any host before one"),
    pytest.param(
        [rule("/a", (), "h.b"), rule("/a", (), "h.b:1")], {("rules", 1): FIRST}, id="any port before one"
    ),
    pytest.param(
        [rule("/a", (), ["h.b", "i.b"]), rule("/a", "GET", "i.b")],
        {("rules", 1): FIRST},
        id="a host out of a list",
    ),
    pytest.param([rule("/api"), rule("/API")], {("rules", 1, "path", 0): CASE}, id="another case"),
    pytest.param(
        [rule("/api/**"), rule("/API/x")], {("rules", 1, "path", 0): CASE}, id="below a ** in another case"
    ),
    pytest.param(
        [rule("/API/*"), rule(["/x", "/api/y"])], {("rules", 1, "path", 1): CASE}, id="one path of a list"
    ),
]


@pytest.mark.parametrize(("rules", "expected"), UNREACHABLE)
def test_tells(rules, expected):
    assert {slip.location: slip.problem for slip in slips(rules)} == expected


REACHABLE = [
    pytest.param([rule("/a"), rule("/b")], id="two paths"),
    pytest.param([rule("/api/x"), rule("/api/**")], id="the special before the general"),
    pytest.param([rule("/api/**"), rule("/apis")], id="a name that only begins alike"),
    pytest.param([rule("/a"), rule(["/a", "/b"])], id="a list with one path more"),
    pytest.param([rule("/a", "HEAD"), rule("/a", "GET")], id="HEAD does not cover GET"),
    pytest.param([rule("/a", ["GET", "PUT"]), rule("/a")], id="methods before all others"),
    pytest.param([rule("/a", "GET"), rule("/a", "PUT")], id="two methods"),
    pytest.param([rule("/a", (), "h.b"), rule("/a")], id="a host before all others"),
    pytest.param([rule("/a", (), "h.b"), rule("/a", (), "i.b")], id="two hosts"),
    pytest.param([rule("/a", (), "h.b:1"), rule("/a", (), "h.b")], id="a port before all others"),
    pytest.param([rule("/a", (), "h.b:1"), rule("/a", (), "h.b:2")], id="two ports"),
    pytest.param([rule("/a", "GET", "h.b"), rule("/a", "GET", "i.b"), rule("/a", "PUT", "h.b")], id="both"),
    pytest.param(
        [rule("/a", "GET"), rule("/a", (), "h.b"), rule("/a")], id="no method and host add up to all"
    ),
    pytest.param([rule(["/api", "/API"]), rule("/x")], id="both spellings in one rule"),
    pytest.param([rule("/API"), rule("/**")], id="upper case before all"),
    pytest.param([rule("/API", "GET"), rule("/api", "PUT")], id="another case and another method"),
    pytest.param([rule("/a", "GET"), mcp("/a")], id="GET before MCP"),
    pytest.param([rule("/a/b", "POST"), mcp("/a/**")], id="POST of some paths before MCP"),
    pytest.param([rule("/a", "POST", "h.b"), mcp("/a")], id="POST of one host before MCP"),
    pytest.param([mcp("/a", "POST"), mcp("/a")], id="MCP before MCP"),
    pytest.param([rule("/a", "PUT"), mcp("/a", "GET")], id="MCP without POST"),
    pytest.param([mcp("/a"), rule("/**")], id="MCP before all"),
]


@pytest.mark.parametrize("rules", REACHABLE)
def test_takes(rules):
    assert not list(slips(rules))


def test_many_rules_take_little_time():
    rules = [rule(f"/api/v{number}/*/x/**", "GET" if number % 2 else ()) for number in range(200)]
    assert not list(slips([*rules, rule("/**")]))
