"""What everybody in the benchmark goes by: an issuer's keys, its tokens, DPoP proofs, a certificate."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

ISSUER, AUDIENCE = "https://idp.example", "https://mcp.example"
_LIFETIME = 20 * 3600
COLD = 200_000
PROOFS = 30_000
"""Enough for one round; they are made right before it, for they do not hold for long."""


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode())


class Ed25519:
    algorithm = "EdDSA"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(public)}

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class Rsa:
    algorithm = "RS256"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        numbers = self._key.public_key().public_numbers()
        self.pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.jwk = {"kty": "RSA", "n": encoded(numbers.n.to_bytes(256)), "e": encoded(numbers.e.to_bytes(3))}

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def token(key: Ed25519 | Rsa, number: int, **claims: Any) -> str:
    """An access token of agent `number`, as issuers for MCP make them."""
    now, agent = int(time.time()), f"agent-{number:06d}"
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": agent,
        "client_id": agent,
        "scope": "tools:read tools:call resources:read",
        "iat": now,
        "nbf": now - 5,
        "exp": now + _LIFETIME,
        "jti": encoded(os.urandom(12)),
        **claims,
    }
    signed = f"{part({'alg': key.algorithm, 'typ': 'JWT', 'kid': key.algorithm.lower()})}.{part(said)}"
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def write(folder: Path) -> Ed25519:
    """Write keys and tokens: `jwks.json`, `rsa.pem`, `*.tokens` with one in each line, and a certificate.

    Returns the key that signs what is not RS256.
    """
    ed25519, rs256 = Ed25519(), Rsa()
    keys = [
        {**key.jwk, "kid": key.algorithm.lower(), "alg": key.algorithm, "use": "sig"}
        for key in (ed25519, rs256)
    ]
    (folder / "jwks.json").write_text(json.dumps({"keys": keys}))
    (folder / "rsa.pem").write_bytes(rs256.pem)
    (folder / "rsa.tokens").write_text(token(rs256, 0) + "\n")
    (folder / "eddsa.tokens").write_text("".join(token(ed25519, number) + "\n" for number in range(2_000)))
    (folder / "cold.tokens").write_text("".join(token(ed25519, number) + "\n" for number in range(COLD)))
    (folder / "call.json").write_text(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"%s"}}}'
        % ("b" * 120)
    )
    (folder / "list.json").write_text('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
    write_certificate(folder)
    return ed25519


def write_proofs(folder: Path, issuer: Ed25519) -> None:
    """`proofs.tokens`: one bound token, with a proof of its own for each request (RFC 9449 section 4.2)."""
    own = Ed25519()
    canonical = json.dumps({key: own.jwk[key] for key in ("crv", "kty", "x")}, separators=(",", ":"))
    bound = token(issuer, 0, cnf={"jkt": encoded(hashlib.sha256(canonical.encode()).digest())})
    head = part({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": own.jwk})
    hashed = encoded(hashlib.sha256(bound.encode()).digest())
    with (folder / "proofs.tokens").open("w") as file:
        for _ in range(PROOFS):
            said = {
                "jti": encoded(os.urandom(12)),
                "htm": "GET",
                "htu": f"{AUDIENCE}/api/x",
                "iat": int(time.time()),
                "ath": hashed,
            }
            signed = f"{head}.{part(said)}"
            file.write(f"{bound} {signed}.{encoded(own.sign(signed.encode()))}\n")


def write_certificate(folder: Path) -> None:
    """A certificate that signs itself: nobody here verifies it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
