"""The load of `flat`, a process of its own: a climb at full speed, a steady probe, connections that are idle.

In the climb each of 64 connections sends its next message when it has its answer, and each second is looked at by
itself. That hides how long a server stands still, since those who would have come meanwhile do not: 64 of 20,000
answers of a second are late, whether by 10 ms or by 300. So the probe sends at a fixed rate, and a time counts from the
moment at which a message was due.
"""

import contextlib
import gc
import resource
import selectors
import signal
import socket
from collections.abc import Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from time import clock_gettime_ns, perf_counter
from typing import NamedTuple

from benchmarks.processes import STOP
from benchmarks.traffic import KEY, TOKEN, Callback, Traffic, check_open_streams
from rawbot.simulate.wecom_envelope import decode_reply
from rawbot.wecom.crypto import WeComCrypto

CONNECTIONS = 64
SECOND = 1.0

_SILENCE = 10.0
_CPUCLOCK_SCHED = 2
"""Of the number of a process's CPU clock, as the C library makes it (clock_getcpuclockid(3))."""
_LENGTH = b"content-length: "
_LOOKED_INTO = 2000
"""Of so many answers, one is decrypted."""


class Prepare(NamedTuple):
    """Make so many messages; they are the same for every server."""

    messages: int


class Climb(NamedTuple):
    """Send messages, these of those that are prepared, as fast as they are answered."""

    port: int
    pid: int
    """The server's: its CPU time is read at each second."""
    first: int
    last: int


class Probe(NamedTuple):
    """Send further ones at a fixed rate."""

    port: int
    first: int
    rate: float
    seconds: float


class Crowd(NamedTuple):
    """Open so many connections, use each once, and keep them till `LEAVE`."""

    port: int
    connections: int


LEAVE = "leave"


class Second(NamedTuple):
    """One second of the climb; times in milliseconds."""

    answered: int
    cpu_us: float
    """Of the server, for each answer."""
    p50: float
    p99: float
    longest: float


class Outcome(NamedTuple):
    """How a climb went."""

    seconds: list[Second]
    """Whole ones, or all when it took no second."""
    cpu_us: float
    """Of the server, for each answer of all."""


class Link:
    """One connection, and what was asked on it."""

    __slots__ = ("_buffer", "callback", "sent_at", "socket")

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _SILENCE, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.callback = Callback(b"", "")
        self.sent_at = 0.0
        self._buffer = b""

    def send(self, callback: Callback, at: float) -> None:
        """Send the next request, which was due at this time."""
        self.callback = callback
        self.sent_at = at
        self.socket.sendall(callback.request)

    def receive(self) -> bytes | None:
        """Take in what has come; return the answer when it is whole."""
        data = self.socket.recv(65536)
        assert data, "the server has closed a connection"
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        start = head.lower().index(_LENGTH) + len(_LENGTH)
        if len(body) < int(head[start:].partition(b"\r")[0]):
            return None
        answer, self._buffer = self._buffer, b""
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return answer


