"""Which rule decides a request: the first whose selectors (path, methods, host) match it.

Pure apart from a bounded memo. Selectors choose and nothing else; requirements judge later, and failing
one never falls through to a later rule.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.authz.operations import Operations
from proxy.authz.origins import spellings
from proxy.authz.paths import folded
from proxy.authz.patterns import compiled
from proxy.authz.requirements import UNRULED, Route, prepared
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.config import Issuer, Rule

_MOST_REMEMBERED = 4096
_LONGEST_REMEMBERED = 512
_AMBIGUOUS = Deny(
    Reason.PATH_AMBIGUOUS,
    "another rule decides over this path where case, parameters, final dots or Unicode forms are ignored",
)


class _Selectors(Struct, frozen=True):
    """When a rule is chosen; empty `methods` and `hosts` take any."""

    exact: re.Pattern[str]
    folded: re.Pattern[str]
    whole: re.Pattern[str]
    methods: frozenset[str]
    hosts: frozenset[str]
    route: Route
    paths: tuple[str, ...]


class Router:
    """The rules in their order. `issuers` and `hierarchy` are the configuration's `issuers` and `scopes`."""

    def __init__(
        self,
        rules: Iterable[Rule],
        issuers: Sequence[Issuer] = (),
        hierarchy: Mapping[str, Iterable[str]] = MappingProxyType({}),
    ) -> None:
        self._rules = tuple(_selectors(rule, _route(rule, issuers, hierarchy)) for rule in rules)
        self._reads_host = any(rule.hosts for rule in self._rules)
        below = [_below(path) for rule in self._rules if rule.route.mcp for path in rule.paths if path != "/"]
        self._below_mcp = compiled(below), compiled(map(folded, below))
        # Whoever names a path there means it; a pattern that only happens to reach there does not.
        self._meant = {
            rule.route.name
            for rule in self._rules
            if all(self._is_below(_literal(path)) for path in rule.paths)
        }
        self._memo: dict[tuple[str, bytes, str], Route | Deny | None] = {}

    def find(self, method: str, host: bytes, path: str) -> Route | Deny | None:
        """Return what decides over a request; None where no rule does.

        `host` is the Host value as it came, `path` a canonical path. PATH_AMBIGUOUS where a more
        lenient reading of the path would meet another rule. Whether a preflight of CORS is answered is up to
        the rule for the method that it asks about: see `cors.requested`.
        """
        key = (method, host, path)
        try:
            return self._memo[key]
        except KeyError:
            pass
        found = self._search(method, host, path)
        # Clients choose all three: neither many nor long ones may fill the memory.
        if len(method) + len(host) + len(path) <= _LONGEST_REMEMBERED:
            if len(self._memo) >= _MOST_REMEMBERED:
                self._memo.clear()
            self._memo[key] = found
        return found

    def unruled(self, path: str) -> Route:
        """Return what stands in for a rule where none matches a canonical path: one that asks for nothing."""
        strict, lenient = path.rstrip("/"), folded(path).rstrip("/")
        serves = self._serves_mcp(strict, lenient) or self._is_below(strict, lenient)
        return replace(UNRULED, on_mcp_path=serves)

    def _search(self, method: str, host: bytes, path: str) -> Route | Deny | None:
        listed_as = spellings(host) if self._reads_host else ()
        fitting = [
            rule
            for rule in self._rules
            if (not rule.methods or method in rule.methods)
            and (not rule.hosts or not rule.hosts.isdisjoint(listed_as))
        ]
        strict, lenient = path.rstrip("/"), folded(path).rstrip("/")
        chosen = next((rule.route for rule in fitting if rule.exact.fullmatch(strict)), None)
        feared = [next((rule.route for rule in fitting if rule.folded.fullmatch(lenient)), None)]
        whole = folded(path, parameters=True).rstrip("/")
        if whole != lenient:
            feared.append(next((rule.route for rule in fitting if rule.whole.fullmatch(whole)), None))
        # So all spellings that pass, of what some server takes for one resource, meet one and the same rule.
        if any(one is not chosen for one in feared):
            return _AMBIGUOUS
        if chosen is None or chosen.on_mcp_path:
            return chosen
        strays = chosen.name not in self._meant and self._is_below(strict, lenient)
        return replace(chosen, on_mcp_path=True) if strays or self._serves_mcp(strict, lenient) else chosen

    def _is_below(self, strict: str, lenient: str | None = None) -> bool:
        """Say whether a path serves MCP, or lies below one: servers that are mounted answer there, too."""
        exact, loose = self._below_mcp
        found = exact.fullmatch(strict) or (lenient is not None and loose.fullmatch(lenient))
        return bool(strict and found)

    def _serves_mcp(self, strict: str, lenient: str) -> bool:
        """Say whether any rule serves MCP on a path, for whatever methods and hosts."""
        return any(
            rule.exact.fullmatch(strict) or rule.folded.fullmatch(lenient)
            for rule in self._rules
            if rule.route.mcp is not None
        )


def _route(rule: Rule, issuers: Sequence[Issuer], hierarchy: Mapping[str, Iterable[str]]) -> Route:
    route = prepared(rule, issuers, hierarchy)
    return route if rule.mcp is None else replace(route, mcp=Operations(rule, issuers, hierarchy))


def _selectors(rule: Rule, route: Route) -> _Selectors:
    methods = frozenset(rule.methods)
    if "GET" in methods:
        methods |= {"HEAD"}
    return _Selectors(
        compiled(rule.path),
        compiled(map(folded, rule.path)),
        compiled(folded(path, parameters=True) for path in rule.path),
        methods,
        frozenset(rule.host),
        route,
        rule.path,
    )


def _below(path: str) -> str:
    return path if path.endswith("/**") else f"{path.rstrip('/')}/**"


def _literal(path: str) -> str:
    """Return the whole segments that a pattern begins with."""
    head, wild, _ = path.partition("*")
    return head.rpartition("/")[0] if wild else head.rstrip("/")
