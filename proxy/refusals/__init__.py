"""The refusals room: how a refusal reads to the caller, and where a client learns what to bring.

One table maps a reason to status, error code and sentence; challenges follow RFC 6750 and RFC 9728. Knows
nobody who asks, and no credential.
"""

from proxy.refusals.answers import Refusals
from proxy.refusals.metadata import Metadata

__all__ = ["Metadata", "Refusals"]
