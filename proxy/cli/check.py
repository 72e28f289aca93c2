"""`keystile check`: is this configuration whole?"""

from __future__ import annotations

from proxy.cli.configuration import ConfigFile, read


def check(config: ConfigFile = None) -> None:
    """Read a configuration and say what is wrong with it: all of it at once, with exit code 2."""
    loaded = read(config)
    print(f"ok: {len(loaded.issuers)} issuer(s), {len(loaded.rules)} rule(s), upstream {loaded.upstream.url}")
