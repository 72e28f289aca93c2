"""Whatever bytes a client sends, what is forwarded has one reading, and it is the one that was judged.

The product runs on connections in memory (`memory.py`). What reached the upstream is read by h11 and by llhttp,
what reached the client by the tests' own strict reader, and what was sent by h11 and llhttp again.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.fuzz.frame import LONG_RUNS, Target, at_length, fuzz, kept
from tests.fuzz.memory import Client, Network, Peer, Rig
from tests.fuzz.readers import Read, Stream, requests_by_h11, requests_by_llhttp
from tests.fuzz.request_bytes import TOKENS, Case, make, smaller
from tests.support.harness import settings_file
from tests.support.messages import Message, UnsoundError, read_request, read_request_head, read_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = b"Bearer the-upstreams-own"
UPSTREAM = "http://127.0.0.1:9"
RULES = [
    {"name": "guarded", "path": "/guarded/**", "scopes": ["read"]},
    {"name": "mcp", "path": "/mcp", "scopes": ["read"], "mcp": True},
    {"name": "open", "path": "/**", "public": True},
]
# What the product writes itself, whatever the client has said.
WRITTEN = {
    *(b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-agent-id", b"x-agent-scopes"),
    *(
        b"accept-encoding",
        b"x-request-id",
        b"traceparent",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
    ),
}
# Why a request may be refused after some of it has been forwarded.
BROKEN_OFF = {"request_malformed"}
_NO_LETTERS = re.compile(rb"[^0-9a-z]")
_CLIENT_CLOSED = 499
_OK = 200


class Upstream:
    """Answers with the id of the request that it answers, in one of several forms."""

    def __init__(self, case: Case) -> None:
        self._early = case.early
        self._form = case.answer

    def heard(self, peer: Peer) -> None:
        while peer.read < len(peer.received) and not peer.transport.gone:
            data = bytes(peer.received[peer.read :])
            try:
                read = read_request(data)
                whole = read is not None
                read = read or (read_request_head(data) if self._early else None)
            except UnsoundError:
                return
            if read is None:
                return
            message, length = read
            peer.read += length if whole else len(data)
            self._answer(peer, message)
            if not whole:
                # The rest of the body is on its way: this connection answers nothing more.
                peer.read = 1 << 40

    def _answer(self, peer: Peer, message: Message) -> None:
        body = message.value(b"x-request-id") or b"?"
        form, self._form = self._form, (self._form + 1) % 6
        shown = b"" if message.method == b"HEAD" else body
        match form:
            case 0 | 1:
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), shown)
            case 2:
                chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if shown else b""
                answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
            case 3:
                answer = b"HTTP/1.1 204 No Content\r\n\r\n"
            case 4:
                answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Nowhere\r\nContent-Length: 0\r\n\r\n"
            case _:
                answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + shown
        peer.transport.deliver(answer)
        if form == 5:
            peer.transport.leave()


class Requests(Rig[Case]):
    """The product behind a client that sends anything."""

    def __init__(self, folder: Path) -> None:
        own = {"headers": {"Authorization": OWN.decode()}}
        super().__init__(settings_file(folder, UPSTREAM, upstream=own, rules=RULES))
        self.forwarded = self.answered = 0

    async def run(self, network: Network, case: Case) -> None:
        upstream = Upstream(case)
        network.heard = upstream.heard
        client = Client(network)
        for piece in case.pieces:
            client.transport.deliver(piece)
            if case.trickles:
                await asyncio.sleep(0)
            elif not case.hastes:
                await network.settle()
        await network.settle()
        ended = client.ended
        client.transport.leave()
        await network.settle()
        lines = network.lines()
        for raw in network.record.lines:
            assert raw.endswith(b"}\n"), raw
            assert not any(token in raw for token in TOKENS), "a token in the log"
        self._judge(case, lines, bytes(client.received), network.peers, ended=ended)

    def _judge(
        self, case: Case, lines: list[dict[str, Any]], answers: bytes, peers: list[Peer], *, ended: bool
    ) -> None:
        assert "internal_error" not in [line.get("reason") for line in lines]
        forwarded = [request for peer in peers for request in forwarded_by(peer)]
        statuses = answered(answers, lines)
        self.answered += len(statuses)
        by_llhttp = requests_by_llhttp(case.data)
        if not (forwarded or by_llhttp.messages):
            return
        by_h11 = requests_by_h11(case.data)
        expected = alike(by_h11, by_llhttp)
        assert len(lines) >= expected or ended, f"{len(lines)} lines for {expected} requests"
        ids = [line["request_id"].encode() for line in lines]
        for request, is_whole in forwarded:
            self.forwarded += 1
            # In the order in which they were sent, with one line for each, unreadable ones included.
            number = ids.index(value(request, b"x-request-id"))
            sent = [
                stream.messages[number] for stream in (by_h11, by_llhttp) if number < len(stream.messages)
            ]
            assert sent, "forwarded, although neither h11 nor llhttp reads a request"
            # Of trailers, which go no further, readers think differently.
            finished = any(one.is_whole or one.body == request.body for one in sent)
            assert not is_whole or finished, "forwarded as whole what never ended"
            for one in sent:
                as_sent(one, request, is_whole=is_whole)
            as_logged(lines[number], request, sent)


def forwarded_by(peer: Peer) -> list[tuple[Read, bool]]:
    """The requests that reached an upstream connection, by two readers that agree on every byte."""
    data = bytes(peer.received)
    by_h11, by_llhttp = requests_by_h11(data), requests_by_llhttp(data)
    assert not by_h11.fault, "h11 does not read what was forwarded"
    assert not by_llhttp.fault, "llhttp does not read what was forwarded"
    assert by_h11.messages == by_llhttp.messages, "what was forwarded has two readings"
    if by_h11.rest:
        assert peer.transport.gone, "a connection that was left in the middle of a request is kept"
        assert len(by_h11.messages) == len(by_h11.whole) + 1, "bytes behind the last request"
    return [(message, message.is_whole) for message in by_h11.messages]


def answered(data: bytes, lines: list[dict[str, Any]]) -> list[int]:
    """The statuses that the client was told: one for each line, in order, and nothing behind the last."""
    statuses = []
    for line in lines:
        if line["status"] == _CLIENT_CLOSED:
            continue
        method = line.get("method", "GET").encode()
        while True:
            read = read_response(data, method, ended=True)
            if (
                read is None
                and line["status"] == _OK
                and line.get("reason") in BROKEN_OFF
                and line is lines[-1]
            ):
                return statuses  # its request turned out to be broken when the answer was on its way
            assert read is not None, f"no whole answer for the line of status {line['status']}"
            answer, length = read
            data = data[length:]
            if answer.status >= 200:
                break
        statuses.append(answer.status)
        assert answer.status == line["status"], "the log tells another status"
        if (
            answer.status == 200
            and line["decision"] == "allow"
            and method != b"HEAD"
            and "upstream_status" in line
        ):
            assert answer.content == line["request_id"].encode(), "another request's answer"
    assert data in {b"", b"HTTP/1.1 100 Continue\r\n\r\n"}, "bytes behind the last answer"
    return statuses


def alike(one: Stream, other: Stream) -> int:
    """How many requests, from the first on, both readers read whole and in the same way."""
    count = 0
    for mine, theirs in zip(one.whole, other.whole, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def as_sent(sent: Read, request: Read, *, is_whole: bool) -> None:
    """Hold a forwarded request against a reading of what the client sent."""
    assert isinstance(request.start, tuple)
    assert isinstance(sent.start, tuple)
    assert request.start[0] == sent.start[0], "another method"
    assert request.start[1] == sent.path, "another target"
    if is_whole and sent.is_whole:
        assert request.body == sent.body, "another body"
    else:
        # A reader that refuses the trailers, which go no further, has not read to the end.
        longer, shorter = (request, sent) if is_whole else (sent, request)
        assert longer.body.startswith(shorter.body), "another body"
    kept = [pair for pair in request.headers if pair[0] not in WRITTEN]
    assert set(kept) <= set(sent.headers), "a header line that nobody sent"


def as_logged(line: dict[str, Any], request: Read, sent: list[Read]) -> None:
    """Hold a forwarded request against its line: the same request, and the identity that was verified."""
    assert isinstance(request.start, tuple)
    assert line["decision"] == "allow" or line["reason"] in BROKEN_OFF
    assert line["method"].encode() == request.start[0]
    assert line["path"].encode() == request.start[1].partition(b"?")[0][:256]
    agent = line.get("agent_id")
    for one in sent:
        credentials = one.values(b"authorization")
        if agent is None:
            assert not any(TOKENS.get(each.partition(b" ")[2]) for each in credentials), (
                "a token that went unread"
            )
        else:
            assert len(credentials) == 1
            scheme, _, sent_token = credentials[0].partition(b" ")
            assert scheme.lower() == b"bearer"
            assert TOKENS.get(sent_token) == agent.encode(), "nobody who was named by the token"
    names = [_NO_LETTERS.sub(b"-", name) for name, _ in request.headers]
    identity = [
        pair for pair, name in zip(request.headers, names, strict=True) if name.startswith(b"x-agent-")
    ]
    spelled = [pair for pair, name in zip(request.headers, names, strict=True) if name == b"authorization"]
    if agent is None:
        assert identity == []
        assert spelled == []
    else:
        scopes = " ".join(line["scopes"]).encode()
        assert identity == [(b"x-agent-id", agent.encode()), (b"x-agent-scopes", scopes)]
        assert spelled == ([] if line["rule"] == "open" else [(b"authorization", OWN)])


def value(request: Read, name: bytes) -> bytes:
    (only,) = request.values(name)
    return only


# ---- the tests ------------------------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Requests]:
    made = Requests(tmp_path)
    yield made
    made.close()


def target(rig: Requests) -> Target[Case]:
    return Target("requests", make, rig.check, smaller)


@pytest.mark.parametrize("data", kept("requests"))
def test_requests_that_were_found(rig: Requests, data: bytes) -> None:
    for answer in range(6):
        rig.check(Case(data, answer=answer))
        rig.check(Case(data, trickles=True, answer=answer))
        rig.check(Case(data, early=True, answer=answer))


def test_requests_of_any_bytes(rig: Requests) -> None:
    fuzz(target(rig), 3_000, seed=5)
    # Enough of them are sound to say something.
    assert rig.forwarded > 1_000
    assert rig.answered > 3_000


@pytest.mark.long
def test_requests_of_any_bytes_at_length(rig: Requests, capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(rig), capsys)
    assert rig.forwarded > LONG_RUNS // 3
