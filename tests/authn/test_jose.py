"""Which keys are used, and which signatures hold."""

from __future__ import annotations

import math
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from proxy.authn.jose import _ORDERS, ALGORITHMS, Key, _is_in_range, usable_key, verify
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
    pytest.param(ED.public(kid="k" * 256), {"EdDSA", "Ed25519"}, id="a kid of 256 characters"),
    pytest.param(ED.public(kid=""), {"EdDSA", "Ed25519"}, id="an empty kid"),
    pytest.param(
        ED.public(key_ops=["sign", "verify"]), {"EdDSA", "Ed25519"}, id="key_ops with verify and more"
    ),
    pytest.param(RSA.public(n=number(2**2047 + 1)), {"RS256"}, id="RSA with 2048 bits, ending in 01"),
    pytest.param(RSA.public(n=number(2**8192 - 1)), {"RS256"}, id="RSA with 8192 bits, ending in 11"),
    pytest.param(RSA.public(e=number(2**256 - 1)), {"RS256"}, id="the longest exponent"),
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
# What 65537 makes of a modulus in the chips of CVE-2017-15361, with the small primes of the paper on it.
_ODD_PRIMES = [n for n in range(3, 168, 2) if all(n % odd for odd in range(3, n, 2))]
_PRIMORIAL = 2 * math.prod(_ODD_PRIMES)
_ROCA = pow(65537, 1_234_567, _PRIMORIAL) + _PRIMORIAL * (2**2047 // _PRIMORIAL + 1)
_P25519 = 2**255 - 19
_P448 = 2**448 - 2**224 - 1
_E448_POINT = E448.private.public_key().public_bytes_raw()

KTY, CURVE = "its kty is not supported", "its curve is not supported"
SECRET, USE = "it is private or symmetric", "its use is not sig"
OPERATIONS, ALGORITHM = "its key_ops do not include verify", "its alg does not fit its kty and crv"
KID = "its kid is not a string of at most 256 characters"
BROKEN = "its RSA modulus can be factored: a broken chip made it (CVE-2017-15361)"
MODULUS = "its RSA modulus has not 2048 to 8192 bits"
WEAK, NUMBERS = "its RSA modulus or exponent is weak", "its numbers are no key"
POINT = "it is no point of the curve's main group"
LENGTH = "its {} is not base64url of the right length"

UNUSABLE = [
    pytest.param({}, KTY, id="an empty object"),
    pytest.param(ED.public(kty=["OKP"]), KTY, id="a kty that is a list"),
    pytest.param(ED.public(kty="okp"), KTY, id="a kty in lower case"),
    pytest.param(ED.public(kty="AKP"), KTY, id="a kty of the future"),
    pytest.param(ED.public(kty="EC"), CURVE, id="Ed25519 said to be EC"),
    pytest.param(make_key("HS256").jwk, SECRET, id="a shared secret"),
    pytest.param(ED.private_jwk(), SECRET, id="a private Ed25519 key"),
    pytest.param(RSA.private_jwk(d=None, p="AQ"), SECRET, id="an RSA key with a factor"),
    pytest.param(ED.public(k="AQ"), SECRET, id="a public key with a secret beside it"),
    pytest.param(ED.public(use="enc"), USE, id="a key for encryption"),
    pytest.param(ED.public(use=["sig"]), USE, id="a use that is a list"),
    pytest.param(ED.public(key_ops=["sign"]), OPERATIONS, id="key_ops without verify"),
    pytest.param(ED.public(key_ops="verify"), OPERATIONS, id="key_ops that is no list"),
    pytest.param(ED.public(alg="ES256"), ALGORITHM, id="an alg of another type"),
    pytest.param(ED.public(alg="HS256"), ALGORITHM, id="a symmetric alg on a public key"),
    pytest.param(ED.public(alg="none"), ALGORITHM, id="alg none"),
    pytest.param(ED.public(alg={}), ALGORITHM, id="an alg that is an object"),
    pytest.param(EC.public(alg="ES384"), ALGORITHM, id="an alg of another curve"),
    pytest.param(RSA.public(alg="RSA-OAEP"), ALGORITHM, id="an alg for encryption"),
    pytest.param(ED.public(kid=7), KID, id="a kid that is a number"),
    pytest.param(ED.public(kid="k" * 257), KID, id="a kid of 257 characters"),
    pytest.param({**ED.jwk, "use": None}, USE, id="a use of null"),
    pytest.param({**ED.jwk, "key_ops": None}, OPERATIONS, id="key_ops of null"),
    pytest.param({**ED.jwk, "alg": None}, ALGORITHM, id="an alg of null"),
    pytest.param({**ED.jwk, "kid": None}, KID, id="a kid of null"),
    pytest.param({**ED.jwk, "d": None}, SECRET, id="a secret of null"),
    pytest.param(ED.public(key_ops=[]), OPERATIONS, id="no key_ops"),
    pytest.param({"kty": "oct"}, SECRET, id="a shared secret that is left out"),
    pytest.param(EC.public(crv="p-256"), CURVE, id="a crv in lower case"),
    pytest.param(RSA.public(n=number(2**2047 - 1)), MODULUS, id="RSA with 2047 bits"),
    pytest.param(E448.public(crv="Ed25519"), LENGTH.format("x"), id="an Ed448 point said to be Ed25519"),
    pytest.param(
        E448.public(x=b64(b"\x03" + b"\0" * 55)), LENGTH.format("x"), id="56 bytes for a point of Ed448"
    ),
    pytest.param(
        E448.public(x=b64(b"\x03" + b"\0" * 57)), LENGTH.format("x"), id="58 bytes for a point of Ed448"
    ),
    pytest.param(E448.public(alg="Ed25519"), ALGORITHM, id="an Ed448 key for Ed25519"),
    pytest.param(ED.public(alg="Ed448"), ALGORITHM, id="an Ed25519 key for Ed448"),
    pytest.param(E448.public(x=b64(b"\x01" + b"\0" * 56)), POINT, id="the neutral point of Ed448"),
    pytest.param(E448.public(x=b64(b"\0" * 57)), POINT, id="a point of order four of Ed448"),
    pytest.param(
        E448.public(x=b64((_P448 - 1).to_bytes(57, "little"))),
        POINT,
        id="a point of order two of Ed448",
    ),
    pytest.param(E448.public(x=b64((2).to_bytes(57, "little"))), POINT, id="Ed448 off the curve"),
    pytest.param(
        E448.public(x=b64(_E448_POINT[:56] + bytes([_E448_POINT[56] | 1]))),
        POINT,
        id="an Ed448 point spelt oddly",
    ),
    pytest.param(E448.public(x=b64(_P448.to_bytes(57, "little"))), POINT, id="beyond the field of Ed448"),
    pytest.param(ED.public(crv="X25519"), CURVE, id="a curve for key agreement"),
    pytest.param(make_key("ES256K").jwk, CURVE, id="secp256k1"),
    pytest.param(EC.public(crv=["P-256"]), CURVE, id="a crv that is a list"),
    pytest.param(
        EC.public(crv="P-384", alg="ES384"), LENGTH.format("x"), id="a P-256 point said to be on P-384"
    ),
    pytest.param(EC.public(y=number((_Y + 1) % 2**256, 32)), NUMBERS, id="a point off the curve"),
    pytest.param(EC.public(x=number(0, 32), y=number(0, 32)), NUMBERS, id="zero for a point"),
    pytest.param(EC.public(x=number(2**256 - 1, 32)), NUMBERS, id="a coordinate beyond the field"),
    pytest.param(EC.public(x=number(1, 31)), LENGTH.format("x"), id="a coordinate that is too short"),
    pytest.param(EC.public(y=None), LENGTH.format("y"), id="a compressed point"),
    pytest.param(ED.public(x=b64(b"\x01" + b"\0" * 31)), POINT, id="the neutral point"),
    pytest.param(ED.public(x=b64(b"\0" * 32)), POINT, id="a point of order four"),
    pytest.param(ED.public(x=b64((_P25519 - 1).to_bytes(32, "little"))), POINT, id="a point of order two"),
    pytest.param(ED.public(x=b64((_P25519 + 1).to_bytes(32, "little"))), POINT, id="a point spelt oddly"),
    pytest.param(ED.public(x=b64((2).to_bytes(32, "little"))), POINT, id="Ed25519 off the curve"),
    pytest.param(ED.public(x=b64(b"\x01" * 31)), LENGTH.format("x"), id="31 bytes for a point"),
    pytest.param(ED.public(x=ED.jwk["x"] + "="), LENGTH.format("x"), id="padding"),
    pytest.param(ED.public(x="é" * 43), LENGTH.format("x"), id="beyond ASCII"),
    pytest.param(ED.public(x=7), LENGTH.format("x"), id="a number for a point"),
    pytest.param(make_key("RS256", bits=1024).jwk, MODULUS, id="RSA with 1024 bits"),
    pytest.param(RSA.public(n=number(2**8192 + 1)), MODULUS, id="RSA with 8193 bits"),
    pytest.param(RSA.public(n=""), MODULUS, id="RSA without a modulus"),
    pytest.param(RSA.public(n=number(_N + 1)), WEAK, id="an even modulus"),
    pytest.param(RSA.public(n=number(_ROCA)), BROKEN, id="a modulus of a broken chip"),
    pytest.param(RSA.public(e=number(1)), WEAK, id="exponent 1, under which everything is signed"),
    pytest.param(RSA.public(e=number(3)), WEAK, id="exponent 3"),
    pytest.param(RSA.public(e=number(65535)), WEAK, id="the longest of the short exponents"),
    pytest.param(RSA.public(e=number(65538)), WEAK, id="an even exponent"),
    pytest.param(RSA.public(e=number(2**256 + 1)), WEAK, id="an exponent that only costs time"),
    pytest.param(RSA.public(e=None), LENGTH.format("e"), id="RSA without exponent"),
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
    assert refused == why


# The primes of which 65537 does not make every remainder: only those tell a broken chip's modulus from others.
TELLING = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]


@pytest.mark.parametrize("prime", TELLING)
def test_a_modulus_that_one_small_prime_acquits_is_used(prime: int) -> None:
    powers = {pow(65537, at, prime) for at in range(prime)}
    others = _PRIMORIAL // prime
    acquitted = next(n for at in range(1, prime) if (n := _ROCA + at * others) % prime not in {0, *powers})
    assert isinstance(usable_key(RSA.public(n=number(acquitted))), Key)


# y → whether the curve has a point there, worked out with the formula of RFC 8032 section 5.2.3.
_Y_ON_ED448 = [3, 4, 5, 7, 8, 9, 12, 13, 19, 21, _P448 - 3, _P448 - 21]
_Y_OFF_ED448 = [2, 6, 10, 11, 14, 15, 16, 17, 18, 20, _P448 - 2, _P448 - 20]


@pytest.mark.parametrize("sign", [0x00, 0x80], ids=["even x", "odd x"])
def test_a_point_of_ed448_is_on_the_curve(sign: int) -> None:
    for y in _Y_ON_ED448:
        key = usable_key(E448.public(x=b64(y.to_bytes(56, "little") + bytes([sign]))))
        assert isinstance(key, Key), y
    for y in _Y_OFF_ED448:
        assert usable_key(E448.public(x=b64(y.to_bytes(56, "little") + bytes([sign])))) == POINT, y
    for y in (0, 1, _P448 - 1, _P448, _P448 + 3):
        assert usable_key(E448.public(x=b64(y.to_bytes(56, "little") + bytes([sign])))) == POINT, y


SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]


