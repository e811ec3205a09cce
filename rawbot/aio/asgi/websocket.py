"""One WebSocket that a host's server speaks: what it brings to the channel, and the channel's words to ASGI messages.

Engine room, and yet pure: clock, engine and whoever waits are given, and `ASGIApp` reads and writes. It is to a channel
what `WebSocketFlow` is on a transport of ours. Frames, pings, compression, the Close of the other side and the time
that a message may drip are the host's.

Flow control both ways: while a message waits to be sent, no other is asked for, and what the channel says meanwhile
waits in a queue that is bounded. A peer that goes on not reading is given up.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from rawbot.aio.asgi.messages import (
    NO_CODE,
    Message,
    Visit,
    decode_message,
    encode_accept,
    encode_close,
    encode_message,
)
from rawbot.aio.doors import Dispatch
from rawbot.aio.host import Host
from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Response, Upgrade
from rawbot.http.responses import FAILED as NOT_OPENED
from rawbot.http.responses import UNAVAILABLE
from rawbot.websocket.connection import FAILED, GOING_AWAY, NO_CLOSE, TOO_BIG, TOO_SLOW, WRITE_SIZE, Phase


class Limit(Protocol):
    """What ends the conversation at a time that can be moved: an `asyncio.Timeout`."""

    def reschedule(self, when: float | None) -> None:
        """Let it be then, on the engine's clock, or never."""

    def expired(self) -> bool:
        """Tell whether it was; it cannot be moved any more."""


def make_websocket(
    engine: Host, visit: Visit, upgrade: Upgrade, *, wake: Callable[[], None], limit: Limit
) -> "HostedWebSocket | Response":
    """Return what a handshake becomes, which has a place of the engine's, or the answer that refuses it.

    Raises `ProtocolError` (503) when there is no place.
    """
    door, address = visit.door, visit.request.peer
    if engine.draining or door is None:
        return UNAVAILABLE
    try:
        greeting = encode_accept(visit.request, upgrade)
    except StateError as error:
        engine.note_failure("a WebSocket cannot be opened", error)
        return NOT_OPENED
    websocket = HostedWebSocket(engine, upgrade, greeting, door.dispatch, address=address, wake=wake, limit=limit)
    if not engine.admit(websocket, address):
        engine.forget(websocket, address)
        wait = ((b"retry-after", b"%d" % engine.capacity.retry_after),)
        raise ProtocolError("no place for a WebSocket", status=503, headers=wait)
    return websocket


