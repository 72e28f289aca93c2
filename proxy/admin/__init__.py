"""The admin room: how the proxy fares, for whoever operates it, on a listener of its own.

One process tells all in a `Snapshot`, and `merged` makes one of several. Out of that come the answers to "is
it alive", "is it ready" (`readiness`) and "how much" (`exposition`), and the configuration with its secrets
masked (`masking`); `app` serves them. The `dashboard` shows the access lines of the last while to whoever is
admitted (`admission`), and answers the audit question. Takes no decision about a request.
"""

from proxy.admin.app import Admin
from proxy.admin.probe import Probe
from proxy.admin.process import process_usage
from proxy.admin.snapshot import Contact, Reloads, Snapshot, merged, with_counts
from proxy.admin.watch import Recalled

__all__ = [
    "Admin",
    "Contact",
    "Probe",
    "Recalled",
    "Reloads",
    "Snapshot",
    "merged",
    "process_usage",
    "with_counts",
]
