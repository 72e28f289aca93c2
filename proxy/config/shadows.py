"""The rules against one another: which of them no request can ever reach.

Pure. A rule that never applies reads like protection and is none. Requests are told apart by every method and
every host that some rule names, and by one of each that none does.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from proxy.config import addresses, patterns, reach
from proxy.config.document import Slip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from proxy.config.rule import Rule

# What every call of a tool is.
_CALL = "POST"

_Place = tuple[str, int | None]
_Request = tuple[str, _Place]

# What no rule names.
_OTHER = ""
_ELSEWHERE: _Place = ("", None)


class _Selectors(NamedTuple):
    """A rule's selectors; no methods and no places mean any. A place without a port is on any."""

    paths: tuple[str, ...]
    methods: frozenset[str]
    places: tuple[_Place, ...]
    mcp: bool

    def admit(self, request: _Request) -> bool:
        method, (name, port) = request
        return (not self.methods or method in self.methods) and (
            not self.places or (name, None) in self.places or (name, port) in self.places
        )


def slips(rules: Sequence[Rule]) -> Iterator[Slip]:
    """Find the rules, and the paths of rules, that decide nothing."""
    selectors = [_selectors(rule) for rule in rules]
    requests = list(product(_methods(selectors), _places(selectors)))
    for index, rule in enumerate(selectors):
        mine = [request for request in requests if rule.admit(request)]
        before = selectors[:index]
        if not any(_leaves(path, before, mine) for path in rule.paths):
            yield _unreachable(index, rule, before, mine)
            continue
        if rule.mcp:
            yield from _uncalled(index, rule, before, mine)
        for number, path in enumerate(rule.paths):
            if _leaves(path, before, mine) and not _leaves(path, before, mine, fold=True):
                yield Slip(
                    ("rules", index, "path", number),
                    "ambiguous: where case is ignored, all that it matches goes to earlier rules",
                    "write both spellings in one rule",
                )


def _selectors(rule: Rule) -> _Selectors:
    head = {"HEAD"} if "GET" in rule.methods else set()
    places = tuple(addresses.authority(host) for host in rule.host)
    return _Selectors(rule.path, frozenset(rule.methods) | head, places, rule.mcp is not None)


def _methods(rules: Iterable[_Selectors]) -> set[str]:
    return {_OTHER, _CALL}.union(*(rule.methods for rule in rules))


def _places(rules: Iterable[_Selectors]) -> set[_Place]:
    named = {place for rule in rules for place in rule.places}
    return named | {(name, None) for name, _ in named} | {_ELSEWHERE}


def _unreachable(
    index: int, rule: _Selectors, before: Sequence[_Selectors], requests: Sequence[_Request]
) -> Slip:
    alone = (
        f"rules[{number}]"
        for number, other in enumerate(before)
        if not any(_leaves(path, (other,), requests) for path in rule.paths)
    )
    taker = next(alone, "the rules before it")
    return Slip(
        ("rules", index), f"never reached: all that it matches goes to {taker}", "move it up, or remove it"
    )


def _uncalled(
    index: int, rule: _Selectors, before: Sequence[_Selectors], requests: Sequence[_Request]
) -> Iterator[Slip]:
    """Find the paths of a rule for MCP where every call goes to another rule, which refuses it."""
    calls = [request for request in requests if request[0] == _CALL]
    others = [(other, taker) for other, taker in enumerate(before) if calls and not taker.mcp]
    for number, path in enumerate(rule.paths):
        takers = (other for other, taker in others if not _leaves(path, (taker,), calls))
        if (other := next(takers, None)) is not None:
            problem = f"every POST goes to rules[{other}], which is for no MCP and refuses it"
            yield Slip(("rules", index, "path", number), problem, "move this rule up")


def _leaves(
    path: str, rules: Iterable[_Selectors], requests: Iterable[_Request], *, fold: bool = False
) -> bool:
    """Say whether `path` matches something, in one of the requests, that none of `rules` matches.

    With `fold`, case is ignored: a path that another rule decides in that reading is refused as ambiguous.
    """
    if fold:
        path = path.lower()
    near = [
        (rule, other)
        for rule in rules
        for other in ((one.lower() for one in rule.paths) if fold else rule.paths)
        if patterns.compatible(path, other)
    ]
    others = {tuple(other for rule, other in near if rule.admit(request)) for request in requests}
    return any(reach.leaves(path, reach.Paths(some)) for some in others)
