"""The server's nonces: this slot's and the last one's, under one key."""

from __future__ import annotations

import pytest

from proxy.authn.nonces import Nonces

NOW = 1_700_000_000.0 - 1_700_000_000 % 120  # a slot's beginning
NONCES = Nonces(b"k" * 32)

AGES = [
    pytest.param(0, True, id="at once"),
    pytest.param(119.9, True, id="within its slot"),
    pytest.param(120, True, id="in the next slot"),
    pytest.param(239.9, True, id="at the next slot's end"),
    pytest.param(240, False, id="two slots on"),
    pytest.param(-0.1, False, id="before it was handed out"),
    pytest.param(86400, False, id="a day later"),
]


@pytest.mark.parametrize(("later", "holds"), AGES)
def test_how_long_a_nonce_holds(later: float, holds: bool) -> None:
    assert NONCES.holds(NONCES.current(NOW), NOW + later) is holds


FOREIGN = [
    pytest.param(None, id="none"),
    pytest.param("", id="empty"),
    pytest.param(7, id="a number"),
    pytest.param(True, id="true"),
    pytest.param([NONCES.current(NOW)], id="one in a list"),
    pytest.param(NONCES.current(NOW) + "=", id="padded"),
    pytest.param(NONCES.current(NOW).swapcase(), id="in another case"),
    pytest.param("é" * 22, id="not ASCII"),
    pytest.param(Nonces(b"x" * 32).current(NOW), id="another server's"),
]


@pytest.mark.parametrize("nonce", FOREIGN)
def test_foreign_nonces(nonce: object) -> None:
    assert NONCES.holds(nonce, NOW) is False


def test_servers_with_one_key_take_each_others() -> None:
    assert Nonces(b"k" * 32).holds(NONCES.current(NOW), NOW)


def test_a_nonce_is_fit_for_a_header() -> None:
    # RFC 9449 section 8.1: NQCHAR.
    assert len(NONCES.current(NOW)) == 22
    assert NONCES.current(NOW).replace("-", "").replace("_", "").isalnum()
