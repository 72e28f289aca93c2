"""The table of bodies: what an agent sends to an MCP endpoint, and what becomes of it.

A row says who sends which bytes, which header lines stand beside them, and the reason of the refusal, None where the
body goes on as it came. Expectations are literal: they are written from the design, never computed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

READER, WRITER, ADMIN = "mcp", "mcp memory:write", "mcp memory:write memory:read admin tasks"
"""The scopes of the agents."""

RULE: dict[str, Any] = {
    "name": "mcp",
    "path": "/mcp",
    "scopes": ["mcp"],
    "mcp": [
        {"tool": "read_*"},
        {"tool": "delete_*", "scopes": ["memory:write"]},
        {"tool": "save", "arguments": {"project": ["demo", "team-*"]}, "scopes": ["memory:write"]},
        {"tool": "save", "scopes": ["admin"]},
        {"tool": "level", "arguments": {"level": {"min": 1, "max": 5}}},
        {"tool": "purge", "arguments": {"confirm": {"present": True}}, "scopes": ["admin"]},
        {"tool": "either", "any_scopes": ["memory:write", "admin"]},
        {"tool": "senior", "claims": {"level": "senior"}},
        {"tool": "we?rd"},
        {"resource": "memory://public/**"},
        {"resource": "memory://*/notes", "scopes": ["memory:read"]},
        {"prompt": "greet*"},
        {"prompt": "plan", "scopes": ["memory:write"]},
        {"method": "tasks/get", "scopes": ["tasks"]},
        {"method": "custom/*"},
        {"method": "logging/setLevel", "scopes": ["admin"]},
    ],
}


@dataclass(frozen=True)
class Row:
    """One body. `id` is the `id` that a refusal answers, None where it must have none."""

    says: str
    body: bytes
    reason: str | None = None
    scopes: str = READER
    id: int | str | None = None
    lines: tuple[str, ...] = ()
    content_type: str | None = "application/json"
    claims: dict[str, Any] = field(default_factory=dict)
    sentence: str | None = None
    needs: str | None = None
    """The scopes that the challenge asks for."""


STATUS = {
    "mcp_malformed": 400,
    "mcp_mismatch": 400,
    "operation_refused": 403,
    "operation_unknown": 404,
    "scope_insufficient": 403,
    "claim_refused": 403,
    "session_foreign": 404,
    "media_type_refused": 415,
    "body_too_large": 413,
}


def rpc(method: str, /, params: Any = None, **more: Any) -> bytes:
    """A request with the id 1."""
    said = {"jsonrpc": "2.0", "id": 1, "method": method, **more}
    if params is not None:
        said["params"] = params
    return json.dumps(said).encode()


def call(tool: object, /, arguments: Any = None, **more: Any) -> bytes:
    params: dict[str, Any] = {"name": tool, **more}
    if arguments is not None:
        params["arguments"] = arguments
    return rpc("tools/call", params)


def listen(*uris: str, **more: Any) -> bytes:
    return rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris), **more}})


def complete(type: str, **ref: str) -> bytes:  # noqa: A002 - the key's name
    return rpc("completion/complete", {"ref": {"type": type, **ref}, "argument": {"name": "a", "value": ""}})


def malformed(says: str, body: bytes | str, id: int | str | None = None, scopes: str = ADMIN) -> Row:  # noqa: A002 - the field's name
    data = body.encode() if isinstance(body, str) else body
    return Row(says, data, "mcp_malformed", scopes, id)


def refused(says: str, body: bytes, scopes: str = READER, **more: Any) -> Row:
    return Row(says, body, "operation_refused", scopes, 1, **more)


def lacks(says: str, body: bytes, needs: str, scopes: str = READER, **more: Any) -> Row:
    return Row(says, body, "scope_insufficient", scopes, 1, needs=needs, **more)


_READ = '"jsonrpc":"2.0","id":1,"method":"tools/call"'

TOOLS = [
    Row("a tool that an entry admits", call("read_memory")),
    Row("the whole of a glob's rest", call("read_")),
    Row(
        "arguments that no entry looks at pass whatever they are",
        call("read_memory", {"a": [1, {"b": None}]}),
    ),
    Row("arguments may be left out", call("read_memory", None)),
    Row("an id that is text", rpc("tools/call", {"name": "read_memory"}, id="a")),
    Row(
        "no id at all: a notification of a call is judged as the call",
        b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"read_memory"}}',
    ),
    refused("a tool without an entry", call("unknown"), sentence="unknown"),
    refused("a tool without an entry, for whoever may do everything else", call("unknown"), ADMIN),
    refused("another case is another tool", call("Read_memory")),
    refused("a prefix of a glob is not the glob", call("read")),
    refused("no trailing space", call("unknown ")),
    refused("a tool is no prompt", call("greet")),
    refused("an empty name", call("")),
    refused("a question mark is one character", call("werd")),
    Row("any one character", call("weird")),
    Row("a character beyond ASCII", call("we\u00efrd")),
    lacks("a tool that needs a scope", call("delete_memory"), "mcp memory:write", sentence="delete_memory"),
    Row("a tool that needs a scope, with it", call("delete_memory"), scopes=WRITER),
    Row("one of several scopes", call("either"), scopes=WRITER),
    lacks("none of several scopes", call("either"), "mcp memory:write"),
    Row("a claim that is wanted", call("senior"), claims={"level": "senior"}),
    Row("a claim that is not there", call("senior"), "claim_refused", id=1),
    Row("a claim with another value", call("senior"), "claim_refused", id=1, claims={"level": "junior"}),
    lacks("the route's own scopes are needed too", call("read_memory"), "mcp", "memory:write"),
    lacks(
        "one challenge names what route and entry need", call("delete_memory"), "mcp memory:write", "other"
    ),
    refused("no scope would help where no entry is", call("unknown"), "other"),
]

ARGUMENTS = [
    Row("an argument with a listed value", call("save", {"project": "demo"}), scopes=WRITER),
    Row("an argument that fits a glob", call("save", {"project": "team-a/b"}), scopes=WRITER),
    lacks(
        "an argument that fits falls to its own entry", call("save", {"project": "demo"}), "mcp memory:write"
    ),
    lacks("another value falls to the next entry", call("save", {"project": "other"}), "mcp admin", WRITER),
    lacks("another case falls to the next entry", call("save", {"project": "Demo"}), "mcp admin", WRITER),
    lacks("a missing argument selects nothing", call("save", {}), "mcp admin", WRITER),
    lacks("missing arguments select nothing", call("save"), "mcp admin", WRITER),
    lacks("a list is no text", call("save", {"project": ["demo"]}), "mcp admin", WRITER),
    lacks("null is no text", call("save", {"project": None}), "mcp admin", WRITER),
    Row("whoever meets the next entry passes", call("save", {"project": "other"}), scopes=ADMIN),
    Row("a number at the lower bound", call("level", {"level": 1})),
    Row("a number at the upper bound", call("level", {"level": 5})),
    Row("a number with a point", call("level", {"level": 4.5})),
    refused("a number below", call("level", {"level": 0.5})),
    refused("a number above", call("level", {"level": 6})),
    refused(
        "a number without end", b'{%b,"params":{"name":"level","arguments":{"level":1e999}}}' % _READ.encode()
    ),
    refused("a text that looks like a number", call("level", {"level": "3"})),
    refused("a truth value is no number", call("level", {"level": True})),
    Row("an argument that has to be there", call("purge", {"confirm": None}), scopes=ADMIN),
    lacks("what is there is judged", call("purge", {"confirm": 1}), "mcp admin"),
    refused("an argument that has to be there and is not", call("purge", {}), ADMIN),
    Row(
        "an argument that nobody looks at may have a twin",
        f'{{{_READ},"params":{{"name":"read_x","arguments":{{"a":1,"A":2,"a":3}}}}}}'.encode(),
    ),
    malformed(
        "an argument that an entry looks at has no twin",
        f'{{{_READ},"params":{{"name":"save","arguments":{{"project":"demo","project":"x"}}}}}}',
        1,
    ),
    malformed(
        "nor one in another case",
        f'{{{_READ},"params":{{"name":"save","arguments":{{"project":"demo","Project":"x"}}}}}}',
        1,
    ),
    malformed(
        "nor an escaped one",
        f'{{{_READ},"params":{{"name":"save","arguments":{{"project":"demo","\\u0070roject":"x"}}}}}}',
        1,
    ),
    malformed(
        "an argument with a NUL, where some readers end it",
        f'{{{_READ},"params":{{"name":"save","arguments":{{"project":"team-a\\u0000b"}}}}}}',
        1,
    ),
    malformed(
        "an argument with half a character, for which some readers put another",
        f'{{{_READ},"params":{{"name":"save","arguments":{{"project":"team-\\ud800"}}}}}}',
        1,
    ),
    Row(
        "an argument that nobody looks at may have a NUL",
        f'{{{_READ},"params":{{"name":"read_x","arguments":{{"text":"a\\u0000b"}}}}}}'.encode(),
    ),
    malformed(
        "arguments that are no object", f'{{{_READ},"params":{{"name":"save","arguments":["demo"]}}}}', 1
    ),
]

RESOURCES = [
    Row("a resource that an entry admits", rpc("resources/read", {"uri": "memory://public/a/b"})),
    Row("a subscription is judged as the resource", rpc("resources/subscribe", {"uri": "memory://public/a"})),
    Row("and so is its end", rpc("resources/unsubscribe", {"uri": "memory://public/a"})),
    refused("a resource without an entry", rpc("resources/read", {"uri": "memory://private/a"})),
    refused("a subscription without an entry", rpc("resources/subscribe", {"uri": "memory://private/a"})),
    lacks(
        "a resource that needs a scope", rpc("resources/read", {"uri": "memory://a/notes"}), "mcp memory:read"
    ),
    Row(
        "a resource that needs a scope, with it",
        rpc("resources/read", {"uri": "memory://a/notes"}),
        scopes=ADMIN,
    ),
    refused("one asterisk stops at a slash", rpc("resources/read", {"uri": "memory://a/b/notes"}), ADMIN),
    *[
        refused(f"a URI with {what} is not canonical", rpc("resources/read", {"uri": uri}), ADMIN)
        for what, uri in (
            ("a dot segment", "memory://public/../private"),
            ("a single dot", "memory://public/./a"),
            ("an encoded dot segment", "memory://public/%2e%2e/private"),
            ("an encoded slash", "memory://public/a%2fb"),
            ("an encoded slash in capitals", "memory://public/a%2Fb"),
            ("an encoded backslash", "memory://public/a%5cb"),
            ("a backslash", "memory://public/a\\b"),
            ("an encoded letter", "memory://public/%61"),
            ("an encoded tilde", "memory://public/%7Ea"),
            ("a scheme in capitals", "Memory://public/a"),
            ("a host in capitals", "memory://Public/a"),
            ("an encoded control character", "memory://public/a%00"),
            ("a space", "memory://public/a b"),
            ("half a percent-encoding", "memory://public/%4"),
        )
    ],
    refused("no URI at all", rpc("resources/read", {"uri": ""}), ADMIN),
    malformed("a URI with a control character", rpc("resources/read", {"uri": "memory://public/a\u0001"}), 1),
    malformed("a URI with a line feed", rpc("resources/read", {"uri": "memory://public/a\nb"}), 1),
    Row("a subscription to nothing", rpc("resources/subscribe", {}), "operation_unknown", ADMIN, 1),
    malformed("a URI that is a list", rpc("resources/read", {"uri": ["memory://public/a"]}), 1),
    malformed("no URI", rpc("resources/read", {}), 1),
    malformed("no params", rpc("resources/read"), 1),
    Row("a stream about resources that an entry admits", listen("memory://public/a", "memory://public/b")),
    refused("a stream about one that none admits", listen("memory://public/a", "memory://private/b")),
    Row(
        "a stream about lists alone",
        rpc("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
    ),
    malformed(
        "a stream about what is no list",
        rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": "memory://private/b"}}),
        1,
    ),
    malformed(
        "a stream about what is no text",
        rpc("subscriptions/listen", {"notifications": {"resourceSubscriptions": [1]}}),
        1,
    ),
    malformed(
        "two lists of resources",
        b'{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[],"resourceSubscriptions":["memory://private/b"]}}}',
        1,
    ),
]

PROMPTS = [
    Row("a prompt that an entry admits", rpc("prompts/get", {"name": "greeting"})),
    refused("a prompt without an entry", rpc("prompts/get", {"name": "unknown"})),
    refused("a prompt is no tool", rpc("prompts/get", {"name": "read_memory"})),
    lacks("a prompt that needs a scope", rpc("prompts/get", {"name": "plan"}), "mcp memory:write"),
    Row("a prompt that needs a scope, with it", rpc("prompts/get", {"name": "plan"}), scopes=WRITER),
    Row(
        "completion for a prompt",
        rpc(
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "a", "value": ""}},
        ),
    ),
    refused(
        "completion for a prompt without an entry",
        rpc(
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "unknown"}, "argument": {"name": "a", "value": ""}},
        ),
    ),
    Row(
        "completion for a template",
        rpc(
            "completion/complete",
            {
                "ref": {"type": "ref/resource", "uri": "memory://public/{id}"},
                "argument": {"name": "id", "value": ""},
            },
        ),
    ),
    lacks(
        "completion for a template that may come to need a scope",
        complete("ref/resource", uri="memory://private/{id}"),
        "mcp memory:read",
    ),
    refused("completion for a template without an entry", complete("ref/resource", uri="file:///{id}")),
    malformed(
        "completion for nothing", rpc("completion/complete", {"argument": {"name": "id", "value": ""}}), 1
    ),
    malformed(
        "completion for what nobody knows",
        rpc(
            "completion/complete",
            {"ref": {"type": "ref/tool", "name": "greeting"}, "argument": {"name": "id", "value": ""}},
        ),
        1,
    ),
    malformed(
        "two references",
        b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greeting"},"ref":{"type":"ref/prompt","name":"x"}}}',
        1,
    ),
    malformed(
        "two names in a reference",
        b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greeting","name":"x"}}}',
        1,
    ),
    malformed(
        "two kinds in a reference",
        b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","Type":"ref/resource","name":"greeting","uri":"memory://private/a"}}}',
        1,
    ),
]

METHODS = [
    Row(
        "initialize",
        rpc(
            "initialize",
            {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "c", "version": "1"},
            },
        ),
    ),
    Row("ping", rpc("ping")),
    Row("ping with params that are null", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}'),
    Row("server/discover", rpc("server/discover", {})),
    Row("initialized", b'{"jsonrpc":"2.0","method":"notifications/initialized"}'),
    Row(
        "progress",
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}',
    ),
    Row("a list of tools", rpc("tools/list", {})),
    Row("a list of tools, from a cursor on", rpc("tools/list", {"cursor": "abc"})),
    Row("a list of prompts", rpc("prompts/list", {})),
    Row("a list of resources", rpc("resources/list", {})),
    Row("a list of templates", rpc("resources/templates/list", {})),
    lacks("lists need what the route needs", rpc("tools/list", {}), "mcp", "other"),
    lacks("so does ping", rpc("ping"), "mcp", "other"),
    lacks(
        "an entry can ask more of a known method", rpc("logging/setLevel", {"level": "debug"}), "mcp admin"
    ),
    Row("whoever meets it passes", rpc("logging/setLevel", {"level": "debug"}), scopes=ADMIN),
    lacks("tasks that an entry names", rpc("tasks/get", {"taskId": "t"}), "mcp tasks"),
    Row("tasks that an entry names, with its scope", rpc("tasks/get", {"taskId": "t"}), scopes=ADMIN),
    Row("tasks that none names", rpc("tasks/cancel", {"taskId": "t"}), "operation_unknown", ADMIN, 1),
    Row("a list of tasks", rpc("tasks/list", {}), "operation_unknown", ADMIN, 1),
    Row("a method of the operator's own", rpc("custom/run", {"name": "x"})),
    Row("a method that nobody knows", rpc("unknown/run"), "operation_unknown", ADMIN, 1),
    Row(
        "another case is another method",
        rpc("Tools/call", {"name": "read_memory"}),
        "operation_unknown",
        ADMIN,
        1,
    ),
    Row(
        "a space behind a method", rpc("tools/call ", {"name": "read_memory"}), "operation_unknown", ADMIN, 1
    ),
    Row("an empty method", rpc(""), "operation_unknown", ADMIN, 1),
    Row(
        "a response belongs to a session",
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        "session_foreign",
        ADMIN,
        None,
    ),
    Row(
        "an error response belongs to a session",
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}',
        "session_foreign",
        ADMIN,
        None,
    ),
    Row(
        "cancelling belongs to a session",
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
        "session_foreign",
        ADMIN,
        None,
    ),
]

BATCHES = [
    Row("a batch of what is admitted", b"[" + rpc("ping") + b"," + call("read_memory") + b"]"),
    Row("a batch of one", b"[" + call("read_memory") + b"]"),
    refused("one refusal refuses a batch: the last", b"[" + rpc("ping") + b"," + call("unknown") + b"]"),
    refused("one refusal refuses a batch: the first", b"[" + call("unknown") + b"," + rpc("ping") + b"]"),
    lacks(
        "the scope that one needs",
        b"[" + rpc("ping") + b"," + call("delete_memory") + b"]",
        "mcp memory:write",
    ),
    Row(
        "the refused one's id is answered",
        b'[{"jsonrpc":"2.0","id":7,"method":"ping"},{"jsonrpc":"2.0","id":8,"method":"unknown/x"}]',
        "operation_unknown",
        ADMIN,
        8,
    ),
    malformed("an empty batch", b"[]"),
    malformed("a batch within a batch", b"[[" + rpc("ping") + b"]]"),
    malformed("a batch with what is no message", b"[" + rpc("ping") + b",1]"),
    malformed(
        "a batch with a message of two readings",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"unknown"}}]',
    ),
]

READINGS = [
    malformed("nothing", b""),
    malformed("white space", b" \n"),
    malformed("no JSON", b"hello"),
    malformed("half a document", b'{"jsonrpc":"2.0","id":1,"method":"ping"'),
    malformed("two documents", rpc("ping") + rpc("ping")),
    malformed("two documents on two lines", rpc("ping") + b"\n" + call("unknown")),
    malformed("something behind the document", rpc("ping") + b"x"),
    malformed("a NUL behind the document", rpc("ping") + b"\0"),
    Row("white space around", b" \r\n\t" + call("read_memory") + b"\n"),
    malformed("a byte order mark", b"\xef\xbb\xbf" + rpc("ping")),
    malformed("UTF-16", rpc("ping").decode().encode("utf-16")),
    malformed("UTF-16 without a mark", rpc("ping").decode().encode("utf-16-le")),
    malformed(
        "invalid UTF-8 in a name",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_\xff"}}',
    ),
    malformed("invalid UTF-8 where nobody looks", b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\xff"}'),
    malformed("overlong UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\xc0\xaf"}'),
    malformed("an encoded surrogate", b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"\xed\xa0\x80"}'),
    malformed("a comment", b'{"jsonrpc":"2.0","id":1,/* x */"method":"ping"}'),
    malformed("a comma too many", b'{"jsonrpc":"2.0","id":1,"method":"ping",}'),
    malformed("single quotes", b"{'jsonrpc':'2.0','id':1,'method':'ping'}"),
    malformed("NaN", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}'),
    malformed("Infinity", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":-Infinity}}'),
    malformed("a number that begins with 0", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":01}}'),
    malformed("a raw line feed in a text", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"a\nb"}}'),
    malformed(
        "nesting without end",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    ),
    malformed(
        "nesting beyond the bound",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"[" * 65 + b"]" * 65 + b"}}",
    ),
    Row(
        "nesting within it",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"[" * 60 + b"]" * 60 + b"}}",
    ),
    malformed("a text", b'"ping"'),
    malformed("a number", b"1"),
    malformed("null", b"null"),
    malformed("an empty object", b"{}"),
    malformed("no version", b'{"id":1,"method":"ping"}', 1),
    malformed("another version", b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 1),
    malformed("a version that is a number", b'{"jsonrpc":2.0,"id":1,"method":"ping"}', 1),
    malformed("a method that is a number", b'{"jsonrpc":"2.0","id":1,"method":1}', 1),
    malformed("a method that is null", b'{"jsonrpc":"2.0","id":1,"method":null}', 1),
    malformed("neither method nor result", b'{"jsonrpc":"2.0","id":1}', 1),
    malformed("method and result", b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', 1),
    malformed(
        "method and error", b'{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":""}}', 1
    ),
    malformed(
        "params by position", b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["read_memory"]}', 1
    ),
    malformed("a call without params", rpc("tools/call"), 1),
    malformed("a call without a name", rpc("tools/call", {"arguments": {}}), 1),
    malformed("a name that is a number", call(1), 1),
    malformed("a name that is null", call(None), 1),
    malformed("a name that is an object", call({"name": "read_memory"}), 1),
    malformed("a name with a NUL", call("read_memory\0x"), 1),
    malformed("a name with a line feed", call("read_memory\nx"), 1),
    malformed(
        "a name with a lone surrogate",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_\\ud800"}}',
        1,
    ),
    Row(
        "a name that is written in escapes is the name",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\u0072ead_memory"}}',
    ),
    refused(
        "so is a refused one",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\u0075nknown"}}',
    ),
    Row("a key that is written in escapes is the key", b'{"jsonrpc":"2.0","id":1,"\\u006dethod":"ping"}'),
    refused(
        "so is a refused one's",
        b'{"jsonrpc":"2.0","id":1,"\\u006dethod":"tools/call","params":{"\\u006eame":"unknown"}}',
    ),
    Row(
        "numbers go on as they came",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":1.0000000000000000001e+2}}',
    ),
    Row(
        "vast numbers go on as they came",
        b'{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping"}',
    ),
    Row("further keys pass", rpc("ping", {"x": 1}, y=2, z={"method": "tools/call", "name": "unknown"})),
    Row(
        "what stands in arguments is no key of ours",
        call("read_memory", {"name": "unknown", "method": "x", "params": {"name": "y"}}),
    ),
    Row("text beyond ASCII", call("read_memory", {"text": "\u00e4\u4e16\U0001f600"})),
    Row(
        "text beyond ASCII as it is",
        json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "read_x", "arguments": {"text": "ä世😀"}},
            },
            ensure_ascii=False,
        ).encode(),
    ),
]

_TWINS = [
    ("two versions", '"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"'),
    (
        "two methods",
        '"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"unknown"}',
    ),
    ("two methods that are one", '"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"'),
    (
        "a method and its twin in capitals",
        '"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call","params":{"name":"unknown"}',
    ),
    (
        "a method in capitals alone",
        '"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"unknown"}',
    ),
    (
        "a method and an escaped twin",
        '"jsonrpc":"2.0","id":1,"method":"ping","\\u006dethod":"tools/call","params":{"name":"unknown"}',
    ),
    (
        "a method and a twin with a NUL behind",
        '"jsonrpc":"2.0","id":1,"method":"ping","method\\u0000":"tools/call","params":{"name":"unknown"}',
    ),
    (
        "a method and a twin with more behind the NUL",
        '"jsonrpc":"2.0","id":1,"method":"ping","method\\u0000x":"tools/call","params":{"name":"unknown"}',
    ),
    ("two params", f'{_READ},"params":{{"name":"read_x"}},"params":{{"name":"unknown"}}'),
    ("params and a twin in capitals", f'{_READ},"params":{{"name":"read_x"}},"Params":{{"name":"unknown"}}'),
    (
        "params and a twin with a long s",
        f'{_READ},"params":{{"name":"read_x"}},"param\u017f":{{"name":"unknown"}}',
    ),
    (
        "params and an escaped twin with a long s",
        f'{_READ},"params":{{"name":"read_x"}},"param\\u017f":{{"name":"unknown"}}',
    ),
    ("two names", f'{_READ},"params":{{"name":"read_x","name":"unknown"}}'),
    ("two names, the refused one first", f'{_READ},"params":{{"name":"unknown","name":"read_x"}}'),
    ("a name and a twin in another case", f'{_READ},"params":{{"name":"read_x","Name":"unknown"}}'),
    ("a name in another case alone", f'{_READ},"params":{{"Name":"read_x"}}'),
    ("a name and an escaped twin", f'{_READ},"params":{{"name":"read_x","n\\u0061me":"unknown"}}'),
    ("a name and a twin with a NUL behind", f'{_READ},"params":{{"name":"read_x","name\\u0000":"unknown"}}'),
    (
        "two arguments",
        f'{_READ},"params":{{"name":"save","arguments":{{"project":"demo"}},"arguments":{{"project":"x"}}}}',
    ),
    (
        "arguments and a twin in another case",
        f'{_READ},"params":{{"name":"save","arguments":{{"project":"demo"}},"Arguments":{{"project":"x"}}}}',
    ),
    (
        "two URIs",
        '"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"memory://public/a","uri":"memory://private/a"}',
    ),
    (
        "a URI and a twin in capitals",
        '"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"memory://public/a","URI":"memory://private/a"}',
    ),
]
TWINS = [malformed(says, f"{{{inner}}}", 1) for says, inner in _TWINS]
TWINS += [
    malformed(f"{says}, with space between", f"{{ {inner} }}".replace('":', '" :\n'), 1)
    for says, inner in _TWINS[1:4]
]
TWINS += [
    malformed("two ids", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'),
    malformed("an id that is an object", b'{"jsonrpc":"2.0","id":{},"method":"ping"}'),
    malformed("an id that is null", b'{"jsonrpc":"2.0","id":null,"method":"ping"}'),
]

MEDIA = [
    Row("JSON in UTF-8, said so", rpc("ping"), content_type="application/json; charset=utf-8"),
    Row("in quotes and capitals", rpc("ping"), content_type='Application/JSON;charset="UTF-8"'),
    *[
        Row(f"{says}", rpc("ping"), "media_type_refused", id=1, content_type=content_type)
        for says, content_type in (
            ("no media type", None),
            ("plain text", "text/plain"),
            ("a form", "application/x-www-form-urlencoded"),
            ("JSON with a suffix", "application/json-rpc"),
            ("another kind of JSON", "application/vnd.api+json"),
            ("JSON in UTF-16", "application/json; charset=utf-16"),
            ("JSON in UTF-7", "application/json; charset=utf-7"),
            ("JSON in Latin-1", "application/json; charset=iso-8859-1"),
            ("two charsets", "application/json; charset=utf-8; charset=utf-16"),
            ("two media types", "application/json, text/plain"),
            ("several documents", "application/x-ndjson"),
        )
    ],
    Row(
        "two lines of media type",
        rpc("ping"),
        "media_type_refused",
        id=1,
        lines=("Content-Type: application/json",),
    ),
    Row("a coding", rpc("ping"), "media_type_refused", id=1, lines=("Content-Encoding: gzip",)),
    Row(
        "a coding that nobody knows", rpc("ping"), "media_type_refused", id=1, lines=("Content-Encoding: br",)
    ),
]

_MODERN = "MCP-Protocol-Version: 2026-07-28"


def modern(method: str, /, **params: Any) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "c"},
    }
    return rpc(method, {**params, "_meta": meta})


HEADERS = [
    Row(
        "a modern call",
        modern("tools/call", name="read_memory"),
        lines=(_MODERN, "Mcp-Method: tools/call", "Mcp-Name: read_memory"),
    ),
    Row("a modern list", modern("tools/list"), lines=(_MODERN, "Mcp-Method: tools/list")),
    Row(
        "a modern name in Base64",
        modern("tools/call", name="read_memory"),
        lines=(_MODERN, "Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9tZW1vcnk=?="),
    ),
    Row(
        "a modern resource",
        modern("resources/read", uri="memory://public/a"),
        lines=(_MODERN, "Mcp-Method: resources/read", "Mcp-Name: memory://public/a"),
    ),
    Row(
        "headers that agree, at an older revision",
        call("read_memory"),
        lines=("MCP-Protocol-Version: 2025-11-25", "Mcp-Method: tools/call", "Mcp-Name: read_memory"),
    ),
    Row("no headers, at an older revision", call("read_memory"), lines=("MCP-Protocol-Version: 2025-11-25",)),
    *[
        Row(says, body, "mcp_mismatch", ADMIN, 1, lines)
        for says, body, lines in (
            ("no method, at the modern revision", modern("tools/list"), (_MODERN,)),
            (
                "no name, at the modern revision",
                modern("tools/call", name="read_memory"),
                (_MODERN, "Mcp-Method: tools/call"),
            ),
            (
                "no version header beside a modern body",
                modern("tools/call", name="read_memory"),
                ("Mcp-Method: tools/call", "Mcp-Name: read_memory"),
            ),
            (
                "another version in the header",
                modern("ping"),
                ("MCP-Protocol-Version: 2025-11-25", "Mcp-Method: ping"),
            ),
            (
                "another method in the header",
                modern("tools/call", name="read_memory"),
                (_MODERN, "Mcp-Method: tools/list", "Mcp-Name: read_memory"),
            ),
            (
                "another name in the header",
                modern("tools/call", name="delete_memory"),
                (_MODERN, "Mcp-Method: tools/call", "Mcp-Name: read_memory"),
            ),
            ("another method, at an older revision", call("delete_memory"), ("Mcp-Method: ping",)),
            ("another name, at an older revision", call("delete_memory"), ("Mcp-Name: read_memory",)),
            ("another case of the method", modern("ping"), (_MODERN, "Mcp-Method: Ping")),
            (
                "a name in Base64 that is another",
                modern("tools/call", name="delete_memory"),
                (_MODERN, "Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9tZW1vcnk=?="),
            ),
            (
                "a name in broken Base64",
                modern("tools/call", name="read_memory"),
                (_MODERN, "Mcp-Method: tools/call", "Mcp-Name: =?base64?cmVhZF9tZW1vcnk?="),
            ),
            ("two methods in headers", modern("ping"), (_MODERN, "Mcp-Method: ping", "Mcp-Method: ping")),
            (
                "two names in headers",
                modern("tools/call", name="read_memory"),
                (_MODERN, "Mcp-Method: tools/call", "Mcp-Name: read_memory", "Mcp-Name: read_memory"),
            ),
            ("two versions in headers", modern("ping"), (_MODERN, _MODERN, "Mcp-Method: ping")),
            (
                "a method for a batch of others",
                b"[" + rpc("ping") + b"," + call("delete_memory") + b"]",
                ("Mcp-Method: ping",),
            ),
        )
    ],
]

SIZES = [
    Row("a body at the limit", call("read_memory", {"text": ""})[:-4] + b"a" * 3000 + b'"}}}', scopes=READER),
    Row("a body over the limit", call("read_memory", {"text": "a" * 70_000}), "body_too_large", ADMIN, None),
]

ROWS = [
    *TOOLS,
    *ARGUMENTS,
    *RESOURCES,
    *PROMPTS,
    *METHODS,
    *BATCHES,
    *READINGS,
    *TWINS,
    *MEDIA,
    *HEADERS,
    *SIZES,
]
