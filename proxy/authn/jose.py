"""Signatures and the keys that may check them: the only file that imports python-jose.

Pure. Knows JWKs (RFC 7517, 7518, 8037) and signatures; never a claim, an issuer or where a key came from.
python-jose gets one prepared key and one algorithm; it never sees a token, because its own reading of tokens
and its choice of keys are too lax. EdDSA and PS* are registered with it here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa
from jose import jwk as python_jose  # noqa: TID251 - the one place where python-jose is imported
from jose.backends.base import Key as JoseKey  # noqa: TID251 - as above
from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.signing import VerifyKey

from proxy.authn.compact import MAX_KID_CHARACTERS, base64url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Material = VerifyKey | ed448.Ed448PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    _Read = tuple[tuple[str, ...], _Material]

# RFC 9864 gives EdDSA on each curve a name of its own.
_ED25519, _ED448 = ("EdDSA", "Ed25519"), ("EdDSA", "Ed448")
_EDWARDS = ("EdDSA", "Ed25519", "Ed448")
# RFC 8032 section 5.2: the field, and the curve's constant
_P448, _D448 = 2**448 - 2**224 - 1, -39081
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
# crv → algorithm, curve, bytes of a coordinate (RFC 7518 section 6.2.1.2), order of the group (SP 800-186)
_EC: Mapping[str, tuple[str, ec.EllipticCurve, int, int]] = {
    "P-256": (
        "ES256",
        ec.SECP256R1(),
        32,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    "P-384": (
        "ES384",
        ec.SECP384R1(),
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
    "P-521": (
        "ES512",
        ec.SECP521R1(),
        66,
        0x1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
    ),
}
_ORDERS = {algorithm: (size, order) for algorithm, _, size, order in _EC.values()}

ALGORITHMS = frozenset({*_EDWARDS, *_RSA, *_ORDERS})
"""Every `alg` that a token may be signed with. No `none`, nothing symmetric."""

_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192
_MIN_RSA_EXPONENT, _MAX_RSA_EXPONENT = 1 << 16, 1 << 256  # FIPS 186-5 section 5.1; a huge one only costs time
# Infineon's chips made primes that are powers of 65537 modulo many small ones, and can be found again
# (CVE-2017-15361, ROCA). Small primes, with the order of 65537 in each; of honest moduli one in 240 million
# fits all of them.
_ROCA = tuple(
    zip(
        (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157),
        (2, 6, 8, 9, 3, 26, 20, 35, 24, 13, 6, 51, 53, 54, 42, 50, 78),
        strict=True,
    )
)
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class _EdwardsKey(JoseKey):
    """EdDSA (RFC 8037): Ed448 through OpenSSL, Ed25519 through libsodium, which is faster and stricter."""

    def __init__(self, key: VerifyKey | ed448.Ed448PublicKey, _: str) -> None:
        self._key = key

    def verify(self, msg: bytes, sig: bytes) -> bool:
        # Both raise where it does not hold.
        if isinstance(self._key, VerifyKey):
            self._key.verify(msg, sig)
        else:
            self._key.verify(sig, msg)
        return True


class _PssKey(JoseKey):
    """RSASSA-PSS with MGF1 and a salt as long as the hash, as RFC 7518 section 3.5 has it."""

    _hashes: Mapping[str, hashes.HashAlgorithm] = {
        "PS256": hashes.SHA256(),
        "PS384": hashes.SHA384(),
        "PS512": hashes.SHA512(),
    }

    def __init__(self, key: rsa.RSAPublicKey, algorithm: str) -> None:
        self._key = key
        self._hash = self._hashes[algorithm]
        self._padding = padding.PSS(padding.MGF1(self._hash), self._hash.digest_size)

    def verify(self, msg: bytes, sig: bytes) -> bool:
        self._key.verify(sig, msg, self._padding, self._hash)  # raises where it does not hold
        return True


for _name in _EDWARDS:
    python_jose.register_key(_name, _EdwardsKey)
for _name in _RSA[3:]:
    python_jose.register_key(_name, _PssKey)


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that passed every check, with a python-jose key ready for each algorithm that it fits.

    `thumbprint` is RFC 7638's, in hex: two keys with equal fields are the same key.
    """

    kid: str | None
    thumbprint: str
    algorithms: frozenset[str]
    _prepared: Mapping[str, JoseKey] = field(compare=False, repr=False)


