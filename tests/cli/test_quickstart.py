"""`deploy/quickstart`: what it says where something is missing, and that it is quick the second time."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "quickstart"


@pytest.fixture
def repository(tmp_path):
    """A copy of the script in a repository without an environment."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(SCRIPT, tmp_path / "deploy")
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(repository, *words, **environment):
    """Run it from another folder, with nothing on the path but what `bin` holds."""
    folder = repository / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "dirname").symlink_to(shutil.which("dirname"))
    return subprocess.run(
        [repository / "deploy" / "quickstart", *words],
        cwd="/",
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_can_be_executed():
    assert os.access(SCRIPT, os.X_OK)


def test_without_python_it_says_what_is_needed(repository):
    program(repository / "bin" / "python3", "exit 1")  # An older one.
    done = run(repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Python 3.11 or later is needed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_venv_it_says_what_to_install(repository):
    program(repository / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = run(repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt-get install python3-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_second_time_it_only_runs_the_demo(repository):
    program(repository / ".venv" / "bin" / "keystile", 'echo "$@"')
    program(repository / "bin" / "python3.12", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = run(repository, "--port", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "demo --port 0\n", "")


def test_a_named_python_is_taken_first(repository, tmp_path):
    program(repository / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    program(tmp_path / "mine", f'case "$1" in -c) exit 0;; esac; echo "$@" > {tmp_path}/asked; exit 7')
    done = run(repository, PYTHON=str(tmp_path / "mine"))
    assert done.returncode == 7
    assert (tmp_path / "asked").read_text() == "-m venv .venv\n"
