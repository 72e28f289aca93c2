"""config/ against the models: the reference table, the editors' schema, and the examples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from proxy.config import load, schema
from proxy.config.environment import VARIABLES

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = ["smallest.yaml", "mcp.yaml", "full.yaml", "agentlair.yaml"]

# Where each level of the schema stands, and what the reference calls it.
LEVELS = [
    ("Config", "", "top"),
    ("AdminListener", "admin.", "admin"),
    ("Upstream", "upstream.", "upstream"),
    ("Timeouts", "upstream.timeouts.", "upstream"),
    ("UpstreamTls", "upstream.tls.", "upstream"),
    ("Tls", "tls.", "tls"),
    ("Issuer", "issuers[].", "issuer"),
    ("Introspection", "issuers[].introspection.", "issuer"),
    ("Dpop", "issuers[].dpop.", "issuer"),
    ("Keys", "issuers[].keys.", "issuer"),
    ("ClaimNames", "issuers[].claims.", "issuer"),
    ("Rule", "rules[].", "rule"),
    ("RuleLog", "rules[].log.", "rule"),
    ("Entry", "rules[].mcp[].", "entry"),
    ("Assertion", "assertion.", "assertion"),
    ("Redis", "redis.", "redis"),
    ("Limits", "limits.", "limits"),
    ("Log", "log.", "log"),
]


def written_type(key: dict[str, Any]) -> str:
    """Name the kind of value that a key's schema describes."""
    if "title" in key:
        return key["title"]
    if "$ref" in key:
        return "mapping"
    if "enum" in key or "const" in key:
        values = key.get("enum") or [json.dumps(key["const"])]
        return ", ".join(f"`{value}`" for value in values)
    if "anyOf" in key:
        one, other = key["anyOf"]
        first = "URL" if one == {"type": "string"} else written_type(one)
        return f"{first} or {'mapping' if '$ref' in other else 'list'}"
    if "patternProperties" in key:
        (value,) = key["patternProperties"].values()
        return f"mapping to {written_type(value)}"
    return {"array": "list", "null": "`null`", "string": "text"}[key["type"]]


def written_default(name: str, key: dict[str, Any], required: list[str]) -> str:
    if name in required:
        return "required"
    if not (default := key.get("default", ())) and default is not None and default != 0:
        return "none"
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    if isinstance(default, dict):
        return ", ".join(f"`{left}: {right}`" for left, right in default.items())
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def described() -> list[tuple[str, ...]]:
    """List every key that the models know: path, level, type, default, description."""
    whole = schema()
    sections = {"Config": whole, **whole["$defs"]}
    assert sections.keys() == {section for section, _, _ in LEVELS}
    return [
        (
            f"`{prefix}{name}`",
            level,
            written_type(key),
            written_default(name, key, sections[section].get("required", [])),
            key.get("description", sections[key["$ref"][8:]]["description"] if "$ref" in key else ""),
        )
        for section, prefix, level in LEVELS
        for name, key in sections[section]["properties"].items()
    ]


def table(width: int) -> list[tuple[str, ...]]:
    """Return the rows of the README's table that has `width` columns."""
    lines = (CONFIG / "README.md").read_text().splitlines()
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in lines
        if line.startswith("| `")
    ]
    return [row for row in rows if len(row) == width]


def test_reference_lists_every_key_with_its_level_type_and_default():
    assert table(5) == described()


def test_reference_lists_every_variable_and_what_it_stands_for():
    places = {
        "`" + name + "`": ".".join("[]" if step == 0 else step for step in at)
        for name, at in VARIABLES.items()
    }
    assert [name for name, _ in table(2)] == list(places)
    for name, meaning in table(2):
        assert f"`{places[name].replace('.[]', '[]')}`" in meaning


def test_published_schema_is_the_generated_one():
    published = (CONFIG / "keystile.schema.json").read_text()
    assert published == json.dumps(schema(), indent=2, sort_keys=True) + "\n"


