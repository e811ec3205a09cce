"""One HTTP connection's course: bytes to requests, exchanges to bytes, within time and memory.

Engine room, and yet pure: transport, clock and engine are given, nothing of asyncio is known (`HttpProtocol` brings
that). From `data_received` to `transport.write` there is no task, no queue and no await. What waits for the bot is a
`Pending`, which writes from inside the bot's own call.

Flow control both ways: while the peer does not read our answers, none of its requests is parsed; and while an answer is
owed, no more than `Capacity.read_ahead` bytes of its next requests are taken in.
"""

from rawbot.aio.deadline import Deadlined
from rawbot.aio.doors import Door
from rawbot.aio.host import Host, Sender, Transport
from rawbot.aio.listen import Origin
from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.exchange import Answer, Pending, Request, Response, Upgrade
from rawbot.http.connection import HttpConnection, Phase
from rawbot.http.forwarded import find_client
from rawbot.http.peers import TrustedPeers
from rawbot.http.responses import FAILED, SWITCHING, UNAVAILABLE, WITHOUT_CONTENT, refusal
from rawbot.websocket.handshake import accept

FRESH = 1.0
"""Seconds within which the first request of a new connection is expected, even at shutdown."""

PLAIN = Origin("http", "", unix=False, trusted=TrustedPeers())
"""Where connections come from that a server of somebody else's has accepted."""


class HttpFlow(Deadlined):
    """The server's side of one connection: what asyncio tells a protocol, and what the engine tells a connection."""

    __slots__ = (
        "_advancing", "_began", "_connection", "_door", "_engine", "_eof", "_expected_by", "_given", "_observed",
        "_origin", "_over", "_paused_reading", "_paused_writing", "_peer", "_pending", "_request", "_sender",
        "_served", "_timed", "_told", "_transport",
    )  # fmt: skip

    def __init__(self, engine: Host, origin: Origin = PLAIN, peer: str | None = None) -> None:
        super().__init__(engine)
        self._engine = engine
        self._origin = origin
        self._given = peer
        self._peer = ""
        self._observed = bool(engine.observers)
        self._pending: Pending | None = None
        self._sender: Sender | None = None
        self._request: Request | None = None
        self._door: Door | None = None
        self._paused_reading = False
        self._paused_writing = False
        self._eof = False
        self._over = False
        self._advancing = False
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
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        origin = self._origin
        self._told = origin.scheme != "http" or (bool(origin.trusted) and self._peer in origin.trusted)
        self._connection = HttpConnection(
            engine.limits,
            peer=self._peer,
            body_limit=engine.body_limit,
            hosts=engine.hosts,
            methods=engine.methods,
        )
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
            self._began = self._engine.time()
        self._connection.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection for the answers that are owed; under TLS there is no such thing."""
        self._eof = True
        if not self._over and (self._busy or self._paused_writing):
            return self._transport.get_extra_info("sslcontext") is None
        self._close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        """Let go of everything."""
        self._over = True
        if self._pending is not None:
            self._engine.pending -= 1
            self._pending.abandon()
            self._pending = None
        if self._sender is not None:
            self._sender.abort()
        self._drop_deadline()
        self._engine.forget(self, self._peer)

    def pause_writing(self) -> None:
        """Stop answering while the peer does not read; abort when that lasts."""
        self._paused_writing = True
        if self._sender is not None:
            self._sender.pause_writing()
        else:
            self._set_deadline(self._engine.timeouts.write)

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
        """Whether nothing is under way."""
        return not self._busy and not self._paused_writing and not self._over and self._connection.idle

    def on_deadline(self) -> None:
        """Do what is due, or look again later when the deadline has moved (the wheel)."""
        if not self._has_passed() or self._sender is not None:  # which has a clock of its own
            return
        if self._pending is not None:
            self._deliver()
        elif self._over or self._paused_writing or self._transport.is_closing():
            self._transport.abort()
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
        elif self._over or (self._connection.idle and (self._served or self._engine.time() > self._expected_by)):
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
        while self._pending is None and self._sender is None and not self._paused_writing and not self._over:
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
        self._advancing = False
        if self._paused_reading or connection.buffered > self._engine.capacity.read_ahead:
            self._throttle()

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
        self._set_deadline(timeouts.body if connection.phase is Phase.BODY else timeouts.header)

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
            self._upgrade(exchange, request, now)
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
        if engine.draining or door is None:
            self._write(UNAVAILABLE, now)
            return
        try:
            handshake = accept(request, upgrade, engine.websocket, engine.time())
        except ProtocolError as error:
            self._write(refusal(error), now)
            return
        except (ConfigError, StateError) as error:
            engine.note_failure("a WebSocket cannot be opened", error)
            self._write(FAILED, now)
            return
        if self._observed:
            self._tell(SWITCHING, now)
        rest = self._connection.detach()
        self._over = True
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
        self._set_deadline(pending.deadline - now)
        pending.attach(self._deliver)
        if engine.pending > engine.capacity.max_pending:
            self._deliver()  # as it is, if it was not ready

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
        connection = self._connection
        engine = self._engine
        self._served += 1
        last = (
            (self._eof and not connection.buffered)
            or engine.draining
            or self._served == engine.capacity.max_requests_per_connection
        )
        try:
            data = connection.send(response, now, close=last)
        except Exception as error:  # noqa: BLE001 - an endpoint of somebody else's may give anything
            engine.note_failure("a response cannot be written", error)
            if response.region is not None:
                response.region.close()
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
        if self._connection.phase is Phase.CLOSED:
            self._finish()
        elif not self._paused_writing:
            self._set_deadline(self._engine.timeouts.keep_alive)

    def _tell(self, response: Response, now: float) -> None:
        """Tell the observers of an answer; a pipelined request begins when the answer before it is out."""
        engine, request = self._engine, self._request
        took = engine.time() - self._began if self._began else 0.0
        self._began = engine.time() if self._connection.buffered else 0.0
        if request is not None:
            route = "" if self._door is None else self._door.path
            for observer in engine.observers:
                observer.answered(request, route, response, took, now)

    def _refuse(self, error: ProtocolError) -> None:
        """Say what is wrong, as far as HTTP goes, and close."""
        self._engine.note_refusal(error, self._peer)
        self._transport.write(self._connection.refuse(error, self._engine.now()))
        self._finish(unread=True)

    def _finish(self, *, unread: bool = False) -> None:
        """Close in stages (RFC 9112, section 9.6): our side first, the rest when the peer has closed its own.

        Closing at once while the peer still sends has the kernel answer with a reset, which takes the unread answer
        from it. TLS has no half-closing: there it is waited for only when bytes are known to be `unread`.
        """
        if self._over:
            return
        transport = self._transport
        half = transport.can_write_eof()
        if self._eof or not (half or unread):
            self._close()
            return
        self._over = True
        if half:
            transport.write_eof()
        if self._paused_reading:
            self._paused_reading = False
            transport.resume_reading()
        timeouts = self._engine.timeouts
        self._set_deadline(timeouts.write if transport.get_write_buffer_size() else timeouts.linger)

    def _close(self) -> None:
        """Close when all is written; a peer that does not read is cut off, which asyncio's own close never does."""
        self._over = True
        self._transport.close()
        self._set_deadline(self._engine.timeouts.write)

    def _throttle(self) -> None:
        """Read on only as long as what was read is being answered."""
        waiting = self._busy or self._paused_writing
        full = waiting and self._connection.buffered > self._engine.capacity.read_ahead
        if full != self._paused_reading and not self._over:
            self._paused_reading = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