class HostedWebSocket:
    """The server's side of one WebSocket, a connection of the engine's.

    Call `open`, and then, until `over`: `receive` with what the host brings, and send what `next_message` returns until
    that is None. At the end, whatever it was, call `finish`. `greeting` is the first message of all; `wake` is called
    when there is something to send, outside of `open` and `receive`.
    """

    __slots__ = (
        "_address", "_bounded", "_channel", "_close_by", "_code", "_dispatch", "_engine", "_error", "_held", "_limit",
        "_max_size", "_phase", "_queue", "_queue_size", "_said", "_wake",
    )  # fmt: skip

    def __init__(
        self,
        engine: Host,
        upgrade: Upgrade,
        greeting: Message,
        dispatch: Dispatch,
        *,
        address: str,
        wake: Callable[[], None],
        limit: Limit,
    ) -> None:
        self._engine = engine
        self._channel = upgrade.channel
        self._max_size = engine.websocket.max_size if upgrade.max_size is None else upgrade.max_size
        self._dispatch = dispatch
        self._address = address
        self._wake = wake
        self._limit = limit
        self._bounded = math.inf
        self._close_by = math.inf
        self._phase = Phase.OPEN
        self._code = NO_CLOSE
        self._said = NO_CODE
        self._error: ProtocolError | None = None
        self._held = False
        self._queue: deque[tuple[Message, int]] = deque([(greeting, 0)])
        self._queue_size = 0

    # What the host's side calls

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent, and nothing more to come, or its time is up."""
        return (self._phase is Phase.CLOSED and not self._queue) or self._limit.expired()

    def open(self) -> None:
        """Let the channel begin."""
        self._channel.on_ready = self._ready
        self._consult(self._channel.opened, self._engine.now())

    def receive(self, message: Message) -> None:
        """Take what the host has brought: a message for the channel, or the end."""
        self._held = False
        if message["type"] == "websocket.disconnect":
            self._note_end(message.get("code") or NO_CODE)
            return
        if self._phase is not Phase.OPEN:
            return
        try:
            content = decode_message(message, self._max_size)
        except LimitError as error:
            self._error = ProtocolError(str(error), code=TOO_BIG)
            self._end(TOO_BIG, str(error))
            return
        self._consult(self._receive, content)

    def next_message(self) -> Message | None:
        """Return what is to be sent next. The host has as long for it as a peer has to read."""
        if not self._queue and self._channel.patient and self._phase is Phase.OPEN:
            self._held = False
            self._consult(_nothing)
        if not self._queue:
            self._held = False
            self._bound(math.inf)
            return None
        message, size = self._queue.popleft()
        self._queue_size -= size
        self._held = True
        self._bound(self._engine.time() + self._engine.timeouts.write)
        return message

    def lose(self) -> None:
        """Send nothing more, since the host says that nobody is there; it may still tell how it came to that."""
        self._clear()
        if self._phase is Phase.OPEN:
            self._await_end()

    def finish(self) -> None:
        """Tell the channel that it is over, and let go of everything."""
        self._clear()
        if self._phase is not Phase.CLOSED:
            self._move(Phase.CLOSED)
        self._engine.forget(self, self._address)
        if self._error is not None:
            self._engine.note_refusal(self._error, self._address)
        self._channel.on_ready = None
        self._consult(self._channel.closed, self._code, self._engine.now())

    # What the engine calls

    @property
    def idle(self) -> bool:
        """Never: a WebSocket is there to be quiet for long, and is missed when it goes."""
        return False

    @property
    def unfinished(self) -> bool:
        """Never at the end: our close says all that there is to say."""
        return False

    def close_when_idle(self) -> None:
        """Say that we are going away (shutdown)."""
        self._close(GOING_AWAY, "going away")
        self._wake()

    def abort(self) -> None:
        """End it without waiting for anything."""
        self._close_by = -math.inf
        self._bound(self._close_by)

    # Inside

    def _move(self, phase: Phase) -> None:
        if phase <= self._phase:  # it only goes on: open, closing, closed
            raise StateError(f"a WebSocket cannot go from {self._phase.name} to {phase.name}")
        self._phase = phase

    def _receive(self, message: bytes | str) -> None:
        for event in self._channel.receive(message, self._engine.now()):
            self._dispatch(event)

    def _ready(self) -> None:
        """Send what the channel has to say outside of our calls (`Channel.on_ready`)."""
        if self._phase is Phase.OPEN:
            self._consult(_nothing)
            self._wake()

    def _consult(self, step: Callable[..., None], *arguments: object) -> None:
        """Call the channel, and take what it then has to say. What it raises ends the connection with 1011."""
        channel = self._channel
        try:
            step(*arguments)
            if self._phase is not Phase.OPEN:
                return
            if channel.patient and self._full:
                return
            if self._take(channel.to_send()) and channel.closing is not None:
                self._close(*channel.closing)
        except Exception as error:  # noqa: BLE001 - a channel of somebody else's may raise anything
            told = StateError(type(error).__name__)  # in place of the text, which may quote a message
            self._engine.note_failure("a channel failed", told.with_traceback(error.__traceback__))
            self._end(FAILED, "internal error")

    @property
    def _full(self) -> bool:
        """Whether a patient channel is to keep what it has: the host has a message, or enough waits for it."""
        return self._held or self._queue_size >= WRITE_SIZE

    def _take(self, messages: Iterable[bytes | str]) -> bool:
        """Let messages go out, of a patient channel no more than enough; tell whether those were all."""
        patient = self._channel.patient
        for message in messages:
            self._send(message)
            if self._phase is not Phase.OPEN or (patient and self._full):
                return False  # that was one too many, or enough
        return True

    def _send(self, message: bytes | str) -> None:
        """Let a message go out. When too much waits for a host that waits for the peer, nothing will: 1013.

        What nobody has tried to send yet is not bounded: it is the channel's own, said in one go. A host that can go on
        does so at once; so whoever gets a word in while it has a message waits for the peer with it.
        """
        encoded, size = encode_message(message)
        queue, settings = self._queue, self._engine.websocket
        queue.append((encoded, size))
        self._queue_size += size
        full = len(queue) > settings.max_queue or (self._queue_size > settings.max_queue_size and len(queue) > 1)
        if full and self._held:
            self._clear()
            self._error = ProtocolError("the peer reads slower than it is written to", code=TOO_SLOW)
            self._close(TOO_SLOW, "too slow")

    def _close(self, code: int, reason: str) -> None:
        """Begin to end it; what waits goes out before. Raises `StateError` for a code that must not be sent."""
        if self._phase is Phase.OPEN:
            self._queue.append((encode_close(code, reason), 0))
            self._said = code
            self._await_end()

    def _await_end(self) -> None:
        """Leave the host so much time to tell of the end."""
        self._move(Phase.CLOSING)
        self._close_by = self._engine.time() + self._engine.websocket.close_timeout
        self._bound(self._bounded)

    def _end(self, code: int, reason: str) -> None:
        """End it for a fault, the peer's or ours, without waiting for their Close."""
        if self._phase is Phase.OPEN:
            self._queue.append((encode_close(code, reason), 0))
        if self._phase is not Phase.CLOSED:
            self._move(Phase.CLOSED)

    def _note_end(self, code: int) -> None:
        """Note the peer's code. Some hosts, when we have closed, do not tell what the peer has answered."""
        self._clear()
        if self._phase is not Phase.CLOSED:
            self._code = self._said if code == NO_CODE else code
            self._move(Phase.CLOSED)

    def _clear(self) -> None:
        self._queue.clear()
        self._queue_size = 0

    def _bound(self, when: float) -> None:
        """Let it end then, but not later than a Close has time."""
        when = min(when, self._close_by)
        if when != self._bounded and not self._limit.expired():
            self._bounded = when
            self._limit.reschedule(None if when == math.inf else max(when, 0.0))


def _nothing() -> None:
    pass
