"""How long things may take: each time-out with its name and its reason.

Engine room.
"""

import math
from dataclasses import dataclass, fields

from rawbot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each is an absolute deadline of its phase: bytes that trickle in do not stretch it."""

    keep_alive: float = 75.0
    """An idle connection is closed; longer than the 60 s of common proxies, so that they close first."""
    header: float = 10.0
    """From the first byte of a request (or the connection's start) to the end of its head, else 408."""
    body: float = 30.0
    """From the end of the head to the end of the body, else 408: 1 MiB at 35 KB/s."""
    write: float = 30.0
    """A peer that does not read is cut off."""
    graceful: float = 8.0
    """At shutdown: for the handlers that still run, after which they are cancelled."""
    settle: float = 2.5
    """At shutdown, afterwards: for the platforms to fetch the last frame of each bubble; two polls of theirs."""

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not math.isfinite(seconds) or seconds < 0:
                raise ConfigError(f"timeouts.{field.name} must be a finite number of seconds, 0 or more")
