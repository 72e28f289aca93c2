"""JSON-RPC messages of MCP clients, read in the one way that every reader reads them, or not at all.

Pure. Knows JSON-RPC 2.0 and the methods of MCP (up to 2026-07-28). What is judged here is what every server
behind will execute, whether its reader takes the first of two keys or the last, ignores case, or ends a key
at a NUL: where they would differ the body is refused.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from proxy.mcp.careful import Found, Malformed, parsed, plain, sole
from proxy.mcp.message import CLIENT, NAMED, UNSOUND, VERSION, Message, Reading
from proxy.mcp.quick import Quick
from proxy.model import Deny, Operation, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from proxy.model import Kind

_LONGEST_LOOK = 64 * 1024
_TOP = frozenset({"jsonrpc", "method", "params", "id", "result", "error"})
_PARAMS = frozenset(
    {"name", "uri", "taskId", "arguments", "_meta", "ref", "notifications", "protocolVersion", "clientInfo"}
)
_AS_SAID = ("name", "uri", "taskId")
_REFERRED: Mapping[object, tuple[Kind, str]] = MappingProxyType(
    {"ref/prompt": ("prompt", "name"), "ref/resource": ("template", "uri")}
)
# Gone from 2026-07-28: where no resource is named, that is for an entry or for the upstream to answer.
_ONCE_NAMED = frozenset({"resources/subscribe", "resources/unsubscribe"})
_TASKS = "tasks/"
_TASK = "tasks/get"


class Outline(Struct, gc=False):
    """What of one message decides, as it was said.

    `params` has, where they are there, `name`, `uri`, `taskId`, `arguments` (those that are looked at),
    `_meta` (`version`, `client`, `traceparent`), `ref`, `notifications`, and of initialize `version` and
    `client`. `answers`: it has a result or an error.
    """

    jsonrpc: object
    method: object
    id: bytes | None = None
    answers: bool = False
    params: dict[str, Any] | None = None


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
            return Reading((_message(self._outline(document)),))
        if not document:
            raise Malformed("is an empty batch")
        return Reading(tuple(_message(self._outline(one)) for one in document), batch=True)

    def _outline(self, document: Any) -> Outline:
        top = sole(_object(document, "no JSON-RPC message"), _TOP)
        outline = Outline(top.get("jsonrpc"), top.get("method"))
        outline.answers = "result" in top or "error" in top
        if "id" in top:
            outline.id = _id(top["id"])
        params = top.get("params")
        if params is not None:
            outline.params = self._params(sole(_object(params, "params that are no object"), _PARAMS))
        return outline

    def _params(self, params: dict[str, Any]) -> dict[str, Any]:
        members: dict[str, Any] = {key: params[key] for key in _AS_SAID if key in params}
        if "arguments" in params:
            arguments = params["arguments"]
            found = Found([]) if arguments is None else _object(arguments, "arguments that are no object")
            members["arguments"] = {key: plain(one) for key, one in sole(found, self._arguments).items()}
        if params.get("_meta") is not None:
            meta = sole(
                _object(params["_meta"], "_meta that is no object"),
                frozenset({VERSION, CLIENT, "traceparent"}),
            )
            said = {
                "version": meta.get(VERSION),
                "client": _client(meta.get(CLIENT)),
                "traceparent": meta.get("traceparent"),
            }
            members["_meta"] = {key: value for key, value in said.items() if value is not None}
        if "ref" in params:
            members["ref"] = sole(
                _object(params["ref"], "a ref that is no object"), frozenset({"type", "name", "uri"})
            )
        if "notifications" in params:
            members["notifications"] = sole(
                _object(params["notifications"], "notifications that are no object"),
                frozenset({"resourceSubscriptions", "taskIds"}),
            )
        if "protocolVersion" in params:
            members["version"] = params["protocolVersion"]
        if "clientInfo" in params:
            members["client"] = _client(params["clientInfo"])
        return members


def identify(body: bytes) -> bytes | None:
    """Return the `id` of a body that may be refused, as JSON, where it is unmistakable; else None.

    That is: one message, with one id, in one spelling.
    """
    if len(body) > _LONGEST_LOOK:
        return None
    try:
        document = parsed(body)
        if not isinstance(document, Found):
            return None
        members = sole(document, frozenset({"id"}))
        return _id(members["id"]) if "id" in members else None
    except Malformed:
        return None


def _message(outline: Outline) -> Message:
    """Say what a message asks for.

    Raises:
        Malformed: it is no JSON-RPC message of MCP.
    """
    if outline.jsonrpc != "2.0":
        raise Malformed("does not say that it is JSON-RPC 2.0")
    method, params = outline.method, outline.params or {}
    if method is None and outline.answers:
        return Message(None, outline.id)
    if not isinstance(method, str) or UNSOUND.search(method):
        raise Malformed("has no method that is plain text")
    if outline.answers:
        raise Malformed("is a request and a response at once")
    meta = params.get("_meta", {})
    version = meta.get("version") or (params.get("version") if method == "initialize" else None)
    client = meta.get("client") or (params.get("client") if method == "initialize" else None)
    return Message(
        method,
        outline.id,
        tuple(_operations(method, params)),
        _named(method, params),
        _told(version),
        _told(client),
        _told(meta.get("traceparent")),
    )


def _operations(method: str, params: dict[str, Any]) -> Iterator[Operation]:
    named = NAMED.get(method)
    if named is not None and (method not in _ONCE_NAMED or "uri" in params):
        kind, key = named
        yield Operation(method, kind, _text(params.get(key), key), params.get("arguments", {}))
    elif method == "completion/complete":
        ref = params.get("ref", {})
        referred = _REFERRED.get(_text(ref.get("type"), "ref.type"))
        if referred is None:
            raise Malformed("refers to what is neither a prompt nor a resource")
        kind, key = referred
        yield Operation(method, kind, _text(ref.get(key), f"ref.{key}"))
    else:
        yield Operation(method)
        if method == "subscriptions/listen":
            yield from _subscriptions(method, params.get("notifications", {}))


def _subscriptions(method: str, notifications: dict[str, Any]) -> Iterator[Operation]:
    for uri in _texts(notifications.get("resourceSubscriptions"), "resourceSubscriptions"):
        yield Operation(method, "resource", uri)
    # Their ids belong to nobody that could be seen here: whoever may follow one may ask for it.
    if _texts(notifications.get("taskIds"), "taskIds"):
        yield Operation(_TASK)


def _named(method: str, params: dict[str, Any]) -> str | None:
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


def _client(value: Any) -> Any:
    if not isinstance(value, Found):
        return None
    return sole(value, frozenset({"name"})).get("name")


def _told(value: Any) -> str | None:
    return value if isinstance(value, str) else None
