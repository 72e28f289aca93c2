"""What this process uses, as the system tells it."""

from __future__ import annotations

from prometheus_client import ProcessCollector

_collector = ProcessCollector(registry=None)


def process_usage() -> dict[str, float]:
    """Return CPU seconds, bytes of memory, open files and their limit, and the start (Unix seconds).

    By the names of Prometheus' process metrics; empty where the system has no /proc.
    """
    return {family.name: family.samples[0].value for family in _collector.collect()}
