"""Tokens whose signatures hold, and which are taken back: by a revocation, by their issuer, or with their key."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from proxy.authn import Introspectors, Revocation, Revocations, Verifier, key_sources
from proxy.authn.credential import digest_of
from proxy.authn.revocation_source import RevocationSource
from proxy.config import Issuer
from proxy.model import Caller, Deny, Identity, Reason
from tests.support.key_server import KeyServer, after, document, key_server, status
from tests.support.keys import claims_like_agentlair, jwks_bytes, make_key, sign_token
from tests.support.sources import Clock
from tests.support.steps import driven, straight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    from proxy.authn import KeySources
    from tests.support.key_server import Answer
    from tests.support.keys import SigningKey

NOW = Clock.now
ISSUER, AUDIENCE = "https://agentlair.dev", "https://mcp.example.com/mcp"
PATH = "/introspect"
ED, NEXT = make_key("EdDSA", "ed"), make_key("EdDSA", "next")
JWT = sign_token(ED, claims_like_agentlair(NOW)).encode()
OPAQUE = b"an-opaque-token"
ACTIVE = {"active": True, "sub": "acc_7f3k2m9x", "aud": AUDIENCE, "exp": NOW + 3600}


def dress(identity: Identity) -> Caller:
    return Caller(identity, frozenset(identity.scopes), b"", b"")


class Told(RevocationSource):
    """Revocations that are told it by hand."""

    def __init__(self, *, ready: bool = True) -> None:
        super().__init__()
        self.ready = ready

    def tell(self, *entries: Revocation) -> None:
        self._adopt(Revocations.of(entries))


class World:
    """A verifier, the key file and the endpoint of its one issuer, and what was revoked."""

    def __init__(self, file: Path, server: KeyServer, mode: str, *, ready: bool) -> None:
        self.file = file
        self.server = server
        self.asked = asyncio.Event()
        self.clock = Clock()
        endpoint = {"url": server.url + PATH, "client_id": "k", "client_secret": "s", "mode": mode}
        issuers = [
            Issuer(
                issuer=ISSUER,
                audience=[AUDIENCE],
                jwks=str(file),
                introspection=endpoint,
                keys={"max_stale": "10m"},
            )
        ]
        self.sources: KeySources = key_sources(issuers, self.clock)
        self.introspectors = Introspectors(issuers, self.clock)
        self.revocations = Told(ready=ready)
        self.verifier = Verifier(issuers, self.sources, dress, self.introspectors, self.revocations)
        self.revocations.watcher = lambda _: self.verifier.forget_revoked()

    def answers(self, answer: Answer) -> None:
        async def noted(request: web.Request) -> web.StreamResponse:
            self.asked.set()
            return await answer(request)

        self.server.answers[PATH] = noted

    async def verify(self, token: bytes) -> Caller | Deny:
        return await driven(self.verifier.verify(token, self.clock()), self.clock)

    async def refused(self, token: bytes) -> tuple[Reason, str | None]:
        """The reason, and whom the refusal names; nothing of it may be in the cache."""
        denied = await self.verify(token)
        assert isinstance(denied, Deny)
        assert self.verifier.cached(digest_of(token), self.clock()) is None
        return denied.reason, None if denied.caller is None else denied.caller.identity.id


@asynccontextmanager
async def world(tmp_path: Path, mode: str = "opaque", *, ready: bool = True) -> AsyncIterator[World]:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(ED))
    async with key_server() as server:
        made = World(file, server, mode, ready=ready)
        made.answers(document(ACTIVE))
        await made.sources[ISSUER].load()
        try:
            yield made
        finally:
            await made.introspectors.close()
            await made.sources.close()


async def test_nobody_is_admitted_before_the_revocations_are_read(tmp_path: Path) -> None:
    async with world(tmp_path, ready=False) as made:
        for token in (JWT, OPAQUE):
            assert await made.refused(token) == (Reason.INTROSPECTION_UNAVAILABLE, None)
        made.revocations.tell()
        assert isinstance(await made.verify(JWT), Caller)


async def test_a_revoked_token_is_refused_and_named(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.revocations.tell(Revocation(agent="acc_7f3k2m9x"))
        for token in (JWT, OPAQUE):
            assert await made.refused(token) == (Reason.TOKEN_REVOKED, "acc_7f3k2m9x")
        made.revocations.tell()
        assert isinstance(await made.verify(JWT), Caller)


async def test_what_is_revoked_leaves_the_cache_and_nothing_else(tmp_path: Path) -> None:
    other = sign_token(ED, claims_like_agentlair(NOW, jti="another")).encode()
    async with world(tmp_path) as made:
        for token in (JWT, other, OPAQUE):
            assert isinstance(await made.verify(token), Caller)
        made.revocations.tell(Revocation(jti="tok_01J9ZC4Q"))
        found = [made.verifier.cached(digest_of(token), NOW) is not None for token in (JWT, other, OPAQUE)]
        assert found == [False, True, True]


async def test_an_opaque_token_is_asked_about_and_kept_for_a_minute(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        admitted = await made.verify(OPAQUE)
        assert isinstance(admitted, Caller)
        assert (admitted.identity.issuer, admitted.identity.key_id) == (ISSUER, None)
        assert made.verifier.cached(digest_of(OPAQUE), NOW + 59.9) is admitted
        assert made.verifier.cached(digest_of(OPAQUE), NOW + 60) is None
        made.answers(document({"active": False}))
        assert await made.refused(b"another-opaque-token") == (Reason.TOKEN_INACTIVE, None)


async def test_an_opaque_token_has_no_key_that_could_go(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        assert isinstance(await made.verify(OPAQUE), Caller)
        made.file.write_bytes(jwks_bytes(NEXT))
        await made.sources[ISSUER].refetch()
        assert made.verifier.cached(digest_of(OPAQUE), NOW) is not None


async def test_a_jwt_is_not_asked_about_where_opaque_tokens_are(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        assert isinstance(straight(made.verifier.verify(JWT, NOW)), Caller)
        assert not made.asked.is_set()


async def test_an_issuer_that_is_always_asked_has_the_last_word(tmp_path: Path) -> None:
    async with world(tmp_path, "always") as made:
        admitted = await made.verify(JWT)
        assert isinstance(admitted, Caller)
        assert made.verifier.cached(digest_of(JWT), NOW + 59.9) is admitted
        assert made.verifier.cached(digest_of(JWT), NOW + 60) is None
    for answer, reason in (
        (document({"active": False}), Reason.TOKEN_INACTIVE),
        (status(500), Reason.INTROSPECTION_UNAVAILABLE),
    ):
        async with world(tmp_path, "always") as made:
            made.answers(answer)
            assert await made.refused(JWT) == (reason, "acc_7f3k2m9x")


async def test_an_issuer_is_asked_about_no_token_that_is_refused_anyway(tmp_path: Path) -> None:
    async with world(tmp_path, "always") as made:
        changes: list[dict[str, Any]] = [{"exp": NOW - 31}, {"aud": "https://other.test"}]
        for each in changes:
            token = sign_token(ED, claims_like_agentlair(NOW, **each)).encode()
            assert isinstance(await made.verify(token), Deny)
        assert isinstance(await made.verify(JWT[:-4] + b"AAAA"), Deny)
        assert not made.asked.is_set()


WHILE_ASKED = [
    pytest.param("ed", [ED, NEXT], 0.0, None, id="a second key comes, and the token names its own"),
    pytest.param(None, [ED, NEXT], 0.0, Reason.KEY_UNKNOWN, id="a second key comes, and the token names none"),
    pytest.param("ed", [NEXT], 0.0, Reason.KEY_UNKNOWN, id="another key comes in its place"),
    pytest.param(None, [NEXT], 0.0, Reason.KEY_UNKNOWN, id="another key is the only one that fits"),
    pytest.param("ed", [], 599.0, None, id="the keys cannot be read, and are not too old"),
    pytest.param("ed", [], 600.0, Reason.KEYS_UNAVAILABLE, id="the keys cannot be read, and grow too old"),
]  # fmt: skip


@pytest.mark.parametrize(("kid", "keys", "seconds", "reason"), WHILE_ASKED)
async def test_what_becomes_of_the_keys_while_the_issuer_is_asked_counts(
    tmp_path: Path, kid: str | None, keys: list[SigningKey], seconds: float, reason: Reason | None
) -> None:
    gate = asyncio.Event()
    async with world(tmp_path, "always") as made:
        made.answers(after(gate, document(ACTIVE)))
        token = sign_token(ED, claims_like_agentlair(NOW), kid=kid).encode()
        waiting = asyncio.create_task(made.verify(token))
        await made.asked.wait()
        made.file.write_bytes(jwks_bytes(*keys))
        await made.sources[ISSUER].refetch()
        made.clock.now += seconds
        gate.set()
        outcome = await waiting
        assert (outcome.reason if isinstance(outcome, Deny) else None) is reason


async def test_what_is_revoked_while_its_issuer_is_asked_is_not_admitted(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with world(tmp_path, "always") as made:
        made.answers(after(gate, document(ACTIVE)))
        waiting = asyncio.create_task(made.refused(JWT))
        await made.asked.wait()
        made.revocations.tell(Revocation(key="ed"))
        gate.set()
        assert await waiting == (Reason.TOKEN_REVOKED, "acc_7f3k2m9x")
