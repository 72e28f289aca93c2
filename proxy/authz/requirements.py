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

    from proxy.authz.passthrough import Credentials
    from proxy.authz.rates import Pace
    from proxy.config import Condition, Issuer, Rule
    from proxy.model import Caller


class Route(Struct, frozen=True):
    """What one rule asks for, ready to be judged.

    All of `scopes` is needed and one of `any_scopes`. `required` is what a challenge asks for where
    the caller is unknown: all of `scopes`, and the one of `any_scopes` that stands first. `barred` names, by
    issuer, the scopes of this rule that it may never confer (`grants`). `passthrough` is what may stand in
    for a token, `rate` how often one caller may come.
    """

    name: str
    public: bool
    any_host: bool
    scopes: tuple[str, ...]
    any_scopes: tuple[str, ...]
    claims: tuple[tuple[str, Condition], ...]
    issuers: frozenset[str]
    required: tuple[str, ...]
    barred: Mapping[str, frozenset[str]]
    passthrough: Credentials | None
    rate: Pace | None


def prepared(rule: Rule, issuers: Iterable[Issuer], hierarchy: Mapping[str, Iterable[str]]) -> Route:
    """Make a rule ready; `hierarchy` is the configuration's `scopes`."""
    named = {*rule.scopes, *rule.any_scopes}
    return Route(
        name=rule.name,
        public=rule.public,
        any_host=rule.any_host,
        scopes=rule.scopes,
        any_scopes=rule.any_scopes,
        claims=tuple(rule.claims.items()),
        issuers=frozenset(rule.issuers),
        required=tuple(dict.fromkeys(rule.scopes + rule.any_scopes[:1])),
        barred={
            one.issuer: frozenset(scope for scope in named if not _confers(one.grants, scope, hierarchy))
            for one in issuers
            if one.grants is not None
        },
        passthrough=credentials(rule.passthrough),
        rate=paced(rule),
    )


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
    """Return why `caller` may not pass, or None where it may."""
    identity = caller.identity
    if route.issuers and identity.issuer not in route.issuers:
        return _refused(f"rule {route.name} takes no token of this issuer", caller)
    for name, condition in route.claims:
        if not condition.holds(identity.claims, name):
            return _refused(f"claim {name} does not satisfy rule {route.name}", caller)
    held = caller.held
    if held.issuperset(route.scopes) and not (route.any_scopes and held.isdisjoint(route.any_scopes)):
        return None
    return _lacking(route, caller)


def _lacking(route: Route, caller: Caller) -> Deny:
    """Word the refusal of a caller that lacks scopes.

    A client answers `insufficient_scope` by asking its issuer for the scopes named (RFC 6750 section 3.1), so
    it is said only where that can help; issuer and claims were judged before for the same reason.
    """
    held = caller.held
    barred = route.barred.get(caller.identity.issuer, frozenset())
    lacking = [scope for scope in route.scopes if scope not in held]
    wants = [f"scope {scope}" for scope in lacking]
    chosen = [scope for scope in route.any_scopes if scope in held]
    if route.any_scopes and not chosen:
        wants.append(f"one of the scopes {', '.join(route.any_scopes)}")
        chosen = [scope for scope in route.any_scopes if scope not in barred]
    needs = f"needs {' and '.join(wants)}"
    if not barred.isdisjoint(lacking) or (route.any_scopes and not chosen):
        return _refused(f"{needs}, which this token's issuer may not confer", caller)
    needed = tuple(dict.fromkeys((*route.scopes, *chosen[:1])))
    return Deny(Reason.SCOPE_INSUFFICIENT, needs, needed=needed, caller=caller)


def _refused(detail: str, caller: Caller) -> Deny:
    return Deny(Reason.CLAIM_REFUSED, detail, caller=caller)
