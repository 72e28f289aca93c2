"""The audit question answered: over the lines of the last while, and the log file where there is one.

A thin shell around `question`: it reads the file in a thread, for a bounded time, one question after another.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.admin.past import Reading, backwards
from proxy.admin.question import answer
from proxy.admin.seen import ACCESS, seen
from proxy.audit import search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.admin.seen import Seen
    from proxy.audit import Entry, Query

    _Found = dict[object, tuple[Entry, Seen]]

_MOST_FOUND = 20_000
# Lines of several processes, and those of one batch, stand in no strict order.
_DISORDER = 10.0


class Asking:
    """Answers one question at a time: each may take all that a processor has."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def ask(self, query: Query, recent: Sequence[bytes], file: str | None) -> dict[str, Any]:
        """Return the answer, and how much of the log it was looked for in."""
        await self._turn.acquire()
        work = asyncio.ensure_future(asyncio.to_thread(_answered, query, recent, file))
        # A thread goes on when nobody waits for it any more, and so does its turn.
        work.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(work)


class Searched(Struct):
    """Where an answer was looked for: in a `file` or in the recent lines, in how many of them and bytes.

    `complete` says that nothing before can be part of the answer, `problem` why the file could not be read.
    """

    file: str | None = None
    lines: int = 0
    size: int = 0
    complete: bool = False
    problem: str | None = None


def _answered(query: Query, recent: Sequence[bytes], file: str | None) -> dict[str, Any]:
    found: _Found = {}
    searched = Searched(file)
    if file is not None:
        try:
            _search(query, file, found, searched)
        except OSError as error:
            searched.problem = f"the file cannot be read: {error.strerror}"
    else:
        searched.lines = len(recent)
    # What is not in the file yet is here.
    _take(query, recent, found)
    return {**answer(list(found.values())), "searched": searched}


def _search(query: Query, file: str, found: _Found, searched: Searched) -> None:
    """Look through a file from its end, until nothing before can be part of the answer, or it is enough."""
    reading = Reading()
    for lines in backwards(file, reading):
        searched.lines += len(lines)
        searched.size = reading.size
        _take(query, lines, found)
        searched.complete = reading.complete or (query.start is not None and _ended(lines, query.start))
        if searched.complete or len(found) >= _MOST_FOUND:
            return


def _take(query: Query, lines: Iterable[bytes], found: _Found) -> None:
    for entry, raw in _matching(query, lines):
        if entry.event != ACCESS:
            continue
        line = seen(raw)
        if line is not None:
            found.setdefault(_identity(line), (entry, line))


def _matching(query: Query, lines: Iterable[bytes]) -> Iterator[tuple[Entry, bytes]]:
    """What a search finds, each with the line that it was found in: the latest that was taken."""
    taken = b""

    def each() -> Iterator[bytes]:
        nonlocal taken
        for line in lines:
            taken = line
            yield line

    for entry in search((each(),), query):
        yield entry, taken


def _ended(lines: list[bytes], start: float) -> bool:
    """Whether all before these lines was written, and so had arrived, before `start`.

    A line is written when its answer ends: no line before it is of a request that arrived later than that.
    """
    for raw in lines[:3]:
        line = seen(raw)
        if line is None or line.duration_ms is None:
            continue
        try:
            arrived = datetime.fromisoformat(line.timestamp).timestamp()
        except ValueError:
            continue
        return arrived + line.duration_ms / 1000 + _DISORDER < start
    return False


def _identity(line: Seen) -> object:
    return (line.request_id, line.event) if line.request_id is not None else id(line)
