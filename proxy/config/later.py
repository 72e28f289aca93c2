"""Keys that the design names and this version does not know yet: refused by name, never ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.schema import Config, Log

if TYPE_CHECKING:
    from proxy.config.section import Section

LATER: dict[type[Section], frozenset[str]] = {
    Config: frozenset(
        {
            "version",
        }
    ),
    Log: frozenset({"chain", "spill"}),
}
