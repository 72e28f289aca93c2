"""Rows about the signature itself, for every algorithm (RFC 7518, RFC 8032, CVE-2022-21449, Wycheproof)."""

from __future__ import annotations

import hashlib
import json
from itertools import product
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from proxy.model import Reason
from tests.authn.tokens.issuers import (
    ED,
    ED448,
    ES,
    OTHER,
    OTHERS,
    RS,
    SIGNERS,
    STRANGE_EC,
    STRANGE_RSA,
    STRANGER,
)
from tests.authn.tokens.making import admitted, build, forged, parts, refused, saying, signed
from tests.support.keys import SigningKey, b64

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.authn.tokens.making import Row

SIGNATURE = Reason.SIGNATURE_INVALID
_EC, _RSA, _PSS = ES["ES256"], RS["RS256"], RS["PS256"]
_ORDERS = {name: key.private.curve.group_order for name, key in ES.items()}
_SIZES = {"ES256": 32, "ES384": 48, "ES512": 66}
_L25519 = 2**252 + 27742317777372353535851937790883648493
_L448 = 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885


def split(signature: bytes) -> tuple[int, int]:
    half = len(signature) // 2
    return int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")


def joined(r: int, s: int, size: int) -> bytes:
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def flipped(signature: bytes, at: int) -> bytes:
    changed = bytearray(signature)
    changed[at] ^= 1
    return bytes(changed)


def der(data: bytes) -> bytes:
    return encode_dss_signature(*split(_EC.sign(data)))


def more(key: SigningKey, order: int, size: int) -> Callable[[bytes], bytes]:
    """Add the group's order to S: the equation holds as before (RFC 8032 section 8.4)."""

    def sign(data: bytes) -> bytes:
        signature = key.sign(data)
        s = int.from_bytes(signature[size:], "little") + order
        return signature[:size] + s.to_bytes(size, "little")

    return sign


def salted(salt: int, masked: hashes.HashAlgorithm | None = None) -> Callable[[bytes], bytes]:
    sha = hashes.SHA256()
    pss = padding.PSS(padding.MGF1(masked or sha), salt)
    return lambda data: bytes(_PSS.private.sign(data, pss, sha))


