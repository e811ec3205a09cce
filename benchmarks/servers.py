"""The contenders' processes: started as a user starts them, on a core, and what the kernel tells of them.

CPU time comes from the processes' own clocks (clock_getcpuclockid(3)), in nanoseconds and with all their threads; a
server's processes are those of its session, so that workers count, whoever their parent is. This needs Linux.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from time import clock_gettime_ns, monotonic, sleep
from typing import cast

from benchmarks.contenders import ROOT, Contender
from benchmarks.measuring import Failed
from benchmarks.processes import on_core

PATIENCE = 30.0
"""Seconds for a server to accept connections: many start at once, on one core."""
FAREWELL = 5.0
"""Seconds for it to end when it is asked to."""

_HOST = "127.0.0.1"
_LOOKS_EVERY = 0.02
_TAIL = 1500
_CPUCLOCK_SCHED = 2
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to clients: one of them that looks whether a server listens could find itself there."""
_PORT_TRIES = 100


class Server:
    """A contender's processes. All of it raises `Failed` when they are gone."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: BufferedRandom) -> None:
        self.port = port
        self._process = process
        self._log = log

    def wait_until_listening(self) -> None:
        """Return when connections are accepted. Raises `Failed` when it has ended, or `PATIENCE` has."""
        gives_up_at = monotonic() + PATIENCE
        while monotonic() < gives_up_at:
            self.require_alive()
            with contextlib.suppress(OSError), socket.create_connection((_HOST, self.port), timeout=1.0):
                return
            sleep(_LOOKS_EVERY)
        raise Failed(f"it accepts no connection within {PATIENCE:.0f} s{self.last_words()}")

    def require_alive(self) -> None:
        """Raise `Failed` when it has ended."""
        status = self._process.poll()
        if status is not None:
            raise Failed(f"it has ended with status {status}{self.last_words()}")

    def cpu_ns(self) -> int:
        """Return the CPU nanoseconds that its processes have used."""
        self.require_alive()
        try:
            return sum(clock_gettime_ns(_cpu_clock(pid)) for pid in self.pids())
        except OSError:
            raise Failed(f"one of its processes has ended{self.last_words()}") from None

    def memory(self) -> int:
        """Return the resident bytes of its processes."""
        return sum(_resident(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return its processes."""
        return [pid for pid, session in _sessions() if session == self._process.pid]

    def last_words(self) -> str:
        """Return the end of what it has written, on lines of their own."""
        self._log.seek(0)
        lines = self._log.read()[-_TAIL:].decode(errors="replace").strip().splitlines()
        return "".join(f"\n    {line}" for line in lines)

    def ask_to_end(self) -> None:
        """Begin its end."""
        if self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Ask it to end, and see to it that all its processes do."""
        self.ask_to_end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def serving(contender: Contender, core: int | None) -> Iterator[Server]:
    """Start a contender; it does not listen yet. Raises `Failed` when it cannot even be started."""
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        try:
            with on_core(core):
                process = subprocess.Popen(  # noqa: S603 - the user names the interpreter
                    contender.command(port),
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise Failed(f"it cannot be started: {error}") from None
        server = Server(process, port, cast("BufferedRandom", log))
        try:
            yield server
        finally:
            server.end()


def _free_port() -> int:
    for port in random.sample(_PORTS, _PORT_TRIES):
        with contextlib.suppress(OSError), socket.create_server((_HOST, port)):
            return port
    raise Failed("no port is free")


def _sessions() -> Iterator[tuple[int, int]]:
    """Find all processes and their sessions (proc(5), stat); those that end meanwhile, or have ended, are left out."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, _, _, session, *_ = (
                (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            )
            if state not in ("Z", "X"):
                yield int(entry.name), int(session)


def _cpu_clock(pid: int) -> int:
    """Return the number of a process's CPU clock, as the C library makes it (clock_getcpuclockid(3))."""
    return (~pid << 3) | _CPUCLOCK_SCHED


def _resident(pid: int) -> int:
    """Return a process's resident bytes (proc(5), statm); 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
