"""Generators of the deciding rooms, run to their end: without a loop, or doing what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from proxy.model import Wait

T = TypeVar("T")


def straight(steps: Generator[Wait, Any, T]) -> T:
    """What a generator returns that must not wait for anything."""
    try:
        next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


async def driven(steps: Generator[Wait, Any, T]) -> T:
    """What a generator returns when its waits are awaited, as the wire does."""
    got: Any = None
    try:
        while True:
            got = await steps.send(got).call()
    except StopIteration as done:
        result: T = done.value
        return result
