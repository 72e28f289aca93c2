"""Issuers that rotate, remove and lose keys, as the tokens see it: a verifier, key servers, a stepped clock."""

from __future__ import annotations

import asyncio
import contextlib
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest

from proxy.authn import Verifier
from proxy.authn.credential import digest_of
from proxy.model import Caller, Reason
from tests.support.key_server import KeyServer, after, document, key_server, never, status
from tests.support.keys import SigningKey, claims_like_agentlair, jwks, make_key, sign_token
from tests.support.sources import ISSUER, OTHER, Clock, issuer, started
from tests.support.steps import driven, straight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.model import Identity
    from tests.support.key_server import Answer

OLD, NEW = make_key("EdDSA", "old"), make_key("EdDSA", "new")
SAME, THEIRS = make_key("RS256", "same"), make_key("PS256", "same")  # one kid, two issuers
UNKNOWN, UNAVAILABLE, INVALID = Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE, Reason.SIGNATURE_INVALID


class Edge:
    """A verifier with one or two issuers, and their key servers."""

    def __init__(self, clock: Clock, verifier: Verifier, *servers: KeyServer) -> None:
        self.clock = clock
        self.verifier = verifier
        self.servers = servers
        self._token = cache(partial(token, clock.now))

    async def verify(self, key: SigningKey, name: str = ISSUER, kid: str | None = "") -> str | Reason:
        """Show a token, the same each time; the kid of its key, "cached", or why it was refused."""
        made = self._token(key, name, kid)
        if self.verifier.cached(digest_of(made), self.clock.now) is not None:
            return "cached"
        found = await driven(self.verifier.verify(made, self.clock.now))
        return str(found.identity.key_id) if isinstance(found, Caller) else found.reason


def token(now: float, key: SigningKey, name: str = ISSUER, kid: str | None = "") -> bytes:
    claims = claims_like_agentlair(now, iss=name, aud="a", exp=int(now) + 172800)
    return sign_token(key, claims, kid=key.kid if kid == "" else kid).encode()


def dress(identity: Identity) -> Caller:
    return Caller(identity, frozenset(), b"", b"")


@contextlib.asynccontextmanager
async def edge(first: Answer, second: Answer | None = None) -> AsyncIterator[Edge]:
    clock = Clock()
    async with key_server() as one, key_server() as two:
        one.serve(first)
        two.serve(second or status(500))
        issuers = [issuer(one.jwks_url), issuer(two.jwks_url, OTHER)][: 2 if second else 1]
        async with started(clock, *issuers) as sources:
            yield Edge(clock, Verifier(issuers, sources, dress), one, two)


async def test_a_rotation_with_overlap_refuses_nobody() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD) == "old"
        at.servers[0].serve(document(jwks(NEW, OLD)))
        assert await at.verify(NEW) == "new"
        assert await at.verify(OLD) == "cached"
        assert at.servers[0].fetches == 2


async def test_a_new_key_is_asked_for_behind_a_fetch_that_was_under_way() -> None:
    opened = asyncio.Event()
    async with edge(after(opened, document(jwks(OLD)))) as at:
        await at.servers[0].fetched(1)
        waiting = asyncio.create_task(at.verify(NEW))
        await asyncio.sleep(0)
        at.servers[0].serve(document(jwks(NEW, OLD)))
        opened.set()
        assert await waiting == "new"


async def test_a_rotation_without_overlap_ends_the_old_key_with_its_cached_tokens() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD) == "old"
        assert await at.verify(OLD) == "cached"
        at.servers[0].serve(document(jwks(NEW)))
        assert await at.verify(NEW) == "new"
        assert await at.verify(OLD) == UNKNOWN
        assert at.servers[0].fetches == 2


async def test_a_key_that_is_removed_ends_with_its_cached_tokens() -> None:
    async with edge(document(jwks(OLD, NEW))) as at:
        assert await at.verify(OLD) == "old"
        assert await at.verify(NEW) == "new"
        at.servers[0].serve(document(jwks(NEW)))
        assert await at.verify(OLD) == "cached"
        assert await at.verify(SAME) == UNKNOWN  # whatever makes it fetch
        assert await at.verify(OLD) == UNKNOWN
        assert await at.verify(NEW) == "cached"


