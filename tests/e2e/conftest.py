"""What only these tests share: the Node.js programs, and the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import chromium, nodejs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def modules() -> Path:
    """Return the folder of the packages that tests/package.json names."""
    return nodejs.modules()


@pytest.fixture(scope="session")
def node() -> str:
    """Return the Node.js that runs them."""
    return nodejs.node()


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Return the Chromium that pages are shown in."""
    return chromium.path()
