"""The audit room: what happened, as lines that can be relied on.

A finished request becomes one JSON line (`AccessLog`), the verified identity's part of it ready-made per
token (`fragments`), unless it is one of many alike (`Sampling`); it is counted (`Metrics`), and kept for a
while where somebody may look (`Recent`). What happens to the process itself goes to stderr
(`configure_operations`). Lines are read back by what is asked of them (`Query`): one after another (`search`,
`summarise`), or whole logs at once (`scan`). The room knows records, queues, outputs and logs, and takes no
decision.
"""

from proxy.audit.access import AccessLog, LogState
from proxy.audit.agents import AgentRow, Tally, summarise
from proxy.audit.blocks import ReadError, Source, source
from proxy.audit.entries import Asked, Entry
from proxy.audit.formats import fragments
from proxy.audit.log_schema import log_schema
from proxy.audit.metrics import BOUNDS, Metrics, Requests
from proxy.audit.moments import moment
from proxy.audit.operations import configure_operations
from proxy.audit.query import Query, search
from proxy.audit.recent import EACH, SIZE, Passed, Recent
from proxy.audit.sampling import Sampling
from proxy.audit.scan import Found, Gaps, scan
from proxy.audit.translate import records

__all__ = [
    "BOUNDS",
    "EACH",
    "SIZE",
    "AccessLog",
    "AgentRow",
    "Asked",
    "Entry",
    "Found",
    "Gaps",
    "LogState",
    "Metrics",
    "Passed",
    "Query",
    "ReadError",
    "Recent",
    "Requests",
    "Sampling",
    "Source",
    "Tally",
    "configure_operations",
    "fragments",
    "log_schema",
    "moment",
    "records",
    "scan",
    "search",
    "source",
    "summarise",
]
