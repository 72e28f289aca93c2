"""The lines of the last while, kept for whoever looks at them: as they were written, unread.

Pure. Knows sizes and numbers. Must never know what a line says: nothing is parsed before somebody looks.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from msgspec import Struct

SIZE: Final = 8 * 1024 * 1024
"""Bytes that lines may take: about 5,000 of the usual length."""
EACH: Final = 1000
"""Bytes that a line is counted for beside its own: what it takes once it is read."""
# What goes beyond the bound is thrown out many at a time: a line costs no more than its place.
_SLACK: Final = 8


class Passed(Struct, frozen=True):
    """Lines, one after another; `following` is the number of the next, `missed` were kept no longer."""

    lines: list[bytes]
    following: int
    missed: int


class Recent:
    """The newest lines, of at most `size` bytes, `EACH` included."""

    __slots__ = ("_first", "_lines", "_room", "_size")

    def __init__(self, size: int = SIZE) -> None:
        self._size = self._room = size
        self._lines = deque[bytes]()
        self._first = 0

    def append(self, line: bytes) -> None:
        """Keep a line."""
        self._lines.append(line)
        self._room -= len(line) + EACH
        if self._room < 0:
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
        lines, enough = self._lines, self._size // _SLACK
        while lines and self._room < enough:
            self._room += len(lines.popleft()) + EACH
            self._first += 1
