"""The configuration as frozen values: every key, its kind, its default and one sentence on it.

What one value may be stands here and in `kinds`; what several values must be to one another stands in
`meaning`. Defaults are written as a person writes them: the reference and the editors' schema show them.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from proxy.config import addresses, units
from proxy.config.document import mapped
from proxy.config.faults import UnfitError
from proxy.config.kinds import (
    ALGORITHMS,
    Algorithm,
    Conditions,
    Count,
    Duration,
    File,
    Flag,
    HeaderName,
    Host,
    Leeway,
    ListOf,
    Method,
    Network,
    Pattern,
    RedisUrl,
    Scope,
    Secret,
    Size,
    Some,
    Text,
    TokenType,
    UpstreamUrl,
    UrlText,
    spelling,
)

COOKIE_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 6265 section 4.1.1
_DPOP = Literal["off", "optional", "required"]


class Section(BaseModel):
    """One level of the file: unknown keys are refused, values never appear in errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )


class Address(Section):
    """Where to listen: TCP `host` and `port`, or a `unix` socket's path."""

    host: str | None = None
    port: int | None = None
    unix: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Only this machine can connect: a loopback address or a unix socket."""
        return self.unix is not None or (self.host is not None and addresses.is_loopback(self.host))


def _listen(value: object) -> Address:
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise UnfitError("not an address", "write host:port or unix:/path")
    if value.startswith("unix:"):
        return Address(unix=addresses.socket_path(value))
    host, port = addresses.listen(value)
    return Address(host=host, port=port)


Listen = Annotated[
    Address,
    PlainValidator(_listen),
    WithJsonSchema({"title": "host:port or unix:/path", "type": "string"}),
]


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
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long it may take.")
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


class Keys(Section):
    """How long an issuer's keys are used."""

    refresh: Duration = Field("10m", validate_default=True, description="Fetched again after this time.")
    cooldown: Duration = Field(
        "30s", validate_default=True, description="Time between two fetches for key ids that are unknown."
    )
    max_stale: Duration = Field(
        "24h", validate_default=True, description="Used at most this long after the last successful fetch."
    )


class ClaimNames(Section):
    """Which claims tell who the agent is; each is a list of names, and the first that a token has counts."""

    id: Some[Text] = Field(("sub",), description="The agent's id.")
    name: Some[Text] = Field(("al_name", "client_id", "azp"), description="The agent's name, for people.")
    scopes: Some[Text] = Field(
        ("al_scopes", "scope", "scp"),
        description="What it may do: a list, or text with spaces.",
    )
    audit_url: Some[Text] = Field(("al_audit_url",), description="Where its issuer tells more.")


class JwksUrl(Section):
    """Keys fetched from a URL."""

    url: UrlText


class JwksFile(Section):
    """Keys read from a file."""

    path: Path


class JwksInline(Section):
    """Keys written in the configuration itself: a JWK set (RFC 7517 5)."""

    keys: dict[str, Any]


