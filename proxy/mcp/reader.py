"""JSON-RPC messages of MCP clients, read in the one way that every reader reads them, or not at all.

Pure. Knows JSON-RPC 2.0 and the methods of MCP (up to 2026-07-28). What is judged here is what every server
behind will execute, whether its reader takes the first of two keys or the last, ignores case, or ends a key
at a NUL: where they would differ the body is refused.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from proxy.mcp.careful import Found, Malformed, parsed, plain, sole
from proxy.mcp.message import CLIENT, CUT, NAMED, UNSOUND, VERSION, Message, Reading
from proxy.mcp.quick import Quick
from proxy.model import Deny, Operation, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.model import Kind

_LONGEST_LOOK = 64 * 1024
# Signs of a value, in a body of somebody who is not known: what takes time is their number.
_MOST_LOOKED_AT = 1024
# As many calls as a line of the log can name.
_MOST_MESSAGES = 100
# Each is judged: a body may be small and ask for very much.
_MOST_OPERATIONS = 1000
_LONGEST_NAMES = 64 * 1024
_TOP = frozenset({"jsonrpc", "method", "params", "id", "result", "error"})
_PARAMS = frozenset(
    {"name", "uri", "taskId", "arguments", "_meta", "ref", "notifications", "protocolVersion", "clientInfo"}
)
_REFERRED: Mapping[object, tuple[Kind, str]] = MappingProxyType(
    {"ref/prompt": ("prompt", "name"), "ref/resource": ("template", "uri")}
)
# Gone from 2026-07-28: where no resource is named, that is for an entry or for the upstream to answer.
_ONCE_NAMED = frozenset({"resources/subscribe", "resources/unsubscribe"})
_TASKS = "tasks/"
_TASK = "tasks/get"
_RESPONSE = frozenset({"result", "error"})
_SAID = frozenset({VERSION, CLIENT, "traceparent"})
_REFERENCE = frozenset({"type", "name", "uri"})
_SUBSCRIBED = frozenset({"resourceSubscriptions", "taskIds"})


class Reader:
    """Reads bodies; `arguments` names the arguments that an entry decides by, or that the log shows."""

    def __init__(self, arguments: frozenset[str]) -> None:
        self._arguments = arguments
        self._quick = Quick(arguments)

    def read(self, body: bytes) -> Reading | Deny:
        """Return the messages in `body`, or why there is not one reading of it (MCP_MALFORMED)."""
        message = self._quick.read(body)
        if message is not None:
            return Reading((message,))
        try:
            return self.read_carefully(body)
        except Malformed as fault:
            return Deny(Reason.MCP_MALFORMED, f"the body {fault}")

    def read_carefully(self, body: bytes) -> Reading:
        """Read without a short cut.

        Raises:
            Malformed: there is not one reading.
        """
        document = parsed(body)
        if not isinstance(document, list):
            return Reading((self._message(document),))
        if not document:
            raise Malformed("is an empty batch")
        if len(document) > _MOST_MESSAGES:
            raise Malformed(f"is a batch of more than {_MOST_MESSAGES} messages")
        messages: list[Message] = []
        operations = names = 0
        for one in document:
            messages.append(self._message(one))
            operations += len(messages[-1].operations)
            names += sum(len(operation.name) for operation in messages[-1].operations)
            _bounded(operations, names)
        return Reading(tuple(messages), batch=True)

    def _message(self, document: Any) -> Message:
        top = sole(_object(document, "no JSON-RPC message"), _TOP)
        if top.get("jsonrpc") != "2.0":
            raise Malformed("does not say that it is JSON-RPC 2.0")
        number = _id(top["id"]) if "id" in top else None
        method, answers = top.get("method"), "result" in top or "error" in top
        if method is None and answers:
            return Message(None, number)
        if not isinstance(method, str) or UNSOUND.search(method):
            raise Malformed("has no method that is plain text")
        if answers:
            raise Malformed("is a request and a response at once")
        params = _members(top, "params", _PARAMS)
        meta = _members(params, "_meta", _SAID)
        # initialize proposes a version, and presents its client, beside `_meta`.
        opening = params if method == "initialize" else {}
        version, client = opening.get("protocolVersion"), opening.get("clientInfo")
        if version is None:
            version = meta.get(VERSION)
        return Message(
            method,
            number,
            tuple(self._operations(method, params)),
            _named(method, params),
            None if version is None else _text(version, "protocolVersion"),
            _client(meta.get(CLIENT) if client is None else client),
            _told(meta.get("traceparent")),
        )

    def _operations(self, method: str, params: Mapping[str, Any]) -> Iterator[Operation]:
        named = NAMED.get(method)
        if named is not None and (method not in _ONCE_NAMED or "uri" in params):
            kind, key = named
            yield Operation(method, kind, _text(params.get(key), key), self._chosen(params))
        elif method == "completion/complete":
            ref = _members(params, "ref", _REFERENCE)
            referred = _REFERRED.get(_text(ref.get("type"), "ref.type"))
            if referred is None:
                raise Malformed("refers to what is neither a prompt nor a resource")
            kind, key = referred
            yield Operation(method, kind, _text(ref.get(key), f"ref.{key}"))
        else:
            yield Operation(method)
            if method == "subscriptions/listen":
                yield from _subscriptions(method, _members(params, "notifications", _SUBSCRIBED))

    def _chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that are looked at."""
        arguments = _members(params, "arguments", self._arguments)
        for key, value in arguments.items():
            if isinstance(value, str) and CUT.search(value):
                raise Malformed(f"has an argument {key} that some readers cut short")
        return {key: plain(value) for key, value in arguments.items()}


