"""The authorization room: one path reading, the rule that decides, and what it asks of a caller.

Pure: values in, values out. A decision is a route, a refusal as a value, or nothing. Knows neither tokens nor
the wire; the gate asks in order: `canonical`, `Router.find`, `Hosts.allowed`, `Pages.preflight` and
`Pages.refused`, `passes` where no token came, `judge` or for a message `Operations.judge`, `Rates.judge`.
"""

from proxy.authz.cors import NAMES, Pages, requested
from proxy.authz.operations import Admitted, Operations
from proxy.authz.origins import Hosts
from proxy.authz.passthrough import passes
from proxy.authz.paths import canonical
from proxy.authz.rates import OwnRates, Rates
from proxy.authz.rates_redis import SharedRates
from proxy.authz.requirements import Route, expand, judge
from proxy.authz.rules import Router

__all__ = [
    "NAMES",
    "Admitted",
    "Hosts",
    "Operations",
    "OwnRates",
    "Pages",
    "Rates",
    "Route",
    "Router",
    "SharedRates",
    "canonical",
    "expand",
    "judge",
    "passes",
    "requested",
]
