"""Finished requests, counted and timed by what the configuration and the reasons name.

Knows records and numbers. Must never know how they are shown, or why a request was decided as it was. No
value of a client's own is ever a key here, so that no client can make the counts grow.

prometheus-client's own counters take a lock and several calls for each of these: too much for every request.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from proxy.model import Closing, Note, Opening, Reason

    _Key = tuple[str | None, int, str, Reason | Note | None]

BOUNDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
"""Seconds: the upper bound of each bucket but the last, which has none."""


class Requests(Struct, gc=False):
    """Finished requests that share rule, status, decision and reason; None where there was none.

    `durations` counts them by bucket of `BOUNDS`, `seconds` is the sum. The same for how long the upstream
    took to its final head, of those that it answered.
    """

    rule: str | None
    status: int
    decision: str
    reason: str | None
    durations: list[int]
    upstream_durations: list[int]
    seconds: float = 0.0
    upstream_seconds: float = 0.0


class _Alike:
    """As `Requests`, while it is counted: what is counted into a Struct costs a third more."""

    __slots__ = ("durations", "seconds", "upstream_durations", "upstream_seconds")

    def __init__(self) -> None:
        self.durations = [0] * (len(BOUNDS) + 1)
        self.upstream_durations = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.upstream_seconds = 0.0


class Metrics:
    """The counts of one process."""

    def __init__(self) -> None:
        self.sessions = 0
        """Sessions of MCP servers that were given out, sealed."""
        self._counted: dict[_Key, _Alike] = {}

    def count(self, opening: Opening, closing: Closing) -> None:
        """Count a request that has ended."""
        key = (opening.rule, closing.status, opening.decision, closing.reason or opening.reason)
        alike = self._counted.get(key)
        if alike is None:
            alike = self._counted[key] = _Alike()
        seconds, upstream_seconds = closing.seconds, closing.upstream_seconds
        alike.durations[bisect_left(BOUNDS, seconds)] += 1
        alike.seconds += seconds
        if upstream_seconds is not None:
            alike.upstream_durations[bisect_left(BOUNDS, upstream_seconds)] += 1
            alike.upstream_seconds += upstream_seconds

    def requests(self) -> list[Requests]:
        """Return the counts as they are now; what is counted later changes none of them."""
        return [
            Requests(
                rule,
                status,
                decision,
                None if reason is None else str(reason),
                alike.durations.copy(),
                alike.upstream_durations.copy(),
                alike.seconds,
                alike.upstream_seconds,
            )
            for (rule, status, decision, reason), alike in self._counted.items()
        ]
