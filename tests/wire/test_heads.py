"""Heads: what is read of them, and that nothing is accepted which a strict reader reads otherwise."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.model import Peer, Reason, RequestHead
from proxy.wire.heads import RequestHeads, read_request
from proxy.wire.heads import read_response as read_answer
from tests.support.messages import read_request_head, read_response

PEER = Peer("127.0.0.1")
HEAD = b"GET /a?b=c HTTP/1.1\r\nHost: edge.test\r\nAccept: */*\r\naccept: text/plain\r\n\r\n"


def test_what_a_head_says() -> None:
    read = read_request(HEAD, PEER)
    assert isinstance(read, tuple)
    head, refused = read
    assert refused is None
    assert (head.method, head.target, head.host, head.http10) == ("GET", b"/a?b=c", b"edge.test", False)
    assert head.lines == ((b"Host", b"edge.test"), (b"Accept", b"*/*"), (b"accept", b"text/plain"))
    assert head.fields == {b"host": b"edge.test", b"accept": b"*/*, text/plain"}
    assert head.repeated == {b"accept"}
    assert head.peer == PEER


TARGETS = [
    pytest.param(b"/", b"/", b"edge.test", None, id="origin-form"),
    pytest.param(b"/%2e%2E?a=%zz&b", b"/%2e%2E?a=%zz&b", b"edge.test", None, id="origin-form, as it came"),
    pytest.param(b"http://edge.test/a", b"/a", b"edge.test", None, id="absolute-form"),
    pytest.param(b"http://EDGE.test", b"/", b"edge.test", None, id="absolute-form in capitals, no path"),
    pytest.param(b"https://edge.test?a", b"/?a", b"edge.test", None, id="absolute-form, query alone"),
    pytest.param(
        b"http://other.test/", None, None, Reason.PATH_AMBIGUOUS, id="absolute-form of another host"
    ),
    pytest.param(b"http://a@edge.test/", None, None, Reason.PATH_AMBIGUOUS, id="absolute-form with userinfo"),
    pytest.param(b"http://edge.test:80/", None, None, Reason.PATH_AMBIGUOUS, id="absolute-form with a port"),
    pytest.param(b"*", None, None, Reason.PATH_AMBIGUOUS, id="asterisk-form"),
]


@pytest.mark.parametrize(("target", "origin", "host", "refused"), TARGETS)
def test_targets(target: bytes, origin: bytes | None, host: bytes | None, refused: Reason | None) -> None:
    read = read_request(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: edge.test\r\n\r\n", PEER)
    assert isinstance(read, tuple)
    assert read[1] is refused
    if refused is None:
        assert (read[0].target, read[0].host) == (origin, host)


REFUSED = [
    pytest.param(
        b"CONNECT edge.test:443 HTTP/1.1\r\nHost: edge.test\r\n\r\n", Reason.UPGRADE_REFUSED, id="CONNECT"
    ),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: edge.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        Reason.UPGRADE_REFUSED,
        id="an upgrade",
    ),
    pytest.param(b"TRACE / HTTP/1.1\r\nHost: edge.test\r\n\r\n", Reason.METHOD_REFUSED, id="TRACE"),
]


@pytest.mark.parametrize(("head", "reason"), REFUSED)
def test_a_refused_head_leaves_the_next_one_readable(head: bytes, reason: Reason) -> None:
    for _ in range(2):
        read = read_request(head, PEER)
        assert isinstance(read, tuple)
        assert read[1] is reason
        read = read_request(HEAD, PEER)
        assert isinstance(read, tuple)
        assert (read[0].target, read[1]) == (b"/a?b=c", None)


def test_a_body_does_not_change_how_the_next_head_is_read() -> None:
    for framing in (b"Content-Length: 10", b"Transfer-Encoding: chunked", b"Expect: 100-continue"):
        for _ in range(2):
            read = read_request(b"POST /1 HTTP/1.1\r\nHost: edge.test\r\n" + framing + b"\r\n\r\n", PEER)
            assert isinstance(read, tuple)
            read = read_request(HEAD, PEER)
            assert isinstance(read, tuple)
            assert read[0].target == b"/a?b=c"


def test_many_names_are_read_right() -> None:
    # More than the memo of names holds.
    for number in range(5000):
        name = b"X-%d" % number
        read = read_request(b"GET / HTTP/1.1\r\nHost: edge.test\r\n" + name + b": 1\r\n\r\n", PEER)
        assert isinstance(read, tuple)
        assert read[0].fields[name.lower()] == b"1"


# Pieces that parsers disagree about, and good ones around them.
_PIECES = [
    b"GET", b"POST", b"CONNECT", b"get", b" ", b"\t", b"/", b"/a", b"*", b"http://edge.test/", b"#", b"?", b"\\",
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"ICE/1.0", b"\r\n", b"\n", b"\r", b"\x00", b"\x01", b"\x7f", b"\xff",
    b"Host: edge.test", b"X-A: 1", b"X-A:1", b"X A: 1", b": 1", b"X-A : 1", b" folded", b"Content-Length: 4",
    b"Transfer-Encoding: chunked", b"Upgrade: h2c", b"Connection: upgrade", b"caf\xc3\xa9",
]  # fmt: skip
_DRAFTS = st.tuples(st.integers(0, len(HEAD)), st.sampled_from(_PIECES), st.integers(0, 3))


def _mangled(head: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """`head` with pieces put in, and bytes behind them taken out; still ending in an empty line."""
    for place, piece, dropped in changes:
        head = head[:place] + piece + head[place + dropped :]
    return head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


@settings(max_examples=500, deadline=None)
@given(changes=st.lists(_DRAFTS, min_size=1, max_size=4))
@example(changes=[(0, b"\r\n", 0)])
@example(changes=[(20, b"\n", 2)])
def test_no_request_is_read_otherwise_than_strictly(changes: list[tuple[int, bytes, int]]) -> None:
    data = _mangled(HEAD, changes)
    read = read_request(data, PEER)
    if isinstance(read, Reason) or read[1] is not None:
        return
    strict = read_request_head(data)  # raises UnsoundError where this reader would refuse
    assert strict is not None
    message, length = strict
    assert length == len(data)
    head = read[0]
    assert message.method == head.method.encode()
    assert message.target in {head.target, b"http://" + head.host + head.target, b"http://" + head.host}
    assert _lines(message.lines) == head.lines
    assert _agrees(head)


def _lines(lines: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes], ...]:
    pairs = (line.partition(b":") for line in lines)
    return tuple((name, value.strip(b" \t")) for name, _, value in pairs)


def _agrees(head: RequestHead) -> bool:
    """`fields` and `repeated` say what `lines` say."""
    names = [name.lower() for name, _ in head.lines]
    joined = {name: b", ".join(v for n, v in head.lines if n.lower() == name) for name in names}
    return head.fields == joined and head.repeated == {name for name in names if names.count(name) > 1}


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "a"\r\n\r\n'
_ANSWER_PIECES = [*_PIECES, b"200", b"99", b"1000", b"OK", b"HTTP/1.1 200 OK", b"HTTP/0.9", b"ICY"]
_ANSWER_DRAFTS = st.tuples(st.integers(0, len(ANSWER)), st.sampled_from(_ANSWER_PIECES), st.integers(0, 3))


def test_what_an_answer_says() -> None:
    head = read_answer(b"HTTP/1.0 404 Nicht da \xfc\r\nA: 1\r\na: 2\r\n\r\n")
    assert head is not None
    assert (head.status, head.phrase, head.http10) == (404, b"Nicht da \xfc", True)
    assert head.lines == ((b"A", b"1"), (b"a", b"2"))
    assert head.fields == {b"a": b"1, 2"}
    assert head.repeated == {b"a"}


@settings(max_examples=500, deadline=None)
@given(changes=st.lists(_ANSWER_DRAFTS, min_size=1, max_size=4))
def test_no_answer_is_read_otherwise_than_strictly(changes: list[tuple[int, bytes, int]]) -> None:
    data = _mangled(ANSWER, changes)
    head = read_answer(data)
    if head is None:
        return
    strict = read_response(data, b"HEAD")
    assert strict is not None
    message, length = strict
    assert length == len(data)
    # The space behind the status may be missing where there is no phrase; some servers leave it out.
    started = b"HTTP/1.%d %d %b" % (not head.http10, head.status, head.phrase)
    assert (message.status, message.start.rstrip(b" ")) == (head.status, started.rstrip(b" "))
    assert _lines(message.lines) == head.lines


CALL = b"\r\n".join(
    [
        b"POST /mcp HTTP/1.1",
        b"Host: edge.test",
        b"authorization: Bearer a.b.c",
        b"Content-Length: 12",
        b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"",
        b"",
    ]
)
ALIKE = [
    HEAD,
    HEAD.replace(b"b=c", b"b=d"),
    HEAD.replace(b"\r\n\r\n", b"\r\nX-A: 1\r\n\r\n"),
    HEAD.replace(b"\r\n\r\n", b"\r\nX-A: 2\r\n\r\n"),
    HEAD.replace(b"Host", b"Hos t"),
    HEAD.replace(b"GET", b"TRACE"),
    HEAD.replace(b"\r\n\r\n", b"\r\nX-Long: %b\r\n\r\n" % (b"a" * 5000)),
    CALL,
    CALL.replace(b"a.b.c", b"a.b.d"),
    CALL.replace(b": 12", b": 7"),
    CALL.replace(b"-01", b"-00").replace(b"a.b.c", b"A.b.c").replace(b": 12", b": 0012"),
    CALL.replace(b"Bearer a.b.c", b"Bearer a.b.c, Bearer d.e.f"),
    CALL.replace(b"Bearer a.b.c", b"Bearer  a.b.c"),
    CALL.replace(b"a.b.c", b"a.b.c "),
    CALL.replace(b"a.b.c", b"a.b.\x01"),
    CALL.replace(b"a.b.c", b"a.b.c\r\n d"),
    CALL.replace(b"a.b.c", b"a.b.c\nX-A: 1"),
    CALL.replace(b"n: B", b"n:B"),
    CALL.replace(b"n: B", b"n : B"),
    CALL.replace(b"auth", b"Auth"),
    CALL.replace(b"auth", b"X-auth"),
    CALL.replace(b": 12", b": +12"),
    CALL.replace(b": 12", b": 12, 12"),
    CALL.replace(b": 12", b": " + b"9" * 19),
    CALL.replace(b": 12", b":"),
    CALL.replace(b"Content-Length: 12", b"Transfer-Encoding: chunked"),
    CALL.replace(b"Content-Length: 12\r\n", b"Content-Length: 12\r\nContent-Length: 12\r\n"),
    CALL.replace(b"Content-Length: 12\r\n", b"Content-Length: 12\r\nContent-Length: 13\r\n"),
    CALL.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer g.h.i\r\n\r\n"),
    CALL.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer j.k.l\r\n\r\n"),
    CALL.replace(b"-01", b"-01,00-1"),
    CALL.replace(b"/mcp", b"/mcp2"),
    CALL.replace(b"edge", b"edgy"),
]


@given(st.lists(st.sampled_from(ALIKE), max_size=12))
def test_a_head_that_comes_again_reads_as_it_did_and_any_other_as_itself(heads: list[bytes]) -> None:
    read = RequestHeads(PEER)
    assert [read(head) for head in heads] == [read_request(head, PEER) for head in heads]
    # The copy: what is compared is what was said, not where it lies.
    assert [read(bytes(bytearray(head))) for head in heads] == [read_request(head, PEER) for head in heads]


@pytest.mark.parametrize("other", [pytest.param(head, id=str(index)) for index, head in enumerate(ALIKE)])
def test_what_two_heads_have_in_common(other: bytes) -> None:
    """Shared is what was worked out only between heads that differ in what varies."""
    read = RequestHeads(PEER)
    first, second = read(CALL), read(other)
    assert isinstance(first, tuple)
    if isinstance(second, Reason):
        return
    varying = {b"authorization", b"content-length", b"traceparent"}
    assert (second[0].common is first[0].common) <= (
        [line for line in first[0].lines if line[0].lower() not in varying]
        == [line for line in second[0].lines if line[0].lower() not in varying]
    )
    assert (second[0].memo is first[0].memo) == (other == CALL)


def test_what_varies_is_read_alone() -> None:
    read = RequestHeads(PEER)
    first, second = read(CALL), read(CALL.replace(b"a.b.c", b"d.e.f").replace(b": 12", b": 3"))
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert second[0].common is first[0].common
    assert second[0].fields[b"authorization"] == b"Bearer d.e.f"
    assert second[0].fields[b"content-length"] == b"3"
