"""Key sets in files: what is read, what is not read again, and what errors say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.authn.key_file import KeyFile
from proxy.authn.keyset import KeySetError
from tests.support.keys import jwks_bytes, make_key

if TYPE_CHECKING:
    from pathlib import Path

KEY, NEW = make_key("EdDSA", "k"), make_key("EdDSA", "new")


async def test_a_key_set_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(KEY))
    assert [key.kid for key in (await KeyFile(file).read()).keys.keys] == ["k"]


async def test_errors_of_files_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "large.json").write_bytes(jwks_bytes(KEY) + b" " * 262144)
    for name, why in (
        ("missing.json", "No such file"),
        ("", "Is a directory"),
        ("page.html", "not a plain JSON object"),
        ("large.json", "larger than 256 KiB"),
    ):
        with pytest.raises(KeySetError) as caught:
            await KeyFile(tmp_path / name).read()
        assert str(tmp_path / name) in str(caught.value)
        assert why in str(caught.value)


async def test_a_change_is_seen_and_what_is_unchanged_is_not_taken_apart_again(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(KEY))
    reader = KeyFile(file)
    first = await reader.read()
    assert await reader.read() is first
    file.write_bytes(jwks_bytes(NEW))
    assert [key.kid for key in (await reader.read()).keys.keys] == ["new"]


async def test_a_file_that_breaks_is_an_error_each_time_until_it_is_whole_again(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks_bytes(KEY))
    reader = KeyFile(file)
    whole = await reader.read()
    file.write_bytes(jwks_bytes(KEY)[:-1])
    for _ in range(2):
        with pytest.raises(KeySetError, match="not a plain JSON object"):
            await reader.read()
    file.write_bytes(jwks_bytes(KEY))
    assert await reader.read() == whole
