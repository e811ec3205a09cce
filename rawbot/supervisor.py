"""The supervisor: several worker processes behind one address, replaced when they die and when they are to be renewed.

Layer 4, a program. What is to be done is decided by a plan (`crew.roster`, `crew.rehearsal`); here are its hands:

- **Processes** are started by `subprocess`, never forked from a running interpreter. Each has a process group of its
  own: a Ctrl-C reaches the supervisor alone, and a kill reaches what a worker has started, too.
- **Sockets** listen here, and workers inherit them. The kernel's queue of connections stays with the socket, so none is
  refused or lost while workers come and go. Without sockets each worker binds for itself, by SO_REUSEPORT; then
  connections that wait in the queue of one that ends are lost with it.
- **What a worker says** comes by sd_notify, on a socket of its own in a folder that nobody else may enter: so it is
  known who speaks, also behind a wrapper with another process id, and without credentials that not every system has.
- **Our death** is noticed by the workers, since a pipe ends then (`aio.listening.supervised`).
- **Signals and deaths** wake one `select`, and only this thread collects dead children: no process id is ever signalled
  after it was given back.
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from rawbot.aio.listening.supervised import SUPERVISOR_FD
from rawbot.aio.listening.systemd import LISTEN_VARIABLES, NOTIFY_SOCKET, READY, STOPPING, notify, reloading, status
from rawbot.crew.orders import Announce, Exit, Kill, Order, Patience, Start, Tell, Terminate
from rawbot.crew.roster import Roster
from rawbot.errors import StateError

log = logging.getLogger("rawbot")

NOT_STARTED = 127
"""Exit status of a worker whose command could not be run, as shells have it."""

MAX_MESSAGE = 4096
"""Bytes of a worker's message that are read; what matters is a line of ten."""

MAX_MESSAGES = 64
"""Messages read in a row, so that a worker that talks without end cannot keep us from the others."""

LONGEST_WAIT = 3600.0
"""Seconds in one `select`: epoll takes no more than 24 days, a time-out may be longer."""

Command = Callable[[Sequence[int]], Sequence[str]]
"""Returns a worker's command line, given the descriptors of the listening sockets it inherits."""

Action = Callable[[float], list[Order]]
"""Tells a plan that something has happened, and when."""


class Plan(Protocol):
    """What decides; `Roster` tells what each of these means."""

    @property
    def deadline(self) -> float | None:
        """When to call `tick` although nothing has happened."""

    def tick(self, now: float) -> list[Order]:
        """Do what is due."""

    def note_ready(self, number: int, now: float) -> list[Order]:
        """Note that a worker serves."""

    def note_stopping(self, number: int, now: float) -> list[Order]:
        """Note that a worker is about to end."""

    def note_end(self, number: int, status: int, now: float) -> list[Order]:
        """Note that a worker is gone."""


def supervise(
    command: Command, *, workers: int, sockets: Sequence[socket.socket] = (), patience: Patience | None = None
) -> int:
    """Run `workers` processes until SIGTERM or SIGINT; return the exit status for this one. To be called by a program.

    SIGHUP replaces the workers one after the other; a second SIGTERM or SIGINT kills those that have not ended yet. The
    status is 0 after a clean end, 1 when a worker had to be killed for it, and the first worker's own when none ever
    became ready. `sockets` are closed when the end begins; a Unix socket's path is left to the caller.

    A worker says READY=1 to NOTIFY_SOCKET when it serves, ends by itself at SIGTERM, and watches its supervisor by
    `watch_supervisor`. Raises `ConfigError` for less than one worker, `StateError` outside of the main thread.
    """
    roster = Roster(workers, patience=patience)
    signals = {signal.SIGHUP: roster.restart, signal.SIGINT: roster.stop, signal.SIGTERM: roster.stop}
    return run_plan(roster, command, sockets=sockets, signals=signals)


