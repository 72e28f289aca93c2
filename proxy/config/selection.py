"""What the entries of a rule's `mcp` select, and what they leave to one another.

Pure. An operation is a method, and what it names: a tool, a prompt, a resource. What an entry selects is
written as a few patterns of operations; arguments are compared by the condition that stands on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from proxy.config import globs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.config.entry import Entry

Kind = Literal["tool", "resource", "prompt"]
KINDS: tuple[Kind, ...] = ("tool", "resource", "prompt")

# What a method names, None where it is also judged without a name.
_NAMED: dict[str, tuple[Kind | None, ...]] = {
    "tools/call": ("tool",),
    "resources/read": ("resource",),
    "resources/subscribe": ("resource",),
    "resources/unsubscribe": ("resource",),
    "subscriptions/listen": (None, "resource"),
    "prompts/get": ("prompt",),
    "completion/complete": ("prompt", "resource"),
}
_EVERY = "*"


class Operations(NamedTuple):
    """Some operations: a pattern of methods and one of what they name; without a kind, they name nothing."""

    method: globs.Parts
    kind: Kind | None
    name: globs.Parts


def selected(entry: Entry) -> list[Operations]:
    """Return what an entry of one kind at most selects, its arguments apart; nothing where no method fits."""
    kinds = [kind for kind in KINDS if getattr(entry, kind)]
    methods = [globs.name(method) for method in entry.method or (_EVERY,)]
    if kinds:
        return [
            Operations(globs.name(method), kinds[0], name)
            for method in _named(kinds[0], methods)
            for name in _names(entry, kinds[0])
        ]
    return [one for method in methods for one in _unnamed(method)]


def _named(kind: Kind, methods: list[globs.Parts]) -> Iterator[str]:
    """Return the methods that name something of this kind and fit one of the patterns."""
    for method, kinds in _NAMED.items():
        if kind in kinds and any(globs.covers(one, globs.name(method)) for one in methods):
            yield method


def _names(entry: Entry, kind: Kind) -> list[globs.Parts]:
    read = globs.uri if kind == "resource" else globs.name
    return [read(name) for name in getattr(entry, kind)]


def _unnamed(method: globs.Parts) -> list[Operations]:
    """Return what a pattern of methods selects: whatever the one method that it may be names, too."""
    kinds = _NAMED.get("".join(method), (None,))
    return [Operations(method, kind, globs.name(_EVERY)) for kind in kinds]


def takes(entry: Entry, operations: Operations) -> bool:
    """Say whether an entry selects all of some operations, its arguments apart; True is certain."""
    if entry.method and not any(
        globs.covers(globs.name(method), operations.method) for method in entry.method
    ):
        return False
    kinds = [kind for kind in KINDS if getattr(entry, kind)]
    if not kinds:
        return True
    return kinds == [operations.kind] and any(
        globs.covers(name, operations.name) for name in _names(entry, kinds[0])
    )


def shares(entry: Entry, operations: Operations) -> bool:
    """Say whether an entry selects some of some operations, its arguments apart."""
    return any(
        globs.meet(one.method, operations.method)
        and (one.kind == operations.kind or None in (one.kind, operations.kind))
        and globs.meet(one.name, operations.name)
        for one in selected(entry)
    )
