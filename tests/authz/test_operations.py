"""Operations judged by tables: which entry decides, what it needs, and what each caller is told and shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz import Admitted, Operations, Router, expand
from proxy.authz.entries import deciding, selectors
from proxy.config import Entry, Issuer, Rule, globs
from proxy.model import Caller, Deny, Identity, Operation, Reason

HIERARCHY = {"admin": ("memory:write",), "memory:write": ("memory:read",)}
ONE, TWO = "https://one.example", "https://two.example"
ISSUERS = [
    Issuer(issuer=ONE, audience="https://mcp.example.com"),
    Issuer(issuer=TWO, audience="https://mcp.example.com", grants=["mcp", "memory:read"]),
]


def caller(*scopes, issuer=ONE, **claims):
    identity = Identity("agent", issuer, scopes, (), claims, 0.0)
    return Caller(identity, expand(HIERARCHY, scopes), b"", b"")


def made(entries, **rule):
    return Operations(Rule(path="/mcp", name="r", mcp=entries, **rule), ISSUERS, HIERARCHY)


def tool(name, **arguments):
    return Operation("tools/call", "tool", name, arguments)


def prompt(name, **arguments):
    return Operation("prompts/get", "prompt", name, arguments)


def resource(uri, method="resources/read"):
    return Operation(method, "resource", uri)


def completion(name, kind="prompt"):
    return Operation("completion/complete", kind, name)


def plain(method):
    return Operation(method)


MEMORY = [
    {"tool": "delete_*", "scopes": ["memory:write"]},
    {"tool": "read_memory", "arguments": {"project": ["demo", "team-*"]}, "scopes": ["memory:read"]},
    {"tool": "read_memory", "scopes": ["admin"]},
    {"resource": "memory://secret/**", "scopes": ["admin"]},
    {"resource": ["memory://**", "file:///srv/*"], "scopes": ["memory:read"]},
    {"prompt": "*"},
    {"tool": ["list_?", "Echo", "a.b*c"]},
    {"method": "tasks/get", "scopes": ["tasks"]},
    {"method": "logging/*", "scopes": ["admin"]},
    {"method": "resources/unsubscribe"},
]
READER, WRITER, ADMIN = caller("memory:read"), caller("memory:write"), caller("admin")
NOBODY = caller()

# What decides: the number of an entry, None where none is needed.
ADMITTED = [
    pytest.param(tool("delete_memory"), WRITER, 0, id="a pattern, and its scope"),
    pytest.param(tool("delete_"), WRITER, 0, id="an asterisk for nothing"),
    pytest.param(tool("delete_a/b\n"), WRITER, 0, id="an asterisk for anything"),
    pytest.param(tool("delete_x"), ADMIN, 0, id="a scope that grants it"),
    pytest.param(tool("read_memory", project="demo"), READER, 1, id="an argument"),
    pytest.param(tool("read_memory", project="team-a", x=1), READER, 1, id="an argument's pattern"),
    pytest.param(
        tool("read_memory", project="other"), ADMIN, 2, id="another value of an argument: a later entry"
    ),
    pytest.param(tool("read_memory"), ADMIN, 2, id="no argument: a later entry"),
    pytest.param(tool("read_memory", project=["demo"]), ADMIN, 2, id="an argument of another type"),
    pytest.param(tool("list_a"), NOBODY, 6, id="one character"),
    pytest.param(tool("Echo"), NOBODY, 6, id="the second of several patterns"),
    pytest.param(tool("a.bxc"), NOBODY, 6, id="a dot in a name"),
    pytest.param(prompt("greet"), NOBODY, 5, id="any prompt"),
    pytest.param(prompt(""), NOBODY, 5, id="a prompt without a name"),
    pytest.param(resource("memory://a/b"), READER, 4, id="a resource"),
    pytest.param(resource("file:///srv/x"), READER, 4, id="the second pattern of resources"),
    pytest.param(resource("memory://secret/a"), ADMIN, 3, id="a resource that an earlier entry takes"),
    pytest.param(resource("memory://a", "resources/subscribe"), READER, 4, id="a subscription"),
    pytest.param(resource("memory://a", "resources/unsubscribe"), READER, 4, id="the end of one"),
    pytest.param(
        resource("other://a", "resources/unsubscribe"), NOBODY, 9, id="a method that names resources"
    ),
    pytest.param(
        resource("memory://a", "subscriptions/listen"), READER, 4, id="a resource that is listened to"
    ),
    pytest.param(completion("greet"), NOBODY, 5, id="a completion for a prompt"),
    pytest.param(completion("memory://a/{id}", "template"), READER, 4, id="a completion for a template"),
    pytest.param(completion("memory://{path}", "template"), READER, 4, id="of which an entry takes a part"),
    pytest.param(completion("memory://secret/{id}", "template"), ADMIN, 3, id="of which an entry takes all"),
    pytest.param(plain("initialize"), NOBODY, None, id="initialize"),
    pytest.param(plain("ping"), NOBODY, None, id="ping"),
    pytest.param(plain("server/discover"), NOBODY, None, id="server/discover"),
    pytest.param(plain("tools/list"), NOBODY, None, id="tools/list"),
    pytest.param(plain("prompts/list"), NOBODY, None, id="prompts/list"),
    pytest.param(plain("resources/list"), NOBODY, None, id="resources/list"),
    pytest.param(plain("resources/templates/list"), NOBODY, None, id="resources/templates/list"),
    pytest.param(plain("subscriptions/listen"), NOBODY, None, id="subscriptions/listen itself"),
    pytest.param(plain("notifications/cancelled"), NOBODY, None, id="a notification"),
    pytest.param(plain("notifications/anything/new"), NOBODY, None, id="a notification yet unknown"),
    pytest.param(plain("tasks/get"), caller("tasks"), 7, id="a method that an entry names"),
    pytest.param(plain("logging/setLevel"), ADMIN, 8, id="a known method of which an entry asks more"),
]


@pytest.mark.parametrize(("operation", "who", "entry"), ADMITTED)
def test_admitted(operation, who, entry):
    operations = made(MEMORY)
    first, again = operations.judge(operation, who), operations.judge(operation, who)
    name = None if entry is None else f"r mcp[{entry}]"
    assert first == again
    assert isinstance(first, Admitted)
    assert (first.entry and first.entry.name) == name


SCOPE, CLAIM = Reason.SCOPE_INSUFFICIENT, Reason.CLAIM_REFUSED
REFUSED, UNKNOWN = Reason.OPERATION_REFUSED, Reason.OPERATION_UNKNOWN

DENIED = [
    pytest.param(
        tool("delete_memory"),
        READER,
        SCOPE,
        "needs scope memory:write to call delete_memory",
        ("memory:write",),
        id="a tool",
    ),
    pytest.param(
        resource("memory://a"),
        NOBODY,
        SCOPE,
        "needs scope memory:read to read memory://a",
        ("memory:read",),
        id="a resource",
    ),
    pytest.param(
        resource("memory://a?token=x", "resources/subscribe"),
        NOBODY,
        SCOPE,
        "needs scope memory:read to subscribe to memory://a",
        ("memory:read",),
        id="a subscription, its query left out",
    ),
    pytest.param(
        resource("memory://a", "subscriptions/listen"),
        NOBODY,
        SCOPE,
        "needs scope memory:read to listen to memory://a",
        ("memory:read",),
        id="a resource that is listened to",
    ),
    pytest.param(
        plain("logging/setLevel"),
        READER,
        SCOPE,
        "needs scope admin for logging/setLevel",
        ("admin",),
        id="a method",
    ),
    pytest.param(
        completion("memory://a/{id}", "template"),
        NOBODY,
        SCOPE,
        "needs scope memory:read to complete memory://a/{id}",
        ("memory:read",),
        id="a completion for a template",
    ),
    pytest.param(
        tool("read_memory", project="demo"),
        NOBODY,
        SCOPE,
        "needs scope memory:read to call read_memory with these arguments",
        ("memory:read",),
        id="failing an entry never falls through",
    ),
    pytest.param(
        tool("read_memory", project="x"),
        READER,
        SCOPE,
        "needs scope admin to call read_memory with these arguments",
        ("admin",),
        id="another argument",
    ),
    pytest.param(
        tool("read_memory", project=1),
        READER,
        SCOPE,
        "needs scope admin to call read_memory with these arguments",
        ("admin",),
        id="an argument's type",
    ),
    pytest.param(
        tool("write"), ADMIN, REFUSED, "tool write may not be called here", (), id="a tool without an entry"
    ),
    pytest.param(
        tool("Delete_x"),
        ADMIN,
        REFUSED,
        "tool Delete_x may not be called here",
        (),
        id="another case of a tool",
    ),
    pytest.param(
        tool("echo"), ADMIN, REFUSED, "tool echo may not be called here", (), id="lower case of a tool"
    ),
    pytest.param(
        tool("list_"), ADMIN, REFUSED, "tool list_ may not be called here", (), id="a character too few"
    ),
    pytest.param(
        tool("list_ab"), ADMIN, REFUSED, "tool list_ab may not be called here", (), id="a character too many"
    ),
    pytest.param(
        tool("axbc"),
        ADMIN,
        REFUSED,
        "tool axbc may not be called here",
        (),
        id="no dot where the entry has one",
    ),
    pytest.param(
        tool("greet"),
        ADMIN,
        REFUSED,
        "tool greet may not be called here",
        (),
        id="a tool called like a prompt",
    ),
    pytest.param(tool(""), ADMIN, REFUSED, "tool  may not be called here", (), id="a tool without a name"),
    pytest.param(
        tool("memory://a"),
        ADMIN,
        REFUSED,
        "tool memory://a may not be called here",
        (),
        id="a tool called like a resource",
    ),
    pytest.param(
        tool('x", scope="y\r\n'),
        ADMIN,
        REFUSED,
        "tool x?, scope??y?? may not be called here",
        (),
        id="a name made for headers",
    ),
    pytest.param(
        tool("x" * 101), ADMIN, REFUSED, f"tool {'x' * 100}... may not be called here", (), id="a long name"
    ),
    pytest.param(
        resource("other://a"),
        ADMIN,
        REFUSED,
        "resource other://a may not be read here",
        (),
        id="a resource without an entry",
    ),
    pytest.param(
        resource("file:///srv/x/y"),
        ADMIN,
        REFUSED,
        "resource file:///srv/x/y may not be read here",
        (),
        id="a resource below a segment",
    ),
    pytest.param(
        resource("other://a", "resources/subscribe"),
        ADMIN,
        REFUSED,
        "resource other://a may not be subscribed to here",
        (),
        id="a subscription without an entry",
    ),
    pytest.param(
        resource("other://a", "subscriptions/listen"),
        ADMIN,
        REFUSED,
        "resource other://a may not be listened to here",
        (),
        id="a resource that is listened to without one, though the method passes",
    ),
    pytest.param(
        resource("memory://a/../b"),
        ADMIN,
        REFUSED,
        "the resource URI holds a dot segment",
        (),
        id="a URI with two readings",
    ),
    pytest.param(
        resource("other://%2f", "resources/unsubscribe"),
        ADMIN,
        REFUSED,
        "the resource URI holds an encoded slash",
        (),
        id="in any method that names one",
    ),
    pytest.param(
        completion("memory://a/%2e{x}", "template"),
        ADMIN,
        REFUSED,
        "the resource URI encodes a character that needs no encoding",
        (),
        id="in a template",
    ),
    pytest.param(
        completion("other://{x}", "template"),
        ADMIN,
        REFUSED,
        "template other://{x} may not be completed here",
        (),
        id="a template without an entry",
    ),
    pytest.param(
        completion("memory://secret/{x}", "template"),
        READER,
        SCOPE,
        "needs scope admin to complete memory://secret/{x}",
        ("admin",),
        id="a template that an earlier entry takes",
    ),
    pytest.param(
        plain("tasks/get"), NOBODY, SCOPE, "needs scope tasks for tasks/get", ("tasks",), id="a task"
    ),
    pytest.param(
        plain("tasks/cancel"),
        ADMIN,
        UNKNOWN,
        "there is no method tasks/cancel here",
        (),
        id="another method of tasks",
    ),
    pytest.param(
        plain("tools/other"),
        ADMIN,
        UNKNOWN,
        "there is no method tools/other here",
        (),
        id="a method that nobody knows",
    ),
    pytest.param(
        plain("tools/call"),
        ADMIN,
        UNKNOWN,
        "there is no method tools/call here",
        (),
        id="a call that names nothing",
    ),
    pytest.param(
        plain("Ping"), ADMIN, UNKNOWN, "there is no method Ping here", (), id="another case of a method"
    ),
    pytest.param(
        plain("tools/list\n"),
        ADMIN,
        UNKNOWN,
        "there is no method tools/list? here",
        (),
        id="a method with a tail",
    ),
    pytest.param(
        plain("notifications"),
        ADMIN,
        UNKNOWN,
        "there is no method notifications here",
        (),
        id="no notification",
    ),
    pytest.param(plain(""), ADMIN, UNKNOWN, "there is no method  here", (), id="no method"),
    pytest.param(
        plain("roots/list"),
        ADMIN,
        UNKNOWN,
        "there is no method roots/list here",
        (),
        id="a method of clients",
    ),
]


@pytest.mark.parametrize(("operation", "who", "reason", "detail", "needed"), DENIED)
def test_denied(operation, who, reason, detail, needed):
    operations = made(MEMORY)
    deny = operations.judge(operation, who)
    assert (deny.reason, deny.detail, deny.needed) == (reason, detail, needed)
    assert deny.caller is who
    assert operations.judge(operation, who) == deny


AMBIGUOUS = [
    pytest.param("memory://Secret/a", "the resource URI has a host in upper case", id="a host in upper case"),
    pytest.param("memory:///secret/a", None, id="a slash more"),
    pytest.param("memory:/secret/a", None, id="a slash less"),
    pytest.param("memory://secret;x/a", None, id="a parameter"),
    pytest.param("memory://secret./a", None, id="a final dot"),
    pytest.param("memory://s\u00adecret/a", None, id="an invisible character"),
    pytest.param("memory://\uff53ecret/a", None, id="a fullwidth letter"),
    pytest.param("file:////srv/x", None, id="an empty segment"),
    pytest.param("file:///SRV/x", None, id="another case"),
]


@pytest.mark.parametrize(("uri", "fault"), AMBIGUOUS)
def test_a_uri_that_some_server_takes_for_another_entrys(uri, fault):
    operations = made(MEMORY)
    deny = operations.judge(resource(uri), ADMIN)
    assert deny.reason is REFUSED
    assert deny.detail == (fault or deny.detail)
    assert fault or deny.detail.startswith("another entry decides over this resource")
    assert not operations.usable("resource", uri, ADMIN)


RULED = [
    pytest.param({"scopes": ["mcp"]}, {"tool": "*"}, caller("mcp"), None, id="the rule's scope"),
    pytest.param(
        {"scopes": ["mcp"]},
        {"tool": "*"},
        caller(),
        (SCOPE, "needs scope mcp to call t", ("mcp",)),
        id="without it",
    ),
    pytest.param(
        {"scopes": ["mcp"]},
        {"tool": "*", "scopes": ["s"]},
        caller("mcp"),
        (SCOPE, "needs scope s to call t", ("mcp", "s")),
        id="the rule's scope without the entry's: both are asked for",
    ),
    pytest.param(
        {"scopes": ["mcp"]},
        {"tool": "*", "scopes": ["mcp", "s"]},
        caller(),
        (SCOPE, "needs scope mcp and scope s to call t", ("mcp", "s")),
        id="neither",
    ),
    pytest.param(
        {"any_scopes": ["a", "b"]},
        {"tool": "*", "any_scopes": ["c", "d"]},
        caller("b"),
        (SCOPE, "needs one of the scopes c, d to call t", ("b", "c")),
        id="one of the rule's, none of the entry's",
    ),
    pytest.param(
        {"any_scopes": ["a", "b"]},
        {"tool": "*", "any_scopes": ["c", "d"]},
        caller("d"),
        (SCOPE, "needs one of the scopes a, b to call t", ("a", "d")),
        id="one of the entry's, none of the rule's",
    ),
    pytest.param(
        {"any_scopes": ["a", "b"]},
        {"tool": "*", "any_scopes": ["c", "d"]},
        caller("b", "d"),
        None,
        id="one of each",
    ),
    pytest.param(
        {"issuers": [TWO], "scopes": ["s"]},
        {"tool": "*"},
        caller(),
        (CLAIM, "rule r mcp[0] takes no token of this issuer", ()),
        id="another issuer, whatever the scopes",
    ),
    pytest.param(
        {"claims": {"level": "high"}},
        {"tool": "*", "scopes": ["s"]},
        caller(level="low"),
        (CLAIM, "claim level does not satisfy rule r mcp[0]", ()),
        id="the rule's claim, whatever the scopes",
    ),
    pytest.param(
        {"claims": {"level": "high"}},
        {"tool": "*", "claims": {"team": "a"}},
        caller(level="high", team="b"),
        (CLAIM, "claim team does not satisfy rule r mcp[0]", ()),
        id="the entry's claim",
    ),
    pytest.param(
        {"claims": {"level": "high"}},
        {"tool": "*", "claims": {"level": ["high", "low"]}},
        caller(level="low"),
        (CLAIM, "claim level does not satisfy rule r mcp[0]", ()),
        id="an entry takes nothing of its rule away",
    ),
    pytest.param(
        {"claims": {"level": "high"}},
        {"tool": "*", "claims": {"team": "a"}},
        caller(level="high", team="a"),
        None,
        id="both claims",
    ),
    pytest.param(
        {},
        {"tool": "*", "scopes": ["memory:write"]},
        caller(issuer=TWO),
        (CLAIM, "needs scope memory:write, which this token's issuer may not confer", ()),
        id="an entry's scope that the issuer may never confer",
    ),
    pytest.param(
        {"scopes": ["memory:write"]},
        {"tool": "*", "scopes": ["memory:read"]},
        caller(issuer=TWO),
        (
            CLAIM,
            "needs scope memory:write and scope memory:read, which this token's issuer may not confer",
            (),
        ),
        id="the rule's",
    ),
    pytest.param(
        {"any_scopes": ["mcp"]},
        {"tool": "*", "any_scopes": ["memory:write", "memory:read"]},
        caller(issuer=TWO),
        (
            SCOPE,
            "needs one of the scopes mcp and one of the scopes memory:write, memory:read to call t",
            ("mcp", "memory:read"),
        ),
        id="of each choice the one that the issuer may confer",
    ),
    pytest.param(
        {"any_scopes": ["mcp"]},
        {"tool": "*", "any_scopes": ["memory:write"]},
        caller("mcp", issuer=TWO),
        (CLAIM, "needs one of the scopes memory:write, which this token's issuer may not confer", ()),
        id="a choice of none that the issuer may confer",
    ),
    pytest.param(
        {"scopes": ["memory:write"]},
        {"tool": "*", "any_scopes": ["memory:read"]},
        caller(issuer=TWO),
        (
            CLAIM,
            "needs scope memory:write and one of the scopes memory:read, which this token's issuer may not confer",
            (),
        ),
        id="a scope that it may not confer, and a choice that it may",
    ),
    pytest.param(
        {"scopes": ["mcp"]},
        {"tool": "other"},
        caller(),
        (REFUSED, "tool t may not be called here", ()),
        id="no entry: no scope is asked for, for none would help",
    ),
    pytest.param(
        {"claims": {"level": "high"}},
        {"tool": "other"},
        caller(),
        (CLAIM, "claim level does not satisfy rule r", ()),
        id="no entry, and a claim that fails",
    ),
    pytest.param({"public": True}, {"tool": "*"}, None, None, id="a public rule, and nobody"),
    pytest.param(
        {"public": True},
        {"tool": "other"},
        None,
        (REFUSED, "tool t may not be called here", ()),
        id="what it does not name",
    ),
]


@pytest.mark.parametrize(("rule", "entry", "who", "refusal"), RULED)
def test_with_what_the_rule_asks_for(rule, entry, who, refusal):
    judged = made([entry], **rule).judge(tool("t"), who)
    if isinstance(judged, Deny):
        assert (judged.reason, judged.detail, judged.needed) == refusal
        assert judged.caller is who
    else:
        assert refusal is None


PASSING = ["initialize", "ping", "tools/list", "notifications/initialized", "logging/setLevel"]


@pytest.mark.parametrize("method", PASSING)
def test_lifecycle_and_discovery_need_what_the_rule_needs(method):
    operations = made([{"tool": "*", "scopes": ["s"]}], scopes=["mcp"])
    assert operations.judge(plain(method), caller("mcp")) == Admitted(None)
    deny = operations.judge(plain(method), caller("s"))
    assert (deny.reason, deny.detail, deny.needed) == (SCOPE, f"needs scope mcp for {method}", ("mcp",))


EVERYTHING = [tool("x"), prompt("y"), resource("memory://a"), plain("tasks/get"), plain("vendor/own")]


@pytest.mark.parametrize("operation", EVERYTHING, ids=lambda operation: operation.method)
def test_true_lets_everything_pass_that_the_rule_does(operation):
    operations = made(True, scopes=["mcp"])
    assert operations.judge(operation, caller("mcp")) == Admitted(None)
    assert operations.judge(operation, caller()).reason is SCOPE
    assert (operations.filters, operations.arguments) == (False, frozenset())


def test_true_demands_canonical_uris_all_the_same():
    operations = made(True)
    assert (
        operations.judge(resource("memory://a/../b"), ADMIN).detail == "the resource URI holds a dot segment"
    )
    assert not operations.usable("resource", "memory://a/../b", ADMIN)
    assert operations.usable("resource", "memory://a", ADMIN)
    assert operations.usable("tool", "anything", None)


CONDITIONS = [
    pytest.param({"tool": "a", "method": "tools/call"}, tool("a"), True, id="a tool by its method"),
    pytest.param({"tool": "a", "method": "tools/*"}, tool("a"), True, id="by a pattern of methods"),
    pytest.param({"tool": "a", "method": "prompts/get"}, tool("a"), False, id="another method"),
    pytest.param(
        {"tool": "a", "method": "tools/*"}, plain("tools/new"), False, id="a tool's entry names no method"
    ),
    pytest.param({"method": "tools/*"}, plain("tools/new"), True, id="a method by a pattern"),
    pytest.param({"method": "*"}, plain("tasks/get"), True, id="any method"),
    pytest.param({"method": "*"}, tool("a"), True, id="any method, and whatever it names"),
    pytest.param({"method": "tools/call"}, prompt("a"), False, id="a method that is not this one"),
    pytest.param({"method": "resources/read"}, resource("m://a"), True, id="a method of resources"),
    pytest.param(
        {"method": "resources/read"}, resource("m://a", "resources/subscribe"), False, id="not another one"
    ),
    pytest.param({"resource": "**"}, resource("m://a"), True, id="any resource"),
    pytest.param({"resource": "**"}, plain("resources/new"), False, id="a resource's entry names no method"),
    pytest.param(
        {"resource": "m://*"}, completion("m://{x}", "template"), True, id="a template of resources"
    ),
    pytest.param({"tool": "*"}, completion("m://{x}", "template"), False, id="a template is no tool"),
    pytest.param(
        {"method": "completion/*"}, completion("m://{x}", "template"), True, id="completions by method"
    ),
    pytest.param({"method": "completion/*"}, completion("p"), True, id="of prompts too"),
    pytest.param(
        {"method": "resources/read"}, completion("m://{x}", "template"), False, id="reading is not completing"
    ),
    pytest.param({"prompt": "p", "method": "prompts/get"}, completion("p"), False, id="nor is getting"),
    pytest.param(
        {"prompt": "p", "arguments": {"x": "1"}}, completion("p"), True, id="before arguments are known"
    ),
    pytest.param({"arguments": {"x": "1"}}, tool("a", x="1"), True, id="arguments alone, of a tool"),
    pytest.param({"arguments": {"x": "1"}}, prompt("a", x="1"), True, id="of a prompt"),
    pytest.param({"arguments": {"x": "1"}}, tool("a", x="2"), False, id="another value"),
    pytest.param({"arguments": {"x": "1", "y": "2"}}, tool("a", x="1"), False, id="one of two arguments"),
    pytest.param({"arguments": {"x": "1", "y": "2"}}, tool("a", x="1", y="2"), True, id="both"),
    pytest.param({"tool": "*", "arguments": {"n": {"min": 1}}}, tool("a", n=2), True, id="a number"),
    pytest.param(
        {"tool": "*", "arguments": {"n": {"max": 1}}}, tool("a", n=2), False, id="a number too large"
    ),
    pytest.param(
        {"tool": "*", "arguments": {"x": {"present": False}}},
        tool("a"),
        True,
        id="an argument that is left out",
    ),
    pytest.param(
        {"tool": "*", "arguments": {"x": {"present": False}}}, tool("a", x=None), False, id="null is there"
    ),
    pytest.param(
        {"arguments": {"x": {"present": False}}}, plain("tasks/get"), False, id="no arguments name no method"
    ),
    pytest.param({"arguments": {"x": {"present": False}}}, resource("m://a"), True, id="a resource has none"),
    pytest.param(
        {"method": "*", "arguments": {"x": {"present": True}}}, resource("m://a"), False, id="and never will"
    ),
    pytest.param({"tool": "*", "prompt": "*"}, tool("a"), False, id="no operation is about both"),
]


@pytest.mark.parametrize(("entry", "operation", "selected"), CONDITIONS)
def test_what_an_entry_selects(entry, operation, selected):
    assert isinstance(made([entry]).judge(operation, NOBODY), Admitted) == selected


USABLE = [
    pytest.param("tool", "delete_x", READER, False, id="a tool without its scope"),
    pytest.param("tool", "delete_x", WRITER, True, id="with it"),
    pytest.param("tool", "read_memory", NOBODY, False, id="without any scope of its entries"),
    pytest.param("tool", "read_memory", READER, True, id="for some arguments"),
    pytest.param("tool", "list_a", NOBODY, True, id="a tool that needs nothing"),
    pytest.param("tool", "write", ADMIN, False, id="a tool without an entry"),
    pytest.param("tool", "tasks/get", caller("tasks"), False, id="a method is no tool"),
    pytest.param("prompt", "greet", NOBODY, True, id="a prompt"),
    pytest.param("resource", "memory://a", NOBODY, False, id="a resource without its scope"),
    pytest.param("resource", "memory://a", READER, True, id="with it"),
    pytest.param("resource", "memory://secret/a", READER, False, id="a resource that an earlier entry takes"),
    pytest.param("resource", "memory://secret/a", ADMIN, True, id="with that one's scope"),
    pytest.param("resource", "memory://a/%2e", ADMIN, False, id="a URI with two readings"),
    pytest.param("resource", "other://a", ADMIN, False, id="that may only be unsubscribed from"),
    pytest.param(
        "template", "memory://{path}", READER, True, id="a template that an earlier entry takes in part"
    ),
    pytest.param("template", "memory://{path}", NOBODY, False, id="without its scope"),
    pytest.param(
        "template", "memory://secret/{id}", READER, False, id="a template that an earlier entry takes"
    ),
    pytest.param("template", "memory://secret/{id}", ADMIN, True, id="with that one's scope"),
    pytest.param("template", "memory://secret{id}", READER, True, id="that it does not take yet"),
    pytest.param("template", "file:///srv/{id}", READER, True, id="a template of one segment"),
    pytest.param("template", "file:///srv/x/{id}", READER, False, id="below it"),
    pytest.param("template", "file:///{id}", READER, True, id="above it"),
    pytest.param("template", "memory://a", READER, True, id="a template without an expression"),
    pytest.param("template", "{uri}", ADMIN, False, id="a template of anything"),
    pytest.param("template", "memory://SECRET/{id}", ADMIN, False, id="a host in upper case"),
    pytest.param("template", "file:///SRV/{id}", ADMIN, False, id="another case of an entry's path"),
]


@pytest.mark.parametrize(("kind", "name", "who", "usable"), USABLE)
def test_what_a_list_shows(kind, name, who, usable):
    operations = made(MEMORY)
    assert [operations.usable(kind, name, who), operations.usable(kind, name, who)] == [usable, usable]


TEMPLATES = [
    pytest.param(["m://a/**", "m://**"], "m://a/{x}", (0,), id="an entry that takes all"),
    pytest.param(["m://a/**", "m://**"], "m://{x}", (0, 1), id="a part"),
    pytest.param(["m://a/*", "m://*/*"], "m://a/{x}", (0,), id="all that a later one would"),
    pytest.param(["m://a/*", "m://a/**"], "m://a/{x}", (0, 1), id="not all that a later one would"),
    pytest.param(["m://*/a", "m://**"], "m://x/{x}", (0, 1), id="one name behind a wildcard"),
    pytest.param(["m://b/**", "m://**"], "m://a/{x}", (1,), id="an entry that has another begin"),
    pytest.param(["m://a?c/**", "m://**"], "m://ab{x}", (0, 1), id="a question mark"),
    pytest.param(["m://a?c/**", "m://**"], "m://a/c/{x}", (1,), id="a question mark that stops at a slash"),
    pytest.param(["n://**"], "m://{x}", (), id="no entry"),
    pytest.param(["m://a"], "m://a{x}", (0,), id="an expression for nothing"),
    pytest.param(["m://a"], "m://ab{x}", (), id="more than the entry has"),
    pytest.param(["m://**/x", "m://a/**"], "m://a/{x}", (0, 1), id="an end that is not known yet"),
    pytest.param(["m://a/**", "m://a/b/**"], "m://a/b/c/{x}", (0,), id="an entry below one that takes all"),
]


@pytest.mark.parametrize(("patterns", "template", "entries"), TEMPLATES)
def test_which_entries_may_decide_over_a_template(patterns, template, entries):
    made = [selectors(Entry(resource=pattern)) for pattern in patterns]
    assert deciding(made, "resources/read", "template", template.partition("{")[0]) == entries


ARGUED = {"method": "resources/read", "arguments": {"x": {"present": True}}}


@pytest.mark.parametrize(("kind", "name"), [("resource", "m://a"), ("template", "m://{x}")])
def test_a_resource_never_has_arguments(kind, name):
    assert not made([ARGUED]).usable(kind, name, NOBODY)
    assert made([ARGUED, {"resource": "**"}]).usable(kind, name, NOBODY)


def test_one_name_of_a_resource_and_of_a_template():
    operations = made(MEMORY)
    assert operations.usable("template", "file:///", READER)
    assert not operations.usable("resource", "file:///", READER)


def test_nobody_on_a_public_rule():
    operations = made([{"tool": "a"}, {"prompt": "p"}], public=True)
    assert operations.usable("tool", "a", None)
    assert not operations.usable("tool", "b", None)
    assert operations.judge(completion("p"), None).entry.name == "r mcp[1]"


def test_the_arguments_that_are_read():
    entries = [
        {"tool": "a", "arguments": {"x": "1", "y": {"min": 2}}},
        {"tool": "b", "arguments": {"z": "1"}},
    ]
    operations = made(entries)
    assert operations.arguments == {"x", "y", "z"}
    assert operations.filters


def test_an_entry_that_admits_says_what_it_needed_and_how_often():
    entry = {"tool": "*", "scopes": ["s"], "any_scopes": ["b", "c"], "rate": "60/m"}
    admitted = made([{"tool": "x"}, entry], scopes=["mcp"], rate="600/m").judge(
        tool("a"), caller("mcp", "s", "b")
    )
    assert admitted.entry.required == ("mcp", "s", "b")
    assert (admitted.entry.rate.name, admitted.entry.rate.count) == (b'"r mcp[1]"', 60)
    assert made([{"tool": "a"}], rate="600/m").judge(tool("a"), NOBODY).entry.rate is None


def test_a_rate_tells_nothing_of_what_its_rule_selects():
    rule = Rule(path="/secret", mcp=[{"tool": "*", "rate": "1/s"}])
    admitted = Operations(rule, ISSUERS, HIERARCHY).judge(tool("a"), NOBODY)
    assert admitted.entry.rate.name == b'"default mcp[0]"'


def test_a_route_judges_messages_where_its_rule_has_mcp():
    rules = [Rule(path="/mcp", mcp=[{"tool": "a"}], transport="sse"), Rule(path="/api")]
    router = Router(rules, ISSUERS, HIERARCHY)
    route = router.find("POST", b"", "/mcp")
    assert isinstance(route.mcp.judge(tool("a"), NOBODY), Admitted)
    assert route.transport == "sse"
    assert router.find("POST", b"", "/api").mcp is None


def test_random_names_do_not_fill_the_memory():
    operations = made([{"tool": "*"}])
    for number in range(10_000):
        operations.judge(tool(f"t{number}"), NOBODY)
    assert len(operations._memo) <= 4096
    before = len(operations._memo)
    assert isinstance(operations.judge(tool("t" * 600), NOBODY), Admitted)
    assert len(operations._memo) == before


PATTERNS = st.lists(st.sampled_from(["m://", "a", "b", "/", "*", "**", "?"]), max_size=5).map(
    lambda parts: "m://" + "".join(parts)
)
NAMES = st.text("ab/", max_size=6)


@given(st.lists(PATTERNS, min_size=1, max_size=4), NAMES, NAMES)
@settings(deadline=None, max_examples=300)
def test_what_decides_over_a_uri_may_decide_over_its_template(patterns, begin, end):
    made = [selectors(Entry(resource=pattern)) for pattern in patterns]
    decides = deciding(made, "resources/read", "resource", f"m://{begin}{end}")
    assert set(decides) <= set(deciding(made, "resources/read", "template", f"m://{begin}"))


@given(st.lists(st.text("ab*?", min_size=1, max_size=4), min_size=1, max_size=4), st.text("ab", max_size=5))
@settings(deadline=None, max_examples=300)
def test_the_first_entry_that_matches_decides(patterns, name):
    made = [selectors(Entry(tool=pattern)) for pattern in patterns]
    matching = [
        index for index, pattern in enumerate(patterns) if globs.covers(globs.name(pattern), tuple(name))
    ]
    assert deciding(made, "tools/call", "tool", name) == tuple(matching[:1])
