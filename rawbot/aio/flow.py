"""One HTTP connection's course: bytes to requests, exchanges to bytes, within time and memory.

Engine room, and yet pure: transport, clock and engine are given, nothing of asyncio is known (`HttpProtocol` brings
that). From `data_received` to `transport.write` there is no task, no queue and no await. What waits for the bot is a
`Pending`, which writes from inside the bot's own call.

Flow control both ways: while the peer does not read our answers, none of its requests is parsed; and while an answer is
owed, no more than `Capacity.read_ahead` bytes of its next requests are taken in.
"""

from rawbot.aio.doors import Door
from rawbot.aio.ending import Ending
from rawbot.aio.host import Host, Sender, Transport
from rawbot.aio.listening.listen import Origin
from rawbot.aio.upgrading import shake_hands
from rawbot.errors import ProtocolError
from rawbot.exchange import Answer, Pending, Request, Response, Upgrade
from rawbot.http.connection import BODY, CLOSED, Phase
from rawbot.http.peers.forwarded import find_client
from rawbot.http.peers.trust import TrustedPeers, plain_text
from rawbot.http.responses import FAILED, SWITCHING, WITHOUT_CONTENT

TURN = 16
"""Pipelined requests that are answered in a row; then other connections have their turn. A read of 256 KiB may hold
thousands of them."""

LONGEST_WAIT = 86_400.0
"""Seconds after which an answer is given at the latest, whatever an endpoint says: it may have said "for ever"."""

FRESH = 1.0
"""Seconds within which the first request of a new connection is expected, even at shutdown."""

PLAIN = Origin("http", "", unix=False, trusted=TrustedPeers())
"""Where connections come from that a server of somebody else's has accepted."""


