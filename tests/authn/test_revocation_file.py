"""A file of revocations while people, programs and accidents change it, and the command's way to write it."""

from __future__ import annotations

import contextlib
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from proxy.authn.revocation import NOTHING, Revocation, Revocations
from proxy.authn.revocation_file import FileSource, _stamp, add_to_file, unreadable
from proxy.authn.revocation_source import RevocationError
from tests.support.records import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

A, B, C = "- agent: a\n", "- agent: b\n", "- agent: c\n"
ADDED = '- agent: "c"\n'
LONG = 3600.0


def revoked(*agents: str) -> Revocations:
    return Revocations.of(Revocation(agent=agent) for agent in agents)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "revoked.yaml"
    file.write_text(A + B)
    return file


@contextlib.asynccontextmanager
async def watched(path: Path, look: float = 0.01, rest: float = LONG) -> AsyncIterator[FileSource]:
    source = FileSource(path, look, rest)
    await source.start()
    try:
        yield source
    finally:
        await source.close()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def rename(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text.removeprefix(path.read_text()))


def relink(path: Path, text: str) -> None:
    """What a mounted ConfigMap does: the name is a link, and points elsewhere from now on."""
    elsewhere = path.with_name("elsewhere.yaml")
    elsewhere.write_text(text)
    beside = path.with_suffix(".link")
    beside.symlink_to(elsewhere)
    beside.replace(path)


