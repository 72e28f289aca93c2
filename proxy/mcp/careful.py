"""JSON read with every key in sight: what decides must be said once, in one spelling.

Pure. Knows JSON (RFC 8259) and how readers of it differ: in which of two equal keys counts, in whether case
counts (Go's encoding/json folds it, Unicode included), in whether a key ends at a NUL.
"""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 64
"""How deep objects and arrays may lie within each other."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NEST = re.compile(r"[\[{]|[\]}]")
_LONGEST_NUMBER = 4000  # Python converts no more digits


class Malformed(Exception):  # noqa: N818 - a fault of the caller's, not an error of ours
    """The body has no reading, or more than one. Says why in a sentence's second half."""


class Found:
    """An object with its members in their order, equal keys included."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def parsed(body: bytes) -> Any:
    """Return the one document in `body`, its objects as `Found`.

    Raises:
        Malformed: it is no JSON in UTF-8 alone, or too deep.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise Malformed("begins with a byte order mark")
    if _depth(text) > DEEPEST:
        raise Malformed(f"is nested deeper than {DEEPEST}")
    try:
        return json.loads(text, object_pairs_hook=Found, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Malformed("is no JSON document") from None


def sole(found: Found, names: frozenset[str]) -> dict[str, Any]:
    """Return the members of these names; the others are nobody's business here.

    Raises:
        Malformed: one of them is there twice, or in another spelling that some reader takes for it.
    """
    members: dict[str, Any] = {}
    spellings = {folded(name): name for name in names}
    for key, value in found.pairs:
        name = spellings.get(folded(key))
        if name is None:
            continue
        if key != name:
            raise Malformed(f"has a key that some readers take for {name}")
        if name in members:
            raise Malformed(f"has the key {name} twice")
        members[name] = value
    return members


def plain(value: Any) -> Any:
    """Return a value with dicts in place of `Found`; of equal keys the last counts."""
    if isinstance(value, Found):
        return {key: plain(one) for key, one in value.pairs}
    return [plain(one) for one in value] if isinstance(value, list) else value


def folded(key: str) -> str:
    """Return what the most lenient reader makes of a key."""
    return key.partition("\0")[0].casefold()


def _depth(text: str) -> int:
    if text.count("{") + text.count("[") <= DEEPEST:
        return 0
    depth = deepest = 0
    for found in _NEST.finditer(_STRING.sub("", text)):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_number(name: str) -> Any:
    raise Malformed(f"has {name}, which is no number in JSON")
