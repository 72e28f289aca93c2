"""Access lines for whoever looks: asked for and read only while somebody does, and forgotten soon after.

A thin shell: it knows when, and who waits. What comes is bounded three times: the lines that are kept, those
that wait for one viewer, and the viewers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from proxy.admin.seen import Seen, seen
from proxy.audit import EACH, SIZE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Recall = Callable[[Mapping[str, int]], Awaitable["Recalled"]]
    """Asked with what it marked the last time, it returns the lines since."""

VIEWERS: Final = 8
WAITING: Final = 500
"""So many lines wait for one viewer."""
_BEFORE: Final = 100
_EVERY: Final = 0.5
_FRESH: Final = 0.25
_FORGET: Final = 60.0
_FEW: Final = 100

_operations = structlog.get_logger()


class Recalled(Struct, frozen=True):
    """Lines of one process or of several; `marks` say how far each was read, `missed` are gone."""

    lines: list[bytes]
    marks: dict[str, int]
    missed: int = 0


class Viewer:
    """Lines on their way to one viewer; what comes while too many wait is only counted."""

    def __init__(self) -> None:
        self.over = False
        """Nothing comes any more."""
        self.missed = 0
        self._waiting = deque[Seen]()
        self._came = asyncio.Event()

    def begin(self, lines: list[Seen]) -> None:
        """Start with these lines."""
        self._waiting.clear()
        self.missed = 0
        self.give(lines, 0)

    def give(self, lines: list[Seen], missed: int) -> None:
        """Add lines."""
        room = WAITING - len(self._waiting)
        # The newest are worth more than those before them.
        kept = lines[-room:] if room else []
        self._waiting.extend(kept)
        self.missed += missed + len(lines) - len(kept)
        if lines or missed:
            self._came.set()

    def end(self) -> None:
        """Have whoever waits for lines wait no longer."""
        self.over = True
        self._came.set()

    async def take(self, seconds: float) -> tuple[list[Seen], int]:
        """Return what came, and how many were missed; nothing where nothing comes within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            return [], 0
        self._came.clear()
        lines, missed = list(self._waiting), self.missed
        self._waiting.clear()
        self.missed = 0
        return lines, missed


class Watch:
    """The lines of the last while, as `recall` brings them."""

    def __init__(self, recall: Recall, size: int = SIZE) -> None:
        self._recall = recall
        self._size = size
        self._marks: dict[str, int] = {}
        self._lines = deque[tuple[Seen, bytes]]()
        self._bytes = 0
        self._viewers: set[Viewer] = set()
        self._asking = asyncio.Lock()
        self._asked = self._looked = -_FORGET
        self._following: asyncio.Task[None] | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """Whether there are as many viewers as may be."""
        return len(self._viewers) >= VIEWERS

    async def look(self) -> list[Seen]:
        """Return the lines as they are now."""
        self._looked = monotonic()
        self._forget_later()
        async with self._asking:
            if monotonic() - self._asked >= _FRESH:
                await self._ask()
        return [line for line, _ in self._lines]

    async def raw(self) -> list[bytes]:
        """Return the lines as they are now, as they were written."""
        await self.look()
        return [raw for _, raw in self._lines]

    async def enter(self) -> Viewer:
        """Begin to follow: the latest lines, and those from now on, go to the viewer that is returned."""
        viewer = Viewer()
        self._viewers.add(viewer)
        try:
            viewer.begin((await self.look())[-_BEFORE:])
        except BaseException:
            self.leave(viewer)
            raise
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Follow no longer."""
        self._viewers.discard(viewer)
        if not self._viewers and self._following is not None:
            self._following.cancel()
            self._following = None
            self._forget_later()

    def close(self) -> None:
        """Ask for nothing more."""
        for viewer in list(self._viewers):
            viewer.end()
            self.leave(viewer)
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forget()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            try:
                async with self._asking:
                    await self._ask()
            except Exception as error:  # noqa: BLE001 - whatever it was: it is tried again
                _operations.error("admin_failed", page="/events", error=type(error).__name__)

    async def _ask(self) -> None:
        recalled = await self._recall(self._marks)
        self._asked = monotonic()
        if len(recalled.lines) <= _FEW:
            lines = _read(recalled.lines)
        else:
            # Many take a while, and requests do not wait for them.
            lines = await asyncio.to_thread(_read, recalled.lines)
        self._marks = recalled.marks
        self._lines += lines
        self._bytes += sum(len(raw) + EACH for _, raw in lines)
        while self._bytes > self._size:
            self._bytes -= len(self._lines.popleft()[1]) + EACH
        for viewer in self._viewers:
            viewer.give([line for line, _ in lines], recalled.missed)

    def _forget_later(self) -> None:
        if self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(_FORGET, self._forget_if_alone)

    def _forget_if_alone(self) -> None:
        self._forgetting = None
        if self._viewers or monotonic() - self._looked < _FORGET or self._asking.locked():
            self._forget_later()
        else:
            self._forget()

    def _forget(self) -> None:
        self._lines.clear()
        self._bytes = 0
        self._marks = {}
        self._asked = -_FORGET


def _read(lines: list[bytes]) -> list[tuple[Seen, bytes]]:
    read = [(line, raw) for raw in lines if (line := seen(raw)) is not None]
    # Of several processes, each has its own order.
    return sorted(read, key=lambda one: one[0].timestamp)
