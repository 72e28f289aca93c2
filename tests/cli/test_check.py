"""`keystile check` over sound configurations: what it says of them, and how it exits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from tests.support.harness import settings_file

if TYPE_CHECKING:
    from pathlib import Path

TRAP = {
    "session_key": "0123456789abcdef0123456789abcdef",
    "rules": [
        {
            "path": "/mcp",
            "mcp": [{"tool": "a", "arguments": {"force": True}, "scopes": "x"}, {"tool": "a"}],
        }
    ],
}
WARNING = (
    "warning: rules[0].mcp[0]: where an argument is missing or of another type, it goes to mcp[1] and needs less;"
    " let the last entry for it need the most\n"
)
PUBLIC = {"rules": [{"path": "/a/**", "public": True}]}
UNWISE = "unwise: rules[0].path: a wildcard in a public path: what is added below it later is public too; name the paths\n"
PLAIN = {"rules": [{"path": "/a"}]}
OK = "ok: 1 issuer(s), 1 rule(s), upstream http://127.0.0.1:9\n"

CASES = [
    pytest.param(PLAIN, (), (0, OK, ""), id="nothing to say"),
    pytest.param(PLAIN, ("--strict",), (0, OK, ""), id="nothing to say, strictly"),
    pytest.param(TRAP, (), (0, OK, WARNING), id="a trap is a warning"),
    pytest.param(TRAP, ("--strict",), (1, "", WARNING), id="a warning fails where it is strict"),
    pytest.param(PUBLIC, (), (0, OK, ""), id="what is unwise is not told"),
    pytest.param(PUBLIC, ("--strict",), (1, "", UNWISE), id="what is unwise fails where it is strict"),
]


@pytest.mark.parametrize(("settings", "options", "expected"), CASES)
def test_check(
    settings: dict[str, Any], options: tuple[str, ...], expected: tuple[int, str, str], tmp_path: Path
) -> None:
    file = settings_file(tmp_path, "http://127.0.0.1:9", **settings)
    result = CliRunner().invoke(app, ["check", str(file), *options])
    assert (result.exit_code, result.stdout, result.stderr) == expected


def test_faults_come_before_advice(tmp_path: Path) -> None:
    file = settings_file(tmp_path, "http://127.0.0.1:9", **PUBLIC, session_key="short")
    result = CliRunner().invoke(app, ["check", str(file), "--strict"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "session_key: shorter than 32 characters" in result.stderr
    assert "unwise" not in result.stderr
    assert "short;" not in result.stderr.replace("shorter", "")
