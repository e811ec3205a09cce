"""Opens the WebSockets that services want to have opened, and opens them again whenever they have ended.

Engine room. The first try comes at once, the next ones after the dial's interval, for as long as the app runs; a new
connection is opened only when the old one is closed wholly, since peers refuse a second one of the same name. From the
handshake on it is a `WebSocketProtocol` as those that others open, with its pings and its bounds.
"""

import asyncio
import logging
import os
import ssl
from dataclasses import replace
from typing import Protocol, cast
from urllib.parse import SplitResult, urlsplit

from rawbot.aio.doors import Dispatch
from rawbot.aio.host import Connection, Host
from rawbot.aio.outgoing.policy import ANYWHERE
from rawbot.aio.watching.quiet import Quiet
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.errors import FetchError, ProtocolError
from rawbot.exchange import Dial
from rawbot.http.answers import AnswerHead, AnswerReader
from rawbot.websocket.handshake import NONCE_SIZE, check_answer, encode_request

log = logging.getLogger("rawbot")

WITHIN = 10.0
"""Seconds for name, TCP, TLS and handshake together."""

HAPPY_EYEBALLS = 0.25
"""Seconds before the next address of a name is tried beside the one before (RFC 8305, section 5)."""

_SECURE = {"ws": False, "wss": True}


class Owner(Host, Protocol):
    """What a dialler needs of the engine."""

    def take_in(self, connection: Connection) -> None:
        """Take in a connection that we have opened."""


class Dialing:
    """The dials of an app, each kept open by a task of its own."""

    def __init__(self, owner: Owner, *, within: float = WITHIN) -> None:
        self._owner = owner
        self._within = within
        self._dials: list[tuple[Dial, Dispatch]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._told = Quiet()

    def add(self, dial: Dial, dispatch: Dispatch) -> None:
        """Keep this one open once `start` is called; its channel's events go to `dispatch`."""
        self._dials.append((dial, dispatch))

    def start(self) -> None:
        """Open all of them."""
        loop = asyncio.get_running_loop() if self._dials else None
        self._tasks = [loop.create_task(self._keep_open(*entry)) for entry in self._dials if loop is not None]

    def stop(self) -> None:
        """Open none any more; those that are open stay so till the engine closes its connections."""
        for task in self._tasks:
            task.cancel()

    close = stop

    async def _keep_open(self, dial: Dial, dispatch: Dispatch) -> None:
        host = urlsplit(dial.url).netloc.rpartition("@")[2]
        while True:
            try:
                async with asyncio.timeout(self._within):
                    protocol = await self._open(dial, dispatch)
            except TimeoutError:
                self._tell(host, dial, "it did not answer in time")
            except (OSError, FetchError, ProtocolError) as error:
                self._tell(host, dial, getattr(error, "strerror", None) or str(error))
            except Exception:
                log.exception("a WebSocket to %s could not be opened", host)
            else:
                log.info("a WebSocket to %s is open", host)
                await protocol.ended.wait()
                log.info("the WebSocket to %s has ended; it is opened again in %g s", host, dial.interval)
            await asyncio.sleep(dial.interval)

    def _tell(self, host: str, dial: Dial, reason: str) -> None:
        if self._told.admit(self._owner.time()):
            log.warning("no WebSocket to %s: %s; the next try is in %g s", host, reason, dial.interval)

    async def _open(self, dial: Dial, dispatch: Dispatch) -> "DialledWebSocket":
        """Connect, shake hands and let the channel begin. Raises OSError, `FetchError` or `ProtocolError`."""
        owner, parts = self._owner, _split(dial.url)
        settings = owner.websocket if dial.max_size is None else replace(owner.websocket, max_size=dial.max_size)
        nonce = os.urandom(NONCE_SIZE)
        place = ANYWHERE.locate(dial.url.replace("ws", "http", 1))
        request = encode_request(
            place.authority,
            place.target.decode("ascii"),
            nonce,
            settings,
            subprotocols=dial.subprotocols,
            headers=dial.headers,
        )
        transport, greeter = await _connect(parts, place.host, place.port)
        try:
            transport.write(request)
            head = await greeter.head
            handshake = check_answer(
                nonce, head.status, head.headers, settings, owner.time(), subprotocols=dial.subprotocols
            )
        except BaseException:
            transport.abort()
            raise
        protocol = DialledWebSocket(owner, dial.open(), handshake, dispatch)
        owner.take_in(protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if head.rest:
            protocol.data_received(head.rest)
        transport.resume_reading()
        return protocol


class DialledWebSocket(WebSocketProtocol):
    """A WebSocket that we have opened, and whose end is waited for."""

    __slots__ = ("ended",)

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type] # they are passed on as they are
        self.ended = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the next one be opened."""
        super().connection_lost(exc)
        self.ended.set()


class _Greeter(asyncio.Protocol):
    """Waits for the head of the server's answer, and reads nothing beyond the piece that it ends in."""

    def __init__(self) -> None:
        self.head: asyncio.Future[AnswerHead] = asyncio.get_running_loop().create_future()
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.head.done():
            return
        try:
            head = self._reader.receive_data(data)
        except ProtocolError as error:
            self.head.set_exception(error)
            return
        if head is not None and self._transport is not None:
            self._transport.pause_reading()  # what comes next is for the protocol that follows
            self.head.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        if not self.head.done():
            self.head.set_exception(ProtocolError("it closed the connection without an answer"))
            self.head.exception()  # looked at, should nobody wait for it any more


async def _connect(parts: SplitResult, host: str, port: int | None) -> tuple[asyncio.Transport, _Greeter]:
    secure = _SECURE[parts.scheme]
    context = await asyncio.to_thread(ssl.create_default_context) if secure else None  # it reads 300 KB of certificates
    return await asyncio.get_running_loop().create_connection(
        _Greeter, host, port or (443 if secure else 80), ssl=context, happy_eyeballs_delay=HAPPY_EYEBALLS
    )


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in _SECURE:
        raise ProtocolError("its URL does not begin with ws:// or wss://")
    return parts
