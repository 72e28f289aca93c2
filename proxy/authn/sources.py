"""Every configured issuer's source of keys, made as its `jwks` says, started and closed together."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.authn.discovery import from_issuer
from proxy.authn.fetch import Fetched, Web, from_url
from proxy.authn.jwks_cache import JwksCache
from proxy.authn.key_file import KeyFile
from proxy.authn.key_source import KeySource
from proxy.authn.keyset import KeySetError, key_set
from proxy.config import JwksFile, JwksInline, JwksUrl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable
    from pathlib import Path
    from typing import Any

    from proxy.authn.state import KeysState
    from proxy.config import Issuer

# A file is read so often, in seconds: no token is needed for a change of it to be seen.
_LOOK = 1.0


class _Kept(Struct, frozen=True, eq=False):
    """One issuer's source, what it fetches with, and the settings that it was made from."""

    source: KeySource
    web: Web | None
    settings: tuple[object, ...]


class KeySources:
    """The source of each issuer, by its name. Some may be those of an earlier configuration, and go on."""

    def __init__(self, kept: dict[str, _Kept], before: KeySources | None) -> None:
        self.kept = kept
        others = () if before is None else before.kept.values()
        self._new = [one for one in kept.values() if one not in others]

    def __getitem__(self, issuer: str) -> KeySource:
        return self.kept[issuer].source

    def find(self, issuer: Issuer, cache: Path | None) -> _Kept | None:
        """Return what was made from the same settings; None where that would be another source."""
        kept = self.kept.get(issuer.issuer)
        return kept if kept is not None and kept.settings == _settings(issuer, cache) else None

    def state(self, now: float, asked: Container[str]) -> list[KeysState]:
        """Return how each issuer's keys fare at `now` (Unix seconds).

        The issuers in `asked` are asked about tokens that need none of their keys.
        """
        return [one.source.state(now, asks=issuer in asked) for issuer, one in self.kept.items()]

    async def start(self) -> None:
        """Read local and kept keys, and begin to fetch the others: a token that comes first waits for them.

        Raises:
            KeySetError: a file or a set in the configuration cannot be used; nothing was started.
        """
        for one in self._new:
            await one.source.load()
        for one in self._new:
            one.source.start()

    async def settle(self) -> None:
        """Wait until every source that is new has had its first answer, or failure."""
        for one in self._new:
            await one.source.settle()

    async def close(self, besides: KeySources | None = None) -> None:
        """Stop every fetch and close every connection, but for what `besides` has too."""
        others = () if besides is None else besides.kept.values()
        gone = [one for one in self.kept.values() if one not in others]
        for one in gone:
            await one.source.close()
        for one in gone:
            if one.web is not None:
                await one.web.close()


def key_sources(
    issuers: Iterable[Issuer],
    clock: Callable[[], float],
    patience: float = 10.0,
    cache: Path | None = None,
    before: KeySources | None = None,
) -> KeySources:
    """Make each issuer's source, or go on with the one of the configuration `before`.

    `clock` gives Unix seconds; `patience` is seconds for one attempt; `cache` is the `jwks_cache` directory.
    """
    sources: dict[str, _Kept] = {}
    for issuer in issuers:
        kept = None if before is None else before.find(issuer, cache)
        if kept is not None:
            sources[issuer.issuer] = kept
            continue
        web = None
        earlier = None if before is None else before.kept.get(issuer.issuer)
        attempts = None if earlier is None else earlier.source.attempts
        make = partial(KeySource, issuer, clock=clock, patience=patience, attempts=attempts)
        match issuer.jwks:
            case JwksInline(keys=document):
                source = make(partial(_inline, issuer.issuer, document), look=issuer.keys.refresh)
            case JwksFile(path=path):
                source = make(KeyFile(path).read, look=_LOOK)
            case where:
                web = web_of(issuer)
                stored = JwksCache(cache, issuer.issuer, where.url if where else None) if cache else None
                source = make(_fetching(web, issuer, where), look=None, cache=stored)
        sources[issuer.issuer] = _Kept(source, web, _settings(issuer, cache))
    return KeySources(sources, before)


def unusable(issuers: Iterable[Issuer]) -> list[tuple[str, str]]:
    """Say what of the issuers lies here and cannot be used: all of it, each with its place and why."""
    faults: list[tuple[str, str]] = []
    for index, issuer in enumerate(issuers):
        try:
            match issuer.jwks:
                case JwksInline(keys=document):
                    key_set(document)
                case JwksFile(path=path):
                    KeyFile(path).read_now()
        except KeySetError as error:
            faults.append((f"issuers[{index}].jwks", str(error)))
        if issuer.ca is not None:
            try:
                ssl.create_default_context(cafile=issuer.ca)
            except OSError:  # an SSLError is one
                faults.append((f"issuers[{index}].ca", f"{issuer.ca}: no certificates in PEM"))
    return faults


def web_of(issuer: Issuer) -> Web:
    """Make what speaks to one issuer alone: with its trust, and no connection shared with another."""
    return Web(ca=issuer.ca, link_local=issuer.allow_link_local)


def _settings(issuer: Issuer, cache: Path | None) -> tuple[object, ...]:
    """Return all that a source is made from."""
    return (issuer.jwks, issuer.keys, issuer.ca, issuer.allow_insecure, issuer.allow_link_local, cache)


def _fetching(web: Web, issuer: Issuer, where: JwksUrl | None) -> Callable[[], Awaitable[Fetched]]:
    fetch, place = (from_url, where.url) if where is not None else (from_issuer, issuer.issuer)
    return partial(fetch, web, place, insecure=issuer.allow_insecure)


async def _inline(issuer: str, document: dict[str, Any]) -> Fetched:
    try:
        return Fetched(key_set(document))
    except KeySetError as error:
        raise KeySetError(f"issuer {issuer}: {error}") from None
