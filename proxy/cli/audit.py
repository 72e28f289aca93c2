"""`keystile audit`: which agents did what, read from the access log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from proxy.audit import Gaps, Query, ReadError, Tally, moment, scan, source
from proxy.cli.audit_answer import notes, plain, shown, written
from proxy.model import Note, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proxy.audit import Found, Source

_DECISIONS = ("allow", "deny", "would_deny")
_REASONS = tuple(sorted({*Reason, *Note}))
_LONG_READ = 128 * 1024 * 1024
_NOTHING, _WRONG_INPUT = 1, 2
_ANSWER = "What the answer is"
_FILTER = "What is asked for"


def _option(text: str, *names: str, panel: str = _FILTER) -> typer.models.OptionInfo:
    info: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel, show_default=False)
    return info


def audit(  # noqa: PLR0913 - each is an option
    logs: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG…", help="Access logs, plain or compressed (gzip, zstd); - is standard input."
        ),
    ],
    *,
    target: Annotated[
        str | None, _option("A tool, a resource, a prompt, the value of an argument, or a path.")
    ] = None,
    agent: Annotated[str | None, _option("The agent's id.")] = None,
    tool: Annotated[str | None, _option("The tool.")] = None,
    decision: Annotated[str | None, _option("allow, deny or would_deny.")] = None,
    reason: Annotated[str | None, _option("The reason, as in scope_insufficient.")] = None,
    start: Annotated[
        str | None,
        _option("Not before: 14:00, 2026-11-22, 2026-11-22T14:00Z, 1h ago, yesterday.", "--from"),
    ] = None,
    end: Annotated[str | None, _option("Before this, said likewise; a day to its end.", "--to")] = None,
    issuer: Annotated[str | None, _option("Who vouched for the agent.")] = None,
    lines: Annotated[bool, _option("The lines themselves.", "--lines", panel=_ANSWER)] = False,
    as_json: Annotated[
        bool, _option("JSON: agents, and what the log lacks.", "--json", panel=_ANSWER)
    ] = False,
    as_csv: Annotated[bool, _option("CSV: a row for each agent.", "--csv", panel=_ANSWER)] = False,
) -> None:
    """Say which agents did what: a table of those that a log names, or its lines.

    `*` stands for any characters and `?` for one. Times without a zone are local.

    Exit codes: 0 found, 1 nothing found, 2 wrong input, or a log that was not read to its end.
    """
    if lines + as_json + as_csv > 1:
        raise typer.BadParameter("choose one of them", param_hint="--lines, --json, --csv")
    now = time.time()  # noqa: TID251 - this is the shell
    _known(decision, _DECISIONS, "--decision")
    _known(reason, _REASONS, "--reason")
    query = Query(
        _said(target, "--target"),
        _said(agent, "--agent"),
        _said(tool, "--tool"),
        decision,
        reason,
        _said(issuer, "--issuer"),
        _moment(start, now, "--from"),
        _moment(end, now, "--to"),
    )
    _sensible(query, now)
    try:
        sources = [source(name) for name in logs]
    except ReadError as error:
        print(f"keystile: {error}", file=sys.stderr)
        raise typer.Exit(_WRONG_INPUT) from None
    tally, gaps, matched = Tally(), Gaps(), 0
    for found in _watched(scan(sources, query, lines=lines), sources):
        tally.merge(found.tally)
        gaps.merge(found.gaps)
        matched += found.matched
        _print(found.lines)
    if not lines:
        form = "json" if as_json else "csv" if as_csv else "table"
        sys.stdout.write(written(form, tally.rows(), query, gaps) if form != "table" or matched else "")
    for note in notes(query, gaps, now, found=matched > 0):
        print(f"keystile: {note}", file=sys.stderr)
    raise typer.Exit(_WRONG_INPUT if gaps.failed else 0 if matched else _NOTHING)


def _said(text: str | None, option: str) -> str | None:
    if text == "":
        raise typer.BadParameter("names nothing", param_hint=option)
    return text


def _known(text: str | None, names: Iterable[str], option: str) -> None:
    """Refuse what no line ever says: nothing found would be the wrong answer to a slip of the pen."""
    if text is not None and text not in names and not ("*" in text or "?" in text):
        raise typer.BadParameter(f"{plain(text)}: choose from {', '.join(names)}", param_hint=option)


def _moment(text: str | None, now: float, option: str) -> float | None:
    try:
        return None if text is None else moment(text, now, end=option == "--to")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _sensible(query: Query, now: float) -> None:
    if query.start is not None and query.start > now:
        raise typer.BadParameter(
            "is yet to come; name the day, as in 2026-11-22T14:00 or yesterday 14:00", param_hint="--from"
        )
    if query.start is not None and query.end is not None and query.end <= query.start:
        raise typer.BadParameter("is not after --from", param_hint="--to")


def _watched(parts: Iterator[Found], sources: list[Source]) -> Iterator[Found]:
    """The same, with a bar on the terminal where it takes a while."""
    total = sum(log.length for log in sources)
    if total < _LONG_READ or not sys.stderr.isatty():
        yield from parts
        return
    # The bar has a thread: the processes that read have to be there before.
    first = next(parts)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reading", total=total)
        progress.advance(bar, first.length)
        yield first
        for found in parts:
            progress.advance(bar, found.length)
            yield found


def _print(lines: list[bytes]) -> None:
    if sys.stdout.isatty():
        lines = [shown(line) for line in lines]
    for line in lines:
        sys.stdout.buffer.write(line.rstrip(b"\r\n") + b"\n")
