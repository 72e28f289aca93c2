"""`keystile schema`: what an editor needs to help with the configuration."""

from __future__ import annotations

import json

from proxy.config import schema as described


def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    print(json.dumps(described(), indent=2, sort_keys=True))
