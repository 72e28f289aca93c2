"""Where what outlives a request is kept: revocations, and what workers and replicas share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from proxy.config.faults import UnfitError
from proxy.config.kinds import RedisUrl  # noqa: TC001 - pydantic reads the annotation
from proxy.config.section import Section


class RevocationFile(Section):
    """Revocations in a file."""

    path: Path


class RevocationRedis(Section):
    """Revocations in a Redis."""

    url: RedisUrl


def _revocations(value: object, info: ValidationInfo) -> RevocationFile | RevocationRedis:
    if isinstance(value, RevocationFile | RevocationRedis):
        return value
    if not isinstance(value, str) or not value:
        raise UnfitError("not a place of revocations", "write a file's path, or the URL of a Redis")
    if "://" in value:
        return RevocationRedis.model_validate({"url": value})
    return RevocationFile(path=(info.context or Path()) / value)


Revocations = Annotated[
    RevocationFile | RevocationRedis,
    PlainValidator(_revocations),
    WithJsonSchema({"title": "file or URL of a Redis", "type": "string", "minLength": 1}),
]


class Redis(Section):
    """What workers and replicas share."""

    url: RedisUrl = Field(description="Where it is.")
