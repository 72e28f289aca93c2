"""What is sound in a tree that has faults, so that faults of meaning can be told beside faults of shape.

Pure. Whatever has a fault gives way to something harmless, in its place: the numbers of rules and issuers
stay. What is then found is told only where it cannot be a consequence of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config.faults import Location

_LISTS = ("rules", "issuers")
# Where a fault of meaning stands (in lists: the member) → the other keys that decide over it.
_NEEDS = {
    ("rules", "issuers"): ("issuers",),
    ("rules", "host"): ("hosts", "resource", "listen"),
    ("rules", "path"): ("path_parameters",),
    ("issuers", "audience"): ("resource",),
    ("issuers", "dpop"): ("resource",),
    ("assertion", ""): ("resource",),
    ("upstream", ""): ("listen", "identity_headers"),
    ("listen", ""): ("resource", "hosts"),
    ("identity_headers", ""): ("issuers",),
}


def sound(tree: dict[str, Any], faulty: Iterable[Location]) -> dict[str, Any]:
    """Return a copy of `tree` in which every faulty place is harmless."""
    rest = dict(tree)
    for at in faulty:
        key, elements = at[0], rest.get(str(at[0]))
        if key in _LISTS and len(at) > 1 and isinstance(at[1], int) and isinstance(elements, list):
            rest[str(key)] = [
                _harmless(str(key), index) if index == at[1] else one for index, one in enumerate(elements)
            ]
        else:
            rest.pop(str(key), None)
    # Required, and harmless where they were not to be had.
    return {"upstream": "http://upstream.invalid", "rules": [_harmless("rules", 0)], **rest}


def _harmless(key: str, index: int) -> dict[str, Any]:
    if key == "rules":
        return {"path": f"/keystile/faulty/{index}", "public": True}
    return {"issuer": f"https://issuer-{index}.invalid", "audience": "nobody"}


def is_consequence(at: Location, faulty: Iterable[Location]) -> bool:
    """Say whether a fault of meaning at `at` may come of what gave way, rather than of what was written."""
    gone = {place[0] if place[0] not in _LISTS else place[:2] for place in faulty}
    if at[0] in gone or at[:2] in gone or at[:1] in gone:
        return True
    tainted = {place[0] for place in faulty}
    if at[0] in _LISTS and len(at) == 1:
        return at[0] in tainted or "issuers" in tainted
    inner = str(at[2]) if at[0] in _LISTS and len(at) > 2 else ""  # noqa: PLR2004 - the key, the number, the member
    return not tainted.isdisjoint(_NEEDS.get((str(at[0]), inner), ()))
