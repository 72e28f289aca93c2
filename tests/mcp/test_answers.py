"""What becomes of an upstream's answer: its head decides, and its content passes through what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.mcp import Answering, Endpoints, McpAnswer, Seals, digest, sealed_endpoint
from proxy.model import Caller, Changes, Identity, Reason

if TYPE_CHECKING:
    from proxy.model import Answer, Kind, Transform

AGENT = Identity("agent-1", "https://issuer.example", (), (), {}, 0.0)
SEALS = Seals(["k" * 32], "https://mcp.example.com/mcp", "http://127.0.0.1:8000")
CALLER = Caller(AGENT, frozenset(), b"", b"")
LIMIT = 400
STREAMABLE = Answering(SEALS, LIMIT)
WITH_SSE = Answering(SEALS, LIMIT, Endpoints(["http://127.0.0.1:8000"]))
ID = b"session-1"
SEALED_LINE = b"Mcp-Session-Id: " + SEALS.seal("session", ID, AGENT) + b"\r\n"
SESSION = frozenset({b"mcp-session-id"})
JSON, EVENTS = b"application/json", b"text/event-stream"
MALFORMED = Reason.UPSTREAM_MALFORMED


def usable(kind: Kind, name: str, caller: Caller | None) -> bool:
    assert caller is CALLER
    return (kind, name) == ("tool", "read")


def answer(answering: Answering = STREAMABLE, method: str = "POST", **more: Any) -> McpAnswer:
    return McpAnswer(answering, CALLER, method, b"/mcp?x=1", **more)


def changes(
    decider: Answer, status: int = 200, repeated: frozenset[bytes] = frozenset(), /, **fields: bytes
) -> Changes | Reason | None:
    return decider.changes(status, {k.replace("_", "-").encode(): v for k, v in fields.items()}, repeated)


FILTERS = answer(usable=usable)
PLAIN = answer()

# The answer to be decided over, its session line, and what becomes of that.
SESSIONS = [
    pytest.param(PLAIN, ID, Changes(SESSION, SEALED_LINE), id="a session is sealed"),
    pytest.param(answer(method="DELETE"), ID, Changes(SESSION, SEALED_LINE), id="whatever the method is"),
    pytest.param(
        answer(method="DELETE", usable=usable),
        ID,
        Changes(SESSION, SEALED_LINE),
        id="where lists are filtered",
    ),
    pytest.param(answer(modern=True), ID, Changes(SESSION), id="a modern answer has none"),
    pytest.param(PLAIN, b"!~" + b"x" * 3054, None, id="the longest"),
    pytest.param(PLAIN, b"x" * 3057, MALFORMED, id="too long to be sealed"),
    pytest.param(PLAIN, b"", MALFORMED, id="an empty one"),
    pytest.param(PLAIN, b"a b", MALFORMED, id="a space"),
    pytest.param(PLAIN, b"a\tb", MALFORMED, id="a tab"),
    pytest.param(PLAIN, b"a\xff", MALFORMED, id="no ASCII"),
    pytest.param(answer(modern=True), b"a b", MALFORMED, id="no session id, in a modern answer"),
]


@pytest.mark.parametrize(("decider", "line", "expected"), SESSIONS)
def test_a_session_leaves_sealed(decider: McpAnswer, line: bytes, expected: Changes | Reason | None) -> None:
    if expected is None:
        expected = Changes(SESSION, b"Mcp-Session-Id: " + SEALS.seal("session", line, AGENT) + b"\r\n")
    assert changes(decider, mcp_session_id=line) == expected


@pytest.mark.parametrize("modern", [False, True])
def test_two_session_lines_are_one_too_many(modern: bool) -> None:
    assert changes(answer(modern=modern), 200, SESSION, mcp_session_id=b"a, a") is MALFORMED


def test_a_session_is_sealed_for_who_asked() -> None:
    for identity in (None, Identity("agent-2", "https://issuer.example", (), (), {}, 0.0)):
        caller = None if identity is None else Caller(identity, frozenset(), b"", b"")
        decided = changes(McpAnswer(STREAMABLE, caller, "POST", b"/mcp"), mcp_session_id=ID)
        assert isinstance(decided, Changes)
        sealed = decided.lines.removeprefix(b"Mcp-Session-Id: ").removesuffix(b"\r\n")
        assert SEALS.open("session", sealed, identity) == ID
        assert SEALS.open("session", sealed, AGENT) is None


OPENED = [
    pytest.param({"mcp_session_id": ID}, {}, [digest(SEALS.seal("session", ID, AGENT))], id="a session"),
    pytest.param({}, {}, [], id="none"),
    pytest.param({"mcp_session_id": ID}, {"modern": True}, [], id="one that is dropped"),
    pytest.param({"mcp_session_id": b""}, {}, [], id="one that is malformed"),
    pytest.param(
        {"mcp_session_id": ID, "content_type": JSON, "content_encoding": b"gzip"},
        {"usable": usable},
        [],
        id="one of an answer that nobody gets",
    ),
]


@pytest.mark.parametrize(("fields", "more", "digests"), OPENED)
def test_the_log_is_told_of_a_session(
    fields: dict[str, bytes], more: dict[str, Any], digests: list[str]
) -> None:
    told: list[str] = []
    changes(answer(opened=told.append, **more), **fields)
    assert told == digests


FORBIDDEN = [
    pytest.param(200, {"content_type": JSON, "content_encoding": b"gzip"}, id="compressed JSON"),
    pytest.param(200, {"content_type": EVENTS, "content_encoding": b"br"}, id="a compressed stream"),
    pytest.param(200, {"content_type": JSON, "content_encoding": b"identity, gzip"}, id="two encodings"),
    pytest.param(206, {"content_type": JSON}, id="a part"),
    pytest.param(206, {"content_type": b"multipart/byteranges; boundary=x"}, id="several parts"),
    pytest.param(200, {"content_type": JSON, "content_range": b"bytes 0-1/9"}, id="a range"),
    pytest.param(200, {"content_type": b"application/json; charset=utf-16"}, id="another charset"),
    pytest.param(200, {"content_type": b'text/event-stream;\tCharset="utf-7"'}, id="another charset, quoted"),
    pytest.param(200, {"content_type": b"application/json; charset=utf-8; charset=x"}, id="two charsets"),
    pytest.param(200, {"content_type": b"application/json; x=text/event-stream"}, id="either JSON or events"),
]


@pytest.mark.parametrize(("status", "fields"), FORBIDDEN)
def test_what_a_filter_cannot_read_goes_to_nobody(status: int, fields: dict[str, bytes]) -> None:
    assert changes(FILTERS, status, **fields) is MALFORMED
    assert changes(PLAIN, status, **fields) is None


def test_a_filter_needs_one_content_type() -> None:
    several = frozenset({b"content-type"})
    assert changes(FILTERS, 200, several, content_type=b"text/plain, application/json") is MALFORMED


WHOLES = [
    pytest.param(JSON, id="JSON"),
    pytest.param(b"Application/JSON ; Charset=UTF-8", id="in another case, with a charset"),
    pytest.param(b'application/json;charset="utf-8"', id="with a quoted charset"),
    pytest.param(b"application/vnd.mcp+json", id="JSON of a kind"),
    pytest.param(b"text/json", id="JSON by an old name"),
]
LIST = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"},{"name":"delete"}]}}'
LEFT = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"}]}}'
PRIVATE = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"}],"cacheScope":"private"}}'
UNREAD = b'{"result":{"tools":[{"Name":"delete"}]}}'


def transform(decided: Changes | Reason | None, dropping: frozenset[bytes] = frozenset()) -> Transform:
    assert isinstance(decided, Changes)
    assert decided.dropping == dropping
    assert decided.transform is not None
    return decided.transform


@pytest.mark.parametrize("media", WHOLES)
def test_json_is_filtered_as_a_whole(media: bytes) -> None:
    document = transform(changes(FILTERS, content_type=media, content_encoding=b"identity"))
    assert document.whole == LIMIT
    assert document.feed(LIST) == LEFT
    assert document.end() == b""
    assert transform(changes(FILTERS, content_type=media)).feed(UNREAD) is None
    assert transform(changes(answer(usable=usable, modern=True), content_type=media)).feed(LIST) == PRIVATE


def test_a_session_may_come_with_a_list() -> None:
    decided = changes(FILTERS, content_type=JSON, mcp_session_id=ID)
    assert transform(decided, SESSION).feed(LIST) == LEFT
    assert isinstance(decided, Changes)
    assert decided.lines == SEALED_LINE


UNTOUCHED = [
    pytest.param(answer(method="GET", usable=usable), {"content_type": b"text/html"}, id="a page"),
    pytest.param(PLAIN, {"content_type": JSON}, id="JSON where nothing is filtered"),
    pytest.param(PLAIN, {"content_type": EVENTS}, id="a stream where nothing is filtered"),
    pytest.param(answer(WITH_SSE), {"content_type": EVENTS}, id="the stream of a POST"),
    pytest.param(answer(STREAMABLE, "GET"), {"content_type": EVENTS}, id="a GET that names no endpoint"),
    pytest.param(answer(WITH_SSE, "GET"), {"content_type": JSON}, id="a GET that is no stream"),
    pytest.param(answer(WITH_SSE, "GET"), {"content_type": JSON, "content_range": b"x"}, id="a range of it"),
]


@pytest.mark.parametrize(("decider", "fields"), UNTOUCHED)
def test_what_passes_untouched(decider: McpAnswer, fields: dict[str, bytes]) -> None:
    assert changes(decider, **fields) is None


def stream(decider: McpAnswer, **fields: bytes) -> Transform:
    found = transform(changes(decider, content_type=EVENTS, **fields))
    assert found.whole is None
    return found


def told(uri: bytes) -> bytes:
    return b"/mcp?endpoint=" + SEALS.seal("endpoint", uri, AGENT)


URI = b"/messages/?session_id=1"
SSE: dict[str, Any] = {"answering": WITH_SSE, "method": "GET"}

# Whose stream it is, what comes on it, and what goes on.
STREAMS = [
    pytest.param(
        {"usable": usable}, b"id: 7\ndata: " + LIST + b"\n\n", b"id: 7\ndata: " + LEFT + b"\n\n", id="a list"
    ),
    pytest.param(
        {"usable": usable},
        b": hi\n\nevent: message\r\ndata: " + LIST + b"\r\n\r\ndata: {}\n\n",
        b": hi\n\nevent: message\r\ndata: " + LEFT + b"\r\n\r\ndata: {}\n\n",
        id="a list among others",
    ),
    pytest.param(
        {"usable": usable},
        b"data: " + LIST.replace(b",", b",\ndata: ") + b"\n\n",
        b"data: " + LEFT.replace(b',"result"', b',"result"') + b"\n\n",
        id="a list on several lines",
    ),
    pytest.param(
        {"usable": usable},
        b"event: x\ndata: " + LIST + b"\n\n",
        b"event: x\ndata: " + LEFT + b"\n\n",
        id="a list in an event of any name",
    ),
    pytest.param(
        {"usable": usable, "modern": True},
        b"data: " + LIST + b"\n\n",
        b"data: " + PRIVATE + b"\n\n",
        id="a modern list",
    ),
    pytest.param(
        {"usable": usable},
        b"data:" + LEFT + b"\n\nid\n\n\n",
        b"data:" + LEFT + b"\n\nid\n\n\n",
        id="a list that needs no change",
    ),
    pytest.param(
        {"usable": usable}, b"data: {}\n\ndata: " + LIST, b"data: {}\n\n", id="a list that is not finished"
    ),
    pytest.param(
        {"usable": usable},
        b"event: endpoint\ndata: " + URI + b"\n\n",
        b"event: endpoint\ndata: " + URI + b"\n\n",
        id="an endpoint where none is spoken of",
    ),
    pytest.param(
        SSE,
        b"event: endpoint\ndata: " + URI + b"\n\n",
        b"event: endpoint\ndata: " + told(URI) + b"\n\n",
        id="an endpoint",
    ),
    pytest.param(
        SSE,
        b"event: endpoint\r\ndata: http://127.0.0.1:8000" + URI + b"\r\n\r\n",
        b"event: endpoint\r\ndata: " + told(URI) + b"\r\n\r\n",
        id="an absolute endpoint",
    ),
    pytest.param(
        SSE,
        b"data: x\n\ndata: m?a\nevent: endpoint\n\n",
        b"data: x\n\ndata: " + told(b"/m?a") + b"\nevent: endpoint\n\n",
        id="a relative endpoint that comes later",
    ),
    pytest.param(
        SSE, b"data: " + UNREAD + b"\n\n", b"data: " + UNREAD + b"\n\n", id="a list where nothing is filtered"
    ),
    pytest.param(
        {**SSE, "usable": usable},
        b"event: endpoint\ndata: " + URI + b"\n\nevent: message\ndata: " + LIST + b"\n\n",
        b"event: endpoint\ndata: " + told(URI) + b"\n\nevent: message\ndata: " + LEFT + b"\n\n",
        id="an endpoint and a list",
    ),
]


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("more", "came", "left"), STREAMS)
def test_what_goes_on_of_a_stream(more: dict[str, Any], came: bytes, left: bytes, trickle: bool) -> None:
    passing = stream(answer(**more))
    pieces = [came[i : i + 1] for i in range(len(came))] if trickle else [came]
    out = [passing.feed(piece) for piece in pieces]
    assert b"".join(piece for piece in out if piece is not None) == left
    assert None not in out
    assert passing.end() == b""


CUT = [
    pytest.param({"usable": usable}, b"data: " + UNREAD + b"\n\n", id="a list that cannot be read"),
    pytest.param({"usable": usable}, b"data: " + LIST[:-1] + b"\n\n", id="a list that is not whole"),
    pytest.param({"usable": usable}, b"data: " + b"x" * LIMIT + b"\n\n", id="an event over the limit"),
    pytest.param({"usable": usable}, b"data: " + b"x" * LIMIT, id="an unfinished event over the limit"),
    pytest.param(SSE, b"event: endpoint\ndata: http://evil.example/\n\n", id="an endpoint elsewhere"),
    pytest.param(SSE, b"event: endpoint\ndata:\n\n", id="an empty endpoint"),
    pytest.param(SSE, b"event: endpoint\ndata: /a\ndata: /b\n\n", id="an endpoint on two lines"),
    pytest.param(
        {**SSE, "usable": usable},
        b"event: endpoint\ndata: /" + b"x" * LIMIT + b"\n\n",
        id="an endpoint over the limit",
    ),
]


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("more", "came"), CUT)
def test_what_must_not_go_on_ends_a_stream(more: dict[str, Any], came: bytes, trickle: bool) -> None:
    passing = stream(answer(**more))
    pieces = [came[i : i + 1] for i in range(len(came))] if trickle else [came]
    fed = iter(pieces)
    assert any(passing.feed(piece) is None for piece in fed)


def test_a_compressed_stream_may_hide_an_endpoint() -> None:
    assert changes(answer(**SSE), content_type=EVENTS, content_encoding=b"gzip") is MALFORMED


def test_the_endpoint_that_a_client_is_told_opens_for_it_alone() -> None:
    left = stream(answer(**SSE)).feed(b"event: endpoint\ndata: " + URI + b"\n\n")
    assert left is not None
    sealed = sealed_endpoint(left.removeprefix(b"event: endpoint\ndata: ").removesuffix(b"\n\n"))
    assert sealed is not None
    assert SEALS.open("endpoint", sealed, AGENT) == URI
    assert SEALS.open("endpoint", sealed, None) is None


_EVENTS = st.lists(
    st.sampled_from(
        [
            b": hi\n",
            b"\n",
            b"data: " + LIST + b"\n\n",
            b"data: " + LEFT + b"\r\n\r\n",
            b"event: endpoint\rdata: " + URI + b"\r\r",
            b"id: 1\ndata: {}\n\n",
        ]
    ),
    max_size=6,
)


@given(_EVENTS, st.lists(st.integers(1, 60), max_size=12))
def test_any_split_of_a_stream_leaves_the_same(events: list[bytes], lengths: list[int]) -> None:
    came = b"".join(events)
    whole = stream(answer(**SSE, usable=usable)).feed(came)
    passing = stream(answer(**SSE, usable=usable))
    out = b""
    for length in (*lengths, len(came)):
        piece, came = came[:length], came[length:]
        out += passing.feed(piece) or b""
    assert out == whole
    assert b"delete" not in out
    assert b"session_id" not in out
