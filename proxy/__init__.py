"""Keystile: an authenticating reverse proxy in front of any unmodified MCP or HTTP server.

The rooms, in the order in which they may import each other: `model`, `config`, then `authn`, `authz`,
`wire`, `refusals` and `audit` side by side, then `gate`, `server`, `cli`. `tests/test_architecture.py`
holds the table.
"""
