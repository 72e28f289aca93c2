"""The official conformance suite, against a server and against the same server behind Keystile.

What counts is that both give the same outcome, check by check: an outcome that only one of them has is
Keystile's doing. `conformance_server.py` is the server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import program
from tests.support.service import agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent

Outcome = Counter[tuple[str, str, str]]
"""How often each scenario made a check, and what came of it."""

RULES = [
    pytest.param({}, id="a rule without mcp", marks=pytest.mark.long),
    pytest.param({"mcp": True}, id="a rule that seals sessions"),
    pytest.param(
        {"mcp": [{"tool": "*"}, {"resource": "**"}, {"prompt": "*"}, {"method": "*"}]},
        id="entries that admit everything",
    ),
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, HERE / "conformance_server.py"]
    with program(command, tmp_path_factory.mktemp("reference")) as server:
        yield server.says(r"running on (http://\S+)")


@pytest.fixture(scope="module")
def suite(
    node: str, modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str, str], Outcome]:
    """Run the suite of this package, as of this revision of the specification, against a URL."""

    def run(package: str, revision: str, url: str) -> Outcome:
        folder = tmp_path_factory.mktemp(package)
        command = [node, modules / package / "dist" / "index.js", "server", "--suite", "all"]
        command += ["--spec-version", revision, "--url", f"{url}/mcp", "-o", folder]
        preloaded = {"NODE_OPTIONS": f"--import={HERE / 'bearer.mjs'}", "BEARER": agent_token()}
        # Its exit code says whether all is well, which is not what is asked here.
        subprocess.run(
            command, env={**os.environ, **preloaded}, capture_output=True, timeout=120, check=False
        )
        return Counter(
            # server-<scenario>-<date>
            (
                made.parent.name[len("server-") : -len("-2026-07-28T00-00-00-000Z")],
                check["id"],
                check["status"],
            )
            for made in folder.glob("*/checks.json")
            for check in json.loads(made.read_text())
            if check["status"] != "INFO"
        )

    return run


@pytest.fixture(scope="module")
def direct(reference: str, suite: Callable[[str, str, str], Outcome]) -> Callable[[str, str], Outcome]:
    """What the server alone achieves, which is found out once for each suite."""
    return cache(lambda package, revision: suite(package, revision, reference))


SUITES = [
    pytest.param("conformance-2025", "2025-11-25", 32, id="2025-11-25"),
    pytest.param("conformance-2026", "2026-07-28", 40, id="2026-07-28"),
    pytest.param(
        "conformance-2026", "2025-11-25", 33, id="2025-11-25 by the newer suite", marks=pytest.mark.long
    ),
]


@pytest.mark.parametrize(("package", "revision", "scenarios"), SUITES)
@pytest.mark.parametrize("rule", RULES)
def test_the_outcome_is_that_of_the_server_alone(
    reference: str,
    suite: Callable[[str, str, str], Outcome],
    direct: Callable[[str, str], Outcome],
    tmp_path: Path,
    package: str,
    revision: str,
    scenarios: int,
    rule: dict[str, object],
) -> None:
    alone = direct(package, revision)
    rules = [{"path": "/mcp", "scopes": ["mcp:tools:read"], **rule}]
    with keystile(tmp_path, upstream=reference, rules=rules) as service:
        through = suite(package, revision, service.url)
    assert (through - alone, alone - through) == (Counter(), Counter())
    assert len({scenario for scenario, _, _ in alone}) == scenarios
    assert [check for check in alone if "FAILURE" in check] == []
