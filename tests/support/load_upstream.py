"""An upstream for load tests, in a process of its own: answers every request, and notes its path before it does.

    python -m tests.support.load_upstream PORT NOTES

NOTES gets one path a line. What was noted is there whatever ends the process afterwards.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


class Upstream(asyncio.Protocol):
    """One connection; the requests have no body."""

    def __init__(self, notes: int) -> None:
        self._notes = notes
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if heads:
            os.write(self._notes, b"".join(head.split(b" ", 2)[1] + b"\n" for head in heads))
            self._transport.write(_ANSWER * len(heads))


async def main(port: int, notes: str) -> None:
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(descriptor), "127.0.0.1", port)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
