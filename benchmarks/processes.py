"""Processes of a benchmark: each pinned to a core, told what to do through a pipe."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

PATIENCE = 10.0
"""Seconds for a process to end by itself."""

Work = Callable[[Connection], None]
"""What a process does: it serves the pipe until it reads `STOP`."""

STOP = "stop"


@contextlib.contextmanager
def started(work: Work, core: int | None) -> Iterator[Connection]:
    """Run `work` in a new interpreter, on this core alone if one is given; yield our end of its pipe."""
    context = multiprocessing.get_context("spawn")  # nothing inherited: neither tables nor caches nor a warm heap
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(work, theirs, core), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        with contextlib.suppress(OSError):
            ours.send(STOP)
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def receive(pipe: Connection) -> object:
    """Return what the process says next. Raises `RuntimeError` when it has died; its traceback is on stderr."""
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError("a process of the benchmark has died") from None


def _run(work: Work, pipe: Connection, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    work(pipe)


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Bind this process to a core meanwhile, if one is given: what it starts inherits that from its first moment."""
    if core is None:
        yield
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)
