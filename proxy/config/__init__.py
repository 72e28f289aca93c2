"""The configuration room: YAML and environment in, one frozen `Config` out.

Every fault is found before the process serves anything, all of them at once, each with its place in the file
and what to do; a value is never printed, for it may be a secret. Knows no socket and no aiohttp.
"""

from proxy.config import addresses, advice, document, globs
from proxy.config.conditions import ArgumentCondition, Condition, lookup
from proxy.config.editor import schema
from proxy.config.entry import Entry, Mcp
from proxy.config.faults import ConfigError, Fault, UnfitError
from proxy.config.fixed import fixed
from proxy.config.issuer import ClaimNames, Dpop, Introspection, Issuer, JwksFile, JwksInline, JwksUrl, Keys
from proxy.config.listening import Address, AdminListener
from proxy.config.load import load
from proxy.config.patterns import segments
from proxy.config.rate import Rate
from proxy.config.rule import Passthrough, Rule
from proxy.config.schema import Assertion, Config, Limits, Log
from proxy.config.stores import Redis, RevocationFile, RevocationRedis
from proxy.config.tls import Tls, UpstreamTls
from proxy.config.upstream import Timeouts, Upstream

__all__ = [
    "Address",
    "AdminListener",
    "ArgumentCondition",
    "Assertion",
    "ClaimNames",
    "Condition",
    "Config",
    "ConfigError",
    "Dpop",
    "Entry",
    "Fault",
    "Introspection",
    "Issuer",
    "JwksFile",
    "JwksInline",
    "JwksUrl",
    "Keys",
    "Limits",
    "Log",
    "Mcp",
    "Passthrough",
    "Rate",
    "Redis",
    "RevocationFile",
    "RevocationRedis",
    "Rule",
    "Timeouts",
    "Tls",
    "UnfitError",
    "Upstream",
    "UpstreamTls",
    "addresses",
    "advice",
    "document",
    "fixed",
    "globs",
    "load",
    "lookup",
    "schema",
    "segments",
]
