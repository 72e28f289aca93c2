"""Which `Host` the admin listener takes for its own."""

from __future__ import annotations

import pytest

from proxy.admin.hosts import is_own
from proxy.config import Address

LOOPBACK = Address(host="127.0.0.1", port=9901)
EVERYWHERE = Address(host="0.0.0.0", port=9901)
NAMED = Address(host="keystile.internal", port=9901)
UNIX = Address(unix="/run/admin.sock")

CASES = [
    pytest.param(LOOPBACK, ["127.0.0.1:9901"], True, id="its address and port"),
    pytest.param(LOOPBACK, ["localhost:9901"], True, id="localhost"),
    pytest.param(LOOPBACK, ["localhost"], True, id="no port"),
    pytest.param(LOOPBACK, ["LOCALHOST:1"], True, id="another port, which was forwarded"),
    pytest.param(LOOPBACK, ["[::1]:9901"], True, id="loopback in IPv6"),
    pytest.param(LOOPBACK, ["127.0.0.2"], True, id="another loopback address"),
    pytest.param(LOOPBACK, ["evil.example:9901"], False, id="a name that somebody lets lead here"),
    pytest.param(LOOPBACK, ["localhost.evil.example"], False, id="a name that begins alike"),
    pytest.param(LOOPBACK, ["127.0.0.1.nip.example"], False, id="a name that begins like the address"),
    pytest.param(LOOPBACK, ["127.1"], False, id="a short spelling of the address"),
    pytest.param(LOOPBACK, ["10.0.0.1:9901"], False, id="another machine's address"),
    pytest.param(LOOPBACK, ["evil@localhost"], False, id="userinfo"),
    pytest.param(LOOPBACK, [""], False, id="empty"),
    pytest.param(LOOPBACK, [], False, id="none"),
    pytest.param(LOOPBACK, ["localhost", "localhost"], False, id="two"),
    pytest.param(EVERYWHERE, ["10.0.0.1:9901"], True, id="a probe's or a scraper's address"),
    pytest.param(EVERYWHERE, ["[fd00::1]:9901"], True, id="the same in IPv6"),
    pytest.param(EVERYWHERE, ["evil.example"], False, id="a name, beyond loopback"),
    pytest.param(NAMED, ["keystile.internal:9901"], True, id="the name that it listens on"),
    pytest.param(NAMED, ["internal"], False, id="another name"),
    pytest.param(UNIX, ["docker"], True, id="whatever a client of a unix socket says"),
    pytest.param(UNIX, [], True, id="and where it says nothing"),
]


@pytest.mark.parametrize(("address", "hosts", "own"), CASES)
def test_names_that_others_can_give_are_none(address, hosts, own):
    assert is_own(hosts, address) is own
