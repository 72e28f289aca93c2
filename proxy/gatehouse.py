"""The gate and all that it asks, built from one configuration: keys, revocations, issuers, Redis.

One follows another when the configuration changes. What was built from settings that are still the same goes
on, with all that it has learned; the rest is built anew. Nothing of the earlier one is touched until the new
one takes over.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from pydantic import SecretStr

from proxy.admin import Probe
from proxy.authn import (
    Assertions,
    Introspectors,
    Proofs,
    SharedProofs,
    UsedProofs,
    Verifier,
    assertion_key,
    key_sources,
    revocation_source,
)
from proxy.authz import OwnRates, SharedRates
from proxy.gate import Gate, dress

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from proxy.admin import Snapshot
    from proxy.audit import AccessLog
    from proxy.authn import KeySources, Replay, Revocations, RevocationSource
    from proxy.config import Config
    from proxy.wire import Forwarding

# How long a Redis may take that a request waits for.
_PATIENCE = 1.0


class StartError(Exception):
    """Something that the configuration asks for cannot be had here; the text says what to do."""


class Made(Struct, frozen=True):
    """Secrets that no configuration names: made once, for all workers and every configuration that comes."""

    session_key: str
    nonce_key: bytes
    assertion_key: bytes

    @classmethod
    def now(cls) -> Made:
        """Make them."""
        return cls(secrets.token_urlsafe(32), secrets.token_bytes(32), secrets.token_bytes(32))

    def __repr__(self) -> str:
        """Say nothing: they are secrets."""
        return "<Made>"


class Gatehouse:
    """The gate and all that it asks.

    `clock` gives Unix seconds. `made` are the secrets that stand in where none is configured. `used` knows
    which DPoP proofs were used, where that is not for this process alone to know. `before` is the gatehouse
    whose place this one takes with `take_over`.
    """

    def __init__(
        self,
        config: Config,
        log: AccessLog,
        forwarding: Forwarding,
        clock: Callable[[], float],
        *,
        made: Made | None = None,
        used: Replay | None = None,
        before: Gatehouse | None = None,
    ) -> None:
        made = made or Made.now()
        self.watcher: Callable[[Revocations], None] | None = None
        """Called when more, or less, is revoked: what is under way is not this class's to end."""
        self.config = config
        self._before = before
        self._asked = frozenset(
            issuer.issuer
            for issuer in config.issuers
            if issuer.introspection is not None and issuer.introspection.mode == "opaque"
        )
        self.sources: KeySources = key_sources(
            config.issuers, clock, cache=config.jwks_cache, before=None if before is None else before.sources
        )
        certificates = config.tls is not None and config.tls.client_ca is not None
        self.introspectors: Introspectors = Introspectors(
            config.issuers,
            clock,
            None if before is None else before.introspectors,
            certificates=certificates,
        )
        self.source: RevocationSource
        if before is not None and before.config.revocations == config.revocations:
            self.source = before.source
        else:
            self.source = revocation_source(config.revocations)
            if before is not None:
                self.source.failures = before.source.failures
        self.redis: Redis | None
        self.probe: Probe | None
        if before is not None and before.config.redis == config.redis:
            self.redis, self.probe = before.redis, before.probe
        else:
            self.redis = None if config.redis is None else _redis(config.redis.url.get_secret_value())
            self.probe = None if self.redis is None else Probe(self.redis.ping)
        self.used: Replay = before.used if before is not None else used or UsedProofs()
        self.rates: OwnRates = before.rates if before is not None else OwnRates()
        redis, resource = self.redis, config.resource
        self.verifier: Verifier = Verifier(
            config.issuers,
            self.sources,
            dress(config),
            self.introspectors,
            self.source,
            certificates=certificates,
            before=None if before is None else before.verifier,
        )
        replay = self.used if redis is None else SharedProofs(redis, own=self.used)
        proofs = Proofs(config.issuers, resource, replay, made.nonce_key)
        rates = self.rates if redis is None else SharedRates(redis, resource or "", own=self.rates)
        signing = config.assertion
        assertions = (
            None if signing is None else Assertions(signing, assertion_key(signing.key, made.assertion_key))
        )
        if not config.session_key:
            config = config.model_copy(update={"session_key": (SecretStr(made.session_key),)})
        self.gate = Gate(config, self.verifier, proofs, rates, log, forwarding, assertions=assertions)
        if before is None:
            self.source.watcher = self._revoked

    async def start(self) -> None:
        """Read what lies here, and begin to fetch the rest; after an earlier one, wait for what is fetched.

        Raises:
            KeySetError: a key set that is a file or inline cannot be used.
            RevocationError: the revocations cannot be read.
        """
        before = self._before
        if before is None or self.source is not before.source:
            await self.source.start()
        await self.sources.start()
        if before is not None:
            # Until then the earlier one serves: nobody has to wait for keys because others have changed.
            await self.sources.settle()

    def take_over(self) -> None:
        """Stand in for the gatehouse before."""
        before, self._before = self._before, None
        if before is None:
            return
        self.verifier.take_over(_trusted(before.config, self.config))
        self.watcher, before.watcher = before.watcher, None
        self.source.watcher = self._revoked
        if self.source is not before.source:
            self._revoked(self.source.current)

    async def close(self, besides: Gatehouse | None = None) -> None:
        """Stop every fetch and watch, and close every connection; not what `besides` uses too."""
        await self.sources.close(None if besides is None else besides.sources)
        await self.introspectors.close(None if besides is None else besides.introspectors)
        if besides is None or self.source is not besides.source:
            await self.source.close()
        if self.redis is not None and (besides is None or self.redis is not besides.redis):
            if self.probe is not None:
                await self.probe.close()
            await self.redis.aclose()

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Fill in what is this class's to tell, at `now` (Unix seconds)."""
        snapshot.keys = self.sources.state(now, self._asked)
        snapshot.tokens = self.verifier.state()
        if self.config.revocations is not None:
            snapshot.revocations = self.source.state(asyncio.get_running_loop().time())
        if self.probe is not None:
            snapshot.redis = self.probe.look()

    @property
    def revocations(self) -> Revocations:
        """What is revoked now."""
        return self.source.current

    def _revoked(self, revocations: Revocations) -> None:
        self.verifier.forget_revoked()
        if self.watcher is not None:
            self.watcher(revocations)


def _trusted(before: Config, now: Config) -> frozenset[str]:
    """Return the issuers whose tokens are still what they were when they were verified, and mean the same."""
    alike = (
        before.identity_headers == now.identity_headers
        and before.scopes == now.scopes
        and before.revocations == now.revocations
    )
    same = [issuer.issuer for issuer in now.issuers if issuer in before.issuers] if alike else []
    return frozenset(same)


def _redis(url: str) -> Redis:
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise StartError("`redis` needs redis-py: pip install 'keystile[redis]'") from None
    # Not the default of every version; other kinds of connection do not take it.
    tls: dict[str, Any] = {"ssl_check_hostname": True} if url.startswith("rediss:") else {}
    try:
        return Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, **tls)
    except ValueError:  # its text may quote the URL, password included
        raise StartError("`redis` is no URL that redis-py knows") from None
