"""Path patterns as regular expressions: `*` within a segment, `**` across segments.

Pure. No path makes a pattern slow: the first place where a run of segments fits behind `**`, or a literal
behind `*`, is as good as any later one, so all but the last are matched once and for all (atomic groups).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.config import segments

if TYPE_CHECKING:
    from collections.abc import Iterable

_END_OF_SEGMENT = r"(?=/|\Z)"


def compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile patterns, any of which may match (by `fullmatch`) a path without its trailing slash."""
    return re.compile("|".join(_expression(segments(pattern)) for pattern in patterns), re.DOTALL)


def _expression(parts: tuple[str, ...]) -> str:
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == "**":
            runs.append([])
        else:
            runs[-1].append("/" + _segment(part))
    first, *later = ("".join(run) for run in runs)
    if not later:
        return first
    between = "".join(f"(?>(?:/[^/]++)*?{run}{_END_OF_SEGMENT})" for run in later[:-1] if run)
    return f"{first}{between}(?:/[^/]++)*{later[-1]}"


def _segment(pattern: str) -> str:
    """Write one segment; `*` stands for any characters, or none (but no segment of a path is empty)."""
    first, *later = map(re.escape, pattern.split("*"))
    if not later:
        return first
    between = "".join(f"(?>[^/]*?{literal})" for literal in later[:-1] if literal)
    return f"{first}{between}[^/]*{later[-1]}"
