"""Rates: how many requests of one agent a rule admits, and when the next one may come.

GCRA (ITU-T I.371 Annex A) as a function, and a count for this process; `rates_redis` counts for all. Pure,
with `now` as a value. Time is counted in whole microseconds, exact here and in Redis. A rate protects the
upstream and authenticates nobody, so for want of memory nobody is refused.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct

from proxy.model import Deny, Reason

if TYPE_CHECKING:
    from collections.abc import Generator

    from proxy.authz.requirements import Route
    from proxy.config import Rate
    from proxy.model import Caller, Wait

SECOND = 1_000_000

# Most keys looked at for one new key, so that no request pays for the sins of thousands.
_LOOKS = 8

Key = tuple[str, str, str]
"""Rule, issuer and agent; without an identity, rule, nothing and the client's network."""


class Pace(Struct, frozen=True):
    """A rule's rate, ready to be counted: `count` requests in `period` seconds.

    `interval` is what lies between two requests of a steady caller, rounded up so that the rate is never
    exceeded; `slack` is how far ahead of that a burst may run. Both in microseconds. `name` is how answers
    call it: a String of RFC 9651 section 3.3.3.
    """

    name: bytes
    count: int
    period: int
    interval: int
    slack: int


def paced(rate: Rate | None, name: str) -> Pace | None:
    """Make a rate ready; `name` is how answers call it."""
    if rate is None:
        return None
    plain = name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace")
    interval = -(-round(rate.period) * SECOND // rate.count)
    return Pace(b'"%b"' % plain, rate.count, round(rate.period), interval, (rate.burst - 1) * interval)


class Verdict(NamedTuple):
    """What to remember, and how long to wait; a `wait` of 0 is an admitted request."""

    tat: int
    wait: int


def gcra(tat: int, pace: Pace, now: int) -> Verdict:
    """Judge one request; all times in microseconds.

    `tat` is the theoretical arrival time: when the caller would have sent its next request had it
    kept to the pace, 0 where nothing is known of it. Once it has passed, the whole burst is there again.
    """
    # Never further ahead than a whole burst: a clock that was set back must not lock anybody out.
    tat = min(max(tat, now), now + pace.slack + pace.interval)
    wait = tat - now - pace.slack
    return Verdict(tat, wait) if wait > 0 else Verdict(tat + pace.interval, 0)


class Rates(Protocol):
    """Who counts requests."""

    def judge(
        self, route: Route, caller: Caller | None, client: str, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        """Count a request that meets everything else; None where it may pass.

        `client` is the client's address, which stands for whoever has no identity; `now` is Unix seconds.
        """


class OwnRates:
    """Counts for this process, `limit` callers at most.

    When it is full, whoever will have a whole burst again soonest is forgotten first: it gains the least.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._tats: dict[Key, int] = {}
        # A heap of each key and a tat that it had: what has moved on since is put right when it comes up.
        self._next: list[tuple[int, Key]] = []

    def judge(
        self, route: Route, caller: Caller | None, client: str, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        """As `Rates.judge`; waits for nothing."""
        yield from ()
        pace = route.rate
        if pace is None:
            return None
        wait = self._count(key(route, caller, client), pace, round(now * SECOND))
        return refusal(route.name, pace, caller, wait) if wait else None

    def _count(self, who: Key, pace: Pace, now: int) -> int:
        known = self._tats.get(who)
        tat, wait = gcra(known or 0, pace, now)
        if known is None:
            self._forget(now)
            heappush(self._next, (tat, who))
        self._tats[who] = tat
        return wait

    def _forget(self, now: int) -> None:
        """Forget whoever has a whole burst again, a few at a time; where it is full, somebody in any case."""
        for look in range(_LOOKS):
            if not self._next:
                return
            seen, who = self._next[0]
            tat, full = self._tats[who], len(self._tats) >= self._limit
            if tat != seen and look < _LOOKS - 1:
                heapreplace(self._next, (tat, who))
            elif tat > now and not full:
                return
            else:
                heappop(self._next)
                del self._tats[who]


def key(route: Route, caller: Caller | None, client: str) -> Key:
    """Return whose requests are counted together."""
    if caller is not None:
        return route.name, caller.identity.issuer, caller.identity.id
    # One IPv6 customer has at least a /64 (RFC 6177), and may take another address of it for each request.
    return route.name, "", IPv6Address(client).packed[:8].hex(":", 2) if ":" in client else client


def refusal(rule: str, pace: Pace, caller: Caller | None, wait: int) -> Deny:
    """Word the refusal of a request that came `wait` microseconds too early.

    The header lines are those of draft-ietf-httpapi-ratelimit-headers-11.
    """
    seconds = -(-wait // SECOND)
    return Deny(
        Reason.RATE_LIMITED,
        f"rule {rule} admits {pace.count} requests in {pace.period} s",
        caller=caller,
        retry_after=seconds,
        lines=b"RateLimit-Policy: %b;q=%d;w=%d\r\nRateLimit: %b;r=0;t=%d\r\n"
        % (pace.name, pace.count, pace.period, pace.name, seconds),
    )
