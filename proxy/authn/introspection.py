"""What an introspection endpoint is asked, and what its answer means (RFC 7662).

Pure, with `now` as a value. The answer becomes claims and is judged as a token's own are, by `claims`. Knows
no connection and no cache.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode

from msgspec.structs import replace

from proxy.authn.claims import Admitted, Expected, Refused, check
from proxy.authn.compact import json_object
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from proxy.config import Introspection
    from proxy.model import Identity

STANDS: Final = 60.0
"""How long an answer is believed, in seconds: so long may a token that was revoked there pass here."""

MAX_BYTES = 64 * 1024

# Member → what it says of an access token, lower-cased. An endpoint knows refresh and ID tokens too, and
# those are no less active.
_KINDS: Final = {
    "token_type": {"bearer", "dpop", "access_token"},
    "token_use": {"access", "access_token"},
    "typ": {"bearer", "dpop", "jwt", "at+jwt", "application/at+jwt"},
}

_BOUND_TO_WHAT = Deny(Reason.PROOF_INVALID, "the token is bound to a key that the endpoint does not name")

Said = dict[str, Any]
"""An answer's members, `active` apart."""


class AnswerError(Exception):
    """The endpoint's answer is none; the text says why and is safe to log."""


def is_opaque(token: bytes) -> bool:
    """Say whether a token has neither the three parts of a signed nor the five of an encrypted JWT.

    Only these go to an endpoint unverified: a JWT says itself whose it is, and is shown to nobody else.
    """
    return token.count(b".") not in {2, 4}


def question(endpoint: Introspection, token: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of the POST that asks about a token (section 2.1)."""
    form = {"token": token.decode("ascii"), "token_type_hint": "access_token"}
    secret = endpoint.client_secret.get_secret_value()
    # Nothing is decompressed: what was limited is what is read.
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    if endpoint.client_auth == "post":
        form |= {"client_id": endpoint.client_id, "client_secret": secret}
    else:
        # RFC 6749 section 2.3.1 encodes both before HTTP does.
        pair = f"{quote_plus(endpoint.client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return urlencode(form).encode(), headers


def read_answer(document: bytes) -> Said | None:
    """Read an answer (section 2.2); None: the token is not active.

    Raises:
        AnswerError: it is none.
    """
    if len(document) > MAX_BYTES:
        raise AnswerError("the answer is larger than 64 KiB")
    said = json_object(document)
    if said is None:
        raise AnswerError("the answer is not a plain JSON object")
    active = said.pop("active", None)
    if not isinstance(active, bool):
        raise AnswerError("the answer's `active` is neither true nor false")
    return said if active else None


def stands_until(said: Said | None, asked_at: float) -> float:
    """Return until when (Unix seconds) an answer that was asked for at `asked_at` may be used again."""
    until = asked_at + STANDS
    expires = None if said is None else said.get("exp")
    return min(until, expires) if isinstance(expires, int | float) else until


def expected_answer(expected: Expected) -> Expected:
    """What an answer must say where a token would: the same, but an answer has no `typ` header."""
    return replace(expected, types=frozenset({None}))


def _who(identity: Identity) -> tuple[str, str | None, str | None]:
    return identity.id, identity.bound_to, identity.certificate


def judge(expected: Expected, said: Said, until: float, now: float) -> Admitted | Refused:
    """Judge an answer about an opaque token at `now`; it may be used until `until` (both Unix seconds).

    `expected` is an `expected_answer`. `iss` may be missing, for this issuer was asked, and so may `exp`:
    then the answer speaks for as long as it may be used. `aud` may not: a token for whom it may concern is
    not for this server.
    """
    fault = _kind_fault(said)
    if fault is not None:
        return Refused(Deny(Reason.TYPE_REFUSED, fault), None)
    claims = {"iss": expected.issuer, "exp": until - expected.leeway, **said}
    checked = check(expected, None, claims, None, now)
    # Bound, says the issuer, and not to what: its proof cannot be checked.
    if isinstance(checked, Admitted) and checked.identity.bound_to is None and _is_dpop(said):
        return Refused(_BOUND_TO_WHAT, checked.identity)
    return checked


def confirm(expected: Expected, identity: Identity, said: Said, now: float) -> Admitted | Refused:
    """Judge an answer about a JWT that was verified: it may take away, and not add or contradict.

    `expected` is the issuer's own. An answer need not repeat what the token says (section 2.2).
    """
    fault = _kind_fault(said)
    if fault is not None:
        return Refused(Deny(Reason.TYPE_REFUSED, fault), identity)
    # The token's `typ` was judged with the token.
    anything = replace(expected, types=frozenset({"at+jwt"}))
    claims = {**identity.claims, **said}
    checked = check(anything, "at+jwt", claims, identity.key_id, now)
    if isinstance(checked, Refused):
        return Refused(checked.deny, identity)
    vouched = checked.identity
    same = claims.get("sub") == identity.claims.get("sub")
    if not same or _who(vouched) != _who(identity):
        return Refused(Deny(Reason.TOKEN_INACTIVE, "the endpoint's answer is about another token"), identity)
    if identity.bound_to is None and _is_dpop(said):
        return Refused(_BOUND_TO_WHAT, identity)
    left = frozenset(vouched.scopes)
    for name in {"scope", "scp", *expected.names.scopes} & said.keys():
        left &= _listed(said[name])
    scopes = tuple(one for one in identity.scopes if one in left)
    # What the two do not agree in satisfies no rule.
    agreed = {name: value for name, value in identity.claims.items() if said.get(name, value) == value}
    until = min(identity.until, vouched.until)
    return Admitted(replace(identity, scopes=scopes, claims=agreed, until=until), ())


def _listed(scopes: object) -> frozenset[str]:
    """Read scopes, a list or text with spaces; anything else confers none."""
    listed = scopes.split(" ") if isinstance(scopes, str) else scopes
    return (
        frozenset(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()
    )


def _kind_fault(said: Said) -> str | None:
    for name, kinds in _KINDS.items():
        if name in said and not (isinstance(said[name], str) and said[name].lower() in kinds):
            return f"the endpoint's {name} says that it is no access token"
    return None


def _is_dpop(said: Said) -> bool:
    return str(said.get("token_type")).lower() == "dpop"
