"""Every asynchronous test runs on the event loop that the product runs on; properties are repeatable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop
from hypothesis import settings

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    import pytest


# The same examples on every run, so that CI fails for a change and not by chance; new ones are what the
# long tier looks for.
settings.register_profile("quick", derandomize=True)
settings.register_profile("long", deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("quick" if config.getoption("markexpr") == "not long" else "long")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