def test_schema_is_a_schema():
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_loads(name, tmp_path):
    folder = shutil.copytree(CONFIG, tmp_path / "config")
    # What is secret, or another's, does not ship.
    for missing in ("issuer-ca.pem", "assertion.pem"):
        (folder / missing).touch()
    environ = {
        "UPSTREAM_AUTHORIZATION": "Basic c2VjcmV0",
        "ADMIN_TOKEN": "c" * 32,
        "INTROSPECTION_SECRET": "secret",
        "SESSION_KEY": "0123456789abcdef0123456789abcdef",
        "FORMER_SESSION_KEY": "fedcba9876543210fedcba9876543210",
    }
    assert load(folder / name, environ).rules


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_fits_the_schema_that_it_names(name):
    text = (CONFIG / name).read_text()
    assert text.startswith("# yaml-language-server: $schema=keystile.schema.json\n")
    Draft202012Validator(schema()).validate(yaml.safe_load(text))


def keys(tree: Any, prefix: str = "") -> set[str]:
    """Return the paths of all keys in an example, as the reference writes them."""
    if isinstance(tree, list):
        return set().union(*(keys(item, prefix) for item in tree))
    if not isinstance(tree, dict):
        return set()
    return {f"{prefix}{key}" for key in tree}.union(
        *(
            keys(value, f"{prefix}{key}{'[]' if isinstance(value, list) else ''}.")
            for key, value in tree.items()
        )
    )


def test_full_example_has_every_key():
    full = keys(yaml.safe_load((CONFIG / "full.yaml").read_text()))
    assert {path.strip("`") for path, *_ in described()} <= full


WRITTEN = [
    pytest.param({"upstream": {"url": "http://a"}}, id="the upstream as a mapping"),
    pytest.param({"listen": "unix:/run/a.sock", "hosts": "a.example"}, id="one host without a list"),
    pytest.param({"rules": [{"path": ["/a", "/b"], "methods": "GET"}]}, id="several paths, one method"),
    pytest.param(
        {"limits": {"header_bytes": "${BYTES}", "connections": "${MANY}"}}, id="references for units"
    ),
    pytest.param(
        {"issuers": [{"issuer": "https://a", "jwks": {"keys": [{"kty": "OKP"}]}}]}, id="keys inline"
    ),
    pytest.param(
        {"rules": [{"path": "/", "claims": {"a": {"min": 1}, "b": ["x", 1, True]}}]}, id="conditions"
    ),
    pytest.param({"admin": None}, id="no admin listener"),
    pytest.param({"admin": "unix:/run/admin.sock"}, id="an admin listener on a unix socket"),
    pytest.param({"admin": {"token": "${ADMIN_TOKEN}"}}, id="an admin listener with a token"),
    pytest.param({"rules": [{"path": "/", "mcp": True}]}, id="an MCP server"),
    pytest.param(
        {
            "rules": [
                {"path": "/", "mcp": [{"tool": "a", "arguments": {"b": ["c*", 1], "d": {"present": True}}}]}
            ]
        },
        id="entries",
    ),
    pytest.param({"session_key": "${KEY}"}, id="a reference for a key"),
]


@pytest.mark.parametrize("part", WRITTEN)
def test_schema_takes_what_a_person_may_write(part):
    Draft202012Validator(schema()).validate({"upstream": "http://a", "rules": [{"path": "/**"}], **part})


UNWRITTEN = [
    pytest.param({"upstrem": "http://a"}, id="an unknown key"),
    pytest.param({"log": {"chain": True}}, id="a key of a later version"),
    pytest.param({"limits": {"head_timeout": 10}}, id="a duration without a unit"),
    pytest.param({"resource": None}, id="null for absent"),
    pytest.param({"admin": False}, id="an admin listener that is switched off in another way"),
    pytest.param({"admin": {"password": "x"}}, id="an unknown key of the admin listener"),
    pytest.param({"rules": [{"path": []}]}, id="no path"),
    pytest.param({"rules": [{"path": "/", "mcp": False}]}, id="no MCP server"),
    pytest.param({"rules": [{"path": "/", "mcp": []}]}, id="no entries"),
    pytest.param({"rules": [{"path": "/", "mcp": [{"tools": "a"}]}]}, id="an unknown key of an entry"),
]


@pytest.mark.parametrize("part", UNWRITTEN)
def test_schema_flags_what_does_not_load(part):
    whole = {"upstream": "http://a", "rules": [{"path": "/**"}], **part}
    assert list(Draft202012Validator(schema()).iter_errors(whole))
