"""The loop for those who run inside of one, and the signal that ends them."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

from benchmarks.peers.order import Loop

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def loop_factory(loop: Loop) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of this kind."""
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - an extra

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def run(main: Coroutine[object, object, None], loop: Loop) -> None:
    """Run to the end on a loop of this kind."""
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(main)


def stopped(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Return an event that the first signal to end sets."""
    event = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, event.set)
    return event
