"""One timer wheel for every deadline of the wire.

A loop timer per request costs more than the request's routing. Here a deadline is an attribute: moving it
is an assignment, and the wheel looks at each item at most every few seconds to see where its deadline
has gone meanwhile.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    import asyncio

_TICK = 0.25
# How far ahead an item is listed at most: it bounds how long a closed connection is held by its slot.
_HORIZON = 5.0

_operations = structlog.get_logger()


class Timed(Protocol):
    """Something with one deadline at a time, in monotonic seconds; `inf` means none."""

    deadline: float
    slot: int
    """Where the wheel will look at it next; 0 when it is not listed."""

    def expired(self, now: float) -> None:
        """The deadline has passed; it is `inf` again."""


class Wheel:
    """Calls `expired` of each item within a tick (0.25 s) after its deadline."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, list[Timed]] = {}
        self._next = int(time.monotonic() / _TICK)
        self._timer = loop.call_later(_TICK, self._tick)

    def arm(self, item: Timed, now: float, seconds: float) -> None:
        """Give `item` the deadline `seconds` after `now`, in place of the one it had."""
        at = item.deadline = now + seconds
        if not item.slot or at < item.slot * _TICK:
            self._list(item, now)

    def close(self) -> None:
        """Stop ticking; no deadline fires any more."""
        self._timer.cancel()
        self._slots.clear()

    def _list(self, item: Timed, now: float) -> None:
        slot = max(int(min(item.deadline, now + _HORIZON) / _TICK) + 1, self._next)
        item.slot = slot
        self._slots.setdefault(slot, []).append(item)

    def _expire(self, item: Timed, now: float) -> None:
        try:
            item.expired(now)
        except Exception as error:  # noqa: BLE001 - the other items of this slot must not lose their deadlines
            _operations.error("deadline_failed", error=type(error).__name__)

    def _tick(self) -> None:
        now = time.monotonic()
        due = range(self._next, int(now / _TICK) + 1)
        self._next = due.stop
        self._timer = self._loop.call_later(_TICK, self._tick)
        for slot in due:
            for item in self._slots.pop(slot, ()):
                if item.slot != slot:
                    continue  # it was listed again for an earlier look
                item.slot = 0
                if item.deadline <= now:
                    item.deadline = inf
                    self._expire(item, now)
                elif item.deadline < inf:
                    self._list(item, now)
