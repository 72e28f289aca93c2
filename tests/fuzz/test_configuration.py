"""Whatever a configuration says, it loads, or every fault is told with its place; and no secret with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from proxy.config import Config, ConfigError, load
from tests.fuzz.frame import Target, at_length, cut, fuzz, hurt, often

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

CONFIG = Path(__file__).parent.parent.parent / "config"
BASES = [path.read_text() for path in sorted(CONFIG.glob("*.yaml"))]
SECRET = "zq9-nobody-may-see-this-0123456789abcdef"
NAMES = ("UPSTREAM_AUTHORIZATION", "INTROSPECTION_SECRET", "SESSION_KEY", "FORMER_SESSION_KEY", "X")
ENVIRON = dict.fromkeys(NAMES, SECRET)
PIECES = [
    *(
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b", ",
        b"'",
        b'"',
        b"\n",
        b"  ",
        b"\t",
        b"#",
        b"|",
        b">",
        b"&a ",
        b"*a",
    ),
    *(
        b"!!python/object:os.system",
        b"!!binary ",
        b"<<: ",
        b"? ",
        b"---\n",
        b"...",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(
        b"${X}",
        b"${",
        b"${file:/etc/hostname}",
        b"null",
        b"true",
        b"yes",
        b"~",
        b"1e999",
        b"0x1",
        b"-1",
        b"\xe2\x80\xa8",
    ),
    *(b"rules", b"issuers", b"path", b"/**", b"mcp", b"upstream", b"https://a.test", b"2026-01-01", b"5s"),
]
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        float("inf"),
        float("nan"),
        "",
        " ",
        "*",
        "/**",
        "a b",
        "\x00",
        "é",
    ),
    *(
        "${X}",
        "${NOT_THERE}",
        "${file:nothing}",
        "https://a.test",
        "unix:/x",
        "5s",
        "1MiB",
        "600/m",
        "*" * 300,
    ),
    *(
        [],
        {},
        [[]],
        {"": ""},
        {"a": {"b": {"c": []}}},
        [1, "a", None],
        {1: 2},
        "[::1]:0",
        "\ud800",
        "10.0.0.0/33",
    ),
]


def make(random: Random) -> bytes:
    base = random.choice(BASES)
    if often(random, 0.5):
        return hurt(random, base.encode(), PIECES)
    tree = yaml.safe_load(base)
    for _ in range(random.randint(1, 3)):
        _change(random, tree)
    dumped = json.dumps(tree, default=str) if often(random, 0.5) else yaml.safe_dump(tree)
    return dumped.encode("utf-8", "surrogatepass")


def _change(random: Random, tree: Any) -> None:
    """Put something odd, or something from elsewhere in it, at one place of a tree."""
    places = list(_places(tree))
    if not places:  # earlier changes have left nothing
        return
    holder, key = random.choice(places)
    match random.randrange(4):
        case 0:
            holder[key] = copy.deepcopy(random.choice(ODD))
        case 1:
            other, place = random.choice(places)
            holder[key] = copy.deepcopy(other[place])
        case 2 if isinstance(holder, dict):
            holder[random.choice(("rulez", "path", "scopes", "mcp", key))] = holder.pop(key)
        case 3 if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case _:
            del holder[key]


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


class Configurations:
    """Loads them, all from one file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keystile.yaml"
        self.loaded = self.faulty = 0

    def check(self, text: bytes) -> None:
        self.file.write_bytes(text)
        found = self._load()
        if isinstance(found, Config):
            self.loaded += 1
            return
        self.faulty += 1
        assert found.faults, "refused without a fault"
        for fault in found.faults:
            assert all((fault.path, fault.problem, fault.remedy)), f"a fault without a word: {fault!r}"
        assert SECRET not in str(found)
        assert SECRET not in repr(found.faults)

    def _load(self) -> Config | ConfigError:
        try:
            return load(self.file, ENVIRON)
        except ConfigError as error:
            return error


def target(rig: Configurations) -> Target[bytes]:
    return Target("configurations", make, rig.check, cut)


def test_configurations_of_any_make(tmp_path: Path) -> None:
    rig = Configurations(tmp_path)
    fuzz(target(rig), 400, seed=5)
    # Enough of them load, and enough do not, to say something.
    assert rig.loaded > 20
    assert rig.faulty > 100


@pytest.mark.long
def test_configurations_of_any_make_at_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at_length(target(Configurations(tmp_path)), capsys)
