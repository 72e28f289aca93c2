"""Tokens that their issuer is asked about: one question at a time for each, and answers kept for a while.

A thin shell around `introspection`: it knows when to ask, and whom. Whatever an endpoint does, nothing passes
but what it said.
"""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import structlog
from cachetools import LRUCache
from msgspec import Struct

from proxy.authn.claims import Admitted, Expected, Refused
from proxy.authn.introspection import (
    AnswerError,
    confirm,
    expected_answer,
    judge,
    question,
    read_answer,
    stands_until,
)
from proxy.authn.keyset import KeySetError
from proxy.authn.sources import web_of
from proxy.model import Deny, Reason, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from proxy.authn.fetch import Web
    from proxy.authn.introspection import Said
    from proxy.config import Introspection, Issuer
    from proxy.model import Identity

    Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[bytes]]
    """POSTs a body with these headers to a URL, and returns the body of a 200; all else is an exception."""

# Nothing makes an inactive token active again; this is for the endpoint's peace (RFC 7662 section 4).
_INACTIVE_STANDS = 10.0
_MOST_QUESTIONS = 64

_log = structlog.get_logger()


class _Answer(Struct, frozen=True):
    """What the endpoint said, None of a token that is not active; to be used until `until` (Unix seconds)."""

    said: Said | None
    until: float

    def __repr__(self) -> str:
        """Say nothing: it is about a person, or its machine."""
        return "<_Answer>"


class _Question(Struct):
    """A question under way, and how many wait for its answer."""

    task: asyncio.Task[_Answer | None]
    waiting: int = 0


class Introspector:
    """Asks one issuer's endpoint.

    `clock` gives Unix seconds. Each of the two caches holds at most `size` answers: made-up tokens must not
    push out the honest ones.
    """

    def __init__(
        self,
        issuer: Issuer,
        endpoint: Introspection,
        post: Post,
        clock: Callable[[], float],
        size: int = 10_000,
        *,
        certificates: bool = False,
    ) -> None:
        self.takes_opaque = endpoint.mode == "opaque"
        self._issuer = issuer.issuer
        self._endpoint = endpoint
        self._post = post
        self._clock = clock
        self._token_expected = Expected.of(issuer, certificates=certificates)
        self._answer_expected = expected_answer(self._token_expected)
        self._active: LRUCache[bytes, _Answer] = LRUCache(size)
        self._inactive: LRUCache[bytes, _Answer] = LRUCache(size)
        self._under_way: dict[bytes, _Question] = {}
        self._problem: str | None = None

    def check(self, token: bytes, now: float) -> Generator[Wait, Any, tuple[Admitted | Refused, float]]:
        """Judge an opaque token at `now` (Unix seconds), and say until when that may be used again."""
        answer, now = yield from self._answer(token, now)
        if answer is None:
            return self._unavailable(None), now
        if answer.said is None:
            return _inactive(None), answer.until
        return judge(self._answer_expected, answer.said, answer.until, now), answer.until

    def confirm(
        self, token: bytes, identity: Identity, now: float
    ) -> Generator[Wait, Any, tuple[Admitted | Refused, float]]:
        """As `check`, of a JWT that was verified to speak for `identity` (`introspection.mode: always`)."""
        answer, now = yield from self._answer(token, now)
        if answer is None:
            return self._unavailable(identity), now
        if answer.said is None:
            return _inactive(identity), answer.until
        return confirm(self._token_expected, identity, answer.said, now), answer.until

    async def close(self) -> None:
        """Stop every question."""
        tasks = [question.task for question in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, token: bytes, now: float) -> Generator[Wait, Any, tuple[_Answer | None, float]]:
        """Find or fetch the answer; None: there is none to be had. The time comes back with it."""
        digest = sha256(token).digest()
        for cache in (self._active, self._inactive):
            known = cache.get(digest)
            if known is not None and now < known.until:
                return known, now
        answer = yield Wait(partial(self._asked, digest, token))
        return answer, self._clock()

    async def _asked(self, digest: bytes, token: bytes) -> _Answer | None:
        """Ask once for everybody who asks about this token meanwhile."""
        question = self._under_way.get(digest)
        if question is None:
            # Anybody can make up tokens: those that were good before do not wait behind them.
            if len(self._under_way) >= _MOST_QUESTIONS and digest not in self._active:
                return None
            task = asyncio.create_task(self._ask(digest, token))
            question = self._under_way[digest] = _Question(task)
            task.add_done_callback(lambda _: self._under_way.pop(digest))
        question.waiting += 1
        try:
            # Whoever stops waiting ends its own wait; the last one ends the question.
            return await asyncio.shield(question.task)
        finally:
            question.waiting -= 1
            if not question.waiting:
                question.task.cancel()

    async def _ask(self, digest: bytes, token: bytes) -> _Answer | None:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                document = await self._post(self._endpoint.url, *question(self._endpoint, token))
            said = read_answer(document)
        except Exception as error:  # noqa: BLE001 - whatever an endpoint does, nothing passes
            self._tell(_problem(error))
            return None
        self._tell(None)
        if said is None:
            answer = self._inactive[digest] = _Answer(None, asked_at + _INACTIVE_STANDS)
            self._active.pop(digest, None)
        else:
            answer = self._active[digest] = _Answer(said, stands_until(said, asked_at))
        return answer

    def _unavailable(self, identity: Identity | None) -> Refused:
        detail = "the issuer's introspection endpoint gave no answer"
        return Refused(Deny(Reason.INTROSPECTION_UNAVAILABLE, detail), identity)

    def _tell(self, problem: str | None) -> None:
        """Log a problem when it comes, and its end; not once for each request that it hits."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            _log.info("introspection_works", issuer=self._issuer)
        else:
            _log.warning("introspection_failed", issuer=self._issuer, problem=problem)


class _Kept(Struct, frozen=True, eq=False):
    """One issuer's introspector, what it asks with, and the issuer as it was configured."""

    introspector: Introspector
    web: Web
    issuer: Issuer
    certificates: bool


