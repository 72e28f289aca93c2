"""Who the client is, and what the upstream is told of it: X-Forwarded-* and Forwarded (RFC 7239).

Pure. Nobody is believed but `trusted_proxies`; everybody else's forwarding lines are stripped with the
other spellings in `headers.py`, and the connection itself is the truth.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from proxy.model import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.model import RequestHead

_HOST = re.compile(rb"[0-9A-Za-z.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
UNIX = "unix"


class Forwarding:
    """The forwarding rules of one listener; `scheme` is what its clients speak ("http" or "https")."""

    def __init__(
        self, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network], scheme: str = "http"
    ) -> None:
        self._trusted = tuple(trusted)
        self._scheme = scheme.encode()

    def peer(self, address: str) -> Peer:
        """The peer at an IP address, or at a unix socket (an empty address)."""
        plain = _address(address)
        return Peer(plain or UNIX, trusted=self._trusts(plain))

    def client(self, head: RequestHead) -> tuple[str, bytes]:
        """The client's address, and the lines that tell the upstream of it, each ending in CRLF."""
        peer = head.peer
        own = peer.address.encode()
        if not peer.trusted:
            return peer.address, _lines(own, self._scheme, head.host)
        fields = head.fields
        told = fields.get(b"x-forwarded-for", b"")
        chain = told + b", " + own if told else own
        scheme = fields.get(b"x-forwarded-proto", b"").lower()
        host = fields.get(b"x-forwarded-host", b"")
        scheme = scheme if scheme in {b"http", b"https"} else self._scheme
        host = host if _HOST.fullmatch(host) else head.host
        lines = _lines(chain, scheme, host)
        if b"forwarded" in fields:
            node = b'"[%b]"' % own if b":" in own else own
            lines += b'Forwarded: %b, for=%b;proto=%b;host="%b"\r\n' % (
                fields[b"forwarded"],
                node,
                scheme,
                host,
            )
        return self._walk(told.decode("latin-1"), peer.address), lines

    def _walk(self, told: str, address: str) -> str:
        """Go left past every trusted hop: what stands left of the first foreign one is its own invention."""
        for hop in reversed(told.split(",")):
            plain = _address(hop.strip())
            if not plain:
                break
            address = plain
            if not self._trusts(plain):
                break
        return address

    def _trusts(self, address: str) -> bool:
        if not address:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._trusted)


def _lines(chain: bytes, scheme: bytes, host: bytes) -> bytes:
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (chain, scheme, host)


def _address(hop: str) -> str:
    """The IP address in "1.2.3.4", "1.2.3.4:5", "::1" or "[::1]:5", zone left out; else empty."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(hop.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
