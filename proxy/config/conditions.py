"""What a claim or an argument must satisfy: equality, one of a list, or a range of numbers.

Pure, and closed on doubt: a missing claim, a null, an object or a value of another type never satisfies
anything. A truth value is no number, and NaN is in no range.
"""

from __future__ import annotations

import math
import re  # noqa: TC003 - pydantic reads the annotation
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from proxy.config.faults import UnfitError
from proxy.config.globs import compiled

Scalar = str | bool | int | float

_BOUNDS = frozenset({"min", "max"})
_WRITE = "write a value, a list of values, or {min: …, max: …}"


def lookup(claims: Mapping[str, object], name: str) -> object:
    """Return the claim called `name`, or None where it is absent.

    The name is tried whole first (Auth0's names are URLs and contain dots), then split at its dots, the
    longest first part first.
    """
    if name in claims:
        return claims[name]
    dot = name.rfind(".")
    while dot > 0:
        inner = claims.get(name[:dot])
        if isinstance(inner, Mapping):
            found = lookup(inner, name[dot + 1 :])
            if found is not None:
                return found
        dot = name.rfind(".", 0, dot)
    return None


@dataclass(frozen=True, slots=True)
class Condition:
    """One requirement on one claim: a value out of `one_of`, or else a number from `minimum` to `maximum`.

    A claim that is a list (groups, roles) satisfies `one_of` where one of its members does.
    """

    one_of: tuple[Scalar, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def read(cls, value: object) -> Condition:
        """Make a condition of what a person writes: a scalar, a list of scalars, or {min, max}.

        Raises:
            UnfitError: the value is none of these, is empty, or asks for the impossible.
        """
        if isinstance(value, Mapping):
            return cls._range(value)
        values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        if not values:
            raise UnfitError("an empty list, which nothing satisfies", _WRITE)
        if not all(isinstance(one, str | bool) or _is_number(one) for one in values):
            raise UnfitError("not a condition", _WRITE)
        return cls(one_of=values)

    @classmethod
    def _range(cls, bounds: Mapping[str, object]) -> Condition:
        if not bounds or not bounds.keys() <= _BOUNDS:
            raise UnfitError("a range with other keys than min and max", _WRITE)
        numbers = {bound: value for bound, value in bounds.items() if _is_number(value)}
        if len(numbers) < len(bounds):
            raise UnfitError("a bound that is not a number", "write min and max as numbers")
        low, high = numbers.get("min"), numbers.get("max")
        if low is not None and high is not None and low > high:
            raise UnfitError("min is greater than max, which nothing satisfies", "swap them")
        return cls(minimum=low, maximum=high)

    def holds(self, claims: Mapping[str, object], name: str) -> bool:
        """Say whether the claim called `name` satisfies this."""
        return self.admits(lookup(claims, name))

    def admits(self, value: object) -> bool:
        """Say whether a value satisfies this."""
        if self.one_of:
            members = value if isinstance(value, (list, tuple)) else (value,)
            return any(_same(member, wanted) for member in members for wanted in self.one_of)
        if not _is_number(value) or (self.minimum is None and self.maximum is None):
            return False
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )


_NEVER = Condition()


@dataclass(frozen=True, slots=True)
class ArgumentCondition:
    """One condition on one argument of a tool or a prompt: text, another scalar, or whether it is `present`.

    In text `*` and `?` stand for anything. Unlike a claim, an argument that is a list satisfies nothing: what
    a tool does with its other members is unknown. Null is present, and no value.
    """

    text: re.Pattern[str] | None = None
    other: Condition = _NEVER
    present: bool | None = None

    @classmethod
    def read(cls, value: object) -> ArgumentCondition:
        """Make a condition of what a person writes: a scalar, a list of them, {min, max} or {present}.

        Raises:
            UnfitError: the value is none of these, is empty, or asks for the impossible.
        """
        if isinstance(value, Mapping) and not value.keys() <= _BOUNDS:
            if value.keys() != {"present"} or not isinstance(value["present"], bool):
                raise UnfitError("not a condition", f"{_WRITE}, or {{present: true}}")
            return cls(present=value["present"])
        condition = Condition.read(value)
        globs = [one for one in condition.one_of if isinstance(one, str)]
        scalars = tuple(one for one in condition.one_of if not isinstance(one, str))
        return cls(
            text=compiled(globs) if globs else None,
            other=Condition(scalars, condition.minimum, condition.maximum),
        )

    def holds(self, arguments: Mapping[str, object], name: str) -> bool:
        """Say whether the argument called `name`, letter by letter, satisfies this."""
        if self.present is not None:
            return (name in arguments) is self.present
        value = arguments.get(name)
        if isinstance(value, str):
            return self.text is not None and self.text.fullmatch(value) is not None
        return not isinstance(value, (list, tuple)) and self.other.admits(value)


def _is_number(value: object) -> TypeGuard[float]:
    # An int is not asked whether it is finite: one beyond every float would raise.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _same(value: object, wanted: Scalar) -> bool:
    """Compare without Python's True == 1."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Turn {al_trust: {score: {min: 20}}} into {"al_trust.score": {min: 20}}.

    Raises:
        UnfitError: the same claim is named twice.
    """
    flat: dict[str, object] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, Mapping) and value and not value.keys() & _BOUNDS
        inner = flatten(value, f"{name}.") if nested else {name: value}  # type: ignore[arg-type] # a Mapping where nested
        if flat.keys() & inner.keys():
            raise UnfitError("a claim named twice", "name each claim once, with its condition")
        flat |= inner
    return flat
