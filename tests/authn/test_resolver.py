"""Lookups that end when nobody waits for them any more; what they find is in test_fetch."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from proxy.authn.resolver import Resolver


class Hanging:
    """A name service that hangs until it is freed."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.freed = threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, *_: object) -> list[Any]:
        self.threads.append(threading.current_thread())
        self.asked.set()
        self.freed.wait(10)
        return []

    def end(self) -> None:
        self.freed.set()
        for thread in self.threads:
            thread.join(10)


async def given_up(lookup: Hanging) -> None:
    """Ask, and stop waiting."""
    asking = asyncio.create_task(Resolver(lookup).resolve("keys.test", 443))
    await asyncio.to_thread(lookup.asked.wait, 10)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    lookup, trouble = Hanging(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    await given_up(lookup)
    await asyncio.to_thread(lookup.end)
    assert trouble == []


def test_an_answer_after_the_end_of_the_loop_is_dropped() -> None:
    lookup = Hanging()
    asyncio.run(given_up(lookup))
    # An exception in the thread would be an error here.
    lookup.end()
    assert not lookup.threads[0].is_alive()
    assert lookup.threads[0].daemon
