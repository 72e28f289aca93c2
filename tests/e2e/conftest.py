"""What only these tests share: the Node.js programs, and the rule on what happens where they are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def modules() -> Path:
    """Return the folder of the packages that tests/package.json names.

    Without them a test is skipped on a developer's machine; in CI it fails, so that none is left out unseen.
    """
    folder = Path(__file__).parent.parent / "node_modules"
    if not all((folder / name).is_dir() for name in ("oidc-provider", "oauth2-mock-server")):
        _missing("the packages of tests/package.json are not installed: run `npm ci` in tests/")
    return folder


@pytest.fixture(scope="session")
def node(modules: Path) -> str:
    """Return the Node.js that runs them: the one that npm brought, or any other where npm has none."""
    own = modules / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node") or _missing("there is no Node.js")


def _missing(what: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
