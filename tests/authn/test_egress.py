"""Which addresses are connected to."""

from __future__ import annotations

import pytest

from proxy.authn.egress import forbidden

GUARDED = [
    pytest.param("169.254.169.254", id="the metadata service of most clouds"),
    pytest.param("169.254.0.1", id="link-local"),
    pytest.param("169.254.170.2", id="AWS ECS"),
    pytest.param("fe80::1", id="IPv6 link-local"),
    pytest.param("fe80::1%2", id="IPv6 link-local with its zone"),
    pytest.param("febf:ffff::1", id="the end of IPv6 link-local"),
    pytest.param("fd00:ec2::254", id="AWS over IPv6"),
    pytest.param("fd20:ce::254", id="Google Cloud over IPv6"),
    pytest.param("100.100.100.200", id="Alibaba Cloud"),
    pytest.param("168.63.129.16", id="Azure"),
    pytest.param("192.0.0.192", id="Oracle Cloud"),
    pytest.param("::ffff:169.254.169.254", id="IPv4 in IPv6"),
    pytest.param("::ffff:a9fe:a9fe", id="IPv4 in IPv6, in hex"),
    pytest.param("64:ff9b::a9fe:a9fe", id="by way of NAT64"),
    pytest.param("64:ff9b::6464:64c8", id="Alibaba Cloud by way of NAT64"),
    pytest.param("2002:a9fe:a9fe::1", id="by way of 6to4"),
    pytest.param("fd00:ec2::23", id="AWS, credentials of pods"),
    pytest.param("64:ff9b:1::a9fe:a9fe", id="by way of a local NAT64"),
    pytest.param("::a9fe:a9fe", id="IPv4-compatible"),
    pytest.param("::ffff:0:a9fe:a9fe", id="IPv4-translated"),
    pytest.param("2001:0:4136:e378:8000:63bf:5601:5601", id="by way of Teredo"),
]
NOBODYS = [
    pytest.param("0.0.0.0", id="unspecified"),
    pytest.param("::", id="IPv6 unspecified"),
    pytest.param("::ffff:0.0.0.0", id="unspecified, IPv4 in IPv6"),
    pytest.param("255.255.255.255", id="broadcast"),
    pytest.param("224.0.0.1", id="multicast"),
    pytest.param("239.255.255.255", id="the end of multicast"),
    pytest.param("ff02::1", id="IPv6 multicast"),
]
FREE = ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "93.184.216.34", "fd00::1"]
FREE += [
    "2606:2800:220:1::1",
    "169.253.255.255",
    "169.255.0.0",
    "fec0::1",
    "64:ff9b::5db8:d822",
    "223.255.255.255",
]


@pytest.mark.parametrize("address", GUARDED)
def test_link_local_and_metadata_addresses_take_permission(address: str) -> None:
    why = forbidden(address, link_local=False)
    assert why is not None
    assert "allow_link_local" in why
    assert forbidden(address, link_local=True) is None


@pytest.mark.parametrize("address", NOBODYS)
@pytest.mark.parametrize("link_local", [False, True])
def test_what_is_no_single_machines_is_never_connected_to(address: str, link_local: bool) -> None:
    assert forbidden(address, link_local=link_local) == "its address is no single machine's"


@pytest.mark.parametrize("address", FREE)
def test_other_addresses_are_free(address: str) -> None:
    assert forbidden(address, link_local=False) is None
