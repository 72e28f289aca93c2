"""Who the client is: the last address that a trusted proxy vouches for, and never what anybody else says."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from proxy.model import Peer, RequestHead
from proxy.wire import Forwarding

NETWORKS = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


def _head(peer: Peer, told: bytes | None) -> RequestHead:
    lines = ((b"Host", b"edge.test"), *([(b"X-Forwarded-For", told)] if told is not None else []))
    fields = {name.lower(): value for name, value in lines}
    return RequestHead("GET", b"/", b"edge.test", lines, fields, frozenset(), peer)


PEERS = [
    pytest.param("127.0.0.1", Peer("127.0.0.1"), id="an address"),
    pytest.param("10.1.2.3", Peer("10.1.2.3", trusted=True), id="a trusted address"),
    pytest.param("2001:db8::1", Peer("2001:db8::1", trusted=True), id="a trusted IPv6 address"),
    pytest.param("2001:db9::1", Peer("2001:db9::1"), id="another IPv6 address"),
    pytest.param("::ffff:10.1.2.3", Peer("10.1.2.3", trusted=True), id="a trusted address in IPv6"),
    pytest.param("fe80::1%eth0", Peer("fe80::1"), id="an address with a zone"),
    pytest.param("", Peer("unix"), id="a unix socket"),
]


@pytest.mark.parametrize(("address", "peer"), PEERS)
def test_peers(address: str, peer: Peer) -> None:
    assert Forwarding(NETWORKS).peer(address) == peer


CLIENTS = [
    pytest.param("192.0.2.1", b"203.0.113.9", "192.0.2.1", id="nobody else is believed"),
    pytest.param("10.0.0.1", None, "10.0.0.1", id="a trusted proxy says nothing"),
    pytest.param("10.0.0.1", b"", "10.0.0.1", id="a trusted proxy says an empty list"),
    pytest.param("10.0.0.1", b"203.0.113.9", "203.0.113.9", id="a trusted proxy says one address"),
    pytest.param(
        "10.0.0.1", b"1.1.1.1, 203.0.113.9", "203.0.113.9", id="what stands left of the client is its own"
    ),
    pytest.param("10.0.0.1", b"203.0.113.9, 10.0.0.2", "203.0.113.9", id="past every trusted hop"),
    pytest.param("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3", id="nobody but trusted hops"),
    pytest.param("10.0.0.1", b"203.0.113.9,10.0.0.2", "203.0.113.9", id="a list without spaces"),
    pytest.param("10.0.0.1", b"203.0.113.9:1234", "203.0.113.9", id="an address with a port"),
    pytest.param("10.0.0.1", b"[2001:db9::1]:1234", "2001:db9::1", id="an IPv6 address with a port"),
    pytest.param("10.0.0.1", b"2001:db9::1", "2001:db9::1", id="an IPv6 address"),
    pytest.param("10.0.0.1", b"unknown", "10.0.0.1", id="no address at all"),
    pytest.param(
        "10.0.0.1", b"203.0.113.9, unknown", "10.0.0.1", id="no address where the client should stand"
    ),
    pytest.param("10.0.0.1", b"203.0.113.9, ,", "10.0.0.1", id="an empty hop"),
    pytest.param("10.0.0.1", b"\x1b[31m", "10.0.0.1", id="an escape sequence"),
    pytest.param("10.0.0.1", b"203.0.113.009", "10.0.0.1", id="an address with leading zeros"),
    pytest.param("2001:db8::1", b"203.0.113.9", "203.0.113.9", id="a trusted IPv6 proxy"),
]


@pytest.mark.parametrize(("peer", "told", "client"), CLIENTS)
def test_clients(peer: str, told: bytes | None, client: str) -> None:
    forwarding = Forwarding(NETWORKS)
    assert forwarding.client(_head(forwarding.peer(peer), told))[0] == client
