"""Where a request that leaves something out meets a later rule, or a later entry, that demands less.

Pure. Such a configuration does what it says, and perhaps not what it was written for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import patterns, reach
from proxy.config.demands import demanded, is_less
from proxy.config.document import Slip
from proxy.config.selection import KINDS, Operations, selected, shares, takes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from proxy.config.demands import Hierarchy
    from proxy.config.entry import Entry
    from proxy.config.faults import Location
    from proxy.config.rule import Rule
    from proxy.config.schema import Config

# Methods that change something (RFC 9110 section 9.2.1). A path of MCP takes the first as messages, which its
# entries judge, and refuses the others but DELETE.
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
_UNSAFE_MCP = ("DELETE",)


def slips(config: Config) -> Iterator[Slip]:
    """Find them all."""
    yield from _rules(config.rules, config.scopes)
    for index, rule in enumerate(config.rules):
        if rule.mcp is not None and rule.mcp.entries is not None:
            yield from _Entries(rule, rule.mcp.entries, config.scopes).slips(("rules", index, "mcp"))


def _rules(rules: Sequence[Rule], hierarchy: Hierarchy) -> Iterator[Slip]:
    demands = [demanded(rule) for rule in rules]
    for index, rule in enumerate(rules):
        lesser = {
            later
            for later in range(index + 1, len(rules))
            if is_less(demands[later], demands[index], hierarchy)
        }
        for path in rule.path if rule.methods and lesser else ():
            found = _elsewhere(rules, index, path, lesser)
            if found is not None:
                later, methods = found
                problem = f"without {', '.join(methods)}, which then go to rules[{later}] and need less"
                yield Slip(
                    ("rules", index, "methods"), problem, "name them too, or let the last rule need the most"
                )
                break


def _elsewhere(
    rules: Sequence[Rule], index: int, path: str, lesser: Collection[int]
) -> tuple[int, list[str]] | None:
    """Find the rule out of `lesser` that a path goes to by methods that `rules[index]` does not name."""
    rule = rules[index]
    left = [method for method in (_UNSAFE_MCP if rule.mcp else _UNSAFE) if method not in rule.methods]
    for number, other in enumerate(rules):
        mine, its = set(rule.host), set(other.host)
        if number == index or (mine and its and not mine & its):
            continue
        methods = [method for method in left if not other.methods or method in other.methods]
        whole = _within((path,), other.path)
        if methods and number in lesser and (whole or _within(other.path, (path,))):
            return number, methods
        if whole and (not its or (mine and mine <= its)):
            left = [method for method in left if method not in methods]
    return None


def _within(some: Iterable[str], others: Sequence[str]) -> bool:
    """Say whether one of some path patterns matches nothing but what the `others` match."""
    return any(
        any(patterns.compatible(path, other) for other in others)
        and not reach.leaves(path, reach.Paths(others))
        for path in some
    )


class _Entries:
    """The entries of one rule."""

    def __init__(self, rule: Rule, entries: Sequence[Entry], hierarchy: Hierarchy) -> None:
        self._entries = entries
        self._demands = [demanded(rule, entry) for entry in entries]
        self._hierarchy = hierarchy

    def slips(self, at: Location) -> Iterator[Slip]:
        for index, entry in enumerate(self._entries):
            if (problem := self._without_arguments(index, entry)) is not None:
                yield Slip((*at, index), problem, "let the last entry for it need the most")
            if (problem := self._by_another_method(index, entry)) is not None:
                yield Slip((*at, index), problem, "name every method, or leave method out")

    def _without_arguments(self, index: int, entry: Entry) -> str | None:
        # Whoever asks for absence has thought of it.
        names = [name for name, condition in entry.arguments.items() if condition.present is not False]
        found = self._lesser(index, selected(entry), names) if names else None
        if found is None:
            return None
        return f"where an argument is missing or of another type, it goes to mcp[{found[0]}] and needs less"

    def _by_another_method(self, index: int, entry: Entry) -> str | None:
        if not entry.method or not any(getattr(entry, kind) for kind in KINDS):
            return None
        mine = selected(entry)
        others = [one for one in selected(entry.model_copy(update={"method": ()})) if one not in mine]
        found = self._lesser(index, others, ())
        if found is None:
            return None
        return f"by {''.join(found[1].method)} the same goes to mcp[{found[0]}] and needs less"

    def _lesser(
        self, index: int, some: Iterable[Operations], left_out: Collection[str]
    ) -> tuple[int, Operations] | None:
        """Find the later entry that demands less and takes one of `some` where arguments are left out."""
        for one in some:
            if any(takes(entry, one) and not entry.arguments for entry in self._entries[:index]):
                continue
            for later, entry in enumerate(self._entries[index + 1 :], index + 1):
                if left_out and entry.arguments.keys() >= set(left_out):
                    continue
                less = is_less(self._demands[later], self._demands[index], self._hierarchy)
                if less and shares(entry, one):
                    return later, one
                if takes(entry, one) and not entry.arguments:
                    break
        return None
