"""A page read by somebody who does what it says: its configurations become files, its commands are run.

One shell for a page, from its first block to its last, in a folder of its own. Only what belongs to the machine is
another: ports are free ones, and keys of issuers on the network are those of a test. What a block of kind
`console` shows below its commands must be what they print; `…` stands for anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import yaml

from tests.docs.pages import COMMANDS, ROOT, Block
from tests.support.keys import jwks_bytes, make_key, sign_token
from tests.support.programs import file_server, free_port, program
from tests.support.redis_server import redis_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEADLINE = 120.0
_KEY = make_key("EdDSA", "page")
_JWKS_URL = re.compile(r"https://[\w./-]+/jwks\.json")

# `keystile run` does not end: it is started, and what follows is done once it listens. Another one takes its place.
_PRELUDE = """\
set -euo pipefail
kill() {
    if [ "$1" = -TERM ]; then told=yes; fi
    builtin kill "$@"
}
stopped() {
    [ -z "${started:-}" ] && return
    # A second signal would not let it finish.
    [ -n "${told:-}" ] || kill "$started"
    wait "$started"
    started= told=
}
keystile() {
    case "$1" in
    run)
        stopped
        if [ $# -eq 1 ]; then export KEYSTILE_LISTEN=127.0.0.1:$PORT KEYSTILE_ADMIN=null; fi
        "$PYTHON" -m proxy "$@" > run.out 2> run.err < /dev/null &
        started=$!
        PID=$started
        until grep -q '"listening"' run.err; do
            kill -0 "$started" || { cat run.err >&2; return 1; }
            sleep 0.05
        done
        ;;
    *) "$PYTHON" -m proxy "$@" ;;
    esac
}
trap 'echo "$block: line $LINENO failed" >&2; [ -z "${started:-}" ] || kill "$started"' ERR
"""


class Session:
    """One reader's folder, ports and keys."""

    def __init__(self, folder: Path, jwks_url: str, redis: int) -> None:
        self._folder = folder
        self._jwks_url = jwks_url
        self._port = free_port()
        ports = {"8080": self._port, "9901": free_port(), "8000": free_port(), "6379": redis}
        self._places = {f"127.0.0.1:{port}": f"127.0.0.1:{free}" for port, free in ports.items()}
        self._places["/var/lib/keystile"] = str(folder / "state")
        self._token = ""

    def read(self, blocks: list[Block]) -> None:
        """Do what the blocks say, one after the other.

        Raises:
            AssertionError: a command failed, or printed something else than its page shows.
        """
        script = [_PRELUDE]
        shown: list[tuple[Block, Path, str]] = []
        for number, block in enumerate(blocks):
            text = self._placed(block.text)
            script.append(f"block='{block}'")
            if block.kind == "yaml":
                script.append(f"cp {self._configuration(number, text)} keystile.yaml")
            elif block.kind == "sh":
                script.append(f"exec < {self._input(number)}\n{text}")
            else:
                output = self._folder / f"output-{number}"
                script.append(f"exec < {self._input(number)}\n{_commands(text, output)}")
                shown.append((block, output, text))
        self._run("\n".join([*script, "stopped", ""]))
        for block, output, text in shown:
            printed = output.read_text()
            assert _pattern(text).fullmatch(printed), f"{block}: it printed\n{printed}"

    def _placed(self, text: str) -> str:
        for here, there in self._places.items():
            text = text.replace(here, there)
        return _JWKS_URL.sub(self._jwks_url, text)

    def _configuration(self, number: int, text: str) -> Path:
        """Write a configuration for this machine, and keep in mind who its tokens must be for."""
        tree: dict[str, Any] = yaml.safe_load(text)
        tree.setdefault("listen", f"127.0.0.1:{self._port}")
        tree.setdefault("admin", self._places["127.0.0.1:9901"])
        for issuer in tree["issuers"]:
            if not isinstance(issuer.get("jwks"), dict | str) or "://" in issuer["jwks"]:
                issuer["jwks"] = "issuer.json"
        (self._folder / "issuer.json").write_bytes(jwks_bytes(_KEY))
        first = tree["issuers"][0]
        claims = {
            "iss": first["issuer"],
            "aud": first.get("audience", tree.get("resource")),
            "sub": "acc_7f3",
            "exp": time.time() + 600,
            "scope": " ".join(sorted(_scopes(tree["rules"]))),
        }
        self._token = sign_token(_KEY, claims)
        file = self._folder / f"configuration-{number}.yaml"
        file.write_text(yaml.safe_dump(tree, sort_keys=False))
        return file

    def _input(self, number: int) -> Path:
        """What the reader would paste where a command reads a token."""
        file = self._folder / f"input-{number}"
        file.write_text(f"{self._token}\n")
        return file

    def _run(self, script: str) -> None:
        file = self._folder / "page.sh"
        file.write_text(script)
        environment = {
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "PORT": str(self._port),
            "SESSION_KEY": "0123456789abcdef0123456789abcdef",
            "SECRET": "secret",
            "UPSTREAM_AUTHORIZATION": "Basic c2VjcmV0",
        }
        with contextlib.ExitStack() as stack:
            output = stack.enter_context((self._folder / "page.out").open("w+"))
            done = subprocess.run(
                ["bash", file.name],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_DEADLINE,
                check=False,
            )
            assert done.returncode == 0, (self._folder / "page.out").read_text()


