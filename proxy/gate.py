"""The gate: the order in which a request is judged. How each step works is its room's business.

`Gate.judge` reads as the table of contents of the house. It is a generator that does no I/O: a plain
request runs through it without yielding, a token never seen may yield a `Wait` for its issuer's keys.
No `Forward` is made anywhere else, and none without passing every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.audit import fragments
from proxy.authn import Credential, proof_algorithms
from proxy.authn import credential as read_credential
from proxy.authz import NAMES, Hosts, Pages, Route, Router, canonical, expand, passes, requested
from proxy.mcp import identify
from proxy.messages import Messages
from proxy.mode import WOULD_DENY, Mode
from proxy.model import Arrived, Caller, Deny, Forward, Note, Opening, Reason, Reply, RequestHead, Time
from proxy.openings import Openings
from proxy.refusals import Metadata, Refusals
from proxy.wire import UPGRADED, RequestLines, credential_lines, identity_lines, together

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any, Literal

    from proxy.audit import AccessLog
    from proxy.authn import Assertions, Proofs, Verifier
    from proxy.authz import Rates
    from proxy.config import Config
    from proxy.messages import Asked
    from proxy.model import Closing, Identity, Judgement, Need, Peer, Verdict
    from proxy.openings import Begun
    from proxy.wire import Forwarding

    _StandIn = Literal["basic", "cookie"]
    """A credential of the upstream's own login."""

_UNMATCHED = Deny(Reason.ROUTE_UNMATCHED, "no rule matches this path and method")
_UPGRADE_REFUSED = Deny(Reason.UPGRADE_REFUSED, "no rule lets this path change protocols")
_METHOD_NOT_ALLOWED = 405
_NO_CONTENT = 204
_LONGEST_LOOK = 64 * 1024
_ORIGIN = frozenset({b"origin"})
_TRACESTATE = frozenset({b"tracestate"})
_NOTHING = frozenset[bytes]()
_NO_STATUS: Mapping[int, Reason] = {}
# An upstream that refuses our own credential tells the client nothing that it could act upon.
_REFUSED_CREDENTIAL: Mapping[int, Reason] = {401: Reason.UPSTREAM_CREDENTIAL_REFUSED}


