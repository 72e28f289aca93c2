"""The authorization room: one path reading, the rule that decides, and what it asks of a caller.

Pure: values in, values out. A decision is a route, a refusal as a value, or nothing. Knows neither tokens nor
the wire; the gate asks in order: `canonical`, `Router.find`, `Hosts.allowed`, `judge`.
"""

from proxy.authz.origins import Hosts
from proxy.authz.paths import canonical
from proxy.authz.requirements import Route, expand, judge
from proxy.authz.rules import Router

__all__ = ["Hosts", "Route", "Router", "canonical", "expand", "judge"]
