"""A bearer token's way to a caller: the order of the checks, and the cache of what passed them.

Decides with `now` as a value and does no I/O: where a key is missing it yields a `Wait` and goes on with what
that brought. Knows neither rules nor the wire. A token's own words choose among configured issuers, no more.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import structlog
from cachetools import LRUCache
from msgspec import Struct
from msgspec.structs import replace

from proxy.authn.claims import Admitted, Expected, check
from proxy.authn.compact import parse
from proxy.authn.jose import ALGORITHMS, verify
from proxy.model import Caller, Deny, Reason, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from proxy.authn.claims import Refused
    from proxy.authn.compact import Parsed
    from proxy.authn.jose import Key
    from proxy.authn.sources import KeySource, KeySources
    from proxy.config import Issuer
    from proxy.model import Identity

_log = structlog.get_logger()


class _Trusted(Struct, frozen=True):
    """A configured issuer: what its tokens must say, and its own keys, which verify nobody else's."""

    expected: Expected
    algorithms: frozenset[str]
    source: KeySource


class _Entry(Struct, frozen=True):
    """A verified token. It ends at `until`, and before it with its key."""

    caller: Caller
    until: float
    key: Key


class Verifier:
    """Verifies tokens of the configured issuers.

    `dress` makes a verified identity ready for the hot path: once for each token that is not cached.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        sources: KeySources,
        dress: Callable[[Identity], Caller],
        cache_size: int = 10_000,
    ) -> None:
        self._dress = dress
        self._cache: LRUCache[bytes, _Entry] = LRUCache(cache_size)
        self._trusted = {
            issuer.issuer: _Trusted(
                Expected.of(issuer), ALGORITHMS.intersection(issuer.algorithms), sources[issuer.issuer]
            )
            for issuer in issuers
        }
        for name, trusted in self._trusted.items():
            trusted.source.watcher = partial(self._forget, name)

    def cached(self, token: bytes, now: float) -> Caller | None:
        """Return the caller of a token that was verified before and still holds at `now` (Unix seconds)."""
        try:
            entry = self._cache[sha256(token).digest()]
        except KeyError:
            return None
        return entry.caller if now < entry.until else None

    def verify(self, token: bytes, now: float) -> Generator[Wait, Any, Caller | Deny]:
        """Verify a token at `now` (Unix seconds); yields only to have its issuer's keys fetched."""
        parsed = parse(token)
        if isinstance(parsed, Deny):
            return parsed
        trusted = self._issuer(parsed.claims)
        if isinstance(trusted, Deny):
            return trusted
        key, now = yield from _key(trusted, parsed, now)
        if isinstance(key, Deny):
            return key
        if not verify(key, parsed.algorithm, parsed.signing_input, parsed.signature):
            return Deny(
                Reason.SIGNATURE_INVALID, "the token's signature does not hold under its issuer's key"
            )
        checked = check(trusted.expected, parsed.typ, parsed.claims, key.kid, now)
        if isinstance(checked, Admitted):
            return self._admit(token, checked, key, trusted.source.usable_until)
        return self._refuse(checked)

    def _issuer(self, claims: dict[str, Any]) -> _Trusted | Deny:
        name = claims.get("iss")
        if name is None:
            return Deny(Reason.CLAIM_MISSING, "the token has no iss")
        trusted = self._trusted.get(name) if isinstance(name, str) else None
        return trusted or Deny(Reason.ISSUER_UNKNOWN, "the token's iss is none of the configured issuers")

    def _admit(self, token: bytes, admitted: Admitted, key: Key, usable_until: float) -> Caller:
        identity = admitted.identity
        if admitted.dropped:
            _log.debug(
                "scopes_dropped", issuer=identity.issuer, agent_id=identity.id, scopes=admitted.dropped
            )
        caller = self._dress(identity)
        # Keys that grow too old to trust take what they verified with them.
        self._cache[sha256(token).digest()] = _Entry(caller, min(identity.until, usable_until), key)
        return caller

    def _refuse(self, refused: Refused) -> Deny:
        named = refused.identity
        return refused.deny if named is None else replace(refused.deny, caller=self._dress(named))

    def _forget(self, issuer: str, keys: frozenset[Key]) -> None:
        """Drop what was verified with a key that its issuer no longer has."""
        gone = [
            digest
            for digest, entry in self._cache.items()
            if entry.caller.identity.issuer == issuer and entry.key not in keys
        ]
        for digest in gone:
            del self._cache[digest]


def _key(trusted: _Trusted, parsed: Parsed, now: float) -> Generator[Wait, Any, tuple[Key | Deny, float]]:
    """Choose the token's key; the time comes back with it, for a fetch takes some."""
    algorithm, source = parsed.algorithm, trusted.source
    if algorithm not in trusted.algorithms:
        return Deny(Reason.ALGORITHM_REFUSED, "the token's alg is not one of this issuer's `algorithms`"), now
    found = source.select(algorithm, parsed.kid, now)
    if isinstance(found, Deny) and found.reason is not Reason.ALGORITHM_REFUSED and source.may_ask(now):
        now = yield Wait(source.refetch)
        found = source.select(algorithm, parsed.kid, now)
    return found, now
