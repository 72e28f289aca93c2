"""Whether something answers: asked in the background, and only when somebody wants to know.

A thin shell. Knows nothing of what it asks.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.admin.snapshot import Contact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_RECENT: Final = 10.0
_PATIENCE: Final = 2.0


class Probe:
    """Calls `check`, which raises where there is no answer; `known` is what else is known of the same.

    What was learnt is good for `recent` seconds: until then nothing is asked, however often somebody looks.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[object]],
        known: Callable[[float], Contact] = lambda _: Contact(),
        recent: float = _RECENT,
    ) -> None:
        self._check = check
        self._known = known
        self._recent = recent
        self._answered_at: float | None = None
        self._missed_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    def look(self) -> Contact:
        """Return what is known now; where that is old, something newer will be known soon."""
        now = monotonic()
        contact = Contact.at(now, self._answered_at, self._missed_at).joined(self._known(now))
        if self._asking is None and (contact.age is None or contact.age >= self._recent):
            self._asking = asyncio.create_task(self._ask())
        return contact

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._check()
        except Exception:  # noqa: BLE001 - whatever it was: no answer
            self._missed_at = monotonic()
        else:
            self._answered_at = monotonic()
        finally:
            self._asking = None
