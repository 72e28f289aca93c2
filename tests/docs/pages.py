"""The pages a user reads, and the blocks in them that are to be true.

A block is run or loaded as it stands in its page. One that cannot be says why behind its kind:

    ```sh skip="needs a cluster"
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "config").glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
COMMANDS = ("sh", "console")

_BLOCK = re.compile(r"^( *)```(\w*)(?: skip=\"([^\"]+)\")?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"^ *```", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: `kind` is its language, `skip` why it is not run, `line` where its text begins."""

    page: str
    line: int
    kind: str
    skip: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, kind: str | None = None) -> list[Block]:
    """The blocks of a page, in their order; those of one kind where it is named."""
    text = page.read_text()
    found = [
        Block(
            name(page),
            text.count("\n", 0, match.start()) + 2,
            match[2],
            match[3],
            textwrap.dedent(match[4]),
        )
        for match in _BLOCK.finditer(text)
    ]
    assert len(_FENCE.findall(text)) == 2 * len(found), f"{name(page)} has a fence that cannot be read"
    return [block for block in found if kind in {None, block.kind}]


def every(*kinds: str) -> list[Block]:
    """The blocks of these kinds, of all pages."""
    return [block for page in PAGES for block in blocks(page) if block.kind in kinds]


def section(page: Path, heading: str) -> list[Block]:
    """The blocks under one heading of a page, down to the next heading of the same level or above."""
    lines = page.read_text().splitlines()
    start = lines.index(heading)
    depth = len(heading.split(maxsplit=1)[0])
    ends = (at for at, line in enumerate(lines) if at > start and re.match(rf"#{{1,{depth}}} ", line))
    end = next(ends, len(lines))
    return [block for block in blocks(page) if start < block.line <= end]


def headings(page: Path) -> list[str]:
    """The headings of a page, code left out."""
    return re.findall(r"^#+ .*$", _BLOCK.sub("", page.read_text()), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a link to a part of the page may say, as GitHub makes it of the headings."""
    words = (heading.lstrip("#").strip().lower() for heading in headings(page))
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in words}
