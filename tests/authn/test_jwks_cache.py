"""The directory that keeps key sets over a restart: what is believed, and what trouble costs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from proxy.authn.jwks_cache import JwksCache
from proxy.authn.keyset import KeySet, key_set
from tests.support.keys import jwks, jwks_bytes, make_key

if TYPE_CHECKING:
    from pathlib import Path

ISSUER, SOURCE = "https://issuer.test", "https://issuer.test/jwks.json"
KEY, NEW = make_key("EdDSA", "k"), make_key("RS256", "new")
FETCHED, NOW = 1_700_000_000.25, 1_700_003_600.0


def cache(folder: Path, issuer: str = ISSUER, source: str | None = SOURCE) -> JwksCache:
    return JwksCache(folder, issuer, source)


def written(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def last(one: JwksCache) -> tuple[KeySet, float] | None:
    kept = one.last(NOW)
    return kept and (kept.keys, kept.fetched_at)


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    cache(tmp_path).keep(jwks_bytes(KEY, NEW), FETCHED)
    assert last(cache(tmp_path)) == (key_set(jwks(KEY, NEW)), FETCHED)


def test_the_newest_takes_the_place_of_the_last(tmp_path: Path) -> None:
    one = cache(tmp_path)
    one.keep(jwks_bytes(KEY), FETCHED)
    one.keep(jwks_bytes(NEW), FETCHED + 1)
    assert last(one) == (key_set(jwks(NEW)), FETCHED + 1)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_directory_is_made_and_its_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        cache(tmp_path / "state" / "jwks").keep(jwks_bytes(KEY), FETCHED)
    finally:
        os.umask(old)
    assert (tmp_path / "state" / "jwks").stat().st_mode & 0o777 == 0o700
    file = written(tmp_path / "state" / "jwks")
    assert file.stat().st_mode & 0o777 == 0o600
    # The name is SHA-256 of the issuer: none chooses where it is written.
    assert file.name == "2a3897fff194c942756d6bb9045430f18b9cd79d6d90d122ba1d6bc63c70c115.json"


def test_each_issuer_has_its_own_file(tmp_path: Path) -> None:
    one, other = cache(tmp_path), cache(tmp_path, "https://other.test", None)
    one.keep(jwks_bytes(KEY), FETCHED)
    other.keep(jwks_bytes(NEW), FETCHED)
    assert last(one) == (key_set(jwks(KEY)), FETCHED)
    assert last(other) == (key_set(jwks(NEW)), FETCHED)


def test_nothing_kept_is_nothing_to_tell(tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert last(cache(tmp_path)) is None
        assert last(cache(tmp_path / "not there")) is None
    assert lines == []


WHOLE = {"issuer": ISSUER, "source": SOURCE, "fetched_at": FETCHED, "jwks": jwks(KEY)}
WITHOUT_SOURCE = {name: value for name, value in WHOLE.items() if name != "source"}
UNBELIEVED = [
    pytest.param(b"", "not a plain JSON object", id="empty"),
    pytest.param(json.dumps(WHOLE).encode()[:-1], "not a plain JSON object", id="half of it"),
    pytest.param(json.dumps(WHOLE).encode()[:-1] + b', "issuer": "x"}', "not a plain", id="a name twice"),
    pytest.param([WHOLE], "not a plain JSON object", id="a list"),
    pytest.param({**WHOLE, "issuer": "https://other.test"}, "another issuer", id="another issuer's"),
    pytest.param({**WHOLE, "issuer": f"{ISSUER}/"}, "another issuer", id="almost its issuer's"),
    pytest.param({**WHOLE, "issuer": None}, "another issuer", id="nobody's"),
    pytest.param({**WHOLE, "source": "https://old.test/jwks"}, "elsewhere", id="fetched from elsewhere"),
    pytest.param({**WHOLE, "source": None}, "elsewhere", id="discovered, where a URL is configured now"),
    pytest.param(WITHOUT_SOURCE, "elsewhere", id="no source"),
    pytest.param({**WHOLE, "fetched_at": NOW + 1}, "in the future", id="fetched in the future"),
    pytest.param({**WHOLE, "fetched_at": "1700000000"}, "does not say when", id="a time that is text"),
    pytest.param({**WHOLE, "fetched_at": True}, "does not say when", id="a time that is true"),
    pytest.param({**WHOLE, "fetched_at": None}, "does not say when", id="no time"),
    pytest.param({**WHOLE, "jwks": {"keys": []}}, "no key that can be used", id="no keys"),
    pytest.param({**WHOLE, "jwks": [KEY.jwk]}, "no list", id="no key set"),
    pytest.param({**WHOLE, "jwks": jwks(make_key("HS256"))}, "symmetric", id="a symmetric key"),
    pytest.param({**WHOLE, "jwks": {"keys": [KEY.jwk] * 101}}, "100", id="too many keys"),
    pytest.param({**WHOLE, "more": "x" * 300000}, "too large", id="too large"),
]


@pytest.mark.parametrize(("content", "why"), UNBELIEVED)
def test_what_is_not_to_be_believed_is_ignored_with_one_line(tmp_path: Path, content: Any, why: str) -> None:
    one = cache(tmp_path)
    one.keep(jwks_bytes(KEY), FETCHED)
    written(tmp_path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with capture_logs() as lines:
        assert last(one) is None
    assert [(line["event"], line["issuer"]) for line in lines] == [("jwks_cache_ignored", ISSUER)]
    assert str(written(tmp_path)) in lines[0]["problem"]
    assert why in lines[0]["problem"]


def given_away(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    os.chown(file, 65534, -1)


def linked(file: Path) -> None:
    real = file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(real)


def piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


STRANGE = [
    pytest.param(lambda file: file.chmod(0o620), "somebody else", id="its group may write it"),
    pytest.param(lambda file: file.chmod(0o602), "somebody else", id="everybody may write it"),
    pytest.param(given_away, "somebody else", id="it is another user's"),
    pytest.param(linked, "symbolic links", id="a link is not followed"),
    pytest.param(piped, "somebody else", id="a pipe is not waited for"),
]


@pytest.mark.parametrize(("spoil", "why"), STRANGE)
def test_what_others_could_have_written_is_ignored_and_replaced(tmp_path: Path, spoil: Any, why: str) -> None:
    one = cache(tmp_path / "cache")
    one.keep(jwks_bytes(KEY), FETCHED)
    spoil(written(tmp_path / "cache"))
    with capture_logs() as lines:
        assert last(one) is None
    assert len(lines) == 1
    assert why in lines[0]["problem"]
    one.keep(jwks_bytes(NEW), FETCHED)
    assert last(one) == (key_set(jwks(NEW)), FETCHED)


def test_a_directory_that_cannot_be_written_is_one_warning_each_time_it_breaks(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.write_text("a file")
    one = cache(folder)
    with capture_logs() as lines:
        one.keep(jwks_bytes(KEY), FETCHED)
        one.keep(jwks_bytes(KEY), FETCHED + 1)
        folder.unlink()
        one.keep(jwks_bytes(KEY), FETCHED + 2)
        written(folder).unlink()
        folder.rmdir()
        folder.write_text("a file")
        one.keep(jwks_bytes(KEY), FETCHED + 3)
    told = [(line["event"], line["log_level"], line["issuer"]) for line in lines]
    assert told == [("jwks_cache_not_written", "warning", ISSUER)] * 2
    assert str(folder) in lines[0]["problem"]


def test_a_draft_that_cannot_take_its_place_is_not_left_behind(tmp_path: Path) -> None:
    one = cache(tmp_path)
    one.keep(jwks_bytes(KEY), FETCHED)
    file = written(tmp_path)
    file.unlink()
    file.mkdir()
    with capture_logs() as lines:
        one.keep(jwks_bytes(KEY), FETCHED)
    assert len(lines) == 1
    assert list(tmp_path.iterdir()) == [file]
