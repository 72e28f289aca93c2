"""PyPI's `mcp-authlab` scans Keystile, with a real issuer's tokens, and finds nothing that is required missing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.e2e.issuer import granted, oidc_provider
from tests.e2e.memory import memory
from tests.support.programs import free_port

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = "https://elsewhere.example.com/mcp"
# What nobody can have on a loopback address, and what the issuer was not asked to offer.
WARNED = {"TLS-01", "ASM-05"}
# They need a person to log in.
SKIPPED = {f"ASF-0{number}" for number in range(1, 7)}


def test_a_scan_grades_it_a(node: str, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    resource = f"http://{listen}/mcp"
    resources = dict.fromkeys((resource, ELSEWHERE), "ES256")
    with (
        oidc_provider(node, tmp_path / "issuer", resources, "memory:read") as issuer,
        memory(tmp_path, listen=listen, resource=resource, issuers=[{"issuer": issuer}]),
    ):
        command = [sys.executable, "-m", "mcp_authlab", "scan", resource, "--no-login"]
        command += ["--token", granted(issuer, resource, "memory:read")]
        command += ["--foreign-token", granted(issuer, ELSEWHERE, "memory:read")]
        command += ["--tool", "recall", "--format", "json", "--fail-under", "A"]
        scan = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert scan.returncode == 0, scan.stdout + scan.stderr
    report = json.loads(scan.stdout)
    came = {check["id"]: check["status"] for check in report["results"]}
    assert {name: status for name, status in came.items() if status != "pass"} == {
        **dict.fromkeys(WARNED, "warn"),
        **dict.fromkeys(SKIPPED, "skip"),
    }
    assert report["grade"] == "A"
