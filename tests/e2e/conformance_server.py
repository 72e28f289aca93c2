"""The server that the conformance suite asks for, on the Python SDK; names and texts are the suite's own.

Run as a program: `python conformance_server.py`. It picks a free port, which its web server prints. It
speaks every revision that the SDK does, with sessions and without, and knows nothing of tokens.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server import CacheHint, Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged
from mcp_types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CompleteRequestParams,
    CreateMessageRequest,
    CreateMessageResult,
    GetPromptRequestParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server import ServerRequestContext
    from mcp.server.streamable_http import EventCallback
    from mcp_types import JSONRPCMessage

JSON = dict[str, Any]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
NOTHING: JSON = {"type": "object", "properties": {}}

_tools: dict[str, tuple[JSON, Callable[[Call], Awaitable[Any]]]] = {}
_bus = InMemorySubscriptionBus()


class Call:
    """One call of a tool: what came with it, and the way back to the client."""

    def __init__(self, context: ServerRequestContext, params: CallToolRequestParams) -> None:
        self.context, self.params = context, params
        self.session = context.session
        self.arguments: JSON = params.arguments or {}
        self.answers = params.input_responses or {}

    async def log(self, text: str) -> None:
        await self.session.send_log_message("info", text, related_request_id=self.context.request_id)

    async def ask(self, message: str, schema: JSON) -> str:
        answer = await self.session.elicit_form(message, schema, self.context.request_id)
        return f"action={answer.action}, content={json.dumps(answer.content)}"


def tool(schema: JSON = NOTHING, name: str | None = None) -> Callable[..., Any]:
    """Offer `test_<name>`, or `name`; the function returns content, or what it still wants to know."""

    def offered(function: Callable[[Call], Awaitable[Any]]) -> Callable[[Call], Awaitable[Any]]:
        _tools[name or f"test_{function.__name__}"] = (schema, function)
        return function

    return offered


def text(content: str) -> JSON:
    return {"type": "text", "text": content}


def embedded(uri: str, mime: str, content: str) -> JSON:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": content}}


def form(message: str, **properties: JSON) -> JSON:
    """A request for input by form (SEP-2322), each property of which is required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def generation(prompt: str, most: int) -> JSON:
    messages = [{"role": "user", "content": text(prompt)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": most}}


def wanted(state: str | None = None, **requests: JSON) -> JSON:
    """Say what the client has to find out before it asks again (SEP-2322)."""
    more = {} if state is None else {"requestState": state}
    return {"resultType": "input_required", "inputRequests": requests, **more}


STRING: JSON = {"type": "string"}
ROOTS: JSON = {"method": "roots/list", "params": {}}
NAME = form("What is your name?", name=STRING)


@tool()
async def simple_text(_: Call) -> JSON:
    return text("This is a simple text response for testing.")


@tool()
async def image_content(_: Call) -> JSON:
    return IMAGE


@tool()
async def audio_content(_: Call) -> JSON:
    return {"type": "audio", "data": WAV, "mimeType": "audio/wav"}


@tool()
async def embedded_resource(_: Call) -> JSON:
    return embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")


@tool()
async def multiple_content_types(_: Call) -> list[JSON]:
    data = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [text("Multiple content types test:"), IMAGE, data]


@tool()
async def error_handling(_: Call) -> JSON:
    raise RuntimeError("This tool intentionally returns an error for testing")


@tool()
async def tool_with_logging(call: Call) -> JSON:
    for step in ("execution started", "processing data", "execution completed"):
        await call.log(f"Tool {step}")
        await asyncio.sleep(0.05)
    return text("Tool with logging executed")


@tool()
async def tool_with_progress(call: Call) -> JSON:
    for progress in (0, 50, 100):
        await call.session.report_progress(progress, 100)
        await asyncio.sleep(0.05)
    return text("Tool with progress executed")


@tool()
async def reconnection(call: Call) -> JSON:
    if call.context.close_sse_stream is not None:
        await asyncio.sleep(0.1)  # the stream's first event is on its way
        await call.context.close_sse_stream()
    await asyncio.sleep(0.2)
    return text("Reconnection test completed")


@tool({"type": "object", "properties": {"prompt": STRING}, "required": ["prompt"]})
async def sampling(call: Call) -> JSON:
    request = CreateMessageRequest.model_validate(generation(call.arguments["prompt"], 100))
    related = ServerMessageMetadata(related_request_id=call.context.request_id)
    answer = await call.session.send_request(request, CreateMessageResult, metadata=related)
    return text(f"LLM response: {answer.content.text}")


@tool({"type": "object", "properties": {"message": STRING}, "required": ["message"]})
async def elicitation(call: Call) -> JSON:
    user = {"username": STRING, "email": STRING}
    schema = {"type": "object", "properties": user, "required": list(user)}
    return text(f"User response: {await call.ask(call.arguments['message'], schema)}")


@tool()
async def elicitation_sep1034_defaults(call: Call) -> JSON:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    answer = await call.ask("Is this right?", {"type": "object", "properties": properties})
    return text(f"Elicitation completed: {answer}")


@tool()
async def elicitation_sep1330_enums(call: Call) -> JSON:
    plain = ["option1", "option2", "option3"]
    titled = [
        {"const": f"value{n}", "title": f"{order} Option"} for n, order in enumerate(("First", "Second"))
    ]
    old = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    properties = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", **old},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    answer = await call.ask("Which ones?", {"type": "object", "properties": properties})
    return text(f"Elicitation completed: {answer}")


@tool(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": STRING, "city": STRING},
            }
        },
        "properties": {
            "name": STRING,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": STRING,
            "email": STRING,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
    name="json_schema_2020_12_tool",
)
async def json_schema_2020_12_tool(_: Call) -> JSON:
    return text("ok")


def _header(kind: str, name: str) -> JSON:
    return {"type": kind, "x-mcp-header": name}


@tool(
    {
        "type": "object",
        "properties": {
            "region": _header("string", "Region"),
            "priority": _header("integer", "Priority"),
            "verbose": _header("boolean", "Verbose"),
            "empty_val": _header("string", "EmptyVal"),
            "query": STRING,
        },
    }
)
async def custom_headers(call: Call) -> JSON:
    return text(json.dumps(call.arguments))


@tool()
async def missing_capability(call: Call) -> JSON:
    if call.session.client_capabilities is None or call.session.client_capabilities.sampling is None:
        needs = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "it needs sampling", needs)
    return text("ok")


