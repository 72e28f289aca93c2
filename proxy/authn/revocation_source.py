"""What is revoked now, and who is told when that changes: what every place of revocations has in common.

Decides nothing but what goes to the log, and touches neither file nor network. Whatever befalls a source
under way, the last known state stays: nothing is un-revoked because something could not be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from proxy.authn.revocation import NOTHING
from proxy.authn.state import RevocationsState

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.authn.revocation import Revocations

_log = structlog.get_logger()


class RevocationError(Exception):
    """The revocations cannot be read or written: where, why, and what to do; for a person."""


class RevocationSource:
    """Revocations from one place. This one is for none configured: nothing is ever revoked."""

    def __init__(self) -> None:
        self.current = NOTHING
        """What is revoked now."""
        self.ready = True
        """It has been read once. Until then nobody may be admitted."""
        self.failures = 0
        """How often reading has failed since the start."""
        self.watcher: Callable[[Revocations], None] | None = None
        """Called with the new state, on the event loop, whenever it has changed."""
        self._problem: str | None = None
        self._seen_at: float | None = None

    def state(self, now: float) -> RevocationsState:
        """Return how it fares at `now` (the event loop's seconds)."""
        age = None if self._seen_at is None else max(0.0, now - self._seen_at)
        failing = self._problem is not None
        return RevocationsState(len(self.current.moments), self.ready, failing, age, self.failures)

    async def start(self) -> None:
        """Read, and follow what changes from now on.

        Raises:
            RevocationError: something is wrong that a person has to mend; nothing was started.
        """

    async def close(self) -> None:
        """Stop."""

    def _adopt(self, new: Revocations) -> None:
        self.ready = True
        if new == self.current:
            return
        self.current = new
        _log.info("revocations_changed", entries=len(new.moments))
        if self.watcher is not None:
            self.watcher(new)

    def _failed(self, problem: str) -> None:
        """Count a failure; a line in the log is for what has not been said last."""
        self.failures += 1
        if problem != self._problem:
            self._problem = problem
            _log.warning("revocations_not_read", problem=problem, kept=len(self.current.moments))

    def _confirmed(self, now: float) -> None:
        """Note that at `now` (the event loop's seconds) the source was read, or seen to be as it was."""
        self._seen_at = now
        if self._problem is not None:
            self._problem = None
            _log.info("revocations_read_again", failures=self.failures)
