"""Logs as blocks of whole lines: a part of a file, a compressed file, standard input.

Knows descriptors and compression (gzip: RFC 1952, zstd: RFC 8878), told by a file's first bytes and not by
its name. Must never know what a line says.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from types import ModuleType

STDIN: Final = "-"
# Stays in a processor's own cache while it is looked through several times, and is small enough for malloc to
# use the same memory again (M_MMAP_THRESHOLD): 256 KiB would be three times as slow to read.
_BLOCK: Final = 96 * 1024
LONGEST: Final = 16 * 1024 * 1024
"""Bytes of a line beyond which it is none: lines of ours are a few thousand at most."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class ReadError(Exception):
    """A log that cannot be read, or not to its end; the text names it."""


class Block(Struct, gc=False):
    """Whole lines. `offset` is where they begin; `line` the number of the first, where it is known."""

    data: bytes
    offset: int
    line: int | None = None


class Source(Struct, frozen=True):
    """A log by its name (`-` is standard input); `size` is in bytes where it can be read in parts, else 0."""

    name: str
    size: int = 0
    length: int = 0
    """Bytes to read until its end, as they are stored; 0 where nobody knows."""


def source(name: str) -> Source:
    """Look at a log. Raises ReadError where it is none that could be read."""
    if name == STDIN:
        return Source(name)
    try:
        held = os.stat(name)  # noqa: PTH116 - a FIFO that is opened twice has lost what was written to it
        if not stat.S_ISREG(held.st_mode) and not stat.S_ISDIR(held.st_mode):
            return Source(name)
        with open(name, "rb") as file:  # noqa: PTH123 - a name may be of anything
            packed = file.read(len(_ZSTD)).startswith((_GZIP, _ZSTD))
    except OSError as error:
        raise ReadError(f"{name}: {error.strerror}") from None
    return Source(name, 0 if packed else held.st_size, held.st_size)


def cuts(log: Source, piece: int) -> list[int]:
    """Where a file may be cut between two lines, about every `piece` bytes; begin and end included."""
    places = [0]
    with _opened(log.name) as file:
        while places[-1] + piece < log.size:
            at = places[-1] + piece - 1
            while at < log.size and (found := os.pread(file.fileno(), _BLOCK, at)):
                newline = found.find(b"\n")
                at += newline + 1 if newline >= 0 else len(found)
                if newline >= 0:
                    break
            places.append(min(at, log.size))
    if places[-1] < log.size:
        places.append(log.size)
    return places


def part(name: str, start: int, end: int) -> Iterator[Block]:
    """The lines from byte `start` until before `end`, both of them places between lines."""
    with _opened(name) as file:
        at, size = start, _BLOCK
        while at < end and (data := os.pread(file.fileno(), min(size, end - at), at)):
            cut = len(data) if at + len(data) == end else data.rfind(b"\n") + 1
            if cut == 0 and size < LONGEST:
                size = min(size * 2, LONGEST)
                continue
            yield Block(data[:cut] if cut else data, at)
            at += cut or len(data)
            size = _BLOCK


def stream(name: str) -> Iterator[Block]:
    """The lines of a compressed file, of a FIFO or of standard input."""
    held, at, line = b"", 0, 1
    with _opened(name) as file:
        for data in _plain(name, file):
            held += data
            cut = len(held) if len(held) >= LONGEST else held.rfind(b"\n") + 1
            if cut:
                whole, held = held[:cut], held[cut:]
                yield Block(whole, at, line)
                at += cut
                line += whole.count(b"\n")
    if held:
        yield Block(held, at, line)


def line_at(name: str, place: int) -> int:
    """The number of the line that begins at byte `place` of a file, from 1."""
    return 1 + sum(block.data.count(b"\n") for block in part(name, 0, place))


@contextmanager
def _opened(name: str) -> Iterator[BufferedReader]:
    """A log to read from; whatever goes wrong meanwhile names it."""
    try:
        if name == STDIN:
            yield cast("BufferedReader", sys.stdin.buffer)
        else:
            with open(name, "rb") as file:  # noqa: PTH123 - a FIFO is a log as well
                yield file
    except (OSError, EOFError, ValueError, zlib.error) as error:
        spoken = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadError(f"{name}: {spoken}") from None


def _plain(name: str, file: BufferedReader) -> Iterator[bytes]:
    """What stands in `file`, unpacked."""
    start = file.peek(len(_ZSTD))
    if start.startswith(_GZIP):
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from iter(partial(unpacked.read1, _BLOCK), b"")
    elif start.startswith(_ZSTD):
        with _zstd(name).open(file) as unpacked:
            yield from iter(partial(unpacked.read1, _BLOCK), b"")
    else:
        # A pipe gives what it has.
        yield from iter(partial(file.read1, _BLOCK), b"")


def _zstd(name: str) -> ModuleType:
    for module in ("compression.zstd", "backports.zstd"):  # the former is in Python from 3.14 on
        with suppress(ImportError):
            return import_module(module)
    raise ReadError(
        f"{name}: is compressed with zstd; install keystile[zstd], or: zstdcat … | keystile audit -"
    )
