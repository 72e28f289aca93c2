"""Keystile as its users run it: `keystile run config.yaml` in a process of its own, with real tokens and log.

Every run is held to three things at its end, whatever its test is about: SIGTERM ends it with exit code 0, it
has reported no error of its own, and no token stands in anything that it wrote.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.keys import claims_like_agentlair, jwks_bytes, make_key, sign_token
from tests.support.lines import assert_valid
from tests.support.programs import Program, program, until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

ISSUER = "https://agentlair.dev"
RESOURCE = "https://mcp.example.com/mcp"
RUN = (sys.executable, "-m", "proxy", "run")
AGENT_KEY = make_key("EdDSA", "al-2026-11")


def agent_token(**claims: Any) -> str:
    """A token as AgentLair makes them (EdDSA, `typ: JWT`), good for an hour from now."""
    return sign_token(AGENT_KEY, claims_like_agentlair(time.time(), **claims))


def write_configuration(folder: Path, **settings: Any) -> Path:
    """Write a configuration that trusts `agent_token`, with `settings` laid over its top-level keys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jwks.json").write_bytes(jwks_bytes(AGENT_KEY))
    usual = {
        "listen": "127.0.0.1:0",
        "admin": None,
        "resource": RESOURCE,
        "issuers": [{"issuer": ISSUER, "jwks": "jwks.json"}],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**usual, **settings}, sort_keys=False))
    return path


class Service:
    """A running Keystile."""

    def __init__(self, running: Program, log: Path) -> None:
        self.program = running
        self.log = log
        address = running.says(r'^(?=.*"event": ?"listening").*"address": ?"([^"]+)"')
        self.url = f"http://{address}"

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The lines that are whole by now, of the access log or of another file."""
        whole = (path or self.log).read_text().split("\n")[:-1]
        return [json.loads(line) for line in whole]

    def access(self, **members: Any) -> dict[str, Any]:
        """Wait for an access line with these members, and return the newest one."""

        def look() -> dict[str, Any] | None:
            fits = (line for line in reversed(self.lines()) if members.items() <= line.items())
            return next(fits, None)

        return until(look, lambda: f"line with {members} in:\n{self.log.read_text()}")

    def stop(self) -> int:
        return self.program.stop()


@contextlib.contextmanager
def keystile(
    folder: Path, /, run: Sequence[object] = RUN, reports: Collection[str] = (), **settings: Any
) -> Iterator[Service]:
    """Run Keystile with these top-level settings until the block ends; its files are kept in `folder`.

    `reports` are the errors that it may report, as their events are called.
    """
    # "stdout" is the name of the file that keeps the program's standard output, too.
    log = settings.setdefault("log", {"output": "access.log"})
    configuration = write_configuration(folder, **settings)
    with program([*run, configuration], folder) as running:
        service = Service(running, folder / log["output"])
        yield service
    assert service.stop() == 0, running.errors
    told = [json.loads(line) for line in running.errors.splitlines() if line.startswith("{")]
    errors = [one for one in told if one["level"] == "error" and one["event"] not in reports]
    assert errors == []
    assert "Traceback" not in running.errors
    if service.log.is_file():  # and no pipe
        assert_valid(service.log.read_bytes(), log.get("format", "keystile"), fields="fields" in log)
    for written in folder.iterdir():
        assert b"eyJ" not in written.read_bytes(), f"a token stands in {written.name}"
