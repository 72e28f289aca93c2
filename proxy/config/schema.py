"""The configuration as frozen values: every key, its kind, its default and one sentence on it.

The larger levels have files of their own. What one value may be stands in these and in `kinds`; what several
values must be to one another stands in `meaning`. Defaults are written as a person writes them: the reference
and the editors' schema show them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator

from proxy.config.faults import UnfitError
from proxy.config.issuer import Issuer  # noqa: TC001 - pydantic reads the annotation
from proxy.config.kinds import (
    Count,
    Duration,
    File,
    Flag,
    HeaderName,
    Host,
    ListOf,
    Network,
    Origin,
    Scope,
    SessionKey,
    Size,
    Some,
    Text,
    UrlText,
    Workers,
    spelling,
)
from proxy.config.listening import Admin, Listen  # noqa: TC001 - pydantic reads the annotation
from proxy.config.rule import Rule  # noqa: TC001 - pydantic reads the annotation
from proxy.config.section import Section, shorthand
from proxy.config.static import Static  # noqa: TC001 - as above
from proxy.config.stores import Redis, Revocations
from proxy.config.tls import Tls  # noqa: TC001 - pydantic reads the annotation
from proxy.config.upstream import Upstream


class Assertion(Section):
    """A short-lived JWT for the upstream, in `X-Agent-Assertion`: who calls, signed by this proxy."""

    key: File | None = Field(None, description="Its Ed25519 private key (PEM); made at start where absent.")
    issuer: Text = Field("", description="Its `iss`; the origin of `resource` where absent.")
    audience: Text = Field("", description="Its `aud`; `upstream.url` where absent.")
    ttl: Duration = Field("5m", validate_default=True, description="How long it is valid.")


class Limits(Section):
    """What clients may use."""

    header_bytes: Size = Field("32KiB", validate_default=True, description="A request's header block.")
    uri_bytes: Size = Field("8KiB", validate_default=True, description="A request's target.")
    connections: Count = Field(10000, description="Client connections at the same time.")
    connections_per_address: Count | None = Field(
        None,
        description="Of one client address; no bound where absent. `trusted_proxies` are not counted.",
    )
    head_timeout: Duration = Field("10s", validate_default=True, description="To send a request's head.")
    mcp_body: Size = Field("4MiB", validate_default=True, description="One message to an MCP server.")
    mcp_buffer: Size = Field(
        "256MiB",
        validate_default=True,
        description="All messages together that are being read; of one agent, a quarter.",
    )
    response_time: Duration = Field(
        "1h", validate_default=True, description="From an admitted request to the end of its answer."
    )


class Log(Section):
    """Where access lines go."""

    output: Annotated[Text, WithJsonSchema({"title": "stdout or file", "type": "string", "minLength": 1})] = (
        Field("stdout", description="Where access lines go.")
    )
    format: Literal["keystile", "ecs", "otel"] = Field(
        "keystile", description="What its fields are called: as in LOG.md, in Elastic, or in OpenTelemetry."
    )
    fields: Static = Field(
        default_factory=dict, description="What every line says besides, as in `service.name: memory`."
    )
    arguments: ListOf[Text] = Field(
        (), description="Names of the tool and prompt arguments that it shows; none where absent."
    )
    refuse_when_full: Flag = Field(
        default=False,
        description="Refuse requests while lines cannot be written, rather than count what is lost.",
    )

    @field_validator("output")
    @classmethod
    def _beside_the_file(cls, output: str, info: ValidationInfo) -> str:
        if output == "stderr":
            raise UnfitError("stderr, where the operational log goes", "write stdout or a file's path")
        return output if output == "stdout" else str((info.context or Path()) / output)


Fact = Literal["id", "scopes", "name", "issuer", "audit_url"]


class Config(Section):
    """A whole configuration."""

    listen: Listen = Field(
        "127.0.0.1:8080",
        validate_default=True,
        description="Where clients connect; port 0 lets the system choose.",
    )
    admin: Admin = Field(
        "127.0.0.1:9901",
        validate_default=True,
        description="Where health, metrics and the dashboard are shown; `null` switches it off.",
    )
    mode: Literal["enforce", "observe"] = Field(
        "enforce",
        description="`observe` forwards what rules refuse, and says in the log that it would be refused.",
    )
    upstream: Annotated[Upstream, shorthand("url", str | Upstream)] = Field(
        description="The server that is protected: its URL alone, or a mapping."
    )
    resource: UrlText | None = Field(
        None, description="This server's identifier: the default audience, and RFC 9728 metadata."
    )
    hosts: ListOf[Host] = Field(
        (),
        description="What `Host` may say beside the host of `resource`, each with its port or for any port.",
    )
    origins: Some[Origin] = Field(
        (),
        description="What `Origin` may say, on every rule; absent: the allowed hosts, on rules with `mcp`.",
    )
    cors: Flag = Field(
        default=False, description="Answer preflights, and let pages of allowed origins read answers."
    )
    tls: Tls | None = Field(None, description="TLS for clients; plain HTTP where absent.")
    trusted_proxies: ListOf[Network] = Field((), description="Whose `X-Forwarded-*` is believed.")
    path_parameters: Literal["refuse", "allow"] = Field(
        "refuse", description="What happens to paths with `;`."
    )
    issuers: tuple[Issuer, ...] = Field((), description="Whose tokens are accepted.")
    identity_headers: dict[HeaderName, Fact] = Field(
        {"X-Agent-Id": "id", "X-Agent-Scopes": "scopes"},
        validate_default=True,
        description="What the upstream is told; `X-Agent-Issuer` is added where there are several issuers.",
    )
    scopes: dict[Scope, ListOf[Scope]] = Field(
        default_factory=dict, description="Holding the left grants the right, transitively."
    )
    rules: tuple[Rule, ...] = Field(description="The first that matches decides; without a match, refused.")
    assertion: Assertion | None = Field(None, description="Sign who calls, for an upstream that checks it.")
    jwks_cache: File | None = Field(
        None, description="A directory of the issuers' last good keys, for a start without the issuers."
    )
    revocations: Revocations | None = Field(
        None, description="What is refused although signed and not expired."
    )
    session_key: Some[SessionKey] = Field(
        (),
        description="Seals MCP sessions: the first seals, all open. Made at start where absent.",
    )
    redis: Annotated[Redis, shorthand("url", str | Redis)] | None = Field(
        None, description="Where workers and replicas share used proofs and rates: its URL, or a mapping."
    )
    limits: Limits = Field(default_factory=Limits, description="What clients may use.")
    log: Log = Field(default_factory=Log, description="The access log.")
    drain: Duration = Field(
        "30s", validate_default=True, description="How long a stop waits for requests in progress."
    )
    watch: Flag = Field(
        default=False, description="Reload when this file, or one that it refers to, has changed."
    )
    workers: Workers = Field(1, description="Processes on one port; `auto` is one for each usable core.")

    @field_validator("issuers")
    @classmethod
    def _audience(cls, issuers: tuple[Issuer, ...], info: ValidationInfo) -> tuple[Issuer, ...]:
        """An issuer that names no audience gets the resource: a token is for this server, or refused."""
        resource = info.data.get("resource")
        audience = (resource,) if resource else ()
        return tuple(
            one if one.audience else one.model_copy(update={"audience": audience}) for one in issuers
        )

    @field_validator("assertion")
    @classmethod
    def _asserted(cls, assertion: Assertion | None, info: ValidationInfo) -> Assertion | None:
        """Fill in what follows from other keys."""
        if assertion is None:
            return None
        resource, upstream = info.data.get("resource"), info.data.get("upstream")
        origin = "/".join(resource.split("/")[:3]) if resource else ""
        return assertion.model_copy(
            update={
                "issuer": assertion.issuer or origin,
                "audience": assertion.audience or (upstream.url if upstream else ""),
            }
        )

    @field_validator("identity_headers")
    @classmethod
    def _issuer_header(cls, headers: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        """A subject is unique only within its issuer: where there are several, the issuer is always sent."""
        if len(info.data.get("issuers", ())) > 1 and "x-agent-issuer" not in map(spelling, headers):
            return {**headers, "X-Agent-Issuer": "issuer"}
        return headers
