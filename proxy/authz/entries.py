"""What an entry of a rule's `mcp` selects, and which of several entries decide.

Pure. An operation is a method, and what it names by its kind. Tools and prompts are matched by their names,
case and all; resources by their URIs; templates of URIs by what is literal at their begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.authz import uri_patterns
from proxy.authz.uris import folded
from proxy.config import globs

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from proxy.config import ArgumentCondition, Entry
    from proxy.model import Kind

_EVERY_URI = ("**",)
_NO_ARGUMENTS: Mapping[str, object] = {}


class Selectors(Struct, frozen=True):
    """When an entry is chosen: `methods` (None takes any), and what it names by kind, all of it.

    An entry that names nothing takes whatever its methods name. `uris` is the patterns of `resource`.
    """

    methods: re.Pattern[str] | None
    names: Mapping[Kind, re.Pattern[str]]
    uris: tuple[str, ...]
    arguments: tuple[tuple[str, ArgumentCondition], ...]

    def hold(self, arguments: Mapping[str, object]) -> bool:
        """Say whether arguments are as the entry wants them."""
        return not self.arguments or all(
            condition.holds(arguments, name) for name, condition in self.arguments
        )

    def select(self, method: str, kind: Kind | None, name: str) -> bool:
        """Say whether this is about an operation, its arguments apart."""
        if self.methods is None:
            # What names nothing is selected by its method or not at all.
            if kind is None:
                return False
        elif self.methods.fullmatch(method) is None:
            return False
        return all(own == kind and names.fullmatch(name) for own, names in self.names.items())


def selectors(entry: Entry) -> Selectors:
    """Make the selectors of an entry ready."""
    names: dict[Kind, re.Pattern[str]] = {}
    if entry.tool:
        names["tool"] = globs.compiled(entry.tool)
    if entry.prompt:
        names["prompt"] = globs.compiled(entry.prompt)
    if entry.resource:
        names["resource"] = uri_patterns.compiled(entry.resource)
    methods = globs.compiled(entry.method) if entry.method else None
    return Selectors(methods, names, entry.resource, tuple(entry.arguments.items()))


def fold(exact: Selectors) -> Selectors:
    """Return the selectors for URIs that are folded."""
    if not exact.uris:
        return exact
    uris = tuple(map(folded, exact.uris))
    return replace(exact, uris=uris, names={**exact.names, "resource": uri_patterns.compiled(uris)})


def deciding(entries: Sequence[Selectors], method: str, kind: Kind | None, name: str) -> tuple[int, ...]:
    """Return which entries may decide over an operation, the first of them whose arguments hold.

    `name` is a URI where `kind` is "resource", and what a template's URIs begin with where it is "template".
    """
    if kind == "template":
        return _deciding_beginning(entries, method, name)
    found: list[int] = []
    for index, one in enumerate(entries):
        if not one.select(method, kind, name):
            continue
        if kind not in ("tool", "prompt"):
            # Nothing else has arguments, so it is known now whether they hold.
            if not one.hold(_NO_ARGUMENTS):
                continue
            return (index,)
        found.append(index)
        if not one.arguments:
            break
    return tuple(found)


def _deciding_beginning(entries: Sequence[Selectors], method: str, begin: str) -> tuple[int, ...]:
    """Return which entries may decide over a URI that begins so: each that earlier ones leave some."""
    found: list[int] = []
    taken: list[globs.Parts] = []  # what earlier entries match behind the begin
    for index, one in enumerate(entries):
        if not one.hold(_NO_ARGUMENTS) or not _is_about_resources(one, method):
            continue
        uris = map(globs.uri, one.uris or _EVERY_URI)
        matched = [rest for uri in uris for rest in uri_patterns.residues(uri, begin)]
        if any(not any(globs.covers(other, rest) for other in taken) for rest in matched):
            found.append(index)
            taken += matched
    return tuple(found)


def _is_about_resources(entry: Selectors, method: str) -> bool:
    return entry.names.keys() <= {"resource"} and (
        entry.methods is None or entry.methods.fullmatch(method) is not None
    )
