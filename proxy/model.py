"""The values that flow through the house, and the seam between wire and gate.

Imports nothing of ours, does no I/O, has no clock. Every room may import this file; this file
imports none of them.

Values made once per request are `msgspec.Struct(gc=False)`: a frozen dataclass of the same
size costs thirty times as much to make.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol

from msgspec import Struct, field


class Reason(StrEnum):
    """Why a request was refused or failed: public API of the log, the answers and the tests.

    `refusals.table` maps each one to a status; a test holds the two sets equal.
    """

    PATH_AMBIGUOUS = "path_ambiguous"
    REQUEST_MALFORMED = "request_malformed"
    CREDENTIAL_DUPLICATED = "credential_duplicated"
    MCP_MALFORMED = "mcp_malformed"
    MCP_MISMATCH = "mcp_mismatch"

    CREDENTIAL_MISSING = "credential_missing"
    TOKEN_MALFORMED = "token_malformed"
    SIGNATURE_INVALID = "signature_invalid"
    ALGORITHM_REFUSED = "algorithm_refused"
    TYPE_REFUSED = "type_refused"
    KEY_UNKNOWN = "key_unknown"
    ISSUER_UNKNOWN = "issuer_unknown"
    AUDIENCE_MISMATCH = "audience_mismatch"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    CLAIM_MISSING = "claim_missing"
    TOKEN_REVOKED = "token_revoked"
    PROOF_INVALID = "proof_invalid"
    TOKEN_INACTIVE = "token_inactive"

    SCOPE_INSUFFICIENT = "scope_insufficient"
    CLAIM_REFUSED = "claim_refused"
    OPERATION_REFUSED = "operation_refused"
    ORIGIN_REFUSED = "origin_refused"
    UPGRADE_REFUSED = "upgrade_refused"

    ROUTE_UNMATCHED = "route_unmatched"
    SESSION_FOREIGN = "session_foreign"
    OPERATION_UNKNOWN = "operation_unknown"
    METHOD_REFUSED = "method_refused"

    REQUEST_TIMEOUT = "request_timeout"
    HOST_REFUSED = "host_refused"

    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    MEDIA_TYPE_REFUSED = "media_type_refused"
    HEADERS_TOO_LARGE = "headers_too_large"

    RATE_LIMITED = "rate_limited"

    INTERNAL_ERROR = "internal_error"

    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_MALFORMED = "upstream_malformed"
    KEYS_UNAVAILABLE = "keys_unavailable"
    INTROSPECTION_UNAVAILABLE = "introspection_unavailable"
    UPSTREAM_CREDENTIAL_REFUSED = "upstream_credential_refused"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    OVERLOADED = "overloaded"
    DRAINING = "draining"
    UPSTREAM_TIMEOUT = "upstream_timeout"

    CLIENT_CLOSED = "client_closed"


class Note(StrEnum):
    """What `reason` may say on the line of an *allowed* request."""

    PUBLIC = "public"
    LEGACY_PASSTHROUGH = "legacy_passthrough"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_REVOKED = "token_revoked"
    DRAINING = "draining"
    CLIENT_CLOSED = "client_closed"


Kind = Literal["tool", "prompt", "resource", "template"]
_NO_ARGUMENTS: Mapping[str, object] = MappingProxyType({})


class Peer(Struct, frozen=True, gc=False):
    """The other end of a client connection.

    `address` is the IP address without port or zone, or "unix" for a unix socket; `trusted`
    says that it is one of `trusted_proxies`, whose X-Forwarded-* is believed. `certificate` is the SHA-256
    thumbprint of the certificate that it has proved in its TLS handshake, in base64url; else None.
    """

    address: str
    trusted: bool = False
    certificate: str | None = None


class RequestHead(Struct, frozen=True, gc=False):
    """A request head that passed the wire's own checks (RFC 9112): one reading is left of it.

    `target` is in origin-form ("/path?query"), as it came. `lines` are the header lines as they came;
    `fields` maps each lower-cased name to its value, values of a repeated name joined by ", " (RFC 9110
    5.3), and `repeated` holds the names that came more than once. `host` is the Host value (or the authority
    of an absolute-form target, which must agree), empty only on HTTP/1.0.

    `memo` is where rooms keep what they have worked out from this head alone, each under a key of its own: an
    agent's next request often has the same head, byte for byte, and is then this same value. More often it
    differs in what varies: the values of Authorization, Content-Length and traceparent. `common` is for what
    has been worked out from all the rest, without one look at those; such heads share it.
    """

    method: str
    target: bytes
    host: bytes
    lines: tuple[tuple[bytes, bytes], ...]
    fields: Mapping[bytes, bytes]
    repeated: frozenset[bytes]
    peer: Peer
    http10: bool = False
    memo: dict[Any, Any] = field(default_factory=dict)
    common: dict[Any, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Say nothing: a traceback or a log that shows this must not show a credential."""
        return "<RequestHead>"