def run_plan(
    plan: Plan,
    command: Command,
    *,
    sockets: Sequence[socket.socket] = (),
    signals: Mapping[signal.Signals, Action],
    sources: Mapping[socket.socket, Action] | None = None,
) -> int:
    """Carry out a plan until it says `Exit`; return that status. No process is left behind, whatever is raised.

    `signals` are those that the plan is told of, `sources` what it is told of whenever they can be read.
    Raises `StateError` outside of the main thread, where Python hears no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise StateError("processes are supervised from the main thread, where signals arrive")
    with contextlib.closing(_Stage(plan, command, sockets)) as stage, stage.hearing(signals, sources or {}):
        return stage.run()


class _Worker:
    """One process and the socket on which it is heard."""

    __slots__ = ("_folder", "ear", "process")

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], descriptors: Sequence[int]) -> None:
        """Start the process. Raises OSError."""
        with contextlib.ExitStack() as on_failure:
            self._folder = tempfile.TemporaryDirectory(prefix="rawbot-", ignore_cleanup_errors=True)
            on_failure.callback(self._folder.cleanup)
            self.ear = on_failure.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            path = f"{self._folder.name}/notify"
            self.ear.bind(path)
            self.ear.setblocking(False)
            self.process = subprocess.Popen(  # noqa: S603 - the operator's own command
                arguments,
                stdin=subprocess.DEVNULL,
                env={**environ, NOTIFY_SOCKET: path},
                pass_fds=descriptors,
                process_group=0,
            )
            on_failure.pop_all()

    def messages(self) -> Iterator[bytes]:
        """Return what the worker has said since the last call."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(MAX_MESSAGES):
                yield self.ear.recv(MAX_MESSAGE)

    def kill(self) -> None:
        """End the process and what it has started."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter is macOS' word for a zombie
                os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give everything back once the process is gone."""
        self.ear.close()
        self._folder.cleanup()


