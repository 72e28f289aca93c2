"""Key sets: which are usable at all, and which key a token gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.authn.jose import Key
from proxy.authn.keyset import KeySetError, key_set, read_key_set
from proxy.model import Deny, Reason
from tests.support.keys import jwks, jwks_bytes, make_key

ED, ED_2 = make_key("EdDSA", "ed"), make_key("EdDSA", "ed-2")
RSA, EC = make_key("RS256", "rsa"), make_key("ES256", "ec")

UNKNOWN, REFUSED = Reason.KEY_UNKNOWN, Reason.ALGORITHM_REFUSED

SELECTIONS = [
    pytest.param([ED, RSA], "EdDSA", "ed", "ed", id="by kid"),
    pytest.param([ED, RSA], "Ed25519", "ed", "ed", id="by kid, under the newer name"),
    pytest.param([ED, RSA], "RS256", "rsa", "rsa", id="by kid, the other one"),
    pytest.param([ED, RSA], "EdDSA", "new", UNKNOWN, id="a kid that is not there"),
    pytest.param([ED, RSA], "EdDSA", "ED", UNKNOWN, id="a kid in another case"),
    pytest.param([ED, RSA], "EdDSA", "", UNKNOWN, id="an empty kid is a kid"),
    pytest.param([ED, RSA], "RS256", "ed", REFUSED, id="an algorithm that does not fit the kid's key"),
    pytest.param([ED, RSA], "PS256", "rsa", REFUSED, id="an algorithm that the key's alg excludes"),
    pytest.param(
        [RSA.public(alg=None)], "PS256", "rsa", "rsa", id="a key without alg takes what its type fits"
    ),
    pytest.param([ED, RSA], "EdDSA", None, "ed", id="no kid, and one key fits"),
    pytest.param([ED, ED_2], "EdDSA", None, UNKNOWN, id="no kid, and two keys fit"),
    pytest.param([ED, RSA], "ES256", None, UNKNOWN, id="no kid, and no key fits"),
    pytest.param([ED.public(kid=None)], "EdDSA", None, None, id="no kid on either side"),
    pytest.param([ED.public(kid=None)], "EdDSA", "ed", UNKNOWN, id="a kid, but the key has none"),
    pytest.param([ED, RSA.public(kid="ed")], "RS256", "ed", "ed", id="one kid twice, told apart by type"),
    pytest.param([ED, ED_2.public(kid="ed")], "EdDSA", "ed", UNKNOWN, id="one kid twice, and both keys fit"),
    pytest.param([ED, ED.public(use=None)], "EdDSA", "ed", "ed", id="one key listed twice"),
    pytest.param(
        [ED, RSA.public(kid="ed"), EC], "ES256", "ed", REFUSED, id="one kid twice, and neither fits"
    ),
]


@pytest.mark.parametrize(("keys", "algorithm", "kid", "expected"), SELECTIONS)
def test_exactly_one_key_is_chosen(
    keys: list[Any], algorithm: str, kid: str | None, expected: object
) -> None:
    chosen = key_set(jwks(*keys)).select(algorithm, kid)
    if isinstance(expected, Reason):
        assert isinstance(chosen, Deny)
        assert chosen.reason is expected
    else:
        assert isinstance(chosen, Key)
        assert chosen.kid == expected
        assert algorithm in chosen.algorithms


# What the operator reads in the log.
DETAILS = [
    pytest.param([ED, ED_2], None, "more than one key of the issuer fits the token", id="two that fit"),
    pytest.param(
        [RSA], "rsa", "the token's alg does not fit the key that its kid names", id="none that fits"
    ),
    pytest.param(
        [ED],
        "x",
        "no key of the issuer has the token's kid, or fits a token without one",
        id="none of that name",
    ),
    pytest.param(
        [RSA], None, "no key of the issuer has the token's kid, or fits a token without one", id="none at all"
    ),
]


@pytest.mark.parametrize(("keys", "kid", "detail"), DETAILS)
def test_a_refusal_says_what_is_wrong(keys: list[Any], kid: str | None, detail: str) -> None:
    refused = key_set(jwks(*keys)).select("EdDSA", kid)
    assert isinstance(refused, Deny)
    assert refused.detail == detail


def test_the_key_chosen_by_fit_is_the_right_one() -> None:
    keys = key_set(jwks(ED, RSA.public(kid="ed")))
    assert keys.select("RS256", "ed") != keys.select("EdDSA", "ed")


def test_keys_that_cannot_be_told_apart_are_told() -> None:
    one, other = make_key("EdDSA", "one"), make_key("EdDSA", "other")
    keys = key_set({"keys": [one.public(kid="k"), other.public(kid="k"), one.public(kid=None)]})
    assert keys.skipped == ("key k: another key has its kid and fits the same alg",)
    assert key_set({"keys": [one.public(kid="k"), one.public(kid="k")]}).skipped == ()
    both = {"keys": [one.public(kid="k"), make_key("ES256").public(kid="k")]}
    assert key_set(both).skipped == ()


def test_unusable_keys_are_skipped_one_by_one() -> None:
    keys = key_set({"keys": [make_key("HS256").jwk, ED.jwk, "no key", ED_2.public(use="enc"), RSA.jwk]})
    assert {key.kid for key in keys.keys} == {"ed", "rsa"}
    assert keys.skipped == (
        "key ed-2: its use is not sig",
        "key key-1: it is private or symmetric",
        "keys[2]: it is not an object",
    )


NAMES = [
    pytest.param({"kid": "a"}, "key a", id="a kid"),
    pytest.param({}, "keys[0]", id="no kid"),
    pytest.param({"kid": 7}, "keys[0]", id="a kid that is a number"),
    pytest.param({"kid": "x" * 256}, "key " + "x" * 256, id="a long kid"),
    pytest.param({"kid": "x" * 257}, "keys[0]", id="a kid too long for a log"),
]


@pytest.mark.parametrize(("odd", "name"), NAMES)
def test_a_skipped_key_is_named(odd: dict[str, Any], name: str) -> None:
    assert key_set(jwks(odd, ED)).skipped == (f"{name}: its kty is not supported",)


def test_sets_are_equal_whatever_the_order_of_their_keys() -> None:
    odd, odder = {"kid": "a", "kty": "new"}, {"kid": "b", "kty": "new"}
    assert key_set(jwks(ED, odd, RSA, odder)) == key_set(jwks(odder, RSA, odd, ED))


NO_JSON, NO_LIST = (
    "the key set is not a plain JSON object",
    "the key set has no list `keys` of at most 100 keys",
)
NO_KEY, TOO_LARGE = "the key set has no key that can be used", "the key set is larger than 256 KiB"
SINGLE = "it is a single key: a key set is an object with a list `keys` of public keys"
LARGEST = jwks_bytes(ED).ljust(262_144)

UNREADABLE = [
    pytest.param(b"", NO_JSON, id="nothing"),
    pytest.param(b"<!doctype html><title>Login</title>", NO_JSON, id="a login page"),
    pytest.param(b"[]", NO_JSON, id="a list"),
    pytest.param(b'{"keys": [], "keys": []}', NO_JSON, id="a name twice"),
    pytest.param(b"{}", NO_LIST, id="no keys member"),
    pytest.param(b'{"keys": {}}', NO_LIST, id="keys that are no list"),
    pytest.param(b'{"keys": []}', NO_KEY, id="no keys"),
    pytest.param(
        jwks_bytes(make_key("HS256")), NO_KEY + ": it is private or symmetric", id="symmetric keys only"
    ),
    pytest.param(json.dumps({"keys": [ED.jwk] * 101}).encode(), NO_LIST, id="101 keys"),
    pytest.param(json.dumps({**jwks(ED), "more": "x" * 262144}).encode(), TOO_LARGE, id="over 256 KiB"),
    pytest.param(json.dumps(ED.jwk).encode(), SINGLE, id="a single key"),
    pytest.param(
        json.dumps({"kty": "OKP", "keys": {}}).encode(), NO_LIST, id="a key, and keys that are no list"
    ),
    pytest.param(
        json.dumps({"keys": [7, make_key("HS256").jwk]}).encode(),
        NO_KEY + ": it is not an object",
        id="no key, for the first key's reason",
    ),
    pytest.param(LARGEST + b" ", TOO_LARGE, id="a byte over 256 KiB"),
]


@pytest.mark.parametrize(("document", "why"), UNREADABLE)
def test_a_broken_set_is_no_set(document: bytes, why: str) -> None:
    with pytest.raises(KeySetError) as broken:
        read_key_set(document)
    assert str(broken.value) == why


def test_one_hundred_keys_are_read() -> None:
    document = {"keys": [ED.public(kid=str(number)) for number in range(100)]}
    assert len(read_key_set(json.dumps(document).encode()).keys) == 100


def test_256_kib_are_read() -> None:
    assert len(read_key_set(LARGEST).keys) == 1


def test_a_key_type_beside_the_keys_means_nothing() -> None:
    assert len(key_set({**jwks(ED), "kty": "OKP"}).keys) == 1
