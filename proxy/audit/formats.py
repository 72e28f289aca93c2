"""Which writer a format has.

Pure. Knows the names of the formats, and nothing of how they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.audit import ecs, line, otel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.audit.names import Format
    from proxy.audit.writer import Writer
    from proxy.model import Identity

_WRITERS: Final[dict[Format, type[Writer]]] = {"keystile": line.Lines, "ecs": ecs.Lines, "otel": otel.Lines}
_FRAGMENTS: Final[dict[Format, Callable[[Identity], bytes]]] = {
    "keystile": line.fragment,
    "ecs": ecs.fragment,
    "otel": otel.fragment,
}


def writer(form: Format, worker: int, fields: Mapping[str, str]) -> Writer:
    """Return what renders the lines of one process; see `Writer`."""
    return _WRITERS[form](worker, fields)


def fragments(form: Format) -> Callable[[Identity], bytes]:
    """Return what makes an identity ready for such lines, once for a token."""
    return _FRAGMENTS[form]
