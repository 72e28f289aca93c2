"""A real Redis on loopback that can be stopped and started under way; it keeps nothing on disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

_DEADLINE = 20.0


class Redis:
    """A `redis-server` at `url`; each start finds it empty."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._port = free_port()
        self._process: Process | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Start it, always on the same port, and wait until it answers."""
        listening = ("--bind", "127.0.0.1", "--port", str(self._port))
        forgetful = ("--save", "", "--appendonly", "no", "--dir", str(self._folder))
        with (self._folder / "redis.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                *listening,
                *forgetful,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(_DEADLINE):
            while not await self._answers():
                assert self._process.returncode is None, (self._folder / "redis.log").read_text()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Stop it, if it runs; its connections end."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            await asyncio.wait_for(process.wait(), _DEADLINE)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def redis_program() -> str:
    """Where the program is; where it is missing, skip the test (in CI: fail)."""
    found = shutil.which("redis-server")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-server is not installed")
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[Redis]:
    """Run a Redis whose log is in `folder`; where the program is missing, skip the test (in CI: fail)."""
    redis = Redis(redis_program(), folder)
    try:
        await redis.start()
        yield redis
    finally:
        await redis.stop()
