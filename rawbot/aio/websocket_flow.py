"""One WebSocket's course on a transport that it takes over from HTTP: bytes to the channel, its messages to bytes.

Engine room, and yet pure: transport, clock and engine are given, nothing of asyncio is known, which `WebSocketProtocol`
brings. What bytes mean, what waits and what time brings about is decided by `WebSocketConnection`; here it meets the
transport and the channel. From `data_received` to `transport.write` there is no task, no queue and no await:
the echo of 60 bytes takes 7 µs, 4 of them in the library's frames (CPython 3.11, the kernel left out).

Flow control both ways: while the peer does not read, nothing of it is read, and what the channel says waits in a queue
that is bounded. A peer that goes on not reading is cut off. What came in one read is gone through in turns, between
which others have theirs; until it is through, no more is read.

A patient channel may hear on meanwhile: where events come faster than a peer reads them, what waits never ends, and
the pings and requests of a peer that is slow but alive would never be read.
"""

import math
from collections.abc import Callable, Iterable

from rawbot.aio.doors import Dispatch
from rawbot.aio.host import Host, Transport
from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import Channel
from rawbot.websocket.connection import GOING_AWAY, WRITE_SIZE, Phase
from rawbot.websocket.handshake import Handshake

MIN_PROGRESS = 1024 * 1024
"""Bytes that a peer has to read of much that waits before each write time-out: 35 KB/s by default. Of less, all."""

TURN = 64
"""Frames that are taken in a row; then other connections have their turn. A read of 256 KiB may hold 43,000 of them.
In a row these took 0.35 s with their echoes; a turn takes 0.4 ms, and 0.9 ms with 4 KB in each (CPython 3.11)."""


