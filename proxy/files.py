"""Files that may change while the proxy runs: whether they have."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Files:
    """Whether files have changed: by their status first, then by what is in them.

    Renaming another file over one of them, and turning the link that leads to it, are changes.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = frozenset(paths)
        self._seen = self._read = self._stamps()
        self._digest = self._contents()

    def follow(self, paths: Iterable[Path]) -> None:
        """Look at these from now on, too: a reading that failed may not have come to all of them."""
        more = frozenset(paths)
        if not more <= self._paths:
            self._paths |= more
            self.mark()

    def mark(self) -> None:
        """Take what is there now for what was read."""
        self._seen = self._read = self._stamps()
        self._digest = self._contents()

    def have_changed(self) -> bool:
        """Look once; a change is told once, at the second look that finds it."""
        stamps = self._stamps()
        before, self._seen = self._seen, stamps
        if stamps == self._read or stamps != before:
            return False
        self._read = stamps
        digest, self._digest = self._digest, self._contents()
        return digest != self._digest

    def _stamps(self) -> tuple[object, ...]:
        return tuple(_stamp(path) for path in sorted(self._paths))

    def _contents(self) -> bytes:
        digest = sha256()
        for path in sorted(self._paths):
            digest.update(_content(path))
        return digest.digest()


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _content(path: Path) -> bytes:
    try:
        # What is no plain file may be a pipe, and reading one may never end.
        return sha256(path.read_bytes()).digest() if path.is_file() else b""
    except OSError:
        return b""
