"""Opens the WebSockets that services want to have opened, and opens them again whenever they have ended.

Engine room. The first try comes at once, the next ones after the dial's interval, for as long as the app runs; a new
connection is opened only when the old one is closed wholly, since peers refuse a second one of the same name. From the
handshake on it is a `WebSocketProtocol` as those that others open, with its pings and its bounds. Of a URL no log line
holds more than host and port.
"""

import asyncio
import contextlib
import logging
import math
import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol, cast

from rawbot.aio.doors import Dispatch
from rawbot.aio.host import Connection, Host
from rawbot.aio.outgoing.client import resolve
from rawbot.aio.outgoing.policy import ANYWHERE, Place
from rawbot.aio.watching.quiet import Quiet
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.errors import ConfigError, FetchError, ProtocolError, RawbotError, StateError
from rawbot.exchange import Channel, Dial
from rawbot.http.answers import AnswerHead, AnswerReader
from rawbot.websocket.connection import NO_CLOSE
from rawbot.websocket.handshake import NONCE_SIZE, Handshake, check_answer, encode_request, require

log = logging.getLogger("rawbot")

WITHIN = 10.0
"""Seconds for name, TCP, TLS and handshake together."""

_SCHEMES = {"ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443}


class Owner(Host, Protocol):
    """What a dialler needs of the engine."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs on."""

    def take_in(self, connection: Connection) -> None:
        """Take in a connection that we have opened."""


class Line(NamedTuple):
    """A dial, where it leads, and who hears its channel's events."""

    dial: Dial
    place: Place
    dispatch: Dispatch


class Dialing:
    """The dials of an app, each kept open by a task of its own."""

    def __init__(self, owner: Owner, *, within: float = WITHIN) -> None:
        self._owner = owner
        self._within = within
        self._lines: list[Line] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._told = Quiet()

    def add(self, dial: Dial, dispatch: Dispatch) -> None:
        """Keep this one open once `start` is called; its channel's events go to `dispatch`.

        Raises `ConfigError` for a dial that no try can open.
        """
        require("a WebSocket")
        if not 0 < dial.interval < math.inf:
            raise ConfigError("the interval of a dial must be finite and more than 0")
        self._lines.append(Line(dial, _locate(dial.url), dispatch))

    def start(self) -> None:
        """Open all of them."""
        self._tasks = [self._owner.loop.create_task(self._keep_open(line)) for line in self._lines]

    def stop(self) -> None:
        """Open none any more; those that are open stay so till the engine closes its connections."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Open none any more, and let go of those that were being opened."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tick(self, now: float) -> None:
        """Tell how many failures were not told of one by one."""
        if held_back := self._told.summary(now):
            log.warning("WebSockets could not be opened, or have ended, %d more times", held_back)

    async def _keep_open(self, line: Line) -> None:
        while True:
            fault: Exception | None = None
            try:
                async with asyncio.timeout(self._within):
                    protocol = await self._open(line)
            except TimeoutError:
                reason = "it did not answer in time"
            except (OSError, RawbotError) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            except Exception as error:  # noqa: BLE001 - a dial of somebody else's may raise anything
                reason = "it could not be opened"
                fault = StateError(type(error).__name__)  # in place of the text, which may quote the URL
                fault = fault.with_traceback(error.__traceback__)
            else:
                log.info("a WebSocket to %s is open", line.place.authority)
                await protocol.ended.wait()
                reason = protocol.reason
            self._tell(line, reason, fault)
            await asyncio.sleep(line.dial.interval)

    def _tell(self, line: Line, reason: str, fault: Exception | None) -> None:
        if self._told.admit(self._owner.now()):
            text = "no WebSocket to %s: %s; the next try is in %g s"
            log.warning(text, line.place.authority, reason, line.dial.interval, exc_info=fault)

    async def _open(self, line: Line) -> "DialledWebSocket":
        """Connect, shake hands and let the channel begin. Raises OSError, `RawbotError`, and what the dial raises."""
        dial, place, websocket = line.dial, line.place, self._owner.websocket
        settings = websocket if dial.max_size is None else replace(websocket, max_size=dial.max_size)
        nonce = os.urandom(NONCE_SIZE)
        request = encode_request(
            place.authority,
            place.target.decode("ascii"),
            nonce,
            settings,
            subprotocols=dial.subprotocols,
            headers=dial.headers,
        )

        def agree(head: AnswerHead) -> DialledWebSocket:
            now, offered = self._owner.time(), dial.subprotocols
            handshake = check_answer(nonce, head.status, head.headers, settings, now, subprotocols=offered)
            return DialledWebSocket(self._owner, dial.open(), handshake, line.dispatch, address=place.authority)

        transport, greeter = await _connect(place, partial(_Greeter, agree), self._within)
        try:
            transport.write(request)
            return await greeter.successor
        except BaseException:
            transport.abort()
            raise


class DialledWebSocket(WebSocketProtocol):
    """A WebSocket that we have opened, and whose end is waited for."""

    __slots__ = ("_owner", "ended")

    def __init__(
        self, owner: Owner, channel: Channel, handshake: Handshake, dispatch: Dispatch, *, address: str
    ) -> None:
        super().__init__(owner, channel, handshake, dispatch, address=address)
        self._owner = owner
        self.ended = asyncio.Event()
        """Set when the channel has been told of the end."""

    @property
    def reason(self) -> str:
        """How it came to its end, in words."""
        error, code = self._connection.error, self._connection.close_code
        if error is not None:
            return str(error)
        return "the connection broke off" if code == NO_CLOSE else f"it was closed with {code}"

    def take_over(self, transport: asyncio.Transport, rest: bytes) -> None:
        """Begin, with what came behind the head of the answer."""
        self._owner.take_in(self)
        transport.set_protocol(self)
        self.connection_made(transport)
        if rest:
            self.data_received(rest)

    def _conclude(self) -> None:
        try:
            super()._conclude()
        finally:
            self.ended.set()

    def _note(self, error: ProtocolError) -> None:
        """Note nothing: it is no request that is refused here, and whoever waits for the end tells the reason."""


class _Greeter(asyncio.Protocol):
    """Reads the head of the server's answer.

    The successor takes over in that very call: else an end that the transport tells of just then was told to nobody.
    """

    def __init__(self, agree: Callable[[AnswerHead], DialledWebSocket]) -> None:
        self.successor: asyncio.Future[DialledWebSocket] = asyncio.get_running_loop().create_future()
        self._agree = agree
        self._reader = AnswerReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.successor.done():
            return
        try:
            head = self._reader.receive_data(data)
            if head is not None:
                successor = self._agree(head)
                successor.take_over(self._transport, head.rest)
                self.successor.set_result(successor)
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        self._fail(ProtocolError("it closed the connection without an answer"))

    def _fail(self, error: Exception) -> None:
        if not self.successor.done():
            self.successor.set_exception(error)
            self.successor.exception()  # looked at, should nobody wait for it any more


async def _connect(place: Place, make: Callable[[], _Greeter], within: float) -> tuple[asyncio.Transport, _Greeter]:
    """Try one address of the name after the other, each for its share of the time.

    Not with the loop's own happy eyeballs: uvloop has none, and asyncio's, cancelled in the turn in which a connection
    comes about, leave its socket open (CPython 3.11).
    """
    loop, secure, port = asyncio.get_running_loop(), place.scheme == "https", place.port or _PORTS[place.scheme]
    addresses = await resolve(place.host, port, ANYWHERE)
    context = await asyncio.to_thread(ssl.create_default_context) if secure else None  # it reads 300 KB of certificates
    name = place.host if secure else None
    connect = partial(loop.create_connection, make, port=port, ssl=context, server_hostname=name)
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):  # among them what the time-out raises
            async with asyncio.timeout(within / len(addresses)):
                return await connect(address)
    return await connect(addresses[-1])


def _locate(url: str) -> Place:
    scheme, _, rest = url.partition(":")
    if scheme.lower() not in _SCHEMES:
        raise ConfigError("the URL of a WebSocket begins with ws:// or wss://")
    try:
        return ANYWHERE.locate(f"{_SCHEMES[scheme.lower()]}:{rest}")
    except FetchError as error:
        raise ConfigError(f"a WebSocket cannot be opened: {error}") from None
