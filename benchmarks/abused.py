"""The abused server's process: rawbot with short time-outs, every kind of answer, and a look at itself.

Through the pipe go port and process id, then a `State` for every word but `STOP`; before `COLLECT` is answered, what
the process does not need any more goes back to the kernel.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import process_time, thread_time
from typing import NamedTuple

import rawbot
from benchmarks.processes import STOP
from benchmarks.traffic import KEY, PATH, TOKEN

LOOK, COLLECT = "look", "collect"
"""Ask for the state; `COLLECT` first clears away."""

ECHO, LATE, BIG, FILE = "/echo", "/late", "/big", "/files/large.bin"
HELD = 0.3
"""Seconds that `LATE` waits before it answers."""
BIG_SIZE = 256 * 1024
FILE_SIZE = 8 * 1024 * 1024
THINKING = 0.4
"""Seconds that the bot takes for a message that is no bystander's: polls of it are held."""
GREETING = "hello from "
"""What the bystanders' messages begin with."""

DESCRIPTORS = 8192
"""Open files that each process of this benchmark may need."""

_HOST = "127.0.0.1"
_LOOKS_EVERY = 0.005
_STREAMS = 512
_REPORTED = 5


@dataclass(frozen=True, slots=True)
class Terms:
    """How long the server waits and how much it takes on. What is not said here is rawbot's default."""

    timeouts: rawbot.Timeouts
    capacity: rawbot.Capacity = field(default_factory=rawbot.Capacity)


class Address(NamedTuple):
    """Where the server is."""

    port: int
    pid: int


class State(NamedTuple):
    """What the server says of itself; seconds where it is time."""

    cpu: float
    """CPU time of the process so far."""
    held: float
    """The longest time since the last state in which nothing else had a turn, as CPU time: other processes on the core
    do not count."""
    connections: int
    pending: int
    handlers: int
    log_lines: int
    """Lines logged so far, from warnings on."""
    errors: tuple[str, ...]
    """The first few that were errors: ours, or what asyncio has to say."""


def serve_abused(terms: Terms, pipe: Connection) -> None:
    """Serve until the pipe says stop."""
    allow_descriptors(DESCRIPTORS)
    asyncio.run(_serve(terms, pipe))


def allow_descriptors(count: int) -> None:
    """Let this process open so many files, or as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(terms: Terms, pipe: Connection) -> None:
    log = _Log()
    logging.getLogger().addHandler(log)
    with _directory() as directory:
        app = _make_app(terms, directory)
        async with rawbot.serve(app, host=_HOST, port=0) as server:
            pipe.send(Address(server.port, os.getpid()))
            await _obey(pipe, app, log)


def _make_app(terms: Terms, directory: Path) -> rawbot.App:
    """Make an app whose memory of conversations is short: seven minutes of them would look like a leak."""
    bot = rawbot.Bot()

    @bot.on_message
    async def answer(event: rawbot.Event, reply: rawbot.Reply) -> None:
        if not event.text.startswith(GREETING):
            await asyncio.sleep(THINKING)
        for piece in ("You said: ", event.text, "."):
            reply.write(piece)
            await asyncio.sleep(0.01)

    app = rawbot.App(bot, timeouts=terms.timeouts, capacity=terms.capacity)
    app.add(PATH, rawbot.WeComEndpoint(TOKEN, KEY, max_streams=_STREAMS, max_remembered=_STREAMS))
    for path in (ECHO, LATE, BIG):
        app.add(path, _Plain())
    app.add(FILE.rpartition("/")[0], rawbot.Files(directory))
    return app


class _Plain(rawbot.Endpoint):
    """Says what it is told; `LATE` does so after a while, and `BIG` says much more."""

    needs_bot = False

    def __init__(self) -> None:
        self._big = bytes(BIG_SIZE)

    def receive(self, request: rawbot.Request, now: float) -> rawbot.Exchange:
        """Answer."""
        if request.path == LATE:
            return rawbot.Pending(None, now + HELD, lambda _: rawbot.Response(200, request.body))
        return rawbot.Answer(rawbot.Response(200, self._big if request.path == BIG else request.body))


class _Log(logging.Handler):
    """Counts what is logged from warnings on, and keeps the first errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines = 0
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += 1
        if record.levelno >= logging.ERROR and len(self.errors) < _REPORTED:
            self.errors.append(logging.Formatter().format(record))


class _Holds:
    """Finds how long the loop is held: it wants a turn every few milliseconds and looks at the CPU time in between."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longest = 0.0
        self._loop = loop
        self._last = thread_time()
        self._look()

    def _look(self) -> None:
        now = thread_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self._timer = self._loop.call_later(_LOOKS_EVERY, self._look)

    def take(self) -> float:
        """Return the longest since the last time."""
        longest, self.longest = self.longest, 0.0
        return longest

    def begin_anew(self) -> None:
        """Leave out what was done since the last look."""
        self._last = thread_time()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()


async def _obey(pipe: Connection, app: rawbot.App, log: _Log) -> None:
    """Tell the state as often as it is asked for, until the pipe says stop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    holds = _Holds(loop)

    def obey() -> None:
        word = pipe.recv()
        if word == STOP:
            stopped.set()
            return
        if word == COLLECT:
            _clear_away()
            holds.begin_anew()
        pipe.send(_state(app, holds.take(), log))

    loop.add_reader(pipe.fileno(), obey)
    try:
        await stopped.wait()
    finally:
        loop.remove_reader(pipe.fileno())
        holds.close()


def _state(app: rawbot.App, held: float, log: _Log) -> State:
    engine = app.running
    assert engine is not None
    errors = tuple(log.errors)
    return State(
        process_time(), held, len(engine.connections), engine.pending, engine.handlers, log.lines, errors
    )  # fmt: skip


def _clear_away() -> None:
    """Collect garbage, and have malloc give back what it keeps: what is left after this, somebody holds."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        with (Path(directory) / FILE.rpartition("/")[2]).open("wb") as file:
            file.truncate(FILE_SIZE)
        yield Path(directory)