@contextlib.contextmanager
def session(folder: Path, *, with_redis: bool) -> Iterator[Session]:
    """A reader whose files are kept in `folder`."""
    keys = folder / "keys-of-issuers"
    keys.mkdir()
    (keys / "jwks.json").write_bytes(jwks_bytes(_KEY))
    work = folder / "work"
    work.mkdir()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(file_server(keys, folder / "server"))
        redis = free_port()
        if with_redis:
            command = [redis_program(), "--bind", "127.0.0.1", "--port", redis, "--save", "", "--dir", folder]
            stack.enter_context(program(command, folder / "redis")).says("(Ready to accept connections)")
        yield Session(work, f"{url}/jwks.json", redis)


def _scopes(tree: Any) -> set[str]:
    """All scopes that rules ask for."""
    if isinstance(tree, list):
        return set().union(*map(_scopes, tree))
    if not isinstance(tree, dict):
        return set()
    asked = [tree[key] for key in ("scopes", "any_scopes") if key in tree]
    own = {scope for some in asked for scope in ([some] if isinstance(some, str) else some)}
    return own.union(*map(_scopes, tree.values()))


def _commands(text: str, output: Path) -> str:
    """The commands of a console block; what they print goes to `output`, and any exit code is fine."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    commands = [re.match(r"(?:.*\\\n)*.*\n", part)[0] for part in parts]  # type: ignore[index] # it fits anything
    # As on a terminal, the next command begins a line of its own: sed ends the last one.
    return "\n".join(
        f"{{ {command.rstrip()}\n}} 2>&1 | sed -e '$a\\' >> {output} || true" for command in commands
    )


def _pattern(text: str) -> re.Pattern[str]:
    """What a console block shows, without its commands."""
    shown = re.sub(r"^\$ (?:.*\\\n)*.*\n", "", text, flags=re.MULTILINE)
    lines = [re.escape(line).replace("…", ".*") for line in shown.splitlines()]
    return re.compile("".join("(?:.*\n)*" if line == ".*" else f"{line}\n" for line in lines))


def runs(blocks: list[Block]) -> list[Block]:
    """What a reader does: commands, and the configurations before them that are whole."""
    kept = [block for block in blocks if block.skip is None and (block.kind in COMMANDS or _is_whole(block))]
    last = max((at for at, block in enumerate(kept) if block.kind in COMMANDS), default=-1)
    return kept[: last + 1]


def _is_whole(block: Block) -> bool:
    if block.kind != "yaml" or not isinstance(tree := yaml.safe_load(block.text), dict):
        return False
    return {"upstream", "issuers", "rules"} <= tree.keys()