class _Asking(Struct, frozen=True, gc=False):
    """What a head alone says of a request: what it asks for."""

    path: str
    route: Route | None
    document: tuple[int, bytes, bytes] | None


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
        self._refuses_when_full = config.log.refuse_when_full
        self._parameters = config.path_parameters == "allow"
        self._router = Router(config.rules, config.issuers, config.scopes)
        self._hosts = Hosts(config)
        self._pages = Pages(config, self._hosts)
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
        self._openings = Openings(forwarding)
        self._mode = Mode(config)
        self._messages = Messages(config, self._mode, log.session_opened)

    def judge(self, head: RequestHead, now: float) -> Judgement:
        """Decide one request; `now` is Unix seconds."""
        begun = self._openings.begin(head, now)
        settled = yield from self._settle(head, begun, now)
        if not isinstance(settled, Deny):
            return settled
        opening = begun.opening
        if opening.rpc == b"" and opening.mcp is None and head.method == "POST":
            # Never waited for; but where the request is there, somebody is shown why it was refused.
            opening.rpc = identify((yield Arrived(_LONGEST_LOOK))) or b""
        if settled.reason is Reason.SESSION_FOREIGN and opening.mcp is None:
            opening.mcp = self._messages.tried(head)
        return self._refuse(opening, settled)

    def _settle(  # noqa: C901, PLR0911, PLR0912 - every step, in order
        self, head: RequestHead, begun: Begun, now: float
    ) -> Generator[Need, Any, Verdict | Deny]:
        opening = begun.opening
        if self._refuses_when_full and self._log.full:
            return Deny(Reason.AUDIT_UNAVAILABLE)

        asking: _Asking | Deny | None = head.common.get(self)
        if asking is None:
            asking = head.common[self] = self._asking(head)
        if isinstance(asking, Deny):
            return asking
        if asking.document is not None:
            return self._publish(opening, asking.document)
        route = asking.route
        if route is not None:
            opening.rule, opening.required = route.name, route.required
            opening.rpc = b"" if route.on_mcp_path else None
        if b"origin" in head.fields:
            page = self._page(head, asking.path, route, opening)
            if page is not None:
                return page

        credential = self._credential(head)
        caller, stand_in, waited = None, None, False
        if isinstance(credential, Credential):
            caller = self._verifier.cached(credential.digest, now)
            if caller is None or self._proofs.concern(credential, caller.identity):
                settled = yield from self._authenticated(head, credential, caller, now)
                if isinstance(settled, Deny):
                    return settled
                caller, waited, now = settled, True, (yield Time())
            opening.caller = caller
        else:
            found = self._without_token(head, route, credential)
            if isinstance(found, Deny):
                return found
            stand_in = found

        # Only now: without a token nobody learns which paths there are.
        if route is None:
            unruled = self._unruled(head, asking.path, opening)
            if isinstance(unruled, Deny):
                return unruled
            route = unruled
        if b"upgrade" in head.fields and (not route.upgrade or route.on_mcp_path):
            return _UPGRADE_REFUSED
        if self._messages.reads(head, route):
            asked = yield from self._messages.ask(head, route, caller, opening)
        else:
            asked = self._messages.plain(head, route, caller, opening)
        if isinstance(asked, Deny):
            return asked
        refused = None
        if asked.waited:
            waited, now = True, (yield Time())
        if route.rate is not None or asked.entries:
            refused = yield from self._paced(route, asked, caller, opening.client, now)
            waited = True
        if refused is not None and not self._mode.stands(refused, opening):
            refused = None
        if refused is None and waited and isinstance(credential, Credential):
            refused = yield from self._withdrawn(credential)
        if refused is not None:
            return refused
        if opening.decision != WOULD_DENY:
            opening.decision = "allow"
        return self._forward(head, route, begun, asked, stand_in, now)

    def _asking(self, head: RequestHead) -> _Asking | Deny:
        """Find what a head asks for: one path in every reading, on a host of ours."""
        path = canonical(head.target, parameters=self._parameters)
        if isinstance(path, Deny):
            return path
        document = self._metadata.find(head.method, path)
        route = self._router.find(head.method, head.host, path) if document is None else None
        if isinstance(route, Deny):
            return route
        if not (route is not None and route.any_host) and not self._hosts.allowed(head.host):
            return Deny(Reason.HOST_REFUSED, "Host names no host of this server")
        return _Asking(path, route, document)

    def _credential(self, head: RequestHead) -> Credential | Deny | None:
        read: Credential | Deny | None = head.memo.get(self)
        if read is None:
            told = head.fields.get(b"authorization")
            read = head.memo[self] = read_credential(told, repeated=b"authorization" in head.repeated)
        return read

    def _unruled(self, head: RequestHead, path: str, opening: Opening) -> Route | Deny:
        """Stand in for the rule that a request does not have."""
        if self._mode.stands(_UNMATCHED, opening):
            return _UNMATCHED
        route = self._router.unruled(path)
        return self._pages.refused(route, head) or route

    def fault(self, reason: Reason, seen: Opening | RequestHead | Peer, now: float) -> Reply:
        """Word the answer to a request that failed on the wire."""
        if isinstance(seen, Opening):
            opening = seen
        elif isinstance(seen, RequestHead):
            opening = self._openings.begin(seen, now).opening
        else:
            opening = self._openings.unread(seen, now)
        return self._refuse(opening, Deny(reason))

    def opened(self, opening: Opening, status: int) -> None:
        """Write that a long stream has started."""
        self._log.opened(opening, status)

    def finished(self, opening: Opening, closing: Closing) -> None:
        """Write the request's access line."""
        self._log.finished(opening, closing)

    def _page(
        self, head: RequestHead, path: str, route: Route | None, opening: Opening
    ) -> Reply | Deny | None:
        """Judge a request that a web page makes: whether it may, and what its browser may show it."""
        method = requested(head)
        if method is not None:
            meant = self._router.find(method, head.host, path)
            lines = self._pages.preflight(meant, head) if isinstance(meant, Route) else None
            if lines is not None:
                opening.decision, opening.reason = "allow", Note.PUBLIC
                return Reply(_NO_CONTENT, lines, b"", opening)
        if route is None:
            return None
        opening.told = self._pages.shared(route, head)
        return self._pages.refused(route, head)

    def _paced(
        self, route: Route, asked: Asked, caller: Caller | None, client: str, now: float
    ) -> Generator[Need, Any, Deny | None]:
        """Count the request, and what it asks for."""
        for counted in (route, *asked.entries):
            if counted.rate is not None:
                refused = yield from self._rates.judge(counted, caller, client, now)
                if refused is not None:
                    return refused
        return None

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
        if self._verifier.holds(credential.digest, now):
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
        begun: Begun,
        asked: Asked,
        stand_in: _StandIn | None,
        now: float,
    ) -> Forward:
        """The head for the upstream: what came, less what must not pass, plus who is calling."""
        opening = begun.opening
        caller, lines, unfit, told = opening.caller, self._lines, _NO_STATUS, opening.told
        added, dropping = self._correlated(head, begun, asked)
        if route.public and opening.reason is None:
            opening.reason = Note.PUBLIC
        if caller is not None:
            added = caller.lines + added
            if caller.identity.bound_to is not None:
                told += self._proofs.fresh_nonce(caller.identity.issuer, now)
            if self._assertions is not None:
                added += self._assertions.line(caller.identity, opening.request_id, now)
            # The upstream's trust is for identities that were verified, and only where one was asked for.
            if self._credentials and not route.public:
                added, unfit = added + self._credentials, _REFUSED_CREDENTIAL
        elif stand_in is not None:
            opening.reason = Note.LEGACY_PASSTHROUGH
            lines = self._stand_in_lines[stand_in]
        unsaid = _NOTHING
        if self._pages.speaks(route):
            # What a page may read is decided here; a second answer to that would make none of the two.
            dropping, unsaid = together(dropping, _ORIGIN), NAMES
        until = caller.identity.until if caller is not None and asked.is_open_ended else None
        upgrades = b"upgrade" in head.fields
        if upgrades:
            added += UPGRADED
        outgoing = lines.head(head, added, dropping=dropping, target=asked.target)
        return Forward(outgoing, opening, unfit, told, asked.answer, until, unsaid, upgrades, asked.ends)

    def _correlated(self, head: RequestHead, begun: Begun, asked: Asked) -> tuple[bytes, frozenset[bytes]]:
        """The lines that tell which request this is and for whom, and which of the client's must go."""
        opening, trace, dropping = begun.opening, begun.trace, asked.dropping
        if not trace.own:
            # A tracestate without its traceparent belongs to no trace (W3C Trace Context 3.3).
            if b"tracestate" in head.fields:
                dropping = together(dropping, _TRACESTATE)
            trace = asked.trace or trace
            opening.trace_id = trace.id
        lines = b"X-Request-Id: %b\r\ntraceparent: %b\r\n%b%b"
        return lines % (opening.request_id.encode(), trace.parent, begun.forwarding, asked.lines), dropping

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
        if deny.entry is not None:
            opening.entry, opening.required = deny.entry, needed
        status, lines, said = self._refusals.answer(deny, opening.request_id, needed, opening.rpc)
        return Reply(status, lines + opening.told, said, opening, deny.detail)


def dress(config: Config) -> Callable[[Identity], Caller]:
    """How an identity is made ready for the hot path under `config`, once per token."""
    fragment = fragments(config.log.format)

    def dressed(identity: Identity) -> Caller:
        return Caller(
            identity,
            expand(config.scopes, identity.scopes),
            identity_lines(config.identity_headers, identity),
            fragment(identity),
        )

    return dressed
