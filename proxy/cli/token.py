"""`keystile token`: a development key, its key set, and a token signed with it."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from proxy.demo import DevelopmentKey

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def token(
    *,
    issuer: Annotated[str, typer.Option(help="The issuer, as the configuration names it.")],
    audience: Annotated[
        str, typer.Option(help="Whom the token is for: the `resource` of the configuration.")
    ],
    keys: Annotated[Path, typer.Option(help="The folder of the key; made where it is missing.")] = Path(
        "keys"
    ),
    subject: Annotated[str, typer.Option(help="The agent's id.")] = "acc_demo",
    name: Annotated[str, typer.Option(help="The agent's name.")] = "demo",
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope, or several with spaces; may be repeated.")
    ] = None,
    lifetime: Annotated[str, typer.Option(help="How long it is valid: a number and s, m, h or d.")] = "1h",
    claim: Annotated[
        list[str] | None, typer.Option(help="Another claim, as name=value; the value is JSON or text.")
    ] = None,
) -> None:
    """Print a token for development, signed with an Ed25519 key that lies in a folder.

    The folder gets private.jwk, which only its owner can read and which is never overwritten, and jwks.json,
    which an issuer's `jwks:` can name. The token alone goes to standard output.
    """
    seconds = _seconds(lifetime)
    others = dict(_claim(text) for text in claim or [])
    try:
        key = _key(keys)
    except (OSError, ValueError) as error:
        print(f"keystile: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    now = int(time.time())  # noqa: TID251 - this is a shell: the token is for now
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now,
        "exp": now + seconds,
        "jti": secrets.token_hex(8),
        "al_name": name,
        "al_scopes": [one for given in scope or [] for one in given.split()],
        "al_audit_url": f"{issuer.rstrip('/')}/audit/{subject}",
    }
    print(key.sign(claims | others))


def _seconds(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if unit not in _SECONDS or not number.isdecimal():
        raise typer.BadParameter("write a whole number and s, m, h or d, as in 1h", param_hint="--lifetime")
    return int(number) * _SECONDS[unit]


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter("write name=value", param_hint="--claim")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _key(folder: Path) -> DevelopmentKey:
    """The key that lies in `folder`, or a new one.

    Raises OSError, or ValueError where the files there do not fit together.
    """
    from proxy.demo import DevelopmentKey  # noqa: PLC0415 - brings aiohttp.web, for which `run` should not wait

    private, public = folder / "private.jwk", folder / "jwks.json"
    if private.exists():
        try:
            key = DevelopmentKey.read(private.read_text())
        except ValueError as error:
            raise ValueError(f"{private}: {error}") from None
    elif public.exists():
        raise ValueError(f"{public} has no {private.name} beside it: name another folder, or remove it")
    else:
        key = DevelopmentKey.generate()
        folder.mkdir(parents=True, exist_ok=True)
        # Nobody else can read it at any moment, and what is there already stays.
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.private)
        print(f"made {private}: keep it secret", file=sys.stderr)
    if not public.exists():
        public.write_text(json.dumps({"keys": [key.public]}, indent=2) + "\n")
        print(f"made {public}: name it in the issuer's `jwks:`", file=sys.stderr)
    elif not _holds(public, key):
        raise ValueError(f"{public} does not hold the key of {private.name}: remove it, and it is made again")
    return key


def _holds(public: Path, key: DevelopmentKey) -> bool:
    try:
        return key.public in json.loads(public.read_text())["keys"]
    except (ValueError, TypeError, KeyError):
        return False
