"""The audit room: what happened, as lines that can be relied on.

A finished request becomes one JSON line (`AccessLog`), the verified identity's members in it ready-made per
token (`fragment`), and is counted among those like it (`Metrics`), and kept for a while
where somebody may look (`Recent`); what happens to the process itself goes to
stderr (`configure_operations`). The room knows records, queues and outputs, and takes no decision.
"""

from proxy.audit.access import AccessLog, LogState
from proxy.audit.line import fragment
from proxy.audit.metrics import BOUNDS, Metrics, Requests
from proxy.audit.operations import configure_operations
from proxy.audit.recent import EACH, SIZE, Passed, Recent

__all__ = [
    "BOUNDS",
    "EACH",
    "SIZE",
    "AccessLog",
    "LogState",
    "Metrics",
    "Passed",
    "Recent",
    "Requests",
    "configure_operations",
    "fragment",
]
