"""Whatever bytes an upstream answers, the client gets one well-formed answer for each request, or a closed connection.

What the client gets is read by h11 and by the tests' own strict reader. Where an answer was passed on whole, h11
or llhttp finds the same content in what the upstream said. Afterwards another client, served by the same pool,
gets its own answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fuzz.frame import LONG_RUNS, Target, at_length, fuzz, kept
from tests.fuzz.memory import Client, Network, Rig
from tests.fuzz.readers import Read, response_by_llhttp, responses_by_h11
from tests.fuzz.response_bytes import Answer, Case, make, smaller
from tests.support.harness import settings_file
from tests.support.messages import read_request, read_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fuzz.memory import Peer

UPSTREAM = "http://127.0.0.1:9"
RULES = [
    {"name": "mcp", "path": "/mcp", "public": True, "mcp": [{"tool": "read"}]},
    {"name": "open", "path": "/**", "public": True},
]
LISTS = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
# What the product writes itself, or changes, whatever the upstream has said.
WRITTEN = {
    b"connection",
    b"transfer-encoding",
    b"content-length",
    b"location",
    b"content-location",
    b"mcp-session-id",
}
_CLIENT_CLOSED = 499


class Upstream:
    """Answers with what the case says, one request after another; a probe with the word `probe`."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self._left = list(answers)
        self.said: dict[str, Answer] = {}
        """What each request, by its id, was answered."""

    def heard(self, peer: Peer) -> None:
        while not peer.transport.gone and (read := read_request(bytes(peer.received[peer.read :]))):
            message, length = read
            peer.read += length
            if message.target == b"/probe":
                peer.transport.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nprobe")
                continue
            answer = self._left.pop(0) if self._left else Answer(b"", end="leaves")
            self.said[(message.value(b"x-request-id") or b"").decode()] = answer
            for piece in answer.pieces:
                peer.transport.deliver(piece)
            if answer.end == "leaves":
                peer.transport.leave()
            elif answer.end == "resets":
                peer.transport.reset()


class Responses(Rig[Case]):
    """The product before an upstream that answers anything."""

    def __init__(self, folder: Path) -> None:
        super().__init__(settings_file(folder, UPSTREAM, rules=RULES))
        self.passed = self.refused = 0

    async def run(self, network: Network, case: Case) -> None:
        upstream = Upstream(case.answers)
        network.heard = upstream.heard
        client = Client(network)
        client.transport.deliver(b"".join(_request(method, case) for method in _methods(case)))
        await network.settle()
        ended, aborted = client.ended, client.transport.aborted
        client.transport.leave()
        await network.settle()
        lines = network.lines()
        await _probe(network)
        self._judge(case, upstream, lines, bytes(client.received), ended=ended, aborted=aborted)

    def _judge(
        self,
        case: Case,
        upstream: Upstream,
        lines: list[dict[str, Any]],
        received: bytes,
        *,
        ended: bool,
        aborted: bool,
    ) -> None:
        methods = _methods(case)
        assert "internal_error" not in [line.get("reason") for line in lines]
        left = bool(lines) and lines[-1].get("reason") == "client_closed"
        assert len(lines) == len(methods) or ended or left, "a request without its line"
        stream = responses_by_h11(received, methods, ended=ended and not aborted)
        strictly = received
        for number, (line, method) in enumerate(zip(lines, methods, strict=False)):
            read = stream.messages[number] if number < len(stream.messages) else None
            if line.get("reason") != "public" and line["status"] in {
                _CLIENT_CLOSED,
                line.get("upstream_status"),
            }:
                # Broken off: nothing stands behind it, and nobody takes what came of it for all there is.
                assert number == len(lines) - 1
                assert read is None or not read.is_whole, "an answer that was broken off reads as a whole one"
                return
            assert read is not None, "no answer for a line"
            assert read.is_whole, "an answer that never ended is told as a whole one"
            assert read.start == line["status"], "the log tells another status"
            strictly = _strictly(strictly, method)
            if "upstream_status" not in line or line["status"] != line["upstream_status"]:
                self.refused += 1
            else:
                self.passed += 1
                if not case.filters:
                    as_said(read, upstream.said[line["request_id"]], method)
        assert _strictly(strictly, b"GET", interim=True) == b"", "bytes behind the last answer"


def _methods(case: Case) -> list[bytes]:
    return [b"POST" if case.filters else method for method in case.methods]


def _request(method: bytes, case: Case) -> bytes:
    version = b"1.0\r\nConnection: keep-alive" if case.http10 else b"1.1"
    if not case.filters:
        return b"%b /open HTTP/%b\r\nHost: edge.test\r\n\r\n" % (method, version)
    return (
        b"POST /mcp HTTP/%b\r\nHost: edge.test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"Accept: application/json, text/event-stream\r\n\r\n%b"
    ) % (version, len(LISTS), LISTS)


def _strictly(data: bytes, method: bytes, *, interim: bool = False) -> bytes:
    """What stands behind the next answer, by a reader that knows one way; behind interim answers, with `interim`."""
    while data:
        read = read_response(data, method, ended=True)
        assert read is not None, "no whole answer, strictly read"
        answer, length = read
        if interim:
            assert answer.status < 200
        data = data[length:]
        if answer.status >= 200:
            break
    return data


async def _probe(network: Network) -> None:
    """Hold the pool against a plain request of another client."""
    network.record.lines.clear()
    client = Client(network)
    client.transport.deliver(b"GET /probe HTTP/1.1\r\nHost: edge.test\r\n\r\n")
    await network.settle()
    (line,) = network.lines()
    assert line["status"] == 200, "the next client gets no answer"
    assert client.received.endswith(b"\r\n\r\nprobe"), "the next client gets another's answer"
    client.transport.leave()


def as_said(read: Read, answer: Answer, method: bytes) -> None:
    """Hold what the client got against readings of what the upstream said."""
    by_h11 = responses_by_h11(answer.data, [method], ended=answer.end == "leaves")
    readings = by_h11.messages[:1]
    if method != b"HEAD":
        readings += response_by_llhttp(answer.data, ended=answer.end == "leaves").messages[:1]
    sound = [one for one in readings if one.is_whole and (one.start, one.body) == (read.start, read.body)]
    assert sound, "passed on, although neither h11 nor llhttp reads this answer"
    passed = {pair for pair in read.headers if pair[0] not in WRITTEN}
    assert any(passed <= set(one.headers) for one in sound), "a header line that nobody sent"


# ---- the tests ------------------------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Responses]:
    made = Responses(tmp_path)
    yield made
    made.close()


def target(rig: Responses) -> Target[Case]:
    return Target("responses", make, rig.check, smaller)


@pytest.mark.parametrize("data", kept("responses"))
def test_responses_that_were_found(rig: Responses, data: bytes) -> None:
    for method in (b"GET", b"HEAD", b"POST"):
        for end in ("stays", "leaves", "resets"):
            answer = Answer(data, (), end)
            rig.check(
                Case((method, b"GET"), http10=False, filters=method == b"POST", answers=(answer, answer))
            )
            rig.check(Case((method, b"GET"), http10=True, filters=False, answers=(answer, answer)))


def test_responses_of_any_bytes(rig: Responses) -> None:
    fuzz(target(rig), 2_000, seed=5)
    # Enough of them are sound to say something.
    assert rig.passed > 1_000
    assert rig.refused > 500


@pytest.mark.long
def test_responses_of_any_bytes_at_length(rig: Responses, capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(rig), capsys)
    assert rig.passed > LONG_RUNS // 4
