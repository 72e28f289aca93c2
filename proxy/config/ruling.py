"""The rules one by one: what contradicts itself, or names what does not exist.

Pure. What rules take from one another is judged in `shadows`, the entries of `mcp` in `entries`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import addresses, entries, shadows
from proxy.config.document import Slip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.config.faults import Location
    from proxy.config.rule import Rule
    from proxy.config.schema import Config

_REQUIREMENTS = ("scopes", "any_scopes", "claims", "issuers")
_LISTS = ("methods", "host", "passthrough", "upgrade", *_REQUIREMENTS)
# What an unknown caller cannot meet: who is let through by the upstream's own login has no claims here.
_UNMET = ("public", "scopes", "any_scopes", "claims", "mcp")


def slips(config: Config) -> Iterator[Slip]:
    """Find everything that is wrong with the rules."""
    if not config.rules:
        yield Slip(("rules",), "empty: every request would be refused", "write a rule")
    known = {issuer.issuer for issuer in config.issuers}
    names: set[str] = set()
    for index, rule in enumerate(config.rules):
        at: Location = ("rules", index)
        if rule.name in names:
            yield Slip((*at, "name"), "the name of an earlier rule", "give each rule its own")
        names.add(rule.name)
        yield from _alone(rule, at)
        for number, issuer in enumerate(rule.issuers):
            if issuer not in known:
                yield Slip((*at, "issuers", number), "not a configured issuer", "name one of issuers")
        yield from _selectors(config, rule, at)
        yield from _transport(rule, at)
        yield from _upgrade(rule, at)
        yield from entries.slips(rule, at)
    yield from shadows.slips(config.rules)


def _alone(rule: Rule, at: Location) -> Iterator[Slip]:
    for key in _LISTS:
        if key in rule.model_fields_set and not getattr(rule, key):
            yield Slip((*at, key), "empty", "name at least one, or leave the key out")
    for key in _REQUIREMENTS:
        if rule.public and getattr(rule, key):
            yield Slip((*at, key), "a requirement on a public rule", "remove it, or remove public")
    for key in _UNMET:
        if rule.passthrough and getattr(rule, key):
            yield Slip(
                (*at, key), "on a rule with passthrough", "remove it, or give passthrough its own rule"
            )
    if rule.any_host and not rule.public:
        yield Slip((*at, "any_host"), "on a rule that is not public", "remove it, or add public: true")


def _transport(rule: Rule, at: Location) -> Iterator[Slip]:
    if rule.mcp is None:
        if "transport" in rule.model_fields_set:
            yield Slip((*at, "transport"), "on a rule without mcp", "remove it, or add mcp")
        return
    if rule.methods and "POST" not in rule.methods:
        yield Slip((*at, "methods"), "without POST, which all messages of MCP are", "add it")
    if rule.methods and "GET" not in rule.methods and rule.transport == "sse":
        yield Slip((*at, "methods"), "without GET, which opens the streams of this transport", "add it")


def _upgrade(rule: Rule, at: Location) -> Iterator[Slip]:
    if not rule.upgrade:
        return
    if rule.mcp is not None:
        yield Slip((*at, "upgrade"), "on a rule with mcp: it would hide the messages", "give it its own rule")
    if rule.methods and "GET" not in rule.methods:
        yield Slip((*at, "methods"), "without GET, with which an upgrade begins", "add it")


def _selectors(config: Config, rule: Rule, at: Location) -> Iterator[Slip]:
    for number, path in enumerate(rule.path):
        if ";" in path and config.path_parameters == "refuse":
            yield Slip((*at, "path", number), "a ; that no admitted path has", "set path_parameters: allow")
    for number, place in enumerate(rule.host):
        if not rule.any_host and not _served(config, *addresses.authority(place)):
            yield Slip((*at, "host", number), "a host that is refused before any rule", "add it to hosts")


def _served(config: Config, name: str, port: int | None) -> bool:
    if config.resource is not None and addresses.url(config.resource).host == name:
        return True
    if config.listen.is_loopback and addresses.is_loopback(name):
        return True
    served = (addresses.authority(host) for host in config.hosts)
    return any(name == host and (None in (port, its) or port == its) for host, its in served)
