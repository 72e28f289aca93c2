"""Which keys are used, and which signatures hold."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from proxy.authn.jose import ALGORITHMS, Key, _is_in_range, usable_key, verify
from proxy.config import Issuer
from tests.support.keys import SigningKey, b64, make_key, number

ED, RSA, EC = make_key("EdDSA"), make_key("RS256"), make_key("ES256")
E448 = make_key("Ed448")
EC384, EC521, PSS = make_key("ES384"), make_key("ES512"), make_key("PS256")
MESSAGE = b"a signing input"

RS_AND_PS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
USABLE = [
    pytest.param(ED.jwk, {"EdDSA", "Ed25519"}, id="Ed25519"),
    pytest.param(ED.public(alg="Ed25519"), {"EdDSA", "Ed25519"}, id="Ed25519 under the name of RFC 9864"),
    pytest.param(ED.public(alg=None), {"EdDSA", "Ed25519"}, id="Ed25519 without alg"),
    pytest.param(E448.jwk, {"EdDSA", "Ed448"}, id="Ed448 under the name of RFC 9864"),
    pytest.param(E448.public(alg="EdDSA"), {"EdDSA", "Ed448"}, id="Ed448"),
    pytest.param(RSA.jwk, {"RS256"}, id="RSA for RS256"),
    pytest.param(PSS.public(alg="PS512"), {"PS512"}, id="RSA for PS512"),
    pytest.param(RSA.public(alg=None), RS_AND_PS, id="RSA without alg fits all of RS and PS"),
    pytest.param(EC.public(alg=None), {"ES256"}, id="P-256 without alg fits ES256 only"),
    pytest.param(EC384.jwk, {"ES384"}, id="P-384"),
    pytest.param(EC521.jwk, {"ES512"}, id="P-521"),
    pytest.param(ED.public(use=None), {"EdDSA", "Ed25519"}, id="a key without use"),
    pytest.param(ED.public(kid=None), {"EdDSA", "Ed25519"}, id="a key without kid"),
    pytest.param(ED.public(key_ops=["verify"]), {"EdDSA", "Ed25519"}, id="key_ops with verify"),
    pytest.param(
        ED.public(x5c=["?"], x5u="http://a.test"), {"EdDSA", "Ed25519"}, id="certificates are not looked at"
    ),
    pytest.param(
        RSA.public(n=b64(b"\0" + RSA.private.public_key().public_numbers().n.to_bytes(256, "big"))),
        {"RS256"},
        id="a modulus with the zero byte that Java puts before it",
    ),
]

_N = RSA.private.public_key().public_numbers().n
_Y = EC.private.public_key().public_numbers().y
_P25519 = 2**255 - 19
_P448 = 2**448 - 2**224 - 1
_E448_POINT = E448.private.public_key().public_bytes_raw()

UNUSABLE = [
    pytest.param({}, "kty", id="an empty object"),
    pytest.param(ED.public(kty=["OKP"]), "kty", id="a kty that is a list"),
    pytest.param(ED.public(kty="okp"), "kty", id="a kty in lower case"),
    pytest.param(ED.public(kty="AKP"), "kty", id="a kty of the future"),
    pytest.param(ED.public(kty="EC"), "curve", id="Ed25519 said to be EC"),
    pytest.param(make_key("HS256").jwk, "private or symmetric", id="a shared secret"),
    pytest.param(ED.private_jwk(), "private or symmetric", id="a private Ed25519 key"),
    pytest.param(RSA.private_jwk(d=None, p="AQ"), "private or symmetric", id="an RSA key with a factor"),
    pytest.param(ED.public(k="AQ"), "private or symmetric", id="a public key with a secret beside it"),
    pytest.param(ED.public(use="enc"), "use", id="a key for encryption"),
    pytest.param(ED.public(use=["sig"]), "use", id="a use that is a list"),
    pytest.param(ED.public(key_ops=["sign"]), "key_ops", id="key_ops without verify"),
    pytest.param(ED.public(key_ops="verify"), "key_ops", id="key_ops that is no list"),
    pytest.param(ED.public(alg="ES256"), "alg", id="an alg of another type"),
    pytest.param(ED.public(alg="HS256"), "alg", id="a symmetric alg on a public key"),
    pytest.param(ED.public(alg="none"), "alg", id="alg none"),
    pytest.param(ED.public(alg={}), "alg", id="an alg that is an object"),
    pytest.param(EC.public(alg="ES384"), "alg", id="an alg of another curve"),
    pytest.param(RSA.public(alg="RSA-OAEP"), "alg", id="an alg for encryption"),
    pytest.param(ED.public(kid=7), "kid", id="a kid that is a number"),
    pytest.param(ED.public(kid="k" * 257), "kid", id="a kid of 257 characters"),
    pytest.param(E448.public(crv="Ed25519"), "x is not", id="an Ed448 point said to be Ed25519"),
    pytest.param(E448.public(alg="Ed25519"), "alg", id="an Ed448 key for Ed25519"),
    pytest.param(ED.public(alg="Ed448"), "alg", id="an Ed25519 key for Ed448"),
    pytest.param(E448.public(x=b64(b"\x01" + b"\0" * 56)), "main group", id="the neutral point of Ed448"),
    pytest.param(E448.public(x=b64(b"\0" * 57)), "main group", id="a point of order four of Ed448"),
    pytest.param(
        E448.public(x=b64((_P448 - 1).to_bytes(57, "little"))),
        "main group",
        id="a point of order two of Ed448",
    ),
    pytest.param(E448.public(x=b64((2).to_bytes(57, "little"))), "main group", id="Ed448 off the curve"),
    pytest.param(
        E448.public(x=b64(_E448_POINT[:56] + bytes([_E448_POINT[56] | 1]))),
        "main group",
        id="an Ed448 point spelt oddly",
    ),
    pytest.param(
        E448.public(x=b64(_P448.to_bytes(57, "little"))), "main group", id="beyond the field of Ed448"
    ),
    pytest.param(ED.public(crv="X25519"), "curve", id="a curve for key agreement"),
    pytest.param(make_key("ES256K").jwk, "curve", id="secp256k1"),
    pytest.param(EC.public(crv=["P-256"]), "curve", id="a crv that is a list"),
    pytest.param(EC.public(crv="P-384", alg="ES384"), "x is not", id="a P-256 point said to be on P-384"),
    pytest.param(EC.public(y=number((_Y + 1) % 2**256, 32)), "no key", id="a point off the curve"),
    pytest.param(EC.public(x=number(0, 32), y=number(0, 32)), "no key", id="zero for a point"),
    pytest.param(EC.public(x=number(2**256 - 1, 32)), "no key", id="a coordinate beyond the field"),
    pytest.param(EC.public(x=number(1, 31)), "x is not", id="a coordinate that is too short"),
    pytest.param(EC.public(y=None), "y is not", id="a compressed point"),
    pytest.param(ED.public(x=b64(b"\x01" + b"\0" * 31)), "main group", id="the neutral point"),
    pytest.param(ED.public(x=b64(b"\0" * 32)), "main group", id="a point of order four"),
    pytest.param(
        ED.public(x=b64((_P25519 - 1).to_bytes(32, "little"))), "main group", id="a point of order two"
    ),
    pytest.param(
        ED.public(x=b64((_P25519 + 1).to_bytes(32, "little"))), "main group", id="a point spelt oddly"
    ),
    pytest.param(ED.public(x=b64((2).to_bytes(32, "little"))), "main group", id="Ed25519 off the curve"),
    pytest.param(ED.public(x=b64(b"\x01" * 31)), "x is not", id="31 bytes for a point"),
    pytest.param(ED.public(x=ED.jwk["x"] + "="), "x is not", id="padding"),
    pytest.param(ED.public(x="é" * 43), "x is not", id="beyond ASCII"),
    pytest.param(ED.public(x=7), "x is not", id="a number for a point"),
    pytest.param(make_key("RS256", bits=1024).jwk, "2048", id="RSA with 1024 bits"),
    pytest.param(RSA.public(n=number(2**8192 + 1)), "2048", id="RSA with 8193 bits"),
    pytest.param(RSA.public(n=""), "2048", id="RSA without a modulus"),
    pytest.param(RSA.public(n=number(_N + 1)), "weak", id="an even modulus"),
    pytest.param(RSA.public(e=number(1)), "weak", id="exponent 1, under which everything is signed"),
    pytest.param(RSA.public(e=number(3)), "weak", id="exponent 3"),
    pytest.param(RSA.public(e=number(65538)), "weak", id="an even exponent"),
    pytest.param(RSA.public(e=number(2**300 + 1)), "weak", id="an exponent that only costs time"),
    pytest.param(RSA.public(e=None), "e is not", id="RSA without exponent"),
]


@pytest.mark.parametrize(("jwk", "algorithms"), USABLE)
def test_a_key_fits_its_algorithms(jwk: dict[str, Any], algorithms: set[str]) -> None:
    key = usable_key(jwk)
    assert isinstance(key, Key)
    assert key.algorithms == algorithms
    assert key.kid == jwk.get("kid")


@pytest.mark.parametrize(("jwk", "why"), UNUSABLE)
def test_an_unfit_key_is_not_used(jwk: dict[str, Any], why: str) -> None:
    refused = usable_key(jwk)
    assert isinstance(refused, str)
    assert why in refused


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    key = usable_key(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "x"}
    )
    assert isinstance(key, Key)
    assert key.thumbprint == "90facafea9b1556698540f70c0117a22ea37bd5cf3ed3c47093c1707282b4b89"


def test_equal_keys_are_one_key() -> None:
    assert usable_key(ED.jwk) == usable_key(ED.public(use=None))
    assert usable_key(ED.jwk) != usable_key(ED.public(kid="another"))
    assert usable_key(RSA.jwk) != usable_key(RSA.public(alg="RS512"))


def test_a_key_shows_none_of_its_numbers() -> None:
    assert "_prepared" not in repr(usable_key(RSA.jwk))


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_an_honest_signature_holds_and_no_other_does(algorithm: str) -> None:
    signer = make_key(algorithm)
    key = usable_key(signer.jwk)
    assert isinstance(key, Key)
    signature = signer.sign(MESSAGE)
    assert verify(key, algorithm, MESSAGE, signature)
    assert not verify(key, algorithm, MESSAGE + b"x", signature)
    assert not verify(key, algorithm, MESSAGE, b"")
    assert not verify(key, algorithm, MESSAGE, signature[:-1])
    assert not verify(key, algorithm, MESSAGE, signature + b"\0")
    assert not verify(key, algorithm, MESSAGE, b"\0" + signature)
    assert not verify(key, algorithm, MESSAGE, b"\0" * len(signature))
    assert not verify(key, algorithm, MESSAGE, b"\xff" * len(signature))
    for at in (0, len(signature) // 2, len(signature) - 1):
        flipped = bytearray(signature)
        flipped[at] ^= 1
        assert not verify(key, algorithm, MESSAGE, bytes(flipped))


def _rs(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def _side_by_side(r: int, s: int, size: int = 32) -> bytes:
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED_ORDER = 2**252 + 27742317777372353535851937790883648493
_R, _S = _rs(EC.sign(MESSAGE))


def _pss(salt: int) -> bytes:
    return bytes(PSS.private.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256()))


def _ed_plus_order() -> bytes:
    honest = ED.sign(MESSAGE)
    return honest[:32] + (int.from_bytes(honest[32:], "little") + _ED_ORDER).to_bytes(32, "little")


FORGED = [
    pytest.param(EC, "ES256", _side_by_side(0, 0), id="r and s zero"),
    pytest.param(EC, "ES256", _side_by_side(0, _S), id="r zero"),
    pytest.param(EC, "ES256", _side_by_side(_R, 0), id="s zero"),
    pytest.param(EC, "ES256", _side_by_side(_ORDER, _S), id="r the order"),
    pytest.param(EC, "ES256", _side_by_side(_R, _ORDER), id="s the order"),
    pytest.param(EC, "ES256", _side_by_side(_R + _ORDER, _S, 33), id="r beyond the order, in more bytes"),
    pytest.param(EC, "ES256", _side_by_side(_R, _S, 33), id="r and s too wide"),
    pytest.param(EC, "ES256", EC.private.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), id="DER"),
    pytest.param(EC, "ES256", EC.sign(MESSAGE, "ES384"), id="another hash on the same curve"),
    pytest.param(RSA, "RS256", RSA.sign(MESSAGE, "PS256"), id="PSS for PKCS 1"),
    pytest.param(RSA, "RS256", RSA.sign(MESSAGE, "RS512"), id="another hash of RSA"),
    pytest.param(PSS, "PS256", PSS.sign(MESSAGE, "RS256"), id="PKCS 1 for PSS"),
    pytest.param(PSS, "PS256", _pss(0), id="PSS without a salt"),
    pytest.param(PSS, "PS256", _pss(20), id="PSS with a short salt"),
    pytest.param(ED, "EdDSA", _ed_plus_order(), id="Ed25519 with s beyond the order"),
    pytest.param(ED, "EdDSA", ED.sign(b""), id="Ed25519 over nothing"),
    pytest.param(ED, "EdDSA", ED.sign(MESSAGE)[:32], id="half of an Ed25519 signature"),
    pytest.param(RSA, "PS256", RSA.sign(MESSAGE, "PS256"), id="an algorithm that the key's alg excludes"),
    pytest.param(ED, "none", b"", id="no algorithm"),
    pytest.param(ED, "HS256", make_key("HS256").sign(MESSAGE), id="a symmetric algorithm"),
]


@pytest.mark.parametrize(("signer", "algorithm", "signature"), FORGED)
def test_a_forged_signature_does_not_hold(signer: SigningKey, algorithm: str, signature: bytes) -> None:
    key = usable_key(signer.jwk)
    assert isinstance(key, Key)
    assert not verify(key, algorithm, MESSAGE, signature)


RANGES = [
    pytest.param(1, 1, 32, True, id="the lowest"),
    pytest.param(_ORDER - 1, _ORDER - 1, 32, True, id="the highest"),
    pytest.param(0, 1, 32, False, id="r zero"),
    pytest.param(1, 0, 32, False, id="s zero"),
    pytest.param(_ORDER, 1, 32, False, id="r the order"),
    pytest.param(1, _ORDER, 32, False, id="s the order"),
    pytest.param(1, 1, 31, False, id="too narrow"),
    pytest.param(1, 1, 33, False, id="too wide"),
]


@pytest.mark.parametrize(("r", "s", "size", "expected"), RANGES)
def test_r_and_s_are_checked_before_any_library_sees_them(
    r: int, s: int, size: int, *, expected: bool
) -> None:
    # The libraries of today check this too; one that did not made CVE-2022-21449.
    assert _is_in_range(_side_by_side(r, s, size), 32, _ORDER) is expected


def test_the_forgeries_start_from_signatures_that_hold() -> None:
    key, pss = usable_key(EC.jwk), usable_key(PSS.jwk)
    assert isinstance(key, Key)
    assert isinstance(pss, Key)
    assert verify(key, "ES256", MESSAGE, _side_by_side(_R, _S))
    assert verify(key, "ES256", MESSAGE, _side_by_side(_R, _ORDER - _S))
    der = EC.private.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert verify(key, "ES256", MESSAGE, _side_by_side(*decode_dss_signature(der)))
    assert verify(pss, "PS256", MESSAGE, _pss(32))


def test_what_an_issuer_may_use_by_default_is_what_is_supported() -> None:
    assert set(Issuer(issuer="https://issuer.test").algorithms) == ALGORITHMS
