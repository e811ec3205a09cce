"""What a generator is told, and what it tells."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

LIMIT = 30.0
"""Seconds after which a load that is not answered in full is given up."""
SILENCE = 10.0
"""Seconds after which a server that owes an answer is given up."""
SETTLE = 0.02
"""Seconds in which a server accepts connections, or ends what it has begun with an answer."""

Meter = Callable[[], int]
"""Reads the CPU nanoseconds that a server has used so far. Raises `Failed` when it is gone."""

Way = Literal["kept", "new", "websocket"]
"""How requests go: over kept HTTP connections, each over an HTTP connection of its own, or over kept WebSockets."""

Check = Callable[[Sequence[Any], Sequence[bytes]], None]
"""Looks at all answers beside what was asked, when the clock has stopped. Raises `Failed`."""


class Sendable(Protocol):
    """A request, and what its sender knows of the answer."""

    @property
    def request(self) -> bytes:
        """All of it as it is sent: an HTTP request, or a masked frame."""


class Load(NamedTuple):
    """Requests to send to a port of the loopback, each once, the next on a connection when it has its answer."""

    port: int
    callbacks: Sequence[Sendable]
    connections: int
    way: Way = "kept"
    check: Check | None = None
    """A function of a module, since the generator is another process."""


class Outcome(NamedTuple):
    """How it went when all were answered rightly: with a 200, over HTTP."""

    elapsed: float
    """Seconds from the first request to the last answer."""
    cpu: float
    """CPU seconds that the generator used for it."""
    p50: float
    """Median of the seconds from sending a request to having its whole answer."""
    p99: float
    size: float
    """Bytes of an answer, on average: one that says something else is seldom as long."""
    server_ns: int = 0
    """CPU nanoseconds of the server, by its meter. To open and to close kept connections is not counted."""


class Generator(Protocol):
    """Sends load; one at a time."""

    title: str

    def carry_out(self, load: Load, meter: Meter) -> Outcome:
        """Send all of it. Raises `Failed` when an answer is missing, is wrong, or takes too long."""
