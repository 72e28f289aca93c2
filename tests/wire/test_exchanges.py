"""The table of exchanges, each row run whole, byte by byte, pipelined, and behind another request."""

from __future__ import annotations

import json
import re
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.messages import Message, read_request, read_response
from tests.support.upstream import plain, upstream
from tests.wire.exchanges import (
    answers,
    bodies,
    connections,
    malformed_answers,
    malformed_framing,
    malformed_requests,
    request_headers,
    response_headers,
)
from tests.wire.exchanges.table import (
    BEHIND,
    PIPELINED,
    TRICKLED,
    WHOLE,
    Cut,
    Exchange,
    Refused,
    Reply,
    get,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tests.support.raw import Client
    from tests.support.upstream import Upstream


def _rows(*modules: ModuleType) -> list[tuple[str, Exchange, tuple[str, ...]]]:
    """Every row of the modules' tables, with its sentence, and with the CVEs that it stands for."""
    tables = [
        (table, getattr(module, "CVES", {}).get(name, ()))
        for module in modules
        for name, table in vars(module).items()
        if name.isupper()
    ]
    return [
        (row.id, row.values[0], cves) for table, cves in tables if isinstance(table, list) for row in table
    ]


FRAMING = _rows(connections, bodies, answers, malformed_requests, malformed_framing, malformed_answers)
LINES = _rows(request_headers, response_headers)
_REQUEST_ID = re.compile(rb"X-Request-Id: [0-9a-f]{28}")
_TRACEPARENT = re.compile(rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01")
_REFUSAL_KEYS = {"error", "error_description", "reason", "request_id"}


CASES = [
    pytest.param(row, manner, id=f"{name}, {manner}", marks=[pytest.mark.cve(cve) for cve in cves])
    for rows, manners in [
        (FRAMING, (WHOLE, TRICKLED, PIPELINED, BEHIND)),
        # Where one request ends and the next begins is the same for all of these.
        (LINES, (WHOLE, TRICKLED, PIPELINED)),
    ]
    for name, row, cves in rows
    for manner in manners
    if manner not in row.skips
]


def test_no_two_rows_have_the_same_name() -> None:
    names = [name for name, *_ in (*FRAMING, *LINES)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("row", "manner"), CASES)
async def test_exchange(row: Exchange, manner: str, tmp_path: Path) -> None:
    times = 3 if manner == PIPELINED else 1
    replies = row.replies * (1 if row.closes else times)
    arrives = row.arrives * (1 if row.closes else times)
    trickled = manner == TRICKLED
    async with (
        upstream(row.answers * times, trickle=trickled) as server,
        keystile(tmp_path, server.url, **row.config) as proxy,
    ):
        server.fixed = {b"/first": plain(b"first"), b"/next": plain(b"next")}
        async with proxy.client() as client:
            if manner == BEHIND:
                await client.write(get("/first") + row.sent)
                assert (await client.response()).content == b"first"
            else:
                await (client.trickle if trickled else client.write)(row.sent * times)
            for reply, method in zip(replies, cycle(row.methods), strict=False):
                await _check_reply(client, reply, method, server, trickled=trickled)
            if row.closes:
                assert await client.rest() == b""
            else:
                await client.write(get("/next"))
                assert (await client.response()).content == b"next"
                assert client.received == b""
        async with proxy.client() as client:
            await client.write(get("/next"))
            assert (await client.response()).content == b"next"

        extra = [line for line in await proxy.lines() if line.get("path") in {"/first", "/next"}]
        lines = [line for line in await proxy.lines() if line not in extra]
    assert [(line["status"], line.get("reason")) for line in lines] == [
        told for reply in replies if (told := _line(reply, row)) is not None
    ]
    assert len(extra) == 2 - row.closes + (manner == BEHIND)
    assert server.faults == []
    reached = [request for request in server.requests if request.target not in {b"/first", b"/next"}]
    assert [_readable(request) for request in reached] == [
        _readable(_expected_arrival(arrival, row, server.authority)) for arrival in arrives
    ]
    if row.connections is not None and manner == WHOLE:
        assert len(server.connections) == row.connections


async def _check_reply(
    client: Client, reply: Reply, method: bytes, server: Upstream, *, trickled: bool
) -> None:
    if isinstance(reply, Cut):
        # How much of it had left when the fault was seen is a matter of packets; more than this is wrong.
        assert reply.sent.startswith(await client.rest())
        client.received.clear()
        return
    answer = await client.response(method)
    if isinstance(reply, Refused):
        assert answer.status == reply.status
        assert (answer.value(b"connection") == b"close") is reply.closes
        if method != b"HEAD":
            body = json.loads(answer.content)
            assert (body["reason"], set(body)) == (reply.reason, _REFUSAL_KEYS)
        return
    read = read_response(reply.replace(b"{upstream}", server.authority), method, ended=True)
    assert read is not None
    assert _readable(answer, framed=not trickled) == _readable(read[0], framed=not trickled)


def _readable(message: Message, *, framed: bool = True) -> tuple[bytes, list[bytes], bytes]:
    """A message in the form in which two are compared: random values named, the order of names forgotten."""
    lines = (
        _TRACEPARENT.sub(b"traceparent: new", _REQUEST_ID.sub(b"X-Request-Id: new", line))
        for line in message.lines
    )
    # Stable, so that lines of one name keep their order.
    ordered = sorted(lines, key=lambda line: line.partition(b":")[0].lower())
    return message.start, ordered, message.body if framed else message.content


def _expected_arrival(arrival: bytes, row: Exchange, authority: bytes) -> Message:
    read = read_request(arrival)
    assert read is not None
    lines = [b"Host: " + authority, *read[0].lines, *row.told, b"X-Request-Id: new"]
    if read[0].value(b"traceparent") is None:
        lines.append(b"traceparent: new")
    return Message(read[0].start, tuple(lines), read[0].body)


def _line(reply: Reply, row: Exchange) -> tuple[int, str | None] | None:
    """Status and reason on the access line; an interim answer has none."""
    if isinstance(reply, bytes):
        status = int(reply.split(b" ")[1])
        return None if status < 200 else (status, row.reason)
    return reply.status, reply.reason
