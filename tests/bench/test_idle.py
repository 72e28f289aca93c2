from __future__ import annotations

import pytest

from tests.bench.idle import measure


@pytest.mark.long
def test_memory_stays_flat_with_500_idle_and_64_busy_connections(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        figures = measure(idle=500, busy=64, seconds=600, rate=10)
    assert figures.idle_left == 500
    assert figures.slope() < 64
    assert figures.samples[-1].files <= figures.samples[1].files
