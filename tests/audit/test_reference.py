"""config/LOG.md against the code: its table, its lines, its configurations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.audit.formats import fragments, writer
from proxy.audit.names import FIELDS, STATIC_ECS
from proxy.config import load
from proxy.config.static import TAKEN
from proxy.model import Call, Caller, Closing, Identity, Opening

PAGE = (Path(__file__).parents[2] / "config" / "LOG.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
WHO = Identity(
    "acc_7f3",
    "https://agentlair.dev",
    ("memory:read",),
    ("https://mcp.example.com/mcp",),
    {},
    0.0,
    "archivist",
    None,
    "a81",
    "2026-10",
)


def test_the_table_lists_every_field_by_all_its_names():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{one.name}` | `{one.ecs}` | `{one.otel}` | {one.meaning} | {one.absent} |" for one in FIELDS
    ]


def test_no_name_means_two_things():
    for names in zip(*((one.name, one.ecs, one.otel) for one in FIELDS), strict=True):
        assert len(set(names)) == len(names)


def test_no_field_of_the_operator_can_be_taken_for_one_of_these():
    assert {one.name.partition(".")[0] for one in FIELDS} == TAKEN
    assert not {one.ecs.partition(".")[0] for one in FIELDS} & (STATIC_ECS | {"labels"})


@pytest.mark.parametrize(("form", "place"), [("keystile", 0), ("ecs", 1), ("otel", 2)])
def test_the_lines_of_the_page_are_such_lines(form, place):
    shown = [text for kind, text in BLOCKS if kind == "json"][place]
    opening = Opening(
        1795356187.512,
        "8f2c6d0e41b7a9d3000000000001",
        "10.0.3.7",
        "allow",
        None,
        "POST",
        "/mcp",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        None,
        "memory",
        Caller(WHO, frozenset(), b"", fragments(form)(WHO)),
        ("memory:read",),
        Call("tools/call", tool="read_memory", arguments={"id": "x"}),
        "mcp-client/1.0",
    )
    lines = writer(form, 0, {"service.name": "memory", "env": "production"})
    assert lines.access(opening, Closing(200, 212, 301, 0.004118, 0.003702, 200)).decode() == shown
    json.loads(shown)


def test_the_configurations_of_the_page_load(tmp_path):
    log, _, rules = (text for kind, text in BLOCKS if kind == "yaml")
    file = tmp_path / "keystile.yaml"
    for text in (log + rules, rules):
        file.write_text(text)
        assert load(file, {}).rules[0].log.sample == 0.01


def test_the_sets_of_ecs_are_named():
    assert all(f"`{name}`" in PAGE for name in STATIC_ECS)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https:)([^)]+)\)", PAGE))
def test_every_link_leads_somewhere(link):
    assert (Path(__file__).parents[2] / "config" / link).exists()
