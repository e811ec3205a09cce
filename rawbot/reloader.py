"""The reloader: one worker, started again whenever a Python file is saved. For development.

Layer 4, a program: the supervisor's processes under another plan. The listening sockets stay here, so the port is never
free for another, and a request that comes between two workers waits for the second.

Changes are watched by watchfiles, which is the extra `reload`: it has the systems' interfaces for it behind one.
"""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rawbot.crew.rehearsal import Rehearsal
from rawbot.errors import ConfigError, MissingExtraError
from rawbot.supervisor import Command, run_plan

log = logging.getLogger("rawbot")


def reload_on_change(
    command: Command,
    paths: Sequence[str | Path],
    *,
    sockets: Sequence[socket.socket] = (),
    graceful: float = 5.0,
) -> int:
    """Run a worker until SIGTERM, SIGINT or SIGHUP, and again whenever a .py file in or below `paths` changes.

    A worker that ends is not started again before the next change. When asked to end it may go on for `graceful`
    seconds. Returns the exit status; `sockets` are closed then. To be called by a program, in its main thread.

    Raises `MissingExtraError` without watchfiles, `ConfigError` for paths that cannot be watched.
    """
    watch = _load_watch()
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing or not paths:
        raise ConfigError(f"cannot watch for changes: {' and '.join(missing) or 'nothing'} is not there")
    plan = Rehearsal(graceful=graceful)
    signals = dict.fromkeys((signal.SIGHUP, signal.SIGINT, signal.SIGTERM), plan.stop)  # SIGHUP: the terminal is gone
    ear, mouth = socket.socketpair()
    with ear, mouth, _watching(watch, paths, mouth):
        return run_plan(plan, command, sockets=sockets, signals=signals, sources={ear: plan.restart})


Watch = Callable[[Sequence[str | Path], threading.Event], Iterator[object]]
"""Yields whenever something has changed, until the event is set."""


def _load_watch() -> Watch:
    try:
        import watchfiles  # noqa: PLC0415 - comes with the extra
    except ImportError:
        raise MissingExtraError("reload", "restarting at changes") from None
    python = watchfiles.PythonFilter()
    return lambda paths, stopped: watchfiles.watch(
        *paths, watch_filter=python, stop_event=stopped, raise_interrupt=False
    )


@contextlib.contextmanager
def _watching(watch: Watch, paths: Sequence[str | Path], mouth: socket.socket) -> Iterator[None]:
    """Write a byte for each change, from a thread."""
    stopped = threading.Event()

    def run() -> None:
        try:
            for _ in watch(paths, stopped):
                mouth.send(b"!")
        except (OSError, RuntimeError) as error:  # no more inotify watches, for one
            log.error("changes are not watched any more: %s", error)  # noqa: TRY400 - no fault of the code's

    thread = threading.Thread(target=run, name="rawbot-reloader")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
