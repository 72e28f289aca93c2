"""Configurations as text: loaded from a real file, faults as they are told."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from proxy.config import Config, ConfigError, Fault, load

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a test does not ask about.
REST = """
upstream: http://127.0.0.1:8000
resource: https://mcp.example.com/mcp
issuers: [{issuer: "https://issuer.example"}]
rules: [{path: /mcp}]
"""


def loaded(
    text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None
) -> Config:
    """Load `text` as a file of its own, with `files` beside it."""
    with TemporaryDirectory() as folder:
        for name, content in (files or {}).items():
            (Path(folder) / name).write_bytes(content)
        path = Path(folder) / "keystile.yaml"
        path.write_text(text)
        return load(path, environ or {})


def completed(text: str) -> str:
    """Add the keys of `REST` that `text` does not have itself."""
    named = {line.partition(":")[0] for line in text.splitlines()}
    rest = (line for line in REST.strip().splitlines() if line.partition(":")[0] not in named)
    return "\n".join([text, *rest])


def faults(
    text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None
) -> tuple[Fault, ...]:
    """Return what is wrong with `text`: nothing where it loads."""
    try:
        loaded(text, environ, files)
    except ConfigError as error:
        return error.faults
    return ()


def told(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what is wrong with a part of a configuration, each as "path: problem"."""
    return [f"{fault.path}: {fault.problem}" for fault in faults(completed(text), environ)]
