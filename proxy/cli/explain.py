"""`keystile explain`: what would be decided, and why, without sending anything."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop

from proxy.audit import AccessLog, configure_operations
from proxy.authn import KeySetError, RevocationError
from proxy.cli.configuration import ConfigFile, read, refused
from proxy.config import Log
from proxy.gatehouse import Gatehouse, StartError
from proxy.model import Arrived, Body, Forward, Peer, Reason, RequestHead, Time, Wait
from proxy.wire import Forwarding

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.model import Need, Opening, Verdict


def explain(
    config: ConfigFile = None,
    *,
    method: Annotated[
        str, typer.Option(help="The request's method.  [default: GET, with a body POST]", show_default=False)
    ] = "",
    path: Annotated[str, typer.Option(help="The request's path, as a client would send it.")] = "/",
    token: Annotated[
        str | None, typer.Option(help="The bearer token; - reads it from standard input.")
    ] = None,
    host: Annotated[str, typer.Option(help="The Host header. Default: the host of `resource`.")] = "",
    body: Annotated[
        str | None, typer.Option(help="The body, a JSON-RPC message; @FILE reads it from a file.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="A further header, `Name: value`; may be repeated.")
    ] = None,
) -> None:
    """Say what would become of a request: the decision, the rule, the reason. The upstream is sent nothing.

    Issuers are asked for their keys and, where `introspection` says so, about the token. The exit code is 0
    for allow, 1 for deny and for what `mode: observe` lets through.
    """
    loaded = read(config)
    # That keys were read is no news here; that they could not be is.
    configure_operations(sys.stderr, logging.WARNING)
    bearer = sys.stdin.readline().strip() if token == "-" else token  # noqa: S105 - a hyphen is no password
    content = _content(body)
    lines = [_line(one) for one in header or ()]
    if bearer:
        lines.append((b"Authorization", b"Bearer " + bearer.encode()))
    if content and not any(name.lower() == b"content-type" for name, _ in lines):
        lines.append((b"Content-Type", b"application/json"))
    head = _head(method or ("GET" if body is None else "POST"), path, host or _own_host(loaded), lines)
    try:
        verdict = uvloop.run(_judge(loaded, head, content))
    except (KeySetError, RevocationError, StartError) as error:
        raise refused(error) from None
    for name, value in _told(verdict.opening, "" if isinstance(verdict, Forward) else verdict.detail):
        print(f"{name:10} {value}")
    raise typer.Exit(0 if verdict.opening.decision == "allow" else 1)


async def _judge(config: Config, head: RequestHead, content: bytes) -> Verdict:
    # A log that is never started: nothing happens that would have to be in it.
    log, forwarding = AccessLog(Log()), Forwarding(config.trusted_proxies)
    gatehouse = Gatehouse(config, log, forwarding, time.time)  # noqa: TID251 - this is the shell
    await gatehouse.start()
    try:
        judgement = gatehouse.gate.judge(head, time.time())  # noqa: TID251 - this is the shell
        given = None
        while True:
            try:
                need = judgement.send(given)
            except StopIteration as stop:
                verdict: Verdict = stop.value
                return verdict
            given = await _met(need, content)
    finally:
        await gatehouse.close()


async def _met(need: Need, content: bytes) -> object:
    """What the wire would send in."""
    match need:
        case Wait(call=call):
            return await call()
        case Time():
            return time.time()  # noqa: TID251 - this is the shell
        case Body(limit=limit):
            return content if len(content) <= limit else Reason.BODY_TOO_LARGE
        case Arrived():
            return content


def _content(body: str | None) -> bytes:
    if body is None or not body.startswith("@"):
        return (body or "").encode()
    try:
        return Path(body[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{body[1:]}: {error.strerror}", param_hint="--body") from None


def _line(header: str) -> tuple[bytes, bytes]:
    name, colon, value = header.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{name}: no header; write it as Name: value", param_hint="--header")
    return name.strip().encode(), value.strip().encode()


def _head(method: str, path: str, host: str, lines: list[tuple[bytes, bytes]]) -> RequestHead:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        fields.setdefault(name.lower(), []).append(value)
    return RequestHead(
        method,
        path.encode(),
        host.encode(),
        tuple(lines),
        {name: b", ".join(values) for name, values in fields.items()},
        frozenset(name for name, values in fields.items() if len(values) > 1),
        Peer("127.0.0.1"),
    )


def _own_host(config: Config) -> str:
    if config.resource:
        return config.resource.partition("://")[2].partition("/")[0]
    return config.hosts[0] if config.hosts else "localhost"


def _told(opening: Opening, detail: str) -> list[tuple[str, str]]:
    identity = opening.caller.identity if opening.caller is not None else None
    told = [
        ("decision", opening.decision),
        ("reason", opening.reason),
        ("because", detail),
        ("rule", opening.rule),
        ("entry", opening.entry),
        ("needs", " ".join(opening.required)),
        ("agent", identity and identity.id),
        ("name", identity and identity.name),
        ("issuer", identity and identity.issuer),
        ("scopes", identity and " ".join(identity.scopes)),
    ]
    return [(name, str(value)) for name, value in told if value]
