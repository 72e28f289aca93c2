"""What an entry is about, how one is read, and that the index says what the entries say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.authn.revocation import NOTHING, Revocation, Revocations, read_revocation
from proxy.model import Identity

ISSUER, OTHER = "https://issuer.test", "https://other.test"


def identity(**changes: Any) -> Identity:
    usual = {
        "id": "acc_7",
        "issuer": ISSUER,
        "scopes": (),
        "audience": (),
        "claims": {},
        "until": 2_000.0,
        "token_id": "t-1",
        "key_id": "k-1",
        "issued_at": 1_000.0,
    }
    return Identity(**{**usual, **changes})


MATCHES = [
    pytest.param({"jti": "t-1"}, {}, True, id="the token's id"),
    pytest.param({"jti": "t-1"}, {"token_id": "t-2"}, False, id="another token's id"),
    pytest.param({"jti": "t-1"}, {"token_id": "T-1"}, False, id="a token's id in another case"),
    pytest.param({"jti": "t-1"}, {"token_id": None}, False, id="a token without an id"),
    pytest.param({"jti": "acc_7"}, {}, False, id="an agent's id is no token's id"),
    pytest.param({"agent": "acc_7"}, {}, True, id="the agent"),
    pytest.param({"agent": "acc_7"}, {"issuer": OTHER}, True, id="the agent of any issuer"),
    pytest.param({"agent": "acc_7"}, {"id": "acc_70"}, False, id="an agent whose id only begins alike"),
    pytest.param({"key": "k-1"}, {}, True, id="the key"),
    pytest.param({"key": "k-1"}, {"key_id": None}, False, id="a key without an id"),
    pytest.param({"issuer": ISSUER}, {"token_id": None, "key_id": None}, True, id="the issuer"),
    pytest.param({"issuer": ISSUER}, {"issuer": ISSUER + "/"}, False, id="an issuer with one slash more"),
    pytest.param({"agent": "acc_7", "issuer": ISSUER}, {}, True, id="the agent of this issuer"),
    pytest.param({"agent": "acc_7", "issuer": ISSUER}, {"issuer": OTHER}, False, id="of another issuer"),
    pytest.param({"agent": "acc_7", "key": "k-1"}, {"key_id": "k-2"}, False, id="under another key"),
    pytest.param({"jti": "t-1", "agent": "acc_7", "key": "k-1", "issuer": ISSUER}, {}, True, id="all four"),
    pytest.param({"agent": "acc_7", "before": 1000.5}, {}, True, id="issued before"),
    pytest.param({"agent": "acc_7", "before": 1000}, {}, False, id="issued at that very moment"),
    pytest.param({"agent": "acc_7", "before": 999}, {}, False, id="issued after"),
    pytest.param({"agent": "acc_7", "before": 0}, {"issued_at": None}, True, id="issued nobody knows when"),
    pytest.param({"agent": "acc_8", "before": 9e9}, {}, False, id="another agent, whenever"),
    pytest.param({"agent": "acc_7"}, {"issued_at": 1e300}, True, id="issued in a distant future"),
]


@pytest.mark.parametrize(("tree", "changes", "expected"), MATCHES)
def test_an_entry_is_about_what_has_all_it_names(
    tree: dict[str, object], changes: dict[str, Any], expected: bool
) -> None:
    entry = read_revocation(tree)
    assert isinstance(entry, Revocation)
    assert Revocations.of([entry]).revoked(identity(**changes)) is expected


def test_nothing_revokes_nobody() -> None:
    assert not NOTHING.revoked(identity())


AMONG = [
    pytest.param([Revocation(agent="acc_7", before=1.0), Revocation(agent="acc_7", before=2e3)], id="later"),
    pytest.param(
        [Revocation(agent="acc_7"), Revocation(agent="acc_7", before=1.0)], id="always, then before"
    ),
    pytest.param(
        [Revocation(agent="acc_7", before=1.0), Revocation(agent="acc_7")], id="before, then always"
    ),
    pytest.param(
        [Revocation(agent="acc_7"), Revocation(agent="acc_7", issuer=OTHER)], id="and another shape"
    ),
    pytest.param([Revocation(jti="t-9"), Revocation(key="k-1")], id="one of several shapes"),
]


@pytest.mark.parametrize("entries", AMONG)
def test_the_widest_of_several_counts(entries: list[Revocation]) -> None:
    assert Revocations.of(entries).revoked(identity())


_PLACES = (st.sampled_from(["a", "b"]) | st.none(),) * 4
_ENTRIES = st.lists(
    st.builds(Revocation, *_PLACES, st.sampled_from([0.0, 5.0, 10.0]) | st.none()).filter(
        lambda entry: (entry.jti, entry.agent, entry.key, entry.issuer) != (None,) * 4
    ),
    max_size=6,
)
_IDENTITIES = st.builds(
    lambda jti, agent, key, issuer, iat: identity(
        token_id=jti, id=agent, key_id=key, issuer=issuer, issued_at=iat
    ),
    *(_PLACES[0], st.sampled_from(["a", "b"]), _PLACES[2], st.sampled_from(["a", "b"])),
    st.sampled_from([-1.0, 5.0, 11.0]) | st.none(),
)


def obvious(entries: list[Revocation], who: Identity) -> bool:
    """The same, one entry and one member after the other."""
    for entry in entries:
        pairs = [
            (entry.jti, who.token_id),
            (entry.agent, who.id),
            (entry.key, who.key_id),
            (entry.issuer, who.issuer),
        ]
        issued = -math.inf if who.issued_at is None else who.issued_at
        early = entry.before is None or issued < entry.before
        if early and all(named is None or named == own for named, own in pairs):
            return True
    return False


@given(_ENTRIES, _IDENTITIES)
def test_the_index_says_what_the_entries_say(entries: list[Revocation], who: Identity) -> None:
    assert Revocations.of(entries).revoked(who) == obvious(entries, who)


@given(_ENTRIES, _ENTRIES)
def test_joined_and_beyond_are_what_they_say(some: list[Revocation], more: list[Revocation]) -> None:
    left, right = Revocations.of(some), Revocations.of(more)
    assert left.joined(right) == Revocations.of([*some, *more])
    assert left.beyond(left) == NOTHING
    assert left.beyond(right).joined(right) == left.joined(right)
    assert left.beyond(NOTHING) == left


TIMES = [
    ("2026-07-01T12:00:00Z", 1782907200.0),
    ("2026-07-01t12:00:00z", 1782907200.0),
    ("2026-07-01 12:00:00Z", 1782907200.0),
    ("2026-07-01T14:00:00+02:00", 1782907200.0),
    ("2026-07-01T12:00:00.25Z", 1782907200.25),
    ("1782907200", 1782907200.0),
    ("1782907200.5", 1782907200.5),
    (1782907200, 1782907200.0),
    (1782907200.5, 1782907200.5),
    (0, 0.0),
]


@pytest.mark.parametrize(("written", "seconds"), TIMES)
def test_times_are_read(written: object, seconds: float) -> None:
    assert read_revocation({"agent": "a", "before": written}) == Revocation(agent="a", before=seconds)


NO_TIMES = [
    "2026-07-01",
    "2026-07-01T12:00:00",
    "2026-07-01T12:00Z",
    "2026-13-01T12:00:00Z",
    "2026-07-01T25:00:00Z",
    "2026-07-01T12:00:00+25:00",
    "20260701T120000Z",
    "0001-01-01T00:00:00+14:00",
    "1782907200000",
    "-1",
    "1e9",
    "now",
    " 1782907200",
    "1782907200\n",
    "١٧٨٢٩٠٧٢٠٠",
    1782907200000,
    -1,
    math.nan,
    math.inf,
    True,
    None,
    ["1782907200"],
]


@pytest.mark.parametrize("written", NO_TIMES, ids=repr)
def test_what_is_no_time_is_told(written: object) -> None:
    (slip,) = slips({"agent": "a", "before": written})
    assert (slip[0], slip[1]) == (("before",), "not a time")


def slips(tree: object) -> list[tuple[tuple[str | int, ...], str]]:
    read = read_revocation(tree)
    assert not isinstance(read, Revocation)
    return [(slip.location, slip.problem) for slip in read]


UNFIT = [
    pytest.param("t-1", [((), "not a mapping")], id="a text"),
    pytest.param(None, [((), "not a mapping")], id="nothing"),
    pytest.param({}, [((), "names nothing to revoke")], id="no member"),
    pytest.param({"before": "0"}, [((), "names nothing to revoke")], id="a time alone"),
    pytest.param({"jti": ""}, [(("jti",), "without a value")], id="an empty text"),
    pytest.param({"jti": None}, [(("jti",), "without a value")], id="a member without a value"),
    pytest.param({"jti": ["t-1"]}, [(("jti",), "not a single value")], id="a list of ids"),
    pytest.param({"jti": 7}, [(("jti",), "not a single value")], id="a JSON number"),
    pytest.param({"jit": "t-1", "key": "k"}, [(("jit",), "unknown key")], id="an unknown key"),
    pytest.param(
        {"sub": "a", "jti": "", "before": "x"},
        [
            (("sub",), "unknown key"),
            (("jti",), "without a value"),
            (("before",), "not a time"),
        ],
        id="several faults at once",
    ),
]


@pytest.mark.parametrize(("tree", "expected"), UNFIT)
def test_what_is_no_entry_is_told(tree: object, expected: list[object]) -> None:
    assert slips(tree) == expected


CANONICAL = [
    (Revocation(jti="t-1"), '{"jti":"t-1"}'),
    (Revocation("t", "a", "k", "i", 0.0), '{"agent":"a","before":"1970-01-01T00:00:00Z","issuer":"i","jti":"t","key":"k"}'),
    (Revocation(agent='é"\n'), '{"agent":"é\\"\\n"}'),
    (Revocation(agent="a", before=1782907200.25), '{"agent":"a","before":"2026-07-01T12:00:00.250000Z"}'),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "text"), CANONICAL)
def test_an_entry_has_one_text(entry: Revocation, text: str) -> None:
    assert entry.canonical() == text
    assert read_revocation(entry.members()) == entry
