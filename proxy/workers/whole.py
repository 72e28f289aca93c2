"""How all workers fare, as one: each is asked, and what one has counted stays counted when it dies.

Likewise the access lines of the last while: each worker keeps its own, and is asked while somebody looks.

Prometheus takes a total that falls for a restart of everything, and would count all of it again. So a worker
that has died, or does not answer, goes on to count with what it told last.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.admin import Recalled, merged, with_counts
from proxy.audit import SIZE
from proxy.workers.channel import ClosedError
from proxy.workers.messages import Look, Repeat, Repeated, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from proxy.admin import Snapshot
    from proxy.workers.seat import Seat

_PATIENCE = 1.0
# A worker hands over so many bytes at a time: its requests do not wait for more.
_PART = 256 * 1024


class _Last(Struct, frozen=True):
    """What the process `pid` told last."""

    pid: int | None
    snapshot: Snapshot


class Whole:
    """The workers on `seats` and their supervisor, of which `own` tells."""

    def __init__(self, seats: Sequence[Seat], own: Callable[[], Snapshot]) -> None:
        self._seats = seats
        self._own = own
        self._last: dict[int, _Last] = {}
        self._gone: Snapshot | None = None
        self._looking: asyncio.Task[Snapshot] | None = None

    async def snapshot(self) -> Snapshot:
        """Ask every worker, once for all who want to know meanwhile; wait for none longer than a second."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> Snapshot:
        try:
            pids = [seat.pid for seat in self._seats]
            answers = await asyncio.gather(*map(_asked, self._seats))
            for seat, pid, answer in zip(self._seats, pids, answers, strict=True):
                self._note(seat.number, pid, answer)
            return self._added_up(answers)
        finally:
            self._looking = None

    async def recall(self, marks: Mapping[str, int]) -> Recalled:
        """Ask every worker for its access lines since `marks`; who does not answer is asked the next time."""
        found = await asyncio.gather(*(_recalled(seat, marks) for seat in self._seats))
        return Recalled(
            [line for one in found for line in one.lines],
            {name: mark for one in found for name, mark in one.marks.items()},
            sum(one.missed for one in found),
        )

    def _note(self, number: int, pid: int | None, answer: Snapshot | None) -> None:
        last = self._last.get(number)
        if last is not None and last.pid != pid:
            del self._last[number]
            self._gone = last.snapshot if self._gone is None else merged((self._gone, last.snapshot))
        if answer is not None:
            self._last[number] = _Last(pid, answer)

    def _added_up(self, answers: Sequence[Snapshot | None]) -> Snapshot:
        whole = merged([self._own(), *(answer for answer in answers if answer is not None)])
        whole.workers = len(self._seats)
        for seat, answer in zip(self._seats, answers, strict=True):
            if answer is None and seat.number in self._last:
                whole = with_counts(whole, self._last[seat.number].snapshot)
        return whole if self._gone is None else with_counts(whole, self._gone)


async def _asked(seat: Seat) -> Snapshot | None:
    try:
        answer = await seat.ask(Look(), _PATIENCE)
    except (TimeoutError, ClosedError):
        return None
    return answer.snapshot if isinstance(answer, Told) else None


async def _recalled(seat: Seat, marks: Mapping[str, int]) -> Recalled:
    """Ask one worker, until it has no more."""
    # Another process in the same place counts from the beginning.
    name = f"{seat.number}:{seat.pid}"
    lines: list[bytes] = []
    missed, mark, left = 0, marks.get(name, 0), SIZE
    while left > 0:
        try:
            answer = await seat.ask(Repeat(mark, _PART), _PATIENCE)
        except (TimeoutError, ClosedError):
            break
        if not isinstance(answer, Repeated):
            break
        passed = answer.passed
        lines += passed.lines
        missed, mark, taken = missed + passed.missed, passed.following, sum(map(len, passed.lines))
        left -= taken
        if taken < _PART:
            break
    return Recalled(lines, {name: mark}, missed)
