"""What a running process cannot change any more: sockets that are open, a log that is written, processes.

Pure. Everything else takes effect with a reload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.faults import Fault

if TYPE_CHECKING:
    from proxy.config.schema import Config


def fixed(before: Config, now: Config) -> tuple[Fault, ...]:
    """Return a fault for each key that would need a restart to change."""
    kept = (
        ("listen", before.listen == now.listen),
        ("admin", before.admin == now.admin),
        ("tls", (before.tls is None) == (now.tls is None)),
        ("workers", before.workers == now.workers),
        ("log.output", before.log.output == now.log.output),
        ("log.format", before.log.format == now.log.format),
        ("log.fields", before.log.fields == now.log.fields),
    )
    problem, remedy = "cannot change while it runs", "restart, or change it back"
    return tuple(Fault(key, None, problem, remedy) for key, same in kept if not same)
