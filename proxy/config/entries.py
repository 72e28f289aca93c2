"""The entries of a rule's `mcp`: which of them contradict themselves, and which never apply.

Pure. An entry that no operation reaches reads like protection and is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.document import Slip
from proxy.config.selection import KINDS, selected, takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.config.entry import Entry
    from proxy.config.faults import Location
    from proxy.config.rule import Rule

_SELECTORS = (*KINDS, "method", "arguments")
_REQUIREMENTS = ("scopes", "any_scopes", "claims")


def slips(rule: Rule, at: Location) -> Iterator[Slip]:
    """Find everything that is wrong with the entries of a rule, which stands `at` a place."""
    entries = (rule.mcp.entries if rule.mcp is not None else None) or ()
    for index, entry in enumerate(entries):
        here: Location = (*at, "mcp", index)
        yield from _requirements(entry, here, public=rule.public)
        if not any(getattr(entry, key) for key in _SELECTORS):
            remedy = 'write tool: "*", resource: "**", prompt: "*" or method: "*"'
            yield Slip(here, "without anything that selects: it would take every operation", remedy)
        elif (wrong := _contradiction(entry)) is not None:
            yield Slip(here, *wrong)
        elif (taker := _taker(entries, index)) is not None:
            problem = f"never reached: all that it selects goes to {taker}"
            yield Slip(here, problem, "move it up, or remove it")


def _requirements(entry: Entry, at: Location, *, public: bool) -> Iterator[Slip]:
    for key in ("arguments", *_REQUIREMENTS):
        if key in entry.model_fields_set and not getattr(entry, key):
            yield Slip((*at, key), "empty", "name at least one, or leave the key out")
    for key in _REQUIREMENTS:
        if public and getattr(entry, key):
            yield Slip((*at, key), "a requirement on a public rule", "remove it, or remove public")


def _contradiction(entry: Entry) -> tuple[str, str] | None:
    kinds = [kind for kind in KINDS if getattr(entry, kind)]
    if len(kinds) > 1:
        return f"{' and '.join(kinds)}, while no operation is about both", "write an entry for each"
    if kinds == ["resource"] and entry.arguments:
        return "arguments of a resource, which has none", "remove one of them"
    if not selected(entry):
        return f"a method that names no {kinds[0]}", f"mend method, or remove it: {kinds[0]} is enough"
    return None


def _taker(entries: Sequence[Entry], index: int) -> str | None:
    """Name what takes all that an entry selects; None where something is left."""
    entry, wanted = entries[index], selected(entries[index])
    takers: set[int] = set()
    for operations in wanted:
        taker = next(
            (
                number
                for number, other in enumerate(entries[:index])
                if other.arguments.items() <= entry.arguments.items() and takes(other, operations)
            ),
            None,
        )
        if taker is None:
            return None
        takers.add(taker)
    return f"mcp[{takers.pop()}]" if len(takers) == 1 else "the entries before it"
