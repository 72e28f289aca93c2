"""What every level of the file is: its keys are known, its values are frozen and never shown."""

from __future__ import annotations

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """One level of the file: unknown keys are refused, values never appear in errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True, validate_by_alias=True
    )


def shorthand(key: str, written: object) -> BeforeValidator:
    """Take text alone for a mapping with that one `key`; `written` is what the key or the mapping may be."""
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value, json_schema_input_type=written
    )
