"""Commands run in this process leave its loggers as they found them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    yield
    structlog.reset_defaults()
