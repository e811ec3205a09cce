"""The servers of `flat`: rawbot, and a hand-written one on aiohttp that keeps its streams in a dict.

Each says through the pipe where it listens, then obeys: it looks at itself, lets time pass, collects, or opens streams
of its own. The pauses of its collections are those that the interpreter tells of.
"""

import asyncio
import contextlib
import gc
import importlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from time import process_time, time
from typing import Any, NamedTuple, Protocol

import orjson

import rawbot
from benchmarks.peers.callbacks import JSON, NEWS, WAITING, split_query
from benchmarks.processes import STOP
from benchmarks.siege import read_memory
from benchmarks.traffic import KEY, PATH, TOKEN
from rawbot.aio.collecting import paced_collections
from rawbot.wecom.crypto import WeComCrypto

HOST = "127.0.0.1"
MAX_CONNECTIONS = 15_000
MAX_STREAMS = 262_144
HOUR = 3600.0
"""Seconds for which msgids are remembered, longer than any stream."""

LOOK, COLLECT, HOLD, FORGET = "look", "collect", "hold", "forget"
"""Say how you are; collect before that; let handlers run on from now on; let two hours pass."""


class Fill(NamedTuple):
    """Open so many streams yourself."""

    streams: int


class Listening(NamedTuple):
    """A server's first word."""

    port: int
    pid: int


class State(NamedTuple):
    """How a server is."""

    streams: int
    memory: int
    """Resident bytes."""
    blocks: int
    """Pieces of memory that Python has in use."""
    longest_pause: float
    """CPU seconds of the longest garbage collection since the last look."""
    full_collections: int
    """Since the last look."""


class Pauses:
    """The collector's pauses, told by `gc.callbacks`."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.full = 0
        self._began = 0.0
        gc.callbacks.append(self._note)

    def take(self) -> tuple[float, int]:
        """Return the longest and the number of full ones since the last call."""
        taken = self.longest, self.full
        self.longest, self.full = 0.0, 0
        return taken

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = process_time()
            return
        self.longest = max(self.longest, process_time() - self._began)
        self.full += info["generation"] == 2


class Served(Protocol):
    """A server that runs."""

    port: int

    def streams(self) -> int:
        """Count the streams held."""

    def obey(self, order: object) -> None:
        """Do what else is asked for."""


def serve_rawbot(pipe: Connection, *, paced: bool) -> None:
    """Serve a bot on rawbot, with `paced_collections` or without."""
    asyncio.run(_serve(pipe, lambda: _rawbot(paced=paced)))


def serve_aiohttp(pipe: Connection) -> None:
    """Serve the hand-written bot."""
    asyncio.run(_serve(pipe, _aiohttp))


async def _serve(pipe: Connection, start: Callable[[], contextlib.AbstractAsyncContextManager[Served]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us hears it, too, and ends us
    loop = asyncio.get_running_loop()
    stopped = loop.create_future()
    pauses = Pauses()
    async with start() as served:

        def obey() -> None:
            try:
                order = pipe.recv()
            except EOFError:  # whoever started us is gone
                order = STOP
            if order == STOP:
                loop.remove_reader(pipe.fileno())
                stopped.set_result(None)
                return
            if order == COLLECT:
                gc.collect()
            elif order != LOOK:
                served.obey(order)
            pipe.send(State(served.streams(), read_memory(os.getpid()), sys.getallocatedblocks(), *pauses.take()))

        loop.add_reader(pipe.fileno(), obey)
        pipe.send(Listening(served.port, os.getpid()))
        await stopped


# rawbot


class Ahead(rawbot.WeComEndpoint):
    """An endpoint whose time can be let pass: it is an argument."""

    ahead = 0.0

    def receive(self, request: rawbot.Request, now: float) -> rawbot.Exchange:
        """Answer at another time."""
        return super().receive(request, now + self.ahead)

    def tick(self, now: float) -> None:
        """Let time pass, and what is ahead of it."""
        super().tick(now + self.ahead)


class Rawbot:
    """A bot whose handlers say 300 bytes and end, or go on after that while `holding`."""

    def __init__(self) -> None:
        self.port = 0
        self.endpoint = Ahead(TOKEN, KEY, max_streams=MAX_STREAMS, max_bytes=1 << 30)
        self.endpoint.sources = ()  # nothing is sent to the messages' response_urls
        self._holding: asyncio.Event | None = None
        bot = rawbot.Bot()
        bot.on_message(self._answer)
        self.app = rawbot.App(
            bot,
            timeouts=rawbot.Timeouts(graceful=0, settle=0, keep_alive=600),
            capacity=rawbot.Capacity(max_connections=MAX_CONNECTIONS),
        )
        self.app.add(PATH, self.endpoint)

    def streams(self) -> int:
        """Count the streams held."""
        return len(self.endpoint.streams)

    def obey(self, order: object) -> None:
        """Hold the handlers from now on, or let time pass."""
        if order == HOLD:
            self._holding = asyncio.Event()
            return
        for _ in range(2):  # what is open ends first, and is forgotten afterwards
            self.endpoint.ahead += HOUR
            self.endpoint.tick(time())

    async def _answer(self, _event: rawbot.Event, reply: rawbot.Reply) -> None:
        reply.write(NEWS)
        if self._holding is not None:
            await self._holding.wait()


@contextlib.asynccontextmanager
async def _rawbot(*, paced: bool) -> AsyncIterator[Served]:
    served = Rawbot()
    async with rawbot.serve(served.app, host=HOST, port=0) as server:
        served.port = server.port
        with paced_collections(asyncio.get_running_loop()) if paced else contextlib.nullcontext():
            yield served


# aiohttp


@dataclass
class PlainStream:
    """What a bot's author writes for an answer that grows."""

    id: str
    msgid: str
    user: str
    response_url: str
    created: float = field(default_factory=time)
    pieces: list[str] = field(default_factory=list)
    finished: bool = False


