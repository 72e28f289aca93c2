"""`${NAME}` and `${file:/path}` in scalars: secrets stay out of the file.

What a reference brings in is text, whatever it looks like, and is not searched for references again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.config.document import Plain, Slip
from proxy.config.faults import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.config.faults import Location

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def resolve(
    tree: object, environ: Mapping[str, str], read: Callable[[str], str]
) -> tuple[object, list[Slip]]:
    """Return the tree with its references replaced, and a slip for each that leads nowhere.

    `read` returns a file's text or raises OSError or UnicodeDecodeError.
    """
    slips: list[Slip] = []

    def walk(node: object, at: Location) -> object:
        if isinstance(node, dict):
            return {key: walk(value, (*at, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(item, (*at, index)) for index, item in enumerate(node)]
        if not isinstance(node, str) or "${" not in node:
            return node
        try:
            return _REFERENCE.sub(lambda match: _value(match, environ, read), node)
        except UnfitError as error:
            slips.append(Slip(at, error.problem, error.remedy))
            return Plain()

    return walk(tree, ()), slips


def _value(match: re.Match[str], environ: Mapping[str, str], read: Callable[[str], str]) -> str:
    inner = match[1]
    if not match[0].endswith("}"):
        raise UnfitError("a reference without its end", "write ${NAME} or ${file:/path}")
    if inner.startswith("file:"):
        return _content(inner.removeprefix("file:"), read)
    if _NAME.fullmatch(inner) is None:
        raise UnfitError("not a reference", "write ${NAME} or ${file:/path}")
    if not environ.get(inner):
        state = "empty" if inner in environ else "not set"
        raise UnfitError(f"the environment variable {inner} is {state}", "set it before starting")
    return environ[inner]


def _content(path: str, read: Callable[[str], str]) -> str:
    try:
        text = read(path)
    except OSError as error:
        raise UnfitError(
            f"the file {path!r} cannot be read: {error.strerror}", "mend its path or mode"
        ) from None
    except ValueError:
        raise UnfitError(f"the file {path!r} is not UTF-8 text", "name a text file") from None
    text = text.removesuffix("\n")
    if not text:
        raise UnfitError(f"the file {path!r} is empty", "write the value into it")
    return text
