"""The admin room: how the proxy fares, for whoever operates it, on a listener of its own.

One process tells all in a `Snapshot`, and `merged` makes one of several. Out of that come the answers to "is
it alive", "is it ready" (`readiness`) and "how much" (`exposition`), and the configuration with its secrets
masked (`masking`); `app` serves them. Knows no request, no token and no rule.
"""

from proxy.admin.app import Admin
from proxy.admin.probe import Probe
from proxy.admin.process import process_usage
from proxy.admin.snapshot import Contact, Reloads, Snapshot, merged, with_counts

__all__ = ["Admin", "Contact", "Probe", "Reloads", "Snapshot", "merged", "process_usage", "with_counts"]
