"""What a connection and the engine that it belongs to know of each other.

Engine room, pure: interfaces, so that neither file imports the other.
"""

from collections.abc import Callable
from typing import Any, Protocol

from rawbot.aio.admission import Budget
from rawbot.aio.doors import Dispatch, Door
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.observer import Observer
from rawbot.aio.wheel import Clock, TimerWheel
from rawbot.errors import ProtocolError
from rawbot.exchange import Channel, Exchange, FileRegion, Pending, Request, Response
from rawbot.http.connection import HttpConnection
from rawbot.websocket.handshake import Handshake
from rawbot.websocket.settings import WebSocketSettings


class Transport(Protocol):
    """What a connection needs of an `asyncio.Transport`."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own type
        """Return what is known of the connection."""

    def write(self, data: bytes) -> None:
        """Send."""

    def can_write_eof(self) -> bool:
        """Tell whether one side can be closed alone."""

    def write_eof(self) -> None:
        """Close our side when all is written."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not with the kernel yet."""

    def pause_reading(self) -> None:
        """Read nothing for the time being."""

    def resume_reading(self) -> None:
        """Read on."""

    def set_protocol(self, protocol: Any) -> None:  # noqa: ANN401 - asyncio's own type is a class to inherit from
        """Tell somebody else what comes in."""

    def is_closing(self) -> bool:
        """Tell whether it is closed, or will be when all is written."""

    def close(self) -> None:
        """Close when all is written."""

    def abort(self) -> None:
        """Close at once."""


class Sender(Protocol):
    """Sends a file's region: see `RegionSender`, and what the connection must do and leave alone meanwhile."""

    def start(self, head: bytes) -> None:
        """Write the head and begin."""

    def pause_writing(self) -> None:
        """Wait: the transport has enough to write."""

    def resume_writing(self) -> None:
        """Go on."""

    def abort(self) -> None:
        """Stop, and abort the connection."""


class Connection(Protocol):
    """What the engine does with a connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, so that closing it loses nothing."""

    @property
    def unfinished(self) -> bool:
        """Whether something is under way that the peer would miss."""

    def close_when_idle(self) -> None:
        """Close now, or right after the answer that is owed."""

    def abort(self) -> None:
        """Close without waiting for anything."""


class Successor(Connection, Protocol):
    """What takes over a transport from an HTTP connection: a protocol."""

    def connection_made(self, transport: Transport) -> None:
        """Begin."""

    def data_received(self, data: bytes) -> None:
        """Take in what came."""


class Host(Protocol):
    """What a connection needs of the engine."""

    timeouts: Timeouts
    capacity: Capacity
    observers: tuple[Observer, ...]
    hosts: frozenset[bytes] | None
    websocket: WebSocketSettings
    wheel: TimerWheel
    pending: int
    """How many answers wait for the bot."""
    draining: bool
    """Whether each answer is its connection's last."""
    closed: bool
    """Whether it serves no more."""
    bodies: Budget
    """Bytes of bodies that may still be taken in."""

    @property
    def crowded(self) -> bool:
        """Whether so many are being turned away that there is no time to tell them why."""

    @property
    def loop(self) -> Clock:
        """What calls later."""

    def time(self) -> float:
        """Return the loop's time."""

    def stopwatch(self) -> float:
        """Return seconds that only differences of mean something; the loop's time is coarse on some loops."""

    def now(self) -> float:
        """Return Unix time."""

    def admit(self, connection: Connection, address: str) -> bool:
        """Take in a connection; False when it has no place and is to be told so."""

    def forget(self, connection: Connection, address: str) -> None:
        """Note that a connection is gone."""

    def make_connection(self, peer: str) -> HttpConnection:
        """Return the HTTP of a connection with this client."""

    def body_limit(self, request: Request) -> int:
        """Return how many bytes the body of this request may have."""

    def receive(self, request: Request, now: float) -> tuple[Exchange, Door | None]:
        """Route a request; return its exchange, and the door that it came to, if there is one."""

    def cut(self, transport: Transport) -> None:
        """Close at once, with nothing kept for the peer."""

    def send_region(self, transport: Transport, region: FileRegion, on_end: Callable[[bool], None]) -> Sender:
        """Return what sends a file's region and closes it."""

    def make_websocket(self, channel: Channel, handshake: Handshake, dispatch: Dispatch, address: str) -> Successor:
        """Return what a connection becomes after this handshake."""

    def replace(self, connection: Connection, successor: Connection) -> None:
        """Let the successor have the connection's place."""

    def answer(self, pending: Pending, now: float) -> Response:
        """Return the response that was waited for."""

    def note_failure(self, what: str, error: Exception) -> None:
        """Log a fault of ours."""

    def note_refusal(self, error: ProtocolError, peer: str) -> None:
        """Log a request that broke HTTP or a limit."""