class Identity(Struct, frozen=True, gc=False):
    """Who a verified token speaks for. Only `authn` makes one, and only after the signature held.

    `scopes` is the token's own list, in its order, without duplicates, not expanded. `audience` is the
    token's `aud` as a tuple. `claims` is the whole verified claim set. `until` is the
    moment (Unix seconds) after which the token is refused: `exp` plus the issuer's leeway. `issued_at` is
    `iat` (Unix seconds). `bound_to` is the SHA-256 thumbprint of the key that the token is bound to, in
    base64url (`cnf.jkt`, RFC 9449 section 6): such a token is worth nothing without that key's proof.
    `certificate` is that of the client certificate it is bound to (`cnf.x5t#S256`, RFC 8705 section 3.1).
    """

    id: str
    issuer: str
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    claims: Mapping[str, object]
    until: float
    name: str | None = None
    audit_url: str | None = None
    token_id: str | None = None
    key_id: str | None = None
    issued_at: float | None = None
    bound_to: str | None = None
    certificate: str | None = None


class Caller(Struct, frozen=True, gc=False):
    """An identity dressed for the hot path, cached with its token: nothing of it is built twice.

    `held` is the scopes after the hierarchy; `lines` the identity's header lines toward the upstream,
    each ending in CRLF; `fragment` its part of the access line, in the format that is configured.
    """

    identity: Identity
    held: frozenset[str]
    lines: bytes
    fragment: bytes


class Deny(Struct, frozen=True, gc=False):
    """A refusal as a value.

    `detail` is one sentence for the person who debugs (`keystile explain`); it names claims, scopes and
    settings, never a token's bytes. `needed` is every scope that the operation needs. `caller`
    is set only where the signature had been verified. `retry_after` is in seconds. `lines` are further header
    lines for the answer, each ending in CRLF. `entry` names the entry of a rule's `mcp` that decided.
    """

    reason: Reason
    detail: str = ""
    needed: tuple[str, ...] = ()
    caller: Caller | None = None
    retry_after: int | None = None
    lines: bytes = b""
    entry: str | None = None


class Operation(Struct, frozen=True, gc=False):
    """What one JSON-RPC message asks an MCP server for: what the entries of a rule's `mcp` are about.

    `kind` says what `name` names: a tool, a prompt, a resource (its URI), a template (of such URIs). Both
    are None and empty where the method names nothing. `arguments` are a tool's or a prompt's.
    """

    method: str
    kind: Kind | None = None
    name: str = ""
    arguments: Mapping[str, object] = _NO_ARGUMENTS


class Call(Struct, frozen=True, omit_defaults=True, gc=False):
    """A message as its access line shows it: `method`, what it names, the arguments that are to be logged.

    `session` is a digest of its session's id; `protocol` and `client` are what the caller says of itself.
    """

    method: str | None = None
    tool: str | None = None
    resource: str | None = None
    prompt: str | None = None
    arguments: Mapping[str, object] | None = None
    session: str | None = None
    protocol: str | None = None
    client: str | None = None


class Opening(Struct, gc=False):
    """What is known of a request when it is decided: the first half of its access line, and of its answer.

    `timestamp` is Unix seconds. `path` never has the query. `decision` is "allow", "deny", or "would_deny"
    where a refusal was only observed; `required` is the scopes that the rule asks for. `mcp` is what a
    request for MCP asks: a tuple where it is a batch.

    Not for the log: `entry` names the MCP entry that decided; `rpc` is the JSON-RPC `id` that a refusal
    answers, as JSON, empty where it is unknown, None where nobody speaks MCP; `told` is header lines that
    every answer gets, each ending in CRLF; `streamed` says that a line told of its start.
    """

    timestamp: float
    request_id: str
    client: str
    decision: str
    reason: Reason | Note | None = None
    method: str | None = None
    path: str | None = None
    trace_id: str | None = None
    client_request_id: str | None = None
    rule: str | None = None
    caller: Caller | None = None
    required: tuple[str, ...] = ()
    mcp: Call | tuple[Call, ...] | None = None
    user_agent: str | None = None
    entry: str | None = None
    rpc: bytes | None = None
    told: bytes = b""
    streamed: bool = False


class Closing(Struct, gc=False):
    """What is known when the response ended: the second half of the access line.

    Byte counts are of bodies on the client's side, as framed on the wire. Durations are seconds;
    `upstream_seconds` is the time from handing the request to the upstream to its final head. `reason` says
    why an admitted exchange ended early.
    """

    status: int
    bytes_in: int
    bytes_out: int
    seconds: float
    upstream_seconds: float | None = None
    upstream_status: int | None = None
    reason: Reason | Note | None = None


