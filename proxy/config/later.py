"""Keys that the design names and this version does not know yet: refused by name, never ignored."""

from __future__ import annotations

from proxy.config.schema import Config, Issuer, Limits, Log, Rule, Section, Upstream

LATER: dict[type[Section], frozenset[str]] = {
    Config: frozenset(
        {
            "assertion",
            "cors",
            "drain",
            "jwks_cache",
            "mode",
            "origins",
            "redis",
            "revocations",
            "session_key",
            "tls",
            "version",
            "watch",
            "workers",
        }
    ),
    Upstream: frozenset({"headers", "retry", "tls"}),
    Issuer: frozenset({"ca", "dpop", "introspection"}),
    Rule: frozenset({"cors", "mcp", "origins", "passthrough", "rate", "transport", "upgrade"}),
    Limits: frozenset({"mcp_body", "mcp_buffer", "response_time"}),
    Log: frozenset({"arguments", "chain", "fields", "format", "spill"}),
}
