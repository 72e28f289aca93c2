"""Which hosts a request may name, in Host (RFC 9110 section 7.2) and in Origin (RFC 6454 section 7).

The names that this server answers to. Pure apart from a bounded memo. A browser that DNS rebinding turned
against this address says another name, and so does a request that was meant for another server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import UnfitError, addresses

if TYPE_CHECKING:
    from proxy.config import Config

_MOST_REMEMBERED = 1024
# A DNS name has 253 characters at most; a colon and a port follow.
_LONGEST = 259


def spellings(host: bytes) -> tuple[str, ...]:
    """Return how the configuration may list a Host value; nothing where it is no host.

    "MCP.example.com:8443" is listed as mcp.example.com (any port) or as mcp.example.com:8443. Read as the
    configuration is read: no userinfo, no final dot, no short forms of an address.
    """
    try:
        name, port = addresses.authority(host.decode("latin-1"))
    except UnfitError:
        return ()
    name = addresses.bracketed(name)
    return (name,) if port is None else (name, f"{name}:{port}")


class Hosts:
    """The hosts of `resource` and `hosts:`, and loopback names where only this machine can connect."""

    def __init__(self, config: Config) -> None:
        names = set(config.hosts)
        if config.resource is not None:
            names.add(addresses.bracketed(addresses.url(config.resource).host))
        self._names = frozenset(names)
        self._takes_loopback = config.listen.is_loopback
        self._memo: dict[bytes, bool] = {}

    def allowed(self, host: bytes) -> bool:
        """Say whether a request may name `host`, the Host value as it came; having none is refused."""
        known = self._memo.get(host)
        if known is None:
            known = self._judge(spellings(host))
            # Clients choose the value: neither many nor long ones may fill the memory.
            if len(host) <= _LONGEST:
                if len(self._memo) >= _MOST_REMEMBERED:
                    self._memo.clear()
                self._memo[host] = known
        return known

    def has_origin(self, origin: bytes) -> bool:
        """Say whether an Origin value names one of these hosts; `null`, and what is no one origin, does not.

        What Host says is no measure: the page that sends both may have chosen it.
        """
        try:
            url = addresses.url(origin.decode("latin-1"))
        except UnfitError:
            return False
        bare = not url.path and not url.suffix
        return bare and self.allowed(f"{addresses.bracketed(url.host)}:{url.port}".encode())

    def _judge(self, listed_as: tuple[str, ...]) -> bool:
        if not listed_as:
            return False
        if not self._names.isdisjoint(listed_as):
            return True
        return self._takes_loopback and addresses.is_loopback(listed_as[0].strip("[]"))
