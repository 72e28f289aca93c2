"""The metrics as text: every one is in the README, and both formats say the same."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from proxy.admin import Contact, Reloads, Snapshot
from proxy.admin.exposition import exposition
from proxy.audit import BOUNDS, Requests
from proxy.authn import KeysState, RevocationsState

ROOT = Path(__file__).parent.parent.parent
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
COUNTED = [1] * (len(BOUNDS) + 1)
# A snapshot that has something of everything.
FULL = Snapshot(
    requests=[Requests("a", 200, "allow", "public", COUNTED, COUNTED, 1.0, 1.0)],
    keys=[KeysState("https://a", 1, usable=True, age=1.0)],
    revocations=RevocationsState(1, age=1.0),
    upstream=Contact(1.0),
    redis=Contact(1.0),
    reloads=Reloads(),
)


def labels(text: str) -> dict[str, set[str]]:
    """Every metric and the names of its labels, but for what Prometheus itself adds to a histogram."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            label for sample in family.samples for label in sample.labels
        }
        - {"le"}
        for family in plain(text)
    }


def test_the_readme_has_every_metric_and_its_labels():
    rows = re.findall(
        r"^\| ((?:`keystile_\w+`(?:, )?)+) \| ([a-z, ]*)\|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    told = {
        name: set(filter(None, re.split(r"[, ]+", named)))
        for names, named in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    shown = labels(exposition(FULL, "1.0", "")[0].decode())
    assert told == {**shown, "keystile_build_info": {"version", "python"}}


def test_both_formats_say_the_same():
    text, media = exposition(FULL, "1.0", "text/plain")
    other, other_media = exposition(FULL, "1.0", OPENMETRICS)
    assert (media.partition(";")[0], other_media.partition(";")[0]) == (
        "text/plain",
        "application/openmetrics-text",
    )
    assert other.endswith(b"# EOF\n")
    one, two = (
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in parse(document.decode())
            for sample in family.samples
        }
        for parse, document in ((plain, text), (openmetrics, other))
    )
    assert one == two


def test_what_is_not_configured_or_not_known_is_not_there():
    shown = labels(exposition(Snapshot(), "1.0", "")[0].decode())
    assert not {
        name
        for name in shown
        if name.startswith(("keystile_redis", "keystile_revocation", "keystile_config", "process_"))
        or name == "keystile_upstream_reachable"
    }


def test_names_of_rules_cannot_break_the_text():
    odd = 'a"b\\c\nd{}'
    snapshot = Snapshot(requests=[Requests(odd, 200, "allow", None, COUNTED, COUNTED)])
    for accept, parse in (("", plain), (OPENMETRICS, openmetrics)):
        text = exposition(snapshot, "1.0", accept)[0].decode()
        rules = {sample.labels.get("rule") for family in parse(text) for sample in family.samples}
        assert rules == {odd, None}
