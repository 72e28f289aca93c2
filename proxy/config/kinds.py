"""The kinds of values that keys take: how a person writes each, and the schema that editors show for it.

Each kind reads text, as YAML scalars arrive here; values that Python code passes (numbers, tuples) stay
as they are and are checked all the same. `title` in a kind's schema is its name in the reference table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue  # noqa: TC002 - pydantic reads the annotation
from pydantic_core import CoreSchema, core_schema

from proxy.config import addresses, patterns, units
from proxy.config.conditions import Condition, flatten
from proxy.config.document import core, mapped
from proxy.config.faults import UnfitError

T = TypeVar("T")

_TEXT = r"^[^\x00-\x1f\x7f]+$"
_SCOPE = r"^[!#-\[\]-~]+$"  # RFC 6749 3.3
_METHOD = (
    r"^[!#$%&'*+.^_`|~0-9A-Z-]+$"  # RFC 9110 5.6.2; methods are case-sensitive (9.1), those in use upper case
)
_MEDIA_TYPE = r"^([A-Za-z0-9!#$&^_.+-]+/)?[A-Za-z0-9!#$&^_.+-]+$"  # RFC 6838 4.2
_HEADER = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110 5.1
_REFERENCE = {"type": "string", "pattern": r"^\$\{.+\}$"}

_SHORTEST_KEY = 32
_MOST_WORKERS = 256
# Each may wait for a connection: nobody should be kept for minutes.
_MOST_RETRIES = 10

# As the wire folds what clients send: what it takes for an identity header is none of the upstream's own.
_PUNCTUATION = "!#$%&'*+.^_`|~"
_FOLD = str.maketrans(_PUNCTUATION, "-" * len(_PUNCTUATION))

ALGORITHMS = (
    "EdDSA",
    "Ed25519",
    "Ed448",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
)


class OneOrList:
    """A list that may be written as its one item; an `empty` one may be refused."""

    def __init__(self, *, empty: bool) -> None:
        self._empty = empty

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap a lone item before the list is checked."""
        return core_schema.no_info_before_validator_function(self._listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe both spellings."""
        array = handler(schema)
        return {"anyOf": [array["items"], array if self._empty else {**array, "minItems": 1}]}

    def _listed(self, value: object) -> object:
        if isinstance(value, str):
            return (value,)
        if isinstance(value, (list, tuple)) and not value and not self._empty:
            raise UnfitError("empty", "name at least one, or leave the key out")
        return value


def _from_text(read: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _matching(pattern: str, problem: str, remedy: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        # `$` also matches before a final newline: fullmatch does not.
        if compiled.fullmatch(value) is None:
            raise UnfitError(problem, remedy)
        return value

    return AfterValidator(check)


def _described(title: str, *others: JsonSchemaValue, **schema: Any) -> WithJsonSchema:
    if others:
        return WithJsonSchema({"title": title, "anyOf": [schema, *others]})
    return WithJsonSchema({"title": title, **schema})


def _positive(value: float) -> float:
    if not value > 0:
        raise UnfitError("zero or less", "write a value above zero")
    return value


def _partial(value: float) -> float:
    if not 0 < value < 1:
        raise UnfitError("no share", "write a number between 0 and 1, as in 0.25")
    return value


def _few(value: int) -> int:
    if value > _MOST_RETRIES:
        raise UnfitError(f"not a number from 0 to {_MOST_RETRIES}", "write one; 0 is never")
    return value


def spelling(header: str) -> str:
    """Return what all spellings of a header name share: upstreams fold case, and some punctuation."""
    return header.lower().translate(_FOLD)


def _url(text: str) -> str:
    addresses.url(text)
    return text


def _upstream_url(text: str) -> str:
    addresses.target(text)
    return text


def _algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        never = name.upper().startswith("HS") or name.lower() == "none"
        problem = "an algorithm that is never accepted" if never else "an unknown algorithm"
        raise UnfitError(problem, f"choose from {', '.join(ALGORITHMS)}")
    return name


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value)  # type: ignore[arg-type] # whatever is no network raises
    except ValueError:
        raise UnfitError(
            "not a network", "write it as in 10.0.0.0/8, with no bits set behind the mask"
        ) from None


def _file(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise UnfitError("not a path", "write a path; a relative one starts at the configuration file")
    return (info.context or Path()) / value


def _secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    # In a header, a line end would begin another one.
    if not isinstance(value, str) or re.fullmatch(_TEXT, value) is None or value != value.strip():
        problem = "empty, with spaces around it or with control characters"
        raise UnfitError(problem, "write the secret alone, as in ${NAME} or ${file:/run/secrets/name}")
    return SecretStr(value)


def _session_key(value: object) -> SecretStr:
    key = _secret(value)
    if len(key.get_secret_value()) < _SHORTEST_KEY:
        raise UnfitError(
            f"shorter than {_SHORTEST_KEY} characters",
            "write a random one, as openssl rand -base64 32 makes it",
        )
    return key


def _workers(value: object) -> object:
    if value == "auto":
        return "auto"
    count = units.count(value) if isinstance(value, str) else value
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= _MOST_WORKERS:
        raise UnfitError(f"not a number from 1 to {_MOST_WORKERS}", "write one, or auto")
    return count


def _redis_url(value: SecretStr) -> SecretStr:
    addresses.redis(value.get_secret_value())
    return value


def _conditions(tree: object) -> object:
    return flatten(tree) if isinstance(tree := mapped(tree, core), Mapping) else tree


def _condition(value: object) -> Condition:
    return value if isinstance(value, Condition) else Condition.read(value)


ListOf = Annotated[tuple[T, ...], OneOrList(empty=True)]
Some = Annotated[tuple[T, ...], OneOrList(empty=False)]

Flag = Annotated[bool, _from_text(units.flag), _described("true or false", _REFERENCE, type="boolean")]
Count = Annotated[
    int,
    _from_text(units.count),
    AfterValidator(_positive),
    _described("number", _REFERENCE, type="integer", minimum=1),
]
Retries = Annotated[
    int,
    _from_text(units.count),
    AfterValidator(_few),
    _described("number", _REFERENCE, type="integer", minimum=0, maximum=_MOST_RETRIES),
]
Workers = Annotated[
    int | Literal["auto"],
    BeforeValidator(_workers),
    _described(
        "number or `auto`", {"enum": ["auto"]}, _REFERENCE, type="integer", minimum=1, maximum=_MOST_WORKERS
    ),
]
Size = Annotated[
    int,
    _from_text(units.size),
    AfterValidator(_positive),
    _described("size", _REFERENCE, type="string", pattern=units.SIZE),
]
Leeway = Annotated[
    float,
    _from_text(units.duration),
    _described("duration", _REFERENCE, type="string", pattern=units.DURATION),
]
Duration = Annotated[Leeway, AfterValidator(_positive)]

Share = Annotated[
    float,
    _from_text(units.share),
    AfterValidator(_partial),
    _described("share", _REFERENCE, type="number", exclusiveMinimum=0, exclusiveMaximum=1),
]

Text = Annotated[
    str,
    _matching(_TEXT, "empty, or with control characters", "write visible characters"),
    _described("text", type="string", minLength=1),
]
File = Annotated[Path, PlainValidator(_file), _described("file", type="string", minLength=1)]
Secret = Annotated[SecretStr, PlainValidator(_secret), _described("secret", type="string", minLength=1)]
SessionKey = Annotated[
    SecretStr, PlainValidator(_session_key), _described("secret", type="string", minLength=1)
]
RedisUrl = Annotated[
    SecretStr,
    PlainValidator(lambda value: _redis_url(_secret(value))),
    _described("URL of a Redis", type="string", minLength=1),
]
UrlText = Annotated[str, AfterValidator(_url), _described("URL", type="string")]
UpstreamUrl = Annotated[
    str,
    AfterValidator(_upstream_url),
    _described("URL or unix:/path", type="string"),
]
Scope = Annotated[
    str,
    _matching(_SCOPE, "not a scope", 'write visible ASCII without space, " and backslash'),
    _described("scope", type="string", pattern=_SCOPE),
]
Method = Annotated[
    str,
    _matching(_METHOD, "not a method", "write it in upper case, as in GET"),
    _described("method", type="string", pattern=_METHOD),
]
TokenType = Annotated[
    str,
    _matching(_MEDIA_TYPE, "not a media type", "write it as in at+jwt, or none"),
    _described("media type", type="string", pattern=_MEDIA_TYPE),
]
HeaderName = Annotated[
    str,
    _matching(_HEADER, "not a header name", "write letters, digits and hyphens, as in X-Agent-Id"),
    _described("header name", type="string", pattern=_HEADER),
]
Algorithm = Annotated[str, AfterValidator(_algorithm), _described("algorithm", enum=list(ALGORITHMS))]
Host = Annotated[str, AfterValidator(addresses.place), _described("host", type="string")]
HostName = Annotated[
    str,
    _matching(r"[A-Za-z0-9.:-]+", "no name of a host", "write the name, or the address, alone"),
    _described("host", type="string"),
]
Origin = Annotated[str, AfterValidator(addresses.origin), _described("origin", type="string")]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), _described("network", type="string")]
Pattern = Annotated[
    str, AfterValidator(patterns.check), _described("path pattern", type="string", pattern="^/")
]
Conditions = Annotated[
    dict[Text, Annotated[Condition, PlainValidator(_condition)]],
    BeforeValidator(_conditions),
    _described(
        "conditions by claim",
        type="object",
        additionalProperties={"type": ["string", "number", "boolean", "array", "object"]},
    ),
]
