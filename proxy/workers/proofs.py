"""DPoP proofs that were used in any worker: the supervisor knows them, and is asked about each.

Knows digests only. Where the supervisor cannot say, the proof is refused.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from proxy.authn import REPLAYED
from proxy.model import Deny, Reason, Wait
from proxy.workers.channel import ClosedError
from proxy.workers.messages import Use, Used

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from proxy.workers.messages import Message

_PATIENCE = 1.0
_FULL = Deny(Reason.OVERLOADED, "as many proofs as are remembered were used within a minute")
_UNKNOWN = Deny(Reason.INTROSPECTION_UNAVAILABLE, "the process that remembers used proofs does not answer")


class AskedProofs:
    """The used proofs of all workers; `ask` sends the supervisor a message and brings its answer."""

    def __init__(self, ask: Callable[[Message, float], Awaitable[Message]]) -> None:
        self._ask = ask

    def use(
        self, agent: tuple[str, str], proof: bytes, until: float, now: float
    ) -> Generator[Wait, Any, Deny | None]:
        """As `Replay.use`; yields once, to ask."""
        outcome = yield Wait(partial(self._asked, Use(agent, proof, until, now)))
        return {"first": None, "again": REPLAYED, "full": _FULL}.get(outcome, _UNKNOWN)

    async def _asked(self, use: Use) -> str | None:
        try:
            answer = await self._ask(use, _PATIENCE)
        except (TimeoutError, ClosedError):
            return None
        return answer.outcome if isinstance(answer, Used) else None
