"""Would the quick tests notice? mutmut changes the files that verify tokens, a little at a time, and runs them.

    tests/run --long tests/authn/test_mutation.py

takes some ten minutes. It works on a copy; what survived is printed with its difference. mutmut changes what is
inside functions: the tables and bounds of these modules are held by literal rows of the quick tests.

Some mutants change nothing that a test could see, and stay among the survivors:

- `int.from_bytes` reads big-endian where no order is named (since Python 3.11);
- `sort_keys` and `strict` hold on to what is so already: members listed in order, two lists of one length;
- RSA exponents of exactly 2**16 and 2**256 are even, and refused as such;
- y = 1 and p-1 on Ed448 make the product zero, which is no square; y = 2 and p-2 are off the curve.

Four more, in which `pow` has lost its modulus, never end; time ends them, and they count as survivors too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTATED = ("claims", "jose", "keyset")
QUICK_TESTS = (*MUTATED, "tokens")
MOST_SURVIVORS = 0.05


def _lines(paths: list[str]) -> str:
    return "".join(f"\n    {path}" for path in paths)


def _settings() -> str:
    # mutmut reads setup.cfg where pyproject.toml has no word for it.
    return (
        "[mutmut]"
        "\nsource_paths = proxy"
        f"\nonly_mutate = {_lines([f'proxy/authn/{name}.py' for name in MUTATED])}"
        "\npytest_add_cli_args_test_selection ="
        f"{_lines([f'tests/authn/test_{name}.py' for name in QUICK_TESTS])}\n"
    )


def _copy(to: Path) -> None:
    """Copy what the quick tests need: a mutant is written to disk, and must never be written here."""
    bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "proxy", to / "proxy", ignore=bytecode)
    shutil.copytree(ROOT / "tests" / "support", to / "tests" / "support", ignore=bytecode)
    (to / "tests" / "authn").mkdir()
    for kept in ("pyproject.toml", "tests/conftest.py", *(f"tests/authn/test_{n}.py" for n in QUICK_TESTS)):
        shutil.copy(ROOT / kept, to / kept)
    (to / "setup.cfg").write_text(_settings())


def _mutmut(work: Path, *arguments: str) -> str:
    # Without PYTHONPATH, which names this tree: the mutants are to be imported.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return run.stdout


@pytest.mark.long
def test_the_quick_tests_notice_nearly_every_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _copy(tmp_path)
    _mutmut(tmp_path, "run")
    judged = [line.strip().split(": ") for line in _mutmut(tmp_path, "results", "--all", "true").splitlines()]
    # A mutant that ran out of time, or that no test touches, counts as if it had survived.
    left = [mutant for mutant, verdict in judged if verdict != "killed"]
    with capsys.disabled():
        print(f"\nmutation: {len(judged)} mutants, {len(left)} not killed ({len(left) / len(judged):.1%})")
        for mutant in left:
            print(_mutmut(tmp_path, "show", mutant))
    assert {mutant.split(".")[2] for mutant, _ in judged} == set(MUTATED)
    assert len(left) / len(judged) < MOST_SURVIVORS
