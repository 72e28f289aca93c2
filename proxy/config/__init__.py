"""The configuration room: YAML and environment in, one frozen `Config` out.

Every fault is found before the process serves anything, all of them at once, each with its place in the file
and what to do; a value is never printed, for it may be a secret. Knows no socket and no aiohttp.
"""

from proxy.config import addresses
from proxy.config.conditions import Condition, lookup
from proxy.config.editor import schema
from proxy.config.faults import ConfigError, Fault, UnfitError
from proxy.config.load import load
from proxy.config.patterns import segments
from proxy.config.schema import (
    Address,
    ClaimNames,
    Config,
    Issuer,
    JwksFile,
    JwksInline,
    JwksUrl,
    Keys,
    Limits,
    Log,
    Rule,
    Timeouts,
    Upstream,
)

__all__ = [
    "Address",
    "ClaimNames",
    "Condition",
    "Config",
    "ConfigError",
    "Fault",
    "Issuer",
    "JwksFile",
    "JwksInline",
    "JwksUrl",
    "Keys",
    "Limits",
    "Log",
    "Rule",
    "Timeouts",
    "UnfitError",
    "Upstream",
    "addresses",
    "load",
    "lookup",
    "schema",
    "segments",
]
