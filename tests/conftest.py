"""Every asynchronous test runs on the product's event loop; properties are repeatable; loggers do not leak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
import uvloop
from hypothesis import settings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping


# The same examples on every run, so that CI fails for a change and not by chance; new ones are what the
# long tier looks for.
settings.register_profile("quick", derandomize=True)
settings.register_profile("long", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("quick" if config.getoption("markexpr") == "not long" else "long")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Commands that run in this process leave its loggers as they found them."""
    yield
    structlog.reset_defaults()
