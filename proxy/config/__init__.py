"""The configuration room: YAML and environment in, one frozen `Config` out.

Every fault is found before the process serves anything, all of them at once, each with its place in the file
and what to do; a value is never printed, for it may be a secret. Knows no socket and no aiohttp.
"""

from proxy.config import addresses, document
from proxy.config.conditions import Condition, lookup
from proxy.config.editor import schema
from proxy.config.faults import ConfigError, Fault, UnfitError
from proxy.config.load import load
from proxy.config.patterns import segments
from proxy.config.schema import (
    Address,
    Assertion,
    ClaimNames,
    Config,
    Dpop,
    Introspection,
    Issuer,
    JwksFile,
    JwksInline,
    JwksUrl,
    Keys,
    Limits,
    Log,
    Passthrough,
    Rate,
    Redis,
    RevocationFile,
    RevocationRedis,
    Rule,
    Timeouts,
    Upstream,
)

__all__ = [
    "Address",
    "Assertion",
    "ClaimNames",
    "Condition",
    "Config",
    "ConfigError",
    "Dpop",
    "Fault",
    "Introspection",
    "Issuer",
    "JwksFile",
    "JwksInline",
    "JwksUrl",
    "Keys",
    "Limits",
    "Log",
    "Passthrough",
    "Rate",
    "Redis",
    "RevocationFile",
    "RevocationRedis",
    "Rule",
    "Timeouts",
    "UnfitError",
    "Upstream",
    "addresses",
    "document",
    "load",
    "lookup",
    "schema",
    "segments",
]
