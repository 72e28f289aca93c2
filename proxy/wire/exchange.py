"""One request from start to end: the gate's verdict carried out between the two protocols.

An exchange asks the gate, gets finished bytes, and obeys; it never knows why. Whatever goes wrong ends
in exactly one answer (or none, where the client has gone) and exactly one call of `finished`.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

import structlog

from proxy.model import Arrived, Closing, Note, Reason, Reply
from proxy.wire.answer import AsItCame, Changed, Whole
from proxy.wire.framing import (
    NO_BODY,
    Chunked,
    Malformed,
    Sized,
    UntilClose,
    keeps_alive,
    response_framing,
)
from proxy.wire.headers import LENGTH_AND_OF_CONTENT, OF_CONTENT, render_reply, together
from proxy.wire.hearing import Hearing
from proxy.wire.overtime import Overtime
from proxy.wire.tunnel import UPGRADED, Frames, opens

if TYPE_CHECKING:
    from proxy.model import Changes, Forward, Opening, RequestHead, Verdict
    from proxy.wire.answer import AnswerBody
    from proxy.wire.client import ClientConnection
    from proxy.wire.framing import Framing
    from proxy.wire.heads import ResponseHead
    from proxy.wire.listen import Wire
    from proxy.wire.upstream import UpstreamConnection

# Repeating these cannot do a thing twice (RFC 9110 9.2.2).
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# These do nothing at all (RFC 9110 9.2.1): not even a second time, after others have come between.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CONTINUE_STATUS = 100
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EVENTS = b"text/event-stream"
# Nobody has looked at what an interim answer says of it.
_UNSEALED = frozenset({b"mcp-session-id"})
# What nginx logs for a client that did not wait; no such answer exists.
_CLIENT_CLOSED = 499

_operations = structlog.get_logger()


class Exchange:
    """One request and its answer."""

    answer: ResponseHead | None = None
    """The head of the upstream's final answer, once it has come."""
    begun = False
    """The head of an answer has left for the client."""
    receiving = False
    """Request body bytes are taken as they come."""
    tunnels = False
    """What passes is no HTTP any more: bytes, both ways, until one side closes."""
    streams = False
    """The answer is a stream of events, which may be quiet for as long as it likes."""
    opening: Opening | None = None
    """What the gate knew of it when it decided; None until then."""

    _upstream: UpstreamConnection | None = None
    _hearing: Hearing | None = None
    _stored = 0
    _holder: object = None
    _retried = False
    _attempts = 1
    _bytes_in = 0
    _bytes_out = 0
    _sent = 0.0
    _first_byte: float | None = None
    _overtime: Overtime | None = None
    # Set by the step that comes before their first use.
    _forward: Forward
    _answer_body: AnswerBody | Sized
    _bodiless = False
    _resized = False
    _changes: Changes | None = None

    def __init__(
        self, wire: Wire, client: ClientConnection, head: RequestHead, request_body: Framing, began: float
    ) -> None:
        self.client = client
        self.head = head
        self.request_body = request_body
        self._wire = wire
        self._began = began

    @property
    def is_endless(self) -> bool:
        """Whether its answer has no end to wait for: somebody listens, or may until a token expires."""
        return self.streams and (self.head.method == "GET" or self._forward.until is not None)

    def is_judged_under(self, wire: Wire) -> bool:
        """Whether it waits for its verdict, from the gate of `wire`."""
        return self.opening is None and self._wire is wire

    # ---- the verdict -----------------------------------------------------------------------------------

    def start(self, refused: Reason | None) -> None:
        """Have the request judged, or refuse it for what the wire itself saw."""
        self._wire.exchanges.add(self)
        if refused is None:
            judgement = self._wire.gate.judge(self.head, self._wire.clock())
            # A plain request needs nothing, and is decided here.
            try:
                need = next(judgement)
                if isinstance(need, Arrived):
                    # It is there, or it is not: no hearing is needed for that.
                    need = judgement.send(self.arrived(need.limit))
            except StopIteration as stop:
                self.obey(stop.value)
            except Exception as error:  # noqa: BLE001 - no verdict, no forward: whatever it was
                self.undecided(error)
            else:
                self._hearing = Hearing(self._wire, self, judgement)
                self._hearing.serve(need)
        else:
            self._reply(self._fault(refused))

    def undecided(self, error: Exception) -> None:
        """The judgement has failed: nothing goes on."""
        _operations.error("judgement_failed", error=type(error).__name__)
        self.failed(Reason.INTERNAL_ERROR)

    def arrived(self, limit: int) -> bytes:
        """What has come of the request's body: its content where that is whole, else nothing."""
        return self.client.peek(self.request_body, limit)

    def collect(self, holder: object) -> None:
        """Give the hearing the request's body, as it comes; what is kept of it is kept for `holder`."""
        self._holder = holder
        if isinstance(self.request_body, Chunked):
            # The gate reads content, not chunks; collected, it goes on with a Content-Length.
            self.request_body = Chunked(decode=True)
        self.receiving = True
        patience = min(self._wire.timeouts.idle, self._wire.head_timeout)
        self._wire.wheel.arm(self.client, time.monotonic(), patience)
        waiting = self.client.take_backlog()
        if waiting:
            self.receive(waiting)
        else:
            self._ask_to_continue()

    def store(self, size: int) -> bool:
        """Count bytes that are held until all have come; False where too many are, in all or for one."""
        self._stored += size
        wire = self._wire
        in_all, held = wire.traffic.store(size, self._holder)
        return in_all <= wire.most_stored and held <= wire.most_stored_for_one

    def obey(self, verdict: Verdict) -> None:
        """Carry the verdict out."""
        if isinstance(verdict, Reply):
            self._reply(verdict)
            return
        self._forward = verdict
        self.opening = verdict.opening
        connection = self._wire.pool.take(self)
        if connection is not None:
            self.connected(connection)

    def _reply(self, reply: Reply) -> None:
        """Answer here. The rest of the request's body is the client connection's to drop."""
        self.opening = reply.opening
        bodiless = self.head.method == "HEAD"
        self.client.send(render_reply(reply, self.client.ending(self), bodiless=bodiless))
        self._bytes_out = 0 if bodiless else len(reply.body)
        self._finish(reply.status, None)

    def _fault(self, reason: Reason) -> Reply:
        return self._wire.gate.fault(reason, self.opening or self.head, self._wire.clock())

    # ---- toward the upstream ---------------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the head, and whatever there is of the body, in one write."""
        connection.exchange = self
        connection.lent = self._wire.outbox.turn
        self._upstream = connection
        if self.client.blocked:
            connection.hold()
        body = self.request_body
        parts = [self._forward.head]
        content = None if self._hearing is None else self._hearing.body
        if content is not None:
            parts += (b"Content-Length: %d\r\n\r\n" % len(content), content)
        elif isinstance(body, Chunked):
            parts.append(b"Transfer-Encoding: chunked\r\n\r\n")
        elif body is NO_BODY:
            parts.append(b"\r\n")
        elif isinstance(body, Sized):
            parts.append(b"Content-Length: %d\r\n\r\n" % body.left)
        if not body.done and not self._send_first(parts):
            return
        self._sent = now = time.monotonic()
        self._wire.outbox.write(connection.transport, b"".join(parts))
        self._watch(now)

    def _send_first(self, parts: list[bytes]) -> bool:
        """Add what has come of the body to the first write; False where it was malformed."""
        self.receiving = True
        waiting = self.client.take_backlog()
        if waiting:
            taken = self._take(waiting)
            if taken is None:
                return False
            parts.append(taken)
        else:
            self._ask_to_continue()
        if self.receiving and self._overtime is None:
            # A byte now and then keeps every other deadline away.
            self._overtime = Overtime(self._wire, self)
        return True

    def _ask_to_continue(self) -> None:
        if b"expect" in self.head.fields and not self.head.http10:
            self.client.send(_CONTINUE)

    def receive(self, data: bytes) -> None:
        """Request body bytes have come; those that lie behind the body go back to the client connection."""
        taken = self._take(data)
        if taken is None:
            return
        if self._upstream is not None:
            if taken:
                self._wire.outbox.write(self._upstream.transport, taken)
            self._watch(time.monotonic())
        elif self._hearing is not None:
            self._hearing.gather(taken, last=self.request_body.done)

    def _take(self, data: bytes) -> bytes | None:
        try:
            taken, rest = self.request_body.take(data)
        except Malformed:
            self.client.broken = True
            self.failed(Reason.REQUEST_MALFORMED)
            return None
        self._bytes_in += len(data) - len(rest)
        self.receiving = not self.request_body.done
        if rest:
            self.client.give_back(rest)
        return taken

    def _watch(self, now: float) -> None:
        """Give the upstream connection its next deadline."""
        if self._upstream is None:
            return
        if self.streams and (self.tunnels or not self.receiving):
            self._upstream.deadline = inf
            return
        timeouts = self._wire.timeouts
        awaited = self.answer is None and not self.receiving
        self._wire.wheel.arm(self._upstream, now, timeouts.first_byte if awaited else timeouts.idle)

    def hold_answer(self) -> None:
        """Read no more of the answer: the client takes no more for now."""
        if self._upstream is not None:
            self._upstream.hold()

    def unhold_answer(self) -> None:
        """Read on."""
        if self._upstream is not None:
            self._upstream.unhold()

    # ---- from the upstream -----------------------------------------------------------------------------

    def interim(self, head: ResponseHead) -> None:
        """Pass an interim answer on; 100 is the client side's own, and HTTP/1.0 knows none."""
        if head.status != _CONTINUE_STATUS and not self.head.http10:
            lines = self._wire.response_lines.head(head, self.head, b"\r\n", dropping=_UNSEALED)
            self.client.send(lines)

    def answered(self, head: ResponseHead, rest: bytes) -> None:
        """The final head has come, with `rest` behind it."""
        self._first_byte = time.monotonic()
        unfit = self._forward.unfit.get(head.status)
        if unfit is not None:
            self.failed(unfit)
            return
        decider = self._forward.answer
        changes = None if decider is None else decider.changes(head.status, head.fields, head.repeated)
        if isinstance(changes, Reason):
            self.failed(changes)
            return
        transform = None if changes is None else changes.transform
        http10 = self.head.http10
        try:
            framing = response_framing(
                self.head.method,
                head.status,
                head.fields,
                head.repeated,
                http10=head.http10,
                decode=http10 or transform is not None,
            )
        except Malformed:
            self.failed(Reason.UPSTREAM_MALFORMED)
            return
        self.answer = head
        self._changes = changes
        self._bodiless = framing is NO_BODY
        self._resized = transform is not None and (self._bodiless or not framing.done)
        streams = head.fields.get(b"content-type", b"").lower().startswith(_EVENTS)
        if transform is None or framing.done:
            if isinstance(framing, Sized):
                self._answer_body = framing
                self._begin(head, rest, unsized=False, streams=streams)
            else:
                self._answer_body = AsItCame(framing, chunks=not http10)
                self._begin(head, rest, unsized=True, streams=streams)
        elif transform.whole is None:
            self._answer_body = Changed(framing, transform, chunks=not http10)
            self._begin(head, rest, unsized=True, streams=streams)
        else:
            # What has come whole, and goes on unchanged, keeps its length.
            if isinstance(framing, Sized) and framing.left == len(rest) <= transform.whole:
                new = transform.feed(rest)
                if new is rest:
                    self._answer_body, self._resized = framing, False
                    self._begin(head, rest, unsized=False, streams=streams)
                    return
            self._answer_body = Whole(framing, transform, transform.whole)
            self.content(rest)

    def switched(self, head: ResponseHead, rest: bytes) -> None:
        """The upstream speaks another protocol from here on, where that is what was asked for."""
        forward = self._forward
        decider = forward.answer
        changes = None if decider is None else decider.changes(head.status, head.fields, head.repeated)
        if not (forward.upgrade and opens(self.head, head)) or isinstance(changes, Reason):
            self.failed(Reason.UPSTREAM_MALFORMED)
            return
        self._first_byte = time.monotonic()
        self.answer, self._changes = head, changes
        self.tunnels = self.client.closing = True
        self.request_body, self._answer_body = UntilClose(), Frames()
        self.receiving = True
        self._begin(head, rest, unsized=False, streams=True)
        early = self.client.take_backlog()
        if early:
            self.receive(early)

    def _begin(self, answer: ResponseHead, rest: bytes, *, unsized: bool, streams: bool) -> None:
        """Send the head of an answer, and what there is of its body in the same write."""
        out = self._head(answer, b"", unsized=unsized)
        # Whether or not its head has left when a fault of the body is seen: the answer ends in the same way.
        self.begun = True
        if streams:
            self.streams = True
            self._wire.gate.opened(self._forward.opening, answer.status)
            self.client.listen()
        if self._answer_body.done:
            self.client.send(out)
            self._complete(surplus=bool(rest))
        else:
            self.content(rest, out)

    def _head(self, answer: ResponseHead, length: bytes, *, unsized: bool) -> bytes:
        """The head for the client; `length` is its Content-Length line where that is ours."""
        http10, changes = self.head.http10, self._changes
        if self.tunnels:
            added = UPGRADED
        else:
            added = self.client.ending(self, until_close=http10 and unsized) + length
        if unsized and not http10:
            added += b"Transfer-Encoding: chunked\r\n"
        dropping = self._forward.dropping
        if changes is not None:
            added += changes.lines
            if changes.dropping:
                dropping = together(dropping, changes.dropping)
            if changes.transform is not None:
                stale = LENGTH_AND_OF_CONTENT if self._resized else OF_CONTENT
                dropping = together(dropping, stale) if dropping else stale
        return self._wire.response_lines.head(
            answer, self.head, self._forward.told + added + b"\r\n", dropping=dropping
        )

    def _head_of(self, whole: bytes) -> bytes:
        """The head of an answer that was collected: only now it is known how long it is."""
        if self.answer is None:
            return b""
        self.begun = True
        return self._head(self.answer, b"Content-Length: %d\r\n" % len(whole), unsized=False)

    def content(self, data: bytes, head: bytes = b"") -> None:
        """Answer body bytes have come; `head` leaves in the same write."""
        body = self._answer_body
        if not self.begun and not self.store(len(data)):
            self.failed(Reason.OVERLOADED)
            return
        try:
            out, surplus = body.take(data)
        except Malformed:
            self.failed(Reason.UPSTREAM_MALFORMED)
            return
        if body.done and not self.begun:
            head = self._head_of(out)
        self._bytes_out += len(out)
        if head:
            out = head + out
        if out:
            self.client.send(out)
        if body.done:
            self._complete(surplus=bool(surplus))
        else:
            if self._overtime is None:
                self._overtime = Overtime(self._wire, self)
            self._watch(time.monotonic())

    def _complete(self, *, surplus: bool) -> None:
        """The answer is whole: give the connection back where it can serve again."""
        answer, connection = self.answer, self._upstream
        if answer is None:
            return
        if connection is not None:
            self._upstream = None
            if not surplus and self._can_serve_again(answer, connection):
                connection.reused = True
                connection.unhold()
                self._wire.pool.put(connection)
            else:
                connection.abort()
        self._finish(answer.status, None)

    def _can_serve_again(self, answer: ResponseHead, connection: UpstreamConnection) -> bool:
        """Whether what comes next on this connection is sure to be the next exchange's."""
        return (
            # Some servers send a body behind HEAD, 204 and 304 all the same: it would pass for an answer.
            not self._bodiless
            # A server that said no to an upgrade may still have begun one.
            and not self._forward.upgrade
            and self.request_body.done
            # What is still unsent would hold the next one's body back unseen.
            and not connection.transport.get_write_buffer_size()
            and keeps_alive(answer.fields, http10=answer.http10)
        )

    # ---- what goes wrong -------------------------------------------------------------------------------

    def upstream_lost(self, connection: UpstreamConnection, *, clean: bool) -> None:
        """The upstream has closed its connection."""
        self._upstream = None
        if self.answer is not None:
            self._closed(clean=clean)
        elif connection.has_answered:
            self.failed(Reason.UPSTREAM_MALFORMED)
        elif connection.reused and not self._retried and self._is_repeatable:
            # It was closing while the request was on its way: nobody has read it.
            self._retried = True
            self._wire.pool.dial(self)
        else:
            self.unreachable()

    def unreachable(self) -> None:
        """No connection could be had, or it closed without an answer: try again, or answer that."""
        if self._attempts <= self._wire.retry and self.request_body is NO_BODY and self.head.method in _SAFE:
            self._attempts += 1
            self._wire.pool.wait(self)
        else:
            self.failed(Reason.UPSTREAM_UNREACHABLE)

    def _closed(self, *, clean: bool) -> None:
        """Nothing more comes of an answer: its end, where that is how it ends."""
        try:
            body = self._answer_body
            out = body.closed() if clean and not isinstance(body, Sized) else None
        except Malformed:
            out = None
        if out is None:
            self.failed(Reason.UPSTREAM_MALFORMED)
            return
        self._bytes_out += len(out)
        if not self.begun:
            out = self._head_of(out) + out
        if out:
            self.client.send(out)
        self._complete(surplus=False)

    @property
    def _is_repeatable(self) -> bool:
        return self.request_body is NO_BODY and self.head.method in _REPEATABLE

    def client_silent(self) -> None:
        """The rest of the request's body has not come."""
        self.client.broken = True
        self.failed(Reason.REQUEST_TIMEOUT)

    def upstream_silent(self) -> None:
        """Nothing has moved for too long."""
        if self.receiving and self.answer is None:
            self.client_silent()
        else:
            self.failed(Reason.UPSTREAM_TIMEOUT)

    def failed(self, reason: Reason) -> None:
        """It cannot be completed: answer with the refusal where no answer has begun."""
        if self.begun:
            self._cut(reason)
            return
        self._let_go()
        self._reply(self._fault(reason))

    def _cut(self, reason: Reason | Note) -> None:
        """The head is out, so the only truth left to tell is a connection that ends too early."""
        self._let_go()
        self.client.abort()
        self._finish(self._status, reason)

    @property
    def _status(self) -> int:
        """What the client has been told."""
        return self.answer.status if self.answer is not None and self.begun else _CLIENT_CLOSED

    def client_gone(self) -> None:
        """The client has closed its connection: what it asked for is of no use to anybody."""
        self._let_go()
        if self.opening is None:
            self.opening = self._fault(Reason.CLIENT_CLOSED).opening
        self._finish(self._status, Note.CLIENT_CLOSED)

    def end(self, note: Note) -> None:
        """End it now. A stream of events ends cleanly where a chunk has just ended; a whole it never was."""
        if not self.begun:
            self.failed(Reason(note))
            return
        body = self._answer_body
        last = None
        if self.streams and not isinstance(body, Sized):
            last = body.cut(note)
        if last is None:
            self._cut(note)
            return
        self._let_go()
        self.client.send(last)
        self._bytes_out += len(last)
        self.client.closing = True
        self._finish(self._status, note)

    def until(self) -> float:
        """When it has to be over, in Unix seconds."""
        forward = self._forward
        if forward.until is not None and self._ends_with_its_token:
            return forward.until
        if self.streams and self.head.method == "GET":
            return inf
        return self._forward.opening.timestamp + self._wire.longest_answer

    @property
    def _ends_with_its_token(self) -> bool:
        return self.streams or self._forward.ends

    def overdue(self) -> None:
        """It lasts longer than it may."""
        if self._forward.until is not None and self._ends_with_its_token:
            self.end(Note.TOKEN_EXPIRED)
        else:
            self.failed(Reason.UPSTREAM_TIMEOUT)

    def _let_go(self) -> None:
        """End whatever still works for this exchange."""
        self.receiving = False
        self._wire.pool.forget(self)
        if self._hearing is not None:
            self._hearing.cancel()
        if self._upstream is not None:
            if self.tunnels:
                self._upstream.finish()
            else:
                self._upstream.abort()
            self._upstream = None

    def _finish(self, status: int, reason: Reason | Note | None) -> None:
        wire = self._wire
        wire.exchanges.discard(self)
        if self._stored:
            wire.traffic.store(-self._stored, self._holder)
        if self._overtime is not None:
            self._overtime.deadline = inf
        # Both know this exchange: without them it goes at once, and not when cycles are looked for.
        self._hearing = self._overtime = None
        first = self._first_byte
        closing = Closing(
            status,
            self._bytes_in,
            self._bytes_out,
            time.monotonic() - self._began,
            None if first is None else first - self._sent,
            None if self.answer is None else self.answer.status,
            reason,
        )
        if self.opening is not None:
            wire.gate.finished(self.opening, closing)
        self.client.done(self)
