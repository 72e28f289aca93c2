"""Generators of the deciding rooms, run to their end: without a loop, or doing what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from proxy.model import Time, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")


def straight(steps: Generator[Wait | Time, Any, T]) -> T:
    """What a generator returns that must not wait for anything."""
    try:
        next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


async def driven(
    steps: Generator[Wait | Time, Any, T], clock: Callable[[], float] | None = None, got: object = None
) -> T:
    """What a generator returns when its needs are met, as the wire does.

    `clock` gives Unix seconds, None where the time may not be asked for. `got` is what it waits for, of one
    that was begun.
    """
    try:
        while True:
            need = steps.send(got)
            if isinstance(need, Wait):
                got = await need.call()
            else:
                assert clock is not None, "it asks for the time"
                got = clock()
    except StopIteration as done:
        result: T = done.value
        return result
