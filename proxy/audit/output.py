"""Where the bytes go: a file or standard output, written by one thread, whole lines at a time.

Knows descriptors, locks and their faults. Must never know what a line says.

Several processes may write to one output, and a pipe keeps only writes of up to 4 KiB together (PIPE_BUF), so
every batch is written under a lock: `flock` on a file that this process opened itself, a record lock on an
inherited stdout, because processes that share an open file description share its `flock` too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import threading
from contextlib import contextmanager, suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STDOUT: Final = 1
# Not blocking, so that a FIFO without a reader is an error at start and a full one can be given up.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o640
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_POLL_MS: Final = 200
_WARN_EVERY: Final = 10.0


class Output:
    """Standard output (`path` is None) or a file that is appended to.

    `reopen` and `give_up` may be called from any thread, the rest belongs to the one that writes. `warn` is
    called with an event and values, at most once per 10 seconds. Raises OSError where `path` cannot be
    opened.
    """

    def __init__(self, path: str | None, warn: Callable[..., object]) -> None:
        self._path = path
        self._warn = warn
        self._fd = _STDOUT if path is None else os.open(path, _FLAGS, _MODE)
        self._lock = fcntl.lockf if path is None else fcntl.flock
        self._nudge = threading.Event()
        self._stale = False
        self._deadline = inf
        self._warned = -inf

    def reopen(self) -> None:
        """Have the path opened anew before the next write; standard output stays as it is."""
        self._stale = self._path is not None
        self._nudge.set()

    def give_up(self, deadline: float) -> None:
        """Try no longer than `deadline` (monotonic seconds), whatever is left."""
        self._deadline = deadline
        self._nudge.set()

    def write(self, data: bytes) -> int:
        """Write whole lines, trying until all is out or the deadline has passed; how many bytes are out."""
        done = 0
        while True:
            if self._stale and self._renew():
                # A line that a full disk tore in the old file stands whole in the new one.
                done = data.rfind(b"\n", 0, done) + 1
            with self._locked():
                done = self._push(memoryview(data), done)
            if done == len(data) or monotonic() >= self._deadline:
                return done

    def close(self) -> None:
        """Close what was opened here."""
        if self._path is not None:
            os.close(self._fd)

    def _push(self, data: memoryview, done: int) -> int:
        wait = _FIRST_WAIT
        while done < len(data):
            try:
                done += os.write(self._fd, data[done:])
                wait = _FIRST_WAIT
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(_POLL_MS)
            except OSError as error:
                self._report("audit_output_failing", error)
                self._nudge.wait(wait)
                self._nudge.clear()
                wait = min(wait * 2, _LONGEST_WAIT)
            if self._stale or monotonic() >= self._deadline:
                break
        return done

    def _renew(self) -> bool:
        """Open the path anew; True where that is another file than before."""
        assert self._path is not None  # noqa: S101 - standard output never gets stale
        self._stale = False
        try:
            fresh = os.open(self._path, _FLAGS, _MODE)
        except OSError as error:
            self._report("audit_reopen_failed", error)
            return False
        moved = not os.path.sameopenfile(self._fd, fresh)
        os.close(self._fd)
        self._fd = fresh
        return moved

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # macOS has no record locks on pipes; unlocked is better than unwritten.
        with suppress(OSError):
            self._lock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                self._lock(self._fd, fcntl.LOCK_UN)

    def _report(self, event: str, error: OSError) -> None:
        now = monotonic()
        if now - self._warned >= _WARN_EVERY:
            self._warned = now
            self._warn(event, error=errno.errorcode.get(error.errno or 0, "unknown"))
