"""What an MCP server's callers may do: one entry of a rule's `mcp` each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from proxy.config import globs
from proxy.config.conditions import ArgumentCondition
from proxy.config.document import core, mapped
from proxy.config.faults import UnfitError
from proxy.config.kinds import Conditions, ListOf, Scope, Some, Text
from proxy.config.rate import Rated  # noqa: TC001 - pydantic reads the annotation
from proxy.config.section import Section


def _argument(value: object) -> ArgumentCondition:
    return value if isinstance(value, ArgumentCondition) else ArgumentCondition.read(value)


Named = Annotated[Text, WithJsonSchema({"title": "name pattern", "type": "string", "minLength": 1})]
Uri = Annotated[
    str,
    AfterValidator(globs.check_uri),
    WithJsonSchema({"title": "URI pattern", "type": "string", "minLength": 1}),
]
Arguments = Annotated[
    dict[Text, Annotated[ArgumentCondition, PlainValidator(_argument)]],
    BeforeValidator(lambda tree: mapped(tree, core)),
    WithJsonSchema(
        {
            "title": "conditions by argument",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": ["string", "number", "boolean", "array", "object"]},
        }
    ),
]


class Entry(Section):
    """What of an MCP server it is about (all that is named), and what its caller then needs."""

    tool: Some[Named] = Field((), description="Tools by name; `*` and `?` stand for anything.")
    resource: Some[Uri] = Field((), description="Resources by URI; `*` and `?` stop at `/`, `**` does not.")
    prompt: Some[Named] = Field((), description="Prompts by name; `*` and `?` stand for anything.")
    method: Some[Named] = Field(
        (), description="Methods of MCP, as in `tools/call`; `*` and `?` stand for anything."
    )
    arguments: Arguments = Field(
        default_factory=dict,
        description="What arguments must be; one that is missing or of another type selects nothing.",
    )
    scopes: ListOf[Scope] = Field((), description="Scopes that are needed beside the rule's, all of them.")
    any_scopes: ListOf[Scope] = Field((), description="Scopes of which one is needed.")
    claims: Conditions = Field(default_factory=dict, description="What the token must claim.")
    rate: Rated | None = Field(None, description="Such calls of one agent, as in `60/m`.")


class Mcp(Section):
    """A rule's `mcp`: its entries, None where every operation passes."""

    entries: tuple[Entry, ...] | None = None


_WRITE = "write true, or a list of entries"


def _mcp(value: object) -> object:
    if isinstance(value, Mcp):
        return value
    if isinstance(value, (list, tuple)):
        if not value:
            raise UnfitError("empty: every tool would be refused", _WRITE)
        return {"entries": value}
    if value in (False, "false"):
        raise UnfitError("false, as it is where the key is absent", "leave the key out")
    if value not in (True, "true"):
        raise UnfitError("neither true nor a list of entries", _WRITE)
    return Mcp()


Served = Annotated[
    Mcp,
    BeforeValidator(
        _mcp, json_schema_input_type=Literal[True] | Annotated[tuple[Entry, ...], Field(min_length=1)]
    ),
]
