"""The tree against the schema: every fault of shape at once, each where the person wrote it.

pydantic's errors are translated: their location is no YAML path (shorthand is wrapped, aliases are
resolved) and their input may be a secret, so neither goes on as it is.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from proxy.config.document import Slip
from proxy.config.faults import UnfitError
from proxy.config.later import LATER
from proxy.config.schema import Config
from proxy.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from proxy.config.faults import Location

_LATER_REMEDY = "leave it out"

_WORDS = {
    "missing": ("missing", "add it"),
    "none_required": ("not supported yet", _LATER_REMEDY),
    "model_type": ("not a mapping", "write keys and values under it"),
    "dict_type": ("not a mapping", "write keys and values under it"),
    "tuple_type": ("not a list", "write a list"),
}
_ONE_VALUE = ("not a single value", "write one value")

# A rule's name is made of its selectors: where one of those has a fault, this is no second one.
_CONSEQUENCE = "default_factory_not_called"


def check(tree: object, folder: Path) -> Config | list[Slip]:
    """Return the configuration that `tree` writes, or all that is wrong with its shape.

    Relative paths in it are relative to `folder`.
    """
    try:
        return Config.model_validate(tree, context=folder, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return [_slip(detail) for detail in details if detail["type"] != _CONSEQUENCE]


def _slip(detail: ErrorDetails) -> Slip:
    kind, at = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return Slip(at, *_unknown(at))
    context = detail.get("ctx", {})
    if isinstance(error := context.get("error"), UnfitError):
        problem, remedy = error.problem, error.remedy
    elif kind == "literal_error":
        problem, remedy = "not one of its values", f"write {context['expected']}"
    else:
        problem, remedy = _WORDS.get(kind, _ONE_VALUE)
    return Slip(at, problem, remedy)


def _unknown(at: Location) -> tuple[str, str]:
    section, key = _section(at[:-1]), str(at[-1])
    if key in LATER.get(section, ()):
        return "not supported yet", _LATER_REMEDY
    names = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(key, names, n=1)
    return "unknown key", f"did you mean {close[0]}?" if close else f"choose from {', '.join(sorted(names))}"


def _section(at: Location) -> type[Section]:
    """Return the level of the schema that stands at a location."""
    section: type[Section] = Config
    for step in at:
        fields = {field.alias or name: field for name, field in section.model_fields.items()}
        if step in fields:
            section = next(_sections(fields[str(step)].annotation), section)
    return section


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)
