"""Every asynchronous test runs on the product's event loop; properties are repeatable; loggers do not leak.

And a Redis for those that need one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog
import uvloop
from hypothesis import settings

from tests.support.redis_server import redis_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from redis.asyncio import Redis as Client

    from tests.support.redis_server import Redis


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


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    """A Redis of the test's own, empty."""
    async with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
async def redis_client(redis: Redis) -> AsyncIterator[Client]:
    """A client of that Redis."""
    from redis.asyncio import Redis as Client  # noqa: PLC0415 - few tests need it

    async with Client.from_url(redis.url) as client:
        yield client
