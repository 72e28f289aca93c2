"""Real programs, each in a process of its own, and a plain client to ask them things.

Knows nothing of the product. What a program prints is kept in files, so that nothing has to read along; waits
ask again and again until a deadline; a program is ended by its own process id.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from email.message import Message
    from pathlib import Path

DEADLINE = 20.0
_PAUSE = 0.01

T = TypeVar("T")


def until(look: Callable[[], T | None], wanted: Callable[[], str], deadline: float = DEADLINE) -> T:
    """Look until there is something, and return it; `wanted` says what never came."""
    end = time.monotonic() + deadline
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"within {deadline:g} s there was no {wanted()}")
        time.sleep(_PAUSE)
    return found


class Program:
    """A process; `output` and `errors` are what it has printed until now."""

    def __init__(
        self,
        command: Sequence[object],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        at: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._output, self._errors = folder / "stdout", folder / "stderr"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                cwd=at,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return self._output.read_text("utf-8", "replace")

    @property
    def errors(self) -> str:
        return self._errors.read_text("utf-8", "replace")

    def says(self, pattern: str) -> str:
        """Wait until a line that it prints fits `pattern`; return the pattern's first group."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.output + self.errors, re.MULTILINE)
            if found is None and self._process.poll() is not None:
                raise AssertionError(f"it ended with {self._process.returncode}:\n{self._printed()}")
            return found

        return until(look, lambda: f"{pattern!r} in:\n{self._printed()}").group(1)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self._process.wait(DEADLINE)

    def stop(self) -> int:
        """Tell it to stop, if it still runs; return its exit code."""
        if self._process.poll() is None:
            self.send(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"SIGTERM did not end it:\n{self._printed()}") from None

    def _printed(self) -> str:
        return f"{self.output}\n{self.errors}"


@contextlib.contextmanager
def program(
    command: Sequence[object],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    at: Path | None = None,
) -> Iterator[Program]:
    """Run a program that keeps its files in `folder`, in the working directory `at`, until the block ends."""
    started = Program(command, folder, environment, at)
    try:
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def file_server(root: Path, folder: Path, protocol: str = "HTTP/1.0") -> Iterator[str]:
    """Run Python's own web server over the files in `root`; return its URL."""
    listening = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    command = [sys.executable, *listening, "--protocol", protocol, "--directory", root]
    with program(command, folder) as running:
        yield running.says(r"\((http://[^)]+[0-9])/?\)")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


def fetch(
    url: str,
    method: str = "GET",
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send one request on a connection of its own; redirects are not followed."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    sent = {**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=DEADLINE)
    try:
        connection.request(
            method, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", body, sent
        )
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on, below those that the system hands out to clients meanwhile."""
    while True:
        port = random.randrange(10_240, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
