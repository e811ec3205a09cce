"""What the plans of this room order: values for the program that has the processes.

Layer 1, pure. A worker is a number that is never used twice; a slot is a place that one worker fills.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from rawbot.errors import ConfigError

START_FAILED = 3
"""Exit status of a server that could not start, as uvicorn and gunicorn have it."""

MAX_DOUBLINGS = 32
"""Beyond these a delay is the longest anyway; a float would overflow at 1,024."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process. That it cannot be started is told by `note_end`."""

    worker: int
    slot: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask a worker to finish what it does, and then to end."""

    worker: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker now."""

    worker: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell whoever supervises us."""

    state: Literal["ready", "reloading", "stopping"]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the operator; `worker` is whom it is about, `fault` whether something went wrong."""

    text: str
    worker: int | None = None
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """Nobody is left, and this is the exit status."""

    status: int


Order = Start | Terminate | Kill | Announce | Tell | Exit


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what, in seconds."""

    start: float = 30.0
    """For a worker to be ready: an app that loads a model takes seconds, one that hangs takes for ever."""
    graceful: float = 30.0
    """For a worker to end when asked to: more than its own shutdown takes."""
    steady: float = 30.0
    """A worker that was ready this long did not die young."""
    first_delay: float = 1.0
    """Before the third attempt at a place whose workers die young; the second comes at once."""
    longest_delay: float = 30.0
    """Up to which the delay doubles with each attempt."""

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not math.isfinite(seconds) or seconds < 0:
                raise ConfigError(f"patience.{field.name} must be a finite number of seconds, 0 or more")

    def delay(self, young_deaths: int) -> float:
        """Return how long to wait before a place is filled again, after so many young deaths in a row."""
        if young_deaths < 2:  # noqa: PLR2004 - see first_delay
            return 0.0
        return min(self.longest_delay, self.first_delay * 2.0 ** min(young_deaths - 2, MAX_DOUBLINGS))


def describe(status: int) -> str:
    """Say how a process ended; a negative status is the signal that ended it."""
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
