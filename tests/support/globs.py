"""Path patterns matched the obvious, slow way: what the compiled ones are compared with."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(pattern: str, path: str) -> bool:
    """Say whether a path pattern matches a path; `*` is within a segment, `**` any number of segments."""
    return _fits([part for part in pattern.split("/") if part], [part for part in path.split("/") if part])


def _fits(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(pattern[1:], path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _fits(pattern[1:], path[1:])
