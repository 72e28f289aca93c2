"""The MCP step of the gate: what a request asks an MCP server for, whose session it is, what may come back.

Brings rooms together that know nothing of each other: `mcp` reads messages and seals sessions, `authz` judges
operations. A body is read before it goes on, and goes on as it came.
"""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from proxy.authz import judge
from proxy.mcp import (
    Answering,
    Endpoints,
    McpAnswer,
    Reader,
    Seals,
    digest,
    disagreement,
    identify,
    is_modern,
    media,
    names_session,
    sealed_endpoint,
)
from proxy.mode import WOULD_DENY
from proxy.model import Arrived, Body, Call, Deny, Reason
from proxy.openings import trace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from proxy.authz import Admitted, Operations, Route
    from proxy.config import Config
    from proxy.mcp import Message, Reading
    from proxy.mode import Mode
    from proxy.model import Answer, Caller, Need, Opening, Operation, RequestHead
    from proxy.openings import Trace

_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
# A second line of these would be read by one server and not by another.
_SAID_ONCE = (b"mcp-session-id", b"mcp-method", b"mcp-name", b"mcp-protocol-version", b"last-event-id")
_PLAIN = b"Accept-Encoding: identity\r\n"
# On MCP paths the upstream hears only of events that were opened.
_RESUMING = frozenset({b"last-event-id"})
_ENCODINGS = _RESUMING | {b"accept-encoding"}
# A part of a list cannot be filtered.
_PARTS = _ENCODINGS | {b"range", b"if-range"}
_NOTHING = frozenset[bytes]()
# What acts upon a session without naming anything that an entry could be about.
_CANCELLED = "notifications/cancelled"
_LISTEN = "subscriptions/listen"
_INITIALIZE = "initialize"

# What was an id of an event as it came goes back into a header.
_EVENT_ID = re.compile(rb"[\t -~\x80-\xff]+")

_FOREIGN = Deny(Reason.SESSION_FOREIGN, "the session is none that this agent opened here")
_FOREIGN_EVENT = Deny(Reason.SESSION_FOREIGN, "the event is none that this agent saw in this session")
_UNREAD = Deny(
    Reason.METHOD_REFUSED,
    "an MCP endpoint takes POST where a rule with `mcp` reads it, and GET, DELETE, OPTIONS without a body",
)


class Session(Struct, frozen=True, gc=False):
    """The session that a request names, opened: the upstream's own id, or the URI that stands for it.

    Without a `digest` it names none.
    """

    id: bytes | None = None
    target: bytes | None = None
    digest: str | None = None


class Heard(Struct, frozen=True, gc=False):
    """What was read: whose session, which revision, the entries that decided, and what else messages tell.

    `event` is what the upstream calls the event behind which a stream is to go on.
    """

    session: Session
    modern: bool
    event: bytes | None = None
    entries: tuple[Route, ...] = ()
    trace: Trace | None = None
    listens: bool = False
    opens: bool = False
    waited: bool = False


class _Said(Struct, frozen=True, gc=False):
    """What the head of a request says of it: why it, or its body, cannot be judged, and its revision."""

    unfit: Deny | None
    unread: Deny | None
    modern: bool
    protocol: str | None


class Asked(Struct, frozen=True, gc=False):
    """What the verdict needs to know of the MCP step.

    `lines` are added to the head that goes upstream, `dropping` are left out of it, `target` stands in for
    its own. `answer` decides over what comes back. `entries` are those that decided, where any has a rate.
    `trace` is the one that a message tells of. `is_open_ended`: its stream ends with the token, and with
    `ends` so does any other answer. `waited`: it took a while to come.
    """

    answer: Answer
    lines: bytes = b""
    dropping: frozenset[bytes] = _NOTHING
    target: bytes | None = None
    entries: tuple[Route, ...] = ()
    trace: Trace | None = None
    is_open_ended: bool = False
    ends: bool = False
    waited: bool = False


_NO_SESSION = Session()


