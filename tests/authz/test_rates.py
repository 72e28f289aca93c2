"""Rates by the tables, and GCRA beside two slower and more obvious accounts of the same thing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.authz import Router
from proxy.authz.rates import OwnRates, Pace, gcra, paced
from proxy.config import Rate, Rule
from proxy.model import Caller, Identity, Reason
from tests.support.steps import straight

SECOND = 1_000_000
NOW = 1_800_000_000.0
ALICE, BOB = ("https://one.example", "alice"), ("https://one.example", "bob")


def pace(rate):
    return paced(Rule(path="/", rate=rate).rate, "api")


PACES = [
    pytest.param("600/m", 100_000, 59_900_000, id="600 a minute: one each tenth of a second, 600 at once"),
    pytest.param("1/s", SECOND, 0, id="one a second, one at once"),
    pytest.param("1/d", 86_400 * SECOND, 0, id="one a day"),
    pytest.param({"limit": "60/m", "burst": "10"}, SECOND, 9 * SECOND, id="a burst of its own"),
    pytest.param({"limit": "2/h", "burst": "5"}, 1800 * SECOND, 7200 * SECOND, id="a burst above the count"),
    pytest.param("7/s", 142_858, 857_148, id="an interval that is rounded up"),
    pytest.param("999999999/s", 1, 999_999_998, id="a rate beyond the clock's own"),
]


@pytest.mark.parametrize(("rate", "interval", "slack"), PACES)
def test_a_rate_made_ready(rate, interval, slack):
    made = pace(rate)
    assert (made.interval, made.slack) == (interval, slack)


def test_a_rule_without_a_rate():
    assert paced(Rule(path="/").rate, "api") is None


TEN = Pace(b'""', 60, 60, SECOND, 9 * SECOND)  # one a second, ten at once

STEPS = [
    pytest.param(0, 100, (101, 0), id="nothing is known: the first of ten"),
    pytest.param(100, 100, (101, 0), id="the whole burst is there again"),
    pytest.param(99, 100, (101, 0), id="and has been for a while"),
    pytest.param(105, 100, (106, 0), id="in the middle of a burst"),
    pytest.param(109, 100, (110, 0), id="the last of ten"),
    pytest.param(110, 100, (110, 1), id="the eleventh waits for a second, and counts for nothing"),
    pytest.param(109.000001, 100, (109.000001, 0.000001), id="too early by a microsecond"),
    pytest.param(3700, 100, (110, 1), id="a clock that was set back by an hour costs no more than a burst"),
]


@pytest.mark.parametrize(("tat", "now", "verdict"), STEPS)
def test_one_request(tat, now, verdict):
    assert gcra(round(tat * SECOND), TEN, now * SECOND) == tuple(round(SECOND * one) for one in verdict)


RATES = st.builds(
    lambda count, period, burst: Rate(count=count, period=period, burst=burst),
    st.integers(1, 2000),
    st.sampled_from([1.0, 60.0, 3600.0]),
    st.integers(1, 30),
)
# Gaps between requests, many of them short, in microseconds.
GAPS = st.lists(st.integers(0, 200) | st.integers(0, 3 * SECOND) | st.integers(0, 4000 * SECOND), max_size=60)


def admitted(made, times):
    """The times that GCRA admits."""
    tat, passed = 0, []
    for now in times:
        tat, wait = gcra(tat, made, now)
        if not wait:
            passed.append(now)
    return passed


def starting(gaps):
    times, now = [], 1_800_000_000 * SECOND
    for gap in gaps:
        now += gap
        times.append(now)
    return times


def from_a_bucket(made, burst, times):
    """The slow way: a bucket of `burst` tokens, to which one is added each interval; in exact numbers."""
    level, last, passed = Fraction(burst), None, []
    for now in times:
        if last is not None:
            level = min(Fraction(burst), level + Fraction(now - last, made.interval))
        last = now
        if level >= 1:
            level -= 1
            passed.append(now)
    return passed


@given(RATES, GAPS)
@settings(deadline=None, max_examples=150)
def test_as_a_token_bucket_says(rate, gaps):
    made, times = pace(rate), starting(gaps)
    assert admitted(made, times) == from_a_bucket(made, rate.burst, times)


@given(RATES, GAPS)
@settings(deadline=None, max_examples=150)
def test_no_window_has_more_than_burst_and_rate(rate, gaps):
    passed = admitted(pace(rate), starting(gaps))
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            window = Fraction(end - start, SECOND)
            assert last - first + 1 <= rate.burst + window * rate.count / Fraction(rate.period)


@given(RATES, GAPS, st.integers(0, 10 * SECOND))
@settings(deadline=None, max_examples=150)
def test_the_wait_that_is_told_is_enough_and_no_longer_than_needed(rate, gaps, gap):
    made, tat, now = pace(rate), 0, 0
    for now in starting(gaps):
        tat, _ = gcra(tat, made, now)
    now += gap
    wait = gcra(tat, made, now).wait
    assert gcra(tat, made, now + wait).wait == 0
    assert wait == 0 or gcra(tat, made, now + wait - 1).wait == 1
    # Who waits longer is never worse off.
    assert gcra(tat, made, now + wait + gap).wait == 0


@given(RATES, GAPS, st.integers(1, 10**15))
@settings(deadline=None, max_examples=150)
def test_a_clock_that_steps_back_locks_nobody_out(rate, gaps, step):
    made, tat, now = pace(rate), 0, 0
    for now in starting(gaps):
        tat, _ = gcra(tat, made, now)
    tat, wait = gcra(tat, made, now - step)
    assert wait <= made.interval <= round(rate.period * SECOND)
    assert gcra(tat, made, now - step + made.interval).wait == 0


def route(rate="2/m", path="/", **rule):
    return Router([Rule(path=path, **({"rate": rate} if rate else {}), **rule)]).find("GET", b"", path)


def caller(who):
    issuer, agent = who
    return Caller(Identity(agent, issuer, (), (), {}, NOW + 600), frozenset(), b"", b"")


def asked(rates, at, who=None, client="192.0.2.1", now=NOW):
    return straight(rates.judge(at, who and caller(who), client, now))


SAME = [
    pytest.param((ALICE, "192.0.2.1"), (ALICE, "192.0.2.1"), True, id="the same agent"),
    pytest.param((ALICE, "192.0.2.1"), (ALICE, "198.51.100.1"), True, id="the same agent from elsewhere"),
    pytest.param((ALICE, "192.0.2.1"), (BOB, "192.0.2.1"), False, id="another agent from the same address"),
    pytest.param(
        (ALICE, "192.0.2.1"), (("https://two.example", "alice"), "192.0.2.1"), False, id="another issuer's"
    ),
    pytest.param((ALICE, "192.0.2.1"), (None, "192.0.2.1"), False, id="nobody from the same address"),
    pytest.param((None, "192.0.2.1"), (None, "192.0.2.1"), True, id="the same address"),
    pytest.param((None, "192.0.2.1"), (None, "192.0.2.2"), False, id="another address"),
    pytest.param((None, "2001:db8::1"), (None, "2001:db8::ffff:2"), True, id="the same IPv6 network"),
    pytest.param((None, "2001:db8:0:1::1"), (None, "2001:db8:0:2::1"), False, id="another IPv6 network"),
    pytest.param((None, "unix"), (None, "unix"), True, id="a unix socket"),
]


@pytest.mark.parametrize(("first", "second", "same"), SAME)
def test_who_is_counted_together(first, second, same):
    rates, at = OwnRates(), route("1/m")
    assert asked(rates, at, *first) is None
    assert (asked(rates, at, *second) is not None) is same


def test_each_rule_counts_for_itself():
    rates = OwnRates()
    one, other = route("1/m", "/a"), route("1/m", "/b")
    assert [asked(rates, one, ALICE), asked(rates, other, ALICE)] == [None, None]
    assert asked(rates, one, ALICE) is not None


def test_a_rule_without_a_rate_admits_without_end():
    rates = OwnRates()
    assert [asked(rates, route(None), ALICE) for _ in range(100)] == [None] * 100


def test_a_refusal_says_when_to_come_back():
    rates, at = OwnRates(), route({"limit": "600/m", "burst": 2}, name='the "API"')
    who = caller(ALICE)
    for _ in range(2):
        assert straight(rates.judge(at, who, "192.0.2.1", NOW)) is None
    deny = straight(rates.judge(at, who, "192.0.2.1", NOW))
    assert deny.reason is Reason.RATE_LIMITED
    assert deny.caller is who
    assert deny.retry_after == 1
    assert deny.detail == 'rule the "API" admits 600 requests in 60 s'
    assert deny.lines == (
        b'RateLimit-Policy: "the \\"API\\"";q=600;w=60\r\nRateLimit: "the \\"API\\"";r=0;t=1\r\n'
    )
    assert straight(rates.judge(at, who, "192.0.2.1", NOW + 0.1)) is None


NAMES = [
    pytest.param({"name": "api"}, b'"api"', id="a name"),
    pytest.param({"name": 'a"b\\c'}, b'"a\\"b\\\\c"', id="quotes and backslashes"),
    pytest.param({"name": "café"}, b'"caf?"', id="what such a String cannot have"),
    pytest.param({}, b'"default"', id="no name: what it selects is not told"),
]


@pytest.mark.parametrize(("rule", "name"), NAMES)
def test_what_answers_call_a_rate(rule, name):
    made = Router([Rule(path="/secret/**", rate="1/s", **rule)]).find("GET", b"", "/secret")
    assert made.rate.name == name


def test_a_day_is_told_in_seconds():
    rates, at = OwnRates(), route("1/d", name="daily")
    asked(rates, at, ALICE)
    deny = asked(rates, at, ALICE, now=NOW + 0.5)
    assert deny.retry_after == 86400
    assert deny.lines == b'RateLimit-Policy: "daily";q=1;w=86400\r\nRateLimit: "daily";r=0;t=86400\r\n'


def test_callers_without_end_do_not_fill_the_memory():
    rates, at = OwnRates(limit=100), route("1/h")
    for number in range(5000):
        assert asked(rates, at, client=f"192.0.2.{number}") is None
        assert len(rates._tats) == len(rates._next) <= 100


def test_whoever_is_free_soonest_is_forgotten_first():
    rates, daily, often = OwnRates(limit=100), route("1/d", "/a"), route("60/m", "/b")
    assert asked(rates, daily, ALICE) is None
    for number in range(5000):
        assert asked(rates, often, client=f"192.0.2.{number}") is None
    assert asked(rates, daily, ALICE) is not None


def test_a_caller_that_went_on_is_not_forgotten_for_how_it_began():
    rates, often = OwnRates(limit=100), route("60/m")
    # Of those that began at the same time, this one comes first.
    for _ in range(60):
        assert asked(rates, often, client="1.1.1.1") is None
    for number in range(5000):
        assert asked(rates, often, client=f"192.0.2.{number}") is None
    assert asked(rates, often, client="1.1.1.1") is not None


def test_what_tells_nothing_any_more_is_forgotten_by_and_by():
    rates, at = OwnRates(), route("60/m")
    for number in range(100):
        asked(rates, at, client=f"192.0.2.{number}")
    for number in range(20):
        asked(rates, at, client=f"198.51.100.{number}", now=NOW + 60)
    assert len(rates._tats) == len(rates._next) == 20


def test_a_busy_caller_does_not_keep_others_in_memory():
    rates, often = OwnRates(), route({"limit": "60/m", "burst": "1000"})
    asked(rates, often, client="1.1.1.1")
    for number in range(100):
        asked(rates, often, client=f"192.0.2.{number}")
    for _ in range(200):
        asked(rates, often, client="1.1.1.1")
    for number in range(20):
        asked(rates, often, client=f"198.51.100.{number}", now=NOW + 60)
    assert set(rates._tats) == {("/", "", f"198.51.100.{number}") for number in range(20)} | {
        ("/", "", "1.1.1.1")
    }


def test_no_request_pays_for_many():
    rates, at = OwnRates(limit=1000), route("60/m")
    for _ in range(3):
        for number in range(1000):
            asked(rates, at, client=f"192.0.2.{number}")
    # Every place in the order is out of date; a newcomer puts a few of them right, and takes one.
    before = {who: tat for tat, who in rates._next}
    assert asked(rates, at, client="198.51.100.1") is None
    assert len(rates._tats) == len(rates._next) == 1000
    assert 1 < sum(before.get(who) != tat for tat, who in rates._next) <= 8


REQUESTS = st.lists(
    st.tuples(st.sampled_from(["1/d", "60/m", "6/m"]), st.integers(1, 30), st.integers(0, 3)), max_size=80
)


@given(REQUESTS)
@settings(deadline=None, max_examples=150)
def test_the_order_of_forgetting_is_kept_whatever_comes(requests):
    rates, now = OwnRates(limit=10), NOW
    routes = {rate: route({"limit": rate, "burst": "3"}, f"/{rate}") for rate in ("1/d", "60/m", "6/m")}
    for rate, number, gap in requests:
        now += gap
        asked(rates, routes[rate], client=f"192.0.2.{number}", now=now)
        order = rates._next
        assert {who for _, who in order} == set(rates._tats)
        assert len(order) == len(rates._tats) <= 10
        assert all(order[(child - 1) // 2] <= order[child] for child in range(1, len(order)))
