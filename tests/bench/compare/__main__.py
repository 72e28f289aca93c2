"""Keystile beside its peers, one core each, in one run: `tests/bench/run` prepares all of it and calls this.

    python -m tests.bench.compare FOLDER [--seconds 3] [--rounds 5] [--only TEXT]

Writes `tests/bench/RESULTS.md` and `tests/bench/results.svg`, and prints the table. Loopback only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench.compare.report import Report
from tests.bench.compare.works import CACHED, OURS, WORKS, Bench


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--rounds", type=int, default=5, help="that count; one more warms up")
    parser.add_argument("--only", default="", help="works whose name has this text; writes no files")
    chosen = parser.parse_args()
    bench = Bench(chosen.folder.resolve(), chosen.seconds, chosen.rounds)
    report = Report(chosen.seconds, chosen.rounds)
    try:
        for work in WORKS:
            if chosen.only in work.name:
                report.compared(work, bench.compare(work))
        if not chosen.only:
            report.events(bench.events(("direct", CACHED, OURS)))
            report.gibibyte(bench.gibibyte(("nginx", CACHED, OURS)))
            report.memory(bench.memory())
            report.started(bench.seconds_to_listen)
    finally:
        bench.stop()
    if not chosen.only:
        report.write(Path(__file__).parent.parent)


if __name__ == "__main__":
    main()
