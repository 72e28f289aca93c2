"""Patterns of names and of resource URIs: what they match, and what they leave to one another.

Pure. In names `*` and `?` stand for anything; in resource URIs both stop at `/`, and `**` does not. Names
match exactly, case and all.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from proxy.config.faults import UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A pattern as its parts: characters, and what stands for any run of them, a run without a slash, any one of
# them, one that is no slash.
Parts = tuple[str, ...]
_ANY, _RUN, _ONE, _ONE_INSIDE = "**", "*", "??", "?"
_RUNS = frozenset({_ANY, _RUN})
_WILD = frozenset({_ANY, _RUN, _ONE, _ONE_INSIDE})
_WIDE = frozenset({_ANY, _ONE})  # may be a slash

_URI_PARTS = re.compile(r"\*{2,}|.", re.DOTALL)
_UPPER_SCHEME = re.compile(r"[^:/?#*]*[A-Z][^:/?#*]*:")
# `**` before it could be more than a scheme, and `*` in it the begin of more than a host.
_UPPER_HOST = re.compile(r"(?:(?!\*\*)[^/?#])*//[^/?#*]*[A-Z](?![^/]*@)")
_ENCODED = re.compile(r"%(2[DEF]|3[0-9]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)
_OCTET = re.compile("%[0-9A-Fa-f]{2}")
_NEVER = re.compile(r'[\x00-\x20\x7f\\"<>^`{|}]')  # RFC 3986 section 2


def compiled(globs: Iterable[str]) -> re.Pattern[str]:
    """Compile name patterns, any of which may match (by `fullmatch`); no text makes them slow.

    The first place where what stands behind a `*` fits is as good as any later one, but for the last.
    """
    return re.compile("|".join(map(_expression, globs)), re.DOTALL)


def _expression(glob: str) -> str:
    first, *later = (".".join(map(re.escape, part.split("?"))) for part in glob.split("*"))
    if not later:
        return first
    return first + "".join(f"(?>.*?{part})" for part in later[:-1] if part) + ".*" + later[-1]


@lru_cache(maxsize=4096)
def name(glob: str) -> Parts:
    """Take a pattern of names apart."""
    return tuple({"*": _ANY, "?": _ONE}.get(char, char) for char in glob)


@lru_cache(maxsize=4096)
def uri(glob: str) -> Parts:
    """Take a pattern of resource URIs apart."""
    return tuple(_ANY if len(part) > 1 else part for part in _URI_PARTS.findall(glob))


def covers(general: Parts, special: Parts) -> bool:
    """Say whether `general` matches whatever `special` matches; True is certain."""
    if not _head(special).startswith(_head(general)):
        return False
    states = _skipped(general, {0})
    for part in special:
        stay = {at for at in states if at < len(general) and _takes_run(general[at], part)}
        move = {at + 1 for at in states if at < len(general) and _takes_one(general[at], part)}
        states = _skipped(general, stay | move)
    return len(general) in states


def _skipped(parts: Parts, states: set[int]) -> set[int]:
    """Add where one gets to without a character."""
    for start in tuple(states):
        at = start
        while at < len(parts) and parts[at] in _RUNS:
            at += 1
            states.add(at)
    return states


def _takes_run(run: str, part: str) -> bool:
    return run == _ANY or (run == _RUN and part != "/" and part not in _WIDE)


def _takes_one(one: str, part: str) -> bool:
    if one in _RUNS or part in _RUNS:
        return False
    return one in (part, _ONE) or (one == _ONE_INSIDE and part not in ("/", _ONE))


def meet(one: Parts, other: Parts) -> bool:
    """Say whether some text matches both."""
    first, second = _head(one), _head(other)
    if not (first.startswith(second) or second.startswith(first)):
        return False
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        here, there = waiting.pop()
        if (here, there) == (len(one), len(other)):
            return True
        for state in _next(one, here, other, there):
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return False


def _next(one: Parts, here: int, other: Parts, there: int) -> Iterator[tuple[int, int]]:
    mine = one[here] if here < len(one) else ""
    its = other[there] if there < len(other) else ""
    if mine in _RUNS:
        yield here + 1, there
    if its in _RUNS:
        yield here, there + 1
    if mine and its and _share(mine, its):
        yield here + (mine not in _RUNS), there + (its not in _RUNS)


def _share(one: str, other: str) -> bool:
    """Say whether two parts have a character in common."""
    if one in _WILD and other in _WILD:
        return True
    if one in _WILD:
        one, other = other, one
    return one == other or other in _WIDE or (other in _WILD and one != "/")


@lru_cache(maxsize=4096)
def _head(parts: Parts) -> str:
    """Return what everything that matches begins with."""
    end = next((at for at, part in enumerate(parts) if part in _WILD), len(parts))
    return "".join(parts[:end])


def check_uri(glob: str) -> str:
    """Return a pattern of resource URIs as it is.

    Raises:
        UnfitError: no URI that is admitted (RFC 3986 section 6.2.2, normalized) could ever match it.
    """
    if not glob or _NEVER.search(glob):
        raise UnfitError(
            "a character that no admitted URI contains",
            "write * for {name}, and no spaces, quotes or backslashes",
        )
    plain = _OCTET.sub("", glob)
    if _UPPER_SCHEME.match(plain) or _UPPER_HOST.match(plain):
        raise UnfitError(
            "a scheme or host in upper case, which no admitted URI has", "write both in lower case"
        )
    # Behind ? and # dots mean nothing.
    if not {".", ".."}.isdisjoint(re.split(r"[?#]", glob, maxsplit=1)[0].split("/")):
        raise UnfitError("a dot segment, which no admitted URI has", "write the URI without . and ..")
    if _ENCODED.search(glob):
        raise UnfitError(
            "an encoded slash, backslash or plain character, which no admitted URI has",
            "write the character itself",
        )
    return glob
