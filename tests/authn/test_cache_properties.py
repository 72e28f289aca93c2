"""The cache of verified tokens while everything around it changes: it never says more than a fresh look would.

A model goes through the same steps as the product: keys that an issuer publishes, an issuer that fails, time,
and revocations. What it admits it reckons anew each time, with the reference; it has no cache.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from proxy.authn import KeySetError, Revocation, Revocations, Verifier
from proxy.authn.credential import digest_of
from proxy.authn.fetch import Fetched
from proxy.authn.key_source import KeySource
from proxy.authn.keyset import key_set
from proxy.authn.revocation_source import RevocationSource
from proxy.authn.sources import KeySources, _Kept
from proxy.config import Issuer
from proxy.model import Caller, Wait
from tests.authn.reference import Accepted, Terms, judge
from tests.support.keys import claims_like_agentlair, jwks, make_key, sign_token
from tests.support.sources import Clock
from tests.support.steps import driven

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from proxy.model import Deny, Time

ONE, OTHER, AUDIENCE = "https://one.test", "https://other.test", "https://mcp.example.com/mcp"
START = Clock.now
MAX_STALE = 600.0

FIRST, SECOND = make_key("EdDSA", "first"), make_key("ES256", "second")
# The other issuer has the same key, and one of its own under a name that the first issuer uses too.
OTHERS = make_key("EdDSA", "second")
# Another key under a name in use, and a key in use under another name: both are other keys.
RENEWED = make_key("EdDSA", "renewed").public(kid="first")
RENAMED = FIRST.public(kid="renamed")

SETS = [
    [FIRST.jwk, SECOND.jwk],
    [FIRST.jwk],
    [SECOND.jwk],
    [RENEWED, SECOND.jwk],
    [RENAMED, SECOND.jwk],
    [SECOND.jwk, FIRST.jwk, RENAMED],
]
OTHER_SET = [FIRST.jwk, OTHERS.jwk]

ENTRIES = [
    Revocation(jti="t-1"),
    Revocation(agent="alice"),
    Revocation(agent="alice", issuer=OTHER),
    Revocation(key="first"),
    Revocation(key="second", issuer=ONE),
    Revocation(issuer=OTHER),
    Revocation(agent="alice", before=START + 1),
    Revocation(agent="bob", before=START),
]


def token(key: Any, header: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> bytes:
    usual = {"iss": ONE, "aud": AUDIENCE, "sub": "alice", "jti": "t-1"}
    return sign_token(key, claims_like_agentlair(START, **{**usual, **changes}), **header).encode()


TOKENS = [
    token(FIRST),
    token(FIRST, sub="bob", jti="t-2"),
    token(SECOND, jti="t-3", exp=START + 90),
    token(SECOND, jti=None, iat=None),
    token(FIRST, nbf=START + 45, jti="t-4"),
    token(FIRST, iss=OTHER, jti="t-5"),
    token(OTHERS, iss=OTHER, sub="bob", jti="t-6", iat=None),
    token(OTHERS, jti="t-7"),
    # Good for as long as one key fits.
    token(FIRST, {"kid": None}, jti="t-8"),
    token(SECOND, {"kid": None}, jti="t-9"),
]


def is_about(entry: Revocation, accepted: Accepted) -> bool:
    """Say whether a revocation is about a token: in every name that it gives, and in time."""
    named = [
        (entry.jti, accepted.token_id),
        (entry.agent, accepted.id),
        (entry.key, accepted.key_id),
        (entry.issuer, accepted.issuer),
    ]
    if any(wanted is not None and wanted != found for wanted, found in named):
        return False
    return entry.before is None or accepted.issued_at is None or accepted.issued_at < entry.before


class Model:
    """What is true, without a cache: the keys of the last good fetch, when that was, and what is revoked."""

    def __init__(self) -> None:
        self.published = {ONE: SETS[0], OTHER: OTHER_SET}
        self.fetched: dict[str, tuple[list[dict[str, Any]], float]] = {}
        self.revoked: set[int] = set()
        self.is_down = False
        self.clock = Clock()

    def reading(self, issuer: str) -> Callable[[], Awaitable[Fetched]]:
        async def read() -> Fetched:
            if self.is_down:
                raise KeySetError("the issuer is down")
            keys = self.published[issuer]
            self.fetched[issuer] = keys, self.clock.now
            return Fetched(key_set(jwks(*keys)))

        return read

    def admits(self, token: bytes) -> Accepted | None:
        now = self.clock.now
        terms = [
            Terms(issuer, [AUDIENCE], keys, ["EdDSA", "ES256"])
            for issuer, (keys, at) in self.fetched.items()
            if now < at + MAX_STALE
        ]
        judged = judge(token, terms, now)
        if isinstance(judged, str) or any(is_about(ENTRIES[at], judged) for at in self.revoked):
            return None
        return judged


class Cached(RuleBasedStateMachine):
    """Verifies, and changes the world, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        issuers = [
            Issuer(
                issuer=name, audience=[AUDIENCE], keys={"max_stale": f"{MAX_STALE:.0f}s", "cooldown": "20s"}
            )
            for name in (ONE, OTHER)
        ]
        self.sources = KeySources(
            {
                one.issuer: _Kept(
                    KeySource(
                        one, self.model.reading(one.issuer), look=None, clock=self.model.clock, patience=10.0
                    ),
                    None,
                    (),
                )
                for one in issuers
            },
            None,
        )
        self.revocations = RevocationSource()
        self.verifier = Verifier(
            issuers,
            self.sources,
            lambda one: Caller(one, frozenset(one.scopes), b"", b""),
            revocations=self.revocations,
        )
        self.revocations.watcher = lambda _: self.verifier.forget_revoked()
        self.waiting: list[tuple[bytes, Generator[Wait | Time, Any, Caller | Deny], Wait]] = []

    def teardown(self) -> None:
        self.runner.run(self.sources.close())
        self.runner.close()

    def ended(self, token: bytes, outcome: Caller | Deny) -> None:
        """Hold the end of a verification against the model, and the cache against that end."""
        accepted = self.model.admits(token)
        assert isinstance(outcome, Caller) is (accepted is not None), outcome
        assert self.verifier.cached(digest_of(token), self.model.clock.now) is (outcome if accepted else None)

    @initialize()
    def begin_with_all(self) -> None:
        self.verify_all()

    @rule()
    def verify_all(self) -> None:
        for at in range(len(TOKENS)):
            self.verify(at)

    @rule(at=st.integers(0, len(TOKENS) - 1))
    def verify(self, at: int) -> None:
        token = TOKENS[at]
        steps = self.verifier.verify(token, self.model.clock.now)
        self.ended(token, self.runner.run(driven(steps)))

    @rule(at=st.integers(0, len(TOKENS) - 1))
    def begin(self, at: int) -> None:
        """Leave a verification waiting for keys: much can happen until it goes on."""
        token = TOKENS[at]
        steps = self.verifier.verify(token, self.model.clock.now)
        try:
            need = next(steps)
        except StopIteration as done:
            self.ended(token, done.value)
        else:
            assert isinstance(need, Wait)
            self.waiting.append((token, steps, need))

    @precondition(lambda self: self.waiting)
    @rule()
    def go_on(self) -> None:
        token, steps, need = self.waiting.pop(0)

        async def end() -> Caller | Deny:
            return await driven(steps, got=await need.call())

        self.ended(token, self.runner.run(end()))

    @rule(seconds=st.sampled_from([0.5, 1.0, 15.0, 20.0, 44.0, 100.0, 300.0, 599.5, 600.0, 3500.0]))
    def wait(self, seconds: float) -> None:
        self.model.clock.now += seconds

    @rule(which=st.integers(0, len(SETS) - 1))
    def publish(self, which: int) -> None:
        self.model.published[ONE] = SETS[which]

    @rule(which=st.integers(0, len(SETS) - 1))
    def rotate(self, which: int) -> None:
        """Let the new keys be fetched as well: for this the cooldown has to be over."""
        self.publish(which)
        self.model.clock.now += 20.0
        self.runner.run(self.sources[ONE].refetch())

    @rule(issuer=st.sampled_from([ONE, OTHER]))
    def refresh(self, issuer: str) -> None:
        self.runner.run(self.sources[issuer].refetch())

    @rule(is_down=st.sampled_from([False, False, True]))
    def outage(self, is_down: bool) -> None:
        self.model.is_down = is_down

    @rule(at=st.integers(0, len(ENTRIES) - 1))
    def revoke(self, at: int) -> None:
        self.model.revoked ^= {at}
        self.revocations._adopt(Revocations.of(ENTRIES[each] for each in self.model.revoked))

    @invariant()
    def the_cache_says_no_more_than_a_fresh_look(self) -> None:
        for token in TOKENS:
            caller = self.verifier.cached(digest_of(token), self.model.clock.now)
            if caller is not None:
                accepted = self.model.admits(token)
                assert accepted is not None
                identity = caller.identity
                said = identity.issuer, identity.id, identity.token_id, identity.key_id
                assert said == (accepted.issuer, accepted.id, accepted.token_id, accepted.key_id)


TIERS = [
    pytest.param(settings(max_examples=20, stateful_step_count=25, deadline=None), id="quick"),
    pytest.param(
        settings(max_examples=300, stateful_step_count=60, deadline=None), id="long", marks=pytest.mark.long
    ),
]


@pytest.mark.parametrize("tier", TIERS)
def test_the_cache_says_no_more_than_a_fresh_look(tier: settings) -> None:
    with capture_logs():
        run_state_machine_as_test(Cached, settings=tier)