def identify(body: bytes) -> bytes | None:
    """Return the `id` of a body that may be refused, as JSON, where it is unmistakable; else None.

    That is: one message that is no response, with one id, in one spelling. A long body of many values is not
    looked at.
    """
    values = body.count(b"{") + body.count(b"[") + body.count(b",")
    if len(body) > _LONGEST_LOOK or values > _MOST_LOOKED_AT:
        return None
    try:
        document = parsed(body)
        if not isinstance(document, Found):
            return None
        keys = {key for key, _ in document.pairs}
        # A response has the id of what the other side asked.
        if "id" not in keys or ("method" not in keys and keys & _RESPONSE):
            return None
        return _id(sole(document, frozenset({"id"}))["id"])
    except Malformed:
        return None


def _subscriptions(method: str, notifications: Mapping[str, Any]) -> Iterator[Operation]:
    uris = _texts(notifications.get("resourceSubscriptions"), "resourceSubscriptions")
    _bounded(len(uris), sum(map(len, uris)))
    for uri in uris:
        yield Operation(method, "resource", uri)
    # Their ids belong to nobody that could be seen here: whoever may follow one may ask for it.
    if _texts(notifications.get("taskIds"), "taskIds"):
        yield Operation(_TASK)


def _bounded(operations: int, names: int) -> None:
    if operations > _MOST_OPERATIONS or names > _LONGEST_NAMES:
        raise Malformed(
            f"asks for over {_MOST_OPERATIONS} operations, or names them in over {_LONGEST_NAMES} characters"
        )


def _named(method: str, params: Mapping[str, Any]) -> str | None:
    if method in NAMED:
        found = params.get(NAMED[method][1])
    elif method.startswith(_TASKS):
        found = params.get("taskId")
    else:
        return None
    return found if isinstance(found, str) else None


def _object(value: Any, fault: str) -> Found:
    if not isinstance(value, Found):
        raise Malformed(f"has {fault}")
    return value


def _members(of: Mapping[str, Any], key: str, names: frozenset[str]) -> dict[str, Any]:
    """Return what decides in a member that is an object; nothing where it is null or not there."""
    value = of.get(key)
    return {} if value is None else sole(_object(value, f"a member {key} that is no object"), names)


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"has no {key} that is text")
    if UNSOUND.search(value):
        raise Malformed(f"has a {key} with characters that no name has")
    return value


def _texts(value: Any, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"has {key} that is no list")
    return [_text(one, key) for one in value]


def _id(value: Any) -> bytes:
    if isinstance(value, str):
        return json.dumps(value).encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    raise Malformed("has an id that is neither text nor a whole number")


def _client(value: Any) -> str | None:
    return _told(sole(value, frozenset({"name"})).get("name")) if isinstance(value, Found) else None


def _told(value: Any) -> str | None:
    """Return what is only told on; lone surrogates, of which UTF-8 has none, as question marks."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None