class Messages:
    """Judges what requests ask of the MCP servers behind a configuration's rules.

    `session_opened` is called for each session that an answer gives out.
    """

    def __init__(self, config: Config, mode: Mode, session_opened: Callable[[], None]) -> None:
        self._mode = mode
        self._session_opened = session_opened
        self._limit = config.limits.mcp_body
        self._logged = frozenset(config.log.arguments)
        keys = [key.get_secret_value() for key in config.session_key] or [secrets.token_urlsafe(32)]
        seals = Seals(keys, config.resource or "", config.upstream.url)
        self._seals = seals
        own = Endpoints(_own_origins(config))
        self._answering = {
            speaks_sse: Answering(seals, self._limit, own if speaks_sse else None, session_opened)
            for speaks_sse in (True, False)
        }
        self._readers: dict[Operations, Reader] = {}

    def reads(self, head: RequestHead, route: Route) -> bool:
        """Say whether a request has a session, or a body that is to be read: whether `ask` is to be asked."""
        return route.on_mcp_path or b"mcp-session-id" in head.fields

    def plain(self, head: RequestHead, route: Route, caller: Caller | None, opening: Opening) -> Asked | Deny:
        """Judge a request that asks for nothing but its route."""
        refused = None if caller is None else judge(route, caller)
        if refused is not None and self._mode.stands(refused, opening):
            return refused
        answer = McpAnswer(self._answering[False], caller, head.method, head.target)
        return Asked(answer, is_open_ended=head.method == "GET")

    def ask(  # noqa: PLR0911 - every step, in order
        self, head: RequestHead, route: Route, caller: Caller | None, opening: Opening
    ) -> Generator[Need, Any, Asked | Deny]:
        """Judge what a request asks for: route, session, and every message of its body."""
        said: _Said | None = head.common.get(self)
        if said is None:
            said = head.common[self] = _said(head, route)
        unfit = said.unfit or _stray_body(head, route)
        if unfit is not None:
            return unfit
        session = self._session(head, route, caller, modern=said.modern)
        if isinstance(session, Deny):
            return session
        operations = route.mcp
        if operations is None or head.method != "POST":
            return self._bodiless(head, route, caller, opening, session, said)
        if said.unread is not None:
            return said.unread
        # Where all of it has come nothing is waited for, and it goes on without being collected.
        body = yield Arrived(self._limit)
        waited = not body
        if waited:
            who = opening.client if caller is None else (caller.identity.issuer, caller.identity.id)
            body = yield Body(self._limit, who)
            if isinstance(body, Reason):
                return Deny(body)
        read = self._read(head, body, operations, opening)
        if isinstance(read, Deny):
            return read
        opening.mcp = self._calls(read, session, said.protocol)
        entries = self._judged(read, route, operations, caller, session, opening)
        if isinstance(entries, Deny):
            return entries
        heard = _heard(read, session, entries, modern=said.modern, waited=waited)
        return self._asked(head, route, caller, opening, heard)

    def _bodiless(
        self,
        head: RequestHead,
        route: Route,
        caller: Caller | None,
        opening: Opening,
        session: Session,
        said: _Said,
    ) -> Asked | Deny:
        """Judge a request that has no message."""
        refused = None if caller is None else judge(route, caller)
        if refused is not None and self._mode.stands(refused, opening):
            return refused
        if route.mcp is not None and (session.digest is not None or said.protocol is not None):
            opening.mcp = Call(session=session.digest, protocol=said.protocol)
        resumed = head.fields.get(b"last-event-id")
        event = None
        if resumed and route.on_mcp_path and head.method == "GET" and not said.modern:
            identity = None if caller is None else caller.identity
            event = self._seals.open("event", resumed, identity, session.id or b"")
            if event is None or _EVENT_ID.fullmatch(event) is None:
                return _FOREIGN_EVENT
        return self._asked(head, route, caller, opening, Heard(session, said.modern, event))

    def _session(
        self, head: RequestHead, route: Route, caller: Caller | None, *, modern: bool
    ) -> Session | Deny:
        """Open what names a session, on every route: no id that is not sealed reaches the upstream."""
        identity = None if caller is None else caller.identity
        if head.method == "POST" and route.mcp is not None and route.transport != "streamable":
            endpoint = sealed_endpoint(head.target)
            if endpoint is not None:
                found = self._seals.open("endpoint", endpoint, identity)
                return _FOREIGN if found is None else Session(None, found, digest(endpoint))
            if route.transport == "sse" or names_session(head.target):
                return _FOREIGN
        sealed = head.fields.get(b"mcp-session-id")
        if sealed is None or modern:  # 2026-07-28 knows no sessions: the header is ignored
            return _NO_SESSION
        found = self._seals.open("session", sealed, identity)
        return _FOREIGN if found is None else Session(found, None, digest(sealed))

    def tried(self, head: RequestHead) -> Call | None:
        """Return what the log says of a session that is not the caller's: the same as for whoever has it."""
        sealed = sealed_endpoint(head.target) or head.fields.get(b"mcp-session-id")
        return None if sealed is None else Call(session=digest(sealed))

    def _read(
        self, head: RequestHead, body: bytes, operations: Operations, opening: Opening
    ) -> Reading | Deny:
        """Read a body in the one way that every reader reads it."""
        reader = self._readers.get(operations)
        if reader is None:
            reader = self._readers[operations] = Reader(operations.arguments | self._logged)
        read = reader.read(body)
        if not isinstance(read, Deny):
            opening.rpc = _answered(read.messages[0])
            return disagreement(head, read) or read
        opening.rpc = identify(body) or b""
        return read

    def _judged(
        self,
        read: Reading,
        route: Route,
        operations: Operations,
        caller: Caller | None,
        session: Session,
        opening: Opening,
    ) -> tuple[Route, ...] | Deny:
        """Judge every message; return the entries that decided."""
        entries: list[Route] = []
        for message in read.messages:
            judged: Admitted | Deny | None = _astray(message, session, caller)
            if judged is None and not message.operations:
                judged = None if caller is None else judge(route, caller)
            elif judged is None:
                for operation in message.operations:
                    judged = operations.judge(operation, caller)
                    if isinstance(judged, Deny):
                        if self._mode.stands(judged, opening):
                            break
                    elif judged.entry is not None:
                        entries.append(judged.entry)
            if isinstance(judged, Deny) and self._mode.stands(judged, opening):
                opening.rpc = _answered(message)
                return judged
        return tuple(entries)

    def _asked(
        self, head: RequestHead, route: Route, caller: Caller | None, opening: Opening, heard: Heard
    ) -> Asked:
        """Put together what the verdict needs, and what the log is to say."""
        operations, session, entries = route.mcp, heard.session, heard.entries
        lines = b"" if session.id is None else b"Mcp-Session-Id: %b\r\n" % session.id
        if heard.event is not None:
            lines += b"Last-Event-ID: %b\r\n" % heard.event
        dropping = _RESUMING if route.on_mcp_path else _NOTHING
        usable, opened, speaks_sse = None, None, False
        if operations is not None:
            speaks_sse = route.transport != "streamable"
            opened = partial(self._note_session, opening) if heard.opens else None
            if operations.filters and not self._mode.observes:
                usable = operations.usable
                lines, dropping = lines + _PLAIN, _PARTS
            elif speaks_sse and head.method == "GET":
                lines, dropping = lines + _PLAIN, _ENCODINGS
        if opening.decision == WOULD_DENY:
            pass  # what would have decided is noted
        elif len(entries) == 1:
            opening.entry, opening.required = entries[0].name, entries[0].required
        elif entries:
            opening.entry = ", ".join(dict.fromkeys(entry.name for entry in entries))
            opening.required = tuple(dict.fromkeys(scope for entry in entries for scope in entry.required))
        answering = self._answering[speaks_sse]
        return Asked(
            McpAnswer(
                answering,
                caller,
                head.method,
                head.target,
                usable,
                heard.modern,
                opened,
                resumes=route.on_mcp_path and not heard.modern,
                session=session.id,
            ),
            lines,
            dropping,
            session.target,
            entries if operations is not None and operations.paces else (),
            heard.trace,
            heard.listens or head.method == "GET",
            # Whatever a server calls it: asked for on these paths it is a stream.
            route.on_mcp_path,
            heard.waited,
        )

    def _note_session(self, opening: Opening, session: str) -> None:
        """Count the session that an answer opens, and note it in the line of its request."""
        self._session_opened()
        if isinstance(opening.mcp, Call):
            opening.mcp = replace(opening.mcp, session=session)

    def _calls(self, read: Reading, session: Session, protocol: str | None) -> Call | tuple[Call, ...]:
        if not read.batch and len(read.messages[0].operations) == 1:
            message = read.messages[0]
            return self._call(message.operations[0], message, session, protocol)
        calls = [
            self._call(operation, message, session, protocol)
            for message in read.messages
            for operation in message.operations or (None,)
        ]
        return tuple(calls) if read.batch or len(calls) > 1 else calls[0]

    def _call(
        self, operation: Operation | None, message: Message, session: Session, protocol: str | None
    ) -> Call:
        tool = resource = prompt = arguments = None
        if operation is not None and operation.kind is not None:
            if operation.kind == "tool":
                tool = operation.name
            elif operation.kind == "prompt":
                prompt = operation.name
            else:
                resource = operation.name
        if self._logged and operation is not None:
            arguments = {key: value for key, value in operation.arguments.items() if key in self._logged}
        return Call(
            message.method,
            tool,
            resource,
            prompt,
            arguments or None,
            session.digest,
            message.protocol or protocol,
            message.client,
        )


