"""Where a fetch may connect: never to what only this machine or its cloud should be able to ask.

Pure. A trusted issuer's metadata, or whoever answers for its name in the DNS, must not make Keystile speak to
a cloud's metadata service (which hands out the machine's own credentials) or to a neighbour on the link.
Judged is the address that is connected to, not the name that led there. RFC 3927, RFC 4291, the clouds' own.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# The last 32 bits are an IPv4 address: NAT64 (RFC 6052 section 2.1, RFC 8215), IPv4-compatible (RFC 4291
# section 2.5.5.1), IPv4-translated (RFC 2765).
_CARRIERS = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
_AWS = IPv6Network("fd00:ec2::/32")  # metadata, credentials of pods, time, names
_BROADCAST = IPv4Address("255.255.255.255")

# Metadata and control services that are not link-local; the others answer at 169.254.169.254 or beside it.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's platform
            "192.0.0.192",  # Oracle Cloud
            "fd20:ce::254",  # Google Cloud
        ),
    )
)


def forbidden(address: str, *, link_local: bool) -> str | None:
    """Say why an IP address must not be connected to; None where it may.

    `link_local` allows link-local addresses and those of metadata services.
    """
    where = _carried(ip_address(address))
    if where.is_unspecified or where.is_multicast or where == _BROADCAST:
        return "its address is no single machine's"
    if not link_local and (where.is_link_local or where in _METADATA or where in _AWS):
        return "its address is link-local or a cloud's metadata service (allow_link_local permits them)"
    return None


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, where it is a spelling of one."""
    if isinstance(address, IPv4Address):
        return address
    if address.is_loopback or address.is_unspecified:
        return address
    if any(address in carrier for carrier in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # Of Teredo's two IPv4 addresses the second is the client's (RFC 4380 section 4).
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (address if teredo is None else teredo[1])
