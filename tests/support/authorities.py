"""Certificates of authorities made on the spot, in the files that a configuration names."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import trustme

from proxy.wire.tls import thumbprint

if TYPE_CHECKING:
    from pathlib import Path

NAME = "edge.test"
LOOPBACK = ("127.0.0.1", "localhost", NAME)


class Authority:
    """One authority, whose files are kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def certify(self, name: str, *names: str, **settings: Any) -> tuple[Path, Path]:
        """Write a certificate for these names, and its key: `name`.pem and `name`-key.pem."""
        made = self._authority.issue_cert(*(names or LOOPBACK), **settings)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}-key.pem"
        # At once, as those do who care: never half of it under its name.
        for path, blobs in ((certificate, made.cert_chain_pems), (key, [made.private_key_pem])):
            beside = path.with_suffix(".new")
            beside.write_bytes(b"".join(blob.bytes() for blob in blobs))
            beside.rename(path)
        return certificate, key

    def client(self, pair: tuple[Path, Path] | None = None, **settings: Any) -> ssl.SSLContext:
        """What believes this authority, and shows a certificate of its own where it has one."""
        context = ssl.create_default_context(cafile=self.file)
        context.check_hostname = False
        if pair is not None:
            context.load_cert_chain(*pair)
        for name, value in settings.items():
            setattr(context, name, value)
        return context

    def server(self, pair: tuple[Path, Path], clients: Authority | None = None) -> ssl.SSLContext:
        """What shows a certificate, and asks for one of the authority `clients`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        if clients is not None:
            context.load_verify_locations(clients.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def thumbprint_of(certificate: Path) -> str:
    """The `x5t#S256` of the first certificate in a file."""
    first = certificate.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    return thumbprint(ssl.PEM_cert_to_DER_cert(first))
