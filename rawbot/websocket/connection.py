"""One WebSocket after its handshake, on either side, as a state machine: bytes to messages, messages to bytes.

Layer 2, pure. Of `websockets` this uses frames, masking, the payload of Close and, through the extension that it is
given, permessage-deflate. The `Protocol` above these is left out. It parses all that has come before it hands out any
of it, so nothing can stop at the message whose answer the peer does not read; it takes a Close between two fragments
(RFC 6455, section 5.4; Autobahn 7.1.5) for an error; it measures pings by what is left for a message; and at the debug
level it logs what is said.

               ┌── close ──▶ CLOSING ──┐  their Close; the end of patience
        OPEN ──┤                       ▼
               └── their Close; fail ─▶ CLOSED   when `next_data` has nothing more, the connection may go
"""

import codecs
import enum
import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence

from rawbot.errors import ProtocolError, StateError
from rawbot.websocket.frames import INSTALLED, encode_frame, encode_message, take_short
from rawbot.websocket.settings import WebSocketSettings

if INSTALLED:
    from websockets import exceptions
    from websockets.extensions import Extension
    from websockets.frames import Close, Frame, Opcode

    _TEXT, _BINARY, _CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
    _PING, _PONG, _CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE

# Close codes of RFC 6455, section 7.4.1, as far as they are used here; 1013 is from its registry
NORMAL, GOING_AWAY, BROKEN, INVALID_TEXT, REFUSED, TOO_BIG, FAILED, TOO_SLOW = (
    1000, 1001, 1002, 1007, 1008, 1009, 1011, 1013,
)  # fmt: skip
NO_CLOSE = 1006
"""Never sent: what is told when the peer sent no Close."""

MAX_CONTROL = 125
"""Bytes that a control frame may carry (RFC 6455, section 5.5)."""

MAX_PONGS = 64
"""Pings of one piece that are answered one by one; of more the last one is, before each write (section 5.5.3)."""

FRAME_SIZE = 4096
"""Bytes for which a frame counts as one in `left`, and once more with each further so many: 1 MB may come as 1 KB."""

WRITE_SIZE = 64 * 1024
"""Bytes after which `next_data` stops: what asyncio's transport buffers before it says that the peer is slow."""

WRITE_COUNT = 200
"""Messages after which likewise it is time to write."""

COMPRESS_FROM = 256
"""Bytes from which a message is compressed, if that was agreed on."""


class Phase(enum.IntEnum):
    """How far the end has come."""

    OPEN = enum.auto()
    CLOSING = enum.auto()
    CLOSED = enum.auto()


_MOVES = {
    Phase.OPEN: (Phase.CLOSING, Phase.CLOSED),
    Phase.CLOSING: (Phase.CLOSED,),
    Phase.CLOSED: (),
}


