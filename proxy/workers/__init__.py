"""Several processes on one port: a supervisor that serves nobody, and workers that it starts and replaces.

`Supervisor` is to `keystile run` what `Server` is with one process; `work` is a worker's life. They speak in
a few messages over a socket pair (`channel`); of a request nothing goes there but the digest of a proof.
"""

from proxy.workers.seat import WorkerError
from proxy.workers.supervisor import Supervisor, usable_cores
from proxy.workers.worker import work

__all__ = ["Supervisor", "WorkerError", "usable_cores", "work"]
