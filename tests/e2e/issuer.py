"""A real issuer for a test: npm's `oidc-provider` in a process of its own, and tokens of it."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from tests.support.programs import fetch, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT_ID = "research-agent"
CLIENT_SECRET = "known to the issuer and to the agent"


@contextlib.contextmanager
def oidc_provider(node: str, folder: Path, resources: Mapping[str, str], scope: str) -> Iterator[str]:
    """Run an issuer that knows these resources, each with its algorithm; return its URL."""
    settings = {"resources": resources, "scope": scope, "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET}}
    command = [node, Path(__file__).with_name("oidc_provider.mjs"), json.dumps(settings)]
    with program(command, folder) as running:
        yield running.says(r"^(http://127\.0\.0\.1:\d+)$")


def granted(issuer: str, resource: str, scope: str) -> str:
    """Ask for a token as RFC 6749 section 4.4 (client credentials) and RFC 8707 (resource) say."""
    form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}"
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = fetch(f"{issuer}/token", "POST", headers=headers, body=urlencode(form).encode())
    assert answer.status == 200, answer.body
    token: str = json.loads(answer.body)["access_token"]
    return token
