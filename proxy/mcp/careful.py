"""JSON read with every key in sight: what decides must be said once, in one spelling.

Pure. Knows JSON (RFC 8259) and how readers of it differ: in which of two equal keys counts, in whether case
counts (Go's encoding/json folds it, Unicode included), in whether a key ends at a NUL.
"""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 64
"""How deep objects and arrays may lie within each other."""
# Each costs a microsecond, in which nobody else is served.
_MOST_NESTED = 100_000
_MOST_DIGITS = 4000
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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
    if body.count(b"{") + body.count(b"[") > DEEPEST:
        brackets = _brackets(body)
        if brackets.count(b"[") > _MOST_NESTED:
            raise Malformed(f"has more than {_MOST_NESTED} objects and lists")
        if _is_too_deep(brackets):
            raise Malformed(f"is nested deeper than {DEEPEST}")
    try:
        return _loads(text)
    except (ValueError, RecursionError):
        raise Malformed("is no JSON document") from None


def sole(found: Found, names: frozenset[str]) -> dict[str, Any]:
    """Return the members of these names; the others are nobody's business here.

    Raises:
        Malformed: one of them is there twice, or in another spelling that some reader takes for it.
    """
    members: dict[str, Any] = {}
    spellings = {folded(name): name for name in names}
    seen: set[str] = set()
    for key, value in found.pairs:
        spelling = folded(key)
        if spelling not in spellings:
            continue
        if key not in names:
            raise Malformed(f"has a key that some readers take for {spellings[spelling]}")
        if spelling in seen:
            raise Malformed(f"has the key {key} twice")
        seen.add(spelling)
        members[key] = value
    return members


def plain(value: Any) -> Any:
    """Return a value with dicts in place of `Found`; of equal keys the last counts."""
    if isinstance(value, Found):
        return {key: plain(one) for key, one in value.pairs}
    return [plain(one) for one in value] if isinstance(value, list) else value


def folded(key: str) -> str:
    """Return what the most lenient reader makes of a key."""
    # In capitals first: to Java's equalsIgnoreCase an i is also one without a dot, or a capital with one.
    return key.partition("\0")[0].upper().casefold().replace("\u0307", "")


def _brackets(body: bytes) -> bytes:
    """Return the brackets that are in no text, all of one kind. Linear."""
    # A quote is one of a string's ends where an even number of backslashes stands before it.
    parts = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    return b"".join(parts[::2]).translate(_BRACKETS, _NO_BRACKETS)


def _is_too_deep(brackets: bytes) -> bool:
    for _ in range(DEEPEST):
        # Every pair with nothing in it goes: what is left is less deep by one.
        before, brackets = brackets, brackets.replace(b"[]", b"")
        if brackets == before:
            break
    return b"[]" in brackets or brackets.count(b"[") > DEEPEST


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=Found, parse_constant=_no_number)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # There is a whole number of more digits than Python converts.
        return json.loads(text, object_pairs_hook=Found, parse_constant=_no_number, parse_int=_whole)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _no_number(name: str) -> Any:
    raise Malformed(f"has {name}, which is no number in JSON")