def rewrite_with_the_old_time(path: Path, text: str) -> None:
    before = path.stat()
    write(path, text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


WAYS = [
    pytest.param(write, id="written over"),
    pytest.param(rename, id="replaced by another file"),
    pytest.param(append, id="appended to"),
    pytest.param(relink, id="a link that points elsewhere"),
]


@pytest.mark.parametrize("change", WAYS)
async def test_what_is_added_is_refused(change: Callable[[Path, str], None], path: Path) -> None:
    async with watched(path) as source:
        told: list[Revocations] = []
        source.watcher = told.append
        assert (source.ready, source.current) == (True, revoked("a", "b"))
        change(path, A + B + C)
        await until(lambda: source.current == revoked("a", "b", "c"))
        assert told == [revoked("a", "b", "c")]


async def test_a_change_of_the_same_size_and_time_is_seen(path: Path) -> None:
    async with watched(path, rest=0) as source:
        rewrite_with_the_old_time(path, A + C)
        await until(lambda: source.current == revoked("a", "c"))


async def test_what_is_gone_is_admitted_once_the_file_has_rested(path: Path) -> None:
    async with watched(path, rest=0) as source:
        write(path, "[]\n")
        await until(lambda: source.current == NOTHING)


async def test_what_is_gone_stays_refused_until_then(path: Path) -> None:
    async with watched(path) as source:
        write(path, C)
        await until(lambda: source._read == _stamp(path))
        await source._look()
        assert source.current == revoked("a", "b", "c")


async def test_a_file_that_never_rests_is_read_all_the_same(path: Path) -> None:
    async with watched(path, look=LONG) as source:
        write(path, C)
        await source._look()
        assert source.current == revoked("a", "b")
        write(path, C + "- agent: dd\n")
        await source._look()
        assert source.current == revoked("a", "b", "c", "dd")


async def test_a_file_that_is_broken_for_a_moment_is_no_news(path: Path) -> None:
    async with watched(path, look=LONG) as source:
        for broken in ("- ", "- agent: ["):
            write(path, broken)
            await source._look()
        assert source.failures == 0
        await source._look()
        assert (source.failures, source.current) == (1, revoked("a", "b"))


HALVES = [
    pytest.param("", id="nothing yet"),
    pytest.param(A, id="whole entries"),
    pytest.param(A + "- agent:", id="half an entry"),
    pytest.param(A + "- agent: '", id="half a value"),
]


@pytest.mark.parametrize("half", HALVES)
async def test_half_of_a_list_lifts_nothing(half: str, path: Path) -> None:
    async with watched(path) as source:
        write(path, half)
        await until(lambda: source._read == _stamp(path))
        assert source.current == revoked("a", "b")
        write(path, A + C)
        await until(lambda: source.current == revoked("a", "b", "c"))


async def test_a_list_that_breaks_before_it_has_rested_lifts_nothing(path: Path) -> None:
    async with watched(path) as source:
        write(path, C)
        await until(lambda: source.current == revoked("a", "b", "c"))
        write(path, "- agent: [")
        await until(lambda: source.failures == 1)
        source._rest = 0.0
        write(path, "- agent: {")
        await until(lambda: source.failures == 2)
        await source._look()
        assert source.current == revoked("a", "b", "c")


def lock(path: Path) -> None:
    """Make it unreadable to everybody: a folder, for root reads every file."""
    path.unlink()
    path.mkdir()


def mend(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    rename(path, A + B + C)


BREAKAGES = [
    pytest.param(Path.unlink, "no such file; mend its path, or make it: [] revokes nothing", id="deleted"),
    pytest.param(lock, "cannot be read: Is a directory; mend its path or mode", id="not readable"),
    pytest.param(lambda path: path.write_text(""), "the list: not a list; write entries as in - jti: 7d1c, or [] for none", id="emptied"),
    pytest.param(lambda path: path.write_text("- agnt: a"), "line 1, [0].agnt: unknown key; choose from jti, agent, key, issuer and before", id="misspelt"),
    pytest.param(lambda path: path.write_bytes(b"- agent: \xff"), "not UTF-8 text; save it as UTF-8", id="not text"),
    pytest.param(lambda path: path.write_bytes(b"#" * (1 << 23) + b"\n"), "larger than 8 MiB; remove what has expired", id="too large"),
]  # fmt: skip


@pytest.mark.parametrize(("breaks", "problem"), BREAKAGES)
async def test_a_broken_file_keeps_what_was_known_and_says_so_once(
    breaks: Callable[[Path], object], problem: str, path: Path
) -> None:
    with capture_logs() as lines:
        async with watched(path) as source:
            breaks(path)
            await until(lambda: source.failures == 1)
            for _ in range(3):
                await source._look()
            assert (source.ready, source.current, source.failures) == (True, revoked("a", "b"), 1)
            mend(path)
            await until(lambda: source.current == revoked("a", "b", "c"))
    assert lines == [
        {"event": "revocations_changed", "log_level": "info", "entries": 2},
        {"event": "revocations_not_read", "log_level": "warning", "problem": f"{path}: {problem}", "kept": 2},
        {"event": "revocations_read_again", "log_level": "info", "failures": 1},
        {"event": "revocations_changed", "log_level": "info", "entries": 3},
    ]


@pytest.mark.parametrize(("breaks", "problem"), BREAKAGES)
async def test_a_broken_file_at_the_start_is_an_error(
    breaks: Callable[[Path], object], problem: str, path: Path
) -> None:
    breaks(path)
    source = FileSource(path)
    with pytest.raises(RevocationError) as caught:
        await source.start()
    assert str(caught.value) == f"{path}: {problem}"
    assert not source.ready
    await source.close()


async def test_every_fault_is_told_but_not_without_end(path: Path) -> None:
    write(path, "- a\n" * 23)
    with pytest.raises(RevocationError) as caught:
        await FileSource(path).start()
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: line 1, [0]: not a mapping; write it as in - jti: 7d1c"
    assert (len(lines), lines[-1]) == (21, "and 3 more")


async def test_a_watcher_that_raises_ends_no_watch(path: Path) -> None:
    def raises(_: Revocations) -> None:
        raise ZeroDivisionError

    async with watched(path) as source:
        source.watcher = raises
        write(path, A + C)
        await until(lambda: source.failures == 1)
        source.watcher = None
        write(path, A + B + C)
        await until(lambda: source.current == revoked("a", "b", "c"))


async def test_a_mark_of_byte_order_is_no_text(path: Path) -> None:
    write(path, f"\ufeff{A}")
    async with watched(path) as source:
        assert source.current == revoked("a")


def test_an_entry_is_added_once_and_all_else_stays(path: Path) -> None:
    write(path, "# kept\n" + A)
    assert add_to_file(path, Revocation(agent="c"))
    assert path.read_text() == "# kept\n" + A + ADDED
    assert not add_to_file(path, Revocation(agent="c"))
    assert path.read_text() == "# kept\n" + A + ADDED
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_told_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    with pytest.raises(RevocationError, match=r"new\.yaml: No such file"):
        add_to_file(path, Revocation(agent="c"))
    assert list(tmp_path.iterdir()) == []


def test_mode_and_link_stay(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    add_to_file(link, Revocation(agent="c"))
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.readlink() == path
    assert path.read_text() == A + B + ADDED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(path: Path) -> None:
    os.chown(path, 12345, 23456)
    add_to_file(path, Revocation(agent="c"))
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_many_at_once_lose_nothing(path: Path) -> None:
    write(path, "[]")
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda number: add_to_file(path, Revocation(jti=str(number % 12))), range(24)))
    assert sorted(added) == [False] * 12 + [True] * 12
    assert sorted(line for line in path.read_text().splitlines() if line) == sorted(
        f'- jti: "{number}"' for number in range(12)
    )


LEFT_ALONE = [
    pytest.param("- agnt: a", "unknown key", id="a list with a fault"),
    pytest.param("", "not a list", id="an empty file"),
    pytest.param("- agent: a\n...\n", 'add it by hand: {"agent":"c"}', id="a document that is closed"),
]


@pytest.mark.parametrize(("text", "problem"), LEFT_ALONE)
def test_what_cannot_be_read_or_extended_is_left_alone(text: str, problem: str, path: Path) -> None:
    write(path, text)
    with pytest.raises(RevocationError, match=problem):
        add_to_file(path, Revocation(agent="c"))
    assert path.read_text() == text
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_disk_that_takes_no_more_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(A + B), hard))
    try:
        with pytest.raises(RevocationError, match="File too large"):
            add_to_file(path, Revocation(agent="c"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == A + B
    assert [file.name for file in path.parent.iterdir()] == [path.name]


UNREADABLE = [
    pytest.param(A, None, id="a list"),
    pytest.param("[]", None, id="an empty list"),
    pytest.param("", "list", id="an empty file"),
    pytest.param("- agnt: a\n", "unknown key", id="a misspelt name"),
    pytest.param("agent: a\n", "list", id="no list"),
]


@pytest.mark.parametrize(("text", "why"), UNREADABLE)
def test_what_is_wrong_with_a_file_before_it_is_used(path: Path, text: str, why: str | None) -> None:
    path.write_text(text)
    told = unreadable(path)
    assert told is None if why is None else told is not None and why in told and "\n" not in told
