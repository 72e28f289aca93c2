"""The entries of one rule's `mcp`: which one decides an operation, and whether a caller may perform it.

Pure apart from a bounded memo. Knows MCP's methods and nothing of JSON-RPC or of the wire. Selectors choose
and nothing else: the first entry that matches decides, and failing what it asks never falls through to a
later one. A rule's own requirements and its entry's are judged as one, so that one refusal names all that is
needed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.authz.entries import Selectors, deciding, fold, selectors
from proxy.authz.rates import paced
from proxy.authz.requirements import barred, judge, prepared, required, told_name
from proxy.authz.uris import canonical_template, canonical_uri, folded, literal_prefix
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.authz.requirements import Route
    from proxy.config import Entry, Issuer, Rule
    from proxy.model import Caller, Kind, Operation

_MOST_REMEMBERED = 4096
_LONGEST_REMEMBERED = 512

# Lifecycle and discovery: without an entry, they need what their rule needs. The answers of the lists
# are filtered, and each resource of subscriptions/listen is judged by itself.
_PASSING = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "subscriptions/listen",
    }
)
_NOTIFICATION = "notifications/"
_COMPLETION = "completion/complete"

_USE: Mapping[Kind, str] = {
    "tool": "tools/call",
    "prompt": "prompts/get",
    "resource": "resources/read",
    "template": "resources/read",
}
# What a method does with what it names, and what is done with that.
_DEEDS: Mapping[str, tuple[str, str]] = {
    "tools/call": ("call", "called"),
    "prompts/get": ("use prompt", "used"),
    "resources/read": ("read", "read"),
    "resources/subscribe": ("subscribe to", "subscribed to"),
    "resources/unsubscribe": ("unsubscribe from", "unsubscribed from"),
    "subscriptions/listen": ("listen to", "listened to"),
    "completion/complete": ("complete", "completed"),
}
_DEED = ("use", "used")

_SHOWN = 100
# Answers go to models and into headers, and clients look for attributes in them.
_UNSHOWN = re.compile(r"[^ \w.:/@%+~*{}()!,-]")


class Admitted(Struct, frozen=True, gc=False):
    """An operation that its caller may perform.

    `entry` is what decided, with its rate and all that it needed, the rule's part included; None where no
    entry was needed.
    """

    entry: Route | None = None


_WITHOUT_ENTRY = Admitted()


class _Entry(Struct, frozen=True):
    route: Route
    selectors: Selectors
    admitted: Admitted


class Operations:
    """What may be asked of the MCP server behind one rule, and by whom.

    `issuers` and `hierarchy` are the configuration's `issuers` and `scopes`. `arguments` names the arguments
    that entries read. `filters` says that there are entries, so that lists are filtered by `usable`, and
    `paces` that one of them has a rate.
    """

    def __init__(self, rule: Rule, issuers: Sequence[Issuer], hierarchy: Mapping[str, Iterable[str]]) -> None:
        entries = rule.mcp.entries if rule.mcp is not None else None
        self._route = prepared(rule, issuers, hierarchy)
        routes = [
            _of_entry(rule, self._route, entry, f"mcp[{index}]", issuers, hierarchy)
            for index, entry in enumerate(entries or ())
        ]
        self._entries = tuple(
            _Entry(route, selectors(entry), Admitted(route))
            for route, entry in zip(routes, entries or (), strict=True)
        )
        self._exact = tuple(entry.selectors for entry in self._entries)
        self._folded = tuple(map(fold, self._exact))
        self._memo: dict[tuple[str, Kind | None, str], tuple[_Entry, ...] | Deny] = {}
        self.arguments = frozenset(name for entry in entries or () for name in entry.arguments)
        self.filters = entries is not None
        self.paces = any(entry.rate is not None for entry in entries or ())

    def judge(self, operation: Operation, caller: Caller | None) -> Admitted | Deny:
        """Say whether `caller` may perform an operation; None came without a token to a public rule.

        A completion is for arguments that are not known yet, and for a template's URIs: it needs one entry of
        those that may decide in the end. See `usable` for which these are.
        """
        found = self._find(operation.method, operation.kind, operation.name)
        if isinstance(found, Deny):
            return replace(found, caller=caller)
        if operation.method == _COMPLETION:
            decides = next((one for one in found if _meets(one, caller)), found[0] if found else None)
        else:
            decides = _chosen(found, operation.arguments)
        if decides is None:
            return self._without_entry(operation, caller)
        refused = None if caller is None else judge(decides.route, caller)
        if refused is None:
            return decides.admitted
        by_arguments = any(one.selectors.arguments for one in found)
        return replace(_worded(refused, operation, by_arguments=by_arguments), entry=decides.route.name)

    def usable(self, kind: Kind, name: str, caller: Caller | None) -> bool:
        """Say whether a list shows this to `caller`: whether it could call, get or read it.

        Every entry counts that decides for some arguments. A template counts by what is literal at its begin:
        an entry decides where some URI that begins so matches it, unless all that do so match an earlier one.
        """
        found = self._find(_USE[kind], kind, name)
        if isinstance(found, Deny):
            return False
        return not self.filters or any(_meets(one, caller) for one in found)

    def _find(self, method: str, kind: Kind | None, name: str) -> tuple[_Entry, ...] | Deny:
        """Return the entries of which one decides, by the arguments, in their order."""
        key = (method, kind, name)
        known = self._memo.get(key)
        if known is not None:
            return known
        found = self._search(method, kind, name)
        # Clients choose all of it: neither many nor long ones may fill the memory.
        if len(method) + len(name) <= _LONGEST_REMEMBERED:
            if len(self._memo) >= _MOST_REMEMBERED:
                self._memo.clear()
            self._memo[key] = found
        return found

    def _search(self, method: str, kind: Kind | None, name: str) -> tuple[_Entry, ...] | Deny:
        if kind not in ("resource", "template"):
            return tuple(self._entries[index] for index in deciding(self._exact, method, kind, name))
        fault = canonical_uri(name) if kind == "resource" else canonical_template(name)
        if fault is not None:
            return fault
        uri = name if kind == "resource" else literal_prefix(name)
        chosen = deciding(self._exact, method, kind, uri)
        # So all spellings that pass, of what some server takes for one resource, meet one and the same entry.
        if chosen != deciding(self._folded, method, kind, folded(uri)):
            return _AMBIGUOUS
        return tuple(self._entries[index] for index in chosen)

    def _without_entry(self, operation: Operation, caller: Caller | None) -> Admitted | Deny:
        method, kind = operation.method, operation.kind
        refused = None if caller is None else judge(self._route, caller)
        if not self.filters or (kind is None and (method in _PASSING or method.startswith(_NOTIFICATION))):
            return _WITHOUT_ENTRY if refused is None else _worded(refused, operation)
        # No scope would help, so none is asked for.
        if refused is not None and refused.reason is not Reason.SCOPE_INSUFFICIENT:
            return refused
        if kind is None:
            return Deny(Reason.OPERATION_UNKNOWN, f"there is no method {_shown(method)} here", caller=caller)
        _, done = _DEEDS.get(method, _DEED)
        detail = f"{kind} {_shown(operation.name)} may not be {done} here"
        return Deny(Reason.OPERATION_REFUSED, detail, caller=caller)


_AMBIGUOUS = Deny(
    Reason.OPERATION_REFUSED,
    "another entry decides over this resource where case, percent-encoding or Unicode forms are ignored",
)


def _of_entry(
    rule: Rule,
    route: Route,
    entry: Entry,
    name: str,
    issuers: Sequence[Issuer],
    hierarchy: Mapping[str, Iterable[str]],
) -> Route:
    """Make what an entry needs, added to what its rule needs; the rate is the entry's own."""
    scopes = tuple(dict.fromkeys(route.scopes + entry.scopes))
    choices = (*route.choices, entry.any_scopes) if entry.any_scopes else route.choices
    return replace(
        route,
        name=f"{rule.name} {name}",
        scopes=scopes,
        choices=choices,
        claims=(*route.claims, *entry.claims.items()),
        required=required(scopes, choices),
        barred=barred({*scopes, *(scope for choice in choices for scope in choice)}, issuers, hierarchy),
        rate=paced(entry.rate, f"{told_name(rule)} {name}"),
    )


def _chosen(entries: tuple[_Entry, ...], arguments: Mapping[str, object]) -> _Entry | None:
    for entry in entries:  # every call passes here, and a generator costs more than the choice
        if not entry.selectors.arguments or entry.selectors.hold(arguments):
            return entry
    return None


def _meets(entry: _Entry, caller: Caller | None) -> bool:
    return caller is None or judge(entry.route, caller) is None


def _worded(refused: Deny, operation: Operation, *, by_arguments: bool = False) -> Deny:
    """Say what the scopes are needed for, as a model or a person can act on it.

    `by_arguments`: with others, something else might be needed.
    """
    if refused.reason is not Reason.SCOPE_INSUFFICIENT:
        return refused
    if operation.kind is None:
        purpose = f"for {_shown(operation.method)}"
    else:
        deed, _ = _DEEDS.get(operation.method, _DEED)
        purpose = f"to {deed} {_shown(operation.name)}{' with these arguments' if by_arguments else ''}"
    return replace(refused, detail=f"{refused.detail} {purpose}")


def _shown(name: str) -> str:
    """Return a client's word as a sentence may repeat it; a query may hold what is nobody else's to read."""
    shown = _UNSHOWN.sub("?", name.partition("?")[0][: _SHOWN + 1])
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
