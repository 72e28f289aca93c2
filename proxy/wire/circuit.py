"""Whether the upstream takes connections, as far as the last attempts tell, and when the next may be made.

Pure: it is told what became of each dial, and when. It never knows who waits, nor how one dials. Times are
monotonic seconds.
"""

from __future__ import annotations

from math import inf
from typing import Final

# After so many dials in a row that failed, so many seconds until the next. The first pause is none: where
# only some connections fail, the next one shows it. The last is short: a server that is back is found soon.
PAUSES: Final = (0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.0)


class Circuit:
    """Closed while connections can be made; open from a dial that failed to the next that does not."""

    __slots__ = ("_failed_at", "_failures")

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = -inf

    @property
    def is_open(self) -> bool:
        """Whether the last dial failed: nobody should wait for another."""
        return self._failures > 0

    @property
    def is_confirmed(self) -> bool:
        """Whether a dial failed that was made to see whether the one before failed by chance."""
        return self._failures > 1

    def failed(self, began: float, now: float) -> None:
        """A dial that began at `began` has failed.

        Those that were under way when another failed say the same once more, and not that time has passed.
        """
        if began >= self._failed_at:
            self._failures += 1
            self._failed_at = now

    def succeeded(self) -> None:
        """A connection was made."""
        self._failures = 0

    def pause(self, now: float) -> float:
        """Return the seconds until the next dial may begin, 0 for at once."""
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        return max(0.0, self._failed_at + pause - now)
