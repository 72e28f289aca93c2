"""The access log as the gate sees it: an opening and a closing go in, one line comes out.

Knows which lines give way when the output falls behind. Must never know why a request was decided as it was.

structlog carries the record: its one processor renders it to bytes, the logger that it wraps is the queue.
"""

from __future__ import annotations

from math import inf
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec import Struct

from proxy.audit.formats import writer
from proxy.audit.output import Output
from proxy.audit.sink import BOUND, Sink
from proxy.model import Reason

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from proxy.audit.metrics import Metrics
    from proxy.audit.recent import Recent
    from proxy.audit.sampling import Sampling
    from proxy.config import Log
    from proxy.model import Closing, Opening

    _Record = tuple[Opening, Closing | int, bool, float | None]
    """What was known at the start, at the end (or a stream's status), whether the line is minor, its rate."""

_SUMMARY_EVERY: Final = 1.0
_WARN_EVERY: Final = 10.0
_GRACE: Final = 5.0

_operations = structlog.get_logger()


class LogState(Struct, frozen=True):
    """How the log fares: bytes that wait to be written, and lines that never will be, since the start.

    `dropped` found no room; `suppressed` are refusals of anonymous callers beyond their share. `refuses` says
    that nothing new is admitted while it is `full`.
    """

    queued: int = 0
    full: bool = False
    refuses: bool = False
    dropped: int = 0
    suppressed: int = 0


