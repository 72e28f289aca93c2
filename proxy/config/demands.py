"""What a rule, or an entry of its `mcp`, demands of a caller, and which of two demands is the lesser.

Pure. Demands that only differ are not compared: neither is less than the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from proxy.config.meaning import granted

if TYPE_CHECKING:
    from proxy.config.conditions import Condition
    from proxy.config.entry import Entry
    from proxy.config.rule import Rule

Hierarchy = Mapping[str, tuple[str, ...]]


class Demands(NamedTuple):
    """All of `scopes`, one out of each of `choices`, `claims`, one of `issuers` (any where empty).

    `free` is where no token is needed at all.
    """

    free: bool
    scopes: frozenset[str]
    choices: frozenset[frozenset[str]]
    claims: frozenset[tuple[str, Condition]]
    issuers: frozenset[str]


def demanded(rule: Rule, entry: Entry | None = None) -> Demands:
    """Return what a rule demands, with one of its entries where that is named."""
    parts = (rule,) if entry is None else (rule, entry)
    return Demands(
        free=rule.public or bool(rule.passthrough),
        scopes=frozenset().union(*(part.scopes for part in parts)),
        choices=frozenset(frozenset(part.any_scopes) for part in parts if part.any_scopes),
        claims=frozenset().union(*(part.claims.items() for part in parts)),
        issuers=frozenset(rule.issuers),
    )


def is_less(one: Demands, other: Demands, hierarchy: Hierarchy) -> bool:
    """Say whether whoever meets `other` meets `one`, and not the other way round."""
    return _implies(other, one, hierarchy) and not _implies(one, other, hierarchy)


def _implies(strong: Demands, weak: Demands, hierarchy: Hierarchy) -> bool:
    """Say whether whoever meets `strong` also meets `weak`; True is certain."""
    if weak.free or strong.free:
        return weak.free
    held = _held(strong.scopes, hierarchy)
    return (
        weak.scopes <= held
        and all(_chosen(strong, choice, hierarchy) for choice in weak.choices)
        and weak.claims <= strong.claims
        and (not weak.issuers or (bool(strong.issuers) and strong.issuers <= weak.issuers))
    )


def _chosen(strong: Demands, choice: frozenset[str], hierarchy: Hierarchy) -> bool:
    """Say whether what `strong` demands always holds one of a choice."""
    if choice & _held(strong.scopes, hierarchy):
        return True
    return any(all(choice & _held({scope}, hierarchy) for scope in mine) for mine in strong.choices)


def _held(scopes: frozenset[str] | set[str], hierarchy: Hierarchy) -> set[str]:
    return set(scopes).union(*(granted(hierarchy, scope) for scope in scopes))
