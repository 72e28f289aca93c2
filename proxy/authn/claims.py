"""What the claims of a token must say before it names anybody (RFC 7519, RFC 9068).

Pure, with `now` as a value: python-jose's own checks accept a missing `exp`, `aud` or `sub`, crash on odd
types and read the clock themselves. Knows nothing of keys; runs only after the signature held.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.config import lookup
from proxy.model import Deny, Identity, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config import ClaimNames, Condition, Issuer

_MAX_ID, _MAX_URL = 255, 2048
_YEAR_10000: Final = 253402300800  # a date in milliseconds lies beyond it, and would never expire
_BINDINGS = frozenset({"jkt", "x5t#S256"})
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 in base64url
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # RFC 6749 section 3.3
# Tokens of other kinds, each defined so that it cannot pass for an access token: ID-JAG grants
# (draft-ietf-oauth-identity-assertion-authz-grant), logout and security events, proofs, introspection
# answers (RFC 9701), client metadata and requests (RFC 9101).
NEVER_TYPES: Final = frozenset(
    {
        "oauth-id-jag+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "client-authentication+jwt",
        "keystile-assertion+jwt",
    }
)
# What ID tokens (OpenID Connect Core 2, 3.3.2.11) and security events (RFC 8417) carry, no access token does.
_FOREIGN_MARKS = ("nonce", "at_hash", "c_hash", "s_hash", "events")


class Expected(Struct, frozen=True):
    """What one issuer's tokens must say; `types` has None for "no typ at all".

    `binds` says that proofs of possession are checked, so that tokens may be bound to a key; `certificates`
    that they may be bound to a client's certificate.
    """

    issuer: str
    audience: frozenset[str]
    types: frozenset[str | None]
    leeway: float
    max_lifetime: float | None
    names: ClaimNames
    require: tuple[tuple[str, Condition], ...]
    grants: re.Pattern[str] | None
    binds: bool
    certificates: bool

    @classmethod
    def of(cls, issuer: Issuer, *, certificates: bool = False) -> Expected:
        """Precompute from the configuration; `certificates` says that clients prove theirs."""
        # A token whose typ says "none" is not one without a typ: the word never reaches the comparison.
        types = frozenset(None if kind == "none" else kind for kind in map(_kind, issuer.types))
        types -= NEVER_TYPES
        grants = issuer.grants
        return cls(
            issuer=issuer.issuer,
            audience=frozenset(issuer.audience),
            types=types,
            leeway=issuer.leeway,
            max_lifetime=issuer.max_lifetime,
            names=issuer.claims,
            require=tuple(issuer.require.items()),
            grants=None if grants is None else re.compile("|".join(map(_glob, grants))),
            binds=issuer.dpop.mode != "off",
            certificates=certificates,
        )


class Admitted(Struct, frozen=True):
    """Who the token speaks for; `dropped` is the scopes that its issuer may not confer."""

    identity: Identity
    dropped: tuple[str, ...]


class Refused(Struct, frozen=True):
    """Why the token is refused, and who was refused where the token can still say so."""

    deny: Deny
    identity: Identity | None


def check(
    expected: Expected, typ: str | None, claims: Mapping[str, Any], key_id: str | None, now: float
) -> Admitted | Refused:
    """Judge the `typ` and the claims of a token whose signature held, at `now` (Unix seconds)."""
    # A token of another kind may speak *about* an agent without coming from it: it names nobody.
    foreign = _kind_refused(expected, typ, claims) or _issuer_refused(expected, claims)
    if foreign is not None:
        return Refused(foreign, None)
    named = _named(expected, claims, key_id)
    deny = _audience_refused(expected, claims) or _times_refused(expected, claims, now)
    if isinstance(named, Deny):
        return Refused(deny or named, None)
    deny = deny or _id_refused(claims) or _binding_refused(expected, claims)
    deny = deny or _requirement_refused(expected, claims)
    return Refused(deny, named.identity) if deny else named


def _kind(typ: str) -> str:
    """Reduce a `typ` to what is compared: media types have no case, and may leave `application/` out."""
    # Beyond ASCII there are letters whose lower case is an ASCII one: the Kelvin sign is no k.
    return typ.lower().removeprefix("application/") if typ.isascii() else typ


def _kind_refused(expected: Expected, typ: str | None, claims: Mapping[str, Any]) -> Deny | None:
    kind = None if typ is None else _kind(typ)
    if kind not in expected.types:
        return Deny(Reason.TYPE_REFUSED, "the token's typ is not one of this issuer's `types`")
    # `JWT` and no typ at all say nothing of what a token is for (RFC 8725 section 3.11): its claims must.
    if kind in {None, "jwt"}:
        for mark in _FOREIGN_MARKS:
            if mark in claims:
                return Deny(Reason.TYPE_REFUSED, f"a token with `{mark}` is no access token")
        if claims.get("token_use") == "id":
            return Deny(Reason.TYPE_REFUSED, "the token says that it is an ID token")
    return None


def _issuer_refused(expected: Expected, claims: Mapping[str, Any]) -> Deny | None:
    if claims.get("iss") != expected.issuer:
        return Deny(Reason.ISSUER_UNKNOWN, "the token's iss is not the issuer of its key")
    return None


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Read `aud` (RFC 7519 section 4.1.3): one string or a list of strings; None for anything else."""
    value = claims.get("aud")
    values: list[Any] = value if isinstance(value, list) else [value]
    return tuple(values) if all(isinstance(one, str) for one in values) else None


