"""The gate: the order in which a request is judged. How each step works is its room's business.

`Gate.judge` reads as the table of contents of the house. It is a generator that does no I/O: a plain
request runs through it without yielding, a token never seen may yield a `Wait` for its issuer's keys.
No `Forward` is made anywhere else, and none without passing every step.
"""

from __future__ import annotations

import re
import secrets
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from proxy.audit import fragment
from proxy.authn import Credential, proof_algorithms
from proxy.authn import credential as read_credential
from proxy.authz import Hosts, Router, canonical, expand, judge, passes
from proxy.model import Caller, Deny, Forward, Note, Opening, Peer, Reason, Reply, RequestHead, Time
from proxy.refusals import Metadata, Refusals
from proxy.wire import RequestLines, credential_lines, identity_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any, Literal

    from proxy.audit import AccessLog
    from proxy.authn import Assertions, Proofs, Verifier
    from proxy.authz import Rates, Route
    from proxy.config import Config
    from proxy.model import Closing, Identity, Judgement, Need
    from proxy.wire import Forwarding

    _StandIn = Literal["basic", "cookie"]
    """A credential of the upstream's own login."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,64}")
_METHOD_NOT_ALLOWED = 405
_TRACESTATE = frozenset({b"tracestate"})
_NOTHING = frozenset[bytes]()
_NO_STATUS: Mapping[int, Reason] = {}
# An upstream that refuses our own credential tells the client nothing that it could act upon.
_REFUSED_CREDENTIAL: Mapping[int, Reason] = {401: Reason.UPSTREAM_CREDENTIAL_REFUSED}


class Gate:
    """The `Gatekeeper` of a configuration."""

    def __init__(
        self,
        config: Config,
        verifier: Verifier,
        proofs: Proofs,
        rates: Rates,
        log: AccessLog,
        forwarding: Forwarding,
        *,
        assertions: Assertions | None = None,
    ) -> None:
        self._verifier = verifier
        self._proofs = proofs
        self._rates = rates
        self._assertions = assertions
        self._log = log
        self._forwarding = forwarding
        self._refuses_when_full = config.log.refuse_when_full
        self._parameters = config.path_parameters == "allow"
        self._router = Router(config.rules, config.issuers, config.scopes)
        self._hosts = Hosts(config)
        algorithms = proof_algorithms(config.issuers)
        key_set = None if assertions is None else assertions.key_set
        self._metadata = Metadata(config, algorithms, key_set)
        self._refusals = Refusals(config.resource, algorithms)
        self._lines = RequestLines(config)
        # The client's own login is what decides there, whatever the configuration says of these names.
        self._stand_in_lines: Mapping[_StandIn, RequestLines] = {
            "basic": RequestLines(config, keeps=frozenset({b"authorization", b"cookie"})),
            "cookie": RequestLines(config, keeps=frozenset({b"cookie"})),
        }
        self._credentials = credential_lines(config.upstream.headers)
        # Unique across processes by the prefix, within one by the count: no request waits for randomness.
        self._prefix = secrets.token_hex(8)
        self._count = count()
        self._random = Random(secrets.randbits(128))  # noqa: S311 - trace ids are no secrets, W3C asks for uniqueness

    def judge(self, head: RequestHead, now: float) -> Judgement:  # noqa: C901, PLR0911, PLR0912 - every step, in order
        """Decide one request; `now` is Unix seconds."""
        opening, added = self._open(head, now)
        if self._refuses_when_full and self._log.full:
            return self._refuse(opening, Deny(Reason.AUDIT_UNAVAILABLE))

        path = canonical(head.target, parameters=self._parameters)
        if isinstance(path, Deny):
            return self._refuse(opening, path)
        document = self._metadata.find(head.method, path)
        route = self._router.find(head.method, head.host, path) if document is None else None
        if isinstance(route, Deny):
            return self._refuse(opening, route)
        if not (route is not None and route.any_host) and not self._hosts.allowed(head.host):
            return self._refuse(opening, Deny(Reason.HOST_REFUSED, "Host names no host of this server"))
        if document is not None:
            return self._publish(opening, document)
        if route is not None:
            opening.rule, opening.required = route.name, route.required

        credential = read_credential(
            head.fields.get(b"authorization"), repeated=b"authorization" in head.repeated
        )
        caller, stand_in, waited = None, None, False
        if isinstance(credential, Credential):
            caller = self._verifier.cached(credential.token, now)
            if caller is None or self._proofs.concern(credential, caller.identity):
                settled = yield from self._authenticated(head, credential, caller, now)
                if isinstance(settled, Deny):
                    return self._refuse(opening, settled)
                caller, waited, now = settled, True, (yield Time())
            opening.caller = caller
        else:
            found = self._without_token(head, route, credential)
            if isinstance(found, Deny):
                return self._refuse(opening, found)
            stand_in = found

        # Only now: without a token nobody learns which paths there are.
        if route is None:
            return self._refuse(opening, Deny(Reason.ROUTE_UNMATCHED, "no rule matches this path and method"))
        refused = judge(route, caller) if caller is not None else None
        if refused is None and route.rate is not None:
            refused = yield from self._rates.judge(route, caller, opening.client, now)
            waited = True
        if refused is None and waited and isinstance(credential, Credential):
            refused = yield from self._withdrawn(credential)
        if refused is not None:
            return self._refuse(opening, refused)
        opening.decision = "allow"
        return self._forward(head, route, opening, stand_in, added, now)

    def fault(self, reason: Reason, seen: Opening | RequestHead | Peer, now: float) -> Reply:
        """Word the answer to a request that failed on the wire."""
        if isinstance(seen, Opening):
            opening = seen
        elif isinstance(seen, RequestHead):
            opening, _ = self._open(seen, now)
        else:
            opening = Opening(now, self._request_id(), seen.address, "deny")
        return self._refuse(opening, Deny(reason))

    def opened(self, opening: Opening, status: int) -> None:
        """Write that a long stream has started."""
        self._log.opened(opening, status)

    def finished(self, opening: Opening, closing: Closing) -> None:
        """Write the request's access line."""
        self._log.finished(opening, closing)

    def _open(self, head: RequestHead, now: float) -> tuple[Opening, bytes]:
        """What is known of a request before it is judged, and the lines that tell the upstream of it."""
        fields = head.fields
        client, forwarding = self._forwarding.client(head)
        request_id, told_id = self._request_id(), _client_request_id(head)
        if told_id is not None and head.peer.trusted:
            request_id, told_id = told_id, None
        told_trace = _trace(head)
        trace_id, traceparent = told_trace if told_trace is not None else self._new_trace()
        agent = fields.get(b"user-agent")
        opening = Opening(
            now,
            request_id,
            client,
            "deny",
            None,
            head.method,
            # Of a target in another form nothing is told: it may hold a password.
            head.target.partition(b"?")[0].decode("latin-1") if head.target.startswith(b"/") else None,
            trace_id,
            told_id,
            user_agent=None if agent is None else agent.decode("utf-8", "replace"),
        )
        return opening, b"X-Request-Id: %b\r\ntraceparent: %b\r\n%b" % (
            request_id.encode(),
            traceparent,
            forwarding,
        )

    def _authenticated(
        self, head: RequestHead, credential: Credential, caller: Caller | None, now: float
    ) -> Generator[Need, Any, Caller | Deny]:
        """Verify a token that is not cached (`caller` is None), and the proof that it may need."""
        if caller is None:
            verified = yield from self._verifier.verify(credential.token, now)
            if isinstance(verified, Deny):
                return verified
            caller, now = verified, (yield Time())
        unproved = None
        if self._proofs.concern(credential, caller.identity):
            unproved = yield from self._proofs.judge(head, credential, caller, now)
        return unproved or caller

    def _withdrawn(self, credential: Credential) -> Generator[Need, Any, Deny | None]:
        """Why a token that was verified holds no more, after steps that waited: much can happen meanwhile.

        Revocation, a key that goes and an expiry take it out of the cache; so, rarely, may others' tokens.
        """
        now = yield Time()
        if self._verifier.cached(credential.token, now) is not None:
            return None
        verified = yield from self._verifier.verify(credential.token, now)
        return verified if isinstance(verified, Deny) else None

    def _without_token(
        self, head: RequestHead, route: Route | None, read: Deny | None
    ) -> _StandIn | Deny | None:
        """What stands in for a token, None where none is needed; `read` is why what came is none."""
        if read is not None and read.reason is not Reason.CREDENTIAL_MISSING:
            return read
        if route is not None and route.passthrough is not None:
            return passes(route.passthrough, head, self._hosts)
        if route is not None and route.public:
            return read
        return read or Deny(Reason.CREDENTIAL_MISSING, "the request has no bearer token")

    def _forward(
        self,
        head: RequestHead,
        route: Route,
        opening: Opening,
        stand_in: _StandIn | None,
        added: bytes,
        now: float,
    ) -> Forward:
        """The head for the upstream: what came, less what must not pass, plus who is calling."""
        caller, lines, unfit, told = opening.caller, self._lines, _NO_STATUS, b""
        if route.public:
            opening.reason = Note.PUBLIC
        if caller is not None:
            added = caller.lines + added
            if caller.identity.bound_to is not None:
                told = self._proofs.fresh_nonce(caller.identity.issuer, now)
            if self._assertions is not None:
                added += self._assertions.line(caller.identity, opening.request_id, now)
            # The upstream's trust is for identities that were verified, and only where one was asked for.
            if self._credentials and not route.public:
                added, unfit = added + self._credentials, _REFUSED_CREDENTIAL
        elif stand_in is not None:
            opening.reason = Note.LEGACY_PASSTHROUGH
            lines = self._stand_in_lines[stand_in]
        # A tracestate without its traceparent belongs to no trace (W3C Trace Context 3.3).
        orphan = b"tracestate" in head.fields and _trace(head) is None
        dropping = _TRACESTATE if orphan else _NOTHING
        return Forward(lines.head(head, added, dropping=dropping), opening, unfit, told)

    def _publish(self, opening: Opening, document: tuple[int, bytes, bytes]) -> Reply:
        """Answer with a well-known document, which is everybody's to read."""
        if document[0] == _METHOD_NOT_ALLOWED:
            opening.reason = Reason.METHOD_REFUSED
        else:
            opening.decision, opening.reason = "allow", Note.PUBLIC
        return Reply(*document, opening)

    def _refuse(self, opening: Opening, deny: Deny) -> Reply:
        opening.decision, opening.reason = "deny", deny.reason
        if deny.caller is not None:
            opening.caller = deny.caller
        needed = deny.needed or opening.required
        return Reply(*self._refusals.answer(deny, opening.request_id, needed), opening, deny.detail)

    def _request_id(self) -> str:
        return f"{self._prefix}{next(self._count):012x}"

    def _new_trace(self) -> tuple[str, bytes]:
        digits = self._random.randbytes(24).hex()
        # Sampled, so that an upstream that traces goes on doing what it did without us.
        return digits[:32], f"00-{digits[:32]}-{digits[32:]}-01".encode()


def dress(config: Config) -> Callable[[Identity], Caller]:
    """How an identity is made ready for the hot path under `config`, once per token."""

    def dressed(identity: Identity) -> Caller:
        return Caller(
            identity,
            expand(config.scopes, identity.scopes),
            identity_lines(config.identity_headers, identity),
            fragment(identity),
        )

    return dressed


def _trace(head: RequestHead) -> tuple[str, bytes] | None:
    """Trace id and traceparent of the caller's own trace context, where it is a valid one."""
    told = head.fields.get(b"traceparent")
    if told is None:
        return None
    valid = _TRACEPARENT.fullmatch(told)
    return (valid[1].decode(), told) if valid else None


def _client_request_id(head: RequestHead) -> str | None:
    told = head.fields.get(b"x-request-id")
    return told.decode() if told is not None and _REQUEST_ID.fullmatch(told) else None
