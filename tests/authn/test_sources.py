"""When keys are read, how many fetches odd tokens can make, and how old keys may be."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from proxy.authn import KeySetError, KeySources, key_sources
from proxy.authn.jose import Key
from proxy.config import Issuer
from proxy.model import Deny, Reason
from tests.support.key_server import (
    KeyServer,
    after,
    document,
    dripping,
    key_server,
    never,
    redirect,
    status,
)
from tests.support.keys import jwks, jwks_bytes, make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.key_server import Answer

OLD, NEW = make_key("EdDSA", "old"), make_key("EdDSA", "new")
ISSUER, OTHER = "https://issuer.test", "https://other.test"
GOOD, ROTATED = document(jwks(OLD)), document(jwks(OLD, NEW))
UNKNOWN, UNAVAILABLE = Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE


class Clock:
    """A hand-cranked clock."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def issuer(jwks: object, name: str = ISSUER, **settings: Any) -> Issuer:
    return Issuer(**{"issuer": name, "audience": ["a"], "jwks": jwks, **settings})


@contextlib.asynccontextmanager
async def started(clock: Clock, *issuers: Issuer, patience: float = 10.0) -> AsyncIterator[KeySources]:
    sources = key_sources(issuers, clock, patience)
    try:
        await sources.start()
        yield sources
    finally:
        await sources.close()


async def ask(sources: KeySources, clock: Clock, kid: str, name: str = ISSUER) -> str | Reason:
    """Do what a token with this kid does: look, ask for a fetch where that is allowed, look again."""
    source = sources[name]
    found = source.select("EdDSA", kid, clock())
    if isinstance(found, Deny) and source.may_ask(clock()):
        found = source.select("EdDSA", kid, await source.refetch())
    return found.reason if isinstance(found, Deny) else str(found.kid)


async def test_keys_are_fetched_at_start(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)):
        await server.fetched(1)


async def test_a_token_that_comes_first_waits_for_the_fetch_at_start(server: KeyServer, clock: Clock) -> None:
    opened = asyncio.Event()
    server.serve(after(opened, GOOD))
    async with started(clock, issuer(server.jwks_url)) as sources:
        waiting = [asyncio.create_task(ask(sources, clock, "old")) for _ in range(20)]
        await server.fetched(1)
        opened.set()
        assert set(await asyncio.gather(*waiting)) == {"old"}
        assert server.fetches == 1


async def test_an_unknown_kid_finds_a_new_key(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        server.serve(ROTATED)
        assert await ask(sources, clock, "new") == "new"
        assert server.fetches == 2


async def test_the_fetch_at_start_does_not_start_the_cooldown(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        adopted = asyncio.Event()
        sources[ISSUER].watcher = lambda _: adopted.set()
        await adopted.wait()
        server.serve(ROTATED)
        assert await ask(sources, clock, "new") == "new"


async def test_many_unknown_kids_make_one_fetch_in_a_cooldown(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        before = server.fetches
        asked = await asyncio.gather(*(ask(sources, clock, f"made up {number}") for number in range(50)))
        assert set(asked) == {UNKNOWN}
        assert server.fetches == before + 1
        clock.now += 29.9
        for number in range(50):
            assert await ask(sources, clock, f"also made up {number}") == UNKNOWN
        assert server.fetches == before + 1
        clock.now += 0.2
        assert await ask(sources, clock, "made up again") == UNKNOWN
        assert server.fetches == before + 2


async def test_whoever_hangs_up_stops_neither_the_fetch_nor_the_cooldown(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        before = server.fetches
        opened = asyncio.Event()
        server.serve(after(opened, ROTATED))
        patient, hasty = (asyncio.create_task(ask(sources, clock, "new")) for _ in range(2))
        await server.fetched(before + 1)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        opened.set()
        assert await patient == "new"
        for _ in range(3):
            assert await ask(sources, clock, "made up") == UNKNOWN
        assert server.fetches == before + 1


OUTAGES = [
    pytest.param(status(500), id="an error"),
    pytest.param(document(b"<html>sign in</html>"), id="a login page"),
    pytest.param(document({"keys": []}), id="no keys"),
    pytest.param(redirect("/elsewhere"), id="a redirect"),
    pytest.param(document(b" " * 300000), id="too much"),
    pytest.param(never(), id="no answer"),
    pytest.param(dripping, id="an answer without end"),
]


@pytest.mark.parametrize("outage", OUTAGES)
async def test_without_any_keys_they_are_unavailable(server: KeyServer, clock: Clock, outage: Answer) -> None:
    server.serve(outage)
    async with started(clock, issuer(server.jwks_url), patience=0.5) as sources:
        assert await ask(sources, clock, "old") == UNAVAILABLE
        refused = sources[ISSUER].select("EdDSA", "old", clock.now + 10.5)
        assert isinstance(refused, Deny)
        assert refused.retry_after == 20
        server.serve(GOOD)
        clock.now += 31
        assert await ask(sources, clock, "old") == "old"


@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_leaves_the_last_good_keys(server: KeyServer, clock: Clock, outage: Answer) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url), patience=0.5) as sources:
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        server.serve(outage)
        assert await ask(sources, clock, "new") == UNAVAILABLE
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        server.serve(ROTATED)
        assert await ask(sources, clock, "new") == "new"


async def test_keys_without_a_successful_fetch_grow_too_old(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url, keys={"max_stale": "1h"})) as sources:
        assert await ask(sources, clock, "old") == "old"
        server.serve(status(500))
        clock.now += 3599
        assert await ask(sources, clock, "new") == UNAVAILABLE
        assert await ask(sources, clock, "old") == "old"
        clock.now += 1
        assert await ask(sources, clock, "old") == UNAVAILABLE


async def test_keys_are_fetched_again_and_again(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url, keys={"refresh": 0.01})) as sources:
        await server.fetched(3)
        server.serve(document(jwks(NEW)))
        await server.fetched(server.fetches + 2)
        assert isinstance(sources[ISSUER].select("EdDSA", "new", clock()), Key)
        assert isinstance(sources[ISSUER].select("EdDSA", "old", clock()), Deny)