@pytest.mark.parametrize("member", SECRET_MEMBERS)
def test_a_key_that_shows_any_secret_is_not_used(member: str) -> None:
    for signer in (ED, RSA, EC):
        assert usable_key(signer.public(**{member: "AQ"})) == SECRET


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    key = usable_key(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "x"}
    )
    assert isinstance(key, Key)
    assert key.thumbprint == "90facafea9b1556698540f70c0117a22ea37bd5cf3ed3c47093c1707282b4b89"


# The modulus of RFC 7638's example.
_N_7638 = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
    "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
    "c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1"
    "jF44-csFCur-kEgU8awapJzKnqDKgw"
)


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    key = usable_key({"kty": "RSA", "n": _N_7638, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert isinstance(key, Key)
    assert key.thumbprint == urlsafe_b64decode("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=").hex()


def test_the_thumbprint_of_a_point_names_both_coordinates() -> None:
    key = usable_key(EC.jwk)
    assert isinstance(key, Key)
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{EC.jwk["x"]}","y":"{EC.jwk["y"]}"}}'
    assert key.thumbprint == sha256(canonical.encode()).hexdigest()


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


CURVES = [
    pytest.param("ES256", ec.SECP256R1(), id="P-256"),
    pytest.param("ES384", ec.SECP384R1(), id="P-384"),
    pytest.param("ES512", ec.SECP521R1(), id="P-521"),
]


# A private key is a number from 1 to n-1, which makes OpenSSL a witness of n.
@pytest.mark.parametrize(("algorithm", "curve"), CURVES)
def test_the_order_is_that_of_the_curve(algorithm: str, curve: ec.EllipticCurve) -> None:
    _, order = _ORDERS[algorithm]
    assert ec.derive_private_key(order - 1, curve).private_numbers().private_value == order - 1
    with pytest.raises(ValueError):
        ec.derive_private_key(order, curve)


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
