"""Full garbage collections seldom and at measured times, for a process that holds many streams.

Engine room. Python's collector goes through all objects whenever their number has grown by a quarter, and nothing else
runs meanwhile. Reference counting frees what rawbot makes; only cycles, as asyncio's closed transports are and handlers
may leave behind, need the collector, and most of them die young, which the young generations notice as ever.

Measured while 200,000 streams were opened and ended, CPython 3.11 (3.13): by default three full collections (one), the
longest of 78 ms (75); with `gc.freeze` alone two of up to 59 (none yet, 71 in the end); with thresholds of 50,000, 20
and 100 none, but young ones of 22 (27). Paced: none, young ones of 3. In a server with 64 connections a message cost 56
µs in place of 65, and the slowest hundredth of the answers took 5.5 ms in place of 16.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Protocol

from rawbot.errors import ConfigError

SHARE = 0.001
"""Of the time, for full collections."""

LEAST = 1.0
"""Seconds between two of them, however short they are."""

FEW = 200_000
"""Objects that may have come since the last one, however few there were: to look at so many takes about 20 ms."""

NEVER = 2**31 - 1
"""A threshold that is not reached: the greatest that CPython takes."""


class Clock(Protocol):
    """What is needed of an event loop."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> "Handle":
        """Call it after so many seconds."""


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Let it not come."""


@contextlib.contextmanager
def paced_collections(clock: Clock, *, share: float = SHARE) -> Iterator[None]:
    """Let full collections take about this share of the time, and leave out of them what there is now.

    Enter it when all is imported and set up, in the loop's thread; `clock` is the running loop. The collector belongs
    to the process, so this is the choice of whoever owns that. Cycles that have grown old are freed later: with 200,000
    streams, where a full collection takes a tenth of a second, within two minutes, or when as many objects have come as
    there were. Where the collector is switched off, it stays off, and what was frozen before stays frozen. Raises
    `ConfigError` for a share that is none.
    """
    if not isinstance(share, float) or not 0 < share < 1:
        raise ConfigError("share is a number above 0 and below 1")
    if not gc.isenabled():
        yield
        return
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    pace = _Pace(clock, share, young=(thresholds[0] + 1) * (thresholds[1] + 2))
    try:
        gc.set_threshold(*thresholds[:2], NEVER)
        pace.begin()
        yield
    finally:
        pace.stop()
        if not frozen:
            gc.unfreeze()
        gc.set_threshold(*thresholds)


class _Pace:
    """When the next full collection comes: the longer the last one took, the later; the more has come, the sooner.

    `young` is how many objects have come between two collections of the middle generation.
    """

    __slots__ = ("_clock", "_due", "_handle", "_held", "_share", "_young")

    def __init__(self, clock: Clock, share: float, *, young: int) -> None:
        self._clock = clock
        self._share = share
        self._young = young
        self._due = 0.0
        self._held = 0
        self._handle: Handle | None = None

    def begin(self) -> None:
        """Leave out what there is now."""
        gc.collect()
        gc.freeze()
        self._look()

    def _look(self) -> None:
        self._handle = self._clock.call_later(LEAST, self._look)
        if perf_counter() >= self._due or gc.get_count()[2] * self._young >= max(FEW, self._held):
            began = perf_counter()
            gc.collect()
            ended = perf_counter()
            self._due = ended + max(LEAST, (ended - began) / self._share)
            self._held = len(gc.get_objects())

    def stop(self) -> None:
        """Come no more."""
        if self._handle is not None:
            self._handle.cancel()
