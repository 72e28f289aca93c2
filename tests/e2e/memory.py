"""The server of `memory_server.py` behind Keystile: whoever reads may recall, and few may remember."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.programs import program
from tests.support.service import keystile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.service import Service

SERVER = Path(__file__).with_name("memory_server.py")
READER = ["memory:read"]
WRITER = ["memory:read", "memory:write"]


@contextlib.contextmanager
def memory(
    folder: Path, *words: str, rule: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[Service]:
    """Run both until the block ends: the server with these words, Keystile with these settings.

    `rule` is laid over its one rule, by which `request_headers` is for nobody.
    """
    entries = [{"tool": "recall"}, {"tool": "remember", "scopes": ["memory:write"]}]
    usual = {"name": "mcp", "path": "/mcp", "scopes": READER, "mcp": entries}
    with program([sys.executable, SERVER, *words], folder / "server") as server:
        upstream = server.says(r"running on (http://\S+)")
        with keystile(
            folder / "keystile", upstream=upstream, rules=[{**usual, **(rule or {})}], **settings
        ) as service:
            yield service
