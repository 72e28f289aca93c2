"""What the pages say is so: configurations load, commands run, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.authn.revocation_list import entries
from proxy.config import Config, load
from proxy.config.entry import Entry
from proxy.config.issuer import Issuer
from proxy.config.rule import Rule
from tests.docs.pages import COMMANDS, PAGES, ROOT, Block, anchors, blocks, every, name
from tests.docs.session import runs, session
from tests.support.configuration import completed

if TYPE_CHECKING:
    from pathlib import Path

# Documents of other programs, by a key that Keystile does not know.
FOREIGN = {"apiVersion", "receivers", "services", "static_resources"}

# Files that a configuration names, beside itself.
REFERRED = re.compile(r"(?<![\w/:.-])(?:[\w-]+/)?[\w-]+\.(?:pem|json)\b|revoked\.yaml")

# How many blocks of a page are not run. Few, and each says why.
LEFT_OUT = {"README.md": 2}


def configuration(text: str) -> str | None:
    """Make a whole configuration of a block, of whatever it is a part; None where it is another's."""
    tree: dict[str, Any] = yaml.safe_load(text)
    keys = set(tree)
    if keys & FOREIGN:
        return None
    if keys <= Config.model_fields.keys():
        return completed(text)
    for section, whole in (
        (Rule, {"rules": [{"path": "/mcp", **tree}]}),
        (Issuer, {"issuers": [{"issuer": "https://issuer.example", **tree}]}),
        (Entry, {"rules": [{"path": "/mcp", "mcp": [tree]}]}),
    ):
        if keys <= section.model_fields.keys():
            return completed(yaml.safe_dump(whole))
    raise AssertionError(f"no part of a configuration has {sorted(keys)}")


@pytest.mark.parametrize("block", every("yaml"), ids=str)
def test_every_configuration_loads(block: Block, tmp_path: Path) -> None:
    if isinstance(yaml.safe_load(block.text), list):
        assert entries(block.text)[1] == []
        return
    if (whole := configuration(block.text)) is None:
        return
    file = tmp_path / "keystile.yaml"
    file.write_text(whole)
    for missing in REFERRED.findall(whole):
        (tmp_path / missing).parent.mkdir(exist_ok=True)
        (tmp_path / missing).touch()
    secrets = dict.fromkeys(re.findall(r"\$\{(\w+)\}", whole), "secret" * 8)
    assert load(file, secrets).rules


# The recipes' own servers are run by tests/e2e/test_recipes.py, which takes them from that page.
SESSIONS = [page for page in PAGES if name(page) != "deploy/RECIPES.md"]


@pytest.mark.parametrize("page", SESSIONS, ids=name)
def test_every_command_runs(page: Path, tmp_path: Path) -> None:
    if done := runs(blocks(page)):
        needed = {tool for tool in ("curl", "jq") for block in done if re.search(rf"\b{tool} ", block.text)}
        if missing := [tool for tool in sorted(needed) if shutil.which(tool) is None]:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")
        with session(tmp_path, with_redis=any("redis://" in block.text for block in done)) as reader:
            reader.read(done)


def test_few_blocks_are_left_out_and_each_says_why() -> None:
    assert Counter(block.page for block in every(*COMMANDS, "yaml") if block.skip) == LEFT_OUT


@pytest.mark.parametrize("block", every("json"), ids=str)
def test_every_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


LINKS = [
    pytest.param(page, link, id=f"{name(page)} {link}")
    for page in PAGES
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_link_leads_somewhere(page: Path, link: str) -> None:
    file, _, part = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    assert target.exists()
    assert target.is_relative_to(ROOT)
    assert not part or part in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_the_repository_that_is_mentioned_exists(page: Path) -> None:
    mentioned = re.findall(r"`((?:proxy|tests|deploy|config)/[\w./-]*)`", page.read_text())
    assert [file for file in mentioned if not (ROOT / file).exists()] == []


MENTIONED = sorted(
    {words for page in PAGES for words in re.findall(r"`keystile ([a-z][^`]*)`", page.read_text())}
)


@pytest.mark.parametrize("words", MENTIONED)
def test_every_command_that_is_mentioned_is_one(words: str) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415 - these few tests need it

    from proxy.cli import app  # noqa: PLC0415 - as above

    command, *rest = words.split()
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0, shown.output
    for option in (word for word in rest if word.startswith("--")):
        assert option in shown.output
