"""What a process stands on: the extension, no core dumps, and nothing that only an `assert` holds."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.programs import fetch, file_server, program
from tests.support.service import RUN, agent_token, keystile, write_configuration

UPSTREAM = "http://127.0.0.1:9"
OPTIMIZED = (sys.executable, "-O", "-m", "proxy", "run")
RULES = [{"path": "/open.txt", "scopes": ["read"]}, {"path": "/**", "scopes": ["nobody"]}]


def test_without_aiohttp_s_extension_nothing_starts(tmp_path: Path) -> None:
    configuration = write_configuration(tmp_path, upstream=UPSTREAM, rules=RULES)
    with program([*RUN, configuration], tmp_path, {"AIOHTTP_NO_EXTENSIONS": "1"}) as running:
        assert running.wait() == 1
    assert running.errors == (
        "keystile: aiohttp runs without its C extension, and its other parser is not to be trusted;"
        " unset AIOHTTP_NO_EXTENSIONS, or install aiohttp from a wheel\n"
    )


def test_a_crash_would_leave_no_dump_of_its_memory(tmp_path: Path) -> None:
    with keystile(tmp_path, upstream=UPSTREAM, rules=RULES) as service:
        limits = Path(f"/proc/{service.program.pid}/limits").read_text().splitlines()
    [said] = [line.split() for line in limits if line.startswith("Max core file size")]
    assert said[4:6] == ["0", "0"]


ASKED = [
    ("/open.txt", ["read"], 200, None),
    ("/open.txt", ["other"], 403, "scope_insufficient"),
    ("/secret.txt", ["read"], 403, "scope_insufficient"),
    ("/open.txt", None, 401, "credential_missing"),
]


def test_without_assertions_it_decides_the_same(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "open.txt").write_text("open")
    with (
        file_server(site, tmp_path / "upstream") as url,
        keystile(tmp_path / "edge", OPTIMIZED, upstream=url, rules=RULES) as service,
    ):
        for path, scopes, status, reason in ASKED:
            token = None if scopes is None else agent_token(al_scopes=scopes)
            answer = fetch(service.url + path, token=token, headers={"Host": "mcp.example.com"})
            assert answer.status == status
            line = service.access(path=path, status=status)
            assert line.get("reason") == reason