def _answered(message: Message) -> bytes:
    """Return the id that a refusal of a message answers; a response is not answered."""
    return b"" if message.method is None else message.id or b""


def _heard(
    read: Reading, session: Session, entries: tuple[Route, ...], *, modern: bool, waited: bool
) -> Heard:
    """Put together what was read."""
    first = read.messages[0]
    told, method = first.traceparent, first.method
    trace = None if told is None else trace_of(told.encode())
    listens = method == _LISTEN or (read.batch and any(one.method == _LISTEN for one in read.messages))
    return Heard(session, modern, None, entries, trace, listens, method == _INITIALIZE, waited)


def _astray(message: Message, session: Session, caller: Caller | None) -> Deny | None:
    """Refuse what belongs to a session, and comes without one."""
    if session.digest is None and (message.method is None or message.method == _CANCELLED):
        return Deny(Reason.SESSION_FOREIGN, "what belongs to a session needs the session", caller=caller)
    return None


def _said(head: RequestHead, route: Route) -> _Said:
    """Look at what heads have in common that meet one rule: not at the length of a body."""
    unfit = _unfit(head, route) if route.on_mcp_path else None
    told = head.fields.get(b"mcp-protocol-version")
    return _Said(unfit, media(head), is_modern(head), None if told is None else told.decode("latin-1"))


def _unfit(head: RequestHead, route: Route) -> Deny | None:
    """Say why a request has no place on a path of a rule with `mcp`, whatever rule it met itself."""
    for name in _SAID_ONCE:
        if name in head.repeated:
            return Deny(Reason.MCP_MISMATCH, f"{name.decode()} is there more than once")
    if head.method == "POST":
        return None if route.mcp is not None else _UNREAD
    return None if head.method in _BODILESS else _UNREAD


def _stray_body(head: RequestHead, route: Route) -> Deny | None:
    """Refuse a body that nobody would read."""
    if head.method == "POST" or not route.on_mcp_path:
        return None
    empty = b"transfer-encoding" not in head.fields and head.fields.get(b"content-length", b"0") == b"0"
    return None if empty else _UNREAD


def _own_origins(config: Config) -> list[str]:
    """Return what the upstream may call itself: how it is reached, and what it is told that it is."""
    upstream = config.upstream
    origins = [f"{'https' if upstream.scheme == 'https' else 'http'}://{upstream.authority}"]
    if upstream.host_policy == "preserve" and config.resource is not None:
        public = config.resource.split("/")[2]
        origins += [f"http://{public}", f"https://{public}"]
    return origins
