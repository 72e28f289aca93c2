r"""What can be said of a line before it is parsed: that it cannot be what is asked for.

Knows bytes, and how JSON may spell a text (RFC 8259 section 7). Must never know what a line says. Pure.

The law here is that no line is lost which parsing would have found, whoever wrote it: a text may stand as it
is, or with any of its characters as `\uXXXX`, or with `\/` for a slash. So a search goes for characters that
nobody has to escape, and lines that escape such characters all the same are let through.
"""

from __future__ import annotations

import re
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Final

from proxy.audit.moments import stamp
from proxy.audit.text import capped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.audit.query import Query

# Printable ASCII that no writer has to escape.
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")
# Such a character escaped all the same; behind an escaped backslash, in a JSON text within a text.
_HIDDEN: Final = re.compile(rb"\\(?:u00[2-7]|/)")
# How a number, true, false and null begin: as values these stand without a quotation mark.
_BARE: Final = "-0123456789tfnNI"
# Lines that say what the log does not hold.
_TELLING: Final = (b"access_dropped", b'truncated"')
_OPEN, _SHUT = b"{}"
# Where the moment stands, if the line is a request's and begins as ours do.
_STAMPED: Final = re.compile(
    rb'\{"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","level":"\w+","event":"(?:access|stream_open)"'
)
_STAMPED_ECS: Final = re.compile(rb'\{"@timestamp": ?"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"')
# Within a string the quotation marks would be escaped; a Collector may put many records in one line.
_STAMPED_OTEL: Final = re.compile(rb'"timeUnixNano": ?"(\d{13})\d{6}"')
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Sieve:
    """Lets lines through that a query may mean, and those that tell what the log could not hold."""

    def __init__(self, query: Query) -> None:
        asked = (
            (query.target, _BARE),
            (query.agent, ""),
            (query.reason, ""),
            # Nearly every line says "allow".
            (query.decision if query.decision != "allow" else None, ""),
            (query.tool, ""),
            (query.issuer, ""),
        )
        found = (_needle(glob, bare) for glob, bare in asked if glob is not None)
        self._needles = [needle for needle in found if needle]
        self._start = b"" if query.start is None else stamp(query.start).encode()
        self._end = b"~" if query.end is None else stamp(query.end).encode()
        self._start_ms = -inf if query.start is None else _milliseconds(query.start)
        self._end_ms = inf if query.end is None else _milliseconds(query.end)
        self._timed = query.start is not None or query.end is not None

    def passes(self, line: bytes) -> bool:
        """Whether `line` has to be parsed."""
        for needle in self._needles:
            if needle not in line:
                return _HIDDEN.search(line) is not None or any(sign in line for sign in _TELLING)
        return not self._timed or self._in_time(line)

    def candidates(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines of `block` that have to be parsed, each with its place; `block` is whole lines."""
        if not self._needles:
            return self._each(block)
        if any(sign in block for sign in _TELLING) or (b"\\" in block and _HIDDEN.search(block)):
            return ((at, line) for at, line in _lines(block) if self.passes(line))
        return self._jump(block)

    def learn(self, block: bytes) -> None:
        """Look first for what is rarest in `block`."""
        self._needles.sort(key=block.count)

    def _each(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        if not self._timed:
            return _lines(block)
        return ((at, line) for at, line in _lines(block) if self._in_time(line))

    def _jump(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        needle, *others = self._needles
        at = block.find(needle)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            line = block[start:end]
            if all(other in line for other in others) and (not self._timed or self._in_time(line)):
                yield start, line
            at = block.find(needle, end)

    def _in_time(self, line: bytes) -> bool:
        """Whether its moment may be meant; a line that does not begin as ours do may be of any."""
        found = _STAMPED.match(line)
        if found is not None:
            return self._start <= found[1] < self._end
        if found := _STAMPED_ECS.match(line):
            meant = self._start <= found[1] < self._end
        else:
            moments = _STAMPED_OTEL.findall(line)
            if not moments or line.count(b"timeUnixNano") != len(moments):
                return True
            meant = any(self._start_ms <= int(moment) < self._end_ms for moment in moments)
        return meant or any(sign in line for sign in _TELLING)


def torn(block: bytes) -> list[int]:
    """Where lines begin that are not one JSON object each, by the look of their ends."""
    if _whole(block):
        return []
    bare = ((at, line.strip()) for at, line in _lines(block))
    return [at for at, line in bare if line and not (line.startswith(b"{") and line.endswith(b"}"))]


def _whole(block: bytes) -> bool:
    if not (block.startswith(b"{") and block.endswith(b"}\n")):
        return False
    # From newline to newline is a tenth of what counting them, or a regular expression, takes.
    find, last = block.find, len(block) - 1
    at = find(b"\n")
    while at < last:
        if block[at - 1] != _SHUT or block[at + 1] != _OPEN:
            return False
        at = find(b"\n", at + 1)
    return True


def _lines(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for line in block.split(b"\n"):
        if line:
            yield at, line
        at += len(line) + 1


def _milliseconds(at: float) -> int:
    """Unix milliseconds, as `stamp` tells them."""
    return round(datetime.fromisoformat(stamp(at)).timestamp() * 1000)


def _needle(glob: str, bare: str) -> bytes:
    """Bytes that every line has which says a text that fits, unless it hides them; b"" if there are none.

    A value that begins with one of `bare` may be no string. A line may show no more than the begin of a text.
    """
    shown = capped(_SURROGATE.split(glob)[0])[0]
    parts = (part for piece in re.split(r"[*?]", shown) for part in _PLAIN.findall(piece))
    longest = max(parts, key=len, default="")
    # What a string begins with stands behind a quotation mark, whoever wrote it.
    if longest and shown.startswith(longest) and shown[0] not in bare:
        longest = f'"{longest}'
    return longest.encode()
