"""Processes of the benchmark: each proxy alone on one core, and what it has used there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 20.0
_LIMIT = 800


class Program:
    """A process that serves a port, and what it has started."""

    def __init__(self, command: Sequence[object], port: int, folder: Path, cores: str) -> None:
        self.output = folder / f"{port}.out"
        with self.output.open("w") as output:
            self._process = subprocess.Popen(
                ["taskset", "-c", cores, *map(str, command)],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await(port)

    def _await(self, port: int) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.005)
        self.stop()
        raise SystemExit(f"nothing listens on {port}: {self.output.read_text()[-_LIMIT:]}")

    def family(self) -> list[int]:
        """Its process and all below it."""
        return list(_family(self._process.pid))

    def stop(self) -> None:
        for pid in reversed(self.family()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _family(pid: int) -> Iterable[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes, so far."""
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def mebibytes(pid: int, *fields: str) -> float:
    """Memory of a process by fields of `smaps_rollup`: Pss, or Private_Clean and Private_Dirty (its USS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(re.search(rf"^{field}:\s+(\d+)", rollup, re.MULTILINE)[1]) for field in fields) / 1024  # type: ignore[index]  # the kernel writes every field
