"""What a route asks for, and whether a caller meets it: issuers, claims, scopes.

Pure. Knows verified callers only; that a caller was verified is `authn`'s word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.authz.passthrough import credentials
from proxy.authz.rates import paced
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.authz.operations import Operations
    from proxy.authz.passthrough import Credentials
    from proxy.authz.rates import Pace
    from proxy.config import Condition, Issuer, Rule
    from proxy.model import Caller


class Route(Struct, frozen=True):
    """What one rule asks for, ready to be judged; or, of a rule with `mcp`, what one of its entries asks for.

    All of `scopes` is needed, and one of each of `choices`. `required` is what a challenge asks for where
    the caller is unknown: all of `scopes`, and of each choice the one that stands first. `barred` names, by
    issuer, the scopes of this rule that it may never confer (`grants`). `passthrough` is what may stand in
    for a token, `rate` how often one caller may come. `mcp` judges what a message asks for, sent by
    `transport`; `on_mcp_path` says that this rule, or another, serves MCP on the path of the request.
    `origins` and `cors` are the rule's own: where it says nothing, the configuration's hold.
    """

    name: str
    public: bool
    any_host: bool
    scopes: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    claims: tuple[tuple[str, Condition], ...]
    issuers: frozenset[str]
    required: tuple[str, ...]
    barred: Mapping[str, frozenset[str]]
    passthrough: Credentials | None
    rate: Pace | None
    upgrade: bool
    mcp: Operations | None
    transport: str
    on_mcp_path: bool
    origins: frozenset[bytes]
    cors: bool | None


UNRULED = Route(
    name="",
    public=False,
    any_host=False,
    scopes=(),
    choices=(),
    claims=(),
    issuers=frozenset(),
    required=(),
    barred={},
    passthrough=None,
    rate=None,
    upgrade=False,
    mcp=None,
    transport="auto",
    on_mcp_path=False,
    origins=frozenset(),
    cors=None,
)
"""A rule that asks for nothing."""


def prepared(rule: Rule, issuers: Iterable[Issuer], hierarchy: Mapping[str, Iterable[str]]) -> Route:
    """Make a rule ready, its `mcp` apart; `hierarchy` is the configuration's `scopes`."""
    choices = (rule.any_scopes,) if rule.any_scopes else ()
    return Route(
        name=rule.name,
        public=rule.public,
        any_host=rule.any_host,
        scopes=rule.scopes,
        choices=choices,
        claims=tuple(rule.claims.items()),
        issuers=frozenset(rule.issuers),
        required=required(rule.scopes, choices),
        barred=barred({*rule.scopes, *rule.any_scopes}, issuers, hierarchy),
        passthrough=credentials(rule.passthrough),
        rate=paced(rule.rate, told_name(rule)),
        upgrade=bool(rule.upgrade),
        mcp=None,
        transport=rule.transport,
        on_mcp_path=rule.mcp is not None,
        origins=frozenset(origin.encode() for origin in rule.origins),
        cors=rule.cors,
    )


def told_name(rule: Rule) -> str:
    """Return how answers call a rule: a name made from selectors would tell anybody about paths and hosts."""
    return rule.name if "name" in rule.model_fields_set else "default"


def required(scopes: tuple[str, ...], choices: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return what to ask for where nothing is known of the caller."""
    return tuple(dict.fromkeys((*scopes, *(choice[0] for choice in choices))))


def barred(
    scopes: Iterable[str], issuers: Iterable[Issuer], hierarchy: Mapping[str, Iterable[str]]
) -> Mapping[str, frozenset[str]]:
    """Return, by issuer, which of `scopes` it may never confer."""
    return {
        one.issuer: frozenset(scope for scope in scopes if not _confers(one.grants, scope, hierarchy))
        for one in issuers
        if one.grants is not None
    }


def _confers(grants: Iterable[str], scope: str, hierarchy: Mapping[str, Iterable[str]]) -> bool:
    """Say whether an issuer with these `grants` can confer `scope`, itself or by one that grants it."""
    granting = [scope, *(left for left in hierarchy if scope in expand(hierarchy, (left,)))]
    # In grants, only `*` is special.
    globs = [".*".join(map(re.escape, grant.split("*"))) for grant in grants]
    return any(re.fullmatch(glob, one) for glob in globs for one in granting)


def expand(hierarchy: Mapping[str, Iterable[str]], scopes: Iterable[str]) -> frozenset[str]:
    """Return `scopes` and everything they grant: holding the left grants the right, transitively."""
    held: set[str] = set()
    waiting = list(scopes)
    while waiting:
        scope = waiting.pop()
        if scope not in held:
            held.add(scope)
            waiting.extend(hierarchy.get(scope, ()))
    return frozenset(held)


def judge(route: Route, caller: Caller) -> Deny | None:
    """Return why `caller` may not pass, or None where it may.

    Issuer and claims come first: no scope makes up for them.
    """
    identity = caller.identity
    if route.issuers and identity.issuer not in route.issuers:
        return _refused(f"rule {route.name} takes no token of this issuer", caller)
    for name, condition in route.claims:
        if not condition.holds(identity.claims, name):
            return _refused(f"claim {name} does not satisfy rule {route.name}", caller)
    held = caller.held
    if held.issuperset(route.scopes) and not (route.choices and any(map(held.isdisjoint, route.choices))):
        return None
    return _lacking(route, caller)


def _lacking(route: Route, caller: Caller) -> Deny:
    """Word the refusal of a caller that lacks scopes.

    A client answers `insufficient_scope` by asking its issuer for the scopes named (RFC 6750 section 3.1), so
    it is said only where that can help; issuer and claims were judged before for the same reason.
    """
    held = caller.held
    never = route.barred.get(caller.identity.issuer, frozenset())
    lacking = [scope for scope in route.scopes if scope not in held]
    wants, possible = [f"scope {scope}" for scope in lacking], never.isdisjoint(lacking)
    needed = list(route.scopes)
    for choice in route.choices:
        chosen = [scope for scope in choice if scope in held]
        if not chosen:
            wants.append(f"one of the scopes {', '.join(choice)}")
            chosen = [scope for scope in choice if scope not in never]
            possible = possible and bool(chosen)
        needed += chosen[:1]
    needs = f"needs {' and '.join(wants)}"
    if not possible:
        return _refused(f"{needs}, which this token's issuer may not confer", caller)
    return Deny(Reason.SCOPE_INSUFFICIENT, needs, needed=tuple(dict.fromkeys(needed)), caller=caller)


def _refused(detail: str, caller: Caller) -> Deny:
    return Deny(Reason.CLAIM_REFUSED, detail, caller=caller)
