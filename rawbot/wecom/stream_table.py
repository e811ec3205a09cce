"""All streams of one endpoint: found by id, counted, bounded, ended in time and forgotten.

Layer 3, pure. Streams live equally long in each of their two places, open and over, so both are in the order in which
they leave it, and time-outs cost what they end and nothing else.
"""

from collections import OrderedDict
from dataclasses import dataclass

from rawbot.errors import ConfigError
from rawbot.expiring import ExpiringDict
from rawbot.wecom.clock import SteadyClock
from rawbot.wecom.deliveries import Deliveries
from rawbot.wecom.markdown import TEXT_LIMIT, is_blank
from rawbot.wecom.messages import UserMessage
from rawbot.wecom.settings import demand_count, demand_lifetime, demand_text
from rawbot.wecom.streams import Phase, Stream
from rawbot.wecom.texts import WeComTexts

POLLING_ENDS = 360.0
"""Seconds after the message at which the platform stops asking (doc 100719)."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long streams live and how much they may hold."""

    watchdog: float
    """Seconds after which an open stream's bubble is ended with a notice, before the platform gives it up."""
    keep: float
    """Seconds for which one that is over is still answered for; at least the six minutes of polling."""
    max_streams: int
    """Streams held, open and over. The oldest that are over go first; with only open ones left, none is opened."""
    max_bytes: int
    """Text and pictures held by all of them. The same happens at this bound, and replies take in no more and say so."""
    max_text_bytes: int
    """Text that one reply takes in; more than a bubble and its continuation is never shown."""

    def __post_init__(self) -> None:
        if not demand_lifetime("watchdog", self.watchdog) < POLLING_ENDS:
            raise ConfigError(f"watchdog must lie below the {POLLING_ENDS:.0f} s after which polling ends")
        if not demand_lifetime("keep", self.keep) >= POLLING_ENDS:
            raise ConfigError(f"keep must be at least the {POLLING_ENDS:.0f} s for which the platform may ask")
        demand_count("max_streams", self.max_streams)
        demand_count("max_text_bytes", self.max_text_bytes, least=2 * TEXT_LIMIT, why="a bubble and its continuation")
        demand_count("max_bytes", self.max_bytes, least=self.max_text_bytes, why="room for one stream's text")


@dataclass(frozen=True, slots=True)
class Voice:
    """What users see without the bot: `texts`, a bubble that is `waiting` for it, whether `feedback` is asked for."""

    texts: WeComTexts
    waiting: str
    feedback: bool

    def __post_init__(self) -> None:
        if not isinstance(self.texts, WeComTexts):
            raise ConfigError(f"texts is a WeComTexts, not {type(self.texts).__name__}")
        if is_blank(demand_text("waiting", self.waiting)) and "<think>" not in self.waiting:
            raise ConfigError("waiting must show something: an empty text may blank the bubble")


class StreamTable:
    """Opens streams and keeps them till nobody can ask for them any more.

    `boot_id` makes the ids of this process its own.
    """

    def __init__(self, boot_id: str, limits: StreamLimits, voice: Voice, deliveries: Deliveries) -> None:
        self.texts = voice.texts
        self.waiting = voice.waiting
        self.deliveries = deliveries
        self.max_text_bytes = limits.max_text_bytes
        self.bytes_held = 0
        self.unsettled = 0
        """Streams whose last frame the platform has not fetched."""
        self.finished = 0
        self.expired = 0
        """How many bubbles have ended with their handler, and by the watchdog."""
        self._boot_id = boot_id
        self._feedback = voice.feedback
        self._watchdog = limits.watchdog
        self._max_streams = limits.max_streams
        self._max_bytes = limits.max_bytes
        self._opened = 0
        self._open: OrderedDict[str, Stream] = OrderedDict()
        self._over: ExpiringDict[str, Stream] = ExpiringDict(limits.keep, limits.max_streams, on_drop=self._forget)
        self._in_flight: dict[str, int] = {}
        self._clock = SteadyClock()
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
        if not self._make_room(1, 1):
            return None
        opened_at = self._clock.read(now)
        stream = Stream(self.new_id(), message, now, self, opened_at=opened_at, feedback=self._feedback)
        self._open[stream.id] = stream
        self._in_flight[stream.sender] = self._in_flight.get(stream.sender, 0) + 1
        self.unsettled += 1
        return stream

    def get(self, stream_id: str, now: float) -> Stream | None:
        """Return the stream with this id, open or over."""
        return self._open.get(stream_id) or self._over.get(stream_id, self._clock.read(now))

    def in_flight(self, sender: str) -> int:
        """Count this sender's open streams. The platform allows three (doc 100719)."""
        return self._in_flight.get(sender, 0)

    def tick(self, now: float) -> None:
        """End the bubbles whose time is up and forget the streams that nobody will ask for."""
        self._now = self._clock.read(now)
        while self._open:
            stream = self._open[next(iter(self._open))]
            if stream.opened_at + self._watchdog > self._now:
                break
            stream.expire()
        self._over.expire(self._now)

    def hold(self, added: int) -> bool:
        """Note that an open stream holds so many bytes more, or less; False, and nothing noted, if there is no room."""
        if added > 0 and not self._make_room(0, added):
            return False
        self.bytes_held += added
        return True

    def end(self, stream: Stream) -> None:
        """Note that the bubble is over."""
        if stream.phase is Phase.OVERDUE:
            self.expired += 1
        else:
            self.finished += 1
        del self._open[stream.id]
        left = self._in_flight[stream.sender] - 1
        if left:
            self._in_flight[stream.sender] = left
        else:
            del self._in_flight[stream.sender]
        self._over.set(stream.id, stream, self._now)

    def settle(self, stream: Stream) -> None:
        """Note that the platform has fetched the last frame: what follows it may go."""
        self.unsettled -= 1
        self.deliveries.release(stream.id)

    def _make_room(self, streams: int, size: int) -> bool:
        """Forget the oldest that are over till there is room for so many more streams and bytes; tell if there is."""
        while len(self) + streams > self._max_streams or self.bytes_held + size > self._max_bytes:
            if not len(self._over):
                return False
            self._over.drop_oldest()
        return True

    def _forget(self, _stream_id: str, stream: Stream) -> None:
        self.bytes_held -= stream.release()
        if not stream.settled:
            stream.settled = True
            self.settle(stream)
