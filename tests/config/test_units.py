from __future__ import annotations

import pytest

from proxy.config import units
from proxy.config.faults import UnfitError

READ = [
    pytest.param(units.duration, "250ms", 0.25, id="milliseconds"),
    pytest.param(units.duration, "1.5s", 1.5, id="a fraction of seconds"),
    pytest.param(units.duration, "0s", 0.0, id="no time at all"),
    pytest.param(units.duration, "10m", 600.0, id="minutes"),
    pytest.param(units.duration, "24h", 86400.0, id="hours"),
    pytest.param(units.duration, "7d", 604800.0, id="days"),
    pytest.param(units.size, "512B", 512, id="bytes"),
    pytest.param(units.size, "32KiB", 32768, id="kibibytes"),
    pytest.param(units.size, "4MiB", 4194304, id="mebibytes"),
    pytest.param(units.size, "1GiB", 1073741824, id="gibibytes"),
    pytest.param(units.count, "256", 256, id="a count"),
    pytest.param(units.rate, "600/m", (600, 60.0), id="a rate by the minute"),
    pytest.param(units.rate, "1/d", (1, 86400.0), id="a rate by the day"),
    pytest.param(units.flag, "true", True, id="true"),
    pytest.param(units.flag, "false", False, id="false"),
]


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_reads(read, text, value):
    assert read(text) == value


REFUSED = [
    (
        units.duration,
        ["", "30", "s", "30 s", "-1s", "+1s", "1e3s", "1.s", ".5s", "1.2345s", "30S", "1w", "nan", "infs"],
    ),
    (units.duration, ["1h30m", "9999999999s", "3٣s", "5s\n", "1_0s"]),
    (units.size, ["", "32", "32K", "32KB", "32kib", "1.5KiB", "-1B", "1 KiB", "٣B", "1B\n"]),
    (units.count, ["", "1e3", "0x10", "1_000", "-1", "+1", " 1", "1.0", "٣", "1\n", "9999999999"]),
    (units.rate, ["", "0/s", "60", "/s", "60/", "60/w", "60/ms", "60 /s", "1.5/s", "-1/s", "01/s", "1/s\n"]),
    (units.flag, ["", "yes", "no", "on", "off", "True", "FALSE", "1", "0", "y", "true "]),
]


@pytest.mark.parametrize(
    ("read", "text"),
    [pytest.param(read, text, id=f"{read.__name__} {text!r}") for read, texts in REFUSED for text in texts],
)
def test_refuses(read, text):
    with pytest.raises(UnfitError):
        read(text)
