"""All streams of one endpoint: found by id, counted, bounded, ended in time and forgotten.

Layer 3, pure. Streams live equally long in each of their two places, open and over, so both are in the order in which
they leave it, and time-outs cost what they end and nothing else.
"""

from collections import OrderedDict

from rawbot.errors import ConfigError
from rawbot.expiring import ExpiringDict
from rawbot.wecom.deliveries import Deliveries
from rawbot.wecom.markdown import TEXT_LIMIT
from rawbot.wecom.messages import UserMessage
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

POLLING_ENDS = 360.0
"""Seconds after the message at which the platform stops asking (doc 100719)."""


class StreamTable:
    """Opens streams and keeps them till nobody can ask for them any more.

    `watchdog`: seconds after which an open stream's bubble is ended. `keep`: seconds for which one that is over is
    still answered for; at least the six minutes of polling. At most `max_streams` are held, and `max_bytes` of text
    and pictures: the oldest that are over go first, and when only open ones are left, `open` refuses.
    `boot_id` makes the ids of this process its own.
    """

    def __init__(
        self,
        *,
        boot_id: str,
        texts: WeComTexts,
        waiting: str,
        deliveries: Deliveries,
        feedback: bool,
        watchdog: float,
        keep: float,
        max_streams: int,
        max_bytes: int,
        max_text_bytes: int,
    ) -> None:
        if not 0 < watchdog < POLLING_ENDS:
            raise ConfigError(f"watchdog must lie below the {POLLING_ENDS:.0f} s after which polling ends")
        if keep < POLLING_ENDS:
            raise ConfigError(f"keep must be at least the {POLLING_ENDS:.0f} s for which the platform may ask")
        if max_text_bytes < 2 * TEXT_LIMIT:
            raise ConfigError(f"max_text_bytes must hold a bubble and its continuation: {2 * TEXT_LIMIT}")
        if max_streams < 1 or max_bytes < max_text_bytes:
            raise ConfigError("max_streams and max_bytes must leave room for one stream at least")
        self.texts = texts
        self.waiting = waiting
        self.deliveries = deliveries
        self.max_text_bytes = max_text_bytes
        self.bytes_held = 0
        self.unsettled = 0
        """Streams whose last frame the platform has not fetched."""
        self._boot_id = boot_id
        self._feedback = feedback
        self._watchdog = watchdog
        self._max_streams = max_streams
        self._max_bytes = max_bytes
        self._opened = 0
        self._open: OrderedDict[str, tuple[float, Stream]] = OrderedDict()
        self._over: ExpiringDict[str, Stream] = ExpiringDict(keep, max_streams, on_drop=self._forget)
        self._in_flight: dict[str, int] = {}
        self._now = 0.0

    def __len__(self) -> int:
        """Count the streams held, open and over."""
        return len(self._open) + len(self._over)

    @property
    def open_streams(self) -> int:
        """How many bubbles are open at present."""
        return len(self._open)

    def new_id(self) -> str:
        """Return an id that no other stream of this or any other process has."""
        self._opened += 1
        return f"{self._boot_id}-{self._opened:x}"

    def open(self, message: UserMessage, now: float) -> Stream | None:
        """Open the stream that answers a message; None when there is no room."""
        self._make_room()
        if len(self) >= self._max_streams or self.bytes_held >= self._max_bytes:
            return None
        stream = Stream(self.new_id(), message, now, self, feedback=self._feedback)
        self._open[stream.id] = (now, stream)
        self._in_flight[stream.sender] = self._in_flight.get(stream.sender, 0) + 1
        self.unsettled += 1
        return stream

    def get(self, stream_id: str, now: float) -> Stream | None:
        """Return the stream with this id, open or over."""
        entry = self._open.get(stream_id)
        return entry[1] if entry is not None else self._over.get(stream_id, now)

    def in_flight(self, sender: str) -> int:
        """Count this sender's open streams. The platform allows three (doc 100719)."""
        return self._in_flight.get(sender, 0)

    def tick(self, now: float) -> None:
        """End the bubbles whose time is up and forget the streams that nobody will ask for."""
        self._now = now
        while self._open:
            opened_at, stream = self._open[next(iter(self._open))]
            if opened_at + self._watchdog > now:
                break
            stream.expire()
        self._over.expire(now)

    def resize(self, added: int) -> None:
        """Note that a stream holds so many bytes more, or less."""
        self.bytes_held += added
        if self.bytes_held > self._max_bytes:
            self._make_room()

    def end(self, stream: Stream) -> None:
        """Note that the bubble is over."""
        del self._open[stream.id]
        left = self._in_flight[stream.sender] - 1
        if left:
            self._in_flight[stream.sender] = left
        else:
            del self._in_flight[stream.sender]
        self._over.set(stream.id, stream, self._now)

    def settle(self, _stream: Stream) -> None:
        """Note that the platform has fetched the last frame."""
        self.unsettled -= 1

    def _make_room(self) -> None:
        while len(self._over) and (len(self) >= self._max_streams or self.bytes_held >= self._max_bytes):
            self._over.drop_oldest()

    def _forget(self, _stream_id: str, stream: Stream) -> None:
        self.bytes_held -= stream.release()
        if not stream.settled:
            stream.settled = True
            self.unsettled -= 1
