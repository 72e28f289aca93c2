"""The body of a refusal, in JSON or in JSON-RPC. Pure; it has no field for a credential."""

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


class _Data(msgspec.Struct, gc=False):
    reason: str
    request_id: str


class _Error(msgspec.Struct, gc=False):
    code: int
    message: str
    data: _Data


def rpc_body(code: int, message: str, reason: str, request_id: str, answers: bytes) -> bytes:
    """Return a refusal as a JSON-RPC error response (JSON-RPC 2.0 section 5).

    `answers` is the request's `id` as JSON; where it is empty the response has none, for null would be an id.
    """
    error = _ENCODER.encode(_Error(code, message, _Data(reason, request_id)))
    said = b'"id":%b,' % answers if answers else b""
    return b'{"jsonrpc":"2.0",%b"error":%b}' % (said, error)
