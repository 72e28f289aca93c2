"""The JSON Schema of the file as a person may write it, shorthand included: for editors and reviewers.

It checks what an editor can; `load` checks everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from proxy.config.schema import Config

if TYPE_CHECKING:
    from pydantic_core import core_schema


class _Written(GenerateJsonSchema):
    """pydantic's schema without what nobody writes: titles made of names, and null for "absent"."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        if written.get("default", ...) is None and written.get("type") != "null":
            del written["default"]
        return written


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a configuration file."""
    written = Config.model_json_schema(schema_generator=_Written)
    return {"$schema": _Written.schema_dialect, **written, "title": "Keystile configuration"}
