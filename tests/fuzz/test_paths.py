"""Where any reading of a path, however lenient, would meet another rule, the request is refused.

The readings are those of servers that were not written with each other in mind: they decode once more, ignore case,
cut parameters off, resolve dots, take a backslash for a slash, and do several of these, in any order. Rules are
matched by a few lines of the tests' own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from posixpath import normpath
from typing import TYPE_CHECKING
from unicodedata import category, normalize
from urllib.parse import unquote

import pytest

from proxy.authz import Route, Router, canonical
from proxy.config import Rule
from tests.fuzz.frame import Target, at_length, cut, fuzz, kept, often

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

PATTERNS = {
    "admin": "/admin/**",
    "users": "/api/users/*",
    "report": "/api/**/report",
    "api": "/api/**",
    "mcp": "/mcp",
    "scripts": "/static/*.js",
    "rest": "/**",
}
ROUTERS = (
    Router([Rule(name=name, path=path, scopes=[name]) for name, path in PATTERNS.items()]),
    # Without the last one, what no rule matches is refused.
    Router([Rule(name=name, path=path, scopes=[name]) for name, path in PATTERNS.items() if name != "rest"]),
)


def _chosen(path: str) -> str | None:
    path = path.rstrip("/") or "/"
    return next((name for name, one in _MATCHERS.items() if one(path)), None)


_MATCHERS: dict[str, Callable[[str], object]] = {
    "admin": re.compile(r"/admin(/.*)?", re.DOTALL).fullmatch,
    "users": re.compile(r"/api/users/[^/]+", re.DOTALL).fullmatch,
    "report": re.compile(r"/api(/.*)?/report", re.DOTALL).fullmatch,
    "api": re.compile(r"/api(/.*)?", re.DOTALL).fullmatch,
    "mcp": re.compile(r"/mcp").fullmatch,
    "scripts": re.compile(r"/static/[^/]*\.js", re.DOTALL).fullmatch,
    "rest": re.compile(r".*", re.DOTALL).fullmatch,
}

# ---- readings of servers ------------------------------------------------------------------------------------------

_PARAMETERS = re.compile(r";[^/]*")
_WIDE = re.compile(r"%u([0-9A-Fa-f]{4})")


def _trimmed(path: str) -> str:
    """As Windows reads names of files."""
    return "/".join(name if name in {".", ".."} else name.rstrip(". ") for name in path.split("/"))


READINGS: dict[str, Callable[[str], str]] = {
    "decoded": lambda path: unquote(path, errors="surrogateescape"),
    "decoded as Latin-1": lambda path: unquote(path, "latin-1"),
    "without what is invisible": lambda path: "".join(one for one in path if category(one) != "Cf"),
    "decoded as IIS does": lambda path: _WIDE.sub(lambda found: chr(int(found[1], 16)), path),
    "in lower case": str.lower,
    "case folded": str.casefold,
    "without parameters": lambda path: _PARAMETERS.sub("", path),
    "resolved": lambda path: "/" + normpath(path).lstrip("/"),
    "slashes merged": lambda path: re.sub("/+", "/", path),
    "with slashes for backslashes": lambda path: path.replace("\\", "/"),
    "names trimmed": _trimmed,
    "ended by NUL": lambda path: path.partition("\0")[0],
    "ended by a fragment": lambda path: path.partition("#")[0],
    "ended by a query": lambda path: path.partition("?")[0],
    "spaces trimmed": str.strip,
    "normalised": lambda path: normalize("NFKC", path),
}

# ---- paths --------------------------------------------------------------------------------------------------------

_NAMES = [
    "admin",
    "api",
    "users",
    "report",
    "mcp",
    "static",
    "a.js",
    "x",
    "ADMIN",
    "Api",
    "Mcp",
    "static",
    "a.JS",
    "1",
]
_SYNTAX = [
    *(
        "/",
        "//",
        ".",
        "..",
        "/../",
        "/./",
        "%2e",
        "%2E%2e",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        ";",
        ";x",
        "%3b",
        "?",
        "%3f",
        "#",
        "%23",
    ),
    *(
        "%00",
        " ",
        "%20",
        "%",
        "%25",
        "%252e",
        "%252f",
        "%25%32%66",
        "%u002f",
        "%u0061",
        "...",
        "..;",
        ".%20",
        "%09",
        "%0a",
        "%7f",
        "+",
    ),
    *(
        "%c0%ae",
        "%c0%af",
        "%ef%bc%8f",
        "%ef%bc%8e",
        "%e2%80%8b",
        "%e2%80%8d",
        "%c2%ad",
        "%c5%bf",
        "%e2%84%aa",
        "%c4%b0",
        "%ef%bd%81",
        "%c3%9f",
    ),
    *(
        "%e2%80%a5",
        "%e2%81%84",
        "%ff",
        "é",
        "*",
        "**",
        ":",
        "~",
        "%cc%81",
        "%c2%a0",
        "%e3%80%80",
        "%ef%bc%9b",
        "%61",
        "%41",
        "%6D",
    ),
]


@dataclass(frozen=True)
class Case:
    """A target, and the readings in turn that it is held against."""

    target: bytes
    readings: tuple[tuple[str, ...], ...]
    parameters: bool


def make(random: Random) -> Case:
    segments = [_segment(random) for _ in range(random.randint(1, 4))]
    text = "/" + "/".join(segments)
    while often(random, 0.35):
        at = random.randint(0, len(text))
        text = text[:at] + random.choice(_SYNTAX) + text[at + random.choice((0, 0, 1)) :]
    if often(random, 0.2):
        text += random.choice(("?a=/../admin", "?", "/", "?x#y", "?;"))
    readings = tuple(tuple(random.choices(list(READINGS), k=random.choice((1, 2, 3, 4)))) for _ in range(10))
    return Case(text.encode("latin-1", "replace"), readings, often(random, 0.3))


def _segment(random: Random) -> str:
    name = random.choice(_NAMES)
    if often(random, 0.2):
        name = "".join(f"%{ord(one):02x}" if often(random, 0.3) else one for one in name)
    if often(random, 0.1):
        name = "".join(one.upper() if often(random, 0.3) else one for one in name)
    return name + random.choice(_SYNTAX) if often(random, 0.1) else name


def smaller(case: Case) -> Iterator[Case]:
    if len(case.readings) > 1:
        yield from (replace(case, readings=(one,)) for one in case.readings)
    else:
        steps = case.readings[0]
        yield from (replace(case, readings=(steps[:at] + steps[at + 1 :],)) for at in range(len(steps)))
    yield from (replace(case, target=target) for target in cut(case.target))


class Paths:
    """Counts what passed."""

    def __init__(self) -> None:
        self.passed = 0

    def check(self, case: Case) -> None:
        path = canonical(case.target, parameters=case.parameters)
        if not isinstance(path, str):
            return
        for router in ROUTERS:
            route = router.find("GET", b"edge.test", path)
            if not isinstance(route, Route):
                continue
            self.passed += 1
            raw = case.target.decode("latin-1").partition("?")[0]
            assert _chosen(path) == route.name, "another rule than the one that the patterns say"
            for steps in case.readings:
                read = unquote(
                    raw, "latin-1" if "decoded as Latin-1" in steps else "utf-8", "surrogateescape"
                )
                for step in steps:
                    read = READINGS[step](read)
                assert _chosen(read) == route.name, f"read as {read!r}"


# ---- the tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", kept("paths"))
def test_paths_that_were_found(data: bytes) -> None:
    readings = tuple((one, other) for one in READINGS for other in READINGS)
    for parameters in (False, True):
        Paths().check(Case(data, readings, parameters))


def target(rig: Paths) -> Target[Case]:
    return Target("paths", make, rig.check, smaller)


def test_paths_of_any_spelling() -> None:
    rig = Paths()
    fuzz(target(rig), 20_000, seed=5)
    # Enough of them pass to say something.
    assert rig.passed > 4_000


@pytest.mark.long
def test_paths_of_any_spelling_at_length(capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(Paths()), capsys)
