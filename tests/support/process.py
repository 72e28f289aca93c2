"""Starts the product as people do, in a process of its own, so that its memory can be looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.harness import LOG, settings_file
from tests.support.lines import assert_valid
from tests.support.raw import DEADLINE, Address, Client, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


class Process:
    """A `keystile run` that listens."""

    def __init__(self, pid: int, address: Address) -> None:
        self.address = address
        self._status = Path(f"/proc/{pid}/status")

    def client(self) -> AbstractAsyncContextManager[Client]:
        return connect(self.address)

    def memory(self) -> int:
        """Resident bytes now."""
        return self._bytes("VmRSS")

    def peak(self) -> int:
        """Resident bytes at most, ever."""
        return self._bytes("VmHWM")

    def _bytes(self, name: str) -> int:
        [line] = [line for line in self._status.read_text().splitlines() if line.startswith(f"{name}:")]
        return int(line.split()[1]) * 1024


@contextlib.asynccontextmanager
async def process(folder: Path, upstream: str, /, **settings: Any) -> AsyncIterator[Process]:
    """A process before the upstream of this URL, configured by `settings_file`; it must end well."""
    file = settings_file(folder, upstream, **settings)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", "run", str(file), stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    try:
        async with asyncio.timeout(DEADLINE):
            while b'"listening"' not in (line := await child.stderr.readline()):
                assert line, "it ended before it listened"
        said = json.loads(line)
        host, _, port = said["address"].rpartition(":")
        yield Process(child.pid, (host, int(port)))
    finally:
        child.terminate()
        _, errors = await child.communicate()
    assert child.returncode == 0, errors
    if (folder / LOG).exists():
        assert_valid((folder / LOG).read_bytes())
