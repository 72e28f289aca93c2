"""The log file, read back from its end: the newest lines first, for a bounded time.

A thin shell. It reads what is a regular file only: to open a pipe would be to take lines from its reader.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 1024 * 1024
_LONGEST_LINE: Final = 4 * 1024 * 1024
SECONDS: Final = 2.0
SIZE: Final = 256 * 1024 * 1024


class Reading(Struct):
    """How far the reading of a file has come: bytes, and whether its beginning was reached."""

    size: int = 0
    complete: bool = False


def backwards(
    path: str, reading: Reading, seconds: float = SECONDS, size: int = SIZE, block: int = _BLOCK
) -> Iterator[list[bytes]]:
    """Yield whole lines, a block at a time from the end of the file, each block in the file's order.

    It ends at the beginning of the file, after so many seconds or bytes, or before a line beyond all reason.
    A last line without its newline is being written, and left out. Nothing comes where there is no file.

    Raises:
        OSError: it cannot be read.
    """
    if not Path(path).is_file():
        return
    deadline = monotonic() + seconds
    with open(path, "rb", buffering=0, opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position > 0 and reading.size < size and monotonic() < deadline and len(rest) < _LONGEST_LINE:
            start = max(position - block, 0)
            data = os.pread(file.fileno(), position - start, start)
            if len(data) < position - start:  # cut short meanwhile
                return
            reading.size += len(data)
            position = start
            first, found, others = (data + rest).partition(b"\n")
            if position == 0:
                reading.complete = True
                first, others = b"", data + rest
            elif not found:
                rest = first
                continue
            rest = first + b"\n" if position else b""
            lines = others.split(b"\n")
            del lines[-1]
            yield lines


def _opened(path: str, flags: int) -> int:
    # Should it be a pipe by now, nothing waits for its writer.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
