"""Logs looked through for a question, several parts of a file at a time.

Knows blocks, the sieve and what is found; runs processes where there is much to read. Must never know how an
answer is shown.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from proxy.audit.agents import Tally
from proxy.audit.blocks import ReadError, Source, cuts, line_at, part, stream
from proxy.audit.entries import read_line
from proxy.audit.query import LINES, Matcher, Query
from proxy.audit.sieve import torn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from proxy.audit.blocks import Block
    from proxy.audit.entries import Entry

PIECE: Final = 32 * 1024 * 1024
"""Bytes of a file that one process looks through at a time."""
_MOST_NAMED: Final = 5
# Lines at the end of a log that are looked at for one that says when it ends.
_TRIES: Final = 10


class Place(Struct, frozen=True):
    """A line of a log: by its number, or by where it begins in a file that was read in parts."""

    name: str
    offset: int
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.line or line_at(self.name, self.offset)}"


class Gaps(Struct):
    """What a log could not hold, or what could not be read of it.

    `dropped` are requests without a line of their own; `cut` are lines with a value that was
    cut, which might have named the target; `sampled` says that lines stand for others, too.
    `first` and `last` are the moments of its first and its last line, in the form of an entry; "" if unknown.
    `malformed` counts lines, `places` are the first of them; `failed` says which logs ended early, and why.
    """

    dropped: int = 0
    cut: int = 0
    sampled: bool = False
    malformed: int = 0
    places: list[Place] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    first: str = ""
    last: str = ""

    def merge(self, later: Gaps) -> None:
        """Add what was met in lines behind these."""
        self.dropped += later.dropped
        self.cut += later.cut
        self.sampled = self.sampled or later.sampled
        self.malformed += later.malformed
        self.places = (self.places + later.places)[:_MOST_NAMED]
        self.failed += later.failed
        self.first = min(filter(None, (self.first, later.first)), default="")
        self.last = max(self.last, later.last)


class Found(Struct):
    """What a part of a log has to say: agents, or the lines themselves where these are asked for."""

    tally: Tally
    gaps: Gaps
    lines: list[bytes] = field(default_factory=list)
    matched: int = 0
    length: int = 0
    """Bytes that were looked through, as they are stored."""


class Task(Struct, frozen=True):
    """A part of a log, to be looked through by one process; `end` is 0 for a log that cannot be cut."""

    log: Source
    start: int
    end: int
    query: Query
    lines: bool


def scan(
    logs: Iterable[Source], query: Query, *, lines: bool = False, piece: int = PIECE, processes: int = 0
) -> Iterator[Found]:
    """Look through `logs`; what is found comes part by part, in the order of the lines.

    `lines` asks for the lines instead of the agents. `processes` is how many work at a time; 0 is one for
    each core, and none but this one where there is little to read.
    """
    tasks = [task for log in logs for task in _tasks(log, query, lines=lines, piece=piece)]
    workers = min(processes or _cores(), len(tasks))
    if workers > 1:
        yield from _together(tasks, workers)
    else:
        yield from map(look, tasks)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _tasks(log: Source, query: Query, *, lines: bool, piece: int) -> Iterator[Task]:
    if not log.size:
        yield Task(log, 0, 0, query, lines)
        return
    places = cuts(log, piece)
    for start, end in pairwise(places):
        yield Task(log, start, end, query, lines)


def _together(tasks: list[Task], workers: int) -> Iterator[Found]:
    # A process that is forked has what it needs at once; elsewhere it would be copied while threads run.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(workers, context, initializer=_quiet) as pool:
        waiting: deque[Future[Found]] = deque()
        left = iter(tasks)
        try:
            # Never far ahead of who takes the answers: they may be lines without end.
            waiting.extend(pool.submit(look, task) for task in islice(left, 2 * workers))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(look, task) for task in islice(left, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _quiet() -> None:
    # Ctrl-C is for the process that has started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def look(task: Task) -> Found:
    """Look through one part of a log."""
    log, name = task.log, task.log.name
    found = Found(Tally(), Gaps(), length=task.end - task.start if task.end else log.length)
    reading = _Reading(task.query, found, lines=task.lines)
    try:
        for block in part(name, task.start, task.end) if task.end else stream(name):
            bad = reading.read(block)
            found.gaps.malformed += len(bad)
            for place in bad[: _MOST_NAMED - len(found.gaps.places)]:
                line = None if block.line is None else block.line + block.data.count(b"\n", 0, place)
                found.gaps.places.append(Place(name, block.offset + place, line))
    except ReadError as error:
        found.gaps.failed.append(str(error))
    reading.close()
    return found


class _Reading:
    """One part's blocks, one after another, for one question."""

    def __init__(self, query: Query, found: Found, *, lines: bool) -> None:
        self._matcher = Matcher(query)
        self._targeted = query.target is not None
        self._found = found
        self._lines = lines
        self._begin = True
        self._end = b""

    def read(self, block: Block) -> list[int]:
        """Add what `block` says; where in it lines begin that are none of a log."""
        sieve, data = self._matcher.sieve, block.data
        if self._begin:
            self._begin = False
            sieve.learn(data)
            self._span(data.split(b"\n", _TRIES))
            self._span(reversed(data.rsplit(b"\n", _TRIES)))
            self._found.tally.since = self._found.gaps.last
        self._end = data
        bad = set(torn(data))
        for place, line in sieve.candidates(data):
            if place not in bad and not self._take(line):
                bad.add(place)
        return sorted(bad)

    def close(self) -> None:
        """Take in what only the end tells."""
        self._span(reversed(self._end.rsplit(b"\n", _TRIES)))

    def _span(self, lines: Iterable[bytes]) -> None:
        """Take in the moment of the first of `lines` that can be read."""
        entries = next(filter(None, map(read_line, lines)), ())
        for entry in entries:
            self._found.gaps.merge(Gaps(first=entry.timestamp, last=entry.timestamp))

    def _take(self, line: bytes) -> bool:
        entries = read_line(line)
        before = self._found.matched
        for entry in entries:
            asked = self._matcher.matches(entry)
            if asked:
                self._found.matched += 1
                self._found.gaps.sampled |= entry.sample_rate is not None
                self._found.tally.add(entry, asked)
            elif entry.event not in LINES:
                self._tell(entry)
            elif entry.truncated and self._targeted and self._matcher.covers(entry):
                self._found.gaps.cut += 1
        if self._lines and self._found.matched > before:
            self._found.lines.append(line)
        return bool(entries) or not line.strip()

    def _tell(self, entry: Entry) -> None:
        """Take in what a line says that stands for others."""
        if entry.event == "access_dropped" and self._matcher.spans(
            entry.timestamp, entry.until or entry.timestamp
        ):
            self._found.gaps.dropped += entry.count
