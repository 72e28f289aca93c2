"""Sources of keys as a proxy runs them, with a hand-cranked clock, and what a token asks of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from proxy.authn import KeySources, key_sources
from proxy.config import Issuer
from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ISSUER, OTHER = "https://issuer.test", "https://other.test"


class Clock:
    """A hand-cranked clock."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def issuer(jwks: object, name: str = ISSUER, **settings: Any) -> Issuer:
    return Issuer(**{"issuer": name, "audience": ["a"], "jwks": jwks, **settings})


@contextlib.asynccontextmanager
async def started(
    clock: Clock, *issuers: Issuer, patience: float = 10.0, cache: Path | None = None
) -> AsyncIterator[KeySources]:
    sources = key_sources(issuers, clock, patience, cache)
    try:
        await sources.start()
        yield sources
    finally:
        await sources.close()


async def answer(
    sources: KeySources, clock: Clock, kid: str | None, name: str = ISSUER, algorithm: str = "EdDSA"
) -> str | Deny:
    """Do what a token does: look, and while it is told to, wait for a fetch and look again, twice at most."""
    source = sources[name]
    found = source.select(algorithm, kid, clock())
    for _ in range(2):
        unavailable = isinstance(found, Deny) and found.reason is Reason.KEYS_UNAVAILABLE
        if unavailable and source.may_ask(clock()):
            found = source.select(algorithm, kid, await source.refetch())
    return found if isinstance(found, Deny) else str(found.kid)


async def ask(sources: KeySources, clock: Clock, kid: str | None, name: str = ISSUER) -> str | Reason:
    """Return the kid of the token's key, or the reason why it has none."""
    found = await answer(sources, clock, kid, name)
    return found.reason if isinstance(found, Deny) else found
