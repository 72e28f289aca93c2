"""Where a fetch may connect: never to what only this machine or its cloud should be able to ask.

Pure. A trusted issuer's metadata, or whoever answers for its name in the DNS, must not make Keystile speak to
a cloud's metadata service (which hands out the machine's own credentials) or to a neighbour on the link.
Judged is the address that is connected to, not the name that led there. RFC 3927, RFC 4291, the clouds' own.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1: the last 32 bits are an IPv4 address

# Metadata and control services that are not link-local; the others answer at 169.254.169.254 or beside it.
_METADATA = frozenset(
    map(
        ip_address,
        (
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's platform
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google Cloud
        ),
    )
)


def forbidden(address: str, *, link_local: bool) -> str | None:
    """Say why an IP address must not be connected to; None where it may.

    `link_local` allows link-local addresses and those of metadata services.
    """
    where = _carried(ip_address(address))
    if where.is_unspecified or where.is_multicast:
        return "its address is no single machine's"
    if not link_local and (where.is_link_local or where in _METADATA):
        return "its address is link-local or a cloud's metadata service (allow_link_local permits them)"
    return None


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, where it is a spelling of one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
