"""What tests of keys share: a key server on loopback, a hand-cranked clock, and what fetches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.authn.fetch import Web
from tests.support.key_server import KeyServer, key_server
from tests.support.sources import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    opened = Web()
    yield opened
    await opened.close()