async def test_a_key_that_changes_under_its_kid_ends_the_tokens_of_the_old_one() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD) == "old"
        at.servers[0].serve(document(jwks(NEW.public(kid="old"))))
        assert await at.verify(SAME) == UNKNOWN
        assert await at.verify(OLD) == INVALID
        assert await at.verify(NEW, kid="old") == "old"


async def test_a_token_without_kid_makes_a_fetch_only_where_no_key_fits() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD, kid=None) == "old"
        # It may be forged, or its key be new: one key fits, and the signature does not hold under it.
        for _ in range(20):
            assert await at.verify(NEW, kid=None) == INVALID
        assert at.servers[0].fetches == 1
        at.servers[0].serve(document(jwks(OLD, SAME)))
        assert await at.verify(SAME, kid=None) == "same"
        assert at.servers[0].fetches == 2


async def test_a_token_without_kid_leaves_the_cache_once_two_keys_fit() -> None:
    async with edge(document(jwks(OLD, SAME))) as at:
        assert await at.verify(OLD, kid=None) == "old"
        assert await at.verify(OLD) == "old"
        assert await at.verify(SAME, kid=None) == "same"
        at.servers[0].serve(document(jwks(OLD, SAME, NEW)))
        assert await at.verify(NEW) == "new"  # whatever makes it fetch
        assert await at.verify(OLD, kid=None) != "cached"
        assert await at.verify(OLD) == "cached"
        assert await at.verify(SAME, kid=None) == "cached"


async def test_forged_tokens_make_no_fetch() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD) == "old"
        for number in range(50):
            assert await at.verify(make_key("EdDSA", f"forger {number}"), kid="old") == INVALID
        assert at.servers[0].fetches == 1


async def test_two_issuers_with_one_kid_have_nothing_to_do_with_one_another() -> None:
    async with edge(document(jwks(SAME)), document(jwks(THEIRS))) as at:
        assert await at.verify(SAME, ISSUER) == "same"
        assert await at.verify(THEIRS, OTHER) == "same"
        # Each key's alg is its own; where they agreed, the signature would not hold.
        assert await at.verify(SAME, OTHER) == Reason.ALGORITHM_REFUSED
        at.servers[1].serve(document(jwks(NEW.public(kid="same"))))
        assert await at.verify(OLD, OTHER) == UNKNOWN
        assert await at.verify(NEW, OTHER, kid="same") == "same"
        assert await at.verify(NEW, ISSUER, kid="same") == Reason.ALGORITHM_REFUSED
        # What one issuer removed, the other still has, cached tokens and all.
        assert await at.verify(SAME, ISSUER) == "cached"
        assert at.servers[0].fetches == 1


DOWN = [
    pytest.param(status(503), id="it answers with an error"),
    pytest.param(never(), id="it does not answer"),
]


@pytest.mark.parametrize("outage", DOWN)
async def test_one_issuers_outage_delays_no_other_token(outage: Answer) -> None:
    async with edge(document(jwks(OLD, NEW)), document(jwks(THEIRS))) as at:
        assert await at.verify(OLD, ISSUER) == "old"
        assert await at.verify(THEIRS, OTHER) == "same"
        at.servers[1].serve(outage)
        waiting = [asyncio.create_task(at.verify(key, OTHER)) for key in (OLD, NEW)]
        await at.servers[1].fetched(2)
        now = at.clock.now
        # Neither the other issuer's, nor this issuer's known ones, cached or not, ask for anything.
        for known in (token(now, NEW, ISSUER), token(now, THEIRS, OTHER)):
            assert isinstance(straight(at.verifier.verify(known, now)), Caller)
        assert await at.verify(THEIRS, OTHER) == "cached"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_without_any_keys_tokens_are_told_to_come_back() -> None:
    async with edge(status(500)) as at:
        assert await at.verify(OLD) == UNAVAILABLE
        at.servers[0].serve(document(jwks(OLD)))
        at.clock.now += 31
        assert await at.verify(OLD) == "old"


async def test_keys_too_old_to_trust_end_cached_tokens_too() -> None:
    async with edge(document(jwks(OLD))) as at:
        assert await at.verify(OLD) == "old"
        at.servers[0].serve(status(500))
        at.clock.now += 86399
        assert await at.verify(OLD) == "cached"
        at.clock.now += 1
        assert await at.verify(OLD) == UNAVAILABLE