def verify(key: Key, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
    """Say whether `signature` over `signing_input` holds under this key and this algorithm."""
    try:
        if algorithm in _ORDERS and not _is_in_range(signature, *_ORDERS[algorithm]):
            return False
        return key._prepared[algorithm].verify(signing_input, signature) is True  # noqa: SLF001 - same file
    except Exception:  # noqa: BLE001 - libraries raise of all kinds here, and whatever did not hold is refused
        return False


def _is_in_range(signature: bytes, size: int, order: int) -> bool:
    """Check that r and s, side by side at full width, are in 1 … n-1 (RFC 7518 section 3.4)."""
    # CVE-2022-21449: a signature of zeros held for every message and every key.
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    return len(signature) == 2 * size and 0 < r < order and 0 < s < order


class _UnusableError(ValueError):
    """Why a JWK cannot check signatures, in words that quote nothing of it."""


def usable_key(jwk: Mapping[str, Any]) -> Key | str:
    """Make a key of a JWK, or say why it cannot be used."""
    try:
        thumbprint, fitting, material = _material(jwk)
        algorithms = _permitted(jwk, fitting)
        kid = _kid(jwk)
        prepared = {
            name: python_jose.construct(material, name)  # type: ignore[arg-type] # it takes key objects too
            for name in algorithms
        }
    except _UnusableError as why:
        return str(why)
    return Key(kid, thumbprint, algorithms, prepared)


def _material(jwk: Mapping[str, Any]) -> tuple[str, tuple[str, ...], _Material]:
    """Read the key itself: its thumbprint, what its type and curve fit, and what python-jose takes."""
    kind = jwk.get("kty")
    # A key set is public: what a private key signed in it could be signed by anybody.
    if _SECRET_MEMBERS & jwk.keys() or kind == "oct":
        raise _UnusableError("it is private or symmetric")
    if not isinstance(kind, str) or kind not in _READERS:
        raise _UnusableError("its kty is not supported")
    members, read = _READERS[kind]
    algorithms, material = read(jwk)
    required = {name: jwk[name] for name in members}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":"))  # RFC 7638 section 3
    return hashlib.sha256(canonical.encode()).hexdigest(), algorithms, material


def _permitted(jwk: Mapping[str, Any], fitting: tuple[str, ...]) -> frozenset[str]:
    """Narrow the algorithms that fit to those that the key's own `use`, `key_ops` and `alg` allow."""
    if jwk.get("use", "sig") != "sig":
        raise _UnusableError("its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _UnusableError("its key_ops do not include verify")
    named = jwk.get("alg", fitting[0])
    if named not in fitting:
        raise _UnusableError("its alg does not fit its kty and crv")
    if "alg" not in jwk or named in _EDWARDS:
        return frozenset(fitting)
    return frozenset({named})


def _kid(jwk: Mapping[str, Any]) -> str | None:
    kid = jwk.get("kid")
    if "kid" in jwk and not (isinstance(kid, str) and len(kid) <= MAX_KID_CHARACTERS):
        raise _UnusableError("its kid is not a string of at most 256 characters")
    return kid


def _rsa(jwk: Mapping[str, Any]) -> _Read:
    n, e = (int.from_bytes(_octets(jwk, name), "big") for name in ("n", "e"))
    if not _MIN_RSA_BITS <= n.bit_length() <= _MAX_RSA_BITS:
        raise _UnusableError("its RSA modulus has not 2048 to 8192 bits")
    if not (n & 1 and e & 1 and _MIN_RSA_EXPONENT < e < _MAX_RSA_EXPONENT):
        raise _UnusableError("its RSA modulus or exponent is weak")
    if all(pow(n, order, prime) == 1 for prime, order in _ROCA):
        raise _UnusableError("its RSA modulus can be factored: a broken chip made it (CVE-2017-15361)")
    return _RSA, _public(rsa.RSAPublicNumbers(e, n))


def _ec(jwk: Mapping[str, Any]) -> _Read:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in _EC:
        raise _UnusableError("its curve is not supported")
    algorithm, curve, size, _ = _EC[name]
    x, y = (_octets(jwk, coordinate, size) for coordinate in ("x", "y"))
    # A point off the curve is refused when the key is made; the point at infinity has no x and y.
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
    return (algorithm,), _public(numbers)


def _okp(jwk: Mapping[str, Any]) -> _Read:
    # Under a point of small order one signature holds for many messages.
    match jwk.get("crv"):
        case "Ed25519" if crypto_core_ed25519_is_valid_point(point := _octets(jwk, "x", 32)):
            return _ED25519, VerifyKey(point)
        case "Ed448" if _is_on_ed448(point := _octets(jwk, "x", 57)):
            return _ED448, ed448.Ed448PublicKey.from_public_bytes(point)
        case "Ed25519" | "Ed448":
            raise _UnusableError("it is no point of the curve's main group")
    raise _UnusableError("its curve is not supported")


def _is_on_ed448(point: bytes) -> bool:
    """Say whether this is the one spelling of a point on the curve (RFC 8032 5.2.3) that has no small order.

    OpenSSL takes all 57 bytes for a key. The points of small order have x = 0 or y = 0.
    """
    y = int.from_bytes(point[:56], "little")
    if point[56] not in {0x00, 0x80} or not 1 < y < _P448 - 1:
        return False
    above, below = y * y - 1, _D448 * y * y - 1
    # A quotient is a square where the product is one; it is never zero, for only y = 1 and p - 1 make it so.
    return pow(above * below, (_P448 - 1) // 2, _P448) == 1


# kty → the members that make the key (RFC 7638 section 3.2), and how they are read
_READERS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], _Read]]] = {
    "RSA": (("e", "kty", "n"), _rsa),
    "EC": (("crv", "kty", "x", "y"), _ec),
    "OKP": (("crv", "kty", "x"), _okp),
}


def _octets(jwk: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    """Decode a member of the key, `size` bytes wide where given."""
    value = jwk.get(name)
    decoded = base64url(value.encode()) if isinstance(value, str) and value.isascii() else None
    if decoded is None or len(decoded) != (size or len(decoded)):
        raise _UnusableError(f"its {name} is not base64url of the right length")
    return decoded


def _public(numbers: rsa.RSAPublicNumbers | ec.EllipticCurvePublicNumbers) -> _Material:
    try:
        return numbers.public_key()
    except Exception:  # noqa: BLE001 - whatever OpenSSL dislikes about a key, the key is not used
        raise _UnusableError("its numbers are no key") from None
