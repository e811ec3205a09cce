"""A channel that does as it is told, an engine around it, and a transport in memory that it can be given."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from time import time

from fake_transport import FakeTransport
from websocket_frames import Sent, read_frames

from rawbot.aio.settings import Timeouts
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.aio.wheel import TimerWheel
from rawbot.errors import ProtocolError
from rawbot.event import Event
from rawbot.exchange import Channel
from rawbot.websocket.connection import WebSocketConnection
from rawbot.websocket.handshake import Handshake
from rawbot.websocket.settings import WebSocketSettings

GREETING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
ADDRESS = "192.0.2.1"


class FakeChannel(Channel):
    """Keeps what it is told. `answer` makes of a message what is to be sent; `fault` names the call that raises."""

    def __init__(
        self, answer: Callable[[bytes | str], Sequence[bytes | str]] = lambda message: [message], fault: str = ""
    ) -> None:
        self.answer = answer
        self.fault = fault
        self.calls: list[str] = []
        self.received: list[bytes | str] = []
        self.events: Sequence[Event] = ()
        self.waiting: list[bytes | str] = []
        self.codes: list[int] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.fault == name:
            raise ValueError("a secret message")

    def opened(self, now: float) -> None:
        assert abs(time() - now) < 60
        self._call("opened")

    def receive(self, message: bytes | str, now: float) -> Sequence[Event]:
        assert abs(time() - now) < 60
        self._call("receive")
        self.received.append(message)
        self.waiting += self.answer(message)
        return self.events

    def to_send(self) -> Sequence[bytes | str]:
        self._call("to_send")
        messages, self.waiting = self.waiting, []
        return messages

    def closed(self, code: int, now: float) -> None:
        assert abs(time() - now) < 60
        self.codes.append(code)
        assert self.on_ready is None
        self._call("closed")

    def say(self, *messages: bytes | str) -> None:
        """Say something by itself."""
        self.waiting += messages
        self.on_ready()


class PatientChannel(FakeChannel):
    """Keeps what the peer does not read yet: gives it one by one, and forgets each as it does."""

    patient = True

    def to_send(self) -> Iterator[bytes | str]:
        self._call("to_send")
        while self.waiting:
            yield self.waiting.pop(0)


class FakeHost:
    """What a WebSocket needs of an engine."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.loop = loop
        self.wheel = TimerWheel(loop, lambda error: self.note_failure("a deadline", error))
        self.time = loop.time
        self.now = time
        self.forgotten: list[tuple[object, str]] = []
        self.failures: list[Exception] = []
        self.refusals: list[int | None] = []
        self.dispatched: list[Event] = []

    def forget(self, connection: object, address: str) -> None:
        self.forgotten.append((connection, address))

    def cut(self, transport: FakeTransport) -> None:
        transport.abort()

    def note_failure(self, what: str, error: Exception) -> None:
        assert what
        self.failures.append(error)

    def note_refusal(self, error: ProtocolError, peer: str) -> None:
        assert peer == ADDRESS
        self.refusals.append(error.code)


class Stage:
    """A channel on its transport."""

    def __init__(self, channel: FakeChannel, host: FakeHost, transport: FakeTransport) -> None:
        self.channel = channel
        self.host = host
        self.transport = transport
        self.protocol = transport.protocol
        self.greeting = GREETING

    def feed(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def sent(self) -> list[Sent]:
        """Return the frames that the peer reads now."""
        data = self.transport.take()
        greeting, self.greeting = self.greeting, b""
        assert data.startswith(greeting)
        return list(read_frames(data[len(greeting) :]))

    def said(self) -> list[bytes]:
        return [frame.payload for frame in self.sent()]

    async def lost(self, seconds: float = 5.0) -> float:
        """Wait until the connection is gone; return how long that took."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with asyncio.timeout(seconds):
            while not self.host.forgotten:  # noqa: ASYNC110 - a transport in memory signals nobody
                await asyncio.sleep(0.005)
        return loop.time() - start


@contextlib.asynccontextmanager
async def on_stage(
    channel: FakeChannel | None = None,
    *,
    stuck: bool = False,
    client: bool = False,
    timeouts: Timeouts | None = None,
    transport: type[FakeTransport] = FakeTransport,
    **settings: object,
) -> AsyncIterator[Stage]:
    """Put a channel on a transport; in the end it must have been told so, once, and nothing of it may be left."""
    loop = asyncio.get_running_loop()
    host = FakeHost(loop, timeouts or Timeouts())
    channel = channel or FakeChannel()
    connection = WebSocketConnection(WebSocketSettings(**settings), loop.time(), client=client)
    protocol = WebSocketProtocol(
        host, channel, Handshake(connection, GREETING), host.dispatched.append, address=ADDRESS
    )
    stage = Stage(channel, host, transport(protocol, stuck=stuck))
    try:
        yield stage
    finally:
        stage.transport.abort()
        while not host.forgotten:  # noqa: ASYNC110 - what was read before is handed over in turns
            await asyncio.sleep(0)
        assert host.forgotten == [(protocol, ADDRESS)]
        assert channel.calls.count("opened") == 1
        assert len(channel.codes) == 1
        assert channel.on_ready is None
        assert len(host.wheel) == 0
        host.wheel.close()