@tool()
async def logging_tool(call: Call) -> JSON:
    await call.log("for those who asked for it")
    return text("ok")


@tool()
async def streaming_elicitation(call: Call) -> JSON:
    await call.session.report_progress(1, 2)
    return text("ok") if call.answers else wanted(user_name=NAME)


@tool()
async def trigger_tool_change(_: Call) -> JSON:
    await _bus.publish(ToolsListChanged())
    return text("ok")


@tool()
async def trigger_prompt_change(_: Call) -> JSON:
    await _bus.publish(PromptsListChanged())
    return text("ok")


@tool()
async def input_required_result_elicitation(call: Call) -> JSON:
    name = (getattr(call.answers.get("user_name"), "content", None) or {}).get("name")
    return wanted(user_name=NAME) if name is None else text(f"Hello, {name}!")


@tool()
async def input_required_result_sampling(call: Call) -> JSON:
    if "capital_question" not in call.answers:
        return wanted(capital_question=generation("What is the capital of France?", 100))
    return text(call.answers["capital_question"].content.text)


@tool()
async def input_required_result_list_roots(call: Call) -> JSON:
    if "client_roots" not in call.answers:
        return wanted(client_roots=ROOTS)
    return text(" ".join(str(root.uri) for root in call.answers["client_roots"].roots))


@tool()
async def input_required_result_request_state(call: Call) -> JSON:
    if "confirm" not in call.answers:
        return wanted("confirming", confirm=form("Please confirm", ok={"type": "boolean"}))
    return text("state-ok" if call.params.request_state == "confirming" else "state-lost")


@tool()
async def input_required_result_tampered_state(call: Call) -> JSON:
    return await input_required_result_request_state(call)


@tool()
async def input_required_result_multiple_inputs(call: Call) -> JSON:
    requests = {"user_name": NAME, "greeting": generation("Generate a greeting", 50), "client_roots": ROOTS}
    return text("all three") if requests.keys() <= call.answers.keys() else wanted("asked", **requests)


@tool()
async def input_required_result_multi_round(call: Call) -> JSON:
    if "step2" in call.answers:
        return text("both steps")
    if "step1" in call.answers:
        return wanted("round-2", step2=form("Step 2: What is your favorite color?", color=STRING))
    return wanted("round-1", step1=form("Step 1: What is your name?", name=STRING))


@tool()
async def input_required_result_capabilities(call: Call) -> JSON:
    able = call.session.client_capabilities
    if able is not None and able.elicitation is not None:
        return wanted(user_name=NAME)
    return wanted(greeting=generation("Generate a greeting", 50))


async def list_tools(_: ServerRequestContext, __: PaginatedRequestParams) -> JSON:
    return {
        "tools": [
            {"name": name, "description": f"{name} of the suite", "inputSchema": schema}
            for name, (schema, _) in _tools.items()
        ]
    }


async def call_tool(context: ServerRequestContext, params: CallToolRequestParams) -> JSON:
    if params.name not in _tools:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        result = await _tools[params.name][1](Call(context, params))
    except RuntimeError as error:
        return {"isError": True, "content": [text(str(error))]}
    if "resultType" in result:
        return result
    return {"content": result if isinstance(result, list) else [result]}