class Body(Struct, frozen=True, gc=False):
    """Need: the whole request body, at most `limit` bytes.

    The wire sends in the bytes, or why there are none: `BODY_TOO_LARGE`, or `OVERLOADED` where too many bytes
    are being collected at the same time, in all or for one `holder` (an agent, or a client without a token).
    """

    limit: int
    holder: object


class Wait(Struct, frozen=True, gc=False):
    """Need: `call()` awaited. The wire sends in what it returned, or throws what it raised."""

    call: Callable[[], Awaitable[Any]]

    def __repr__(self) -> str:
        """Say nothing: what is awaited may be about a token."""
        return "<Wait>"


class Time(Struct, frozen=True, gc=False):
    """Need: the time (Unix seconds), after something that took a while. The wire sends it in at once."""


class Arrived(Struct, frozen=True, gc=False):
    """Need: what has come of the request body so far, without waiting: the wire sends it in at once.

    It is whole, or empty: also where it is longer than `limit` bytes.
    """

    limit: int


Need = Body | Wait | Time | Arrived


class Transform(Protocol):
    """What becomes of an answer's content on its way to the client; knows no framing."""

    whole: int | None
    """The content is collected, at most so many bytes, and fed in one piece before the head leaves.

    None where it is fed as it comes, and every piece that is returned ends where the stream may end.
    """

    def feed(self, data: bytes) -> bytes | None:
        """Return what goes on in place of `data`; None where what came must not go on, nor anything after."""

    def end(self) -> bytes | None:
        """Return what remains once the content has ended; None as above."""


class Changes(Struct, frozen=True, gc=False):
    """What becomes of an answer.

    `dropping` names header lines that are left out, lower-cased; `lines` are put in, each ending in CRLF.
    """

    dropping: frozenset[bytes] = frozenset()
    lines: bytes = b""
    transform: Transform | None = None


class Answer(Protocol):
    """Decides what becomes of the upstream's answer once its head has come."""

    def changes(
        self, status: int, fields: Mapping[bytes, bytes], repeated: frozenset[bytes]
    ) -> Changes | Reason | None:
        """Return what to change, None where nothing is; a reason where nobody may have the answer.

        `fields` maps each lower-cased name to its value, values of a repeated name joined by ", ".
        """


_NOTHING: Mapping[int, Reason] = MappingProxyType({})


class Forward(Struct, frozen=True, gc=False):
    """Verdict: send this upstream.

    `head` is the request line and every header line, each ending in CRLF; the wire adds the framing of
    the body and the empty line. `unfit` maps a status of the upstream's answer to the reason for which that
    answer goes to nobody: the client gets the refusal. `told` is header lines for the client, each ending in
    CRLF, which its answer gets besides the upstream's. `answer` decides over the rest of it, None where it
    goes on as it came. A stream of events ends at `until` (Unix seconds), None where it ends by itself; with
    `ends` whatever is answered does.
    `dropping` names lines of the upstream's answer that are left out, lower-cased. `upgrade`: the answer may
    be 101, and what follows passes both ways.
    """

    head: bytes
    opening: Opening
    unfit: Mapping[int, Reason] = _NOTHING
    told: bytes = b""
    answer: Answer | None = None
    until: float | None = None
    dropping: frozenset[bytes] = frozenset()
    upgrade: bool = False
    ends: bool = False

    def __repr__(self) -> str:
        """Say nothing: the head has the upstream's credentials."""
        return "<Forward>"


class Reply(Struct, frozen=True, gc=False):
    """Verdict: answer this here; a refusal is a Reply.

    `lines` are header lines, each ending in CRLF; the wire adds Content-Length, Date and Connection.
    `detail` is the refusal's, for `keystile explain`.
    """

    status: int
    lines: bytes
    body: bytes
    opening: Opening
    detail: str = ""


Verdict = Forward | Reply
Judgement = Generator[Need, Any, Verdict]


class Gatekeeper(Protocol):
    """What the wire knows of the gate. The wire asks, obeys, and reports; it never knows why."""

    def judge(self, head: RequestHead, now: float) -> Judgement:
        """Decide one request; `now` is Unix seconds. A plain request yields nothing."""

    def fault(self, reason: Reason, seen: Opening | RequestHead | Peer, now: float) -> Reply:
        """Word the answer to a request that failed on the wire; `seen` is all that was known of it."""

    def opened(self, opening: Opening, status: int) -> None:
        """A long stream (server-sent events) has started."""

    def finished(self, opening: Opening, closing: Closing) -> None:
        """The response has ended, or will never come: write the one access line."""
