"""Every body of the table, through a running proxy: what arrived upstream, what the agent was told, what the log says."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.table import ROWS, RULE, STATUS
from tests.support.harness import keystile, token
from tests.support.upstream import plain, upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.messages.table import Row
    from tests.support.messages import Message
    from tests.support.raw import Client

_LIMIT = "64KiB"


class Outcome:
    """What became of one row."""

    def __init__(self, answer: Message, arrived: list[Message], line: dict[str, Any]) -> None:
        self.answer = answer
        self.arrived = arrived
        self.line = line


def request(row: Row) -> bytes:
    lines = ["Host: edge.test", f"Authorization: Bearer {token(scope=row.scopes, **row.claims)}", *row.lines]
    if row.content_type is not None:
        lines.append(f"Content-Type: {row.content_type}")
    lines.append(f"Content-Length: {len(row.body)}")
    return "\r\n".join(["POST /mcp HTTP/1.1", *lines, "", ""]).encode() + row.body


async def ask(client: Client, row: Row) -> Message:
    await client.write(request(row))
    return await client.response()


async def run(folder: Path) -> dict[str, Outcome]:
    answers: list[tuple[Message, list[Message]]] = []
    settings = {"rules": [RULE], "limits": {"mcp_body": _LIMIT}, "log": {"output": "access.log"}}
    async with upstream([plain(b"")]) as server, keystile(folder, server.url, **settings) as proxy:
        for row in ROWS:
            before = len(server.requests)
            async with proxy.client() as client:
                answer = await ask(client, row)
            answers.append((answer, server.requests[before:]))
        lines = await proxy.lines()
    assert len(lines) == len(ROWS)
    # The lines stand in the order of the ends, which is the order of the rows: one was over before the next began.
    return {row.says: Outcome(*answer, line) for row, answer, line in zip(ROWS, answers, lines, strict=True)}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return asyncio.run(run(tmp_path_factory.mktemp("messages")))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.says) for row in ROWS if row.reason is None])
def test_what_is_admitted_arrives_byte_for_byte(row: Row, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[row.says]
    assert found.answer.status == 200, found.answer.content
    assert [request.content for request in found.arrived] == [row.body]
    assert (found.line["decision"], found.line.get("reason")) == ("allow", None)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.says) for row in ROWS if row.reason is not None])
def test_what_is_refused_does_not_arrive(row: Row, outcomes: dict[str, Outcome]) -> None:
    found = outcomes[row.says]
    assert (found.line["decision"], found.line["reason"]) == ("deny", row.reason)
    assert found.line["agent_id"] == "acc_1"
    assert found.arrived == []
    assert row.reason is not None
    assert found.answer.status == found.line["status"] == STATUS[row.reason]
    said = json.loads(found.answer.content)
    assert said.get("id") == row.id
    assert ("id" in said) is (row.id is not None)
    assert said["jsonrpc"] == "2.0"
    assert said["error"]["data"]["reason"] == row.reason
    assert (row.sentence or "") in said["error"]["message"]
    challenge = found.answer.value(b"www-authenticate") or b""
    asked = re.search(rb'scope="([^"]*)"', challenge)
    assert (asked[1].decode() if asked else None) == row.needs


def test_the_table_is_as_large_and_as_mixed_as_it_should_be() -> None:
    assert len({row.says for row in ROWS}) == len(ROWS) >= 200
    assert sum(row.reason is None for row in ROWS) >= 50
    assert {row.reason for row in ROWS} == {None, *STATUS}