class WebSocketConnection:
    """The server's side, or with `client` the other one.

    Call `receive_data` with what came and `next_message` until it returns None; and after that, after `send`, `close`,
    `fail` and `tick`, write what `next_data` returns until it is empty. Call `tick` at `deadline`. What the peer does
    wrong ends the connection and stands in `error`; nothing is raised for it. `now` is any clock that only goes on.
    """

    __slots__ = (
        "_batch", "_began", "_buffer", "_close", "_extensions", "_frames", "_heard", "_inside", "_kind", "_message",
        "_now", "_pinged", "_plain", "_ponged", "_pongs", "_queue", "_queue_size", "_utf8", "client", "close_code",
        "deadline", "error", "heard_end", "left", "phase", "settings",
    )  # fmt: skip

    def __init__(
        self,
        settings: WebSocketSettings,
        now: float,
        *,
        client: bool = False,
        extensions: "Sequence[Extension]" = (),
    ) -> None:
        self.settings = settings
        self.phase = Phase.OPEN
        self.close_code = NO_CLOSE
        """The code of the peer's Close, 1005 when that had none, 1006 as long as there was no Close."""
        self.heard_end = False
        """Whether the peer has said that nothing more will come."""
        self.error: ProtocolError | None = None
        """What the peer did wrong; `code` is the close code for it."""
        self.deadline = math.inf
        """When `tick` is to be called, at the latest."""
        self.left: float = math.inf
        """Frames that `next_message` may still take. Whoever has others to serve sets it before each turn."""
        self.client = client
        self._extensions = extensions
        self._plain = not (client or extensions)
        """Whether the peer's frames are a client's, and none is compressed."""
        self._buffer = bytearray()
        self._inside = False
        self._kind: Opcode | None = None
        self._message = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._frames = self._read_frames()
        self._queue: deque[tuple[Opcode, bytes]] = deque()
        self._queue_size = 0
        self._batch = min(WRITE_COUNT, settings.max_queue)
        self._pongs: list[bytes] = []
        self._ponged = 0
        self._close = b""
        self._now = self._heard = now
        self._pinged: float | None = None
        self._began: float | None = None
        self._wait(now)

    # In

    def receive_data(self, data: bytes, now: float) -> None:
        """Take in what the peer sent; after the end it is thrown away. Nothing at all only tells the time."""
        if self.phase is not Phase.CLOSED:
            self._now = now
            self._buffer += data
            if data:
                self._ponged = 0

    def receive_eof(self) -> None:
        """Note that nothing more will come; without a Close before, that is the end."""
        self.heard_end = True
        if self.phase is not Phase.CLOSED:
            self._move(Phase.CLOSED)

    def next_message(self) -> bytes | str | None:
        """Return the next whole message, or None when it is not there, or the `turn_is_over`.

        Control frames are seen to on the way, and count like all others: a flood of them completes no message.
        """
        if not (self._buffer or self._inside) and self._kind is None:
            self._began = None
            return None
        while self.phase is not Phase.CLOSED and not self.turn_is_over:
            try:
                short = self._next_short() if self._plain and not self._inside and self._kind is None else None
                if short is not None and self.phase is Phase.OPEN:
                    return short
                frame = self._next_frame()
                if frame is None:
                    self._note_begin()
                    return None
                self.left -= 1 + len(frame.data) // FRAME_SIZE
                message = self._receive(frame)
            except ProtocolError as error:
                self._blame(error)
            except UnicodeDecodeError:
                self._blame(ProtocolError("a text is not UTF-8", code=INVALID_TEXT))
            else:
                if message is not None and self.phase is Phase.OPEN:
                    return message
        return None

    @property
    def turn_is_over(self) -> bool:
        """Whether nothing is `left` although there is more to look at."""
        return self.left <= 0 and bool(self._buffer)

    # Out

    def send(self, message: bytes | str, now: float) -> None:
        """Let a message go out. When too much waits, nothing of it will, and the connection ends with 1013.

        Raises `StateError` for what is neither text nor bytes, and unless the phase is OPEN.
        """
        if self.phase is not Phase.OPEN:
            raise StateError("this WebSocket is closing or closed")
        kind, payload = encode_message(message)
        queue, settings = self._queue, self.settings
        queue.append((kind, payload))
        self._queue_size += len(payload)
        if len(queue) > settings.max_queue or (self._queue_size > settings.max_queue_size and len(queue) > 1):
            queue.clear()
            self._queue_size = 0
            self.error = ProtocolError("the peer reads slower than it is written to", code=TOO_SLOW)
            self.close(TOO_SLOW, "too slow", now)

    def close(self, code: int, reason: str, now: float) -> None:
        """Begin to end it; what waits goes out before. Does nothing when the end has begun already.

        A reason is cut to the 123 bytes that it may have. Raises `StateError` for a code that must not be sent.
        """
        if self.phase is Phase.OPEN:
            self._close = self._encode_close(code, reason)
            self._move(Phase.CLOSING)
            self.deadline = now + self.settings.close_timeout

    def fail(self, reason: str) -> None:
        """End it with 1011, without waiting for their Close: our side cannot go on."""
        if self.phase is not Phase.CLOSED:
            self._end(FAILED, reason)

    def next_data(self) -> bytes:
        """Return the next bytes to write, `WRITE_SIZE` and a message at most, or b"" when nothing is left."""
        queue, size = self._queue, 0
        if not (queue or self._pongs or self._close):
            return b""
        parts, self._pongs = self._pongs, []
        self._ponged += len(parts)
        while queue and size < WRITE_SIZE:
            kind, payload = queue.popleft()
            self._queue_size -= len(payload)
            extensions = self._extensions if len(payload) >= COMPRESS_FROM else ()
            data = encode_frame(kind, payload, client=self.client, extensions=extensions)
            size += len(data)
            parts.append(data)
        if self._close and not queue:
            parts.append(self._close)
            self._close = b""
        return b"".join(parts)

    @property
    def ripe(self) -> bool:
        """Whether so much waits that what can be written should be, before more is sent."""
        return self._queue_size >= WRITE_SIZE or len(self._queue) >= self._batch

    # Time

    def tick(self, now: float) -> None:
        """Do what time alone brings about: ping, and give up. Sets the next `deadline`, `inf` for none."""
        settings = self.settings
        self._now = now
        if self.phase is Phase.CLOSING and now >= self.deadline:
            self._move(Phase.CLOSED)
        elif self.phase is not Phase.OPEN:
            return
        elif self._pinged is not None and now >= self._pinged + settings.ping_timeout:
            self._blame(ProtocolError("no answer to a ping", code=FAILED))
        elif self._began is not None and now >= self._began + settings.message_timeout:
            self._blame(ProtocolError("a message took too long", code=REFUSED))
        elif self._pinged is None and settings.ping_interval and now >= self._heard + settings.ping_interval:
            self._pinged = now
            self._pongs.append(Frame(_PING, b"").serialize(mask=self.client))
        self._wait(now)

    def excuse(self, now: float) -> None:
        """Count the peer's silence from now: till now it was we who did not listen."""
        if self._began is not None:
            self._began += now - self._now
        self._now = self._heard = now
        self._pinged = None

    def _wait(self, now: float) -> None:
        """Set the deadline of an open connection: frames that come do not move it, `tick` looks at them."""
        if self.phase is not Phase.OPEN:
            return
        settings = self.settings
        ends = [math.inf]
        if self._pinged is not None:
            ends.append(self._pinged + settings.ping_timeout)
        elif settings.ping_interval:
            ends.append(max(now, self._heard + settings.ping_interval))
        if self._began is not None:
            ends.append(self._began + settings.message_timeout)
        self.deadline = min(ends)

    def _note_begin(self) -> None:
        """Note since when a message is under way: absolutely, so that no drip of bytes or fragments stretches it."""
        if not (self._inside or self._buffer or self._kind is not None):
            self._began = None
        elif self._began is None:
            self._began = self._now
            self.deadline = min(self.deadline, self._now + self.settings.message_timeout)

    # Inside

    def _move(self, phase: Phase) -> None:
        if phase not in _MOVES[self.phase]:
            raise StateError(f"a WebSocket cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase
        if phase is Phase.CLOSED:
            self.deadline = math.inf
            self._buffer.clear()
            self._message.clear()

    def _read_exact(self, count: int) -> Generator[None, None, bytearray]:
        buffer = self._buffer
        while len(buffer) < count:
            yield
        self._inside = True
        data = buffer[:count]
        del buffer[:count]
        return data

    def _read_frames(self) -> "Iterator[Frame | None]":
        """Give frame after frame, and None for as long as the next one is not there."""
        mask, extensions = not self.client, self._extensions
        while True:
            self._inside = False
            left = max(self.settings.max_size - len(self._message), MAX_CONTROL)
            if extensions:
                left += left // 256 + MAX_CONTROL  # what does not shrink grows a little when it is compressed
            yield (yield from Frame.parse(self._read_exact, mask=mask, max_size=left, extensions=extensions))

    def _next_short(self) -> bytes | str | None:
        """Return the message that the next frame is, if it is the common one and all there."""
        found = take_short(self._buffer, self.settings.max_size)
        if found is None:
            return None
        kind, data = found
        self.left -= 1 + len(data) // FRAME_SIZE
        self._heard = self._now
        self._pinged = self._began = None
        return str(data, "utf-8") if kind is _TEXT else data

    def _next_frame(self) -> "Frame | None":
        try:
            return next(self._frames)
        except exceptions.PayloadTooBig:
            raise ProtocolError("a frame is above the limit", code=TOO_BIG) from None
        except exceptions.ProtocolError as error:  # the library's fixed phrases, which quote nothing
            raise ProtocolError(str(error), code=BROKEN) from None

    def _receive(self, frame: "Frame") -> bytes | str | None:
        """Take a frame; return the message that it completes."""
        self._heard = self._now
        self._pinged = None
        kind, data = frame.opcode, frame.data
        if kind is _PING or kind is _PONG or kind is _CLOSE:
            self._receive_control(kind, data)
            return None
        if len(self._message) + len(data) > self.settings.max_size:
            raise ProtocolError("a message is above the limit", code=TOO_BIG)
        if (self._kind is None) is (kind is _CONT):
            raise ProtocolError("a fragment is out of place", code=BROKEN)
        if kind is _CONT or not frame.fin:
            return self._receive_fragment(frame)
        self._began = None
        return str(data, "utf-8") if kind is _TEXT else bytes(data)

    def _receive_fragment(self, frame: "Frame") -> bytes | str | None:
        """Add to the message, in one buffer: so any number of empty fragments takes no memory."""
        self._kind = kind = frame.opcode if self._kind is None else self._kind
        self._message += frame.data
        if kind is _TEXT:
            self._utf8.decode(frame.data, frame.fin)  # what is no text is refused before its end
        if not frame.fin:
            return None
        message = bytes(self._message)
        self._message.clear()
        self._kind = self._began = None
        return str(message, "utf-8") if kind is _TEXT else message

    def _receive_control(self, kind: "Opcode", data: bytes | bytearray | memoryview) -> None:
        if kind is _PING and self.phase is Phase.OPEN:
            del self._pongs[max(MAX_PONGS - 1 - self._ponged, 0) :]
            self._pongs.append(Frame(_PONG, data).serialize(mask=self.client))
        if kind is not _CLOSE:
            return
        try:
            code = Close.parse(bytes(data)).code
        except exceptions.ProtocolError as error:
            raise ProtocolError(str(error), code=BROKEN) from None
        self.close_code = int(code)
        self.heard_end = True
        if self.phase is Phase.OPEN:  # RFC 6455, section 5.5.1: the code goes back, what waits may go out before
            self._close = Frame(_CLOSE, bytes(data[:2])).serialize(mask=self.client)
        self._move(Phase.CLOSED)

    def _blame(self, error: ProtocolError) -> None:
        """End it for what the peer did or did not do (RFC 6455, section 7.1.7)."""
        self.error = error
        self._end(error.code or BROKEN, str(error))

    def _end(self, code: int, reason: str) -> None:
        if self.phase is Phase.OPEN:
            self._close = self._encode_close(code, reason)
        self._move(Phase.CLOSED)

    def _encode_close(self, code: int, reason: str) -> bytes:
        text = reason.encode("utf-8", "replace")[: MAX_CONTROL - 2].decode("utf-8", "ignore")
        try:
            return Frame(_CLOSE, Close(code, text).serialize()).serialize(mask=self.client)
        except exceptions.ProtocolError:
            raise StateError(f"{code} is no close code that may be sent") from None
