"""What every fuzz target shares: cases made from a seed, checked one by one, and made small where one fails.

A target is two functions: `make` draws a case from a `Random`, `check` raises where a property does not hold.
Every case can be made again from its seed and number alone, so a failure is repeated by `again`. No case may
take more than `PATIENCE` seconds of this process's own time: a hang is a failure like any other.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from secrets import randbits
from typing import TYPE_CHECKING, Generic, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType

    from _pytest.mark import ParameterSet

LONG_RUNS = int(os.environ.get("KEYSTILE_FUZZ_RUNS", "1_000_000"))
"""Runs of each target in the long tier."""
PATIENCE = 10.0
"""What one case may cost, in seconds of processor time: far beyond what any honest one needs."""
_MOST_ATTEMPTS = 2_000

Case = TypeVar("Case")


@dataclass(frozen=True)
class Target(Generic[Case]):
    """`smaller` yields cases that are a little less than the one given, the boldest cuts first."""

    name: str
    make: Callable[[Random], Case]
    check: Callable[[Case], object]
    smaller: Callable[[Case], Iterable[Case]]

    def again(self, seed: int, number: int) -> Case:
        """The case of this number."""
        return self.make(Random(f"{seed}:{number}"))


class HangError(Exception):
    """A case did not come to an end."""


def _hung(_signal: int, _frame: FrameType | None) -> None:
    raise HangError


def fuzz(target: Target[Case], runs: int, seed: int) -> str:
    """Check so many cases; returns how many that were, and how fast, as one line.

    Raises:
        AssertionError: a property does not hold; says for which case, and for what is left of it at its smallest.
    """
    before = signal.signal(signal.SIGVTALRM, _hung)
    began = time.perf_counter()
    try:
        for number in range(runs):
            case = target.again(seed, number)
            failure = _failure(target, case)
            if failure is not None:
                least, why = _least(target, case, failure)
                raise AssertionError(
                    f"{target.name}, seed {seed}, number {number}: {why!r}\nat its smallest: {least!r}"
                ) from why
    finally:
        signal.signal(signal.SIGVTALRM, before)
    took = time.perf_counter() - began
    return f"{target.name}: {runs:,} runs, seed {seed}, {runs / took:,.0f} runs/s"


def at_length(target: Target[Case], capsys: pytest.CaptureFixture[str]) -> None:
    """The long tier: other cases every time, and figures for whoever runs it."""
    says = fuzz(target, LONG_RUNS, seed=randbits(32))
    with capsys.disabled():
        print(f"\n{says}")


def kept(name: str) -> list[ParameterSet]:
    """The inputs of a target that once failed, at their smallest: the files in `corpus/`."""
    files = sorted((Path(__file__).parent / "corpus" / name).glob("*"))
    return [pytest.param(file.read_bytes(), id=file.stem.replace("_", " ")) for file in files]


def _failure(target: Target[Case], case: Case) -> Exception | None:
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        target.check(case)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        return error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return None


def _least(target: Target[Case], case: Case, failure: Exception) -> tuple[Case, Exception]:
    """The smallest case found that fails in the same way, and how."""
    attempts = 0
    found = True
    while found:
        found = False
        for one in target.smaller(case):
            if one == case:
                continue
            attempts += 1
            if attempts > _MOST_ATTEMPTS:
                return case, failure
            again = _failure(target, one)
            if _kind(again) == _kind(failure):
                case, failure, found = one, again, True
                break
    return case, failure


def _kind(failure: Exception | None) -> tuple[type, str]:
    return type(failure), str(failure).partition("\n")[0]


# ---- what makers are built of ---------------------------------------------------------------------------------

One = TypeVar("One")


def often(random: Random, chance: float) -> bool:
    return random.random() < chance


def some(random: Random, choices: Sequence[One], most: int) -> list[One]:
    """None to `most` of `choices`, any of them more than once."""
    return random.choices(choices, k=random.randint(0, most))


def cut(data: bytes) -> Iterator[bytes]:
    """`data` without a piece of it, halves first, single bytes last."""
    size = len(data) // 2
    while size:
        for start in range(0, len(data), size):
            yield data[:start] + data[start + size :]
        size //= 2


def hurt(random: Random, data: bytes, pieces: Sequence[bytes], most: int = 3) -> bytes:
    """`data` with a few bytes changed, left out, doubled, swapped, or with one of `pieces` put in."""
    for _ in range(random.randint(1, most)):
        at, size = random.randint(0, len(data)), random.choice((0, 1, 1, 2, 5, 20))
        taken = data[at : at + size]
        match random.randrange(5):
            case 0:
                data = data[:at] + random.choice(pieces) + data[at:]
            case 1:
                data = data[:at] + random.choice(pieces) + data[at + size :]
            case 2:
                data = data[:at] + data[at + size :]
            case 3:
                data = data[:at] + taken + data[at:]
            case _:
                data = data[:at] + random.randbytes(len(taken)) + data[at + size :]
    return data
