"""How many files a process may have open: each connection is one."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from proxy.config import Config

# Logs, sockets that listen, key fetches, and clients that are told there are too many.
_OTHERS = 128


def allow_files(config: Config) -> None:
    """Allow as many open files as the connections of the configuration need; say so where that cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.limits.connections + config.upstream.connections + _OTHERS
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < needed:
        structlog.get_logger().warning("file_limit_too_low", limit=soft, needed=needed)
