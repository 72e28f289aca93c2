"""Sockets that listen: bound here, shared out among workers, or passed in."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

import pytest

from proxy.config import Address
from proxy.wire.sockets import bound, close, passed, shared_out, unlike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = Address(host="127.0.0.1", port=0)


@contextlib.contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield sockets
    finally:
        close(sockets)


def test_each_worker_has_a_socket_on_the_same_port() -> None:
    sets = shared_out(LOOPBACK, 3)
    with closing([one for own in sets for one in own]):
        assert len({own[0].getsockname() for own in sets}) == 1
        assert len({own[0].fileno() for own in sets}) == 3


def test_a_port_that_another_has_is_not_shared_with_it() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        taken = Address(host="127.0.0.1", port=other.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            shared_out(taken, 2)


def test_a_unix_socket_is_one_for_all(tmp_path: Path) -> None:
    sets = shared_out(Address(unix=str(tmp_path / "s")), 2)
    with closing(sets[0]):
        assert sets[0][0] is sets[1][0]


def test_a_unix_socket_that_nobody_answers_is_taken_over(tmp_path: Path) -> None:
    where = Address(unix=str(tmp_path / "s"))
    close(bound(where))
    with closing(bound(where)) as [again]:
        again.listen()
        with pytest.raises(OSError, match="in use"):
            bound(where)


def test_a_name_means_each_of_its_addresses() -> None:
    with closing(bound(Address(host="localhost", port=0))) as sockets:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(OSError, match=r"[Cc]annot assign"):
        bound(Address(host="192.0.2.1", port=0))


NOT_PASSED = [
    pytest.param({}, id="nothing"),
    pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="what is another's"),
    pytest.param({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}, id="no number"),
    pytest.param({"LISTEN_FDS": "1"}, id="whose is not said"),
]


@pytest.mark.parametrize("environ", NOT_PASSED)
def test_sockets_that_were_not_passed_in(environ: dict[str, str]) -> None:
    environ = {**environ, "LISTEN_FDNAMES": "x", "PATH": "/bin"}
    assert passed(environ) == []
    assert environ == {"PATH": "/bin"}


def test_a_passed_socket_is_where_listen_says(tmp_path: Path) -> None:
    unix = str(tmp_path / "s")
    with closing(bound(LOOPBACK)) as tcp, closing(bound(Address(unix=unix))) as local:
        host, port = tcp[0].getsockname()
        assert unlike(tcp, LOOPBACK) is None
        assert unlike(tcp, Address(host=host, port=port)) is None
        assert unlike(tcp, Address(host=host, port=port + 1)) == f"{host}:{port}"
        assert unlike(tcp, Address(host="127.0.0.2", port=port)) == f"{host}:{port}"
        assert unlike(tcp, Address(unix=unix)) == f"{host}:{port}"
        assert unlike(local, Address(unix=unix)) is None
        assert unlike(local, LOOPBACK) == f"unix:{unix}"


def test_a_passed_socket_of_ipv6_is_named_as_listen_names_it() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        sockets = bound(Address(host="::1", port=0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with closing(sockets) as [one]:
        assert unlike([one], LOOPBACK) == f"[::1]:{one.getsockname()[1]}"
