"""TLS on either side, as the file names it: certificates, keys, and whom to believe; nothing is read here."""

from __future__ import annotations

from pydantic import Field

from proxy.config.kinds import File, HostName  # noqa: TC001 - pydantic reads the annotation
from proxy.config.section import Section


class Tls(Section):
    """TLS for clients."""

    certificate: File = Field(description="This server's certificate (PEM), with what it is signed by.")
    key: File = Field(description="Its private key (PEM), without a passphrase.")
    client_ca: File | None = Field(
        None, description="Whose certificates clients must have (PEM); none is asked for where absent."
    )


class UpstreamTls(Section):
    """TLS toward the upstream, whose certificate is always verified."""

    ca: File | None = Field(
        None, description="By whom its certificate is signed (PEM); the system's authorities where absent."
    )
    certificate: File | None = Field(None, description="What it asks clients for (PEM).")
    key: File | None = Field(
        None, description="The private key of `certificate` (PEM), without a passphrase."
    )
    server_name: HostName | None = Field(
        None, description="What its certificate says it is; the host of `url` where absent."
    )
