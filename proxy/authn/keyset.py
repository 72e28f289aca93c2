"""One issuer's keys as a value: made of a JWK Set (RFC 7517 section 5), asked for the one key of a token.

Pure. Knows neither where the set came from nor how old it is (`sources` does).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.authn.compact import MAX_KID_CHARACTERS, json_object
from proxy.authn.jose import Key, usable_key
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_BYTES = 256 * 1024
MAX_KEYS = 100


class KeySetError(Exception):
    """A key set cannot be had, or cannot be used; the text says why and is safe to log."""


class KeySet(Struct, frozen=True):
    """The usable keys of a set; `skipped` says of each other one why not, by its kid or else its position.

    Equal sets are equal whatever the order of their keys.
    """

    keys: frozenset[Key] = frozenset()
    skipped: tuple[str, ...] = ()

    def select(self, algorithm: str, kid: str | None) -> Key | Deny:
        """Choose the one key that a token with this `alg` and `kid` may have been signed with.

        `algorithm` is one of the issuer's. Where several keys share a kid, and where a token names none,
        exactly one must fit the algorithm: a signature is never tried against one key after another.
        """
        named = [key for key in self.keys if kid is None or key.kid == kid]
        fitting = [key for key in named if algorithm in key.algorithms]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            return Deny(Reason.KEY_UNKNOWN, "more than one key of the issuer fits the token")
        if named and kid is not None:
            return Deny(Reason.ALGORITHM_REFUSED, "the token's alg does not fit the key that its kid names")
        return Deny(
            Reason.KEY_UNKNOWN, "no key of the issuer has the token's kid, or fits a token without one"
        )


def read_key_set(document: bytes) -> KeySet:
    """Make a key set of a JWK Set document.

    Raises:
        KeySetError: it is too large, is none, or has no key that can be used.
    """
    if len(document) > MAX_BYTES:
        raise KeySetError("the key set is larger than 256 KiB")
    decoded = json_object(document)
    if decoded is None:
        raise KeySetError("the key set is not a plain JSON object")
    return key_set(decoded)


def key_set(document: Mapping[str, Any]) -> KeySet:
    """Make a key set of a decoded JWK Set; errors as `read_key_set`."""
    jwks = document.get("keys")
    if "kty" in document and jwks is None:
        raise KeySetError("it is a single key: a key set is an object with a list `keys` of public keys")
    if not isinstance(jwks, list) or len(jwks) > MAX_KEYS:
        raise KeySetError("the key set has no list `keys` of at most 100 keys")
    # One key that is new, odd or broken must not take the others with it.
    made = [usable_key(jwk) if isinstance(jwk, dict) else "it is not an object" for jwk in jwks]
    keys = frozenset(key for key in made if isinstance(key, Key))
    if not keys:
        raise KeySetError("the key set has no key that can be used" + (f": {made[0]}" if made else ""))
    skipped = {
        f"{_name(jwk, at)}: {why}"
        for at, (jwk, why) in enumerate(zip(jwks, made, strict=True))
        if isinstance(why, str)
    }
    skipped |= {f"key {kid}: another key has its kid and fits the same alg" for kid in _ambiguous(keys)}
    return KeySet(keys, tuple(sorted(skipped)))


def _ambiguous(keys: Iterable[Key]) -> set[str]:
    """Return the kids under which more than one key fits an algorithm: `select` chooses none of them."""
    named = Counter((key.kid, algorithm) for key in keys for algorithm in key.algorithms)
    return {kid for (kid, _), count in named.items() if count > 1 and kid is not None}


def _name(jwk: object, at: int) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f"key {kid}" if isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS else f"keys[{at}]"
