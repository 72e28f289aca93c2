"""The environment alone as a configuration: one issuer, one rule for every path.

Variables become the tree that a file would have given; faults name the variable instead of a YAML path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.config import addresses
from proxy.config.document import Slip
from proxy.config.faults import UnfitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config.faults import Location

# What each variable stands for in a file.
VARIABLES: dict[str, Location] = {
    "KEYSTILE_UPSTREAM": ("upstream",),
    "KEYSTILE_JWKS_URI": ("issuers", 0, "jwks"),
    "KEYSTILE_JWT_ISSUER": ("issuers", 0, "issuer"),
    "KEYSTILE_JWT_AUDIENCE": ("issuers", 0, "audience"),
    "KEYSTILE_SCOPES": ("rules", 0, "scopes"),
    "KEYSTILE_LISTEN": ("listen",),
    "KEYSTILE_HOSTS": ("hosts",),
    "KEYSTILE_ADMIN": ("admin",),
}
_REQUIRED = ("KEYSTILE_UPSTREAM", "KEYSTILE_JWKS_URI", "KEYSTILE_JWT_ISSUER", "KEYSTILE_JWT_AUDIENCE")

# Read by the benchmark rig, not by the proxy.
_RIG = re.compile(r"KEYSTILE_BENCH_.*|KEYSTILE_CMD", re.DOTALL)


def tree(environ: Mapping[str, str]) -> tuple[dict[str, object], list[Slip]]:
    """Return the tree that the variables stand for, and what is wrong with the variables themselves."""
    slips = [
        Slip((name,), "unknown variable", f"choose from {', '.join(VARIABLES)}")
        for name in sorted(environ)
        if name.startswith("KEYSTILE_") and name not in VARIABLES and not _RIG.fullmatch(name)
    ]
    for name, at in VARIABLES.items():
        if name in environ and not environ[name].strip():
            slips.append(Slip(at, "empty", "give it a value, or unset it"))
        elif name in _REQUIRED and name not in environ:
            slips.append(Slip(at, "not set", "set it, or name a configuration file"))
    return _tree(environ), slips


def _tree(environ: Mapping[str, str]) -> dict[str, object]:
    audience = environ.get("KEYSTILE_JWT_AUDIENCE", "")
    rule: dict[str, object] = {"path": "/**"}
    if scopes := environ.get("KEYSTILE_SCOPES", "").split():
        rule["scopes"] = scopes
    issuer = {
        "issuer": environ.get("KEYSTILE_JWT_ISSUER", ""),
        "jwks": environ.get("KEYSTILE_JWKS_URI", ""),
        "audience": audience,
    }
    top: dict[str, object] = {
        "upstream": environ.get("KEYSTILE_UPSTREAM", ""),
        "issuers": [issuer],
        "rules": [rule],
    }
    if _is_resource(audience):
        top["resource"] = audience
    if listen := environ.get("KEYSTILE_LISTEN"):
        top["listen"] = listen
    if admin := environ.get("KEYSTILE_ADMIN"):
        top["admin"] = None if admin == "null" else admin
    if hosts := environ.get("KEYSTILE_HOSTS"):
        top["hosts"] = [host.strip() for host in hosts.split(",")]
    return top


def _is_resource(audience: str) -> bool:
    """Say whether an audience can be the resource's identifier as well (RFC 9728 1.2)."""
    try:
        url = addresses.url(audience)
    except UnfitError:
        return False
    return not url.suffix and (url.scheme == "https" or addresses.is_loopback(url.host))


def name(at: Location) -> str:
    """Return the variable that a place in the tree came from."""
    for variable, place in VARIABLES.items():
        if at[: len(place)] == place:
            return variable
    return str(at[0])
