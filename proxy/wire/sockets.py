"""Sockets that listen: bound here, or passed in by whoever started the process (sd_listen_fds(3)).

Knows addresses and descriptors. Must never know who connects.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from errno import EADDRNOTAVAIL
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from proxy.config import Address

_FIRST_PASSED = 3


def bound(address: Address, *, reuse_port: bool = False) -> list[socket.socket]:
    """Bind what `listen` names: one socket for each address of a host, none of them listening yet.

    With port 0 the system's choice for the first one is everybody's. `reuse_port`: others may bind the same
    address, and the kernel shares connections out. Raises OSError where an address cannot be bound.
    """
    if address.unix is not None:
        return [_bound_unix(address.unix)]
    sockets: list[socket.socket] = []
    port = address.port or 0
    absent: OSError | None = None
    try:
        for family, where in _resolved(address):
            try:
                sockets.append(_bound_tcp(family, (where, port), reuse_port=reuse_port))
            except OSError as error:
                if error.errno != EADDRNOTAVAIL:
                    raise
                absent = error  # a name may mean IPv6, too, where there is none
                continue
            port = sockets[0].getsockname()[1]
    except BaseException:
        close(sockets)
        raise
    if not sockets and absent is not None:
        raise absent
    return sockets


def shared_out(address: Address, workers: int) -> list[list[socket.socket]]:
    """Bind what `listen` names once for each worker, as `bound`; a unix socket is one for all."""
    if address.unix is not None:
        return [bound(address)] * workers
    # Alone first: with SO_REUSEPORT another instance would share the port unseen.
    close(bound(address))
    sets = [bound(address, reuse_port=True)]
    try:
        own = address.model_copy(update={"port": sets[0][0].getsockname()[1]})
        while len(sets) < workers:
            sets.append(bound(own, reuse_port=True))
    except BaseException:
        for one in sets:
            close(one)
        raise
    return sets


def passed(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Take the sockets that systemd, or another parent, has opened for this very process; often none.

    What told of them is taken out of `environ`: children would take it for theirs.
    """
    meant, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = [socket.socket(fileno=_FIRST_PASSED + one) for one in range(int(count))]
    for one in sockets:
        one.set_inheritable(False)
    return sockets


def unlike(sockets: Iterable[socket.socket], address: Address) -> str | None:
    """Return where one of `sockets` listens, if that is not what `listen` says; None where all agree.

    Which hosts are allowed hangs on `listen`: a socket that reaches further would undo that.
    """
    for one in sockets:
        if one.family == socket.AF_UNIX:
            name = one.getsockname()
            if address.unix is None or not Path(name).samefile(address.unix):
                return f"unix:{name}"
            continue
        host, port = one.getsockname()[:2]
        allowed = [] if address.unix is not None else [where for _, where in _resolved(address)]
        if host not in allowed or (address.port and port != address.port):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None


def _resolved(address: Address) -> list[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(
        address.host, address.port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))


def _bound_tcp(family: socket.AddressFamily, where: tuple[str, int], *, reuse_port: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own where both are meant.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
    except BaseException:
        made.close()
        raise
    return made


def _bound_unix(path: str) -> socket.socket:
    there = Path(path)
    if there.is_socket() and not _answers(path):
        there.unlink(missing_ok=True)  # left behind by a process that is gone
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(path)
    except BaseException:
        made.close()
        raise
    return made


def _answers(path: str) -> bool:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asking:
        asking.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # it listens, and has a long queue
            return True
        return True


def close(sockets: Iterable[socket.socket]) -> None:
    """Close each of them."""
    for one in sockets:
        one.close()
