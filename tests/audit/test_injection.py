"""Log injection: nothing that a client or a token says gets out of its string, in any format.

First each value in each field of a record; then all that can be sent, through a running proxy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.audit.formats import fragments, writer
from proxy.audit.names import ENDS
from proxy.audit.translate import records
from proxy.model import Call, Caller
from tests.messages.conversation import MCP, bearer, post, said
from tests.support.harness import keystile
from tests.support.records import closing, identity, opening
from tests.support.upstream import upstream
from tests.wire.exchanges.table import get, http

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORMATS = ["keystile", "ecs", "otel"]

HOSTILE = [
    pytest.param("a\r\nb\n{}", "a\r\nb\n{}", id="CR and LF"),
    pytest.param('"},{"decision":"allow', '"},{"decision":"allow', id="a quote that would close the string"),
    pytest.param('"}}\n{"@timestamp":"', '"}}\n{"@timestamp":"', id="the end of an ECS line"),
    pytest.param(
        '"}}]}]}]}]}\n{"resourceLogs":[', '"}}]}]}]}]}\n{"resourceLogs":[', id="the end of an OTel line"
    ),
    pytest.param('","prev":"0","chain":"x', '","prev":"0","chain":"x', id="a chain of somebody's own"),
    pytest.param("\x1b[2J\x1b]0;owned\x07", "\x1b[2J\x1b]0;owned\x07", id="ANSI sequences"),
    pytest.param("\x00\x01\x08\x1f\x7f", "\x00\x01\x08\x1f\x7f", id="NUL, DEL and other controls"),
    pytest.param(
        "a\u2028b\u2029c\x85d\x9b2J", "a\u2028b\u2029c\x85d\x9b2J", id="line separators and C1 controls"
    ),
    pytest.param(
        "\u202egpj.exe\u200b\ufeff", "\u202egpj.exe\u200b\ufeff", id="text direction and what is not seen"
    ),
    pytest.param("a\ud800b\udcffc", "a\\ud800b\\udcffc", id="lone surrogates stand as text"),
    pytest.param("\U0001f511 ключ", "\U0001f511 ключ", id="letters of the world come back as they were"),
    pytest.param("\\u000a\\n\\", "\\u000a\\n\\", id="escapes of an escape"),
    pytest.param("%s%d%b%(a)s{0}", "%s%d%b%(a)s{0}", id="templates"),
    pytest.param("</script><img src=x>", "</script><img src=x>", id="HTML"),
    pytest.param("${jndi:ldap://x}", "${jndi:ldap://x}", id="a lookup"),
    pytest.param("", "", id="nothing"),
]
VAST = [
    pytest.param("x" * 1_000_000, "x" * 256, id="a megabyte"),
    pytest.param("é" * 500_000, "é" * 128, id="a megabyte of letters that take two bytes"),
    pytest.param("\u2028" * 300_000, "\u2028" * 85, id="a megabyte of line ends"),
    pytest.param("\ud800" * 200_000, "\\ud800" * 42 + "\\ud8", id="a megabyte of lone surrogates"),
    pytest.param("\x00" * 1_000_000, "\x00" * 256, id="a megabyte of NUL"),
    pytest.param('"' * 1_000_000, '"' * 256, id="a megabyte of quotes"),
]

_REQUEST = ["request_id", "client_request_id", "trace_id", "client", "method", "path", "rule", "user_agent"]
_CALL = ["method", "tool", "resource", "prompt", "session", "protocol", "client"]
_TOKEN = {
    "id": "agent_id",
    "name": "agent_name",
    "issuer": "issuer",
    "audit_url": "audit_url",
    "token_id": "token_id",
    "key_id": "key_id",
}


def of_a_call(name: str) -> Any:
    return lambda value: {"mcp": Call(**{name: value})}, lambda members: members["mcp"][name]


def of_a_batch(name: str) -> Any:
    return (
        lambda value: {"mcp": (Call("ping"), Call(**{name: value}))},
        lambda members: members["mcp"][1][name],
    )


# How a value gets into the record, and where it is read.
SENT: dict[str, Any] = {
    **{
        name: (lambda value, name=name: {name: value}, lambda members, name=name: members[name])
        for name in _REQUEST
    },
    **{f"mcp.{name}": of_a_call(name) for name in _CALL},
    **{f"mcp.{name} in a batch": of_a_batch(name) for name in _CALL},
    "an argument": (
        lambda value: {"mcp": Call("tools/call", arguments={"id": value, "n": 1})},
        lambda members: members["mcp"]["arguments"]["id"],
    ),
    "an argument in a batch": (
        lambda value: {"mcp": (Call("tools/call", arguments={"id": value}),)},
        lambda members: members["mcp"][0]["arguments"]["id"],
    ),
}
SIGNED: dict[str, Any] = {
    **{
        name: (lambda value, name=name: {name: value}, lambda members, field=field: members[field])
        for name, field in _TOKEN.items()
    },
    "scopes": (lambda value: {"scopes": (value, "b")}, lambda members: members["scopes"][0]),
    "audience": (lambda value: {"audience": (value, "b")}, lambda members: members["audience"][0]),
}


def assert_stays(form: str, record: dict[str, Any], read: Callable[[Any], Any], shown: Any) -> None:
    lines = writer(form, 0, {"env": "prod"})
    for line in (lines.access(opening(**record), closing()), lines.stream_open(opening(**record), 200)):
        assert line.endswith(ENDS[form])
        assert all(0x20 <= byte < 0x7F for byte in line[:-1])
        assert len(line.decode().splitlines()) == 1
        (members,) = records(json.loads(line))
        assert read(members) == shown
        assert members["decision"] == "allow"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("field", SENT)
@pytest.mark.parametrize(("value", "shown"), HOSTILE)
def test_what_is_sent_stays_in_its_string(form, field, value, shown):
    record, read = SENT[field]
    assert_stays(form, record(value), read, shown)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("field", SENT)
@pytest.mark.parametrize(("value", "shown"), VAST)
def test_what_is_vast_is_cut(form, field, value, shown):
    record, read = SENT[field]
    assert_stays(form, record(value), read, shown)
    line = writer(form, 0, {}).access(opening(**record(value)), closing())
    assert next(records(json.loads(line)))["truncated"] is True
    assert len(line) < 10_000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("field", SIGNED)
@pytest.mark.parametrize(("value", "shown"), HOSTILE)
def test_what_is_signed_stays_in_its_string(form, field, value, shown):
    record, read = SIGNED[field]
    who = identity(**record(value))
    caller = Caller(who, frozenset(), b"", fragments(form)(who))
    assert_stays(form, {"caller": caller}, read, shown)


NASTY = '\x1b[2J\r\n\u2028\x7f"}}]}]}\\\U0001f511'
SOFTER = '"}}]}]}\\\u2028\u202e'
"""What has no control character, with which a claim is not taken."""
URL = 'https://a.example/"}}]}]}\\\u2028'
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OURS = object()
"""What came is not used: this is ours, of hexadecimal digits."""
TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}
RULES = [MCP, {"name": "all", "path": "/**", "public": True}]


def tool(name: str, *lines: str, **params: Any) -> bytes:
    return post(said("tools/call", {"name": name, **params}), *lines)


def client(name: str, protocol: str) -> bytes:
    return post(
        said("initialize", {"protocolVersion": protocol, "clientInfo": {"name": name, "version": "1"}}),
        bearer(),
    )


# What is sent to a proxy that believes this client, and what of it its line says.
CONVERSATIONS: list[Any] = [
    pytest.param(
        get("/%1b%5b2J%0a"), {"path": "/%1b%5b2J%0a", "reason": "path_ambiguous"}, id="a path of escapes"
    ),
    pytest.param(get('/"},{"a":"'), {"path": '/"},{"a":"'}, id="a path of quotes"),
    pytest.param(get("/" + "x" * 5000), {"path": "/" + "x" * 255, "truncated": True}, id="a long path"),
    pytest.param(
        get("/", 'User-Agent: "}}\\ \t\xe9\x9b2J'),
        {"user_agent": '"}}\\ \t\ufffd2J'},
        id="a user agent",
    ),
    pytest.param(
        get("/", "User-Agent: " + "x" * 5000),
        {"user_agent": "x" * 256, "truncated": True},
        id="a long user agent",
    ),
    pytest.param(
        get("/", "User-Agent: \xe2\x80\xa8\xed\xa0\x80"),
        {"user_agent": "\u2028\ufffd\ufffd\ufffd"},
        id="a user agent of line ends and surrogates",
    ),
    pytest.param(
        get("/", 'X-Forwarded-For: "},{"a":"\x1b'),
        {"client": "127.0.0.1", "path": None, "reason": "request_malformed"},
        id="a client address of controls",
    ),
    pytest.param(
        get("/", 'X-Forwarded-For: "},{"a":"'), {"client": "127.0.0.1"}, id="a client address of quotes"
    ),
    pytest.param(
        get("/", "X-Forwarded-For: \uff11.1.1.1".encode().decode("latin-1")),
        {"client": "127.0.0.1"},
        id="a client address in other digits",
    ),
    pytest.param(
        get("/", 'X-Request-Id: "},{"a":"'), {"request_id": '"},{"a":"'}, id="a request id of quotes"
    ),
    pytest.param(get("/", 'X-Request-Id: "a b'), {"request_id": OURS}, id="a request id with a space"),
    pytest.param(
        get("/", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01"),
        {"trace_id": TRACE},
        id="a trace as it should be",
    ),
    pytest.param(
        get("/", 'traceparent: 00-"},{"a":"-00f067aa0ba902b7-01'), {"trace_id": OURS}, id="a trace of quotes"
    ),
    pytest.param(
        http("G'!`|~ / HTTP/1.1", "Host: edge.test"),
        {"method": None, "reason": "request_malformed"},
        id="a method of its own",
    ),
    pytest.param(tool(SOFTER, bearer()), {"mcp": {"method": "tools/call", "tool": SOFTER}}, id="a tool"),
    pytest.param(tool(NASTY, bearer()), {"mcp": None, "reason": "mcp_malformed"}, id="a tool of controls"),
    pytest.param(
        tool("read", bearer(), arguments={"id": NASTY, "secret": "s"}),
        {"mcp": {"method": "tools/call", "tool": "read", "arguments": {"id": NASTY}}},
        id="an argument",
    ),
    pytest.param(
        tool("read", bearer(), arguments={"id": {NASTY: [NASTY]}}),
        {
            "mcp": {
                "method": "tools/call",
                "tool": "read",
                "arguments": {"id": json.dumps({NASTY: [NASTY]}, ensure_ascii=False, separators=(",", ":"))},
            }
        },
        id="an argument that is no text",
    ),
    pytest.param(
        tool("x" * 100_000, bearer()),
        {"mcp": {"method": "tools/call", "tool": "x" * 256}, "truncated": True},
        id="a long tool",
    ),
    pytest.param(
        client(NASTY, '"},{"'),
        {"mcp": {"method": "initialize", "protocol": '"},{"', "client": NASTY}},
        id="a client",
    ),
    pytest.param(
        tool("read", bearer(sub='"}},{\u2028\u202e')), {"agent_id": '"}},{\u2028\u202e'}, id="an agent"
    ),
    pytest.param(tool("read", bearer(al_name=SOFTER)), {"agent_name": SOFTER}, id="an agent's name"),
    pytest.param(tool("read", bearer(al_name=NASTY)), {"agent_name": None}, id="an agent's name of controls"),
    pytest.param(tool("read", bearer(al_audit_url=URL)), {"audit_url": URL}, id="an audit URL"),
    pytest.param(
        tool("read", bearer(al_audit_url=NASTY)), {"audit_url": None}, id="an audit URL of controls"
    ),
    pytest.param(
        tool("a\0b", bearer()), {"mcp": None, "reason": "mcp_malformed"}, id="a tool with NUL in it"
    ),
    pytest.param(
        tool("a\ud800b", bearer()),
        {"mcp": None, "reason": "mcp_malformed"},
        id="a tool with half a character",
    ),
    pytest.param(tool("read", bearer(jti='"}},{\u2028')), {"token_id": '"}},{\u2028'}, id="a token's id"),
    pytest.param(
        tool("read", bearer(sub="a\nb")),
        {"agent_id": None, "reason": "claim_refused"},
        id="an agent of lines",
    ),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("sent", "told"), CONVERSATIONS)
async def test_what_is_sent_to_a_proxy_stays_in_its_string(
    form: str, sent: bytes, told: dict[str, Any], tmp_path: Path
) -> None:
    log = {"output": "access.log", "format": form, "arguments": "id"}
    async with upstream() as server, keystile(tmp_path, server.url, rules=RULES, log=log, **TRUSTED) as proxy:
        async with proxy.client() as client:
            await client.write(sent)
            await client.response()
        written = await proxy.log()
    assert written.count(b"\n") == 1
    (members,) = records(json.loads(written))
    for name, value in told.items():
        if value is OURS:
            assert set(members[name]) <= set("0123456789abcdef")
        else:
            assert members.get(name) == value
