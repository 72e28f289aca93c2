"""What `Host` may say to the admin listener.

Pure. A web page can have a name of its own lead to 127.0.0.1 and then read what its browser fetches from
there (DNS rebinding). The browser tells that name in `Host`: only names that nobody else can give pass.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from proxy.config import UnfitError, addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.config import Address


def is_own(hosts: Sequence[str], address: Address) -> bool:
    """Say whether a request with these `Host` values is meant for a listener at `address`, on any port.

    Loopback always is; an IP address where it listens beyond loopback, for probes know no name. No browser
    gets to a unix socket.
    """
    if address.unix is not None:
        return True
    if len(hosts) != 1:
        return False
    try:
        name, _ = addresses.authority(hosts[0], lowest=0)
    except UnfitError:
        return False
    if addresses.is_loopback(name):
        return True
    return not address.is_loopback and (name == address.host or _is_ip(name))


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