class Loader:
    """What the process holds from one order to the next."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._crowd: list[Link] = []
        self._traffic = Traffic()

    def carry_out(self, order: object) -> object:
        """Do what is ordered; return what came of it."""
        match order:
            case Prepare(messages):
                self._callbacks += self._traffic.messages(messages)
                gc.freeze()  # our own collections are not to be taken for the server's
            case Climb():
                return self._climb(order)
            case Probe():
                return self._probe(order)
            case Crowd(port, connections):
                return self._gather(port, connections)
            case _:
                return self._leave()
        return None

    def _climb(self, order: Climb) -> Outcome:
        links = [Link(order.port) for _ in range(CONNECTIONS)]
        seconds: list[Second] = []
        sample: list[tuple[Callback, bytes]] = []
        took: list[float] = []
        began = perf_counter()
        clock = (~order.pid << 3) | _CPUCLOCK_SCHED
        first_cpu = cpu = clock_gettime_ns(clock)
        for number, (callback, answer, seconds_taken) in enumerate(
            _exchange(links, islice(self._callbacks, order.first, order.last))
        ):
            took.append(seconds_taken)
            if not number % _LOOKED_INTO:
                sample.append((callback, answer))
            if perf_counter() - began >= SECOND:
                used = clock_gettime_ns(clock) - cpu
                seconds.append(Second(len(took), used / len(took) / 1e3, *quantiles(took)))
                took.clear()
                began = perf_counter()
                cpu = clock_gettime_ns(clock)
        cpu_us = (clock_gettime_ns(clock) - first_cpu) / (order.last - order.first) / 1e3
        if not seconds:
            seconds.append(Second(len(took), cpu_us, *quantiles(took)))
        _close(links)
        check_open_streams([callback for callback, _ in sample], [_lower(answer) for _, answer in sample])
        return Outcome(seconds, cpu_us)

    def _probe(self, order: Probe) -> list[float]:
        links = [Link(order.port) for _ in range(2 * CONNECTIONS)]
        amount = int(order.rate * order.seconds)
        callbacks = self._callbacks[order.first : order.first + amount]
        assert len(callbacks) == amount, "more messages are to be prepared"
        took = _send_steadily(links, callbacks, order.rate)
        _close(links)
        return took

    def _gather(self, port: int, connections: int) -> int:
        """Use each connection once, by a poll of a stream that is unknown: nothing of it is kept."""
        _allow_descriptors(connections + 100)
        polls = self._traffic.refreshes(["unknown"] * connections)
        for number, poll in enumerate(polls):
            link = Link(port, f"127.0.0.{2 + number % 8}")
            link.send(poll, perf_counter())
            self._crowd.append(link)
            if len(self._crowd) % 100 == 0:
                self._hear(self._crowd[-100:])
        self._hear(self._crowd[len(self._crowd) // 100 * 100 :])
        return len(self._crowd)

    def _hear(self, links: Sequence[Link]) -> None:
        for link in links:
            while (answer := link.receive()) is None:
                pass
            if link is links[0]:
                body = answer.partition(b"\r\n\r\n")[2]
                _, problems = decode_reply(body, crypto=WeComCrypto(TOKEN, KEY), nonce=link.callback.nonce)
                assert not problems, problems

    def _leave(self) -> int:
        """Use every hundredth connection again, and close all; return how many there were."""
        used = self._crowd[::100]
        for link, poll in zip(used, self._traffic.refreshes(["unknown"] * len(used)), strict=True):
            link.send(poll, perf_counter())
        self._hear(used)
        crowd, self._crowd = self._crowd, []
        _close(crowd)
        return len(crowd)


def generate(pipe: Connection) -> None:
    """Carry out the orders that come through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a climb has no good end but its own
    gc.disable()
    loader = Loader()
    with contextlib.suppress(EOFError):  # whoever started us is gone
        while (order := pipe.recv()) != STOP:
            pipe.send(loader.carry_out(order))


def _exchange(links: Sequence[Link], supply: Iterator[Callback]) -> Iterator[tuple[Callback, bytes, float]]:
    """Keep all connections busy; yield each callback with its answer and the seconds it took."""
    with selectors.DefaultSelector() as selector:
        owed = 0
        for link, callback in zip(links, supply, strict=False):
            selector.register(link.socket, selectors.EVENT_READ, link)
            link.send(callback, perf_counter())
            owed += 1
        while owed:
            for link, answer in _answers(selector, _SILENCE):
                now = perf_counter()
                done = link.callback, answer, now - link.sent_at
                following = next(supply, None)
                if following is None:
                    owed -= 1
                else:
                    link.send(following, now)
                yield done


def _send_steadily(links: Sequence[Link], callbacks: Sequence[Callback], rate: float) -> list[float]:
    """Send them so many a second, each on a connection that is free; return the seconds from due to answered."""
    free = list(links)
    took: list[float] = []
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link.socket, selectors.EVENT_READ, link)
        start, sent = perf_counter(), 0
        while len(took) < len(callbacks):
            now = perf_counter()
            while free and sent < len(callbacks) and start + sent / rate <= now:
                free.pop().send(callbacks[sent], start + sent / rate)
                sent += 1
            next_due = start + sent / rate - now if free and sent < len(callbacks) else _SILENCE
            for link, _ in _answers(selector, max(0.0, next_due), may_be_silent=next_due < _SILENCE):
                took.append(perf_counter() - link.sent_at)
                free.append(link)
    return took


def _answers(
    selector: selectors.BaseSelector, patience: float, *, may_be_silent: bool = False
) -> Iterator[tuple[Link, bytes]]:
    ready = selector.select(patience)
    assert ready or may_be_silent, "the server is silent"
    for key, _ in ready:
        if (answer := key.data.receive()) is not None:
            yield key.data, answer


def quantiles(took: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and the longest in milliseconds."""
    ordered = sorted(took)
    return 1e3 * ordered[len(ordered) // 2], 1e3 * ordered[len(ordered) * 99 // 100], 1e3 * ordered[-1]


def _lower(answer: bytes) -> bytes:
    """Write the head's names in lower case, as the checks want it; the status line and the body stay."""
    head, end, body = answer.partition(b"\r\n\r\n")
    status, _, fields = head.partition(b"\r\n")
    return status + b"\r\n" + fields.lower() + end + body


def _allow_descriptors(needed: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard))


def _close(links: Sequence[Link]) -> None:
    for link in links:
        link.socket.close()
