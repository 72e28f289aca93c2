"""Keys that the design names and this version does not know yet: refused by name, never ignored."""

from __future__ import annotations

from proxy.config.schema import Config, Limits, Log, Rule, Section, Upstream

LATER: dict[type[Section], frozenset[str]] = {
    Config: frozenset(
        {
            "cors",
            "drain",
            "mode",
            "origins",
            "session_key",
            "tls",
            "version",
            "watch",
            "workers",
        }
    ),
    Upstream: frozenset({"retry", "tls"}),
    Rule: frozenset({"cors", "mcp", "origins", "transport", "upgrade"}),
    Limits: frozenset({"mcp_body", "mcp_buffer", "response_time"}),
    Log: frozenset({"arguments", "chain", "fields", "format", "spill"}),
}
