"""The audit room: what happened, as lines that can be relied on.

A finished request becomes one JSON line (`AccessLog`), the verified identity's part of it ready-made per
token (`fragments`), unless it is one of many alike (`Sampling`), and is counted (`Metrics`); what happens to
the process itself goes to stderr (`configure_operations`). The room knows records, queues and outputs, and
takes no decision.
"""

from proxy.audit.access import AccessLog, LogState
from proxy.audit.formats import fragments
from proxy.audit.log_schema import log_schema
from proxy.audit.metrics import BOUNDS, Metrics, Requests
from proxy.audit.operations import configure_operations
from proxy.audit.sampling import Sampling

__all__ = [
    "BOUNDS",
    "AccessLog",
    "LogState",
    "Metrics",
    "Requests",
    "Sampling",
    "configure_operations",
    "fragments",
    "log_schema",
]
