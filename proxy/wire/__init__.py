"""The wire: bytes between clients and the upstream, framed strictly, in both directions.

It knows connections, heads, bodies, deadlines and header lines. It never knows tokens, rules, or why: it
asks the `Gatekeeper` of `proxy.model`, carries the verdict out, and reports how the exchange ended.
`framing`, `heads`, `headers`, `tunnel` and `forwarded` are pure; the rest is the thin shell around them.
"""

from proxy.wire.exchange import Exchange
from proxy.wire.forwarded import Forwarding
from proxy.wire.headers import RequestLines, credential_lines, identity_lines, together
from proxy.wire.listen import Wire, WireState
from proxy.wire.pool import Pool
from proxy.wire.sockets import close, passed, shared_out, unlike
from proxy.wire.tls import TlsError, server_context, tls_files, unfit_files, upstream_context
from proxy.wire.tunnel import UPGRADED

__all__ = [
    "UPGRADED",
    "Exchange",
    "Forwarding",
    "Pool",
    "RequestLines",
    "TlsError",
    "Wire",
    "WireState",
    "close",
    "credential_lines",
    "identity_lines",
    "passed",
    "server_context",
    "shared_out",
    "tls_files",
    "together",
    "unfit_files",
    "unlike",
    "upstream_context",
]
