"""A worker's side of its supervisor: noticing that it is gone.

Engine room. What a worker says, it says as to systemd (`systemd.notify`). What it hears are signals, and the end of a
pipe: the supervisor holds the only other end of it and never writes, so it ends when the supervisor does, by whatever
death. Linux could send a signal instead (PR_SET_PDEATHSIG), others could not.
"""

import asyncio
import os
import stat
from collections.abc import Callable

from rawbot.errors import ConfigError

SUPERVISOR_FD = "RAWBOT_SUPERVISOR_FD"
"""The variable that names our end of the pipe."""


def watch_supervisor(loop: asyncio.AbstractEventLoop, on_gone: Callable[[], object]) -> Callable[[], None]:
    """Call `on_gone` once when this process's supervisor is gone; return what ends the watch.

    Without a supervisor nothing is watched. The variable is taken out of the environment, and children do not inherit
    the pipe. Raises `ConfigError` when the variable names none.
    """
    value = os.environ.pop(SUPERVISOR_FD, None)
    if value is None:
        return lambda: None
    descriptor = _pipe(value)
    watching = True

    def end() -> None:
        nonlocal watching
        if watching:
            watching = False
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def gone() -> None:
        end()
        on_gone()

    loop.add_reader(descriptor, gone)
    return end


def _pipe(value: str) -> int:
    """Return the descriptor that a variable's value names, out of reach for children."""
    try:
        descriptor = int(value)
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except (OSError, OverflowError, ValueError):
        is_pipe = False
    if not is_pipe:
        raise ConfigError(f"{SUPERVISOR_FD} names no pipe: it is for the supervisor's workers only")
    os.set_inheritable(descriptor, False)
    return descriptor
