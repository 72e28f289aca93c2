"""The JSON body of a refusal. Pure; nothing of the credential can reach it: there is no field for it."""

from __future__ import annotations

import msgspec


class _Body(msgspec.Struct, gc=False):
    error: str
    error_description: str
    reason: str
    request_id: str


_ENCODER = msgspec.json.Encoder()


def body(error: str, description: str, reason: str, request_id: str) -> bytes:
    """Return a refusal as JSON; `request_id` finds its line in the log."""
    return _ENCODER.encode(_Body(error, description, reason, request_id))
