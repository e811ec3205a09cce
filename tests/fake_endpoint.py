"""A platform's door that does as it is told, with its reply; an app and a server around it; clients of that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from rawbot.aio.app import App
from rawbot.aio.server import serve
from rawbot.bot import Bot
from rawbot.errors import StateError
from rawbot.event import MESSAGE, CancelReason, Event
from rawbot.exchange import Answer, Endpoint, Exchange, Pending, Request, Response

PATH = "/bot"
GET = b"GET /bot HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(request: Request, now: float) -> Exchange:  # noqa: ARG001 - an endpoint's shape
    """Say what was asked."""
    return Answer(Response(200, f"{request.method} {request.query} ".encode() + request.body))


class FakeEndpoint(Endpoint):
    """Answers with whatever `answer(request, now)` returns; `open` is what it counts as unsettled."""

    def __init__(self, answer: Callable[[Request, float], Exchange] = echo) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.starts = 0
        self.ticks = 0
        self.drained = False
        self.open = 0

    def receive(self, request: Request, now: float) -> Exchange:
        self.requests.append(request)
        return self.answer(request, now)

    def tick(self, now: float) -> None:  # noqa: ARG002 - an endpoint's shape
        self.ticks += 1

    def start(self, now: float) -> None:  # noqa: ARG002 - an endpoint's shape
        self.starts += 1

    def drain(self, now: float) -> None:  # noqa: ARG002 - an endpoint's shape
        self.drained = True

    def unsettled(self) -> int:
        return self.open


class FakeReply:
    """Remembers what was written and how it ended: finished, failed or the reason of its cancelling."""

    def __init__(self) -> None:
        self.text = ""
        self.ended = ""
        self.endings: list[str] = []

    @property
    def finished(self) -> bool:
        return bool(self.ended)

    def write(self, text: str) -> None:
        if self.ended:
            raise StateError("the reply is finished")
        self.text += text

    def replace(self, text: str) -> None:
        self.text = text

    def finish(self) -> None:
        self._end("finished")

    def fail(self) -> None:
        self._end("failed")

    def cancel(self, reason: CancelReason) -> None:
        self._end(reason)

    def _end(self, how: str) -> None:
        self.endings.append(how)
        self.ended = self.ended or how


def make_event(text: str = "", *, chat: str = "chat", kind: str = MESSAGE, reply: FakeReply | None = None) -> Event:
    """Make an event as a wing would."""
    return Event(kind, "fake", chat, "user", text, reply or FakeReply(), None)


class Waiting:
    """An endpoint's answer that waits: every request gets a `Pending` of its own."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self.pending: list[Pending] = []
        self.event: Event | None = None

    def __call__(self, request: Request, now: float) -> Exchange:
        body = b"late " + request.query.encode()
        self.pending.append(Pending(self.event, now + self.seconds, lambda _: Response(200, body)))
        return self.pending[-1]


def make_app(endpoint: Endpoint, *, bot: Bot | None = None, path: str = PATH, **options: object) -> App:
    """Make an app with one endpoint."""
    app = App(bot or Bot(), **options)
    app.add(path, endpoint)
    return app


@contextlib.asynccontextmanager
async def serving(endpoint: Endpoint, **options: object) -> AsyncIterator[int]:
    """Serve the endpoint on a real socket; yield the port."""
    async with serve(make_app(endpoint, **options), port=0) as server:
        yield server.port


async def read_response(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    """Read one response that has a Content-Length; return status, fields and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head[:-4].split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines)
    return int(status.split()[1]), fields, await reader.readexactly(int(fields.get(b"content-length", 0)))


async def talk(port: int, *pieces: bytes, eof: bool = False) -> bytes:
    """Send, then read until the server closes."""
    reader, writer = await connect(port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if eof:
            writer.write_eof()
        return await reader.read()
    finally:
        await hang_up(writer)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to this machine."""
    return await asyncio.open_connection("127.0.0.1", port)


async def hang_up(*writers: asyncio.StreamWriter) -> None:
    """Close connections, broken ones too."""
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what must come within five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for signals nobody
            await asyncio.sleep(0.005)


async def refuses(port: int) -> bool:
    """Tell whether nobody listens."""
    try:
        _, writer = await connect(port)
    except OSError:
        return True
    await hang_up(writer)
    return False