def _key_source(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        if value.lower().startswith(("http://", "https://")):
            addresses.url(value)
            return JwksUrl(url=value)
        if "://" in value or not value:
            raise UnfitError(
                "neither a URL that can be fetched nor a file", "write https://… or a file's path"
            )
        return JwksFile(path=(info.context or Path()) / value)
    if isinstance(value, dict):
        keys = value.get("keys")
        if len(value) > 1 or not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise UnfitError("not a JWK set", "write {keys: [...]}")
        # All that Keystile reads of a JWK is text: a key id 2024 is "2024".
        return JwksInline(keys={"keys": mapped(keys, str)})
    if isinstance(value, JwksUrl | JwksFile | JwksInline):
        return value
    raise UnfitError("not a source of keys", "write a URL, a file's path, or {keys: [...]}")


KeySource = Annotated[
    JwksUrl | JwksFile | JwksInline,
    PlainValidator(_key_source),
    WithJsonSchema(
        {
            "title": "URL, file or JWK set",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
                    "required": ["keys"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]


class Introspection(Section):
    """Where an issuer is asked about its tokens (RFC 7662)."""

    url: UrlText = Field(description="Its endpoint.")
    client_id: Text = Field(description="Who asks.")
    client_secret: Secret = Field(description="The secret of whoever asks.")
    client_auth: Literal["basic", "post"] = Field(
        "basic", description="How it is shown: in the Authorization header, or in the form."
    )
    mode: Literal["opaque", "always"] = Field(
        "opaque", description="Ask about tokens that are no JWTs only, or about every one."
    )
    timeout: Duration = Field("5s", validate_default=True, description="How long an answer may take.")


class Dpop(Section):
    """Whether tokens are bound to a key that their bearer proves (RFC 9449)."""

    mode: Literal["off", "optional", "required"] = Field(
        "off", description="`off` refuses bound tokens; `required` refuses all others."
    )
    nonce: Flag = Field(default=False, description="A proof must have a nonce of this server.")


def _dpop(value: object) -> object:
    return {"mode": value} if isinstance(value, str) else value


class Issuer(Section):
    """Who may sign tokens, with which keys, and what the tokens must say."""

    issuer: UrlText = Field(description="Its identifier: `iss`, compared letter by letter.")
    jwks: KeySource | None = Field(None, description="Its keys; found by discovery where absent.")
    audience: Some[Text] = Field((), description="`aud` must name one of these; `resource` where absent.")
    algorithms: Some[Algorithm] = Field(ALGORITHMS, description="Signatures that are accepted.")
    types: Some[TokenType] = Field(
        ("at+jwt", "JWT", "none"),
        description="What `typ` may say; `none` is a token without one.",
    )
    leeway: Leeway = Field("30s", validate_default=True, description="How far clocks may differ.")
    max_lifetime: Duration | None = Field(None, description="From `iat` to `exp`, at most.")
    keys: Keys = Field(default_factory=Keys, description="How long keys are used.")
    claims: ClaimNames = Field(default_factory=ClaimNames, description="Which claims tell who the agent is.")
    require: Conditions = Field(
        default_factory=dict, description="What every token of this issuer must claim."
    )
    grants: ListOf[Scope] | None = Field(
        None,
        description="Scopes it may confer, `*` for any characters; others are dropped. All where absent.",
    )
    allow_insecure: Flag = Field(
        default=False, description="Take it and its keys over plain http, beyond loopback too."
    )
    allow_link_local: Flag = Field(
        default=False, description="Fetch from link-local and cloud metadata addresses too."
    )
    ca: File | None = Field(
        None, description="Who vouches for its https (PEM); the system's trust store where absent."
    )
    introspection: Introspection | None = Field(
        None, description="Where it is asked about tokens that are no JWTs, or about all."
    )
    dpop: Annotated[Dpop, BeforeValidator(_dpop, json_schema_input_type=_DPOP | Dpop)] = Field(
        default_factory=Dpop,
        description="Whether tokens are bound to a key: the mode alone, or a mapping.",
    )


def _rule_name(data: dict[str, Any]) -> str:
    """Name a rule after what it selects: stable for as long as that is."""
    methods, hosts, paths = (",".join(data[key]) for key in ("methods", "host", "path"))
    return f"{methods} {hosts}{paths}".lstrip()


class Passthrough(Section):
    """A credential of the upstream's own login: `basic`, or the cookie `name`."""

    kind: Literal["basic", "cookie"]
    name: str = ""


def _passthrough(value: object) -> Passthrough:
    if isinstance(value, Passthrough):
        return value
    if value == "basic":
        return Passthrough(kind="basic")
    if isinstance(value, dict) and list(value) == ["cookie"]:
        name = value["cookie"]
        if isinstance(name, str) and re.fullmatch(COOKIE_NAME, name):
            return Passthrough(kind="cookie", name=name)
    raise UnfitError("no credential that can pass", "write basic, or {cookie: NAME}")


Credential = Annotated[
    Passthrough,
    PlainValidator(_passthrough),
    WithJsonSchema(
        {
            "title": "`basic` or cookie",
            "anyOf": [
                {"const": "basic"},
                {
                    "type": "object",
                    "properties": {"cookie": {"type": "string", "pattern": f"^{COOKIE_NAME}$"}},
                    "required": ["cookie"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]


class Rate(Section):
    """At most `count` requests in `period` seconds, `burst` of them at once."""

    count: int
    period: float
    burst: int


def _rate(value: Any) -> Rate:
    if isinstance(value, Rate):
        return value
    burst = None
    if isinstance(value, dict) and set(value) in ({"limit"}, {"limit", "burst"}):
        value, burst = value["limit"], value.get("burst")
    if not isinstance(value, str):
        raise UnfitError("not a rate", "write it as in 600/m, or {limit: 600/m, burst: 100}")
    count, period = units.rate(value)
    wide = count if burst is None else units.count(str(burst))
    if wide < 1:
        raise UnfitError("a burst of nothing", "write 1 or more")
    return Rate(count=count, period=period, burst=wide)


Rated = Annotated[
    Rate,
    PlainValidator(_rate),
    WithJsonSchema(
        {
            "title": "rate",
            "anyOf": [
                {"type": "string", "pattern": units.RATE},
                {
                    "type": "object",
                    "properties": {
                        "limit": {"type": "string", "pattern": units.RATE},
                        "burst": {"type": ["integer", "string"]},
                    },
                    "required": ["limit"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]


class Rule(Section):
    """Who may pass: selectors (path, methods, host) choose the rule, requirements judge the caller."""

    path: Some[Pattern] = Field(
        description="`*` matches within a segment, `**` across segments; `/api/**` also matches `/api`.",
    )
    methods: ListOf[Method] = Field((), description="`GET` covers `HEAD`; every method where absent.")
    host: ListOf[Host] = Field(
        (), description="Without a port, on any port; every allowed host where absent."
    )
    name: Text = Field(
        default_factory=_rule_name,
        description="How the log calls it; made from what it selects where absent.",
    )
    public: Flag = Field(default=False, description="No token is needed; one that is sent must be valid.")
    any_host: Flag = Field(
        default=False, description="Answer whatever `Host` says (probes); on public rules only."
    )
    scopes: ListOf[Scope] = Field((), description="Scopes that are needed, all of them.")
    any_scopes: ListOf[Scope] = Field((), description="Scopes of which one is needed.")
    claims: Conditions = Field(default_factory=dict, description="What the token must claim.")
    issuers: ListOf[Text] = Field((), description="Issuers whose tokens are accepted; all where absent.")
    passthrough: tuple[Credential, ...] = Field(
        (),
        description="Without a token, one of these passes: the upstream's own login decides.",
    )
    rate: Rated | None = Field(
        None, description="Requests of one agent, as in `600/m`; without a token, of one client address."
    )


class Assertion(Section):
    """A short-lived JWT for the upstream, in `X-Agent-Assertion`: who calls, signed by this proxy."""

    key: File | None = Field(None, description="Its Ed25519 private key (PEM); made at start where absent.")
    issuer: Text = Field("", description="Its `iss`; the origin of `resource` where absent.")
    audience: Text = Field("", description="Its `aud`; `upstream.url` where absent.")
    ttl: Duration = Field("5m", validate_default=True, description="How long it is valid.")


class RevocationFile(Section):
    """Revocations in a file."""

    path: Path


class RevocationRedis(Section):
    """Revocations in a Redis."""

    url: RedisUrl


def _revocations(value: object, info: ValidationInfo) -> RevocationFile | RevocationRedis:
    if isinstance(value, RevocationFile | RevocationRedis):
        return value
    if not isinstance(value, str) or not value:
        raise UnfitError("not a place of revocations", "write a file's path, or the URL of a Redis")
    if "://" in value:
        return RevocationRedis.model_validate({"url": value})
    return RevocationFile(path=(info.context or Path()) / value)


Revocations = Annotated[
    RevocationFile | RevocationRedis,
    PlainValidator(_revocations),
    WithJsonSchema({"title": "file or URL of a Redis", "type": "string", "minLength": 1}),
]


class Redis(Section):
    """What workers and replicas share."""

    url: RedisUrl = Field(description="Where it is.")


def _redis(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class Limits(Section):
    """What clients may use."""

    header_bytes: Size = Field("32KiB", validate_default=True, description="A request's header block.")
    uri_bytes: Size = Field("8KiB", validate_default=True, description="A request's target.")
    connections: Count = Field(10000, description="Client connections at the same time.")
    head_timeout: Duration = Field("10s", validate_default=True, description="To send a request's head.")


class Log(Section):
    """Where access lines go."""

    output: Annotated[Text, WithJsonSchema({"title": "stdout or file", "type": "string", "minLength": 1})] = (
        Field("stdout", description="Where access lines go.")
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


def _upstream(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class Config(Section):
    """A whole configuration."""

    listen: Listen = Field(
        "127.0.0.1:8080",
        validate_default=True,
        description="Where clients connect; port 0 lets the system choose.",
    )
    admin: None = Field(None, description="The admin listener: null until it exists.")
    upstream: Annotated[Upstream, BeforeValidator(_upstream, json_schema_input_type=str | Upstream)] = Field(
        description="The server that is protected: its URL alone, or a mapping."
    )
    resource: UrlText | None = Field(
        None, description="This server's identifier: the default audience, and RFC 9728 metadata."
    )
    hosts: ListOf[Host] = Field(
        (),
        description="What `Host` may say beside the host of `resource`, each with its port or for any port.",
    )
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
    redis: Annotated[Redis, BeforeValidator(_redis, json_schema_input_type=str | Redis)] | None = Field(
        None, description="Where workers and replicas share used proofs and rates: its URL, or a mapping."
    )
    limits: Limits = Field(default_factory=Limits, description="What clients may use.")
    log: Log = Field(default_factory=Log, description="The access log.")

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
