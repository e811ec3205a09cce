"""The built-in generator: blocking sockets behind one selector, in a process of its own that never sleeps under load.

A generator that sleeps till the next answer is woken by the server's `send`, at the server's cost: on a virtual machine
with wrk a message took 92 µs on asyncio, and with this one 65, with half the spread. It takes 12 µs for a request, so
that a server that is much faster than rawbot waits for it. Every answer is kept, and looked at when the clock has
stopped: the status of all.
"""

import contextlib
import selectors
import socket
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from time import monotonic, perf_counter, process_time, sleep
from typing import NamedTuple, Self

from benchmarks.generators.load import LIMIT, SETTLE, SILENCE, Load, Meter, Outcome
from benchmarks.measuring import Failed
from benchmarks.processes import STOP, started
from benchmarks.traffic import Callback

_READY, _GO, _END = "ready", "go", "end"
_HOST = "127.0.0.1"
_LENGTH = b"\r\ncontent-length:"
_RIGHT = b"HTTP/1.1 200 "


class BuiltIn:
    """Its side that gives the orders."""

    title = "built-in generator, which never sleeps (--generator wrk for another)"

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def carry_out(self, load: Load, meter: Meter) -> Outcome:
        """Send all of it. Raises `Failed` when an answer is missing, is not a 200, or takes too long."""
        self._tell(load)
        try:
            if (said := self._hear()) != _READY:
                raise Failed(str(said))
            sleep(SETTLE)
            before = meter()
            self._tell(_GO)
            outcome = self._hear()
            if not isinstance(outcome, Outcome):
                raise Failed(str(outcome))
            sleep(SETTLE)
            return outcome._replace(server_ns=meter() - before)
        finally:
            self._tell(_END)

    def _tell(self, what: object) -> None:
        with contextlib.suppress(OSError):  # that it has died is heard
            self._pipe.send(what)

    def _hear(self) -> object:
        try:
            return self._pipe.recv() if self._pipe.poll(LIMIT + 2 * SILENCE) else "the generator is silent"
        except (EOFError, OSError):
            return "the generator has died"


@contextlib.contextmanager
def started_builtin(core: int | None) -> Iterator[BuiltIn]:
    """Start its process, and end it."""
    with started(generate_load, core) as pipe:
        yield BuiltIn(pipe)


def generate_load(pipe: Connection) -> None:
    """Carry out the loads that come through the pipe: say when the connections are open, go when told to.

    Each ends with its outcome, or with a text that tells what went wrong; the connections stay till a word comes.
    """
    with contextlib.suppress(KeyboardInterrupt):  # who gives the orders hears it too
        while (load := pipe.recv()) != STOP:
            try:
                with _open(load) as links:
                    pipe.send(_READY)
                    if pipe.recv() == _GO:
                        pipe.send(carry_out(links, load.callbacks))
                        pipe.recv()
            except Failed as failure:
                pipe.send(str(failure))
                pipe.recv()


def carry_out(links: Sequence["Link"], callbacks: Sequence[Callback]) -> Outcome:
    """Send all requests. Raises `Failed`."""
    began, began_cpu = perf_counter(), process_time()
    answered = exchange(links, callbacks)
    elapsed, cpu = perf_counter() - began, process_time() - began_cpu
    times = sorted(each.took for each in answered)
    size = sum(len(each.answer) for each in answered) / len(answered)
    return Outcome(elapsed, cpu, times[len(times) // 2], times[len(times) * 99 // 100], size)


def ask(port: int, callbacks: Sequence[Callback], connections: int = 8) -> list[bytes]:
    """Send these requests from this process; return their answers in the same order. Raises `Failed`."""
    with _open(Load(port, callbacks, connections)) as links:
        return [each.answer for each in exchange(links, callbacks)]


class Answered(NamedTuple):
    """A whole answer, the number of its request, and the seconds it took."""

    number: int
    answer: bytes
    took: float


def exchange(links: Sequence["Link"], callbacks: Sequence[Callback]) -> list[Answered]:
    """Send all requests; return their answers in the same order. Raises `Failed` when one is missing, or not a 200."""
    try:
        _exchange(links, enumerate(callbacks), len(callbacks))
    except OSError as error:
        raise Failed(f"a connection fails: {error}") from None
    answered = sorted((each for link in links for each in link.answered), key=lambda each: each.number)
    for each in answered:
        if not each.answer.startswith(_RIGHT):
            line = each.answer.partition(b"\r\n")[0].decode(errors="replace")
            raise Failed(f"request {each.number + 1} is answered with {line!r}")
    return answered


class Link:
    """One connection, and what was answered on it."""

    __slots__ = ("_buffer", "_number", "_sent_at", "answered", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((_HOST, port), timeout=SILENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answered: list[Answered] = []
        self._buffer = b""
        self._number = 0
        self._sent_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, number: int, request: bytes) -> None:
        """Send the next request."""
        self._number = number
        self._sent_at = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take in what has come; tell whether the answer is whole. Raises `Failed`."""
        data = self.socket.recv(65536)
        if not data:
            raise Failed(f"a connection is closed in place of answer {self._number + 1}")
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        size = head_end + 4 + _content_length(self._buffer[: head_end + 2])
        if len(self._buffer) < size:
            return False
        if len(self._buffer) > size:
            raise Failed("more is said than was asked")
        self.answered.append(Answered(self._number, self._buffer, perf_counter() - self._sent_at))
        self._buffer = b""
        return True


@contextlib.contextmanager
def _open(load: Load) -> Iterator[list[Link]]:
    with contextlib.ExitStack() as closing:
        try:
            links = [closing.enter_context(Link(load.port)) for _ in range(load.connections)]
        except OSError as error:
            raise Failed(f"no connection: {error}") from None
        yield links


def _content_length(head: bytes) -> int:
    start = head.lower().find(_LENGTH)
    if start < 0:
        raise Failed("an answer has no Content-Length")
    start += len(_LENGTH)
    return int(head[start : head.index(b"\r", start)])


def _spin(selector: selectors.BaseSelector) -> list[tuple[selectors.SelectorKey, int]]:
    """Return what is ready, without sleeping till then; nothing after a silence."""
    silent_at = monotonic() + SILENCE
    while not (ready := selector.select(0)) and monotonic() < silent_at:
        pass
    return ready


def _exchange(links: Sequence[Link], supply: Iterator[tuple[int, Callback]], owed: int) -> None:
    gives_up_at = monotonic() + LIMIT
    with selectors.DefaultSelector() as selector:
        for link, (number, callback) in zip(links, supply, strict=False):
            selector.register(link.socket, selectors.EVENT_READ, link)
            link.send(number, callback.request)
        while owed:
            ready = _spin(selector)
            if not ready or monotonic() > gives_up_at:
                raise Failed(f"{owed} answers are owed after {LIMIT if ready else SILENCE:.0f} s")
            for key, _ in ready:
                owed -= _go_on(key.data, supply)


def _go_on(link: Link, supply: Iterator[tuple[int, Callback]]) -> bool:
    """Receive on a connection; send its next request when the answer is whole, and tell whether it is."""
    if not link.receive():
        return False
    following = next(supply, None)
    if following is not None:
        link.send(following[0], following[1].request)
    return True
