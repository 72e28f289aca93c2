"""Bodies, and the one reading that they have: every row is what a client may send, and what it says or why it is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.mcp import Message, Reader, Reading, identify
from proxy.model import Deny, Operation, Reason

if TYPE_CHECKING:
    from proxy.model import Kind

READER = Reader(frozenset({"project", "level"}))
"""Of a rule that has entries about these arguments."""


def said(method: str, params: str | None = None, id: str = "1") -> bytes:  # noqa: A002 - the key's name
    """A compact request, as the clients of the SDKs write it."""
    tail = "" if params is None else f',"params":{params}'
    return f'{{"jsonrpc":"2.0","id":{id},"method":"{method}"{tail}}}'.encode()


def call(params: str) -> bytes:
    return said("tools/call", params)


def meta(members: str, method: str = "ping") -> bytes:
    return said(method, f'{{"_meta":{{{members}}}}}')


def plain(method: str, **more: Any) -> Message:
    """What a message reads as that names nothing."""
    return Message(method, b"1", (Operation(method),), **more)


def named(method: str, kind: Kind, name: str, /, arguments: dict[str, object] | None = None) -> Message:
    return Message(method, b"1", (Operation(method, kind, name, arguments or {}),), name)


def tool(name: str, **arguments: object) -> Message:
    return named("tools/call", "tool", name, arguments)


def listened(*operations: Operation) -> Message:
    return Message("subscriptions/listen", b"1", (Operation("subscriptions/listen"), *operations))


def subscribed(uri: str) -> Operation:
    return Operation("subscriptions/listen", "resource", uri)


NAMED = [
    pytest.param(call('{"name":"read"}'), tool("read"), id="a tool"),
    pytest.param(call('{"name":""}'), tool(""), id="an empty name"),
    pytest.param(call('{"name":" a b "}'), tool(" a b "), id="spaces are part of a name"),
    pytest.param(call('{"name":"läsa"}'), tool("läsa"), id="a name beyond ASCII"),
    pytest.param(call('{"name":"\U0001f600"}'), tool("\U0001f600"), id="a name beyond the first plane"),
    pytest.param(
        call('{"name":"\\ud83d\\ude00"}'), tool("\U0001f600"), id="a pair of surrogates is a character"
    ),
    pytest.param(call('{"name":"\\u0072ead"}'), tool("read"), id="escapes in a name"),
    pytest.param(call('{"name":"a\\/b"}'), tool("a/b"), id="an escaped slash"),
    pytest.param(call('{"name":"a\\"}{\\\\b"}'), tool('a"}{\\b'), id="quotes and braces in a name"),
    pytest.param(call('{"name":"READ"}'), tool("READ"), id="case is kept"),
    pytest.param(call('{"name":"read","arguments":{}}'), tool("read"), id="no arguments"),
    pytest.param(
        call('{"name":"read","arguments":null}'), tool("read"), id="arguments that are null are none"
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":{"y":[1]}}}'), tool("a"), id="arguments that nobody looks at"
    ),
    pytest.param(
        call('{"name":"a","arguments":{"project":"demo"}}'),
        tool("a", project="demo"),
        id="an argument that is looked at",
    ),
    pytest.param(
        call('{"arguments":{"level":3,"x":0,"project":"p"},"name":"a"}'),
        tool("a", level=3, project="p"),
        id="arguments before the name",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"level":1.50,"project":null}}'),
        tool("a", level=1.5, project=None),
        id="a number with a point, and null",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"project":["x",{"y":true}]}}'),
        tool("a", project=["x", {"y": True}]),
        id="a value of several parts",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"level":123456789012345678901234567890}}'),
        tool("a", level=123456789012345678901234567890),
        id="a whole number beyond 64 bits",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":"project","y":"\\"level\\""}}'),
        tool("a"),
        id="the name of an argument as the value of another",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":{"project":"p","Project":"q"}}}'),
        tool("a"),
        id="a deeper key is another key",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":1,"X":2,"x":3}}'), tool("a"), id="twins that nobody looks at"
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":1e999}}'),
        tool("a"),
        id="a number without end that nobody looks at",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":%s}}' % ("9" * 5000)),
        tool("a"),
        id="a whole number of 5000 digits",
    ),
    pytest.param(
        b" " + call('{"name":"a","arguments":{"x":%s}}' % ("9" * 5000)),
        tool("a"),
        id="a whole number of 5000 digits, behind a space",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":"\\ud800"}}'), tool("a"), id="half a pair that nobody looks at"
    ),
    pytest.param(
        call('{"name":"a","uri":"x","ref":{"type":1},"z":[]}'),
        tool("a"),
        id="members that a call has no use for",
    ),
    pytest.param(call('{"name":"a","_meta":{"progressToken":1}}'), tool("a"), id="a progress token"),
    pytest.param(
        said("prompts/get", '{"name":"greet","arguments":{"project":"p","x":""}}'),
        named("prompts/get", "prompt", "greet", {"project": "p"}),
        id="a prompt and its arguments",
    ),
    pytest.param(
        said("resources/read", '{"uri":"memory://a/b"}'),
        named("resources/read", "resource", "memory://a/b"),
        id="a resource",
    ),
    pytest.param(
        said("resources/subscribe", '{"uri":"memory://a"}'),
        named("resources/subscribe", "resource", "memory://a"),
        id="a subscription to a resource",
    ),
    pytest.param(
        said("resources/unsubscribe", '{"uri":"memory://a"}'),
        named("resources/unsubscribe", "resource", "memory://a"),
        id="the end of a subscription",
    ),
    pytest.param(said("resources/subscribe"), plain("resources/subscribe"), id="a subscription to nothing"),
    pytest.param(
        said(
            "completion/complete",
            '{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":""}}',
        ),
        Message("completion/complete", b"1", (Operation("completion/complete", "prompt", "greet"),)),
        id="completion for a prompt",
    ),
    pytest.param(
        said("completion/complete", '{"ref":{"type":"ref/resource","uri":"memory://{id}","name":"x"}}'),
        Message(
            "completion/complete", b"1", (Operation("completion/complete", "template", "memory://{id}"),)
        ),
        id="completion for a template goes by its URI",
    ),
    pytest.param(
        said(
            "subscriptions/listen", '{"notifications":{"resourceSubscriptions":["memory://a","memory://b"]}}'
        ),
        listened(subscribed("memory://a"), subscribed("memory://b")),
        id="a stream about two resources",
    ),
    pytest.param(
        said(
            "subscriptions/listen", '{"notifications":{"toolsListChanged":true,"resourceSubscriptions":[]}}'
        ),
        listened(),
        id="a stream about lists",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":{"taskIds":["t"]}}'),
        listened(Operation("tasks/get")),
        id="a stream about a task is a look at it",
    ),
    pytest.param(said("subscriptions/listen"), listened(), id="a stream about nothing"),
    pytest.param(
        said("tasks/get", '{"taskId":"t"}'),
        Message("tasks/get", b"1", (Operation("tasks/get"),), "t"),
        id="a task is named by its id, and is of no kind",
    ),
    pytest.param(
        said("tasks/cancel", '{"taskId":5}'),
        plain("tasks/cancel"),
        id="a task whose id is no text has no name",
    ),
]

UNNAMED = [
    pytest.param(said("ping"), plain("ping"), id="ping"),
    pytest.param(said("ping", "{}"), plain("ping"), id="params without members"),
    pytest.param(said("ping", "null"), plain("ping"), id="params that are null"),
    pytest.param(said("ping", '{"_meta":null}'), plain("ping"), id="_meta that is null"),
    pytest.param(said("tools/list", '{"cursor":"a"}'), plain("tools/list"), id="a list from a cursor on"),
    pytest.param(said(""), plain(""), id="a method without a name"),
    pytest.param(
        said("Tools/call", '{"name":"a"}'),
        plain("Tools/call"),
        id="a method in another case is another method",
    ),
    pytest.param(said("tools/call ", '{"name":"a"}'), plain("tools/call "), id="a space behind a method"),
    pytest.param(said("t\\u006fols/list"), plain("tools/list"), id="escapes in a method"),
    pytest.param(said("m\u00e9thode"), plain("m\u00e9thode"), id="a method beyond ASCII"),
    pytest.param(
        said("custom/run", '{"ref":"main","notifications":[1],"arguments":[],"name":5}'),
        plain("custom/run"),
        id="members of a method that has other uses for them",
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        Message("notifications/initialized", None, (Operation("notifications/initialized"),)),
        id="a notification has no id",
    ),
    pytest.param(
        b'{"method":"ping","id":"a","jsonrpc":"2.0"}',
        Message("ping", b'"a"', (Operation("ping"),)),
        id="members in another order",
    ),
    pytest.param(
        b' {\n\t"jsonrpc" : "2.0",\r\n "id" : 1 , "method" : "ping" } \n',
        plain("ping"),
        id="white space between everything",
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"ping","extra":{"method":"x"},"m":1,"M":2}',
        plain("ping"),
        id="unknown members",
    ),
    pytest.param(b'{"jsonrpc":"2.0","id":7,"result":{}}', Message(None, b"7"), id="a response"),
    pytest.param(
        b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}',
        Message(None, b"7"),
        id="a response that is an error",
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","id":7,"result":{"method":"tools/call","params":{"name":"a"}}}',
        Message(None, b"7"),
        id="a method within a result is none",
    ),
    pytest.param(
        said("ping", f'{{"x":{"[" * 62}{"]" * 62}}}'),
        plain("ping"),
        id="64 levels, the deepest that are read",
    ),
    pytest.param(
        said("ping", '{"x":[%s{}]}' % ("{}," * 99_996)), plain("ping"), id="a hundred thousand objects"
    ),
    pytest.param(
        said("ping", '{"x":"%s"}' % ("[{" * 500)), plain("ping"), id="brackets in a text are no levels"
    ),
    pytest.param(
        said("ping", '{"x":"%s"}' % ('\\"[\\\\' * 200)), plain("ping"), id="quotes in a text do not end it"
    ),
    pytest.param(
        said("ping", '{"x":[%s[]]}' % ("{}," * 500)), plain("ping"), id="many brackets side by side"
    ),
]

IDS = [
    pytest.param("0", b"0", id="zero"),
    pytest.param("-1", b"-1", id="a negative number"),
    pytest.param("9007199254740993", b"9007199254740993", id="a number that no float is"),
    pytest.param(
        "123456789012345678901234567890", b"123456789012345678901234567890", id="a number beyond 64 bits"
    ),
    pytest.param('""', b'""', id="an empty text"),
    pytest.param('"a-1"', b'"a-1"', id="a text"),
    pytest.param('"1"', b'"1"', id="a text of digits is no number"),
    pytest.param('"\\u0061"', b'"a"', id="a text in escapes"),
    pytest.param('"\\""', b'"\\""', id="a quote"),
    pytest.param('"\u00e9"', b'"\\u00e9"', id="a text beyond ASCII"),
    pytest.param('"\x7f"', b'"\\u007f"', id="a character that terminals act upon"),
    pytest.param('"\\ud800"', b'"\\ud800"', id="half a pair"),
]

_VERSION = '"io.modelcontextprotocol/protocolVersion"'
_CLIENT = '"io.modelcontextprotocol/clientInfo"'
_INITIALIZE = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}%s}'

TOLD = [
    pytest.param(
        said("initialize", _INITIALIZE % ""),
        plain("initialize", protocol="2025-11-25", client="c"),
        id="initialize proposes a version and presents the client",
    ),
    pytest.param(
        said("initialize", _INITIALIZE % f',"_meta":{{{_VERSION}:"2026-07-28",{_CLIENT}:{{"name":"d"}}}}'),
        plain("initialize", protocol="2025-11-25", client="c"),
        id="of initialize its own members count",
    ),
    pytest.param(
        said("initialize", f'{{"_meta":{{{_VERSION}:"2026-07-28",{_CLIENT}:{{"name":"d"}}}}}}'),
        plain("initialize", protocol="2026-07-28", client="d"),
        id="without them, those of its _meta",
    ),
    pytest.param(
        said("ping", _INITIALIZE % ""),
        plain("ping"),
        id="no other method proposes a version or presents a client",
    ),
    pytest.param(
        meta(f'{_VERSION}:"2026-07-28"'), plain("ping", protocol="2026-07-28"), id="a version in _meta"
    ),
    pytest.param(meta(f'{_VERSION}:""'), plain("ping", protocol=""), id="an empty version in _meta"),
    pytest.param(
        b" " + meta(f'{_VERSION}:""'), plain("ping", protocol=""), id="an empty version, behind a space"
    ),
    pytest.param(meta(f"{_VERSION}:null"), plain("ping"), id="a version that is null is none"),
    pytest.param(
        meta(_VERSION.replace("/", "\\/") + ':"2026-07-28"'),
        plain("ping", protocol="2026-07-28"),
        id="an escaped slash in its key",
    ),
    pytest.param(
        meta(f'{_CLIENT}:{{"name":"c","version":"1"}}'), plain("ping", client="c"), id="a client in _meta"
    ),
    pytest.param(meta(f'{_CLIENT}:{{"version":"1"}}'), plain("ping"), id="a client without a name"),
    pytest.param(meta(f'{_CLIENT}:{{"name":5}}'), plain("ping"), id="a client whose name is no text"),
    pytest.param(meta(f'{_CLIENT}:"c"'), plain("ping"), id="a client that is no object"),
    pytest.param(
        meta(f'{_CLIENT}:{{"name":"\\ud800c"}}'), plain("ping", client="?c"), id="half a pair in its name"
    ),
    pytest.param(
        meta(f'{_CLIENT}:{{"icons":[{{"name":"x"}}],"name":"c"}}'),
        plain("ping", client="c"),
        id="a deeper name is not its name",
    ),
    pytest.param(meta('"traceparent":"00-1"'), plain("ping", traceparent="00-1"), id="a trace, as it stands"),
    pytest.param(meta('"traceparent":5'), plain("ping"), id="a trace that is no text"),
    pytest.param(
        meta('"traceparent":"\\udc00"'), plain("ping", traceparent="?"), id="half a pair in a trace"
    ),
    pytest.param(
        call(
            f'{{"name":"a","_meta":{{{_VERSION}:"2026-07-28",{_CLIENT}:{{"name":"c"}},"traceparent":"t"}}}}'
        ),
        Message("tools/call", b"1", (Operation("tools/call", "tool", "a"),), "a", "2026-07-28", "c", "t"),
        id="a call of 2026-07-28",
    ),
]

BATCHES = [
    pytest.param(b"[" + said("ping") + b"]", (plain("ping"),), id="a batch of one"),
    pytest.param(
        b"[" + said("ping") + b", " + call('{"name":"a"}') + b',{"jsonrpc":"2.0","id":2,"result":{}}]',
        (plain("ping"), tool("a"), Message(None, b"2")),
        id="every element is read",
    ),
]

_NO_JSON = "the body is no JSON document"
_NO_MESSAGE = "the body has no JSON-RPC message"
_NO_METHOD = "the body has no method that is plain text"
_NO_VERSION = "the body does not say that it is JSON-RPC 2.0"
_DEEP = "the body is nested deeper than 64"
_MANY = "the body has more than 100000 objects and lists"
_BAD_ID = "the body has an id that is neither text nor a whole number"


def twice(key: str) -> str:
    return f"the body has the key {key} twice"


def taken(key: str) -> str:
    return f"the body has a key that some readers take for {key}"


def odd(key: str) -> str:
    return f"the body has a {key} with characters that no name has"


def no_text(key: str) -> str:
    return f"the body has no {key} that is text"


def no_object(key: str) -> str:
    return f"the body has a member {key} that is no object"


UNREADABLE = [
    pytest.param(b"", _NO_JSON, id="nothing"),
    pytest.param(b" \r\n", _NO_JSON, id="white space"),
    pytest.param(b"ping", _NO_JSON, id="a word"),
    pytest.param(
        b"\xef\xbb\xbf" + said("ping"), "the body begins with a byte order mark", id="a byte order mark"
    ),
    pytest.param(said("ping").decode().encode("utf-16"), "the body is not UTF-8", id="UTF-16"),
    pytest.param(said("ping").decode().encode("utf-16-be"), _NO_JSON, id="UTF-16 without a mark"),
    pytest.param(said("ping").decode().encode("utf-32-le"), _NO_JSON, id="UTF-32 without a mark"),
    pytest.param(call('{"name":"x"}').replace(b"x", b"\xe4"), "the body is not UTF-8", id="Latin-1"),
    pytest.param(
        call('{"name":"x"}').replace(b"x", b"\xc0\xaf"), "the body is not UTF-8", id="an overlong slash"
    ),
    pytest.param(
        call('{"name":"x"}').replace(b"x", b"\xed\xa0\x80"),
        "the body is not UTF-8",
        id="a surrogate in UTF-8",
    ),
    pytest.param(
        call('{"name":"x"}').replace(b"x", b"\xf4\x90\x80\x80"), "the body is not UTF-8", id="beyond Unicode"
    ),
    pytest.param(said("ping")[:-1], _NO_JSON, id="half a document"),
    pytest.param(said("ping") + said("ping"), _NO_JSON, id="two documents"),
    pytest.param(said("ping") + b"\n" + said("ping"), _NO_JSON, id="two documents on two lines"),
    pytest.param(said("ping") + b"\0", _NO_JSON, id="a NUL behind the document"),
    pytest.param(b"\x1e" + said("ping"), _NO_JSON, id="a record separator (RFC 7464)"),
    pytest.param(said("ping", "{,}"), _NO_JSON, id="a comma between nothing"),
    pytest.param(said("ping", '{"x":1,}'), _NO_JSON, id="a comma too many"),
    pytest.param(said("ping", "{x:1}"), _NO_JSON, id="a key without quotes"),
    pytest.param(said("ping", "{'x':1}"), _NO_JSON, id="single quotes"),
    pytest.param(said("ping", '{"x":1/**/}'), _NO_JSON, id="a comment"),
    pytest.param(said("ping", '{"x":"a\tb"}'), _NO_JSON, id="a raw tab in a text"),
    pytest.param(said("ping", '{"x":"\\x41"}'), _NO_JSON, id="an escape that is none"),
    pytest.param(said("ping", '{"x":"\\u12"}'), _NO_JSON, id="half an escape"),
    pytest.param(said("ping", '{"x":01}'), _NO_JSON, id="a number that begins with 0"),
    pytest.param(said("ping", '{"x":+1}'), _NO_JSON, id="a number with a plus"),
    pytest.param(said("ping", '{"x":.5}'), _NO_JSON, id="a number that begins with its point"),
    pytest.param(said("ping", '{"x":0x1}'), _NO_JSON, id="a hexadecimal number"),
    pytest.param(said("ping", '{"x":\uff11}'), _NO_JSON, id="a digit beyond ASCII"),
    pytest.param(said("ping", '{"x":NaN}'), "the body has NaN, which is no number in JSON", id="NaN"),
    pytest.param(
        said("ping", '{"x":Infinity}'), "the body has Infinity, which is no number in JSON", id="Infinity"
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":NaN}}'),
        "the body has NaN, which is no number in JSON",
        id="NaN in arguments",
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":1.}}'), _NO_JSON, id="no digit behind a point, in arguments"
    ),
    pytest.param(
        call('{"name":"a","arguments":{"x":"\x01"}}'), _NO_JSON, id="a raw control character in arguments"
    ),
    pytest.param(said("ping", f'{{"x":{"[" * 63}{"]" * 63}}}'), _DEEP, id="65 levels"),
    pytest.param(
        said("ping", f'{{"x":{"[" * 40}{"{}"}{"]" * 40},"y":{"[" * 63}{"]" * 63}}}'),
        _DEEP,
        id="65 levels, further back",
    ),
    pytest.param(said("ping", '{"x":' * 65 + "1" + "}" * 65), _DEEP, id="65 objects"),
    pytest.param(
        said("ping", f'{{"\\"":{"[" * 63}{"]" * 63}}}'), _DEEP, id="a quote in a key hides no levels"
    ),
    pytest.param(
        said("ping", f'{{"\\\\":{"[" * 63}{"]" * 63}}}'), _DEEP, id="neither does a backslash at its end"
    ),
    pytest.param(b"[" * 1_000_000, _MANY, id="a million brackets"),
    pytest.param(
        said("ping", '{"x":[%s{}]}' % ("{}," * 99_997)), _MANY, id="a hundred thousand objects and one"
    ),
    pytest.param(b'{"a":' * 100_000, _DEEP, id="a hundred thousand keys"),
    pytest.param(b"]" * 100 + b"[" * 50, _NO_JSON, id="brackets the other way round"),
    pytest.param(b"[" * 50 + b"{}" * 50, _NO_JSON, id="brackets that stay open"),
]


def _listening(uri: str, count: int) -> bytes:
    named = {"notifications": {"resourceSubscriptions": [uri] * count}}
    return said("subscriptions/listen", json.dumps(named))


_VERY_MUCH = "the body asks for over 1000 operations, or names them in over 65536 characters"
SHAPES = [
    pytest.param(b"1", _NO_MESSAGE, id="a number"),
    pytest.param(b'"ping"', _NO_MESSAGE, id="a text"),
    pytest.param(b"null", _NO_MESSAGE, id="null"),
    pytest.param(b"[]", "the body is an empty batch", id="an empty batch"),
    pytest.param(
        b"[%b]" % b",".join([said("ping")] * 101),
        "the body is a batch of more than 100 messages",
        id="a batch of a hundred messages and one",
    ),
    pytest.param(
        _listening("a:b", 1001),
        _VERY_MUCH,
        id="a thousand resources and one",
    ),
    pytest.param(
        _listening("a:" + "b" * 700, 100),
        _VERY_MUCH,
        id="resources of very long names",
    ),
    pytest.param(
        b"[%b]" % b",".join([said("resources/read", json.dumps({"uri": "a:" + "b" * 700}))] * 100),
        _VERY_MUCH,
        id="a batch that names things at length",
    ),
    pytest.param(
        b"[%b]" % b",".join([_listening("a:b", 100)] * 11),
        _VERY_MUCH,
        id="a batch that listens to very much",
    ),
    pytest.param(b"[" + said("ping") + b",[" + said("ping") + b"]]", _NO_MESSAGE, id="a batch in a batch"),
    pytest.param(b"[" + said("ping") + b",null]", _NO_MESSAGE, id="a batch with null in it"),
    pytest.param(
        b"[" + said("ping") + b',{"jsonrpc":"2.0","id":2}]',
        _NO_METHOD,
        id="a batch with half a message in it",
    ),
    pytest.param(b"{}", _NO_VERSION, id="an object without members"),
    pytest.param(b'{"id":1,"method":"ping"}', _NO_VERSION, id="no version of JSON-RPC"),
    pytest.param(b'{"jsonrpc":"1.0","id":1,"method":"ping"}', _NO_VERSION, id="another version"),
    pytest.param(b'{"jsonrpc":2.0,"id":1,"method":"ping"}', _NO_VERSION, id="a version that is a number"),
    pytest.param(b'{"jsonrpc":"2.0","id":1}', _NO_METHOD, id="neither request nor response"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"method":null}', _NO_METHOD, id="a method that is null"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"method":["ping"]}', _NO_METHOD, id="a method that is a list"),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":5,"result":{}}',
        _NO_METHOD,
        id="a response with a number for a method",
    ),
    pytest.param(said("tools/call\\u0000x", '{"name":"a"}'), _NO_METHOD, id="a NUL in a method"),
    pytest.param(said("tools/call\\n", '{"name":"a"}'), _NO_METHOD, id="a line feed behind a method"),
    pytest.param(said("tools/call\\ud800", '{"name":"a"}'), _NO_METHOD, id="half a pair in a method"),
    pytest.param(said("tools/call\x7f", '{"name":"a"}'), _NO_METHOD, id="a delete character in a method"),
    pytest.param(said("tools/call\x85", '{"name":"a"}'), _NO_METHOD, id="a next-line character in a method"),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        "the body is a request and a response at once",
        id="method and result",
    ),
    pytest.param(
        b'{"jsonrpc":"2.0","id":1,"method":"ping","error":null}',
        "the body is a request and a response at once",
        id="method and error, which is null",
    ),
    pytest.param(said("ping", "[]"), no_object("params"), id="params that are a list"),
    pytest.param(call('"name"'), no_object("params"), id="params that are a text"),
    pytest.param(said("ping", '{"_meta":[]}'), no_object("_meta"), id="_meta that is a list"),
    pytest.param(meta(f"{_VERSION}:5"), no_text("protocolVersion"), id="a version in _meta that is a number"),
    pytest.param(meta(f'{_VERSION}:"\\ud800"'), odd("protocolVersion"), id="half a pair in the version"),
    pytest.param(
        meta(f'{_VERSION}:"2026\x7f"'), odd("protocolVersion"), id="a delete character in the version"
    ),
    *[
        pytest.param(said("ping", id=value), _BAD_ID, id=f"an id that is {says}")
        for says, value in (
            ("null", "null"),
            ("true", "true"),
            ("a list", "[1]"),
            ("an object", "{}"),
            ("a fraction", "1.5"),
            ("a float", "1.0"),
            ("a power", "1e3"),
            ("a number of 5000 digits", "9" * 5000),
        )
    ],
]

TARGETS = [
    pytest.param(said("tools/call"), no_text("name"), id="a call without params"),
    pytest.param(call("null"), no_text("name"), id="a call with params that are null"),
    pytest.param(call("{}"), no_text("name"), id="a call of nothing"),
    pytest.param(call('{"uri":"memory://a"}'), no_text("name"), id="a call with a URI"),
    *[
        pytest.param(call(f'{{"name":{value}}}'), no_text("name"), id=f"a name that is {says}")
        for says, value in (
            ("null", "null"),
            ("a number", "1"),
            ("a list", '["a"]'),
            ("an object", '{"a":"b"}'),
            ("false", "false"),
        )
    ],
    *[
        pytest.param(call(f'{{"name":"{value}"}}'), odd("name"), id=f"a name with {says}")
        for says, value in (
            ("a NUL behind it", "read\\u0000"),
            ("a NUL in it", "read\\u0000x"),
            ("a line feed", "a\\nb"),
            ("an escape character", "\\u001b[31m"),
            ("a delete character", "a\x7f"),
            ("a C1 character", "a\x9b"),
            ("the first half of a pair", "a\\ud800"),
            ("the second half of a pair", "\\udc00a"),
            ("the halves of a pair the wrong way round", "\\udc00\\ud800"),
        )
    ],
    pytest.param(said("prompts/get", '{"uri":"x"}'), no_text("name"), id="a prompt without a name"),
    pytest.param(said("resources/read", '{"name":"x"}'), no_text("uri"), id="a resource without a URI"),
    pytest.param(said("resources/read", '{"uri":["x"]}'), no_text("uri"), id="a URI that is a list"),
    pytest.param(said("resources/read", '{"uri":"memory://a\\u0000"}'), odd("uri"), id="a NUL in a URI"),
    pytest.param(said("resources/subscribe", '{"uri":null}'), no_text("uri"), id="a subscription to null"),
    pytest.param(call('{"name":"a","arguments":[]}'), no_object("arguments"), id="arguments that are a list"),
    pytest.param(
        call('{"name":"a","arguments":"{}"}'), no_object("arguments"), id="arguments that are a text"
    ),
    pytest.param(said("completion/complete"), no_text("ref.type"), id="completion without params"),
    pytest.param(said("completion/complete", "{}"), no_text("ref.type"), id="completion without a reference"),
    pytest.param(
        said("completion/complete", '{"ref":"x"}'), no_object("ref"), id="a reference that is a text"
    ),
    pytest.param(
        said("completion/complete", '{"ref":{"type":"ref/tool","name":"a"}}'),
        "the body refers to what is neither a prompt nor a resource",
        id="a reference to a tool",
    ),
    pytest.param(
        said("completion/complete", '{"ref":{"type":"ref/prompt","uri":"x"}}'),
        no_text("ref.name"),
        id="a prompt with a URI",
    ),
    pytest.param(
        said("completion/complete", '{"ref":{"type":"ref/resource","uri":"x\\u0000"}}'),
        odd("ref.uri"),
        id="a NUL in a template",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":[]}'),
        no_object("notifications"),
        id="a stream about a list",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":{"resourceSubscriptions":"memory://a"}}'),
        "the body has resourceSubscriptions that is no list",
        id="resources that are a text",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":{"resourceSubscriptions":["memory://a",1]}}'),
        no_text("resourceSubscriptions"),
        id="a resource that is a number",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":{"resourceSubscriptions":["memory://a\\u0000"]}}'),
        odd("resourceSubscriptions"),
        id="a NUL in a resource of a stream",
    ),
    pytest.param(
        said("subscriptions/listen", '{"notifications":{"taskIds":{"a":1}}}'),
        "the body has taskIds that is no list",
        id="tasks that are an object",
    ),
]

# Where a row says `…`, a member stands that some reader takes for one of the message's own.
_TOP = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"},…}'
_PARAMS = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{},…}}'
_ARGUMENTS = (
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"project":"demo",…}}}'
)
_NO_ARGUMENT = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{…}}}'
_REF = '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet",…}}}'
_LISTEN = '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":[],…}}}'
_URI = '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"memory://a",…}}'
_META = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{{_VERSION}:"2025-11-25",…}}}}}}'

TWINS = [
    pytest.param(_TOP, '"method":"ping"', twice("method"), id="a second method"),
    pytest.param(_TOP, '"method":"tools/call"', twice("method"), id="the same method again"),
    pytest.param(_TOP, '"\\u006dethod":"ping"', twice("method"), id="a second method in escapes"),
    pytest.param(_TOP, '"METHOD":"ping"', taken("method"), id="a method in capitals"),
    pytest.param(_TOP, '"Method":"ping"', taken("method"), id="a method with a capital"),
    pytest.param(_TOP, '"\\u004dethod":"ping"', taken("method"), id="a capital in escapes"),
    pytest.param(_TOP, '"method\\u0000":"ping"', taken("method"), id="a NUL behind a method"),
    pytest.param(_TOP, '"method\\u0000x":"ping"', taken("method"), id="a NUL and more behind a method"),
    pytest.param(_TOP, '"Method\\u0000":"ping"', taken("method"), id="a capital and a NUL"),
    pytest.param(_TOP, '"params":{"name":"delete"}', twice("params"), id="second params"),
    pytest.param(_TOP, '"param\u017f":{"name":"delete"}', taken("params"), id="a long s, which Go folds"),
    pytest.param(_TOP, '"param\\u017f":{"name":"delete"}', taken("params"), id="a long s in escapes"),
    pytest.param(_TOP, '"jsonrpc":"2.0"', twice("jsonrpc"), id="a second version"),
    pytest.param(_TOP, '"JSONRPC":"1.0"', taken("jsonrpc"), id="a version in capitals"),
    pytest.param(_TOP, '"id":2', twice("id"), id="a second id"),
    pytest.param(_TOP, '"ID":2', taken("id"), id="an id in capitals"),
    pytest.param(_TOP, '"\u0131d":2', taken("id"), id="an i without a dot, which Java takes for one"),
    pytest.param(_TOP, '"\u0130d":2', taken("id"), id="a capital I with a dot, which Java takes for i"),
    pytest.param(_TOP, '"Result":{}', taken("result"), id="a result in another case"),
    pytest.param(_TOP, '"error\\u0000":{}', taken("error"), id="an error with a NUL"),
    pytest.param(_PARAMS, '"name":"delete"', twice("name"), id="a second name"),
    pytest.param(_PARAMS, '"n\\u0061me":"delete"', twice("name"), id="a second name in escapes"),
    pytest.param(_PARAMS, '"Name":"delete"', taken("name"), id="a name in another case"),
    pytest.param(_PARAMS, '"name\\u0000":"delete"', taken("name"), id="a NUL behind a name"),
    pytest.param(_PARAMS, '"argument\u017f":{}', taken("arguments"), id="arguments with a long s"),
    pytest.param(_PARAMS, '"arguments":{"project":"x"}', twice("arguments"), id="second arguments"),
    pytest.param(_PARAMS, '"ta\u017fkId":"x"', taken("taskId"), id="a task with a long s"),
    pytest.param(_PARAMS, '"tas\u212aId":"x"', taken("taskId"), id="a task with the sign of kelvin"),
    pytest.param(_PARAMS, '"_META":{}', taken("_meta"), id="_meta in capitals"),
    pytest.param(_URI, '"uri":"memory://b"', twice("uri"), id="a second URI"),
    pytest.param(_URI, '"URI":"memory://b"', taken("uri"), id="a URI in capitals"),
    pytest.param(_URI, '"ur\\u0131":"memory://b"', taken("uri"), id="a URI without a dot"),
    pytest.param(_ARGUMENTS, '"project":"x"', twice("project"), id="a second argument"),
    pytest.param(_ARGUMENTS, '"\\u0070roject":"x"', twice("project"), id="a second argument in escapes"),
    pytest.param(_ARGUMENTS, '"PROJECT":"x"', taken("project"), id="an argument in capitals"),
    pytest.param(_ARGUMENTS, '"project\\u0000":"x"', taken("project"), id="a NUL behind an argument"),
    pytest.param(_NO_ARGUMENT, '"Project":"x"', taken("project"), id="an argument in another case alone"),
    pytest.param(_NO_ARGUMENT, '"project\\u0000":"x"', taken("project"), id="an argument with a NUL alone"),
    pytest.param(
        _NO_ARGUMENT,
        '"LEVEL":1,"project":"x"',
        taken("level"),
        id="one argument in another case beside another",
    ),
    pytest.param(_REF, '"name":"plan"', twice("name"), id="a second name in a reference"),
    pytest.param(_REF, '"Type":"ref/resource"', taken("type"), id="a type in another case"),
    pytest.param(_REF, '"Uri":"x"', taken("uri"), id="a URI in another case in a reference"),
    pytest.param(
        _LISTEN,
        '"resourceSubscriptions":["memory://a"]',
        twice("resourceSubscriptions"),
        id="second resources of a stream",
    ),
    pytest.param(
        _LISTEN,
        '"resourcesubscriptions":["memory://a"]',
        taken("resourceSubscriptions"),
        id="resources of a stream in another case",
    ),
    pytest.param(_LISTEN, '"TaskIds":["t"]', taken("taskIds"), id="tasks of a stream in another case"),
    pytest.param(
        _META,
        f'{_VERSION}:"2026-07-28"',
        twice("io.modelcontextprotocol/protocolVersion"),
        id="a second version in _meta",
    ),
    pytest.param(
        _META,
        _VERSION.replace("/", "\\/") + ':"2026-07-28"',
        twice("io.modelcontextprotocol/protocolVersion"),
        id="a second version in _meta, its slash escaped",
    ),
    pytest.param(
        _META,
        f'{_VERSION.upper()}:"x"',
        taken("io.modelcontextprotocol/protocolVersion"),
        id="a version in _meta in capitals",
    ),
    pytest.param(_META, '"traceparent":"a","traceparent":"b"', twice("traceparent"), id="two traces"),
    pytest.param(_META, '"Traceparent":"a"', taken("traceparent"), id="a trace in another case alone"),
    pytest.param(_META, f'{_CLIENT}:{{"name":"a","name":"b"}}', twice("name"), id="two names of a client"),
    pytest.param(
        _META, f'{_CLIENT}:{{"Name":"b"}}', taken("name"), id="a client's name in another case alone"
    ),
]

READ = [*NAMED, *UNNAMED, *TOLD]
REFUSED = [*UNREADABLE, *SHAPES, *TARGETS]


@pytest.mark.parametrize(("body", "message"), READ)
def test_a_body_reads_as_one_message(body: bytes, message: Message) -> None:
    assert READER.read(body) == Reading((message,))


@pytest.mark.parametrize(("body", "message"), READ)
def test_space_and_another_order_change_nothing(body: bytes, message: Message) -> None:
    # No short cut is taken for such a body.
    assert READER.read(b" " + body) == Reading((message,))


@pytest.mark.parametrize(("value", "told"), IDS)
def test_an_id_is_told_as_json(value: str, told: bytes) -> None:
    body = said("ping", id=value)
    assert READER.read(body) == Reading((Message("ping", told, (Operation("ping"),)),))
    assert identify(body) == told


@pytest.mark.parametrize(("body", "messages"), BATCHES)
def test_a_batch_is_its_elements(body: bytes, messages: tuple[Message, ...]) -> None:
    assert READER.read(body) == Reading(messages, batch=True)


@pytest.mark.parametrize(("body", "sentence"), REFUSED)
def test_a_body_without_one_reading_is_refused(body: bytes, sentence: str) -> None:
    assert READER.read(body) == Deny(Reason.MCP_MALFORMED, sentence)


@pytest.mark.parametrize(("template", "member", "sentence"), TWINS)
@pytest.mark.parametrize("space", ["", " "], ids=["compact", "spaced"])
def test_a_key_that_decides_has_no_twin(template: str, member: str, sentence: str, space: str) -> None:
    behind = template.replace(",…", f",{space}{member}").replace("…", member)
    assert READER.read(behind.encode()) == Deny(Reason.MCP_MALFORMED, sentence)


@pytest.mark.parametrize(("template", "member", "sentence"), TWINS)
def test_without_its_twin_it_is_read(template: str, member: str, sentence: str) -> None:
    alone = template.replace(",…", "").replace("…", "")
    assert isinstance(READER.read(alone.encode()), Reading)


def test_a_twin_before_its_key_is_one_too() -> None:
    body = b'{"METHOD":"ping","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}'
    assert READER.read(body) == Deny(Reason.MCP_MALFORMED, taken("method"))


def test_arguments_whose_names_differ_in_case_alone_are_told_apart_where_one_is_there() -> None:
    reader = Reader(frozenset({"id", "ID"}))
    assert reader.read(call('{"name":"a","arguments":{"id":1}}')) == Reading((tool("a", id=1),))
    assert reader.read(call('{"name":"a","arguments":{"ID":2}}')) == Reading((tool("a", ID=2),))
    both = call('{"name":"a","arguments":{"id":1,"ID":2}}')
    assert reader.read(both) == Deny(Reason.MCP_MALFORMED, twice("ID"))


@pytest.mark.parametrize("name", ["größe", "a b", 'a"b', "a/b", "", "id\\"])
def test_an_argument_with_a_name_that_may_be_escaped_is_read(name: str) -> None:
    reader = Reader(frozenset({name}))
    escaped = "".join(f"\\u{ord(char):04x}" for char in name)
    assert reader.read(call(f'{{"name":"a","arguments":{{"{escaped}":1}}}}')) == Reading(
        (tool("a", **{name: 1}),)
    )
    twins = call(f'{{"name":"a","arguments":{{"{escaped}":1,"{escaped}":2}}}}')
    assert reader.read(twins) == Deny(Reason.MCP_MALFORMED, twice(name))


UNMISTAKABLE = [
    pytest.param(said("ping"), b"1", id="a request"),
    pytest.param(call('{"name":"a","name":"b"}'), b"1", id="one that has two readings further down"),
    pytest.param(b'{"jsonrpc":"1.0","id":"a","method":5}', b'"a"', id="one that is no JSON-RPC"),
    pytest.param(b'{"id":1}', b"1", id="an id alone"),
    pytest.param(b'{"id":1,"method":"ping","result":{}}', b"1", id="a request and a response at once"),
    pytest.param(b'{"id":1,"id":1}', None, id="two ids"),
    pytest.param(b'{"id":1,"ID":2}', None, id="an id in two spellings"),
    pytest.param(b'{"ID":1}', None, id="an id in another case"),
    pytest.param(b'{"id\\u0000":1}', None, id="an id with a NUL"),
    pytest.param(b'{"id":null}', None, id="null"),
    pytest.param(b'{"id":1.5}', None, id="a fraction"),
    pytest.param(b'{"id":true}', None, id="true"),
    pytest.param(b'{"method":"ping"}', None, id="no id"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"result":{}}', None, id="a response: the id is the other side's"),
    pytest.param(b'{"jsonrpc":"2.0","id":1,"error":{}}', None, id="a response that is an error"),
    pytest.param(b"[" + said("ping") + b"]", None, id="a batch"),
    pytest.param(b'{"id":1', None, id="half a document"),
    pytest.param(b"", None, id="nothing"),
    pytest.param(b"\xff", None, id="no UTF-8"),
    pytest.param(b'{"id":1,"x":%s}' % (b"[" * 70 + b"]" * 70), None, id="one that is too deep"),
    pytest.param(b'{"id":1,"x":"%s"}' % (b"a" * 65521), b"1", id="64 KiB"),
    pytest.param(b'{"id":1,"x":"%s"}' % (b"a" * 65522), None, id="a byte more than 64 KiB"),
    pytest.param(b'{"id":1,"x":"%s"}' % (b"," * 1022), b"1", id="as many values as are looked at"),
    pytest.param(b'{"id":1,"x":"%s"}' % (b"," * 1023), None, id="one value too many"),
]


@pytest.mark.parametrize(("body", "id_"), UNMISTAKABLE)
def test_an_id_is_told_of_a_refused_body_where_it_is_unmistakable(body: bytes, id_: bytes | None) -> None:
    assert identify(body) == id_


@pytest.mark.parametrize(
    "piece",
    [b'\\"', b"[", b'"', b'["\\', b"{}", b"[[],"],
    ids=["escaped quotes", "brackets", "quotes", "texts that do not end", "pairs", "lists in lists"],
)
def test_no_body_is_looked_at_longer_than_it_is_long(piece: bytes) -> None:
    # Whoever has no token may send these: with a quadratic look one body of 4 MiB would take hours.
    body = b"[" * 70 + piece * (4 * 1024 * 1024 // len(piece))
    assert isinstance(READER.read(body), Deny)


def test_the_table_is_as_large_as_it_should_be() -> None:
    rows = [*READ, *BATCHES, *REFUSED, *TWINS]
    assert len({row.id for row in rows}) == len(rows) >= 120
