"""The whole table, in the order in which a token is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.authn.tokens import bindings, claims, form, header, sets, signatures

if TYPE_CHECKING:
    from tests.authn.tokens.making import Row

ROWS: list[Row] = [*form.ROWS, *header.ROWS, *signatures.ROWS, *sets.ROWS, *claims.ROWS, *bindings.ROWS]