class Introspectors:
    """The introspector of each issuer that has one, by issuer. `clock` gives Unix seconds.

    One whose issuer is configured as `before` goes on, with the answers that it has.
    """

    def __init__(
        self,
        issuers: Iterable[Issuer],
        clock: Callable[[], float],
        before: Introspectors | None = None,
        *,
        certificates: bool = False,
    ) -> None:
        self.kept: dict[str, _Kept] = {}
        for issuer in issuers:
            if issuer.introspection is None:
                continue
            kept = None if before is None else before.kept.get(issuer.issuer)
            if kept is None or (kept.issuer, kept.certificates) != (issuer, certificates):
                # Apart from what fetches keys: a slow endpoint must not use up those connections.
                web = web_of(issuer)
                post = partial(web.post, insecure=issuer.allow_insecure)
                asked = Introspector(issuer, issuer.introspection, post, clock, certificates=certificates)
                kept = _Kept(asked, web, issuer, certificates)
            self.kept[issuer.issuer] = kept

    @property
    def for_opaque(self) -> Introspector | None:
        """The one that is asked about tokens that do not say whose they are: for them, or alone."""
        asked = [one.introspector for one in self.kept.values()]
        chosen = [one for one in asked if one.takes_opaque] if len(asked) > 1 else asked
        return next(iter(chosen), None)

    def get(self, issuer: str) -> Introspector | None:
        """Return the issuer's introspector, if it has one."""
        kept = self.kept.get(issuer)
        return None if kept is None else kept.introspector

    async def close(self, besides: Introspectors | None = None) -> None:
        """Stop every question and close every connection, but for what `besides` has too."""
        others = () if besides is None else besides.kept.values()
        gone = [one for one in self.kept.values() if one not in others]
        for one in gone:
            await one.introspector.close()
        for one in gone:
            await one.web.close()


def _inactive(identity: Identity | None) -> Refused:
    return Refused(Deny(Reason.TOKEN_INACTIVE, "the issuer says that the token is not active"), identity)


def _problem(error: Exception) -> str:
    if isinstance(error, AnswerError | KeySetError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the endpoint took too long"
    # Foreign texts may quote what was asked or answered.
    return type(error).__name__
