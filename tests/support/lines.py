"""Holds access lines against the schema of their format, as it is published."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from jsonschema_rs import Draft202012Validator, validator_for

_CONFIG = Path(__file__).parents[2] / "config"


@cache
def _validator(form: str, fields: bool) -> Draft202012Validator:
    schema = json.loads((_CONFIG / f"log.{form}.schema.json").read_text())
    if form == "keystile" and not fields:
        # Without fields of the operator's nothing is in a line but what the schema names.
        schema["additionalProperties"] = False
    return validator_for(schema)


def assert_valid(written: bytes, form: str = "keystile", *, fields: bool = False) -> None:
    """Every line is one JSON object of printable ASCII that its schema knows; `fields` says that it may have some."""
    validator = _validator(form, fields)
    for line in written.split(b"\n")[:-1]:
        assert line.isascii(), line
        assert line.decode().isprintable(), line
        faults = [
            f"{fault.instance_path}: {fault.message}" for fault in validator.iter_errors(json.loads(line))
        ]
        assert faults == [], line
