"""A steady load of agents, and the books that are kept of it: what was asked, answered, forwarded and logged.

Every request has a path of its own, `/KIND/NUMBER`, so that each can be found in the upstream's notes and in the
access log. Of the kinds only `may` is ever to be admitted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.service import agent_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.support.raw import Address

RULES: list[dict[str, Any]] = [{"name": "load", "path": "/**", "scopes": ["load"]}]
_PATIENCE = 15.0
_OK = 200


def tokens() -> dict[str, str | None]:
    """The credential of each kind: may, lacks the scope, forged, none."""
    may, lacks = agent_token(al_scopes=["load"]), agent_token(sub="agent-lacks", al_scopes=["other"])
    # The payload of one with the signature of the other.
    forged = ".".join((*lacks.split(".")[:1], may.split(".")[1], lacks.split(".")[2]))
    return {"may": may, "lacks": lacks, "forged": forged, "none": None}


@dataclass
class Books:
    """What became of every request; `lost` are those without an answer, by path."""

    answered: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.answered) + len(self.lost)

    def statuses(self, kind: str = "may") -> Counter[int]:
        """How often each status was the answer to requests of one kind."""
        return Counter(status for path, status in self.answered.items() if path.startswith(f"/{kind}/"))

    def wrongly_admitted(self, arrived: Iterable[str]) -> list[str]:
        """Requests that were to be refused, and were answered with 200 or have reached the upstream."""
        admitted = {path for path, status in self.answered.items() if status == _OK} | set(arrived)
        return sorted(path for path in admitted if not path.startswith("/may/"))

    def unlogged(self, lines: Iterable[Mapping[str, Any]]) -> list[str]:
        """Requests that were answered and have not exactly one access line, with the status that was answered."""
        logged = Counter((line["path"], line["status"]) for line in lines if line["event"] == "access")
        return sorted(path for path, status in self.answered.items() if logged[path, status] != 1)


class Load:
    """Agents on keep-alive connections, who connect anew where they must; `rate` is requests a second in all."""

    def __init__(
        self, address: Address, *, rate: int, connections: int, tls: Any = None, mix: int = 8
    ) -> None:
        self.books = Books()
        self._address = address
        self._pause = connections / rate
        self._connections = connections
        self._tls = tls
        self._numbers = itertools.count()
        credentials = tokens()
        # Most are to be admitted; each of the others comes now and then.
        self._kinds = ["may"] * mix + ["lacks", "forged", "none"]
        self._lines = {
            kind: b"" if token is None else f"Authorization: Bearer {token}\r\n".encode()
            for kind, token in credentials.items()
        }
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Ask until `stop`, and then until every answer has come."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._agent())

    def stop(self) -> None:
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    async def _agent(self) -> None:
        clock = asyncio.get_running_loop()
        connection = None
        while not self._stopped.is_set():
            began = clock.time()
            number = next(self._numbers)
            kind = self._kinds[number % len(self._kinds)]
            path = f"/{kind}/{number}"
            try:
                if connection is None:
                    connection = await self._connect()
                status, keeps = await asyncio.wait_for(self._ask(connection, kind, path), _PATIENCE)
            except (OSError, EOFError, TimeoutError):
                self.books.lost.append(path)
                connection = self._close(connection)
            else:
                self.books.answered[path] = status
                if not keeps:
                    connection = self._close(connection)
            with contextlib.suppress(TimeoutError):
                left = max(0.001, self._pause - (clock.time() - began))
                await asyncio.wait_for(self._stopped.wait(), left)
        self._close(connection)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._address
        return await asyncio.open_connection(host, port, ssl=self._tls)

    async def _ask(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], kind: str, path: str
    ) -> tuple[int, bool]:
        reader, writer = connection
        writer.write(
            b"GET %b HTTP/1.1\r\nHost: mcp.example.com\r\n%b\r\n" % (path.encode(), self._lines[kind])
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        return int(head[9:12]), b"connection: close" not in head

    def _close(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
        if connection is not None:
            connection[1].close()


def arrived(notes: Path) -> list[str]:
    """The paths that have reached the upstream."""
    return notes.read_text().splitlines() if notes.exists() else []


def logged(log: Path) -> list[dict[str, Any]]:
    """The lines of an access log; every one is whole."""
    return [json.loads(line) for line in log.read_text().splitlines()]
