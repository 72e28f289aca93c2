"""What a supervisor and its workers say to each other. Pure values.

Every message has an answer: what is asked for, or `Done`. `Prepare` and `Commit` are two steps, so that a
configuration takes effect in every worker or in none.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from proxy.admin import Snapshot  # noqa: TC001 - the decoder reads the annotation
from proxy.audit import Passed  # noqa: TC001 - the decoder reads the annotation
from proxy.config import Fault  # noqa: TC001 - the decoder reads the annotation
from proxy.gatehouse import Made  # noqa: TC001 - the decoder reads the annotation


class Begin(Struct, frozen=True, tag=True):
    """To a worker: serve under this configuration (a pickled `Config`) as number `worker`."""

    config: bytes
    made: Made
    worker: int

    def __repr__(self) -> str:
        """Say nothing: it is full of secrets."""
        return "<Begin>"


class Failed(Struct, frozen=True, tag=True):
    """From a worker: it cannot begin; what `keystile run` says then, and its exit code."""

    problem: str
    code: int


class Prepare(Struct, frozen=True, tag=True):
    """To a worker: build all that this configuration (a pickled `Config`) needs."""

    config: bytes

    def __repr__(self) -> str:
        """Say nothing: it is full of secrets."""
        return "<Prepare>"


class Refused(Struct, frozen=True, tag=True):
    """From a worker: it cannot be built."""

    faults: tuple[Fault, ...]


class Commit(Struct, frozen=True, tag=True):
    """To a worker: let what was prepared take effect."""


class Abandon(Struct, frozen=True, tag=True):
    """To a worker: take back what was prepared."""


class Reopen(Struct, frozen=True, tag=True):
    """To a worker: open the log file anew."""


class Drain(Struct, frozen=True, tag=True):
    """To a worker: finish what is in progress, and end."""


class Hurry(Struct, frozen=True, tag=True):
    """To a worker: end now."""


class Look(Struct, frozen=True, tag=True):
    """To a worker: say how you fare."""


class Told(Struct, frozen=True, tag=True):
    """From a worker: how it fares."""

    snapshot: Snapshot


class Repeat(Struct, frozen=True, tag=True):
    """To a worker: show the access lines from this number on, about `size` bytes of them."""

    number: int
    size: int


class Repeated(Struct, frozen=True, tag=True):
    """From a worker: these are they."""

    passed: Passed


class Use(Struct, frozen=True, tag=True):
    """To the supervisor: use up a DPoP proof; times are in Unix seconds."""

    agent: tuple[str, str]
    proof: bytes
    until: float
    now: float


class Used(Struct, frozen=True, tag=True):
    """From the supervisor: whether it was the first use, a later one, or one too many to remember."""

    outcome: Literal["first", "again", "full"]


class Done(Struct, frozen=True, tag=True):
    """To or from either: so it is."""


Message = (
    Begin
    | Failed
    | Prepare
    | Refused
    | Commit
    | Abandon
    | Reopen
    | Drain
    | Hurry
    | Look
    | Told
    | Repeat
    | Repeated
    | Use
    | Used
    | Done
)
