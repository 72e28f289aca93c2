"""What is measured, for whom, and what is wanted of it.

All proxies of a work run at the same time, each pinned to core 0, and are loaded one after another from core 1,
round by round, so that a noisy moment meets all of them. Figures are medians over the rounds after the first.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.compare import keys
from tests.bench.compare.peers import COMMANDS, PORTS, VERIFIES
from tests.bench.compare.processes import Program, mebibytes, processor_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}
CACHED = "envoy + cache"
OURS = "keystile"


class Figures(NamedTuple):
    """Of one proxy under one load: requests a second, and for each second of its processor; microseconds."""

    rate: float
    per_core: float
    median: float
    p99: float
    failed: float


class Load(NamedTuple):
    """What wrk sends: which tokens, to where, how."""

    path: str = "/api/x"
    method: str = "GET"
    tokens: str = "eddsa.tokens"
    count: int = 1
    body: str = "-"
    traces: bool = False
    padding: int = 0
    connections: int = 64


class Goal(NamedTuple):
    """What is wanted: this proxy's figure against another's, at least so many times."""

    ours: str
    theirs: str
    least: float
    figure: str = "per_core"


class Work(NamedTuple):
    """One comparison."""

    name: str
    load: Load
    names: Sequence[str]
    goals: Sequence[Goal] = ()


_CALL = Load("/mcp", "POST", body="call.json")
WORKS = (
    Work(
        "GET, one token, 64 connections",
        Load(),
        (
            "direct",
            "nginx",
            "haproxy (RS256)",
            "envoy",
            CACHED,
            "node",
            "aiohttp",
            OURS,
            "keystile, all fields",
        ),
        (
            Goal(OURS, CACHED, 1.25),
            Goal(OURS, "envoy", 3),
            Goal(OURS, "nginx", 0.4),
            Goal(OURS, "aiohttp", 6),
        ),
    ),
    Work("POST, one MCP call judged by its tool", _CALL, (CACHED, "node", OURS), (Goal(OURS, CACHED, 1.25),)),
    Work("GET, 2,000 tokens in turn", Load(count=2_000), (CACHED, OURS), (Goal(OURS, CACHED, 1.25),)),
    Work(
        "GET, a traceparent of its own each", Load(traces=True), (CACHED, OURS), (Goal(OURS, CACHED, 1.25),)
    ),
    Work("GET, every token new", Load(tokens="cold.tokens"), ("envoy", OURS), (Goal(OURS, "envoy", 0.75),)),
    Work("GET, one connection", Load(connections=1), ("direct", "relay", CACHED, OURS)),
    Work(
        "GET, 50 rules instead of 3",
        Load(),
        (OURS, "keystile, 50 rules"),
        (Goal("keystile, 50 rules", OURS, 0.97),),
    ),
    Work("GET, 1 MiB", Load("/big", connections=16), ("nginx", CACHED, OURS), (Goal(OURS, CACHED, 1.0),)),
    Work("POST, a list of 20 tools, filtered", Load("/list", "POST", body="list.json"), (CACHED, OURS)),
    Work("GET, 24 KB of header lines", Load(padding=24_000), (CACHED, OURS)),
    Work("GET, a DPoP proof each", Load(tokens="proofs.tokens"), ("keystile, DPoP",)),
    Work("GET, TLS", Load(), ("nginx, TLS", "envoy + cache, TLS", "keystile, TLS")),
    Work("GET, 2 workers on 2 cores", Load(), ("nginx", "nginx, 2 workers", OURS, "keystile, 2 workers")),
)
# Each token is sent once there: so many for a proxy in a round.
_ONCE = {"cold.tokens": 20_000, "proofs.tokens": keys.PROOFS}


class Bench:
    """Programs that run, and the loads they are put under."""

    def __init__(self, folder: Path, seconds: int, rounds: int) -> None:
        self._folder = folder
        self._seconds = seconds
        self._rounds = rounds
        self._key = keys.write(folder)
        self._cold = 0
        self._programs: dict[str, Program] = {}

    def start(self, names: Sequence[str]) -> None:
        """Start who does not run yet; the upstream on core 1, and all others on core 0."""
        for name in ("direct", *names):
            if name not in self._programs:
                cores = "1" if name == "direct" else "0,1" if "2 workers" in name else "0"
                began = monotonic()
                self._programs[name] = Program(COMMANDS[name](self._folder), PORTS[name], self._folder, cores)
                self.seconds_to_listen[name] = monotonic() - began
                if name in VERIFIES:
                    self._verify(name)

    seconds_to_listen: dict[str, float] = {}  # noqa: RUF012 - one bench in a process

    def stop(self) -> None:
        for program in self._programs.values():
            program.stop()
        self._programs.clear()

    def compare(self, work: Work) -> dict[str, Figures]:
        """The figures of one work, by name."""
        self.start(work.names)
        taken: dict[str, list[Figures]] = {name: [] for name in work.names}
        for number in range(self._rounds + 1):
            for name in work.names:
                figures = self._load(name, work.load)
                if number:  # the first warms up
                    taken[name].append(figures)
        return {
            name: Figures(*(median(each) for each in zip(*many, strict=True))) for name, many in taken.items()
        }

    def _load(self, name: str, load: Load) -> Figures:
        tokens, first, count = load.tokens, 0, load.count
        if name == "haproxy (RS256)":
            tokens = "rsa.tokens"
        if tokens == "proofs.tokens":
            keys.write_proofs(self._folder, self._key)
        if tokens in _ONCE:
            count = _ONCE[tokens]
        if tokens == "cold.tokens":
            first, self._cold = self._cold, (self._cold + count) % keys.COLD
        seconds = min(self._seconds, 2) if tokens in _ONCE else self._seconds
        traces = "traces" if load.traces else "-"
        body = load.body if load.body == "-" else self._folder / load.body
        scheme = "https" if "TLS" in name else "http"
        cores = "0,1" if "2 workers" in name else "1"
        threads = 2 if load.connections > 1 and "2 workers" in name else 1
        pids = self._programs[name].family()
        before = processor_seconds(pids)
        wrk = subprocess.run(
            [
                *("taskset", "-c", cores, "wrk", f"-t{threads}", f"-c{load.connections}", f"-d{seconds}s"),
                *("--latency", "-s", self._folder / "requests.lua"),
                *(f"{scheme}://127.0.0.1:{PORTS[name]}{load.path}", "--", self._folder / tokens, str(first)),
                *(str(count), load.method, load.path, str(body), traces, str(load.padding)),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        used = processor_seconds(pids) - before
        done, took = re.search(r"(\d+) requests in ([\d.]+)(?:s|m)", wrk).groups()  # type: ignore[union-attr]  # wrk always says so
        failed = re.search(r"Non-2xx.*: (\d+)", wrk)
        if tokens in _ONCE and int(done) > count:
            raise SystemExit(f"{name} was faster than there are tokens: {done}")
        return Figures(
            int(done) / float(took),
            int(done) / used if used else 0.0,
            _microseconds(wrk, 50),
            _microseconds(wrk, 99),
            int(failed[1]) if failed else 0,
        )

    def _verify(self, name: str) -> None:
        """Figures count only of who verifies, strips, says who asked, and refuses."""
        if "TLS" in name or "DPoP" in name:
            return
        file = "rsa.tokens" if "RS256" in name else "eddsa.tokens"
        token = (self._folder / file).read_text().split("\n", 1)[0]
        cut = token.rindex(".") + 20
        forged = token[:cut] + ("A" if token[cut] != "A" else "B") + token[cut + 1 :]
        status, echo = self._ask(name, token)
        if (
            status != 200
            or b"authorization" in echo
            or b"spoof" in echo
            or b"x-agent-id: agent-000000" not in echo
        ):
            raise SystemExit(f"{name} does not verify, strip and say who asked: {status}")
        if self._ask(name, forged)[0] != 401 or self._ask(name, "")[0] != 401:
            raise SystemExit(f"{name} lets a forged or a missing token pass")

    def _ask(self, name: str, token: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", PORTS[name], timeout=5)
        headers = {"X-Agent-Id": "spoof", **({"Authorization": f"Bearer {token}"} if token else {})}
        connection.request("GET", "/echo", headers=headers)
        answer = connection.getresponse()
        said = answer.read().lower()
        connection.close()
        return answer.status, said

    def events(
        self, names: Sequence[str], streams: int = 50, events: int = 300
    ) -> dict[str, tuple[float, float]]:
        """Median and 99th percentile of what an event takes, in microseconds, with 100 a second in each stream."""
        self.start(names)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for _ in range(self._rounds):
            for name in names:
                command = [self._folder / "events", str(PORTS[name]), str(streams), str(events)]
                said = subprocess.run(
                    ["taskset", "-c", "1", *command, self._folder / "eddsa.tokens"],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split()
                taken[name].append((float(said[0]), float(said[1])))
        return {
            name: (median(one for one, _ in many), median(one for _, one in many))
            for name, many in taken.items()
        }

    def gibibyte(self, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Seconds, and seconds of the processor, that one answer of 1 GiB takes."""
        self.start(names)
        token = (self._folder / "eddsa.tokens").read_text().split("\n", 1)[0]
        found = {}
        for name in names:
            pids = self._programs[name].family()
            before, began = processor_seconds(pids), monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", PORTS[name], timeout=60)
            connection.request("GET", "/huge", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            while answer.readinto(_ROOM):
                pass
            connection.close()
            found[name] = monotonic() - began, processor_seconds(pids) - before
        return found

    def memory(self) -> dict[str, float]:
        """PSS of one process that has seen 2,000 tokens, and the USS of each of two workers, in MiB."""
        self.start((OURS, "keystile, 2 workers"))
        self._load(OURS, Load(count=2_000))
        pids = self._programs["keystile, 2 workers"].family()
        return {
            "PSS of a single process": mebibytes(self._programs[OURS].family()[0], "Pss"),
            "USS of a forked worker": max(
                mebibytes(pid, "Private_Clean", "Private_Dirty") for pid in pids[1:]
            ),
        }


_ROOM = memoryview(bytearray(1 << 20))


def _microseconds(wrk: str, percent: int) -> float:
    number, unit = re.search(rf"^ +{percent}%\s+([\d.]+)(us|ms|s|m)", wrk, re.MULTILINE).groups()  # type: ignore[union-attr]  # asked for
    return float(number) * _UNITS[unit]
