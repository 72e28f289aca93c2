"""config/REFUSALS.md has every reason, once, with the status and the words that callers get."""

from __future__ import annotations

from proxy.model import Note, Reason
from proxy.refusals.table import TABLE
from tests.docs.pages import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "config" / "REFUSALS.md").read_text().splitlines()
    if line.startswith("| `")
]


def test_it_has_every_refusal_with_its_status_and_its_words() -> None:
    shown = {row[0].strip("`"): (row[1], row[2]) for row in ROWS if len(row) == 5}
    assert shown == {str(reason): (str(row.status), row.sentence) for reason, row in TABLE.items()}
    assert len(shown) == len([row for row in ROWS if len(row) == 5]) == len(Reason)


def test_it_has_every_reason_of_a_line_that_was_let_through() -> None:
    assert [row[0].strip("`") for row in ROWS if len(row) == 2] == [str(note) for note in Note]
