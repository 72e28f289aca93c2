"""When keys are read, how many fetches odd tokens can make, and how old keys may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from proxy.authn.jose import Key
from proxy.authn.key_source import pause
from proxy.config import Keys
from proxy.model import Deny, Reason
from tests.support.key_server import (
    KeyServer,
    after,
    cut_short,
    document,
    dripping,
    endless,
    never,
    redirect,
    status,
)
from tests.support.keys import jwks, make_key
from tests.support.sources import ISSUER, Clock, answer, ask, issuer, started

if TYPE_CHECKING:
    from tests.support.key_server import Answer

OLD, NEW = make_key("EdDSA", "old"), make_key("EdDSA", "new")
GOOD, ROTATED = document(jwks(OLD)), document(jwks(OLD, NEW))
UNKNOWN, UNAVAILABLE = Reason.KEY_UNKNOWN, Reason.KEYS_UNAVAILABLE


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


async def test_kids_that_no_fetch_brings_are_unknown_and_make_one_fetch_in_a_cooldown(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        before = server.fetches
        kids = [f"made up {number}" for number in range(50)]
        assert set(await asyncio.gather(*(ask(sources, clock, kid) for kid in kids))) == {UNKNOWN}
        clock.now += 29.9
        assert {await ask(sources, clock, kid) for kid in kids} == {UNKNOWN}
        assert server.fetches == before + 1
        clock.now += 0.2
        assert await ask(sources, clock, kids[0]) == UNKNOWN
        assert server.fetches == before + 2


async def test_a_kid_that_comes_in_the_cooldown_may_be_the_newest_key(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "made up") == UNKNOWN
        before = server.fetches
        server.serve(ROTATED)
        clock.now += 10
        for _ in range(2):
            refused = await answer(sources, clock, "new")
            assert isinstance(refused, Deny)
            assert (refused.reason, refused.retry_after) == (UNAVAILABLE, 20)
        assert server.fetches == before
        clock.now += refused.retry_after
        assert await ask(sources, clock, "new") == "new"
        assert server.fetches == before + 1


async def test_a_kid_that_came_while_a_fetch_was_under_way_is_not_answered_by_it(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        before = server.fetches
        opened = asyncio.Event()
        server.serve(after(opened, GOOD))
        first = asyncio.create_task(ask(sources, clock, "made up"))
        await server.fetched(before + 1)
        late = asyncio.create_task(ask(sources, clock, "late"))
        await asyncio.sleep(0)
        opened.set()
        assert await first == UNKNOWN
        # Its own fetch would be one too many.
        assert await late == UNAVAILABLE
        clock.now += 31
        assert await ask(sources, clock, "late") == UNKNOWN
        assert server.fetches == before + 2


async def test_behind_a_background_fetch_a_new_kid_gets_its_own(server: KeyServer, clock: Clock) -> None:
    opened = asyncio.Event()
    server.serve(after(opened, GOOD))
    async with started(clock, issuer(server.jwks_url)) as sources:
        await server.fetched(1)
        server.serve(ROTATED)
        waiting = asyncio.create_task(ask(sources, clock, "new"))
        await asyncio.sleep(0)
        opened.set()
        assert await waiting == "new"
        assert server.fetches == 2


async def test_a_background_fetch_answers_what_was_seen_before_it(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url, keys={"refresh": 0.05})) as sources:
        assert await ask(sources, clock, "made up") == UNKNOWN
        assert await ask(sources, clock, "another") == UNAVAILABLE
        await server.fetched(server.fetches + 2)
        assert await ask(sources, clock, "another") == UNKNOWN


async def test_300_made_up_kids_at_50_a_second(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        source = sources[ISSUER]
        assert await ask(sources, clock, "old") == "old"
        told = set()
        for number in range(300):
            clock.now += 0.02
            told.add(await ask(sources, clock, f"made up {number}"))
            # A known kid is found at once: it neither waits nor is pushed out.
            assert isinstance(source.select("EdDSA", "old", clock.now), Key)
        assert server.fetches == 2
        assert told == {UNKNOWN, UNAVAILABLE}
        server.serve(ROTATED)
        refused = await answer(sources, clock, "new")
        assert isinstance(refused, Deny)
        assert refused.retry_after == 25
        for number in range(5000):
            await ask(sources, clock, f"more made up {number}")
        assert len(source._negative._sightings) == 1000
        clock.now += refused.retry_after
        assert await ask(sources, clock, "and one more") == UNKNOWN
        assert isinstance(source.select("EdDSA", "new", clock.now), Key)
        assert server.fetches == 3


WITHOUT_KID = [
    pytest.param([make_key("RS256", "rsa")], [OLD.public(kid=None)], id="no key fitted"),
    pytest.param([OLD, NEW], [OLD], id="more than one fitted"),
]


@pytest.mark.parametrize(("before", "then"), WITHOUT_KID)
async def test_a_token_without_kid_is_an_unknown_kid(
    server: KeyServer, clock: Clock, before: list[object], then: list[object]
) -> None:
    server.serve(document(jwks(*before)))  # type: ignore[arg-type] # keys and JWKs, as the table has them
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, None) == UNKNOWN
        assert await ask(sources, clock, None) == UNKNOWN
        fetches = server.fetches
        clock.now += 31
        server.serve(document(jwks(*then)))  # type: ignore[arg-type] # as above
        assert isinstance(await answer(sources, clock, None), str)
        assert server.fetches == fetches + 1


async def test_an_alg_that_does_not_fit_the_kids_key_makes_no_fetch(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "old") == "old"
        refused = await answer(sources, clock, "old", algorithm="RS256")
        assert isinstance(refused, Deny)
        assert refused.reason is Reason.ALGORITHM_REFUSED
        assert server.fetches == 1


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
            assert await ask(sources, clock, "made up") == UNAVAILABLE
        assert server.fetches == before + 1


OUTAGES = [
    pytest.param(status(500), id="an error"),
    pytest.param(document(b"<html>sign in</html>"), id="a login page"),
    pytest.param(document({"keys": []}), id="no keys"),
    pytest.param(redirect("/elsewhere"), id="a redirect"),
    pytest.param(document(b" " * 300000), id="too much"),
    pytest.param(never(), id="no answer"),
    pytest.param(endless, id="an answer without end, as fast as it is read"),
    pytest.param(cut_short, id="an answer that breaks off"),
    pytest.param(document({"keys": [OLD.jwk] * 101}), id="too many keys"),
    pytest.param(document(jwks(make_key("HS256"), OLD.public(use="enc"))), id="no key that can be used"),
    pytest.param(dripping, id="an answer that drips without end"),
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


async def test_a_token_that_waits_for_a_fetch_that_fails_makes_no_other(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(status(500))
    async with started(clock, issuer(server.jwks_url)) as sources:
        refused = await answer(sources, clock, "old")
        assert isinstance(refused, Deny)
        assert (refused.reason, refused.retry_after) == (UNAVAILABLE, 30)
        assert server.fetches == 1


async def test_while_the_issuer_fails_time_alone_asks_again(server: KeyServer, clock: Clock) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        assert await ask(sources, clock, "made up") == UNKNOWN
        clock.now += 31
        server.serve(status(500))
        assert await ask(sources, clock, "new") == UNAVAILABLE
        before = server.fetches
        for number in range(50):
            assert await ask(sources, clock, f"made up {number}") == UNAVAILABLE
            assert await ask(sources, clock, "old") == "old"
        # What an earlier fetch answered is a new sighting by now.
        assert await ask(sources, clock, "made up") == UNAVAILABLE
        assert server.fetches == before


PAUSES = [
    pytest.param({}, None, 0, 600.0, id="the defaults"),
    pytest.param({}, 60.0, 0, 60.0, id="a shorter max-age"),
    pytest.param({}, 86400.0, 0, 600.0, id="a longer one"),
    pytest.param({}, 0.0, 0, 30.0, id="max-age=0 is no reason for a storm"),
    pytest.param({"refresh": 5}, 0.0, 0, 5.0, id="refresh is shorter than the cooldown"),
    pytest.param({}, 60.0, 1, 1.0, id="the first failure"),
    pytest.param({}, None, 2, 2.0, id="the second one"),
    pytest.param({}, None, 5, 16.0, id="the fifth one"),
    pytest.param({}, None, 6, 30.0, id="never longer than the cooldown"),
    pytest.param({}, None, 100_000, 30.0, id="however many"),
    pytest.param({"refresh": 5}, None, 100, 5.0, id="nor than refresh"),
]


@pytest.mark.parametrize(("times", "max_age", "failures", "expected"), PAUSES)
def test_the_pause_between_fetches(
    times: dict[str, float], max_age: float | None, failures: int, expected: float
) -> None:
    assert pause(Keys(**times), max_age, failures) == expected  # type: ignore[arg-type] # as a file has them


async def test_an_issuer_that_wants_to_be_asked_often_is(server: KeyServer, clock: Clock) -> None:
    server.serve(document(jwks(OLD), **{"Cache-Control": "max-age=0"}))
    async with started(clock, issuer(server.jwks_url, keys={"cooldown": 0.01})):
        await server.fetched(3)


async def test_the_log_says_what_changed_once_and_quotes_nothing(server: KeyServer, clock: Clock) -> None:
    odd = make_key("HS256", "shared")
    steps: list[tuple[Answer, float]] = [
        (document(jwks(OLD, odd)), 10),
        (document(jwks(odd, OLD)), 10),
        (document(b"secret <html>"), 10),
        (document(b"another secret"), 10),
        (never(), 0.01),
        (document(jwks(OLD, NEW, odd)), 10),
        (document(jwks(OLD, NEW)), 10),
    ]
    with capture_logs() as lines:
        server.serve(steps[0][0])
        async with started(clock, issuer(server.jwks_url)) as sources:
            for step, patience in steps:
                server.serve(step)
                sources[ISSUER]._patience = patience
                await sources[ISSUER].refetch()
                clock.now += 31
    told = [(line["event"], line.get("problem", line.get("keys"))) for line in lines]
    assert told == [
        ("key_skipped", "key shared: it is private or symmetric"),
        ("keys_changed", ["old"]),
        ("keys_not_refreshed", "the key set is not a plain JSON object"),
        ("keys_not_refreshed", "the issuer took too long"),
        ("keys_refreshed", None),
        ("keys_changed", ["new", "old"]),
    ]
    assert {line["issuer"] for line in lines} == {ISSUER}
    assert [line["usable"] for line in lines if "usable" in line] == [True, True]


async def test_the_log_says_when_keys_are_missing_or_too_old(server: KeyServer, clock: Clock) -> None:
    server.serve(status(500))
    with capture_logs() as lines:
        async with started(clock, issuer(server.jwks_url)) as sources:
            await sources[ISSUER].refetch()
            clock.now += 31
            server.serve(GOOD)
            await sources[ISSUER].refetch()
            server.serve(status(500))
            for passed in (31, 86370):
                clock.now += passed
                await sources[ISSUER].refetch()
    told = [(line["event"], line["usable"]) for line in lines if line["event"] == "keys_not_refreshed"]
    assert told == [
        ("keys_not_refreshed", False),
        ("keys_not_refreshed", True),
        ("keys_not_refreshed", False),
    ]


async def test_whoever_looked_before_a_fetch_ended_makes_no_second_one(
    server: KeyServer, clock: Clock
) -> None:
    server.serve(GOOD)
    async with started(clock, issuer(server.jwks_url)) as sources:
        for _ in range(3):
            assert await sources[ISSUER].refetch() == clock.now
        # The one at start, and one that was asked for.
        assert server.fetches == 2
