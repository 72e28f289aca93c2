"""Where the proxy listens, for clients and for whoever operates it, and what the latter must show."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretStr,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue  # noqa: TC002 - pydantic reads the annotation
from pydantic_core import CoreSchema  # noqa: TC002 - pydantic reads the annotation

from proxy.config import addresses
from proxy.config.faults import UnfitError
from proxy.config.section import Section

# A person may type it, so anybody may try: nothing shorter holds.
_SHORTEST_TOKEN = 16
_WORD = r"[!-~]+"  # what a header can carry as one word


class Address(Section):
    """Where to listen: TCP `host` and `port`, or a `unix` socket's path."""

    host: str | None = None
    port: int | None = None
    unix: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Only this machine can connect: a loopback address or a unix socket."""
        return self.unix is not None or (self.host is not None and addresses.is_loopback(self.host))


def _listen(value: object) -> Address:
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise UnfitError("not an address", "write host:port or unix:/path")
    if value.startswith("unix:"):
        return Address(unix=addresses.socket_path(value))
    host, port = addresses.listen(value)
    return Address(host=host, port=port)


def _token(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str) or re.fullmatch(_WORD, value) is None or len(value) < _SHORTEST_TOKEN:
        raise UnfitError(
            f"not {_SHORTEST_TOKEN} visible characters or more",
            "write a random one, as openssl rand -hex 16 makes it",
        )
    return SecretStr(value)


Listen = Annotated[
    Address,
    PlainValidator(_listen),
    WithJsonSchema({"title": "host:port or unix:/path", "type": "string"}),
]


class AdminListener(Section):
    """Where health, metrics and the dashboard are shown, and to whom."""

    listen: Listen = Field(
        "127.0.0.1:9901",
        validate_default=True,
        description="Where it listens; port 0 lets the system choose.",
    )
    token: (
        Annotated[
            SecretStr,
            PlainValidator(_token),
            WithJsonSchema({"title": "secret", "type": "string", "minLength": 1}),
        ]
        | None
    ) = Field(
        None,
        description="Who sends it may see the dashboard and the configuration; "
        "beyond loopback nobody does without one.",
    )

    @property
    def is_open(self) -> bool:
        """Whoever can connect may see everything: only this machine can, and no token is asked for."""
        return self.listen.is_loopback and self.token is None

    @property
    def is_closed(self) -> bool:
        """Nobody may see more than health and metrics."""
        return not self.listen.is_loopback and self.token is None


class _AddressOrMapping:
    """An address alone stands for a mapping that only says where to listen."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe all that may be written."""
        mapping = handler(schema)
        title = "host:port, unix:/path, mapping or null"
        return {"title": title, "anyOf": [{"type": "string"}, mapping, {"type": "null"}]}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Leave the validation as it is."""
        return handler(source)


def _mapped(value: object) -> object:
    """Take an address, or what should be one, for a mapping; a mistake in it is told as one of an address."""
    if isinstance(value, (str, Address)):
        return AdminListener(listen=_listen(value))
    return value


Admin = Annotated[AdminListener | None, BeforeValidator(_mapped), _AddressOrMapping()]
