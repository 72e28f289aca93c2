"""Who may sign tokens, with which keys, and what the tokens must say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from proxy.config import addresses
from proxy.config.document import mapped
from proxy.config.faults import UnfitError
from proxy.config.kinds import (
    ALGORITHMS,
    Algorithm,
    Conditions,
    Duration,
    File,
    Flag,
    Leeway,
    ListOf,
    Scope,
    Secret,
    Some,
    Text,
    TokenType,
    UrlText,
)
from proxy.config.section import Section, shorthand

_DPOP = Literal["off", "optional", "required"]


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
    dpop: Annotated[Dpop, shorthand("mode", _DPOP | Dpop)] = Field(
        default_factory=Dpop,
        description="Whether tokens are bound to a key: the mode alone, or a mapping.",
    )
