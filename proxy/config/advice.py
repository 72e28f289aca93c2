"""What a person may want to know of a sound configuration: traps in it, and what is legal but unwise.

Pure. Nothing here keeps a proxy from starting: `keystile check` says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import traps
from proxy.config.document import Slip
from proxy.config.faults import Fault, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.config.faults import Location
    from proxy.config.schema import Config

_OWN_COUNT = "counted by each process alone, without redis"


def warnings(config: Config) -> tuple[Fault, ...]:
    """Return where leaving an argument or a method out leads to an entry or a rule that demands less."""
    return _told(traps.slips(config))


def unwise(config: Config) -> tuple[Fault, ...]:
    """Return what is legal, and better done otherwise."""
    found = (_mode, _listen, _admin, _issuers, _rules, _sessions)
    return _told([slip for one in found for slip in one(config)])


def _told(slips: Iterable[Slip]) -> tuple[Fault, ...]:
    return tuple(Fault(written(slip.location), None, slip.problem, slip.remedy) for slip in slips)


def _mode(config: Config) -> Iterator[Slip]:
    if config.mode == "observe":
        yield Slip(
            ("mode",),
            "observe: what rules refuse goes on to the upstream",
            "set enforce",
        )


def _listen(config: Config) -> Iterator[Slip]:
    if not config.listen.is_loopback and config.tls is None and not config.trusted_proxies:
        problem = "beyond loopback without tls: whoever is on the way can read tokens"
        yield Slip(("listen",), problem, "set tls, or trusted_proxies where one of them ends TLS")


def _admin(config: Config) -> Iterator[Slip]:
    if config.admin is None or config.admin.listen.is_loopback:
        return
    if config.admin.is_closed:
        problem = "beyond loopback: whoever reaches it reads the metrics, and nobody the dashboard"
        yield Slip(("admin",), problem, "set admin.token, keep others away from it, or listen on 127.0.0.1")
    else:
        problem = "beyond loopback: whoever reaches it reads the metrics, and on the way the token"
        yield Slip(("admin",), problem, "end TLS before it, or listen on 127.0.0.1")


def _issuers(config: Config) -> Iterator[Slip]:
    for index, issuer in enumerate(config.issuers):
        if issuer.allow_insecure:
            problem = "its keys may come over plain http: whoever is on the way can sign anything"
            yield Slip(("issuers", index, "allow_insecure"), problem, "fetch them over https")
        if issuer.dpop.mode != "off" and config.redis is None:
            problem = f"used proofs are {_OWN_COUNT}: another process takes them once more"
            yield Slip(("issuers", index, "dpop"), problem, "set redis where there are several processes")


def _rules(config: Config) -> Iterator[Slip]:
    for index, rule in enumerate(config.rules):
        wide = any("*" in path for path in rule.path)
        if wide and rule.public:
            problem = "a wildcard in a public path: what is added below it later is public too"
            yield Slip(("rules", index, "path"), problem, "name the paths")
        if wide and rule.passthrough:
            problem = "a wildcard in a path that the upstream's own login may open"
            yield Slip(("rules", index, "path"), problem, "name the paths")
        if rule.mcp is not None and rule.mcp.entries is None:
            problem = "every tool is open to whoever meets the rule, and so is what is added later"
            yield Slip(("rules", index, "mcp"), problem, "write entries")
        if rule.log.sample is not None and not rule.public:
            problem = "of most requests there is no line: who did what cannot be answered here"
            yield Slip(("rules", index, "log", "sample"), problem, "sample public rules only")
        if config.redis is None:
            yield from _rates(index, config)


def _rates(index: int, config: Config) -> Iterator[Slip]:
    rule = config.rules[index]
    entries = (rule.mcp.entries if rule.mcp is not None else None) or ()
    places: list[Location] = [("rules", index, "rate")] if rule.rate is not None else []
    places += [("rules", index, "mcp", number, "rate") for number, entry in enumerate(entries) if entry.rate]
    for at in places:
        yield Slip(at, _OWN_COUNT, "set redis where there are several processes")


def _sessions(config: Config) -> Iterator[Slip]:
    if not config.session_key and any(rule.mcp is not None for rule in config.rules):
        yield Slip(
            ("session_key",), "absent: no session of MCP outlives a restart", "set it, 32 characters or more"
        )
