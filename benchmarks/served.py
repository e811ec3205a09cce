"""The server's process: rawbot with a bot, or the least that asyncio can do, on a free port of the loopback.

Through the pipe goes the port, then, whenever it is asked for, the CPU time that the process has used.
"""

import asyncio
from multiprocessing.connection import Connection
from time import process_time, time

import rawbot
from benchmarks.processes import STOP
from benchmarks.traffic import KEY, PATH, TOKEN, Traffic
from rawbot.http.responses import encode_response

CPU = "cpu"
"""Asks for the CPU seconds used so far."""

_HOST = "127.0.0.1"


def serve_rawbot(pipe: Connection) -> None:
    """Serve a bot that has nothing to say: its handler is a coroutine function, as handlers are, and ends at once."""
    bot = rawbot.Bot()

    @bot.on_message
    async def stay_silent(_event: rawbot.Event, _reply: rawbot.Reply) -> None:
        pass

    app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=0, settle=0))
    app.add(PATH, rawbot.WeComEndpoint(TOKEN, KEY))
    asyncio.run(_serve_rawbot(app, pipe))


def serve_constant(pipe: Connection) -> None:
    """Serve one and the same bytes, of the size of rawbot's answer, for whatever comes."""
    asyncio.run(_serve_constant(pipe))


async def _serve_rawbot(app: rawbot.App, pipe: Connection) -> None:
    async with rawbot.serve(app, host=_HOST, port=0) as server:
        await _obey(pipe, server.port)


async def _serve_constant(pipe: Connection) -> None:
    answer = make_answer()
    server = await asyncio.get_running_loop().create_server(lambda: Constant(answer), _HOST, 0)
    async with server:
        await _obey(pipe, server.sockets[0].getsockname()[1])


class Constant(asyncio.Protocol):
    """A server that reads nothing of what it gets: one answer for each piece that arrives."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - that is the point
        """Answer."""
        self._transport.write(self._answer)


def make_answer() -> bytes:
    """Return what rawbot answers to a message."""
    callback = Traffic().messages(1)[0]
    head, _, body = callback.request.partition(b"\r\n\r\n")
    query = head.split(b" ")[1].partition(b"?")[2].decode()
    exchange = rawbot.WeComEndpoint(TOKEN, KEY).receive(rawbot.Request("POST", PATH, query, body=body), time())
    assert isinstance(exchange, rawbot.Answer)
    return encode_response(exchange.response, time())


async def _obey(pipe: Connection, port: int) -> None:
    """Tell the port, then the CPU time as often as it is asked for, until the pipe says stop."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def obey() -> None:
        if pipe.recv() == STOP:
            stopped.set()
        else:
            pipe.send(process_time())

    loop.add_reader(pipe.fileno(), obey)
    pipe.send(port)
    try:
        await stopped.wait()
    finally:
        loop.remove_reader(pipe.fileno())
