"""A bearer token's way to a caller: the order of the checks, and the cache of what passed them.

Decides with `now` as a value and does no I/O: where a key is missing it yields a `Wait` and goes on with what
that brought. Knows neither rules nor the wire. A token's own words choose among configured issuers, no more.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import structlog
from cachetools import LRUCache
from msgspec import Struct
from msgspec.structs import replace

from proxy.authn.claims import Admitted, Expected, Refused, check
from proxy.authn.compact import parse
from proxy.authn.credential import digest_of
from proxy.authn.introspection import is_opaque
from proxy.authn.jose import ALGORITHMS, verify
from proxy.authn.revocation_source import RevocationSource
from proxy.authn.state import Looked, TokensState
from proxy.model import Caller, Deny, Reason, Time, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable

    from proxy.authn.compact import Parsed
    from proxy.authn.introspector import Introspector, Introspectors
    from proxy.authn.jose import Key
    from proxy.authn.key_source import KeySource
    from proxy.authn.keyset import KeySet
    from proxy.authn.sources import KeySources
    from proxy.config import Issuer
    from proxy.model import Identity

_log = structlog.get_logger()

_KEY_REPLACED = Deny(Reason.KEY_UNKNOWN, "the token's key was replaced while its issuer was asked")


class _Trusted(Struct, frozen=True):
    """A configured issuer: what its tokens must say, and its own keys, which verify nobody else's.

    `asked` is set where the issuer is asked about every token, whatever the token says.
    """

    expected: Expected
    algorithms: frozenset[str]
    source: KeySource
    asked: Introspector | None


class _Chosen(Struct, frozen=True):
    """The key that a token's signature holds under, and the token's words by which it was chosen."""

    key: Key
    algorithm: str
    kid: str | None


class _Found(Struct, frozen=True):
    """What a token says, under which key, and until when that is believed: as long as keys, or an answer."""

    checked: Admitted | Refused
    chosen: _Chosen | None
    until: float


class _Entry(Struct, frozen=True):
    """A verified token. It ends at `until`, and before it with its key, which an opaque token has not."""

    caller: Caller
    until: float
    chosen: _Chosen | None


class Verifier:
    """Verifies tokens of the configured issuers.

    `dress` makes a verified identity ready for the hot path: once for each token that is not cached.
    `certificates` says that clients prove theirs, so that tokens may be bound to them. `before`
    is the verifier whose place this one takes with `take_over`, and not earlier.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        sources: KeySources,
        dress: Callable[[Identity], Caller],
        introspectors: Introspectors | None = None,
        revocations: RevocationSource | None = None,
        cache_size: int = 10_000,
        *,
        certificates: bool = False,
        before: Verifier | None = None,
    ) -> None:
        self._before = before
        self._dress = dress
        self._revocations = revocations or RevocationSource()
        self._opaque = None if introspectors is None else introspectors.for_opaque
        self._cache: LRUCache[bytes, _Entry] = LRUCache(cache_size)
        self._looked: Looked = Looked() if before is None else before._looked  # noqa: SLF001 - its own class
        self._trusted = {
            issuer.issuer: _Trusted(
                Expected.of(issuer, certificates=certificates),
                ALGORITHMS.intersection(issuer.algorithms),
                sources[issuer.issuer],
                introspectors.get(issuer.issuer) if introspectors and _asks_always(issuer) else None,
            )
            for issuer in issuers
        }
        if before is None:
            self._watch()

    def take_over(self, trusted: Collection[str]) -> None:
        """Stand in for the verifier before, with what it has verified of the issuers in `trusted`."""
        before, self._before = self._before, None
        self._watch()
        if before is not None:
            self._cache = before.give_up()
            self._drop(lambda entry: entry.caller.identity.issuer not in trusted)

    def give_up(self) -> LRUCache[bytes, _Entry]:
        """Return what was verified, and begin anew: what is still under way here must not add to it."""
        given, self._cache = self._cache, LRUCache(self._cache.maxsize)
        return given

    def _watch(self) -> None:
        for name, trusted in self._trusted.items():
            trusted.source.watcher = partial(self._forget, name)

    def cached(self, digest: bytes, now: float) -> Caller | None:
        """Return the caller of a token that was verified before and still holds at `now` (Unix seconds).

        `digest` is the token's, as `digest_of` makes it.
        """
        try:
            entry = self._cache[digest]
        except KeyError:
            self._looked.misses += 1
            return None
        if now >= entry.until:
            self._looked.misses += 1
            return None
        self._looked.hits += 1
        return entry.caller

    def holds(self, digest: bytes, now: float) -> bool:
        """Say whether a token that was just verified still holds; counts as no look-up."""
        entry = self._cache.get(digest)
        return entry is not None and now < entry.until

    def state(self) -> TokensState:
        """Return how the cache fares."""
        return TokensState(len(self._cache), self._looked.hits, self._looked.misses)

    def verify(self, token: bytes, now: float) -> Generator[Wait | Time, Any, Caller | Deny]:
        """Verify a token at `now` (Unix seconds); yields only to ask its issuer, and the time afterwards."""
        if not self._revocations.ready:
            return Deny(Reason.INTROSPECTION_UNAVAILABLE, "the revocations have not been read yet")
        if self._opaque is not None and is_opaque(token):
            checked, until = yield from self._opaque.check(token, now)
            return self._concluded(token, _Found(checked, None, until))
        found = yield from self._signed(token, now)
        return found if isinstance(found, Deny) else self._concluded(token, found)

    def _signed(self, token: bytes, now: float) -> Generator[Wait | Time, Any, _Found | Deny]:
        """Verify a JWT: form, issuer, key, signature, claims, and last what its issuer says of it."""
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
        answered_until = math.inf
        if trusted.asked is not None and isinstance(checked, Admitted):
            checked, answered_until = yield from trusted.asked.confirm(token, checked.identity, now)
            # Asking takes a while, and a key that went meanwhile takes its tokens along.
            still, _ = yield from _key(trusted, parsed, (yield Time()))
            if still != key:
                return still if isinstance(still, Deny) else _KEY_REPLACED
        chosen = _Chosen(key, parsed.algorithm, parsed.kid)
        return _Found(checked, chosen, min(trusted.source.usable_until, answered_until))

    def forget_revoked(self) -> None:
        """Drop what was verified before it was revoked."""
        revoked = self._revocations.current.revoked
        self._drop(lambda entry: revoked(entry.caller.identity))

    def _issuer(self, claims: dict[str, Any]) -> _Trusted | Deny:
        name = claims.get("iss")
        if name is None:
            return Deny(Reason.CLAIM_MISSING, "the token has no iss")
        trusted = self._trusted.get(name) if isinstance(name, str) else None
        return trusted or Deny(Reason.ISSUER_UNKNOWN, "the token's iss is none of the configured issuers")

    def _concluded(self, token: bytes, found: _Found) -> Caller | Deny:
        checked = found.checked
        if isinstance(checked, Refused):
            named = checked.identity
            return checked.deny if named is None else replace(checked.deny, caller=self._dress(named))
        caller = self._dress(checked.identity)
        if self._revocations.current.revoked(caller.identity):
            return Deny(Reason.TOKEN_REVOKED, "the token, its agent, key or issuer is revoked", caller=caller)
        return self._admit(token, caller, checked, found)

    def _admit(self, token: bytes, caller: Caller, admitted: Admitted, found: _Found) -> Caller:
        identity = caller.identity
        if admitted.dropped:
            _log.debug(
                "scopes_dropped", issuer=identity.issuer, agent_id=identity.id, scopes=admitted.dropped
            )
        self._cache[digest_of(token)] = _Entry(caller, min(identity.until, found.until), found.chosen)
        return caller

    def _forget(self, issuer: str, keys: KeySet) -> None:
        """Drop what was verified with a key that its issuer's keys, as they are now, would not choose."""
        # The few choices there are, each made once: thousands of tokens must not hold up the loop.
        select = cache(keys.select)

        def is_gone(entry: _Entry) -> bool:
            chosen = entry.chosen
            if chosen is None or entry.caller.identity.issuer != issuer:
                return False
            return select(chosen.algorithm, chosen.kid) != chosen.key

        self._drop(is_gone)

    def _drop(self, is_gone: Callable[[_Entry], bool]) -> None:
        for digest in [digest for digest, entry in self._cache.items() if is_gone(entry)]:
            del self._cache[digest]


def _asks_always(issuer: Issuer) -> bool:
    return issuer.introspection is not None and issuer.introspection.mode == "always"


def _key(trusted: _Trusted, parsed: Parsed, now: float) -> Generator[Wait, Any, tuple[Key | Deny, float]]:
    """Choose the token's key; the time comes back with it, for a fetch takes some."""
    algorithm, source = parsed.algorithm, trusted.source
    if algorithm not in trusted.algorithms:
        return Deny(Reason.ALGORITHM_REFUSED, "the token's alg is not one of this issuer's `algorithms`"), now
    found = source.select(algorithm, parsed.kid, now)
    # Twice at most: a fetch that was under way when the token came says nothing about its kid.
    for _ in range(2):
        if isinstance(found, Deny) and found.reason is Reason.KEYS_UNAVAILABLE and source.may_ask(now):
            now = yield Wait(source.refetch)
            found = source.select(algorithm, parsed.kid, now)
    return found, now