class WebSocketFlow:
    """One side of a WebSocket from the end of its handshake on: what asyncio tells a protocol, the engine a connection.

    `address` is the one that the engine counts the connection under.
    """

    __slots__ = (
        "_address", "_bucket", "_channel", "_connection", "_cut_at", "_dispatch", "_engine", "_expires", "_greeting",
        "_lost", "_over", "_paused", "_reading", "_transport", "_unread", "_yielding",
    )  # fmt: skip

    def __init__(
        self, engine: Host, channel: Channel, handshake: Handshake, dispatch: Dispatch, *, address: str = ""
    ) -> None:
        self._engine = engine
        self._channel = channel
        self._connection = handshake.connection
        self._greeting = handshake.data
        self._dispatch = dispatch
        self._address = address
        self._paused = False
        self._reading = True
        self._over = False
        self._lost = False
        self._yielding = False
        self._unread = 0
        self._cut_at = math.inf
        self._expires = math.inf
        self._bucket = 0

    # What the loop calls

    def connection_made(self, transport: Transport) -> None:
        """Answer the handshake, with what the channel has to say at once. The transport must be reading."""
        self._transport = transport
        self._channel.on_ready = self._ready
        self._consult(self._channel.opened, self._engine.now())
        self._write()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Hand the messages that the new bytes complete to the channel, and write what it says."""
        if self._over:
            return
        self._connection.receive_data(data, self._engine.time())
        self._advance()

    def eof_received(self) -> bool:
        """Close, since half a WebSocket is none: our Close would be answered by nobody."""
        if self._over:
            return False
        if self._yielding:  # what was read before still reaches the channel
            self._expect_progress(self._engine.timeouts.write)
        else:
            self._connection.receive_eof()
            self._finish()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        """Tell the channel that it is over, after what the peer had said before, and let go of everything."""
        self._lost = True
        self._paused = False
        self._cut_at = math.inf
        self._engine.wheel.discard(self, self._bucket)
        self._advance()
        if self._over or not self._yielding:
            self._conclude()

    def pause_writing(self) -> None:
        """Read nothing while the peer does not read, unless the channel hears on; abort when that lasts."""
        self._paused = True
        if not self._over:
            self._read(not self._deaf)
            self._expect_progress(self._engine.timeouts.write)

    def resume_writing(self) -> None:
        """Write what has waited, and go on with what came before the pause."""
        self._paused = False
        if self._over:
            return
        self._cut_at = math.inf
        self._connection.excuse(self._engine.time())
        self._write()
        if self._channel.patient:
            self._consult(_nothing)
        self._advance()

    # What the engine calls

    @property
    def idle(self) -> bool:
        """Never: a WebSocket is there to be quiet for long, and is missed when it goes."""
        return False

    @property
    def unfinished(self) -> bool:
        """Never at the end: our Close says all that there is to say."""
        return False

    def on_deadline(self) -> None:
        """Do what is due, or look again later when the deadline has moved (the wheel)."""
        self._expires = math.inf
        self._keep_time(self._engine.time())
        self._watch()

    def close_when_idle(self) -> None:
        """Say that we are going away; the answer to that closes the connection (shutdown)."""
        if self._transport.is_closing():
            return
        self._connection.close(GOING_AWAY, "going away", self._engine.time())
        self._write()
        self._watch()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._over = True
        self._cut_at = math.inf
        self._transport.abort()
        if self._lost and self._yielding:
            self._conclude()

    # Inside

    @property
    def _deaf(self) -> bool:
        """Whether nothing of the peer's is taken: others have their turn, or it does not read what it is told."""
        return self._yielding or (self._paused and not self._channel.hears_on)

    def _advance(self) -> None:
        """Take the messages that are there, one after the other, for as long as the peer reads the answers."""
        connection = self._connection
        connection.left = TURN
        while not (self._over or self._deaf):
            message = connection.next_message()
            if message is not None:
                self._consult(self._receive, message)
            elif connection.turn_is_over:
                self._yielding = True
                self._engine.loop.call_soon(self._go_on)
            else:
                break
        self._write()
        if not self._over:
            self._read(not self._deaf)
        if connection.deadline < self._expires:
            self._watch()

    def _go_on(self) -> None:
        """Have the next turn."""
        if not self._yielding:
            return  # it was aborted
        self._yielding = False
        now = self._engine.time()
        self._connection.receive_data(b"", now)
        self._advance()
        if self._yielding:
            return
        if self._lost:
            self._conclude()
        else:
            self._keep_time(now)  # here and not by the wheel alone, which a flood could have come in turns only
            self._watch()

    def _conclude(self) -> None:
        self._over = True
        self._yielding = False
        engine, connection = self._engine, self._connection
        engine.forget(self, self._address)
        if connection.error is not None:
            self._note(connection.error)
        self._channel.on_ready = None
        self._consult(self._channel.closed, connection.close_code, engine.now())

    def _note(self, error: ProtocolError) -> None:
        """Note what the peer did wrong."""
        self._engine.note_refusal(error, self._address)

    def _receive(self, message: bytes | str) -> None:
        for event in self._channel.receive(message, self._engine.now()):
            self._dispatch(event)

    def _ready(self) -> None:
        """Send what the channel has to say outside of our calls (`Channel.on_ready`)."""
        if not self._over and not self._transport.is_closing():
            self._consult(_nothing)
            self._write()
            self._watch()

    def _consult(self, step: Callable[..., None], *arguments: object) -> None:
        """Call the channel, and take what it then has to say. What it raises ends the connection with 1011."""
        connection, channel = self._connection, self._channel
        try:
            step(*arguments)
            if connection.phase is not Phase.OPEN or self._over:
                return
            now = self._engine.time()
            if channel.patient and self._paused:
                return
            if self._take(channel.to_send(), now) and channel.closing is not None:
                connection.close(*channel.closing, now)
        except Exception as error:  # noqa: BLE001 - a channel of somebody else's may raise anything
            told = StateError(type(error).__name__)  # in place of the text, which may quote a message
            self._engine.note_failure("a channel failed", told.with_traceback(error.__traceback__))
            connection.fail("internal error")

    def _take(self, messages: Iterable[bytes | str], now: float) -> bool:
        """Let messages go out, of a patient channel only as many as the peer reads; tell whether those were all."""
        connection, patient = self._connection, self._channel.patient
        large = (connection.settings.max_queue_size - WRITE_SIZE) // 4  # a character may take four bytes
        for message in messages:
            if len(message) > large:
                self._write()  # what waits only for being written must not count against the peer
            connection.send(message, now)
            if connection.ripe:
                self._write()
            if connection.phase is not Phase.OPEN or (patient and self._paused):
                return False  # that was one too many, or enough
        return True

    def _write(self) -> None:
        """Write as much as the peer reads, and close when that was the last."""
        connection = self._connection
        if self._over:
            return
        while not self._paused and (data := self._greeting + connection.next_data()):
            self._greeting = b""
            if not self._transport.is_closing():
                self._transport.write(data)
        if connection.phase is Phase.CLOSED and not self._paused:
            self._finish()

    def _finish(self) -> None:
        """Close, in stages where the peer may still be sending (RFC 9112, section 9.6, has the reason).

        Closing while it sends has the kernel answer with a reset, which takes our Close from it. TLS has no
        half-closing: there the peer closes, since it has been told to.
        """
        self._over = True
        if self._lost:
            return
        transport, connection, timeouts = self._transport, self._connection, self._engine.timeouts
        self._read(True)
        if not connection.heard_end and transport.can_write_eof():
            transport.write_eof()
        elif connection.heard_end and not connection.client:  # RFC 6455, section 7.1.1: the server closes first
            transport.close()
        self._expect_progress(timeouts.write if transport.get_write_buffer_size() else timeouts.linger)

    def _read(self, wanted: bool) -> None:  # noqa: FBT001 - on or off
        if wanted != self._reading and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # Time

    def _due(self) -> float:
        """Return when something is to be done. A peer that we do not read cannot answer pings, nor end a message."""
        connection = self._connection
        unread = self._paused or self._yielding
        if self._over or self._lost or (unread and connection.phase is Phase.OPEN):
            return self._cut_at
        return min(self._cut_at, connection.deadline)

    def _keep_time(self, now: float) -> None:
        """Do what is due."""
        if now >= self._cut_at:
            self._cut()
        elif now >= self._due():
            if self._connection.phase is Phase.CLOSING:
                self.abort()  # nobody has answered our Close
            else:
                self._connection.tick(now)
                self._write()

    def _watch(self) -> None:
        """Be called when something is due; only an earlier deadline than before costs anything."""
        due = self._due()
        if due < self._expires:
            if self._expires < math.inf:
                self._engine.wheel.discard(self, self._bucket)
            self._expires = due
            self._bucket = self._engine.wheel.add(self, due)

    def _expect_progress(self, seconds: float) -> None:
        self._unread = self._transport.get_write_buffer_size()
        self._cut_at = self._engine.time() + seconds
        self._watch()

    def _cut(self) -> None:
        """Cut off a peer that does not read, or does not close."""
        if self._unread - self._transport.get_write_buffer_size() >= MIN_PROGRESS:
            self._expect_progress(self._engine.timeouts.write)
        else:
            self._over = True
            self._cut_at = math.inf
            self._engine.cut(self._transport)


def _nothing() -> None:
    pass
