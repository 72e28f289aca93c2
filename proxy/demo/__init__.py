"""The demo room: what `keystile demo` and `keystile token` need, so that all can be tried without an account.

Development keys and the tokens they sign (`DevelopmentKey`); a local issuer, a small server that speaks MCP
and plain HTTP, and the proxy between them (`stage`). Nothing here is part of the proxy: only commands import
it.
"""

from proxy.demo.keys import DevelopmentKey
from proxy.demo.stage import stage

__all__ = ["DevelopmentKey", "stage"]
