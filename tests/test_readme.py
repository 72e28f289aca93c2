"""The README says what is so of the repository: its files, its access line, its question. tests/docs holds its blocks."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from typer.testing import CliRunner

from proxy.audit.line import Lines, fragment
from proxy.cli import app
from proxy.model import Call, Caller, Closing, Identity, Opening, Reason
from tests.docs.pages import blocks
from tests.support.logs import line, utc
from tests.support.records import caller

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_file_of_the_table_exists_and_every_room_has_a_row() -> None:
    rows = re.findall(r"^\| .* \| `(proxy/[\w/.]+)` \|$", README, re.MULTILINE)
    assert [row for row in rows if not (ROOT / row).is_file()] == []
    rooms = {path.parent.name for path in (ROOT / "proxy").glob("*/__init__.py")}
    assert rooms <= {Path(row).parent.name for row in rows}


def test_the_access_line_of_the_readme_is_one() -> None:
    (shown,) = (json.loads(block.text) for block in blocks(ROOT / "README.md", "json"))
    identity = Identity(
        shown["agent_id"],
        shown["issuer"],
        tuple(shown["scopes"]),
        tuple(shown["audience"]),
        {},
        0.0,
        shown["agent_name"],
        None,
        shown["token_id"],
        shown["key_id"],
    )
    opening = Opening(
        1795356187.512,
        shown["request_id"],
        shown["client"],
        "allow",
        None,
        "POST",
        "/mcp",
        shown["trace_id"],
        None,
        "mcp",
        Caller(identity, frozenset(), b"", fragment(identity)),
        tuple(shown["required_scopes"]),
        Call(**shown["mcp"]),
        shown["user_agent"],
    )
    line = json.loads(Lines(0).access(opening, Closing(200, 212, 301, 0.004118, 0.003702, 200)))
    assert list(line.items()) == list(shown.items())


def test_the_question_of_the_readme_has_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [
        block for block in blocks(ROOT / "README.md") if block.text.startswith(("keystile audit", "agent  "))
    ]
    command, answer = (block.text for block in whole)
    # What is asked there of today is asked of yesterday here, whatever the time.
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    told = [
        ("13:58:10", "c04", "visitor", "read_memory", "allow"),
        ("14:03:07", "7f3", "archivist", "read_memory", "allow"),
        ("14:12:55", "2b9", "writer", "write_memory", "allow"),
        ("14:20:02", "c04", "visitor", "write_memory", "deny"),
        ("14:41:30", "7f3", "archivist", "read_memory", "allow"),
        ("15:00:00", "2b9", "writer", "write_memory", "allow"),
    ]
    lines = [
        line(
            f"{day}T{clock}",
            caller(id=f"acc_{agent}", name=name, audit_url=f"https://agentlair.dev/a/{agent}"),
            Call("tools/call", tool, arguments={"id": "x"}),
            decision=decision,
            reason=Reason.SCOPE_INSUFFICIENT if decision == "deny" else None,
        )
        for clock, agent, name, tool, decision in told
    ]
    monkeypatch.chdir(tmp_path)
    Path("access.log").write_bytes(b"".join(lines))
    words = [f"yesterday {word}" if ":" in word else word for word in command.split()[1:]]
    with utc():
        shown = CliRunner().invoke(app, words)
    assert (shown.exit_code, shown.stdout.replace(day, "2026-11-22"), shown.stderr) == (0, answer, "")


def test_the_changelog_names_the_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_else_stands_at_the_top_level() -> None:
    allowed = {"pyproject.toml", "proxy", "config", "tests", "deploy", "README.md", "LICENSE", "CHANGELOG.md"}
    allowed |= {"CONTRIBUTING.md", "dist", "build"}
    assert {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} <= allowed


def test_the_schema_is_named_by_every_example() -> None:
    examples = set((ROOT / "config").glob("*.yaml")) - {ROOT / "config" / "revoked.yaml"}
    assert len(examples) == 4
    for example in examples:
        assert "$schema=keystile.schema.json" in example.read_text().partition("\n")[0]
        assert isinstance(yaml.safe_load(example.read_text()), dict)
