"""The one reading of a request target's path, or none (RFC 3986 section 3.3).

Pure: bytes in, text or a refusal out. Knows no rule and no wire. A path that two servers could read
differently is refused, because what is judged here and what the upstream serves must be the same
(CVE-2019-9901, CVE-2021-29492, CVE-2021-31920, CVE-2025-47952). Nothing is repaired: what is forwarded is
what came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import AnyStr, Final
from unicodedata import category, combining, normalize
from urllib.parse import unquote_to_bytes

from proxy.model import Deny, Reason

# Segments of visible ASCII without % \ ; ? # that begin with no dot, and a query: nothing to decode or doubt.
_PLAIN = re.compile(rb"((?:/(?![/.])[!\"$&-.0-:<->@-\[\]-~]*+)++)(?:\?[!\"$-~]*+)?")

_Faults = tuple[tuple[re.Pattern[AnyStr], str], ...]
_IN_TARGET: _Faults[bytes] = (
    (re.compile(rb"\A(?!/)"), "does not begin with a slash"),
    (re.compile(rb"[^!-~]"), "holds a byte that is not visible ASCII"),
    (re.compile(rb"#"), "ends in a fragment"),
)
_ENCODED: _Faults[bytes] = (
    (re.compile(rb"%(?![0-9A-Fa-f]{2})"), "holds a % that begins no percent-encoding"),
    (re.compile(rb"%2[Ff]"), "holds an encoded slash"),
)
_DECODED: _Faults[str] = (
    (re.compile(r"[\x00-\x1f\x7f-\x9f]"), "holds a control character"),
    (re.compile(r"\\"), "holds a backslash"),
    # Applications get the path decoded (WSGI, ASGI); a URL that is made of it again ends at these.
    (re.compile(r"[?#]"), "holds an encoded ? or #"),
    (re.compile(r"%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})"), "is percent-encoded twice"),
    (re.compile(r"/(?=[/;])"), "holds an empty segment"),
    # Windows drops dots and spaces from the end of a name, so ".. " is a dot segment too.
    (re.compile(r"/[. ]++(?=[/;]|\Z)"), "holds a segment of dots or spaces alone"),
)
# Unicode's own bound for streams (UAX #15, section 13): normalising takes the square of their number.
_MOST_MARKS: Final = 30
_PARAMETER: _Faults[str] = ((re.compile(";"), "holds a path parameter"),)


def canonical(target: bytes, *, parameters: bool) -> str | Deny:
    """Return the decoded path of an origin-form `target`, without its query, or PATH_AMBIGUOUS.

    `parameters` lets `;` pass (`path_parameters: allow`).
    """
    plain = _PLAIN.fullmatch(target)
    return _careful(target, parameters=parameters) if plain is None else plain[1].decode()


def _careful(target: bytes, *, parameters: bool) -> str | Deny:
    encoded = target.partition(b"?")[0]
    fault = _fault(_IN_TARGET, target) or _fault(_ENCODED, encoded)
    if fault is None:
        try:
            path = unquote_to_bytes(encoded).decode()
        except UnicodeDecodeError:
            fault = "is not UTF-8 when decoded"
        else:
            fault = _fault(_DECODED, path) or _lookalike(path)
            if fault is None and not parameters:
                fault = _fault(_PARAMETER, path if path.isascii() else normal(path))
    return path if fault is None else Deny(Reason.PATH_AMBIGUOUS, f"the path {fault}")


def _fault(faults: _Faults[AnyStr], text: AnyStr) -> str | None:
    return next((sentence for pattern, sentence in faults if pattern.search(text)), None)


def _lookalike(path: str) -> str | None:
    """Say what makes a path ambiguous to a server that normalises Unicode (U+FF0E to a dot)."""
    if path.isascii():
        return None
    if stacked(path):
        return f"holds more than {_MOST_MARKS} marks upon one character"
    seen = normal(path)
    return _fault(_DECODED, seen) or (None if seen.count("/") == path.count("/") else "holds another slash")


def stacked(text: str) -> bool:
    """Say whether marks are stacked upon a character so high that it costs too much to normalise."""
    marks = 0
    for character in text:
        marks = marks + 1 if _is_mark(character) else 0
        if marks > _MOST_MARKS:
            return True
    return False


@lru_cache(maxsize=1024)
def _is_mark(character: str) -> bool:
    return all(map(combining, normalize("NFKD", character)))


def normal(path: str) -> str:
    """Normalise as some servers do: NFKC, without invisible format characters (CVE-2014-9390)."""
    return normalize("NFKC", "".join(character for character in path if category(character) != "Cf"))


def folded(path: str, *, parameters: bool = False) -> str:
    """Return what the most lenient reading of `path` comes down to: a key to compare, never a path to serve.

    Paths with the same key are one resource to some server: to one that ignores case, path parameters, dots
    and spaces at the end of a name, invisible format characters, or the Unicode form. With `parameters` it is
    to one that takes these for a part of the name.
    """
    names = (path.lower() if path.isascii() else normal(path).casefold()).split("/")
    return "/".join([(name if parameters else name.partition(";")[0]).rstrip(". ") for name in names])
