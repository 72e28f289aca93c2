"""How long from the start of the process to the first answered request, with a key set in a file.

    python -m tests.bench.startup [RUNS]

Prints each run and the median, and the processor time that a run took from its start to its stop, which other
work on the machine stretches less. The request carries a token, so that everything has to be there: the
configuration, the keys, the connection to the upstream.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.support.programs import fetch, file_server, free_port, program
from tests.support.service import RUN, agent_token, write_configuration

_PAUSE = 0.002


def seconds_to_first_answer(folder: Path, upstream: str) -> float:
    listen = f"127.0.0.1:{free_port()}"
    path = write_configuration(
        folder,
        listen=listen,
        upstream=upstream,
        rules=[{"path": "/**", "scopes": ["memory:read"]}],
        log={"output": "access.log"},
    )
    token = agent_token()
    began = time.perf_counter()
    with program([*RUN, path], folder) as running:
        while True:
            try:
                status = fetch(f"http://{listen}/", token=token).status
            except ConnectionRefusedError:
                time.sleep(_PAUSE)
            else:
                break
        took = time.perf_counter() - began
        assert status == 200, running.errors
    return took


def main(runs: int = 7) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        with file_server(folder / "files", folder / "server") as upstream:
            taken = [seconds_to_first_answer(folder / f"run-{run}", upstream) for run in range(runs)]
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print("seconds to the first answer:", " ".join(f"{each:.3f}" for each in taken))
    print(f"median {statistics.median(taken):.3f} s")
    print(f"processor time of a run: {(used.ru_utime + used.ru_stime) / runs:.3f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
