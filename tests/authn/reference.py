"""What a token must be to be admitted, read off the design and the RFCs once more: slow, obvious, and alone.

Shares no line with what it is held against. It takes base64url apart bit by bit (RFC 4648 section 5), reads
JSON by its grammar (RFC 8259, RFC 7493), checks signatures with `cryptography` (RFC 7518, RFC 8037), and goes
through the claims (RFC 7519, RFC 9068) in one long list. Reads public JWKs that are well made, and no others.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SHA = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES: dict[str, tuple[str, ec.EllipticCurve, int]] = {
    "ES256": ("P-256", ec.SECP256R1(), 32),
    "ES384": ("P-384", ec.SECP384R1(), 48),
    "ES512": ("P-521", ec.SECP521R1(), 66),
}


@dataclass(frozen=True)
class Terms:
    """One issuer as the tests configure it, in plain values; times are seconds."""

    issuer: str
    audience: list[str]
    jwks: list[dict[str, Any]]
    algorithms: list[str]
    types: list[str | None] = field(default_factory=lambda: ["at+jwt", "jwt", None])
    leeway: float = 30.0
    max_lifetime: float | None = None
    tenants: list[str] | None = None
    least_score: float | None = None
    granted: str = ""
    dpop: bool = False


@dataclass(frozen=True)
class Accepted:
    """Whom an admitted token names."""

    id: str
    issuer: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    until: float
    key_id: str | None
    token_id: str | None
    issued_at: float | None
    bound_to: str | None


class RefusedError(Exception):
    """The token is refused, for this."""


def judge(token: bytes, issuers: list[Terms], now: float) -> Accepted | str:
    """Judge a token at `now` (Unix seconds): whom it names, or why it is refused."""
    try:
        return _judged(token, issuers, now)
    except RefusedError as why:
        return str(why)


def _judged(token: bytes, issuers: list[Terms], now: float) -> Accepted:
    if len(token) > 16 * 1024:
        raise RefusedError("too long")
    parts = token.split(b".")
    if len(parts) != 3:
        raise RefusedError("not three parts")
    header, claims = (json_object(_decoded(part)) for part in parts[:2])
    signature = _decoded(parts[2])
    _header(header)
    for terms in issuers:
        if claims.get("iss") == terms.issuer:
            key = _key(terms, header)
            _signature(key, header["alg"], parts[0] + b"." + parts[1], signature)
            _kind(terms, header, claims)
            _claims(terms, claims, now)
            return _accepted(terms, claims, key)
    raise RefusedError("iss")


# base64url and JSON


# Slow enough for the same few tokens, over and over, to be worth remembering.
@lru_cache(maxsize=64)
def _decoded(text: bytes) -> bytes:
    bits = ""
    for byte in text:
        value = ALPHABET.find(chr(byte))
        if value < 0:
            raise RefusedError("a character that is not base64url's")
        bits += f"{value:06b}"
    whole = len(bits) // 8 * 8
    if len(bits) - whole >= 6 or "1" in bits[whole:]:
        raise RefusedError("stray bits")
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole, 8))


@lru_cache(maxsize=64)
def json_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object; raises RefusedError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError("not UTF-8") from None
    reader = Json(text)
    value = reader.value(0)
    reader.space()
    if reader.at != len(text) or not isinstance(value, dict):
        raise RefusedError("not one JSON object")
    return value


class Json:
    """The grammar of RFC 8259, a function for each rule, with what RFC 7493 takes away."""

    STRING = re.compile(
        r'"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*)"',
    )
    NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?")
    SHORT: ClassVar = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def space(self) -> None:
        while self.text[self.at : self.at + 1] in {" ", "\t", "\n", "\r"}:
            self.at += 1

    def sees(self, text: str) -> bool:
        self.space()
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def needs(self, text: str) -> None:
        if not self.sees(text):
            raise RefusedError(f"no {text} where JSON has one")

    def value(self, depth: int) -> Any:
        self.space()
        first = self.text[self.at : self.at + 1]
        if first in {"{", "["} and depth == 32:
            raise RefusedError("nested too deep")
        if first == "{":
            return self.members(depth + 1)
        if first == "[":
            return self.elements(depth + 1)
        if first == '"':
            return self.string()
        for name, value in (("true", True), ("false", False), ("null", None)):
            if self.sees(name):
                return value
        return self.number()

    def members(self, depth: int) -> dict[str, Any]:
        self.needs("{")
        found: dict[str, Any] = {}
        if self.sees("}"):
            return found
        while True:
            self.space()
            name = self.string()
            if name in found:
                raise RefusedError("a name twice")
            self.needs(":")
            found[name] = self.value(depth)
            if self.sees("}"):
                return found
            self.needs(",")

    def elements(self, depth: int) -> list[Any]:
        self.needs("[")
        found: list[Any] = []
        if self.sees("]"):
            return found
        while True:
            found.append(self.value(depth))
            if self.sees("]"):
                return found
            self.needs(",")

    def string(self) -> str:
        match = self.STRING.match(self.text, self.at)
        if match is None:
            raise RefusedError("no string where JSON has one")
        self.at = match.end()
        units = re.sub(r"\\(u(....)|.)", self._escaped, match[1], flags=re.DOTALL)
        # Two escapes may make one character beyond the first 65,536; half a pair makes none.
        try:
            return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise RefusedError("half a surrogate pair") from None

    def _escaped(self, match: re.Match[str]) -> str:
        return chr(int(match[2], 16)) if match[2] else self.SHORT.get(match[1], match[1])

    def number(self) -> int | float:
        match = self.NUMBER.match(self.text, self.at)
        if match is None:
            raise RefusedError("no value where JSON has one")
        self.at = match.end()
        if math.isinf(float(match[0])):
            raise RefusedError("a number beyond a double")
        return float(match[0]) if match[2] or match[3] else int(match[0])


# The header, the key and the signature


def _header(header: dict[str, Any]) -> None:
    if "crit" in header or "b64" in header:
        raise RefusedError("an extension")
    if not isinstance(header.get("alg"), str):
        raise RefusedError("alg")
    if "typ" in header and not isinstance(header["typ"], str):
        raise RefusedError("typ is no string")
    if "kid" in header and (not isinstance(header["kid"], str) or len(header["kid"]) > 256):
        raise RefusedError("kid is no short string")


def _key(terms: Terms, header: dict[str, Any]) -> dict[str, Any]:
    """Find the one key of this issuer that the token can mean."""
    if header["alg"] not in terms.algorithms:
        raise RefusedError("alg is not one of the issuer's")
    fitting = [jwk for jwk in terms.jwks if _fits(jwk, header["alg"])]
    if "kid" in header:
        fitting = [jwk for jwk in fitting if jwk.get("kid") == header["kid"]]
    if len(fitting) != 1:
        raise RefusedError("no key, or more than one")
    return fitting[0]


def _fits(jwk: dict[str, Any], algorithm: str) -> bool:
    if jwk["kty"] == "OKP":
        return algorithm in {"EdDSA", jwk["crv"]}
    if jwk.get("alg", algorithm) != algorithm:
        return False
    if jwk["kty"] == "RSA":
        return algorithm[:2] in {"RS", "PS"}
    return algorithm in CURVES and CURVES[algorithm][0] == jwk["crv"]


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text.encode()), "big")


def _signature(jwk: dict[str, Any], algorithm: str, signed: bytes, signature: bytes) -> None:
    try:
        if jwk["kty"] == "OKP":
            point = _decoded(jwk["x"].encode())
            kind = ed25519.Ed25519PublicKey if jwk["crv"] == "Ed25519" else ed448.Ed448PublicKey
            kind.from_public_bytes(point).verify(signature, signed)
        elif jwk["kty"] == "RSA":
            _rsa(jwk, algorithm, signed, signature)
        else:
            _ecdsa(jwk, algorithm, signed, signature)
    except InvalidSignature:
        raise RefusedError("signature") from None


def _rsa(jwk: dict[str, Any], algorithm: str, signed: bytes, signature: bytes) -> None:
    key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    sha = SHA[algorithm[2:]]
    if algorithm.startswith("RS"):
        key.verify(signature, signed, padding.PKCS1v15(), sha)
    else:
        key.verify(signature, signed, padding.PSS(padding.MGF1(sha), sha.digest_size), sha)


def _ecdsa(jwk: dict[str, Any], algorithm: str, signed: bytes, signature: bytes) -> None:
    _, curve, size = CURVES[algorithm]
    if len(signature) != 2 * size:
        raise RefusedError("signature")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    key = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve).public_key()
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA[algorithm[2:]]))


# The claims


def _kind(terms: Terms, header: dict[str, Any], claims: dict[str, Any]) -> None:
    typ = None
    if "typ" in header:
        typ = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in header["typ"])
        typ = typ.removeprefix("application/")
    if typ not in terms.types:
        raise RefusedError("typ")
    if typ in {None, "jwt"}:
        for mark in ("nonce", "at_hash", "c_hash", "s_hash", "events"):
            if mark in claims:
                raise RefusedError("an ID token or an event")
        if claims.get("token_use") == "id":
            raise RefusedError("an ID token")


def _claims(terms: Terms, claims: dict[str, Any], now: float) -> None:
    if not set(_audience(claims)) & set(terms.audience):
        raise RefusedError("aud")
    _dates(terms, claims, now)
    _identity(claims)
    if "jti" in claims and not _is_plain(claims["jti"]):
        raise RefusedError("jti")
    if "cnf" in claims and not (terms.dpop and _is_thumbprint_alone(claims["cnf"])):
        raise RefusedError("bound to what cannot be proved")
    if terms.tenants is not None:
        tenants = claims.get("tenant")
        tenants = tenants if isinstance(tenants, list) else [tenants]
        if not any(type(one) is str and one in terms.tenants for one in tenants):
            raise RefusedError("tenant")
    if terms.least_score is not None:
        score = _score(claims)
        if type(score) not in {int, float} or score < terms.least_score:
            raise RefusedError("al_trust.score")


def _dates(terms: Terms, claims: dict[str, Any], now: float) -> None:
    if "exp" not in claims:
        raise RefusedError("no exp")
    dates = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    for name, date in dates.items():
        # Seconds since 1970, and no later than the last year that has four digits.
        if type(date) not in {int, float} or not 0 <= date < 253402300800:
            raise RefusedError(f"{name} is no date")
    if now >= dates["exp"] + terms.leeway:
        raise RefusedError("expired")
    if dates.get("nbf", 0) > now + terms.leeway or dates.get("iat", 0) > now + terms.leeway:
        raise RefusedError("not yet")
    if terms.max_lifetime is not None and dates["exp"] - dates.get("iat", now) > terms.max_lifetime:
        raise RefusedError("lives too long")


def _score(claims: dict[str, Any]) -> Any:
    """`al_trust.score`: a claim of that very name, or else a member of the claim `al_trust`."""
    if "al_trust.score" in claims:
        return claims["al_trust.score"]
    trust = claims.get("al_trust")
    return trust.get("score") if isinstance(trust, dict) else None


def _audience(claims: dict[str, Any]) -> list[str]:
    audience = claims.get("aud")
    audience = audience if isinstance(audience, list) else [audience]
    if any(type(one) is not str for one in audience):
        raise RefusedError("aud is neither a string nor strings")
    return audience


def _identity(claims: dict[str, Any]) -> str:
    agent = claims.get("sub")
    if not _is_plain(agent):
        raise RefusedError("sub")
    assert isinstance(agent, str)
    for end in (agent[0], agent[-1]):
        if unicodedata.category(end) in {"Zs", "Zl", "Zp"}:
            raise RefusedError("a space at an end of sub")
    return agent


def _is_plain(value: Any) -> bool:
    """Say whether it is a string of 1 to 255 characters, none of them a control character (C0, DEL, C1)."""
    return (
        type(value) is str
        and 1 <= len(value) <= 255
        and not any(ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0 for one in value)
    )


def _is_thumbprint_alone(cnf: Any) -> bool:
    return (
        isinstance(cnf, dict)
        and list(cnf) == ["jkt"]
        and type(cnf["jkt"]) is str
        and len(cnf["jkt"]) == 43
        and all(one in ALPHABET for one in cnf["jkt"])
    )


def _scopes(claims: dict[str, Any]) -> list[str]:
    for name in ("al_scopes", "scope", "scp"):
        value = claims.get(name)
        if value is None:
            continue
        if value == "":
            return []
        value = value.split(" ") if isinstance(value, str) else value
        if not isinstance(value, list):
            raise RefusedError("scopes are neither text nor a list")
        for scope in value:
            # RFC 6749 section 3.3: visible ASCII but for the quote and the backslash.
            if type(scope) is not str or not scope or not all(0x21 <= ord(c) <= 0x7E for c in scope):
                raise RefusedError("no scope-token")
            if '"' in scope or "\\" in scope:
                raise RefusedError("no scope-token")
        return value
    return []


def _accepted(terms: Terms, claims: dict[str, Any], key: dict[str, Any]) -> Accepted:
    scopes: list[str] = []
    for scope in _scopes(claims):
        if scope.startswith(terms.granted) and scope not in scopes:
            scopes.append(scope)
    cnf = claims.get("cnf")
    return Accepted(
        id=_identity(claims),
        issuer=terms.issuer,
        scopes=tuple(scopes),
        audience=tuple(_audience(claims)),
        until=claims["exp"] + terms.leeway,
        key_id=key.get("kid"),
        token_id=claims.get("jti"),
        issued_at=claims.get("iat"),
        bound_to=None if cnf is None else cnf["jkt"],
    )
