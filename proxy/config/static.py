"""`log.fields`: members that every line has, and what they must not be called.

Pure. In every format they stand beside the log's own fields, and must be none of those.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from proxy.config.faults import UnfitError
from proxy.config.kinds import Text

_NAME: Final = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
_COMPILED: Final = re.compile(_NAME.removesuffix("$") + r"\Z", re.ASCII)

TAKEN: Final = frozenset(
    {
        "agent_id",
        "agent_name",
        "audience",
        "audit_url",
        "bytes_in",
        "bytes_out",
        "chain",
        "client",
        "client_request_id",
        "count",
        "decision",
        "duration_ms",
        "event",
        "issuer",
        "key_id",
        "level",
        "mcp",
        "method",
        "path",
        "prev",
        "reason",
        "reasons",
        "request_id",
        "required_scopes",
        "rule",
        "sample_rate",
        "scopes",
        "seq",
        "signature",
        "status",
        "timestamp",
        "token_id",
        "trace_id",
        "truncated",
        "until",
        "upstream_ms",
        "upstream_status",
        "user_agent",
        "worker",
    }
)
"""The names of the log's own fields."""


def _apart(fields: dict[str, str]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for name in fields:
        if _COMPILED.match(name) is None:
            raise UnfitError(f"{name!a} is no name", "write a-z, 0-9, _ and dots, as in service.name")
        if name.partition(".")[0] in TAKEN:
            raise UnfitError(f"{name} is a field of every line", "choose another name")
        # Elastic has no dots in labels, and a mapping where a name goes on.
        other = folded.setdefault(name.replace(".", "_"), name)
        if other != name:
            raise UnfitError(f"{other} and {name} are one label in ECS", "choose another name")
        for shorter in fields:
            if name.startswith(f"{shorter}."):
                raise UnfitError(f"{name} stands below {shorter}", "choose another name")
    return fields


Static = Annotated[
    dict[str, Text],
    AfterValidator(_apart),
    WithJsonSchema(
        {
            "title": "mapping to text",
            "type": "object",
            "propertyNames": {"pattern": _NAME, "not": {"pattern": rf"^({'|'.join(sorted(TAKEN))})(\.|$)"}},
            "additionalProperties": {"type": "string", "minLength": 1},
        }
    ),
]
