"""Lines to a file without making the loop wait for a disk.

Engine room.

- **The loop never writes.** A `write` takes 1 µs when all is well, and as long as a full pipe or a slow disk likes when
  not. So lines gather, and a thread writes them ten times a second; handing one over takes 0.4 µs.
- **Bounded.** When nobody keeps up with reading, lines are dropped, counted and told of, and not kept: a log that
  stalls must not take the server with it.
- **Nothing is lost at the end.** `close` writes what is there, and an interpreter that exits without it does the same.
  A process that is killed loses the last tenth of a second.
"""

import atexit
import logging
import os
import select
import stat
import threading

from rawbot.aio.watching.line_queue import LineQueue
from rawbot.errors import ConfigError

log = logging.getLogger("rawbot")

INTERVAL = 0.1
"""Seconds for which lines gather before they are written."""

MAX_WAITING = 4 * 1024 * 1024
"""Characters that may wait to be written: a second of 20,000 requests."""

PIECE = 64 * 1024
"""Bytes of one write to a file: more would not be faster."""

CLOSE_WITHIN = 2.0
"""Seconds that `close` waits for somebody who does not read."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Appending, so that several processes may share a file. Not blocking, since opening a pipe without a reader would."""

_MODE = 0o640
"""Who calls, and what, is not for every user of the machine."""

_CLOSED = -1
"""In place of a descriptor: what is written to it fails."""


class LineWriter:
    """Writes lines of ASCII to a path, or to an open descriptor, which stays open.

    The thread lives from the first line to `close`. `add` and `close` are for one thread, the loop's. At most
    `max_waiting` characters wait to be written. Raises `ConfigError` for a target that cannot be written to.
    """

    def __init__(self, target: str | os.PathLike[str] | int, *, max_waiting: int = MAX_WAITING) -> None:
        self._target = target
        self._queue = LineQueue(max_waiting=max_waiting)
        self._thread: _Thread | None = None
        self._reopen = False
        self._broken = False
        try:
            self._descriptor = self._open()
        except (OSError, ValueError) as error:  # the second for a path that cannot be one
            raise ConfigError(f"cannot write to {target}: {getattr(error, 'strerror', None) or error}") from None

    @property
    def dropped(self) -> int:
        """How many lines did not get there."""
        return self._queue.dropped

    def add(self, line: str) -> None:
        """Have a line written soon, or count it as dropped."""
        if not self._queue.add(line):
            return
        thread = self._thread
        if thread is None:
            self._start()
        elif not thread.gathering.is_set():  # it is cleared before the lines are looked at, so none is overlooked
            thread.gathering.set()

    def reopen(self) -> None:
        """Open the path anew before the next write; a descriptor stays what it is."""
        self._reopen = not isinstance(self._target, int)
        if self._thread is not None:
            self._thread.gathering.set()

    def close(self) -> None:
        """Write the rest and close the file. Waits up to `CLOSE_WITHIN` seconds for somebody who does not read."""
        thread = self._thread
        if thread is not None:
            atexit.unregister(self.close)
            thread.ending.set()
            thread.gathering.set()
            thread.join(CLOSE_WITHIN)
            if thread.is_alive():
                log.error("the last %d lines of %s cannot be written: nobody reads", len(self._queue), self._target)
                return  # and leave it the descriptor
            self._thread = None
        self._tell()
        if self._descriptor >= 0 and not isinstance(self._target, int):
            os.close(self._descriptor)
        self._descriptor = _CLOSED

    def _start(self) -> None:
        self._thread = _Thread(self)
        self._thread.gathering.set()
        self._thread.start()
        atexit.register(self.close)  # comes before the interpreter stops such threads

    # What the thread does

    def write_lines(self) -> None:
        """Write what has gathered."""
        if self._reopen or self._descriptor < 0:
            self._replace()
        before = self.dropped
        while lines := self._queue.take(self._piece):
            self._queue.settle(lines, written=self._write("".join(lines).encode("ascii", "replace")))
        if self.dropped == before and not self._broken:  # once it is over, not ten times a second
            self._tell()

    def _open(self) -> int:
        """Return a descriptor to write to. Raises `OSError`."""
        target = self._target
        descriptor = target if isinstance(target, int) else os.open(target, _FLAGS, _MODE)
        # What several processes write to a pipe does not mingle in pieces of up to PIPE_BUF (POSIX, write).
        self._piece = getattr(select, "PIPE_BUF", 512) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else PIECE
        return descriptor

    def _replace(self) -> None:
        self._reopen = False
        try:
            new = self._open()
        except OSError as error:
            self._complain("cannot open %s anew: %s", error)
            return
        old, self._descriptor = self._descriptor, new
        if old not in (new, _CLOSED):
            os.close(old)

    def _write(self, data: bytes) -> bool:
        """Write it all; return whether that went well."""
        try:
            _write_all(self._descriptor, data)
        except OSError as error:
            self._complain("cannot write to %s: %s", error)
            return False
        self._broken = False
        return True

    def _tell(self) -> None:
        if untold := self._queue.untold():
            log.warning("%d lines of %s were dropped", untold, self._target)

    def _complain(self, text: str, error: OSError) -> None:
        """Tell of a failure, once until writing works again."""
        if not self._broken:
            self._broken = True
            log.error(text, self._target, error.strerror)


class _Thread(threading.Thread):
    """Writes what gathers; a daemon, so that a reader who never reads does not keep the process."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__(name="rawbot lines", daemon=True)
        self.gathering = threading.Event()
        self.ending = threading.Event()
        self._writer = writer

    def run(self) -> None:
        """Write until the end."""
        while not self.ending.is_set():
            self.gathering.wait()
            self.ending.wait(INTERVAL)
            self.gathering.clear()
            self._writer.write_lines()
        self._writer.write_lines()  # what came between the last look and the end


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # a full pipe, or standard output that somebody made so
            room = select.poll()
            room.register(descriptor, select.POLLOUT)
            room.poll()
