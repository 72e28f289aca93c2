"""One judgement on its way to a verdict: what the wire does about each thing that the gate needs.

A plain request needs nothing and is decided at the first step. The gate never learns how a need is met; what
fails on the way here ends in a refusal, never in a forward.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Any

from proxy.model import Arrived, Reason, Time, Wait
from proxy.wire.framing import Sized

if TYPE_CHECKING:
    import asyncio

    from proxy.model import Body, Judgement, Need
    from proxy.wire.exchange import Exchange
    from proxy.wire.listen import Wire


# What a body must come in, bytes a second, beyond the time that a head may take.
_SLOWEST = 16 * 1024


class Hearing:
    """Runs the gate's judgement of one exchange, and hands its verdict to the exchange."""

    body: bytes | None = None
    """What was collected of the request's body, once that was needed."""

    _task: asyncio.Task[None] | None = None
    _parts: list[bytes] | None = None
    _room = 0
    _due = inf

    def __init__(self, wire: Wire, exchange: Exchange, judgement: Judgement) -> None:
        self._wire = wire
        self._exchange = exchange
        self._judgement = judgement

    def step(self, given: Any = None, failure: Exception | None = None) -> None:
        """Run the gate to its next need or to its verdict, with what the last need gave, or how it failed."""
        try:
            need = self._judgement.send(given) if failure is None else self._judgement.throw(failure)
        except StopIteration as stop:
            self._exchange.obey(stop.value)
        except Exception as error:  # noqa: BLE001 - no verdict, no forward: whatever it was
            self._exchange.undecided(error)
        else:
            self.serve(need)

    def serve(self, need: Need) -> None:
        """Give the gate what it needs, at once or as soon as it is there."""
        if isinstance(need, Arrived):
            self.step(self._exchange.arrived(need.limit))
        elif isinstance(need, Time):
            self.step(self._wire.clock())
        elif isinstance(need, Wait):
            self._task = self._wire.loop.create_task(self._await(need))
        else:
            self._collect(need)

    def _collect(self, need: Body) -> None:
        body = self._exchange.request_body
        if body.done:
            self.step(b"")
        elif isinstance(body, Sized) and body.left > need.limit:
            self.step(Reason.BODY_TOO_LARGE)
        else:
            self._room = need.limit
            self._parts = []
            self._due = time.monotonic() + self._wire.head_timeout
            self._exchange.collect(need.holder)

    def gather(self, content: bytes, *, last: bool) -> None:
        """Take bytes of the body's content; `last`: there are no more."""
        if self._parts is None:
            return
        self._parts.append(content)
        self._room -= len(content)
        refused = None
        if self._room < 0:
            refused = Reason.BODY_TOO_LARGE
        elif not self._exchange.store(len(content)):
            refused = Reason.OVERLOADED
        elif not last:
            # However often a byte comes: who is slow holds memory that others need.
            self._due += len(content) / _SLOWEST
            now = time.monotonic()
            left = min(self._due - now, self._wire.timeouts.idle)
            if left > 0:
                self._wire.wheel.arm(self._exchange.client, now, left)
            else:
                self._exchange.client_silent()
            return
        if refused is None:
            self.body = b"".join(self._parts)
        self._parts = None
        self._exchange.client.deadline = inf
        self.step(refused or self.body)

    async def _await(self, need: Wait) -> None:
        given, failure = None, None
        try:
            given = await need.call()
        except Exception as error:  # noqa: BLE001 - the gate decides what a failure means
            failure = error
        self._task = None
        self.step(given, failure)

    def cancel(self) -> None:
        """Wait for nothing more."""
        self._parts = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
