"""What shows how far a run is: one line on stderr, written over and over, for a terminal only."""

import sys
from time import monotonic
from typing import TextIO

from benchmarks.measuring import Progress

_WIDTH = 24


def on_terminal(name: str, stream: TextIO | None = None) -> Progress:
    """Return what writes such a line; an empty text takes it away."""
    stream = stream or sys.stderr

    def show(text: str) -> None:
        if stream.isatty():
            stream.write(f"\r\x1b[K{name}: {text}" if text else "\r\x1b[K")
            stream.flush()

    return show


class Meter:
    """Counts steps of about the same length, and tells how long the rest of them will take."""

    def __init__(self, steps: int, progress: Progress) -> None:
        self._steps = max(steps, 1)
        self._progress = progress
        self._begun = 0
        self._began_at = monotonic()

    def step(self, text: str) -> None:
        """Begin the next step, and tell what it is."""
        done = min(self._begun / self._steps, 1.0)
        self._begun += 1
        filled = round(_WIDTH * done)
        bar = "█" * filled + "░" * (_WIDTH - filled)
        left = f", {(monotonic() - self._began_at) * (1 - done) / done:.0f} s left" if done else ""
        self._progress(f"{bar} {text}{left}")
