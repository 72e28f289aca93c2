"""When an answer that takes its time has to be over: its token expires, or it lasts too long.

On the wheel beside the deadlines of the connections, which know only how long nothing has moved.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.wire.exchange import Exchange
    from proxy.wire.listen import Wire


class Overtime:
    """Watches one exchange's `until`."""

    def __init__(self, wire: Wire, exchange: Exchange) -> None:
        self.slot = 0
        self.deadline = inf
        self._wire = wire
        self._exchange = exchange
        self._arm()

    def expired(self, now: float) -> None:
        """The time may be up: the wall clock, which tokens go by, may have been set meanwhile."""
        del now
        if self._wire.clock() >= self._exchange.until():
            self._exchange.overdue()
        else:
            self._arm()

    def _arm(self) -> None:
        left = self._exchange.until() - self._wire.clock()
        if left < inf:
            self._wire.wheel.arm(self, time.monotonic(), max(left, 0.0))
