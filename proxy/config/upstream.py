"""The server that is protected, as the file names it."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from proxy.config import addresses
from proxy.config.kinds import (  # noqa: TC001 - pydantic reads the annotation
    Count,
    Duration,
    HeaderName,
    Retries,
    Secret,
    UpstreamUrl,
)
from proxy.config.section import Section
from proxy.config.tls import UpstreamTls  # noqa: TC001 - as above


class Timeouts(Section):
    """How long the upstream may take."""

    connect: Duration = Field("5s", validate_default=True, description="To connect, TLS included.")
    first_byte: Duration = Field(
        "60s", validate_default=True, description="From the request to the first byte of its answer."
    )
    idle: Duration = Field(
        "5m", validate_default=True, description="Between two bytes; a quiet event stream is not ended by it."
    )


class Upstream(Section):
    """The server that is protected."""

    url: UpstreamUrl = Field(description="Scheme, host and port; paths go on as they came.")
    host_policy: Literal["rewrite", "preserve"] = Field(
        "rewrite", alias="host", description="What `Host` says upstream: its own host, or the client's."
    )
    connections: Count = Field(256, description="Connections to it at the same time, at most.")
    retry: Retries = Field(
        0,
        description="Further attempts, at most, for a GET, HEAD or OPTIONS without a body, where no"
        " connection could be made or it closed before a byte of the answer.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long it may take.")
    tls: UpstreamTls | None = Field(None, description="What its certificate is judged by, and ours.")
    headers: dict[HeaderName, Secret] = Field(
        default_factory=dict,
        description="The upstream's own credentials; they go only with a verified identity.",
    )

    @cached_property
    def _target(self) -> addresses.Target:
        return addresses.target(self.url)

    @property
    def scheme(self) -> str:
        """`http`, `https` or `unix`."""
        return self._target.scheme

    @property
    def host(self) -> str:
        """The host to connect to, IPv6 without brackets; empty for a unix socket."""
        return self._target.host

    @property
    def port(self) -> int:
        """The port to connect to; 0 for a unix socket."""
        return self._target.port

    @property
    def path(self) -> str:
        """The unix socket's path, else empty."""
        return self._target.path

    @property
    def authority(self) -> str:
        """What Host says upstream where it is rewritten."""
        return self._target.authority
