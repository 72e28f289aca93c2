"""Which path patterns may be written, and how they split.

Pure. Patterns are matched against decoded paths, so whatever a canonical path never contains has no
place in one.
"""

from __future__ import annotations

import re

from proxy.config.faults import UnfitError

_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\\%?#]")


def check(pattern: str) -> str:
    """Return a rule's path pattern as it is.

    Raises:
        UnfitError: no canonical path could ever match it, or its meaning is unclear.
    """
    if not pattern.startswith("/"):
        raise UnfitError("not an absolute path", "begin it with /")
    if _NEVER.search(pattern):
        raise UnfitError(
            "a character that no matched path contains",
            "write the decoded path, without %, ?, #, backslash and control characters",
        )
    # Windows drops dots and spaces from the end of a name, so ".. " is a dot segment too.
    if "//" in pattern or not all(part.strip(". ") for part in segments(pattern)):
        raise UnfitError("an empty or dot segment", "write the path without //, . and ..")
    if any("**" in part and part != "**" for part in segments(pattern)):
        raise UnfitError("** beside other characters", "let ** stand alone between slashes, as in /api/**")
    return pattern


def segments(pattern: str) -> tuple[str, ...]:
    """Split a pattern at its slashes; a trailing slash makes no difference."""
    inner = pattern[1:].removesuffix("/") if pattern != "/" else ""
    return tuple(inner.split("/")) if inner else ()


def compatible(one: str, other: str) -> bool:
    """Say cheaply whether two patterns could match the same path; False is certain."""
    first, second = (pattern.partition("*")[0].removesuffix("/") for pattern in (one, other))
    return first.startswith(second) or second.startswith(first)