def _audience_refused(expected: Expected, claims: Mapping[str, Any]) -> Deny | None:
    if "aud" not in claims:
        return Deny(Reason.CLAIM_MISSING, "the token has no aud")
    audience = _audience(claims)
    if audience is None:
        return Deny(Reason.TOKEN_MALFORMED, "the token's aud is neither a string nor a list of strings")
    if expected.audience.isdisjoint(audience):
        return Deny(Reason.AUDIENCE_MISMATCH, "the token's aud names none of this issuer's `audience`")
    return None


def _date(value: object) -> float | None:
    """Read a NumericDate (RFC 7519 section 2) between 1970 and 9999; None for anything else, NaN included."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _YEAR_10000:
        return value
    return None


def _times_refused(expected: Expected, claims: Mapping[str, Any], now: float) -> Deny | None:
    if "exp" not in claims:
        return Deny(Reason.CLAIM_MISSING, "the token has no exp")
    for name in ("exp", "nbf", "iat"):
        if name in claims and _date(claims[name]) is None:
            return Deny(Reason.TOKEN_MALFORMED, f"the token's {name} is no date in seconds")
    expires, leeway = claims["exp"], expected.leeway
    if now >= expires + leeway:
        return Deny(Reason.TOKEN_EXPIRED, "the token's exp has passed")
    for name in ("nbf", "iat"):
        if name in claims and claims[name] > now + leeway:
            return Deny(Reason.TOKEN_NOT_YET_VALID, f"the token's {name} lies in the future")
    if expected.max_lifetime is not None and expires - claims.get("iat", now) > expected.max_lifetime:
        return Deny(Reason.CLAIM_REFUSED, "the token lives longer than this issuer's `max_lifetime`")
    return None


def _named(expected: Expected, claims: Mapping[str, Any], key_id: str | None) -> Admitted | Deny:
    """Read whom the token names, and with which scopes."""
    names = expected.names
    agent, scopes = _first(claims, names.id), _scopes(names, claims)
    if not isinstance(agent, str):
        return Deny(Reason.CLAIM_MISSING, f"the token has no {names.id[0]}, or it is not a string")
    if _plain(agent, _MAX_ID) is None or agent != agent.strip():
        return Deny(Reason.CLAIM_REFUSED, f"the token's {names.id[0]} cannot be an agent's id")
    if scopes is None:
        return Deny(Reason.CLAIM_REFUSED, "the token's scopes are not all scope-tokens (RFC 6749)")
    grants = expected.grants
    granted = scopes if grants is None else tuple(scope for scope in scopes if grants.fullmatch(scope))
    url = _first_plain(claims, names.audit_url, _MAX_URL)
    bound = {} if _binding_refused(expected, claims) else _bound(claims) or {}
    identity = Identity(
        id=agent,
        issuer=expected.issuer,
        scopes=granted,
        audience=_audience(claims) or (),
        claims=claims,
        until=(_date(claims.get("exp")) or 0) + expected.leeway,
        name=_first_plain(claims, names.name, _MAX_ID),
        # People and dashboards follow it: nothing but the web.
        audit_url=url if url is not None and url.startswith(("https://", "http://")) else None,
        token_id=_plain(claims.get("jti"), _MAX_ID),
        key_id=key_id,
        issued_at=_date(claims.get("iat")),
        bound_to=bound.get("jkt"),
        certificate=bound.get("x5t#S256"),
    )
    kept = frozenset(granted)
    return Admitted(identity, tuple(scope for scope in scopes if scope not in kept))


def _scopes(names: ClaimNames, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Read the first scope claim that is there, a string split at single spaces or a list; None if unfit."""
    value = _first(claims, names.scopes)
    if isinstance(value, str):
        value = value.split(" ") if value else []
    values = [] if value is None else value
    if isinstance(values, list) and all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in values):
        return tuple(dict.fromkeys(values))
    return None