class _Stage:
    """The processes of a plan, and the loop around them."""

    def __init__(self, plan: Plan, command: Command, sockets: Sequence[socket.socket]) -> None:
        self._plan = plan
        self._sockets = sockets
        self._descriptors = [sock.fileno() for sock in sockets]
        self._arguments = list(command(self._descriptors))
        self._environ = {name: value for name, value in os.environ.items() if name not in LISTEN_VARIABLES}
        self._workers: dict[int, _Worker] = {}
        self._status: int | None = None
        self._selector = selectors.DefaultSelector()
        self._lifeline, self._life = os.pipe()
        self._environ[SUPERVISOR_FD] = str(self._lifeline)

    def run(self) -> int:
        """Do what the plan says until it is over."""
        self._carry_out(self._plan.tick(time.monotonic()))
        while self._status is None:
            deadline = self._plan.deadline
            wait = LONGEST_WAIT if deadline is None else min(max(0.0, deadline - time.monotonic()), LONGEST_WAIT)
            for key, _ in self._selector.select(wait):
                key.data()
            self._carry_out(self._plan.tick(time.monotonic()))
        return self._status

    def close(self) -> None:
        """Give everything back. Only after an exception is anybody still there."""
        for worker in self._workers.values():
            worker.kill()
            worker.process.wait()
            worker.close()
        self._selector.close()
        os.close(self._lifeline)
        os.close(self._life)
        self._stop_listening()

    # What is heard

    @contextlib.contextmanager
    def hearing(
        self, signals: Mapping[signal.Signals, Action], sources: Mapping[socket.socket, Action]
    ) -> Iterator[None]:
        """Hear signals, dead children and other sources inside; afterwards signals are handled as before."""
        for source, action in sources.items():
            self._listen(source, partial(self._on_source, source, action))
        ear, mouth = socket.socketpair()
        with ear, mouth:
            ear.setblocking(False)
            mouth.setblocking(False)
            self._listen(ear, partial(self._on_signals, ear, signals))
            before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)  # a full buffer wakes us, too
            handlers = {number: signal.signal(number, _ignore) for number in (*signals, signal.SIGCHLD)}
            try:
                yield
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler or signal.SIG_DFL)  # None: of no Python function
                signal.set_wakeup_fd(before)

    def _listen(self, source: socket.socket, call: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, call)

    def _on_source(self, source: socket.socket, action: Action) -> None:
        source.recv(MAX_MESSAGE)
        self._carry_out(action(time.monotonic()))

    def _on_signals(self, ear: socket.socket, signals: Mapping[signal.Signals, Action]) -> None:
        for caught in [signal.Signals(number) for number in ear.recv(MAX_MESSAGE) if number in signals]:
            log.info("received %s", caught.name)
            self._carry_out(signals[caught](time.monotonic()))
        self._collect()  # whatever the signal was: SIGCHLD may have found the buffer full

    def _on_message(self, number: int) -> None:
        if number not in self._workers:
            return  # gone since `select` found it
        for message in self._workers[number].messages():
            lines = message.decode(errors="replace").split("\n")
            if READY in lines:
                self._carry_out(self._plan.note_ready(number, time.monotonic()))
            if STOPPING in lines:
                self._carry_out(self._plan.note_stopping(number, time.monotonic()))

    def _collect(self) -> None:
        """Look which workers are gone."""
        for number, worker in list(self._workers.items()):
            ended = worker.process.poll()
            if ended is None:
                continue
            self._on_message(number)  # what it said last
            self._carry_out(self._plan.note_end(number, ended, time.monotonic()))
            del self._workers[number]
            self._selector.unregister(worker.ear)
            worker.close()
        if os.getpid() == 1:
            self._bury_strangers()

    def _bury_strangers(self) -> None:
        """Collect orphans that nobody else waits for: process 1, as which containers run a program, inherits them."""
        own = {worker.process.pid for worker in self._workers.values()}
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitid(os.P_ALL, 0, _LOOK)) and found.si_pid not in own:
                os.waitpid(found.si_pid, 0)

    # What is done

    def _carry_out(self, orders: Iterable[Order]) -> None:
        waiting = deque(orders)
        while waiting:
            waiting.extend(self._obey(waiting.popleft()))

    def _obey(self, order: Order) -> list[Order]:
        """Carry out one order; return those that follow from it."""
        match order:
            case Start(number, _):
                return self._start(number)
            case Terminate(number):
                self._workers[number].process.terminate()
            case Kill(number):
                self._workers[number].kill()
            case Announce(state):
                self._announce(state)
            case Tell():
                self._tell(order)
            case Exit(ended):
                self._status = ended
        return []

    def _start(self, number: int) -> list[Order]:
        try:
            worker = _Worker(self._arguments, self._environ, [*self._descriptors, self._lifeline])
        except OSError as error:
            log.error("cannot start a worker: %s", error)  # noqa: TRY400 - the operator's fault, not the code's
            return self._plan.note_end(number, NOT_STARTED, time.monotonic())
        self._workers[number] = worker
        self._listen(worker.ear, partial(self._on_message, number))
        log.info("worker %d started", worker.process.pid)
        return []

    def _announce(self, state: str) -> None:
        if state == "ready":
            notify(f"{READY}\n{status('serving')}")
        elif state == "reloading":
            notify(f"{reloading()}\n{status('replacing the workers')}")
        else:
            notify(f"{STOPPING}\n{status('waiting for the workers to end')}")
            self._stop_listening()

    def _stop_listening(self) -> None:
        """Leave the sockets to the workers: when the last one closes them, no connection waits for nobody."""
        for sock in self._sockets:
            sock.close()

    def _tell(self, order: Tell) -> None:
        level = logging.WARNING if order.fault else logging.INFO
        if order.worker is None:
            log.log(level, "%s", order.text)
        elif order.worker in self._workers:  # of one that could not be started all was told
            log.log(level, "worker %d %s", self._workers[order.worker].process.pid, order.text)


_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT
"""For `waitid`: which child has ended, if any, without collecting it."""


def _ignore(*_: object) -> None:
    """Be there, so that Python writes the signal's number to the wake-up descriptor."""
