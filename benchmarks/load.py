"""The load's process: as many kept connections as there are, each sending its next request when it has its answer.

Plain blocking sockets behind one selector: 12 to 30 µs per request, well below what rawbot needs, so that the server's
core is the one that is full. The messages are encrypted before the clock starts, the answers opened after it has
stopped.
"""

import selectors
import socket
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import NamedTuple

from benchmarks.processes import STOP
from benchmarks.traffic import Callback, Traffic, check_open_streams

CONNECTIONS = 64
READY, GO = "ready", "go"

_HOST = "127.0.0.1"
_SILENCE = 10.0  # seconds after which a server that owes answers is given up
_LENGTH = b"content-length: "


class Order(NamedTuple):
    """What to send where. `genuine`: the answers are WeCom replies, to be looked into."""

    port: int
    requests: int
    genuine: bool


class Outcome(NamedTuple):
    """How it went; seconds throughout."""

    elapsed: float
    cpu: float
    """CPU time of the load's own process."""
    p50: float
    """Median of the times from sending a request to having its whole answer, while all connections are busy."""
    p99: float


def generate_load(pipe: Connection) -> None:
    """Carry out the orders that come through the pipe, each with messages that were never sent before.

    When all is prepared it says `READY`, and starts at the word `GO`.
    """
    while (order := pipe.recv()) != STOP:
        callbacks = Traffic().messages(order.requests)
        links = [Link(order.port) for _ in range(CONNECTIONS)]
        pipe.send(READY)
        assert pipe.recv() == GO
        pipe.send(carry_out(links, callbacks, genuine=order.genuine))
        for link in links:
            link.socket.close()


def carry_out(links: Sequence["Link"], callbacks: Sequence[Callback], *, genuine: bool) -> Outcome:
    """Send all callbacks and check all answers. Raises `AssertionError` for a wrong one."""
    began, began_cpu = perf_counter(), process_time()
    _exchange(links, enumerate(callbacks), len(callbacks))
    elapsed, cpu = perf_counter() - began, process_time() - began_cpu
    by_number = sorted((answered for link in links for answered in link.answered), key=lambda a: a.number)
    answers = [answered.answer for answered in by_number]
    assert len(answers) == len(callbacks)
    if genuine:
        check_open_streams(callbacks, answers)
    times = sorted(answered.took for answered in by_number)
    return Outcome(elapsed, cpu, times[len(times) // 2], times[len(times) * 99 // 100])


class Answered(NamedTuple):
    """A whole answer, the number of its request, and the seconds it took."""

    number: int
    answer: bytes
    took: float


class Link:
    """One connection, and what was answered on it."""

    __slots__ = ("_buffer", "_number", "_sent_at", "answered", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((_HOST, port), timeout=_SILENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answered: list[Answered] = []
        self._buffer = b""
        self._number = 0
        self._sent_at = 0.0

    def send(self, number: int, request: bytes) -> None:
        """Send the next request."""
        self._number = number
        self._sent_at = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take in what has come; tell whether the answer is whole."""
        data = self.socket.recv(65536)
        assert data, "the server has closed a connection"
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        start = self._buffer.index(_LENGTH) + len(_LENGTH)
        size = head_end + 4 + int(self._buffer[start : self._buffer.index(b"\r", start)])
        if len(self._buffer) < size:
            return False
        assert len(self._buffer) == size, "the server says more than it was asked"
        self.answered.append(Answered(self._number, self._buffer, perf_counter() - self._sent_at))
        self._buffer = b""
        return True


def _exchange(links: Sequence[Link], supply: Iterator[tuple[int, Callback]], owed: int) -> None:
    with selectors.DefaultSelector() as selector:
        for link, (number, callback) in zip(links, supply, strict=False):
            selector.register(link.socket, selectors.EVENT_READ, link)
            link.send(number, callback.request)
        while owed:
            ready = selector.select(_SILENCE)
            assert ready, "the server is silent"
            for key, _ in ready:
                link = key.data
                if not link.receive():
                    continue
                owed -= 1
                following = next(supply, None)
                if following is not None:
                    link.send(following[0], following[1].request)
