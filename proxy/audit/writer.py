"""What the writers of all formats have in common: the moment as text, the lines that stand for many.

Knows records. Must never know the output or the clock. Pure, but for a memo of the current second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from proxy.audit.translate import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.audit.names import Format
    from proxy.model import Closing, Note, Opening, Reason

# Three digits from a table: formatting them costs more than the rest of a timestamp.
_THREE = tuple(f"{number:03d}" for number in range(1000))
_FAILED = 500  # RFC 9110 section 15.6


class Writer(ABC):
    """Renders the lines of one process in one format.

    `worker` is its number among the processes on one port, `fields` are those of `log.fields`.
    """

    FORMAT: ClassVar[Format]

    def __init__(self, worker: int, fields: Mapping[str, str]) -> None:
        self._worker = worker
        self._fields = fields
        self._second = -1
        self._prefix = ""

    @abstractmethod
    def access(self, opening: Opening, closing: Closing, sample_rate: float | None = None) -> bytes:
        """The one line of a request that has ended; it stands for 1 / `sample_rate` of them.

        `timestamp` is the moment the request arrived, not the moment of writing.
        """

    @abstractmethod
    def stream_open(self, opening: Opening, status: int) -> bytes:
        """The line that says a long answer has started; its access line follows when it ends."""

    def summary(self, event: str, counts: Mapping[str, int], first: float, last: float) -> bytes:
        """The one line that stands for many that were not written.

        `counts` maps a reason (or a decision) to how many; `first` and `last` are when those requests
        arrived, in Unix seconds.
        """
        members = {
            "timestamp": self._stamp(first),
            "level": "warning",
            "event": event,
            "until": self._stamp(last),
            "count": sum(counts.values()),
            "reasons": dict(counts),
            "worker": self._worker,
        }
        return written(self.FORMAT, members, self._fields)

    def _stamp(self, at: float) -> str:
        """`at` (Unix seconds) as RFC 3339 in UTC with milliseconds."""
        second, millisecond = divmod(int(at * 1000), 1000)
        if second != self._second:
            self._second = second
            self._prefix = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}."
        return f"{self._prefix}{_THREE[millisecond]}Z"


def level(decision: str, status: int) -> str:
    """Return how much a request's line matters."""
    return "error" if status >= _FAILED else "info" if decision == "allow" else "warning"


def final(opening: Opening, closing: Closing) -> Reason | Note | None:
    """Return what an access line gives as its reason."""
    # What a rule would have refused says so for good, however its answer ended.
    return opening.reason if opening.decision == "would_deny" else closing.reason or opening.reason
