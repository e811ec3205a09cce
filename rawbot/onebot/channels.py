"""One WebSocket between the implementation and an application, whoever opened it: events out, actions in.

Layer 3, pure. Source: OneBot 12, connect/communication/websocket and websocket-reverse. The first event is connect, the
second tells how all bots are, and then come the others in order. Events are JSON text; an action request is JSON in a
text and MessagePack in bytes, and its response is as the request.

Responses go out before events that wait, and are never dropped. Of events that an application is too slow for, the
oldest are dropped and counted; so `emit` never waits.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from rawbot.event import Event
from rawbot.exchange import Channel, EncodedText
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON, MSGPACK
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.retcodes import BAD_REQUEST, ActionError

MAX_OWED = 64 * 1024
"""Bytes of responses that wait for an application that does not read, beyond which no request of its is taken."""


class OneBotChannel(Channel):
    """A connection to one application. `opened_in` holds it for as long as it is open."""

    patient = True

    def __init__(
        self, implementation: Implementation, *, max_queue_bytes: int, opened_in: "set[OneBotChannel] | None" = None
    ) -> None:
        self.dropped = 0
        """How many events the application was too slow for."""
        self._implementation = implementation
        self._performer = implementation.performer
        self._max_queue_bytes = max_queue_bytes
        self._opened_in = set() if opened_in is None else opened_in
        self._responses: deque[bytes] = deque()
        """What goes first and is never dropped, the greetings as well."""
        self._events: deque[EncodedText] = deque()
        self._queued = 0
        self._owed = 0
        """Bytes of responses that wait."""
        self._called = False
        self._over = False

    def opened(self, now: float) -> None:  # noqa: ARG002 - a channel's shape
        """Begin with connect and status_update; whatever is emitted from now on comes behind."""
        self._opened_in.add(self)
        for broadcast in self._implementation.greetings():
            self._respond(broadcast.text)
        self._implementation.join(self)

    def receive(self, message: bytes | str, now: float) -> Sequence[Event]:  # noqa: ARG002 - a channel's shape
        """Carry out an action request."""
        codec = JSON if isinstance(message, str) else MSGPACK
        if codec is None:
            error = ActionError(BAD_REQUEST, "MessagePack is not spoken here: the extra msgpack is not installed")
            self._respond(EncodedText(self._performer.refuse(error, None, JSON)))
            return ()
        tell = self._tell if codec.binary else self._tell_text
        self._called = True
        try:
            request = self._performer.read(message, codec)
            if isinstance(request, bytes):
                tell(request)
                return ()
            event = self._performer.perform(request, codec, tell)
        finally:
            self._called = False
        return () if event is None else (event,)

    def push(self, broadcast: Broadcast) -> None:
        """Let an event go out."""
        self._queue(broadcast.text)

    def _queue(self, text: EncodedText) -> None:
        self._events.append(text)
        self._queued += len(text)
        while self._queued > self._max_queue_bytes and len(self._events) > 1:  # a single one may be larger
            self._queued -= len(self._events.popleft())
            self.dropped += 1
            self._implementation.dropped += 1
        self._flush()

    @property
    def hears_on(self) -> bool:  # type: ignore[override] # a channel's is an attribute, this one looks at what it owes
        """Whether requests are taken while the application does not read: as long as little waits for it."""
        return self._owed < MAX_OWED

    def listens(self, now: float) -> bool:  # noqa: ARG002 - a sink's shape
        """Tell that the application is there."""
        return True

    def to_send(self) -> Iterator[bytes]:
        """Yield what is to be sent, responses first, each once."""
        responses, events = self._responses, self._events
        while responses or events:
            if responses:
                response = responses.popleft()
                self._owed -= len(response)
                yield response
            else:
                text = events.popleft()
                self._queued -= len(text)
                yield text

    def closed(self, code: int, now: float) -> None:  # noqa: ARG002 - a channel's shape
        """Let no more events come; what handlers still answer goes nowhere."""
        self._over = True
        self._opened_in.discard(self)
        self._implementation.leave(self)
        self._responses.clear()
        self._events.clear()

    def _tell_text(self, data: bytes) -> None:
        self._tell(EncodedText(data))

    def _tell(self, data: bytes) -> None:
        if not self._over:
            self._respond(data)
            self._flush()

    def _respond(self, data: bytes) -> None:
        self._responses.append(data)
        self._owed += len(data)

    def _flush(self) -> None:
        if self.on_ready is not None and not self._called:
            self.on_ready()
