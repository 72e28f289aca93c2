"""What a running process cannot change any more: sockets that are open, a log that is written, processes.

Pure. Everything else takes effect with a reload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.faults import Fault

if TYPE_CHECKING:
    from proxy.config.listening import Address
    from proxy.config.schema import Config


def fixed(before: Config, now: Config) -> tuple[Fault, ...]:
    """Return a fault for each key that would need a restart to change."""
    kept = (
        ("listen", before.listen == now.listen),
        ("admin", _listener(before) == _listener(now)),
        ("tls", (before.tls is None) == (now.tls is None)),
        ("workers", before.workers == now.workers),
        ("log.output", before.log.output == now.log.output),
        ("log.format", before.log.format == now.log.format),
        ("log.fields", before.log.fields == now.log.fields),
    )
    problem, remedy = "cannot change while it runs", "restart, or change it back"
    return tuple(Fault(key, None, problem, remedy) for key, same in kept if not same)


def _listener(config: Config) -> tuple[Address, bool] | None:
    """Return where the admin listener is and whether it asks for a token; a token's value may change."""
    return None if config.admin is None else (config.admin.listen, config.admin.token is None)
