"""The lines of the last while, kept for whoever looks at them: as they were written, unread.

Pure. Knows sizes and numbers. Must never know what a line says: nothing is parsed before somebody looks.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from msgspec import Struct

COUNT: Final = 5000
SIZE: Final = 8 * 1024 * 1024
# What goes beyond a bound is thrown out many at a time: a line costs no more than its place.
_SLACK: Final = 8


class Passed(Struct, frozen=True):
    """Lines, one after another; `following` is the number of the next, `missed` were kept no longer."""

    lines: list[bytes]
    following: int
    missed: int


class Recent:
    """The newest lines: at most `count` of them, and `size` bytes."""

    def __init__(self, count: int = COUNT, size: int = SIZE) -> None:
        self._count = count
        self._size = size
        self._lines = deque[bytes]()
        self._bytes = 0
        self._first = 0

    def append(self, line: bytes) -> None:
        """Keep a line."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes > self._size or len(self._lines) > self._count:
            self._shrink()

    def since(self, number: int, size: int) -> Passed:
        """Return the lines from the one of that number on: about `size` bytes of them, and one at least."""
        start = max(number, self._first) - self._first
        lines: list[bytes] = []
        taken = 0
        for line in islice(self._lines, start, None):
            lines.append(line)
            taken += len(line)
            if taken >= size:
                break
        return Passed(lines, self._first + start + len(lines), max(self._first - number, 0))

    def _shrink(self) -> None:
        lines = self._lines
        size, count = self._size - self._size // _SLACK, self._count - self._count // _SLACK
        while lines and (self._bytes > size or len(lines) > count):
            self._bytes -= len(lines.popleft())
            self._first += 1
