"""Patterns of resource URIs as regular expressions: `*` and `?` stop at `/`, `**` does not.

Pure. How patterns are taken apart is `config.globs`. No URI makes a pattern slow: the first place where what
stands behind a wildcard fits is as good as any later one, so all but the last are matched once and for all
(atomic groups), and what fits from no place of a segment is not tried from each of its places.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from proxy.config import globs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RUNS = ("*", "**")
_WILD = (*_RUNS, "?")


def compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile patterns, any of which may match a URI (by `fullmatch`)."""
    return re.compile("|".join(_expression(globs.uri(pattern)) for pattern in patterns), re.DOTALL)


def _expression(parts: globs.Parts) -> str:
    first, *later = _split(parts, "**")
    if not later:
        return "/".join(map(_segment, _split(first, "/")))
    return _run(first) + "".join(_found(run) for run in later[:-1]) + _ending(later[-1])


def _split(parts: Sequence[str], separator: str) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == separator:
            runs.append([])
        else:
            runs[-1].append(part)
    return runs


def _literals(parts: Sequence[str]) -> list[str]:
    """Write what stands between the `*`; no two of which stand side by side."""
    return [
        "".join("[^/]" if part == "?" else re.escape(part) for part in literal)
        for literal in _split(parts, "*")
    ]


def _run(parts: Sequence[str]) -> str:
    """Write what fits here, as short as can be: `**` takes the rest."""
    first, *later = _literals(parts)
    return first + "".join(f"(?>[^/]*?{literal})" for literal in later)


def _found(parts: Sequence[str]) -> str:
    """Write what fits somewhere, the first place of all."""
    first, *later = _literals(parts)
    if not later:
        return f"(?>.*?{first})"
    # Where `*` did not get to what it looked for, the segment does not have it.
    return f"(?>(?:(?={first})[^/]*+/|(?!{first}).)*?{_run(parts)})"


def _ending(parts: Sequence[str]) -> str:
    """Write what fits at the end, behind anything: its last segments, of the first of them only the end."""
    first, *later = _split(parts, "/")
    if not later and not first:
        return ".*"
    return "(?:.*/)?" + "/".join([_segment(["*", *first]), *map(_segment, later)])


def _segment(parts: Sequence[str]) -> str:
    """Write one segment from end to end."""
    first, *later = _literals(parts)
    if not later:
        return first
    between = "".join(f"(?>[^/]*?{literal})" for literal in later[:-1] if literal)
    return f"{first}{between}[^/]*{later[-1]}"


def residues(parts: globs.Parts, text: str) -> list[globs.Parts]:
    """Return what may be left of a pattern behind `text`: a URI that begins so fits where its rest fits one.

    There is nothing left where no URI that begins so fits.
    """
    literal = "".join(takewhile(lambda part: part not in _WILD, parts))
    if not text.startswith(literal):
        return [parts[len(text) :]] if literal.startswith(text) else []
    parts, text = parts[len(literal) :], text[len(literal) :]
    places = _skipped(parts, {0})
    for char in text:
        moved = set()
        for place in places:
            part = parts[place] if place < len(parts) else ""
            if part == "**" or (part == "*" and char != "/"):
                moved.add(place)
            elif part == char or (part == "?" and char != "/"):
                moved.add(place + 1)
        places = _skipped(parts, moved)
    return [parts[place:] for place in sorted(places)]


def _skipped(parts: globs.Parts, places: set[int]) -> set[int]:
    """Add where one gets to without a character."""
    return places | {place + 1 for place in places if place < len(parts) and parts[place] in _RUNS}
