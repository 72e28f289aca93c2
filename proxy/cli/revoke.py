"""`keystile revoke`: from now on a token, an agent, a key or an issuer is refused."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.authn import Revocation, RevocationError, read_revocation
from proxy.authn import revoke as write
from proxy.cli.configuration import ConfigFile, read, refused

if TYPE_CHECKING:
    from proxy.config import Config


def revoke(
    config: ConfigFile = None,
    *,
    jti: Annotated[str | None, typer.Option(help="The token's id.")] = None,
    agent: Annotated[str | None, typer.Option(help="The agent's id.")] = None,
    key: Annotated[str | None, typer.Option(help="The id of the key that signed it.")] = None,
    issuer: Annotated[str | None, typer.Option(help="Its issuer, as the configuration names it.")] = None,
    before: Annotated[
        str | None,
        typer.Option(help="Only what was issued earlier: as in 2026-07-01T12:00:00Z, or Unix seconds."),
    ] = None,
) -> None:
    """Refuse tokens that have everything that is named here, wherever the configuration keeps revocations.

    A running proxy knows within a second, and ends the streams that such tokens have opened.
    """
    given = {"jti": jti, "agent": agent, "key": key, "issuer": issuer, "before": before}
    item = _entry({name: value for name, value in given.items() if value is not None})
    loaded = read(config)
    _fits(loaded, item)
    assert loaded.revocations is not None  # noqa: S101 - else it would not fit
    try:
        added = write(loaded.revocations, item, time.time())  # noqa: TID251 - this is the shell
    except RevocationError as error:
        print(f"keystile: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{'revoked' if added else 'already revoked'}: {_words(item)}{_reach(loaded, item)}")


def _entry(given: dict[str, str]) -> Revocation:
    item = read_revocation(given)
    if isinstance(item, Revocation):
        return item
    slip = item[0]
    option = f"--{slip.location[0]}" if slip.location else None
    raise typer.BadParameter(f"{slip.problem}; {slip.remedy}", param_hint=option)


def _fits(config: Config, item: Revocation) -> None:
    """Refuse what would revoke nothing, or cannot be written down."""
    issuers = [one.issuer for one in config.issuers]
    if config.revocations is None:
        raise refused(ValueError("the configuration has no `revocations`: name a file or a Redis there"))
    if item.issuer is not None and item.issuer not in issuers:
        raise refused(ValueError(f"not an issuer of the configuration: choose from {', '.join(issuers)}"))


def _words(item: Revocation) -> str:
    return ", ".join(
        f"issued before {value}" if name == "before" else f"{name} {value}"
        for name, value in item.members().items()
    )


def _reach(config: Config, item: Revocation) -> str:
    """Say that an id is refused of every issuer, where a person may have thought of one."""
    return " (of every issuer; --issuer names one)" if item.issuer is None and len(config.issuers) > 1 else ""
