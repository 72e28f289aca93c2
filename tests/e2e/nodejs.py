"""The Node.js programs of the tests, and the rule on what happens where they are missing.

Without them a test is skipped on a developer's machine; in CI it fails, so that none is left out unseen.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent.parent


def modules() -> Path:
    """Return the folder of the packages that tests/package.json names."""
    folder = _TESTS / "node_modules"
    named = json.loads((_TESTS / "package.json").read_text())["dependencies"]
    if not all((folder / name).is_dir() for name in named):
        _missing("the packages of tests/package.json are not installed: run `npm ci` in tests/")
    return folder


def node() -> str:
    """Return the Node.js that runs them: the one that npm brought, or any other where npm has none."""
    own = modules() / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node") or _missing("there is no Node.js")


def _missing(what: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
