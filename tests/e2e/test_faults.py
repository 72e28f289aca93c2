"""Faults under load, in small: nobody is let in wrongly, no answer is lost, and every answer has its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.faults import FAULTS, run

if TYPE_CHECKING:
    from pathlib import Path

# What is answered to those that may be admitted, other than 200.
_ELSE = {"upstream_killed": {502}}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_under_load(fault: str, tmp_path: Path) -> None:
    found = await run(fault, tmp_path, rate=200, seconds=1.5, connections=8)
    assert found.wrongly_admitted == []
    # What a process that is killed has in hand dies with it: one request of each connection, and its last lines.
    unavoidable = 8 if fault == "worker_killed" else 0
    assert len(found.unlogged) <= unavoidable
    assert found.lost <= unavoidable
    assert set(found.statuses) == {200, *_ELSE.get(fault, ())}
