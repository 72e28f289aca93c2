"""No secret of a configuration is shown, and all the rest is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from proxy.admin.masking import masked
from proxy.config import load
from tests.support.admin import page
from tests.support.configuration import completed, loaded
from tests.support.harness import ISSUER, JWKS, keystile
from tests.support.upstream import upstream

SECRETS = {
    "ADMIN_TOKEN": "hunter2-admin-0123456789",
    "UPSTREAM_AUTHORIZATION": "Basic hunter2-upstream",
    "INTROSPECTION_SECRET": "hunter2-introspection",
    "SESSION_KEY": "hunter2-session-0123456789abcdef",
    "FORMER_SESSION_KEY": "hunter2-former-0123456789abcdefg",
    "REDIS": "redis://someone:hunter2-redis@127.0.0.1:6379/0",
}
CONFIG = Path(__file__).parents[2] / "config"


def test_the_full_example_shows_all_but_its_secrets(tmp_path):
    folder = shutil.copytree(CONFIG, tmp_path / "config")
    for missing in ("issuer-ca.pem", "assertion.pem"):
        (folder / missing).touch()
    config = load(folder / "full.yaml", SECRETS)
    shown = masked(config)
    text = json.dumps(shown)
    assert "hunter2" not in text
    for secret in SECRETS.values():
        assert secret not in text
    assert shown["upstream"]["headers"] == {"Authorization": "***"}
    assert shown["session_key"] == ["***", "***"]
    assert shown["redis"] == {"url": "***"}
    assert shown["issuers"][1]["introspection"]["client_secret"] == "***"
    assert shown["listen"] == "127.0.0.1:8080"
    assert shown["admin"] == {"listen": "127.0.0.1:9901", "token": "***"}
    assert shown["upstream"]["host"] == "rewrite"
    assert shown["issuers"][0]["jwks"] == {"url": "https://agentlair.dev/.well-known/jwks.json"}
    assert shown["issuers"][0]["require"] == {"al_trust.score": {"min": 20}, "tenant": ["acme", "beta"]}
    assert shown["trusted_proxies"] == ["10.0.0.0/8", "fd00::/8"]
    assert shown.keys() == json.loads(json.dumps(type(config).model_json_schema()))["properties"].keys()
    # Whatever else is masked was not meant to be.
    assert text.count("***") == 6


async def test_a_running_proxy_shows_none_of_them(tmp_path):
    settings = {
        "admin": "127.0.0.1:0",
        "session_key": ["hunter2-session-0123456789abcdef"],
        "issuers": [
            {
                "issuer": ISSUER,
                "jwks": JWKS,
                "introspection": {
                    "url": "http://127.0.0.1:9/introspect?key=hunter2-query",
                    "client_id": "me",
                    "client_secret": "hunter2-introspection",
                },
            }
        ],
        "redis": "redis://someone:hunter2-redis@127.0.0.1:9/0",
        "revocations": "redis://someone:hunter2-revoked@127.0.0.1:9/0",
        "upstream": {"headers": {"Authorization": "Basic hunter2-upstream", "X-Api-Key": "hunter2-key"}},
    }
    async with upstream() as behind, keystile(tmp_path, behind.url, **settings) as running:
        told = {path: (await page(running.admin, path)).body for path in ("/config", "/readyz", "/metrics")}
    assert [path for path, body in told.items() if b"hunter2" in body] == []
    assert (
        json.loads(told["/config"])["issuers"][0]["introspection"]["url"]
        == "http://127.0.0.1:9/introspect?***"
    )
    assert list(text_string_to_metric_families(told["/metrics"].decode()))


PRIVATE = {
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "a",
    "x": "eA",
    "d": "hunter2",
    "k": "hunter2",
    "other": ["hunter2"],
}
PARTS = [
    pytest.param(
        f"issuers: [{{issuer: 'https://a', jwks: {json.dumps({'keys': [PRIVATE]})}}}]",
        ("issuers", 0, "jwks", "keys", 0),
        {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "eA", "d": "***", "k": "***", "other": "***"},
        id="a private key where a public one belongs",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a', jwks: 'https://a/keys?token=hunter2'}]",
        ("issuers", 0, "jwks", "url"),
        "https://a/keys?***",
        id="a query",
    ),
    pytest.param(
        "issuers: [{issuer: 'https://a', jwks: keys.json}]",
        ("issuers", 0, "jwks", "path"),
        "keys.json",
        id="a file's name",
    ),
    pytest.param("listen: unix:/run/a.sock", ("listen",), "unix:/run/a.sock", id="a unix socket"),
    pytest.param("listen: '[::1]:80'", ("listen",), "[::1]:80", id="an IPv6 address"),
    pytest.param("admin: null", ("admin",), None, id="nothing"),
    pytest.param(
        "rules: [{path: /a, rate: 600/m}]",
        ("rules", 0, "rate"),
        {"count": 600, "period": 60.0, "burst": 600},
        id="a rate",
    ),
    pytest.param(
        "rules: [{path: /a, mcp: [{tool: a, arguments: {b: 'c*', d: {present: false}, e: {max: 5}, f: [1, true]}}]}]",
        ("rules", 0, "mcp", "entries", 0, "arguments"),
        {"b": [{"matches": "c.*"}], "d": {"present": False}, "e": {"max": 5}, "f": [1, True]},
        id="conditions of arguments",
    ),
]


@pytest.mark.parametrize(("text", "place", "expected"), PARTS)
def test_parts(text, place, expected):
    shown = masked(loaded(completed(text), files={"keys.json": b"{}"}))
    for step in place:
        shown = shown[step]
    if place[-1] == "path":
        shown = Path(shown).name
    assert shown == expected


class Unheard(BaseModel, arbitrary_types_allowed=True):
    """A section with a kind of value that nobody thought about."""

    known: str = "a"
    unknown: SimpleNamespace = SimpleNamespace(secret="hunter2")
    userinfo: str = "redis://someone:hunter2@host/0?password=hunter2"


def test_what_is_not_known_is_masked():
    assert masked(Unheard()) == {"known": "a", "unknown": "***", "userinfo": "redis://***@host/0?***"}
