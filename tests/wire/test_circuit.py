"""When an upstream that takes no connections is tried again: pure, by the clock that is passed in."""

from __future__ import annotations

import pytest

from proxy.wire.circuit import Circuit

# What happened, in order: a dial that failed with when it began and ended, or when one succeeded.
Dial = tuple[float, float]
MADE = None

HISTORIES = [
    pytest.param([], False, False, 100.0, id="nothing is known yet"),
    pytest.param([(99.0, 100.0)], True, False, 100.0, id="one dial failed: the next is made at once"),
    pytest.param(
        [(99.0, 100.0), (100.0, 100.0)], True, True, 100.1, id="two in a row: a tenth of a second later"
    ),
    pytest.param([(97.0, 98.0), (98.0, 99.0), (99.5, 100.0)], True, True, 100.2, id="three in a row"),
    pytest.param([(96.0 + i, 97.0 + i) for i in range(4)], True, True, 100.4, id="four in a row"),
    pytest.param([(95.0 + i, 96.0 + i) for i in range(5)], True, True, 100.8, id="five in a row"),
    pytest.param([(94.0 + i, 95.0 + i) for i in range(6)], True, True, 101.0, id="six in a row"),
    pytest.param(
        [(0.0 + i, 1.0 + i) for i in range(100)], True, True, 101.0, id="a hundred: never more than a second"
    ),
    pytest.param(
        [(99.0, 100.0)] * 50, True, False, 100.0, id="fifty that were under way together count as one"
    ),
    pytest.param([(97.0, 98.0), (98.0, 99.0), MADE], False, False, 100.0, id="one that succeeds ends it"),
    pytest.param(
        [(97.0, 98.0), (98.0, 99.0), MADE, (99.5, 100.0)], True, False, 100.0, id="and it begins anew"
    ),
    pytest.param(
        [(97.0, 99.0), MADE, (98.0, 100.0)],
        False,
        False,
        100.0,
        id="one that began before another failed says nothing against one that succeeded since",
    ),
]


@pytest.mark.parametrize(("history", "is_open", "is_confirmed", "next_dial"), HISTORIES)
def test_the_next_dial(
    history: list[Dial | None], is_open: bool, is_confirmed: bool, next_dial: float
) -> None:
    circuit = Circuit()
    for dial in history:
        if dial is None:
            circuit.succeeded()
        else:
            circuit.failed(*dial)
    assert (circuit.is_open, circuit.is_confirmed) == (is_open, is_confirmed)
    assert 100.0 + circuit.pause(100.0) == pytest.approx(next_dial)
    assert circuit.pause(next_dial + 0.5) == 0.0