class Plain:
    """The same bot by hand: streams in a dict, handlers in tasks."""

    def __init__(self) -> None:
        self.port = 0
        self.found: dict[str, PlainStream] = {}
        self._crypto = WeComCrypto(TOKEN, KEY)
        self._run = secrets.token_hex(6)
        self._numbers = count()
        self._tasks: set[asyncio.Task[None]] = set()

    def streams(self) -> int:
        """Count the streams held."""
        return len(self.found)

    def obey(self, order: object) -> None:
        """Open streams."""
        assert isinstance(order, Fill)
        for number in range(order.streams):
            stream = self.open(
                {"msgid": f"{self._run}{number:020d}", "from": {"userid": f"u{number}"}, "response_url": f"r{number}"}
            )
            stream.pieces.append(NEWS)
            stream.finished = True

    def open(self, message: dict[str, Any]) -> PlainStream:
        """Open the stream that answers a message."""
        stream_id = f"{self._run}-{next(self._numbers):x}"
        stream = PlainStream(stream_id, message["msgid"], message["from"]["userid"], message["response_url"])
        self.found[stream_id] = stream
        return stream

    def answer(self, query: dict[str, str], body: bytes) -> bytes:
        """Return the answer to a callback: as much is checked as `benchmarks.peers` check."""
        encrypted = orjson.loads(body)["encrypt"].encode()
        nonce = query["nonce"]
        signature, timestamp = query["msg_signature"].encode(), query["timestamp"].encode()
        assert self._crypto.verify(signature, timestamp, nonce.encode(), encrypted)
        message = orjson.loads(self._crypto.decrypt(encrypted))
        if message["msgtype"] == "stream":
            stream = self.found[message["stream"]["id"]]
        else:
            stream = self.open(message)
            task = asyncio.create_task(self._handle(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        shown = {"id": stream.id, "finish": stream.finished, "content": "".join(stream.pieces) or WAITING}
        sealed = self._crypto.encrypt(orjson.dumps({"msgtype": "stream", "stream": shown}))
        now = int(time())
        sign = self._crypto.sign(b"%d" % now, nonce.encode(), sealed)
        return orjson.dumps({"encrypt": sealed.decode(), "msgsignature": sign, "timestamp": now, "nonce": nonce})

    async def _handle(self, stream: PlainStream) -> None:
        stream.pieces.append(NEWS)
        stream.finished = True


@contextlib.asynccontextmanager
async def _aiohttp() -> AsyncIterator[Served]:
    web = importlib.import_module("aiohttp.web")
    plain = Plain()

    async def callback(request: Any) -> Any:  # noqa: ANN401 - aiohttp may not be there
        return web.Response(
            body=plain.answer(split_query(request.query_string), await request.read()), content_type=JSON
        )

    app = web.Application()
    app.router.add_post(PATH, callback)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    plain.port = runner.addresses[0][1]
    try:
        yield plain
    finally:
        await runner.cleanup()