RESOURCES: dict[str, JSON] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content"},
    "test://template/123/data": {
        "mimeType": "application/json",
        "text": '{"id":"123","templateTest":true,"data":"Data for ID: 123"}',
    },
}


async def list_resources(_: ServerRequestContext, __: PaginatedRequestParams) -> JSON:
    return {
        "resources": [
            {"uri": uri, "name": uri.rpartition("/")[2], "description": f"{uri} of the suite"}
            for uri in RESOURCES
            if "template" not in uri
        ]
    }


async def list_templates(_: ServerRequestContext, __: PaginatedRequestParams) -> JSON:
    template = {"uriTemplate": "test://template/{id}/data", "name": "data", "description": "data by id"}
    return {"resourceTemplates": [template]}


async def read_resource(_: ServerRequestContext, params: ReadResourceRequestParams) -> JSON:
    if params.uri not in RESOURCES:
        raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": params.uri})
    return {"contents": [{"uri": params.uri, **RESOURCES[params.uri]}]}


PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_: ServerRequestContext, __: PaginatedRequestParams) -> JSON:
    return {
        "prompts": [
            {
                "name": name,
                "description": f"{name} of the suite",
                "arguments": [{"name": argument, "required": True} for argument in arguments],
            }
            for name, arguments in PROMPTS.items()
        ]
    }


async def get_prompt(_: ServerRequestContext, params: GetPromptRequestParams) -> JSON:
    given = params.arguments or {}
    content: list[JSON]
    match params.name:
        case "test_simple_prompt":
            content = [text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            content = [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
        case "test_prompt_with_embedded_resource":
            resource = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
            content = [resource, text("Please process the embedded resource above.")]
        case "test_prompt_with_image":
            content = [IMAGE, text("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            if not params.input_responses:
                return wanted(user_context=form("What context should the prompt use?", context=STRING))
            content = [text("A prompt with the context that was given.")]
        case _:
            raise MCPError(INVALID_PARAMS, f"Unknown prompt: {params.name}")
    return {"messages": [{"role": "user", "content": part} for part in content]}


async def complete(_: ServerRequestContext, params: CompleteRequestParams) -> JSON:
    values = [word for word in ("paris", "park", "party") if word.startswith(params.argument.value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


async def acknowledge(_: ServerRequestContext, __: Any) -> JSON:
    return {}


class Events(EventStore):
    """What was sent on streams, so that a client that comes back gets the rest."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream = self._sent[last - 1][0]
        for number, (of, message) in zip(count(last + 1), self._sent[last:], strict=False):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


HANDLERS: list[tuple[str, type, Callable[..., Awaitable[JSON]]]] = [
    ("tools/list", PaginatedRequestParams, list_tools),
    ("tools/call", CallToolRequestParams, call_tool),
    ("resources/list", PaginatedRequestParams, list_resources),
    ("resources/templates/list", PaginatedRequestParams, list_templates),
    ("resources/read", ReadResourceRequestParams, read_resource),
    ("resources/subscribe", SubscribeRequestParams, acknowledge),
    ("resources/unsubscribe", UnsubscribeRequestParams, acknowledge),
    ("prompts/list", PaginatedRequestParams, list_prompts),
    ("prompts/get", GetPromptRequestParams, get_prompt),
    ("completion/complete", CompleteRequestParams, complete),
    ("logging/setLevel", SetLevelRequestParams, acknowledge),
]


def finished(handler: Callable[..., Awaitable[JSON]]) -> Callable[..., Awaitable[JSON]]:
    """Say that a result is one, where the handler does not say that it is none yet, as of 2026-07-28."""

    async def answered(context: ServerRequestContext, params: Any) -> JSON:
        told = {"resultType": "complete"} if context.protocol_version in MODERN_PROTOCOL_VERSIONS else {}
        return {**told, **await handler(context, params)}

    return answered


def application() -> Any:
    caching = ("tools/list", "resources/list", "resources/templates/list", "resources/read", "prompts/list")
    server = Server(
        "conformance",
        version="1",
        cache_hints=dict.fromkeys((*caching, "server/discover"), CacheHint(ttl_ms=60_000, scope="public")),
        get_tool_input_schema=lambda name: _tools[name][0] if name in _tools else None,
        on_subscriptions_listen=ListenHandler(_bus),
    )
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="suite"))
    for method, params, handler in HANDLERS:
        server.add_request_handler(method, params, finished(handler))
    return server.streamable_http_app(event_store=Events(), retry_interval=500)


if __name__ == "__main__":
    # h11, unlike the parser that uvicorn prefers, drops the space around a header's value (RFC 9112 section 5.1).
    uvicorn.run(application(), host="127.0.0.1", port=0, http="h11")