def _glob(pattern: str) -> str:
    """Translate a scope pattern, in which only `*` is special."""
    return ".*".join(map(re.escape, pattern.split("*")))


def _bound(claims: Mapping[str, Any]) -> dict[str, str] | None:
    """Read `cnf` where it has nothing but thumbprints; else None.

    That is, of a DPoP key (RFC 9449 section 6.1), or of a client's certificate (RFC 8705 section 3.1).
    """
    found = claims.get("cnf")
    if not isinstance(found, dict) or not found or not found.keys() <= _BINDINGS:
        return None
    fit = all(isinstance(one, str) and _THUMBPRINT.fullmatch(one) for one in found.values())
    return found if fit else None


def _id_refused(claims: Mapping[str, Any]) -> Deny | None:
    # Whoever revokes a token names it: one that cannot be named cannot be revoked.
    if "jti" in claims and _plain(claims["jti"], _MAX_ID) is None:
        return Deny(Reason.TOKEN_MALFORMED, "the token's jti is no text of 1 to 255 plain characters")
    return None


def _binding_refused(expected: Expected, claims: Mapping[str, Any]) -> Deny | None:
    # RFC 7800: whoever presents it must prove a key. Without that proof a thief is as good as its owner.
    if "cnf" not in claims:
        return None
    bound = _bound(claims)
    unproved = {*(() if expected.binds else ("jkt",)), *(() if expected.certificates else ("x5t#S256",))}
    if bound is None or bound.keys() & unproved:
        return Deny(Reason.PROOF_INVALID, "the token is bound to a key, and its proof cannot be checked here")
    return None


def _requirement_refused(expected: Expected, claims: Mapping[str, Any]) -> Deny | None:
    for name, condition in expected.require:
        if not condition.holds(claims, name):
            return Deny(
                Reason.CLAIM_REFUSED, f"the token's {name} is not what this issuer's `require` asks for"
            )
    return None


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((value for name in names if (value := lookup(claims, name)) is not None), None)


def _first_plain(claims: Mapping[str, Any], names: tuple[str, ...], limit: int) -> str | None:
    return next((text for name in names if (text := _plain(lookup(claims, name), limit)) is not None), None)


def _plain(value: object, limit: int) -> str | None:
    """Pass a string of 1 to `limit` characters without control characters; None for anything else."""
    if isinstance(value, str) and 0 < len(value) <= limit and "Cc" not in map(unicodedata.category, value):
        return value
    return None
