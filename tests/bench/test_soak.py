from __future__ import annotations

import pytest

from tests.bench.soak import measure


@pytest.mark.long
def test_twenty_minutes_of_everything_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        figures = measure(seconds=1200, clients=24)
    half = figures.samples[len(figures.samples) // 2 :]
    assert figures.slope() < 64
    # Clients come and go: what is open at one moment differs, and does not grow.
    assert max(one.files for one in half) < 4 * 24
