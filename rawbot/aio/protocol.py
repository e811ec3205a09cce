"""One HTTP connection on the loop: bytes to requests, exchanges to bytes, within time and memory.

Engine room. From `data_received` to `transport.write` there is no task, no queue and no await. What waits for the bot
is a `Pending`, which writes from inside the bot's own call.

Flow control both ways: while the peer does not read our answers, none of its requests is parsed; and while an answer is
owed, no more than `READ_AHEAD` bytes of its next requests are taken in.
"""

import asyncio
import logging
from time import time
from typing import cast

from rawbot.aio.host import Host
from rawbot.errors import ProtocolError
from rawbot.exchange import Pending, Request, Response
from rawbot.http.connection import HttpConnection, Phase
from rawbot.http.responses import FAILED

log = logging.getLogger("rawbot")

READ_AHEAD = 64 * 1024
"""Bytes of further requests that may wait in memory while an answer is owed: as many as asyncio buffers of writes."""


class HttpProtocol(asyncio.Protocol):
    """The server's side of one connection, made by `App.protocol_factory`."""

    __slots__ = (
        "_advancing", "_bucket", "_connection", "_deadline", "_engine", "_eof", "_expires", "_paused_reading",
        "_paused_writing", "_pending", "_timed", "_transport",
    )  # fmt: skip

    def __init__(self, engine: Host) -> None:
        self._engine = engine
        self._pending: Pending | None = None
        self._paused_reading = False
        self._paused_writing = False
        self._eof = False
        self._advancing = False
        self._timed: Phase | None = None
        self._deadline = 0.0
        self._expires = 0.0
        self._bucket = 0

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        if self._engine.closed:  # accepted as the listener closed
            self._transport.abort()
        peer = transport.get_extra_info("peername")
        self._connection = HttpConnection(self._engine.limits, peer=peer[0] if isinstance(peer, tuple) else "")
        self._engine.connections.add(self)
        self._set_deadline(self._engine.timeouts.header)

    def data_received(self, data: bytes) -> None:
        """Answer what the new bytes complete."""
        self._connection.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection for the answers that are owed."""
        self._eof = True
        if self._pending is not None or self._paused_writing:
            return True
        self._close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it broke changes nothing
        """Let go of everything."""
        if self._pending is not None:
            self._pending.abandon()
            self._pending = None
        self._engine.wheel.discard(self, self._bucket)
        self._engine.forget(self)

    def pause_writing(self) -> None:
        """Stop answering while the peer does not read; abort when that lasts."""
        self._paused_writing = True
        self._set_deadline(self._engine.timeouts.write)

    def resume_writing(self) -> None:
        """Go on with the requests that came in the meantime."""
        self._paused_writing = False
        if self._transport.is_closing():
            return
        if self._timed is None:  # else a phase has begun, whose deadline stands
            self._set_deadline(self._engine.timeouts.keep_alive)
        self._advance()

    # What the engine calls

    def on_deadline(self) -> None:
        """Do what is due, or look again later when the deadline has moved (the wheel)."""
        now = self._engine.time()
        if self._deadline > now:
            self._expires = self._deadline
            self._bucket = self._engine.wheel.add(self, self._deadline)
            return
        self._expires = 0.0
        if self._pending is not None:
            self._deliver()
        elif self._paused_writing or self._transport.is_closing():
            self._transport.abort()
        elif self._connection.idle:
            self._close()
        else:
            self._refuse(ProtocolError("the request took too long", status=408))

    def close_when_idle(self) -> None:
        """Close now, or right after the answer that is owed (shutdown)."""
        if self._pending is not None:
            self._eof = True
            self._deliver()
        else:
            self._close()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._transport.abort()

    # Inside

    def _advance(self) -> None:
        """Answer the requests that are there, one after the other, for as long as none has to wait."""
        connection = self._connection
        self._advancing = True
        while self._pending is None and not self._paused_writing:
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
        if self._paused_reading or connection.buffered > READ_AHEAD:
            self._throttle()

    def _await_rest(self) -> None:
        """Set the absolute deadline of the phase that has begun; more bytes of the same phase do not move it."""
        connection = self._connection
        if self._transport.is_closing():
            return
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
        now = time()
        exchange, dispatch = self._engine.receive(request, now)
        if isinstance(exchange, Pending):
            self._await_bot(exchange, now)
        else:
            self._write(exchange.response, now)
        if exchange.event is not None and dispatch is not None:
            dispatch(exchange.event)

    def _await_bot(self, pending: Pending, now: float) -> None:
        self._pending = pending
        self._set_deadline(pending.deadline - now)
        pending.attach(self._deliver)

    def _deliver(self) -> None:
        """Write the answer that was waited for, in the call that made it ready, and go on."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        now = time()
        self._write(self._engine.answer(pending, now), now)
        if not self._advancing:
            self._advance()

    def _write(self, response: Response, now: float) -> None:
        connection = self._connection
        last = self._eof and not connection.buffered
        try:
            data = connection.send(response, now, close=last)
        except Exception:  # an endpoint of somebody else's may give anything
            log.exception("a response cannot be written")
            data = connection.send(FAILED, now, close=last)
        self._timed = None
        self._transport.write(data)
        if connection.phase is Phase.CLOSED:
            self._close()
        elif not self._paused_writing:
            self._set_deadline(self._engine.timeouts.keep_alive)

    def _refuse(self, error: ProtocolError) -> None:
        """Say what is wrong, as far as HTTP goes, and close."""
        self._engine.note_refusal(error)
        self._transport.write(self._connection.refuse(error, time()))
        self._close()

    def _close(self) -> None:
        """Close when all is written; a peer that does not read is cut off, which asyncio's own close never does."""
        self._transport.close()
        self._set_deadline(self._engine.timeouts.write)

    def _throttle(self) -> None:
        """Read on only as long as what was read is being answered."""
        full = self._connection.buffered > READ_AHEAD and (self._pending is not None or self._paused_writing)
        if full != self._paused_reading and not self._transport.is_closing():
            self._paused_reading = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _set_deadline(self, seconds: float) -> None:
        """Let the current phase end in so many seconds; only an earlier deadline than before costs anything."""
        self._deadline = deadline = self._engine.time() + seconds
        if not self._expires or deadline < self._expires:
            if self._expires:
                self._engine.wheel.discard(self, self._bucket)
            self._expires = deadline
            self._bucket = self._engine.wheel.add(self, deadline)