async def test_a_failed_start_is_tried_again_after_the_cooldown(server: KeyServer, clock: Clock) -> None:
    server.serve(status(500))
    async with started(clock, issuer(server.jwks_url, keys={"cooldown": 0.01})) as sources:
        await server.fetched(3)
        server.serve(GOOD)
        await server.fetched(server.fetches + 1)
        assert await ask(sources, clock, "old") == "old"


async def test_one_issuers_outage_is_not_anothers(server: KeyServer, clock: Clock) -> None:
    server.serve(never())
    server.answers["/other"] = GOOD
    async with started(clock, issuer(server.jwks_url), issuer(f"{server.url}/other", OTHER)) as sources:
        assert await ask(sources, clock, "old", OTHER) == "old"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(sources, clock, "old"), 0.05)


async def test_keys_are_discovered(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    server.answers["/.well-known/oauth-authorization-server"] = document(
        {"issuer": server.url, "jwks_uri": server.jwks_url}
    )
    async with started(clock, issuer(None, server.url)) as sources:
        assert await ask(sources, clock, "old", server.url) == "old"


async def test_a_fetch_under_way_is_worth_waiting_for_even_in_the_cooldown(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url, keys={"refresh": 0.01})) as sources:
        assert await ask(sources, clock, "made up") == UNKNOWN
        opened = asyncio.Event()
        server.serve(after(opened, ROTATED))
        await server.fetched(server.fetches + 1)
        waiting = asyncio.create_task(ask(sources, clock, "new"))
        await asyncio.sleep(0)
        opened.set()
        assert await waiting == "new"


async def test_metadata_that_no_parser_takes_is_an_outage(server: KeyServer, clock: Clock) -> None:
    server.answers["/.well-known/oauth-authorization-server"] = document(
        {"issuer": server.url, "jwks_uri": "https://[secret"}
    )
    with capture_logs() as lines:
        async with started(clock, issuer(None, server.url)) as sources:
            assert await ask(sources, clock, "old", server.url) == UNAVAILABLE
    assert [line["problem"] for line in lines] == ["ValueError"]


async def test_whoever_looked_before_a_fetch_ended_makes_no_second_one(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        await sources[ISSUER].refetch()
        assert await sources[ISSUER].refetch() == clock.now
        assert server.fetches == 1


async def test_inline_keys_are_there_at_start(clock: Clock) -> None:
    async with started(clock, issuer(jwks(OLD))) as sources:
        found = sources[ISSUER].select("EdDSA", "old", clock())
        assert isinstance(found, Key)
        assert await ask(sources, clock, "new") == UNKNOWN


async def test_a_file_is_read_at_start_and_again(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(OLD))
    async with started(clock, issuer(str(file))) as sources:
        assert isinstance(sources[ISSUER].select("EdDSA", "old", clock()), Key)
        file.write_bytes(b"half a fi")
        assert await ask(sources, clock, "new") == UNAVAILABLE
        assert await ask(sources, clock, "old") == "old"
        clock.now += 31
        file.write_bytes(jwks_bytes(NEW))
        assert await ask(sources, clock, "new") == "new"
        assert await ask(sources, clock, "old") == UNKNOWN


BROKEN = [
    pytest.param("missing.json", "missing.json: No such file", id="a file that is not there"),
    pytest.param(
        {"keys": []}, "issuer https://issuer.test: the key set has no key", id="inline, and no keys"
    ),
    pytest.param(jwks(make_key("HS256")), "private or symmetric", id="inline, and no key that can be used"),
]


@pytest.mark.parametrize(("source", "why"), BROKEN)
async def test_broken_local_keys_are_an_error_at_start(
    server: KeyServer, clock: Clock, source: object, why: str
) -> None:
    sources = key_sources([issuer(server.jwks_url, OTHER), issuer(source)], clock)
    with pytest.raises(KeySetError, match=why):
        await sources.start()
    await sources.close()
    assert server.fetches == 0


async def test_the_log_says_what_changed_and_what_failed_but_quotes_nothing(
    server: KeyServer, clock: Clock
) -> None:
    with capture_logs() as lines:
        server.serve(document(jwks(OLD, make_key("HS256", "shared"))))
        async with started(clock, issuer(server.jwks_url)) as sources:
            await ask(sources, clock, "old")
            clock.now += 31
            await ask(sources, clock, "new")
            clock.now += 31
            server.serve(document(b"secret <html>"))
            await ask(sources, clock, "new")
            clock.now += 31
            server.serve(never())
            sources[ISSUER]._patience = 0.01
            await ask(sources, clock, "new")
    assert lines == [
        {"event": "keys_changed", "issuer": ISSUER, "keys": ["old"], "log_level": "info"},
        {
            "event": "key_skipped",
            "issuer": ISSUER,
            "problem": "keys[1]: it is private or symmetric",
            "log_level": "warning",
        },
        {
            "event": "keys_not_refreshed",
            "issuer": ISSUER,
            "problem": "the key set is not a plain JSON object",
            "log_level": "warning",
        },
        {
            "event": "keys_not_refreshed",
            "issuer": ISSUER,
            "problem": "the issuer took too long",
            "log_level": "warning",
        },
    ]
