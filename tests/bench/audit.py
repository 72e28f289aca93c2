"""How long `keystile audit` takes over a large log, with something to look for and without.

    python -m tests.bench.audit [GIGABYTES]

Writes a log of that size (1, if not said otherwise) by the proxy's own writer, asks it, and prints for each
question the time on the clock and the processor time of all processes, which other work stretches less.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proxy.model import Call
from tests.support.logs import agent, line

AGENTS = [agent(f"{number:03x}") for number in range(40)]
TOOLS = ("read_memory", "write_memory", "search", "list_projects")
QUESTIONS = (
    ["--target", "mem-2725"],
    ["--target", "mem-2725", "--from", "2025-11-22T12:30Z", "--to", "2025-11-22T12:40Z"],
    ["--agent", "acc_011"],
    ["--decision", "deny"],
    ["--from", "2025-11-22T12:30Z", "--to", "2025-11-22T12:40Z"],
    [],
)


def write(path: Path, size: int) -> None:
    """About an hour of access lines; the same hour again and again, with other calls."""
    chance = random.Random(1)
    with path.open("wb") as file:
        while file.tell() < size:
            for second in range(3600):
                calls = [
                    Call(
                        "tools/call", chance.choice(TOOLS), arguments={"id": f"mem-{chance.randrange(5000)}"}
                    )
                    for _ in range(20)
                ]
                moment = f"2025-11-22T12:{second // 60:02}:{second % 60:02}"
                file.writelines(
                    line(
                        moment,
                        chance.choice(AGENTS),
                        call,
                        decision="deny" if chance.random() < 0.02 else "allow",
                        trace_id=f"{chance.getrandbits(128):032x}",
                        user_agent="python-httpx/0.28",
                        rule="mcp",
                    )
                    for call in calls
                )


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main(gigabytes: float = 1.0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        write(log, int(gigabytes * 1e9))
        print(f"{log.stat().st_size / 1e9:.2f} GB")
        for question in QUESTIONS:
            began, used = time.perf_counter(), _used()
            command = [sys.executable, "-m", "proxy", "audit", str(log), *question]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            took, worked = time.perf_counter() - began, _used() - used
            print(f"{took:6.2f} s, {worked:6.2f} s of processors: {' '.join(question) or '(all)'}")
            print(f"    {told.splitlines()[-1]}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
