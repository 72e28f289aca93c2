"""Real issuers for a test, npm's `oidc-provider` and `oauth2-mock-server`, and tokens of them."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from tests.support.programs import Program, fetch, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT_ID = "research-agent"
CLIENT_SECRET = "known to the issuer and to the agent"
# Nobody listens there: a client reads its code from where it is sent.
REDIRECT = "http://127.0.0.1:9/callback"


@contextlib.contextmanager
def oidc_provider(node: str, folder: Path, resources: Mapping[str, str], scope: str) -> Iterator[str]:
    """Run an issuer that knows these resources, each with its algorithm; return its URL."""
    client = {"id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect": REDIRECT}
    settings = {"resources": resources, "scope": scope, "client": client}
    command = [node, Path(__file__).with_name("oidc_provider.mjs"), json.dumps(settings)]
    with program(command, folder) as running:
        yield running.says(r"^(http://127\.0\.0\.1:\d+)$")


def granted(issuer: str, resource: str, scope: str) -> str:
    """Ask for a token as RFC 6749 section 4.4 (client credentials) and RFC 8707 (resource) say."""
    # `aud` is how oauth2-mock-server calls the resource.
    form = {"grant_type": "client_credentials", "resource": resource, "aud": resource, "scope": scope}
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}"
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = fetch(f"{issuer}/token", "POST", headers=headers, body=urlencode(form).encode())
    assert answer.status == 200, answer.body
    token: str = json.loads(answer.body)["access_token"]
    return token


class Rotating:
    """A real issuer whose keys change when it is told to; each generation has a kid of its own, "key-1" on."""

    def __init__(self, running: Program, resource: str) -> None:
        self.program = running
        self.url = running.says(r"^(http://127\.0\.0\.1:\d+)$")
        self._resource = resource

    def rotate(self, *, keep: int) -> None:
        """Sign with a new key from now on, and publish it with so many others before it."""
        assert fetch(f"{self.url}/test/keys?add=1&keep={keep + 1}", "POST").status == 200

    def remove(self, *, keep: int) -> None:
        """Publish the newest keys only."""
        assert fetch(f"{self.url}/test/keys?add=0&keep={keep}", "POST").status == 200

    @property
    def fetches(self) -> int:
        """How often the key set was fetched."""
        return int(fetch(f"{self.url}/test/fetches").body)

    def token(self, kid: str) -> str:
        """Ask for tokens until one is signed with this key: an issuer may use each in turn."""
        for _ in range(3):
            token = granted(self.url, self._resource, "files:read")
            if json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"] == kid:
                return token
        raise AssertionError(f"the issuer signs nothing with {kid}")


@contextlib.contextmanager
def rotating(node: str, name: str, folder: Path, resource: str, port: int = 0) -> Iterator[Rotating]:
    """Run the issuer `name`, which is "oidc_provider" or "oauth2_mock_server", for this resource."""
    settings = {
        "resources": {resource: "ES256"},
        "scope": "files:read",
        "client": {"id": CLIENT_ID, "secret": CLIENT_SECRET},
        "subject": CLIENT_ID,
        "port": port,
    }
    command = [node, Path(__file__).with_name(f"{name}.mjs"), json.dumps(settings)]
    with program(command, folder) as running:
        yield Rotating(running, resource)
