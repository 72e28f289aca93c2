"""Headers beside bodies: every row is what both say, and why they are refused where they do not say the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.mcp import Reader, Reading, disagreement, is_modern, media
from proxy.model import Deny, Peer, Reason, RequestHead

Lines = tuple[tuple[bytes, bytes], ...]


def head(*lines: tuple[bytes, bytes]) -> RequestHead:
    fields: dict[bytes, bytes] = {}
    for name, value in lines:
        fields[name] = fields[name] + b", " + value if name in fields else value
    names = [name for name, _ in lines]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    return RequestHead("POST", b"/mcp", b"edge.test", lines, fields, repeated, Peer("192.0.2.7"))


def read(*messages: dict[str, Any]) -> Reading:
    said = [{"jsonrpc": "2.0", "id": 1, **message} for message in messages]
    found = Reader(frozenset()).read(json.dumps(said if len(said) > 1 else said[0]).encode())
    assert isinstance(found, Reading)
    return found


def asked(method: str, version: str | None = None, **params: Any) -> dict[str, Any]:
    if version is not None:
        params["_meta"] = {"io.modelcontextprotocol/protocolVersion": version}
    return {"method": method, "params": params}


def method(value: bytes) -> tuple[bytes, bytes]:
    return b"mcp-method", value


def name(value: bytes) -> tuple[bytes, bytes]:
    return b"mcp-name", value


def version(value: bytes) -> tuple[bytes, bytes]:
    return b"mcp-protocol-version", value


def encoded(value: str) -> tuple[bytes, bytes]:
    return name(b"=?base64?%b?=" % base64.b64encode(value.encode()))


MODERN, OLD = version(b"2026-07-28"), version(b"2025-11-25")
CALL = asked("tools/call", name="read")
READ = asked("resources/read", uri="memory://a")
PING = asked("ping")
RESPONSE: dict[str, Any] = {"result": {}}
INITIALIZE = asked("initialize", protocolVersion="2025-11-25")

AGREE = [
    pytest.param((), [CALL], id="no headers, as before 2025-06-18"),
    pytest.param((), [INITIALIZE], id="initialize, which comes before any version"),
    pytest.param((OLD,), [CALL], id="a version before 2026-07-28 wants no other header"),
    pytest.param((OLD,), [INITIALIZE], id="initialize with the version that it proposes"),
    pytest.param((version(b"2025-06-18"),), [INITIALIZE], id="initialize with another version"),
    pytest.param((OLD,), [RESPONSE], id="a response"),
    pytest.param((MODERN,), [RESPONSE], id="a response has no method to be named, at any version"),
    pytest.param((MODERN, method(b"ping")), [PING], id="a method that names nothing"),
    pytest.param((MODERN, method(b"ping")), [asked("ping", "2026-07-28")], id="the version in _meta"),
    pytest.param((OLD,), [asked("ping", "2025-11-25")], id="an older version in _meta"),
    pytest.param((MODERN, method(b"tools/call"), name(b"read")), [CALL], id="a tool"),
    pytest.param((MODERN, method(b"resources/read"), name(b"memory://a")), [READ], id="a resource"),
    pytest.param(
        (MODERN, method(b"prompts/get"), name(b"greet")), [asked("prompts/get", name="greet")], id="a prompt"
    ),
    pytest.param(
        (MODERN, method(b"tasks/get"), name(b"t1")), [asked("tasks/get", taskId="t1")], id="a task by its id"
    ),
    pytest.param(
        (MODERN, method(b"completion/complete")),
        [asked("completion/complete", ref={"type": "ref/prompt", "name": "greet"})],
        id="a completion has no name of its own",
    ),
    pytest.param((method(b"tools/call"),), [CALL], id="a method without a version, where it is the same"),
    pytest.param((name(b"read"),), [CALL], id="a name without a version, where it is the same"),
    pytest.param((OLD, method(b"tools/call"), name(b"read")), [CALL], id="headers that nobody asked for"),
    pytest.param(
        (MODERN, method(b"tools/call"), encoded("read")), [CALL], id="an encoded name that need not be"
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), encoded("läsa")),
        [asked("tools/call", name="läsa")],
        id="a name beyond ASCII",
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), encoded(" a ")),
        [asked("tools/call", name=" a ")],
        id="a name with spaces around",
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), encoded("=?base64?cmVhZA==?=")),
        [asked("tools/call", name="=?base64?cmVhZA==?=")],
        id="a name that looks encoded, encoded",
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), name(b"=?base64??=")),
        [asked("tools/call", name="")],
        id="an empty name",
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), name(b"")), [asked("tools/call", name="")], id="an empty name, plain"
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), name(b"=?base64?x")),
        [asked("tools/call", name="=?base64?x")],
        id="half a mark",
    ),
    pytest.param((OLD, method(b"ping")), [PING, PING], id="a batch whose every element agrees"),
    pytest.param((OLD,), [PING, CALL, RESPONSE], id="a batch with nothing but a version"),
    pytest.param(
        (version(b"2027-01-01"), method(b"ping")), [PING], id="a version of the future, by the newest rules"
    ),
    pytest.param(
        (MODERN, method(b"ping"), (b"mcp-param-x", b"1"), (b"mcp-param-x", b"2")), [PING], id="other headers"
    ),
]

DISAGREE = [
    pytest.param((MODERN,), [PING], "Mcp-Method is missing; the body says ping", id="no method"),
    pytest.param(
        (MODERN, method(b"tools/call")),
        [CALL],
        "Mcp-Name is missing; the body says read",
        id="no name of a tool",
    ),
    pytest.param(
        (MODERN, method(b"resources/read")),
        [READ],
        "Mcp-Name is missing; the body says memory://a",
        id="no name of a resource",
    ),
    pytest.param(
        (MODERN, method(b"tasks/cancel")),
        [asked("tasks/cancel", taskId="t")],
        "Mcp-Name is missing; the body says t",
        id="no name of a task",
    ),
    pytest.param(
        (version(b"2027-01-01"),),
        [PING],
        "Mcp-Method is missing; the body says ping",
        id="no method, in the future",
    ),
    pytest.param(
        (version(b"x"),), [PING], "Mcp-Method is missing; the body says ping", id="no method, in no version"
    ),
    pytest.param(
        (version(b""),),
        [PING],
        "Mcp-Method is missing; the body says ping",
        id="no method, in an empty version",
    ),
    pytest.param(
        (MODERN, method(b"ping")),
        [CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="another method",
    ),
    pytest.param(
        (method(b"ping"),),
        [CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="another method, no version",
    ),
    pytest.param(
        (OLD, method(b"ping")),
        [CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="another, before it was needed",
    ),
    pytest.param(
        (method(b"Tools/Call"),),
        [CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="a method in another case",
    ),
    pytest.param(
        (method(b""),),
        [CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="an empty method",
    ),
    pytest.param(
        (method(b"=?base64?cGluZw==?="),),
        [PING],
        "Mcp-Method says another method; the body says ping",
        id="a method is never encoded",
    ),
    pytest.param(
        (method(b"ping"),),
        [RESPONSE],
        "Mcp-Method says another method; the body names none",
        id="a method beside a response",
    ),
    pytest.param(
        (MODERN, method(b"tools/call"), name(b"delete")),
        [CALL],
        "Mcp-Name says another name; the body says read",
        id="another name",
    ),
    pytest.param(
        (name(b"delete"),),
        [CALL],
        "Mcp-Name says another name; the body says read",
        id="another name, no version",
    ),
    pytest.param(
        (OLD, name(b"Read")),
        [CALL],
        "Mcp-Name says another name; the body says read",
        id="a name in another case",
    ),
    pytest.param(
        (name(b""),), [CALL], "Mcp-Name says another name; the body says read", id="an empty name for another"
    ),
    pytest.param(
        (name(b"read"),),
        [PING],
        "Mcp-Name says another name; the body names none",
        id="a name for what has none",
    ),
    pytest.param(
        (name(b"greet"),),
        [asked("completion/complete", ref={"type": "ref/prompt", "name": "greet"})],
        "Mcp-Name says another name; the body names none",
        id="a name for a completion",
    ),
    pytest.param(
        (encoded("delete"),),
        [CALL],
        "Mcp-Name says another name; the body says read",
        id="another name, encoded",
    ),
    *[
        pytest.param(
            (name(value),),
            [CALL],
            "Mcp-Name says another name; the body says read",
            id=f"the name with {says}",
        )
        for says, value in (
            ("marks in capitals", b"=?BASE64?cmVhZA==?="),
            ("no padding", b"=?base64?cmVhZA?="),
            ("too much padding", b"=?base64?cmVhZA====?="),
            ("bits behind its end", b"=?base64?cmVhZB==?="),
            ("a space inside", b"=?base64?cmVh ZA==?="),
            ("something behind", b"=?base64?cmVhZA==?=x"),
            ("base64 of URLs", b"=?base64?cmVh-A==?="),
            ("twice encoded", b"=?base64?PT9iYXNlNjQ/Y21WaFpBPT0/PQ==?="),
        )
    ],
    *[
        pytest.param(
            (name(value),),
            [asked("tools/call", name=value.decode())],
            f"Mcp-Name says another name; the body says {value.decode()}",
            id=f"a name that some take for encoded: {says}",
        )
        for says, value in (
            ("with marks", b"=?base64?cmVhZA==?="),
            ("with marks in capitals", b"=?BASE64?cmVhZA==?="),
            ("with no base64 in it", b"=?base64?@@?="),
        )
    ],
    pytest.param(
        (name("läsa".encode("latin-1")),),
        [asked("tools/call", name="läsa")],
        "Mcp-Name says another name; the body says läsa",
        id="a name in Latin-1",
    ),
    pytest.param(
        (),
        [asked("ping", "2026-07-28")],
        "MCP-Protocol-Version is missing; the body says 2026-07-28",
        id="a version in the body alone",
    ),
    pytest.param(
        (OLD,),
        [asked("ping", "2026-07-28")],
        "MCP-Protocol-Version says another version; the body says 2026-07-28",
        id="an older version than the body's",
    ),
    pytest.param(
        (MODERN, method(b"ping")),
        [asked("ping", "2025-11-25")],
        "MCP-Protocol-Version says another version; the body says 2025-11-25",
        id="a newer version than the body's",
    ),
    pytest.param(
        (MODERN, method(b"ping")),
        [asked("ping", "")],
        "MCP-Protocol-Version says another version; the body says ",
        id="an empty version in the body",
    ),
    pytest.param(
        (OLD, method(b"ping")),
        [PING, CALL],
        "Mcp-Method says another method; the body says tools/call",
        id="the last element of a batch",
    ),
    pytest.param(
        (OLD, name(b"read")),
        [PING, CALL],
        "Mcp-Name says another name; the body names none",
        id="the first element of a batch",
    ),
    pytest.param(
        (),
        [PING, asked("ping", "2026-07-28")],
        "MCP-Protocol-Version is missing; the body says 2026-07-28",
        id="a version in one element alone",
    ),
    *[
        pytest.param((*lines, *lines), [PING], "an MCP header is there more than once", id=f"{says} twice")
        for says, lines in (
            ("the version", (OLD,)),
            ("the method", (method(b"ping"),)),
            ("a name", (name(b"read"),)),
        )
    ],
    pytest.param(
        (MODERN, version(b"2025-11-25"), method(b"ping")),
        [PING],
        "an MCP header is there more than once",
        id="two versions",
    ),
    pytest.param(
        (method(b"x" * 5000),),
        [asked("m" * 5000)],
        f"Mcp-Method says another method; the body says {'m' * 100}",
        id="long ones are not repeated",
    ),
]

ERAS = [
    pytest.param((), False, id="no version"),
    pytest.param((version(b"2024-11-05"),), False, id="the first revision"),
    pytest.param((version(b"2025-03-26"),), False, id="the second"),
    pytest.param((version(b"2025-06-18"),), False, id="the third"),
    pytest.param((OLD,), False, id="the last one with sessions"),
    pytest.param((MODERN,), True, id="the first one without"),
    pytest.param((version(b"2027-01-01"),), True, id="the future"),
    pytest.param((version(b"2025-11-26"),), True, id="a date of no revision"),
    pytest.param((version(b"DRAFT-2026-v1"),), True, id="a draft"),
    pytest.param((version(b""),), True, id="an empty one"),
]


def content(value: bytes) -> tuple[bytes, bytes]:
    return b"content-type", value


def coding(value: bytes) -> tuple[bytes, bytes]:
    return b"content-encoding", value


JSON = content(b"application/json")
_NO_JSON = "the body is not declared as JSON in UTF-8"
_CODED = "the body has a content coding"

FIT = [
    pytest.param((JSON,), id="JSON"),
    pytest.param((content(b"Application/JSON"),), id="in another case"),
    pytest.param((content(b"application/json; charset=utf-8"),), id="in UTF-8"),
    pytest.param((content(b"application/json;charset=UTF-8"),), id="in UTF-8 in capitals, without a space"),
    pytest.param((content(b'application/json ; charset="utf-8" '),), id="in UTF-8 in quotes"),
    pytest.param((JSON, coding(b"identity")), id="with a coding that is none"),
    pytest.param((JSON, coding(b"Identity")), id="with a coding that is none, in another case"),
]

UNFIT = [
    pytest.param((), _NO_JSON, id="nothing"),
    pytest.param((content(b""),), _NO_JSON, id="an empty type"),
    *[
        pytest.param((content(value),), _NO_JSON, id=value.decode())
        for value in (
            b"text/plain",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"text/json",
            b"application/jsonp",
            b"application/vnd.api+json",
            b"application/json-seq",
            b"application/json, text/plain",
            b"application/json; charset=utf-16",
            b"application/json; charset=latin1",
            b"application/json; charset=utf-7",
            b"application/json; charset=",
            b"application/json; charset=utf-8; charset=utf-16",
            b"application/json; charset='utf-8'",
            b"application/json; charset = utf-8",
            b'application/json; charset="utf-8',
            b"application/json; profile=x",
            b"application/json\x0b",
        )
    ],
    pytest.param((JSON, JSON), _NO_JSON, id="two types that are the same"),
    pytest.param((JSON, content(b"text/plain")), _NO_JSON, id="two types"),
    *[
        pytest.param((JSON, coding(value)), _CODED, id=f"coded: {value.decode()}")
        for value in (
            b"gzip",
            b"br",
            b"deflate",
            b"zstd",
            b"identity, gzip",
            b"identity, identity",
            b"utf-8",
            b"",
        )
    ],
    pytest.param((JSON, coding(b"identity"), coding(b"gzip")), _CODED, id="two codings"),
]


@pytest.mark.parametrize(("lines", "messages"), AGREE)
def test_headers_that_say_what_the_body_says(lines: Lines, messages: list[dict[str, Any]]) -> None:
    assert disagreement(head(*lines), read(*messages)) is None


@pytest.mark.parametrize(("lines", "messages", "sentence"), DISAGREE)
def test_headers_that_do_not(lines: Lines, messages: list[dict[str, Any]], sentence: str) -> None:
    assert disagreement(head(*lines), read(*messages)) == Deny(Reason.MCP_MISMATCH, sentence)


@pytest.mark.parametrize(("lines", "modern"), ERAS)
def test_a_version_without_sessions(lines: Lines, modern: bool) -> None:
    assert is_modern(head(*lines)) is modern


@pytest.mark.parametrize("lines", FIT)
def test_a_body_that_can_be_read(lines: Lines) -> None:
    assert media(head(*lines)) is None


@pytest.mark.parametrize(("lines", "sentence"), UNFIT)
def test_a_body_that_cannot(lines: Lines, sentence: str) -> None:
    assert media(head(*lines)) == Deny(Reason.MEDIA_TYPE_REFUSED, sentence)
