from __future__ import annotations

import pytest

from proxy.authz import Router, expand, judge
from proxy.config import Issuer, Rule
from proxy.model import Caller, Identity, Reason

HIERARCHY = {"admin": ("write",), "write": ("read", "list"), "loop": ("pool",), "pool": ("loop",)}

EXPANDED = [
    pytest.param([], set(), id="nothing grants nothing"),
    pytest.param(["read"], {"read"}, id="the right does not grant the left"),
    pytest.param(["write"], {"write", "read", "list"}, id="one step"),
    pytest.param(["admin"], {"admin", "write", "read", "list"}, id="two steps"),
    pytest.param(["loop"], {"loop", "pool"}, id="a cycle ends"),
    pytest.param(["*"], {"*"}, id="no wildcard"),
    pytest.param(["other", "read"], {"other", "read"}, id="scopes outside the hierarchy"),
]


@pytest.mark.parametrize(("scopes", "held"), EXPANDED)
def test_hierarchy(scopes, held):
    assert expand(HIERARCHY, scopes) == held


ONE, TWO = "https://one.example", "https://two.example"
ISSUERS = [
    Issuer(issuer=ONE, audience="https://mcp.example.com"),
    Issuer(issuer=TWO, audience="https://mcp.example.com", grants=["mcp:*", "write", "odd[1]"]),
]


def caller(*scopes, issuer=ONE, **claims):
    identity = Identity("agent", issuer, scopes, (), claims, 0.0)
    return Caller(identity, expand(HIERARCHY, scopes), b"", b"")


def judged(rule, who):
    route = Router([Rule(path="/", **rule)], ISSUERS, HIERARCHY).find("GET", b"", "/")
    return judge(route, who)


PASSING = [
    pytest.param({}, caller(), id="a rule that needs a valid token and nothing more"),
    pytest.param({"public": True}, caller(), id="a public rule with an identity"),
    pytest.param({"scopes": ["read"]}, caller("read"), id="the scope"),
    pytest.param({"scopes": ["read"]}, caller("other", "read"), id="the scope among others"),
    pytest.param({"scopes": ["read"]}, caller("admin"), id="a scope that grants it"),
    pytest.param({"scopes": ["read", "x"]}, caller("x", "write"), id="all scopes"),
    pytest.param({"any_scopes": ["read", "x"]}, caller("x"), id="one of any"),
    pytest.param({"any_scopes": ["read", "x"]}, caller("admin"), id="one of any by the hierarchy"),
    pytest.param({"scopes": ["a"], "any_scopes": ["b", "c"]}, caller("a", "c"), id="all and one of any"),
    pytest.param({"issuers": [ONE, TWO]}, caller(issuer=TWO), id="one of the issuers"),
    pytest.param(
        {"claims": {"level": ["senior", "principal"]}}, caller(level="senior"), id="one of the values"
    ),
    pytest.param(
        {"claims": {"trust": {"score": {"min": 20}}}}, caller(trust={"score": 20}), id="a nested number"
    ),
]


@pytest.mark.parametrize(("rule", "who"), PASSING)
def test_passes(rule, who):
    assert judged(rule, who) is None


SCOPE, CLAIM = Reason.SCOPE_INSUFFICIENT, Reason.CLAIM_REFUSED

REFUSED = [
    pytest.param(
        {"scopes": ["memory:write"]},
        caller(),
        SCOPE,
        "needs scope memory:write",
        ("memory:write",),
        id="no scope",
    ),
    pytest.param(
        {"scopes": ["a", "b"]},
        caller("a"),
        SCOPE,
        "needs scope b",
        ("a", "b"),
        id="one of two: both are asked for",
    ),
    pytest.param(
        {"scopes": ["b", "a"]},
        caller(),
        SCOPE,
        "needs scope b and scope a",
        ("b", "a"),
        id="in the rule's order",
    ),
    pytest.param(
        {"scopes": ["write"]}, caller("read"), SCOPE, "needs scope write", ("write",), id="a weaker scope"
    ),
    pytest.param(
        {"scopes": ["read"]}, caller("READ"), SCOPE, "needs scope read", ("read",), id="another case"
    ),
    pytest.param(
        {"scopes": ["read"]}, caller("*"), SCOPE, "needs scope read", ("read",), id="a wildcard is none"
    ),
    pytest.param(
        {"any_scopes": ["a", "b"]},
        caller("c"),
        SCOPE,
        "needs one of the scopes a, b",
        ("a",),
        id="none of any: the first is asked for",
    ),
    pytest.param(
        {"scopes": ["s"], "any_scopes": ["a", "b"]},
        caller("b"),
        SCOPE,
        "needs scope s",
        ("s", "b"),
        id="one of any is held: that one is asked for",
    ),
    pytest.param(
        {"scopes": ["s"], "any_scopes": ["a", "b"]},
        caller(),
        SCOPE,
        "needs scope s and one of the scopes a, b",
        ("s", "a"),
        id="neither",
    ),
    pytest.param(
        {"name": "r", "issuers": [TWO], "scopes": ["s"]},
        caller(),
        CLAIM,
        "rule r takes no token of this issuer",
        (),
        id="another issuer, whatever the scopes",
    ),
    pytest.param(
        {"name": "r", "claims": {"level": "senior"}, "scopes": ["s"]},
        caller(level="junior"),
        CLAIM,
        "claim level does not satisfy rule r",
        (),
        id="another value, whatever the scopes",
    ),
    pytest.param(
        {"name": "r", "claims": {"level": "senior"}},
        caller("s"),
        CLAIM,
        "claim level does not satisfy rule r",
        (),
        id="no such claim",
    ),
    pytest.param(
        {"name": "r", "claims": {"a": 1, "b": 2}},
        caller(a=1, b=3),
        CLAIM,
        "claim b does not satisfy rule r",
        (),
        id="the second of two claims",
    ),
    pytest.param(
        {"scopes": ["memory:write"]},
        caller(issuer=TWO),
        CLAIM,
        "needs scope memory:write, which this token's issuer may not confer",
        (),
        id="a scope that the issuer may never confer",
    ),
    pytest.param(
        {"scopes": ["mcp:read"]},
        caller(issuer=TWO),
        SCOPE,
        "needs scope mcp:read",
        ("mcp:read",),
        id="a scope that the issuer may confer",
    ),
    pytest.param(
        {"scopes": ["odd[1]"]},
        caller(issuer=TWO),
        SCOPE,
        "needs scope odd[1]",
        ("odd[1]",),
        id="a scope that the issuer may confer, though it looks like a glob",
    ),
    pytest.param(
        {"scopes": ["read"]},
        caller(issuer=TWO),
        SCOPE,
        "needs scope read",
        ("read",),
        id="a scope that one the issuer may confer grants",
    ),
    pytest.param(
        {"any_scopes": ["memory:read", "mcp:read"]},
        caller(issuer=TWO),
        SCOPE,
        "needs one of the scopes memory:read, mcp:read",
        ("mcp:read",),
        id="the one of any that the issuer may confer",
    ),
    pytest.param(
        {"any_scopes": ["memory:read", "memory:write"]},
        caller(issuer=TWO),
        CLAIM,
        "needs one of the scopes memory:read, memory:write, which this token's issuer may not confer",
        (),
        id="none of any that the issuer may confer",
    ),
]


@pytest.mark.parametrize(("rule", "who", "reason", "detail", "needed"), REFUSED)
def test_refused(rule, who, reason, detail, needed):
    deny = judged(rule, who)
    assert (deny.reason, deny.detail, deny.needed) == (reason, detail, needed)
    assert deny.caller is who
