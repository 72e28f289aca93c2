"""How often one caller may come."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from proxy.config import units
from proxy.config.faults import UnfitError
from proxy.config.section import Section


class Rate(Section):
    """At most `count` requests in `period` seconds, `burst` of them at once."""

    count: int
    period: float
    burst: int


def _rate(value: Any) -> Rate:
    if isinstance(value, Rate):
        return value
    burst = None
    if isinstance(value, dict) and set(value) in ({"limit"}, {"limit", "burst"}):
        value, burst = value["limit"], value.get("burst")
    if not isinstance(value, str):
        raise UnfitError("not a rate", "write it as in 600/m, or {limit: 600/m, burst: 100}")
    count, period = units.rate(value)
    wide = count if burst is None else units.count(str(burst))
    if wide < 1:
        raise UnfitError("a burst of nothing", "write 1 or more")
    return Rate(count=count, period=period, burst=wide)


Rated = Annotated[
    Rate,
    PlainValidator(_rate),
    WithJsonSchema(
        {
            "title": "rate",
            "anyOf": [
                {"type": "string", "pattern": units.RATE},
                {
                    "type": "object",
                    "properties": {
                        "limit": {"type": "string", "pattern": units.RATE},
                        "burst": {"type": ["integer", "string"]},
                    },
                    "required": ["limit"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]
