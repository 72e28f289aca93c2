"""TLS contexts, made of the files that the configuration names (RFC 8446, RFC 9325).

Knows files and certificates. Must never know who connects. TLS 1.2 at least, HTTP/1.1 alone (ALPN); the
rest is what OpenSSL, as Python sets it up, thinks safe. Keys with a passphrase are refused: nobody types it.
"""

from __future__ import annotations

import ssl
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.config import Config, Tls, Upstream

_ALPN = ["http/1.1"]


class TlsError(Exception):
    """A certificate or a key cannot be used; the text says where, and why."""


def server_context(tls: Tls) -> ssl.SSLContext:
    """Make what clients are met with.

    Raises:
        TlsError: a file cannot be used.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(_ALPN)
        context.load_cert_chain(tls.certificate, tls.key, _no_passphrase)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise TlsError(f"tls: {_why(error)}") from None
    return context


def upstream_context(upstream: Upstream) -> ssl.SSLContext | None:
    """Make what the upstream is met with; None where it does not speak TLS. Errors as `server_context`."""
    if upstream.scheme != "https":
        return None
    tls = upstream.tls
    try:
        context = ssl.create_default_context(cafile=None if tls is None else tls.ca)
        context.set_alpn_protocols(_ALPN)
        if tls is not None and tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, _no_passphrase)
    except (OSError, ValueError) as error:
        raise TlsError(f"upstream.tls: {_why(error)}") from None
    return context


def tls_files(config: Config) -> list[Path]:
    """Return the files that contexts are made of."""
    tls, upstream = config.tls, config.upstream.tls
    own = [] if tls is None else [tls.certificate, tls.key, tls.client_ca]
    theirs = [] if upstream is None else [upstream.ca, upstream.certificate, upstream.key]
    return [file for file in (*own, *theirs) if file is not None]


def unfit_files(config: Config) -> Iterator[tuple[str, str]]:
    """Yield which of those files cannot be used: the key of the configuration, and why."""
    tls, upstream = config.tls, config.upstream.tls
    if tls is not None:
        yield from _unfit_pair("tls", tls.certificate, tls.key)
        if tls.client_ca is not None:
            yield from _unfit_certificates("tls.client_ca", tls.client_ca)
    if upstream is not None:
        if upstream.ca is not None:
            yield from _unfit_certificates("upstream.tls.ca", upstream.ca)
        if upstream.certificate is not None and upstream.key is not None:
            yield from _unfit_pair("upstream.tls", upstream.certificate, upstream.key)


def thumbprint(certificate: bytes) -> str:
    """Return the base64url SHA-256 of a certificate in DER, as `x5t#S256` has it (RFC 8705 section 3.1)."""
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode()


def _unfit_certificates(at: str, file: Path) -> Iterator[tuple[str, str]]:
    try:
        x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        yield at, f"{file}: {error.strerror}"
    except ValueError:
        yield at, f"{file}: no certificate in PEM"


def _unfit_pair(at: str, certificate: Path, key: Path) -> Iterator[tuple[str, str]]:
    unfit = [*_unfit_certificates(f"{at}.certificate", certificate)]
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        unfit.append((f"{at}.key", f"{key}: {error.strerror}"))
    except TypeError:
        unfit.append((f"{at}.key", f"{key}: has a passphrase, which nobody is there to type"))
    except ValueError:
        unfit.append((f"{at}.key", f"{key}: no private key in PEM"))
    else:
        if not unfit:
            first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
            if first.public_key() != private.public_key():
                unfit.append((f"{at}.key", f"{key}: not the key of {certificate}"))
    yield from unfit


def _no_passphrase() -> str:
    raise ValueError("a key has a passphrase")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"a file cannot be used ({error.reason or 'no PEM'})"
    return (
        f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
    )
