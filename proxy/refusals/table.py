"""What each refusal says to the caller: status, error code, one sentence, when to come back.

Data. The sentence is what helps the caller act; which check failed in detail goes to the log alone. Error
codes are OAuth's where one fits (RFC 6750 section 3.1, RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.model import Reason


class Row(Struct, frozen=True):
    """One refusal.

    `error` is the body's error code, and the challenge's where `challenge` says that there is one and the
    request had a credential. `tells` lets the refusal's own detail take the sentence's place: it names
    nothing but what the rule asks for and the caller itself said. `retry_after` is in seconds. `code` is the
    error's in JSON-RPC, the status where that has none of its own (application codes lie outside -32768 to
    -32000).
    """

    status: int
    error: str
    sentence: str
    challenge: bool = False
    tells: bool = False
    retry_after: int | None = None
    code: int | None = None


def _request(status: int, sentence: str) -> Row:
    return Row(status, "invalid_request", sentence)


def _token(sentence: str) -> Row:
    return Row(401, "invalid_token", sentence, challenge=True)


def _access(sentence: str) -> Row:
    return Row(403, "access_denied", sentence)


def _absent(sentence: str) -> Row:
    return Row(404, "not_found", sentence)


def _unavailable(sentence: str, retry_after: int) -> Row:
    return Row(503, "temporarily_unavailable", sentence, retry_after=retry_after)


_NOT_ACCEPTED: Final = _token("The access token is not accepted here.")

TABLE: Final[dict[Reason, Row]] = {
    Reason.PATH_AMBIGUOUS: _request(400, "The path can be read in more than one way."),
    Reason.REQUEST_MALFORMED: _request(400, "The request is malformed."),
    Reason.CREDENTIAL_DUPLICATED: Row(400, "invalid_request", "Send one credential only.", challenge=True),
    Reason.MCP_MALFORMED: Row(
        400,
        "invalid_request",
        "The body is no JSON-RPC message with only one reading.",
        tells=True,
        code=-32600,  # JSON-RPC 2.0 section 5.1
    ),
    Reason.MCP_MISMATCH: Row(
        400,
        "invalid_request",
        "The MCP headers and the body disagree.",
        tells=True,
        code=-32020,  # MCP 2026-07-28, Streamable HTTP
    ),
    Reason.CREDENTIAL_MISSING: Row(401, "unauthorized", "An access token is needed.", challenge=True),
    Reason.TOKEN_MALFORMED: _token("The access token is malformed."),
    Reason.SIGNATURE_INVALID: _NOT_ACCEPTED,
    Reason.ALGORITHM_REFUSED: _NOT_ACCEPTED,
    Reason.TYPE_REFUSED: _token("The token is no access token."),
    Reason.KEY_UNKNOWN: _NOT_ACCEPTED,
    Reason.ISSUER_UNKNOWN: _NOT_ACCEPTED,
    Reason.AUDIENCE_MISMATCH: _token("The access token was issued for another resource."),
    Reason.TOKEN_EXPIRED: _token("The access token has expired."),
    Reason.TOKEN_NOT_YET_VALID: _token("The access token is not valid yet."),
    Reason.CLAIM_MISSING: _token("The access token lacks a claim that is needed here."),
    Reason.TOKEN_REVOKED: _token("The access token has been revoked."),
    Reason.PROOF_INVALID: _token("The proof of possession is missing or not accepted."),
    Reason.TOKEN_INACTIVE: _token("The access token is not active."),
    Reason.SCOPE_INSUFFICIENT: Row(
        403, "insufficient_scope", "The access token lacks a scope.", challenge=True, tells=True
    ),
    Reason.CLAIM_REFUSED: _access("This token may not do this."),
    Reason.OPERATION_REFUSED: Row(403, "access_denied", "This operation is not allowed.", tells=True),
    Reason.ORIGIN_REFUSED: _access("This origin is not allowed."),
    Reason.UPGRADE_REFUSED: _access("This connection cannot be upgraded."),
    Reason.ROUTE_UNMATCHED: _absent("There is nothing here."),
    Reason.SESSION_FOREIGN: _absent("No such session of yours is open here. Begin one with initialize."),
    Reason.OPERATION_UNKNOWN: Row(
        404,
        "not_found",
        "There is no such operation.",
        tells=True,
        code=-32601,  # JSON-RPC 2.0 section 5.1
    ),
    Reason.METHOD_REFUSED: Row(405, "method_not_allowed", "This method is not allowed here."),
    Reason.REQUEST_TIMEOUT: _request(408, "The request did not arrive in time."),
    Reason.HOST_REFUSED: _request(421, "This server does not answer to that host name."),
    Reason.BODY_TOO_LARGE: _request(413, "The body is too large."),
    Reason.URI_TOO_LONG: _request(414, "The request target is too long."),
    Reason.MEDIA_TYPE_REFUSED: _request(415, "This media type is not accepted here."),
    Reason.HEADERS_TOO_LARGE: _request(431, "The request header is too large."),
    Reason.RATE_LIMITED: Row(429, "rate_limited", "Too many requests.", retry_after=1),
    Reason.INTERNAL_ERROR: Row(500, "server_error", "Something failed here; nothing was forwarded."),
    Reason.UPSTREAM_UNREACHABLE: Row(
        502,
        "bad_gateway",
        "The upstream cannot be reached.",
        retry_after=1,  # as long as the wire lets it be at most, until it tries again
    ),
    Reason.UPSTREAM_MALFORMED: Row(502, "bad_gateway", "The upstream's answer is malformed."),
    Reason.UPSTREAM_CREDENTIAL_REFUSED: Row(502, "bad_gateway", "The upstream refused this proxy."),
    Reason.KEYS_UNAVAILABLE: _unavailable("The issuer's keys cannot be had at present.", 5),
    Reason.INTROSPECTION_UNAVAILABLE: _unavailable("The token cannot be checked at present.", 5),
    Reason.AUDIT_UNAVAILABLE: _unavailable("The access log is full.", 1),
    Reason.OVERLOADED: _unavailable("Too much is going on here at present.", 1),
    Reason.DRAINING: _unavailable("This server is shutting down.", 1),
    Reason.UPSTREAM_TIMEOUT: Row(504, "gateway_timeout", "The upstream did not answer in time."),
    # For the log alone: nobody is left to read it.
    Reason.CLIENT_CLOSED: Row(499, "client_closed", "The client closed the connection."),
}
