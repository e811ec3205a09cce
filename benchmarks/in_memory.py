"""Servers without sockets: one connection each, bytes in by a call, bytes out into a list."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import process_time_ns
from typing import Self

import h11

import rawbot
from benchmarks.measuring import Figures, cpu_us
from benchmarks.traffic import KEY, PATH, TOKEN

ANSWER = "answer_cpu_us"
"""CPU µs per request from `data_received` to the bytes written and the handler scheduled."""
HANDLER = "handler_cpu_us"
"""CPU µs per request of the loop's next turn: the handler, and the end of its reply."""

BURST = 32
"""Requests between two turns of the loop: as a server has it that is busy, they share one `select`."""


class MemoryTransport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it as it is."""
        self._written.append(data)  # type: ignore[arg-type]  # asyncio allows more kinds of bytes than we write

    def is_closing(self) -> bool:
        """Tell that it stays open."""
        return False

    def take_written(self) -> list[bytes]:
        """Return what was written since the last call."""
        taken, self._written = self._written, []
        return taken


class Door:
    """A rawbot app on a loop that runs only while it is fed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bot: rawbot.Bot) -> None:
        self.endpoint = rawbot.WeComEndpoint(TOKEN, KEY)
        self.transport = MemoryTransport()
        self._loop = loop
        self._app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=0, settle=0))
        self._app.add(PATH, self.endpoint)
        self._protocol = self._app.protocol_factory(loop)()
        self._protocol.connection_made(self.transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._protocol.connection_lost(None)
        self._loop.run_until_complete(self._app.aclose())

    def feed(self, requests: Sequence[bytes]) -> Figures:
        """Bring these requests, a burst at a time; return `ANSWER` and `HANDLER`."""
        return self._loop.run_until_complete(self._feed(requests))

    def turn(self) -> None:
        """Let the loop do once what it has to do."""
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _feed(self, requests: Sequence[bytes]) -> Figures:
        receive = self._protocol.data_received
        answering = handling = 0
        for start in range(0, len(requests), BURST):
            burst = requests[start : start + BURST]
            began = process_time_ns()
            for request in burst:
                receive(request)
            answered = process_time_ns()
            await asyncio.sleep(0)  # comes back after the handlers, which were scheduled before
            answering += answered - began
            handling += process_time_ns() - answered
        return {ANSWER: answering / len(requests) / 1000, HANDLER: handling / len(requests) / 1000}


class H11Alone:
    """A connection that is h11 and nothing else: it parses whole requests and says one and the same to each."""

    def __init__(self) -> None:
        self.transport = MemoryTransport()
        self._connection = h11.Connection(h11.SERVER)
        self.answer = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._body = b""

    def imitate(self, answer: bytes) -> None:
        """Give this very answer, a 200, from now on."""
        self.answer = answer
        head, _, self._body = answer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")[1:]
        self._fields = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def feed(self, requests: Sequence[bytes]) -> Figures:
        """Bring these requests; return `ANSWER`."""
        return {ANSWER: cpu_us(len(requests), partial(self._feed, requests))}

    def _feed(self, requests: Sequence[bytes]) -> None:
        for request in requests:
            self._receive(request)

    def _receive(self, data: bytes) -> None:
        connection = self._connection
        connection.receive_data(data)
        while type(connection.next_event()) is not h11.EndOfMessage:
            pass
        head = connection.send(h11.Response(status_code=200, headers=self._fields, reason=b"OK"))
        body = connection.send(h11.Data(data=self._body))
        end = connection.send(h11.EndOfMessage())
        self.transport.write(b"".join((head or b"", body or b"", end or b"")))
        connection.start_next_cycle()