def everyone(algorithm: str, key: SigningKey) -> list[Row]:
    """What must hold of each algorithm alike."""
    flawed: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("its first bit flipped", lambda data: flipped(key.sign(data), 0)),
        ("a bit in the middle flipped", lambda data: flipped(key.sign(data), len(key.sign(data)) // 2)),
        ("its last bit flipped", lambda data: flipped(key.sign(data), -1)),
        ("its last byte cut off", lambda data: key.sign(data)[:-1]),
        ("its first byte cut off", lambda data: key.sign(data)[1:]),
        ("a byte more behind it", lambda data: key.sign(data) + b"\0"),
        ("a byte more before it", lambda data: b"\0" + key.sign(data)),
        ("itself once more behind it", lambda data: key.sign(data) * 2),
        ("no byte", lambda _: b""),
        ("zeros only", lambda data: bytes(len(key.sign(data)))),
        ("ones only", lambda data: b"\xff" * len(key.sign(data))),
        ("another text signed", lambda data: key.sign(data + b".")),
        ("the payload alone signed", lambda data: key.sign(data.partition(b".")[2])),
    ]
    return [refused(f"{algorithm}: {says}", SIGNATURE, forged(key, signature)) for says, signature in flawed]


def points() -> list[Row]:
    """Every pair of r and s at the edges of each curve's range (CVE-2022-21449)."""
    edges = {name: {"0": 0, "1": 1, "n - 1": n - 1, "n": n} for name, n in _ORDERS.items()}
    return [
        refused(f"{name}: r = {r}, s = {s}", SIGNATURE, forged(ES[name], joined(at[r], at[s], _SIZES[name])))
        for name, at in edges.items()
        for r, s in product(at, at)
    ]


def shifted(r: int = 0, s: int = 0, wide: int = 32) -> Row:
    """Add a multiple of the order, which changes nothing modulo it, at the width that it then needs."""

    def sign(data: bytes) -> bytes:
        honest_r, honest_s = split(_EC.sign(data))
        n = _ORDERS["ES256"]
        return joined(honest_r + r * n, honest_s + s * n, wide)

    return refused(f"ES256: {r} and {s} times n added to r and s", SIGNATURE, forged(_EC, sign))


def mirrored(data: bytes) -> bytes:
    r, s = split(_EC.sign(data))
    return joined(r, _ORDERS["ES256"] - s, 32)


def swapped(data: bytes) -> bytes:
    r, s = split(_EC.sign(data))
    return joined(s, r, 32)


def with_hash(key: SigningKey, algorithm: str) -> Row:
    """The right key, name and form, over another hash."""
    hashed = {"256": hashes.SHA384(), "384": hashes.SHA512(), "512": hashes.SHA256()}[algorithm[2:]]

    def sign(data: bytes) -> bytes:
        if algorithm.startswith("RS"):
            return bytes(key.private.sign(data, padding.PKCS1v15(), hashed))
        if algorithm.startswith("PS"):
            return bytes(
                key.private.sign(data, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
            )
        return joined(*decode_dss_signature(key.private.sign(data, ec.ECDSA(hashed))), _SIZES[algorithm])

    return refused(f"{algorithm}: another hash", SIGNATURE, forged(key, sign))


def raw_rsa(key: SigningKey, block: bytes) -> bytes:
    """RSA and nothing around it."""
    numbers = key.private.private_numbers()
    value = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return int(value).to_bytes(256, "big")


def pkcs1(data: bytes, info: str = "3031300d060960864801650304020105000420", behind: bytes = b"") -> bytes:
    """EMSA-PKCS1-v1_5 for 2048 bits (RFC 8017 section 9.2), with this in the place of the hash's name."""
    block = bytes.fromhex(info) + sha256(data) + behind
    return b"\x00\x01" + b"\xff" * (253 - len(block)) + b"\x00" + block


def misnamed(says: str, info: str, behind: bytes = b"") -> Row:
    return refused(
        f"RS256: {says}", SIGNATURE, forged(_RSA, lambda data: raw_rsa(_RSA, pkcs1(data, info, behind)))
    )


def pss(
    data: bytes, *, salt: bytes = b"s" * 32, zeros: int = 0, one: int = 1, trailer: int = 0xBC, flip: int = 0
) -> bytes:
    """EMSA-PSS for 2048 bits and SHA-256 (RFC 8017 section 9.1.1), or nearly so."""
    hashed = sha256(bytes(8) + sha256(data) + salt)
    block = bytes([zeros]).rjust(222 - len(salt), b"\0") + bytes([one]) + salt
    mask = b"".join(sha256(hashed + at.to_bytes(4, "big")) for at in range(7))
    masked = bytearray(x ^ y for x, y in zip(block, mask, strict=False))
    masked[0] &= 0x7F
    masked[0] |= flip
    return bytes(masked) + hashed + bytes([trailer])


def pss_signed(**flaws: Any) -> Callable[[bytes], bytes]:
    return lambda data: raw_rsa(_PSS, pss(data, **flaws))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def modular(says: str, value: Callable[[int, int], int], size: int = 256) -> list[Row]:
    """A signature that is `value` of the honest one and the modulus, for both kinds of padding."""

    def row(key: SigningKey) -> Row:
        n = key.private.public_key().public_numbers().n

        def sign(data: bytes) -> bytes:
            return value(int.from_bytes(key.sign(data), "big"), n).to_bytes(size, "big")

        return refused(f"{key.algorithm}: {says}", SIGNATURE, forged(key, sign))

    return [row(_RSA), row(_PSS)]


PRECISE: list[Row] = [
    *points(),
    *(with_hash(SIGNERS[name], name) for name in (*RS, *ES)),
    admitted("ES256: n - s for s, which is as good", forged(_EC, mirrored)),
    refused("ES256: DER instead of r and s", SIGNATURE, forged(_EC, der)),
    refused("ES256: r and s the other way round", SIGNATURE, forged(_EC, swapped)),
    shifted(r=1, wide=33),
    shifted(s=1, wide=33),
    shifted(r=1 << 64, s=1 << 64, wide=48),
    refused(
        "ES256: r and s padded to 33 bytes",
        SIGNATURE,
        forged(_EC, lambda data: joined(*split(_EC.sign(data)), 33)),
    ),
    refused(
        "ES256: r and s in the width of ES384",
        SIGNATURE,
        forged(_EC, lambda data: joined(*split(_EC.sign(data)), 48)),
    ),
    refused("ES256: a good signature of another P-256 key", SIGNATURE, signed(STRANGE_EC, kid="es256")),
    refused("ES512: in 64 bytes", SIGNATURE, forged(ES["ES512"], lambda data: ES["ES512"].sign(data)[2:66])),
    refused("EdDSA: the order added to S", SIGNATURE, forged(ED, more(ED, _L25519, 32))),
    refused("EdDSA: eight times the order added to S, cut", SIGNATURE, forged(ED, more(ED, 7 * _L25519, 32))),
    refused("Ed448: the order added to S", SIGNATURE, forged(ED448, more(ED448, _L448, 57))),
    refused("EdDSA: R of small order and S zero", SIGNATURE, forged(ED, b"\x01" + b"\0" * 63)),
    refused(
        "EdDSA: an Ed448 signature's size",
        SIGNATURE,
        forged(ED, lambda data: ED.sign(data).ljust(114, b"\0")),
    ),
    refused("Ed448: an Ed25519 signature", SIGNATURE, forged(ED448, ED.sign)),
    *modular("the number 1", lambda *_: 1),
    *modular("the modulus less 1", lambda _, n: n - 1),
    *modular("the modulus", lambda _, n: n),
    *modular("the modulus less the signature", lambda s, n: n - s),
    *modular("the modulus added", lambda s, n: s + n, 257),
    misnamed("the hash without its name", ""),
    misnamed("its name without NULL", "302f300b06096086480165030402010420"),
    misnamed("the name of SHA-384", "3031300d060960864801650304020205000420"),
    misnamed("the name of SHA-1, and the hash of SHA-256", "302d300906052b0e03021a05000420"),
    misnamed("a name that ends early", "3031300d06096086480165030402010500"),
    misnamed("a length in the long form", "308131300d060960864801650304020105000420"),
    misnamed("a length with a zero before", "30820031300d060960864801650304020105000420"),
    misnamed("the hash's length in the long form", "3032300d06096086480165030402010500048120"),
    misnamed("an indefinite length", "3080300d060960864801650304020105000420", b"\0\0"),
    misnamed("an indefinite length without an end", "3080300d060960864801650304020105000420"),
    misnamed("a length that is one too long", "3032300d060960864801650304020105000420"),
    misnamed("a length that is one too short", "3030300d060960864801650304020105000420"),
    misnamed("a length of 4 GiB", "308500000000313000300d060960864801650304020105000420"),
    misnamed("parameters in the place of NULL", "3034301006096086480165030402010203010203" + "0420"),
    misnamed("a NULL that is not empty", "3033300f0609608648016503040201050267670420"),
    misnamed("a wrong tag", "3131300d060960864801650304020105000420"),
    misnamed("a name with a byte more", "3032300e060a6086480165030402010005000420"),
    misnamed("a byte behind the hash, counted", "3032300d060960864801650304020105000420", b"g"),
    misnamed("a byte behind the hash, not counted", "3031300d060960864801650304020105000420", b"g"),
    misnamed(
        "a short filling, and garbage behind (CVE-2006-4339)",
        "3031300d060960864801650304020105000420",
        b"g" * 194,
    ),
    admitted(
        "RS256: made by hand, so that the rows above would be noticed",
        forged(_RSA, lambda data: raw_rsa(_RSA, pkcs1(data))),
    ),
    refused("RS256: PSS's padding", SIGNATURE, forged(_RSA, SigningKey("PS256", None, _RSA.private).sign)),
    refused("RS256: a good signature of another RSA key", SIGNATURE, signed(STRANGE_RSA, kid="rs256")),
    refused("PS256: PKCS 1's padding", SIGNATURE, forged(_PSS, SigningKey("RS256", None, _PSS.private).sign)),
    refused("PS256: no salt", SIGNATURE, forged(_PSS, salted(0))),
    refused("PS256: a salt of 20 bytes", SIGNATURE, forged(_PSS, salted(20))),
    refused("PS256: the longest salt", SIGNATURE, forged(_PSS, salted(222))),
    refused("PS256: another hash in MGF1", SIGNATURE, forged(_PSS, salted(32, hashes.SHA1()))),
    admitted("PS256: a salt of 32 bytes, so that the rows above would be noticed", forged(_PSS, salted(32))),
    admitted("PS256: made by hand, so that the rows below would be noticed", forged(_PSS, pss_signed())),
    admitted("PS256: a salt of zeros", forged(_PSS, pss_signed(salt=bytes(32)))),
    refused("PS256: padding that is not zero", SIGNATURE, forged(_PSS, pss_signed(zeros=1))),
    refused("PS256: no 1 before the salt", SIGNATURE, forged(_PSS, pss_signed(one=0))),
    refused("PS256: another 1 before the salt", SIGNATURE, forged(_PSS, pss_signed(one=2))),
    refused("PS256: another trailer", SIGNATURE, forged(_PSS, pss_signed(trailer=0xCC))),
    refused("PS256: a first bit that is set", SIGNATURE, forged(_PSS, pss_signed(flip=0x80))),
    refused("PS256: a salt of 31 bytes, made by hand", SIGNATURE, forged(_PSS, pss_signed(salt=b"s" * 31))),
    refused("an endless signature", SIGNATURE, forged(ED, b"s" * 9000)),
]

SWAPPED: list[Row] = [
    refused(
        "another payload",
        SIGNATURE,
        parts(
            lambda h, _, s: (
                f"{h}.{b64(json.dumps({'iss': 'https://issuer.test', 'sub': 'root', 'aud': 'https://edge.test', 'exp': 4102444800}).encode())}.{s}"
            )
        ),
    ),
    refused(
        "another header",
        SIGNATURE,
        parts(lambda _, p, s: f"{b64(json.dumps({'alg': 'EdDSA', 'kid': 'ed'}).encode())}.{p}.{s}"),
    ),
    refused(
        "the signature of another token",
        SIGNATURE,
        lambda when: ".".join([*saying(sub="root")(when).split(".")[:2], signed()(when).split(".")[2]]),
    ),
    refused(
        "the payload of a token of another key",
        SIGNATURE,
        lambda when: ".".join([signed()(when).split(".")[0], *signed(STRANGER)(when).split(".")[1:]]),
    ),
    refused("another issuer's name and kid, our key", SIGNATURE, build(ED, None, {"iss": OTHER})),
    refused("our name and kid, another issuer's key of that kid", SIGNATURE, signed(OTHERS)),
    refused(
        "a good token with its name changed",
        SIGNATURE,
        lambda when: ".".join(
            [
                signed()(when).split(".")[0],
                saying(sub="acc_2")(when).split(".")[1],
                signed()(when).split(".")[2],
            ]
        ),
    ),
]

ROWS: list[Row] = [*(row for name, key in SIGNERS.items() for row in everyone(name, key)), *PRECISE, *SWAPPED]
