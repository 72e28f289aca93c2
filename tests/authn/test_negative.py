"""Which unknown kids a fetch has answered, with fetches and time as values."""

from __future__ import annotations

import pytest

from proxy.authn.negative import NegativeCache

NOW = 1000.0
UNTIL = NOW + 30

# Steps: "see" a kid, "begin" a fetch, "succeed" with the one begun last. A failed fetch is one that only begins.
# Last: whether the kid's next sighting is answered.
STORIES = [
    pytest.param(["see"], False, id="nothing was fetched since"),
    pytest.param([], False, id="never seen"),
    pytest.param(["begin", "succeed"], False, id="first seen after the fetch"),
    pytest.param(["see", "begin", "succeed"], True, id="the fetch began after it was seen"),
    pytest.param(["begin", "see", "succeed"], False, id="seen while the fetch was under way"),
    pytest.param(["begin", "see", "succeed", "begin", "succeed"], True, id="the next one answers it"),
    pytest.param(["see", "begin"], False, id="the fetch failed, or is under way"),
    pytest.param(["see", "begin", "begin", "succeed"], True, id="one failed, the next did not"),
    pytest.param(["see", "begin", "succeed", "see", "begin"], True, id="answered, and a later one failed"),
]


@pytest.mark.parametrize(("steps", "expected"), STORIES)
def test_only_a_later_fetch_answers(steps: list[str], expected: bool) -> None:
    cache, fetch = NegativeCache(), 0
    for step in steps:
        if step == "see":
            cache.is_answered("EdDSA", "new", NOW)
        elif step == "begin":
            fetch = cache.begin()
        else:
            cache.succeed(fetch, UNTIL)
    assert cache.is_answered("EdDSA", "new", NOW) is expected


def answered(cache: NegativeCache, *kids: str) -> None:
    for kid in kids:
        cache.is_answered("EdDSA", kid, NOW)
    cache.succeed(cache.begin(), UNTIL)


def test_an_answer_stands_for_a_while_and_then_the_kid_is_new_again() -> None:
    cache = NegativeCache()
    answered(cache, "new")
    assert cache.is_answered("EdDSA", "new", UNTIL - 0.001)
    assert not cache.is_answered("EdDSA", "new", UNTIL)
    cache.succeed(cache.begin(), UNTIL + 30)
    assert cache.is_answered("EdDSA", "new", UNTIL)


def test_a_later_fetch_renews_every_answer() -> None:
    cache = NegativeCache()
    answered(cache, "new")
    cache.succeed(cache.begin(), UNTIL + 600)
    assert cache.is_answered("EdDSA", "new", UNTIL + 599)


OTHERS = [
    pytest.param("EdDSA", "other", id="another kid"),
    pytest.param("EdDSA", "", id="an empty one"),
    pytest.param("EdDSA", None, id="none"),
    pytest.param("RS256", "new", id="the same one with another alg"),
    pytest.param("RS256", None, id="none, with another alg"),
]


@pytest.mark.parametrize(("algorithm", "kid"), OTHERS)
def test_an_answer_is_for_one_kid_and_alg(algorithm: str, kid: str | None) -> None:
    cache = NegativeCache()
    answered(cache, "new")
    assert not cache.is_answered(algorithm, kid, NOW)


def test_a_token_without_kid_is_answered_too() -> None:
    cache = NegativeCache()
    assert not cache.is_answered("EdDSA", None, NOW)
    cache.succeed(cache.begin(), UNTIL)
    assert cache.is_answered("EdDSA", None, NOW)


def test_what_a_fetch_removed_needs_no_other_fetch() -> None:
    cache = NegativeCache()
    cache.succeed(cache.begin(), UNTIL, [("EdDSA", "old")])
    assert cache.is_answered("EdDSA", "old", NOW)
    assert not cache.is_answered("RS256", "old", NOW)
    assert not cache.is_answered("EdDSA", "old", UNTIL)


def test_made_up_kids_push_out_the_oldest_and_none_is_answered_untruly() -> None:
    cache = NegativeCache(3)
    answered(cache, "a", "b", "c")
    for made_up in range(1000):
        assert not cache.is_answered("EdDSA", f"made up {made_up}", NOW)
        assert len(cache._sightings) == 3
    assert not cache.is_answered("EdDSA", "a", NOW)


def test_a_kid_that_is_new_again_is_not_the_oldest() -> None:
    cache = NegativeCache(2)
    answered(cache, "a", "b")
    cache.is_answered("EdDSA", "a", UNTIL)
    cache.is_answered("EdDSA", "c", UNTIL)
    cache.succeed(cache.begin(), UNTIL + 30)
    assert cache.is_answered("EdDSA", "a", UNTIL)


def test_an_honest_kid_is_kept_while_others_come_in_bounds() -> None:
    cache = NegativeCache(3)
    answered(cache, "a", "b", "c")
    cache.is_answered("EdDSA", "d", NOW)
    assert [cache.is_answered("EdDSA", kid, NOW) for kid in ("b", "c")] == [True, True]
    assert len(cache._sightings) == 3
