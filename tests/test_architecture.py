"""The house as a table: which room may import which, what is imported in one file only, and who touches the machine.

The tables are the map for newcomers; a file or an import that they do not show fails here.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parent.parent / "proxy"

# Imports run one way, and the rooms in the middle never import each other.
_CONFIGURED = {"model", "config"}
_MIDDLE = {"authn", "authz", "mcp", "wire", "refusals", "audit"}
MAY_IMPORT = {
    "model": set[str](),
    "config": {"model"},
    "authn": _CONFIGURED,
    "authz": _CONFIGURED,
    "mcp": _CONFIGURED,
    "wire": _CONFIGURED,
    "refusals": _CONFIGURED,
    "audit": _CONFIGURED,
    "openings": _CONFIGURED | _MIDDLE,
    "mode": _CONFIGURED,
    "messages": _CONFIGURED | _MIDDLE | {"openings", "mode"},
    "gate": _CONFIGURED | _MIDDLE | {"openings", "mode", "messages"},
    "admin": _CONFIGURED | {"audit", "authn", "authz", "wire"},
    "gatehouse": _CONFIGURED | _MIDDLE | {"gate", "admin"},
    "files": set[str](),
    "reading": {"config", "authn", "wire", "files"},
    "open_files": {"config"},
    "server": _CONFIGURED | _MIDDLE | {"gate", "gatehouse", "open_files", "admin", "files"},
    "workers": _CONFIGURED | _MIDDLE | {"gate", "gatehouse", "open_files", "admin", "server"},
    "demo": _CONFIGURED | _MIDDLE | {"gate", "server"},
    "cli": _CONFIGURED
    | _MIDDLE
    | {"gate", "gatehouse", "open_files", "reading", "server", "workers", "demo"},
    "__main__": {"cli"},
    "__init__": set[str](),
}

# The thin shells: the only files that touch a clock, a socket, a file or the loop. Every other file decides:
# values in, values out.
SHELLS = {
    "admin/app.py",
    "admin/asking.py",
    "admin/dashboard.py",
    "admin/masking.py",  # names files, and opens none
    "admin/past.py",
    "admin/probe.py",
    "admin/watch.py",
    "audit/access.py",
    "audit/blocks.py",
    "audit/operations.py",
    "audit/output.py",
    "audit/scan.py",
    "audit/sink.py",
    "authn/fetch.py",
    "authn/introspector.py",
    "authn/jwks_cache.py",
    "authn/key_file.py",
    "authn/key_source.py",
    "authn/replay_redis.py",
    "authn/resolver.py",
    "authn/sources.py",
    "authn/revocation_file.py",
    "authn/revocation_redis.py",
    "authz/rates_redis.py",
    "cli/audit.py",
    "cli/configuration.py",
    "cli/demo.py",
    "cli/explain.py",
    "cli/footing.py",
    "cli/revoke.py",
    "cli/run.py",
    "cli/token.py",
    "config/issuer.py",  # names files, and opens none
    "config/kinds.py",  # as config/issuer.py
    "config/load.py",
    "config/schema.py",  # as config/issuer.py
    "config/stores.py",  # as config/issuer.py
    "demo/issuer.py",
    "demo/stage.py",
    "demo/upstream.py",
    "gatehouse.py",  # makes the secrets that are not configured
    "messages.py",  # makes a key where none is configured
    "openings.py",  # asks for randomness once, when it is made
    "reading.py",
    "server.py",
    "wire/client.py",
    "wire/deadlines.py",
    "wire/exchange.py",
    "wire/handshake.py",
    "wire/hearing.py",
    "wire/listen.py",
    "wire/overtime.py",
    "wire/pool.py",
    "wire/sockets.py",
    "wire/tls.py",
    "wire/upstream.py",
    "workers/channel.py",
    "workers/seat.py",
    "workers/supervisor.py",
    "workers/whole.py",
    "workers/worker.py",
}
IMPURE_MODULES = {
    "aiohttp",
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "threading",
    "time",
    "uvloop",
}

# A module and everything below it → the only file that may import it.
SOLE_IMPORTER = {
    "jose": "authn/jose.py",
    "httptools": "wire/heads.py",
}

FILES = sorted(path.relative_to(_ROOT).as_posix() for path in _ROOT.rglob("*.py"))


def _room(file: str) -> str:
    return file.partition("/")[0].removesuffix(".py")


def _parsed(file: str) -> ast.Module:
    return ast.parse((_ROOT / file).read_text(), file)


def _imports(tree: ast.AST, file: str) -> Iterator[tuple[str, str | None]]:
    """Each import as module and name taken from it, relative ones resolved."""
    package = ["proxy", *file.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            # `from proxy import room` imports a module, not a name.
            whole = module == "proxy"
            yield from ((f"proxy.{a.name}", None) if whole else (module, a.name) for a in node.names)


def _at_run_time(tree: ast.Module) -> ast.Module:
    """The module without what only type checkers read."""

    class _Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return ast.Pass()
            return self.generic_visit(node)

    stripped = _Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


def _is_below(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")


def _exports(room: str, name: str) -> bool:
    """Whether a room's `__all__` has this name; a room of one file gives everything without an underscore."""
    init = f"{room}/__init__.py"
    if init not in FILES:
        return not name.startswith("_")
    for node in _parsed(init).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return name in ast.literal_eval(node.value)
    return False


def test_every_file_stands_in_the_table() -> None:
    assert {_room(file) for file in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", FILES)
def test_imports_run_one_way(file: str) -> None:
    own = _room(file)
    for module, name in _imports(_parsed(file), file):
        if not _is_below(module, "proxy"):
            continue
        path = module.split(".")[1:]
        if path[0] == own:
            continue
        assert path[0] in MAY_IMPORT[own], f"{file} imports {module}"
        assert len(path) == 1, f"{file} reaches into {module}: a room is imported by its own name"
        assert name is None or _exports(path[0], name), f"{module} does not export {name} ({file})"


def test_shells_are_what_the_table_says() -> None:
    assert {file for file in FILES if _touches(file)} == SHELLS


def _touches(file: str) -> set[str]:
    """The modules of the machine's that a file imports at run time."""
    modules = {module.partition(".")[0] for module, _ in _imports(_at_run_time(_parsed(file)), file)}
    return modules & IMPURE_MODULES


@pytest.mark.parametrize(("guarded", "importer"), SOLE_IMPORTER.items())
def test_some_modules_have_one_importer(guarded: str, importer: str) -> None:
    found = {
        file
        for file in FILES
        for module, name in _imports(_parsed(file), file)
        if _is_below(module, guarded) or f"{module}.{name}" == guarded
    }
    assert found <= {importer}


@pytest.mark.parametrize("file", [file for file in FILES if _room(file) != "cli"])
def test_nothing_but_commands_prints(file: str) -> None:
    calls = [node for node in ast.walk(_parsed(file)) if isinstance(node, ast.Call)]
    assert "print" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}
