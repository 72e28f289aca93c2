"""The configuration in force as JSON, without what is secret.

Pure. Keys are spelled as in the file; durations are seconds, sizes bytes. A kind of value that this file does
not know is masked: what is new must not be shown before somebody has thought about it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from proxy.config import Address, ArgumentCondition, Condition, JwksInline, addresses

if TYPE_CHECKING:
    from proxy.config import Config

_MASK = "***"
# All that a public key has (RFC 7517, RFC 7518 section 6); whatever else stands there may be the private one.
_PUBLIC = frozenset({"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "x5t", "x5t#S256"})
_USERINFO = re.compile(r"(?<=://)[^/?#@]*@")
_QUERY = re.compile(r"(?<=[?#]).+", re.DOTALL)


def masked(config: Config) -> dict[str, Any]:
    """Return a configuration as a tree of plain values."""
    return _section(config)


def _section(section: BaseModel) -> dict[str, Any]:
    return {
        field.alias or name: _shown(getattr(section, name))
        for name, field in type(section).model_fields.items()
    }


def _shown(value: object) -> Any:  # noqa: PLR0911 - one for each kind
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (Path, IPv4Network, IPv6Network)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return _model(value)
    if isinstance(value, (Condition, ArgumentCondition)):
        return _condition(value)
    return _MASK


def _text(text: str) -> str:
    """Leave out of a URL where secrets stand: userinfo, query and fragment (RFC 3986 section 3)."""
    if "://" not in text:
        return text
    return _QUERY.sub(_MASK, _USERINFO.sub(f"{_MASK}@", text))


def _model(value: BaseModel) -> Any:
    if isinstance(value, Address):
        if value.unix is not None:
            return f"unix:{value.unix}"
        return f"{addresses.bracketed(value.host or '')}:{value.port}"
    if isinstance(value, JwksInline):
        return {"keys": [_public(key) for key in value.keys["keys"]]}
    return _section(value)


def _public(key: dict[str, Any]) -> dict[str, Any]:
    return {name: _shown(value) if name in _PUBLIC else _MASK for name, value in key.items()}


def _condition(condition: Condition | ArgumentCondition) -> Any:
    """Show a condition as a person writes it; patterns of text as they are matched."""
    if isinstance(condition, ArgumentCondition):
        if condition.present is not None:
            return {"present": condition.present}
        if condition.text is not None:
            return [{"matches": condition.text.pattern}, *condition.other.one_of]
        condition = condition.other
    if condition.one_of:
        return list(condition.one_of)
    bounds = {"min": condition.minimum, "max": condition.maximum}
    return {name: bound for name, bound in bounds.items() if bound is not None}
