"""Who may pass: what selects a request, and what is then asked of its caller."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from proxy.config.entry import Served  # noqa: TC001 - pydantic reads the annotation
from proxy.config.faults import UnfitError
from proxy.config.kinds import (  # noqa: TC001 - as above
    Conditions,
    Flag,
    Host,
    ListOf,
    Method,
    Origin,
    Pattern,
    Scope,
    Share,
    Some,
    Text,
)
from proxy.config.rate import Rated  # noqa: TC001 - as above
from proxy.config.section import Section

COOKIE_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 6265 section 4.1.1


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


def _rule_name(data: dict[str, Any]) -> str:
    """Name a rule after what it selects: stable for as long as that is."""
    methods, hosts, paths = (",".join(data[key]) for key in ("methods", "host", "path"))
    return f"{methods} {hosts}{paths}".lstrip()


class RuleLog(Section):
    """What of a rule's requests is logged."""

    sample: Share | None = Field(
        None,
        description="The share of requests that went well of which there is a line; all where absent.",
    )


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
    upgrade: ListOf[Literal["websocket"]] = Field(
        (), description="Protocols that a connection may change to; none where absent."
    )
    mcp: Served | None = Field(
        None,
        description="An MCP server: true seals sessions and logs; of entries, the first match decides.",
    )
    transport: Literal["auto", "streamable", "sse"] = Field(
        "auto", description="How MCP is spoken: streamable HTTP, or the HTTP with SSE of 2024-11-05."
    )
    origins: Some[Origin] = Field((), description="What `Origin` may say here; the top level's where absent.")
    cors: Flag | None = Field(None, description="As at the top level, whose it is where absent.")
    log: RuleLog = Field(default_factory=RuleLog, description="What of its requests is logged.")