class AccessLog:
    """One line per request, and one more per stream that starts.

    Refusals of anonymous callers use at most a quarter of the queue; beyond that they are counted, in one
    `access_suppressed` line per second. A line that finds no room at all is counted likewise, in
    `access_dropped`. With `refuse_when_full` an admitted request's line is never dropped: the gate admits
    nothing while `full`, so such lines are no more than the requests in progress.

    `worker` is this process's number among those on one port, `bound` how many bytes of lines may wait to be
    written. `metrics` counts every request, whatever becomes of its line; None where nobody asks for counts.
    `sampling` says which requests have no line; each has one where it is None.
    `recent` keeps each line for a while; None where nobody can look.
    Raises OSError where the output cannot be opened.
    """

    def __init__(
        self,
        log: Log,
        worker: int = 0,
        bound: int = BOUND,
        metrics: Metrics | None = None,
        sampling: Sampling | None = None,
        recent: Recent | None = None,
    ) -> None:
        self._metrics = metrics
        self._recent = recent
        self._lossless = log.refuse_when_full
        self._lines = writer(log.format, worker, log.fields)
        # None where there is nothing to leave out: to ask for that costs next to nothing.
        self._sampling = sampling or None
        path = None if log.output == "stdout" else log.output
        self._sink = Sink(Output(path, _operations.warning), bound)
        self._logger: _Logger = structlog.wrap_logger(
            self._sink, processors=[self._render], wrapper_class=_Logger, context_class=dict
        ).bind()
        self._suppressed = _Tally("access_suppressed")
        self._dropped = _Tally("access_dropped")
        self._counting = False
        self._warned = -inf
        self._loop: asyncio.AbstractEventLoop | None = None

    def configure(self, log: Log, sampling: Sampling) -> None:
        """Go by `log` and `sampling` from now on; output, format and fields stay what they were."""
        self._lossless = log.refuse_when_full
        self._sampling = sampling or None

    @property
    def full(self) -> bool:
        """Whether the output is so far behind that nothing new should be admitted."""
        return self._sink.full

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to write; `opened` and `finished` are called on `loop`."""
        self._loop = loop
        self._sink.start(loop)

    def opened(self, opening: Opening, status: int) -> None:
        """Write that a long answer has started."""
        opening.streamed = True
        self._write(opening, status)

    def finished(self, opening: Opening, closing: Closing) -> None:
        """Write the access line of a request that has ended, unless it is one of those that have none."""
        if self._metrics is not None:
            self._metrics.count(opening, closing)
        sampling, rate = self._sampling, None
        if sampling is not None:
            rate = sampling.rate(opening, closing)
            if rate is not None and not sampling.keeps(opening, rate):
                return
        self._write(opening, closing, rate)

    def session_opened(self) -> None:
        """Count a session that was given out."""
        if self._metrics is not None:
            self._metrics.sessions += 1

    def state(self) -> LogState:
        """Return how it fares now."""
        sink = self._sink
        return LogState(sink.queued, sink.full, self._lossless, self._dropped.total, self._suppressed.total)

    def reopen(self) -> None:
        """Open the file anew by its path, after it was rotated away."""
        self._sink.reopen()

    def close(self) -> None:
        """Write what is queued, for at most 5 seconds; no line may come after it.

        Blocks, so it is called from another thread while the loop still runs. Without a start there is
        nothing to write, and only the output is closed.
        """
        if self._loop is None:
            self._sink.close(_GRACE)
        else:
            handed_over = Event()
            self._loop.call_soon_threadsafe(self._hand_over, handed_over)
            handed_over.wait()
        # A blocking output may hold the writer beyond its time: it is left behind then.
        left = self._sink.join(_GRACE + 0.5)
        if left:
            _operations.error("audit_lines_lost", bytes=left)

    def _hand_over(self, done: Event) -> None:
        self._summarise(last=True)
        self._sink.close(_GRACE)
        done.set()

    def _write(self, opening: Opening, end: Closing | int, rate: float | None = None) -> None:
        minor = opening.decision == "deny" and (
            # What a full log itself refused counts as well: otherwise refusing would go on filling it.
            opening.caller is None or opening.reason is Reason.AUDIT_UNAVAILABLE
        )
        if (minor and self._sink.minor_full) or not self._logger.write((opening, end, minor, rate)):
            self._count(self._suppressed if minor else self._dropped, opening)

    def _render(self, _sink: object, _method: str, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """What structlog hands to `Sink.append`: a line, whether it is minor, whether it is kept."""
        opening, end, minor, rate = values["event"]
        if isinstance(end, int):
            line = self._lines.stream_open(opening, end)
        else:
            line = self._lines.access(opening, end, rate)
        if self._recent is not None:
            self._recent.append(line)
        return (line, minor, self._lossless and opening.decision != "deny"), {}

    def _count(self, tally: _Tally, opening: Opening) -> None:
        tally.add(opening)
        if not self._counting:
            self._later()

    def _later(self) -> None:
        assert self._loop is not None  # noqa: S101 - nothing is counted before the start
        self._counting = True
        self._loop.call_later(_SUMMARY_EVERY, self._tick)

    def _tick(self) -> None:
        self._counting = False
        dropped, now = self._dropped.counts, monotonic()
        if dropped and now - self._warned >= _WARN_EVERY:
            self._warned = now
            _operations.warning("audit_lines_dropped", lines=sum(dropped.values()))
        if not self._summarise():
            self._later()

    def _summarise(self, *, last: bool = False) -> bool:
        """Write what was counted since the last time; False where there was no room for it."""
        for tally in (self._suppressed, self._dropped):
            if tally.counts:
                line = self._lines.summary(tally.event, tally.counts, tally.first, tally.last)
                if not self._sink.append(line, kept=last):
                    return False
                if self._recent is not None:
                    self._recent.append(line)
                tally.counts = {}
        return True


class _Logger(structlog.BoundLoggerBase):
    """structlog's way from a record to the queue; one method, for a rendered line knows its own level."""

    def write(self, record: _Record) -> bool:
        # structlog's own way copies the context, which is empty here, at half the cost of a line.
        for render in self._processors:
            line: Any = render(self._logger, "append", {"event": record})
        taken: bool = self._logger.append(*line[0])
        return taken


class _Tally:
    """How many lines were not written, by reason, and when their requests arrived (Unix seconds)."""

    def __init__(self, event: str) -> None:
        self.event = event
        self.counts: dict[str, int] = {}
        self.total = 0
        """Of all, those that were told of included."""
        self.first = self.last = 0.0

    def add(self, opening: Opening) -> None:
        if not self.counts:
            self.first = opening.timestamp
        self.last = opening.timestamp
        self.total += 1
        reason = opening.reason or opening.decision
        self.counts[reason] = self.counts.get(reason, 0) + 1