class HttpFlow(Ending):
    """The server's side of one connection: what asyncio tells a protocol, and what the engine tells a connection."""

    __slots__ = (
        "_advancing", "_began", "_connection", "_door", "_expected_by", "_given", "_observed", "_origin", "_peer",
        "_pending", "_request", "_reserved", "_sender", "_served", "_timed", "_told", "_yielding",
    )  # fmt: skip

    def __init__(self, engine: Host, origin: Origin = PLAIN, peer: str | None = None) -> None:
        super().__init__(engine)
        self._origin = origin
        self._given = peer
        self._peer = ""
        self._observed = bool(engine.observers)
        self._pending: Pending | None = None
        self._sender: Sender | None = None
        self._request: Request | None = None
        self._door: Door | None = None
        self._reserved = 0
        self._advancing = False
        self._yielding = False
        self._timed: Phase | None = None
        self._served = 0
        self._expected_by = 0.0
        self._began = 0.0

    # What the loop calls

    def connection_made(self, transport: Transport) -> None:
        """Take a place, if there is one, and start the clock for the first request."""
        self._transport = transport
        engine = self._engine
        peer = transport.get_extra_info("peername") if self._given is None else (self._given,)
        self._peer = plain_text(peer[0]) if isinstance(peer, tuple) else ""
        origin = self._origin
        self._told = origin.scheme != "http" or (bool(origin.trusted) and self._peer in origin.trusted)
        self._connection = engine.make_connection(self._peer)
        admitted = engine.admit(self, self._peer)
        if engine.closed or (not admitted and engine.crowded):  # accepted as the listener closed, or in a flood
            self._transport.abort()
        elif admitted:
            self._expected_by = engine.time() + FRESH
            self._set_deadline(engine.timeouts.header)
        else:
            wait = b"%d" % engine.capacity.retry_after
            self._refuse(ProtocolError("no place for a connection", status=503, headers=((b"retry-after", wait),)))

    def data_received(self, data: bytes) -> None:
        """Answer what the new bytes complete."""
        if self._over:
            return
        if self._observed and not self._began:
            self._began = self._engine.stopwatch()
        self._connection.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection for the answers that are owed; under TLS there is no such thing."""
        self._eof = True
        if self._pending is not None and self._pending.needs_reader:
            self._abandon()
        elif not self._over and (self._busy or self._paused_writing or self._yielding):
            return self._transport.get_extra_info("sslcontext") is None
        self._close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        """Let go of everything."""
        self._over = True
        self._abandon()
        if self._sender is not None:
            self._sender.abort()
        self._release()
        self._drop_deadline()
        self._engine.forget(self, self._peer)

    def pause_writing(self) -> None:
        """Stop answering while the peer does not read; abort when that lasts."""
        self._paused_writing = True
        if self._sender is not None:
            self._sender.pause_writing()
        else:
            self._expect_progress()

    def resume_writing(self) -> None:
        """Go on with the requests that came in the meantime."""
        self._paused_writing = False
        if self._sender is not None:
            self._sender.resume_writing()
            return
        if self._over or self._transport.is_closing():
            return
        if self._timed is None:  # else a phase has begun, whose deadline stands
            self._set_deadline(self._engine.timeouts.keep_alive)
        self._advance()

    # What the engine calls

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, not even the first request of a new connection."""
        if self._busy or self._paused_writing or self._over or not self._connection.idle:
            return False
        return self._served > 0 or self._engine.time() > self._expected_by

    @property
    def unfinished(self) -> bool:
        """Whether something is under way that the peer would miss."""
        if self._busy or self._transport.get_write_buffer_size():
            return True
        return not self._over and not self._connection.idle

    def on_deadline(self) -> None:
        """Do what is due, or look again later when the deadline has moved (the wheel)."""
        if not self._has_passed() or self._sender is not None:  # which has a clock of its own
            return
        if self._pending is not None:
            self._deliver()
        elif self._press_on():
            return
        elif self._connection.idle:
            self._close()
        else:
            self._refuse(ProtocolError("the request took too long", status=408))

    def close_when_idle(self) -> None:
        """Close now, or right after the answer that is owed (shutdown).

        A request that is on its way, also one that a new connection was made for, may still come: its answer is the
        last. Clients repeat what is lost on an old connection, and take a new one that just closes for a failure.
        """
        if self._busy:
            self._eof = True
            self._deliver()
        elif self._over or self.idle:
            self._close()

    def abort(self) -> None:
        """Close without waiting for anything."""
        if self._sender is not None:
            self._sender.abort()
        else:
            self._transport.abort()

    # Inside

    @property
    def _busy(self) -> bool:
        """Whether an answer is owed, or a file is being sent."""
        return self._pending is not None or self._sender is not None

    def _advance(self) -> None:
        """Answer the requests that are there, one after the other, for as long as none has to wait."""
        connection = self._connection
        self._advancing = True
        left = TURN
        while not (self._pending or self._sender or self._paused_writing or self._over or self._yielding):
            try:
                request = connection.next_request()
            except ProtocolError as error:
                self._refuse(error)
                break
            if request is None:
                self._await_rest()
                break
            self._exchange(request)
            if connection.idle and not self._eof:
                break  # nothing more is there: the common case
            left -= 1
            if self._transport.is_closing():
                break  # the peer is gone, and hears nothing of the rest
            if not left:
                self._yielding = True
                self._engine.loop.call_soon(self._go_on)
        self._advancing = False
        if self._paused_reading or self._reserved or not connection.idle:
            self._throttle()

    def _go_on(self) -> None:
        """Have the next turn."""
        self._yielding = False
        self._advance()

    def _await_rest(self) -> None:
        """Set the absolute deadline of the phase that has begun; more bytes of the same phase do not move it."""
        connection = self._connection
        if self._eof:
            self._close()
            return
        if interim := connection.take_interim():
            self._transport.write(interim)
        if connection.idle or connection.phase is self._timed:
            return
        self._timed = connection.phase
        timeouts = self._engine.timeouts
        self._set_deadline(timeouts.body if connection.phase is BODY else timeouts.header)

    def _exchange(self, request: Request) -> None:
        if self._told:
            self._identify(request)
        now = self._engine.now()
        exchange, door = self._engine.receive(request, now)
        self._request, self._door = request, door
        if isinstance(exchange, Answer):
            self._write(exchange.response, now)
        elif isinstance(exchange, Pending):
            self._await_bot(exchange, now)
        else:
            if isinstance(exchange, Upgrade):
                self._upgrade(exchange, request, now)
            else:
                what = f"the endpoint on {request.path} returned no exchange"
                self._engine.note_failure(what, TypeError(type(exchange).__name__))
                self._write(FAILED, now)
            return
        if exchange.event is not None and door is not None:
            door.dispatch(exchange.event)

    def _identify(self, request: Request) -> None:
        """Note what the listening socket, TLS and a trusted proxy tell of the client."""
        origin = self._origin
        request.certificate = self._transport.get_extra_info("peercert") or None
        request.peer, request.scheme = find_client(request.headers, request.peer, origin.scheme, origin.trusted)

    def _upgrade(self, upgrade: Upgrade, request: Request, now: float) -> None:
        """Hand the transport to a WebSocket, with what came behind the request."""
        engine, door = self._engine, self._door
        handshake = shake_hands(engine, upgrade, request)
        if isinstance(handshake, Response) or door is None:
            self._write(handshake if isinstance(handshake, Response) else FAILED, now)
            return
        if self._observed:
            self._tell(SWITCHING, now)
        rest = self._connection.detach()
        self._over = True
        self._release()
        self._drop_deadline()
        if self._paused_reading:
            self._transport.resume_reading()
        successor = engine.make_websocket(upgrade.channel, handshake, door.dispatch, self._peer)
        engine.replace(self, successor)
        self._transport.set_protocol(successor)
        successor.connection_made(self._transport)
        if rest:
            successor.data_received(rest)

    def _await_bot(self, pending: Pending, now: float) -> None:
        engine = self._engine
        self._pending = pending
        engine.pending += 1
        self._set_deadline(min(pending.deadline - now, LONGEST_WAIT))
        pending.attach(self._deliver)
        if engine.pending > engine.capacity.max_pending:
            self._deliver()  # as it is, if it was not ready

    def _abandon(self) -> None:
        """Forget the answer that is waited for, since nobody waits for it any more."""
        if self._pending is not None:
            self._engine.pending -= 1
            self._pending.abandon()
            self._pending = None

    def _deliver(self) -> None:
        """Write the answer that was waited for, in the call that made it ready, and go on."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self._engine.pending -= 1
        now = self._engine.now()
        self._write(self._engine.answer(pending, now), now)
        if not self._advancing:
            self._advance()

    def _write(self, response: Response, now: float) -> None:
        connection, engine = self._connection, self._engine
        self._served += 1
        spent = self._served == engine.capacity.max_requests_per_connection
        last = spent or engine.draining or (self._eof and not connection.buffered)
        try:
            data = connection.send(response, now, close=last)
        except Exception as error:  # noqa: BLE001 - an endpoint of somebody else's may give anything
            engine.note_failure("a response cannot be written", error)
            region = getattr(response, "region", None)
            if region is not None:
                region.close()
            response = FAILED
            data = connection.send(response, now, close=last)
        self._timed = None
        if self._observed:
            self._tell(response, now)
        if response.region is not None:
            self._send_region(data, response)
        else:
            self._transport.write(data)
            self._conclude()

    def _send_region(self, head: bytes, response: Response) -> None:
        """Write a head, and have the file behind it sent unless the answer has no content."""
        request, region = self._request, response.region
        if region is None or response.status in WITHOUT_CONTENT or (request is not None and request.method == "HEAD"):
            if region is not None:
                region.close()
            self._transport.write(head)
            self._conclude()
        else:
            self._sender = self._engine.send_region(self._transport, region, self._region_sent)
            self._sender.start(head)

    def _region_sent(self, sent: bool) -> None:  # noqa: FBT001 - a callback's shape
        """Go on after a file; when it was not sent, the connection is gone."""
        self._sender = None
        if not sent or self._over:
            self._over = True
            return
        self._conclude()
        self._advance()

    def _conclude(self) -> None:
        """End the connection after its last answer, else wait for the next request."""
        if self._connection.phase is CLOSED:
            self._finish()
        elif not self._paused_writing:
            self._set_deadline(self._engine.timeouts.keep_alive)

    def _tell(self, response: Response, now: float) -> None:
        """Tell the observers of an answer; a pipelined request begins when the answer before it is out."""
        engine, request = self._engine, self._request
        took = engine.stopwatch() - self._began if self._began else 0.0
        self._began = engine.stopwatch() if self._connection.buffered else 0.0
        if request is not None:
            route = "" if self._door is None else self._door.path
            for observer in engine.observers:
                observer.answered(request, route, response, took, now)

    def _refuse(self, error: ProtocolError) -> None:
        """Say what is wrong, as far as HTTP goes, and close."""
        self._engine.note_refusal(error, self._peer)
        self._transport.write(self._connection.refuse(error, self._engine.now()))
        self._finish(unread=True)

    def _throttle(self) -> None:
        """Read on only as long as what was read is being answered, and as there is room for all that is held."""
        connection, engine = self._connection, self._engine
        if self._over:
            return
        waiting = self._busy or self._paused_writing or self._yielding
        beyond = max(0, connection.held - engine.capacity.read_ahead)
        if engine.bodies.take(beyond - self._reserved):
            self._reserved = beyond
        elif not waiting:  # while it waits an answer may be owed, and nothing more is read anyway
            self._refuse(ProtocolError("no room for a body", status=503, headers=((b"retry-after", b"1"),)))
            return
        full = beyond > 0 and waiting
        if full != self._paused_reading:
            self._paused_reading = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _release(self) -> None:
        """Give back the room that was taken for a body."""
        self._engine.bodies.give(self._reserved)
        self._reserved = 0
