"""All streams of one endpoint: found by id, counted, bounded, ended in time and forgotten.

Layer 3, pure. Streams live equally long in each of their two states, open and over, so that the queue of each is in the
order in which they leave it, and time-outs cost what they end and nothing else. A stream carries its own time, and one
plain dict finds it in both states: with an OrderedDict for each, which costs 0.17 µs to write to where a dict costs
0.07, and a tuple with the time, a stream held 980 bytes with its strings in place of 700.
"""

from collections import deque
from dataclasses import dataclass

from rawbot.errors import ConfigError
from rawbot.wecom.clock import SteadyClock
from rawbot.wecom.deliveries import Deliveries
from rawbot.wecom.frames import encode_waiting, prepare_waiting
from rawbot.wecom.markdown import TEXT_LIMIT, is_blank
from rawbot.wecom.messages import UserMessage
from rawbot.wecom.phases import OPEN, OVERDUE
from rawbot.wecom.settings import demand_count, demand_lifetime, demand_text
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

POLLING_ENDS = 360.0
"""Seconds after the message at which the platform stops asking (doc 100719)."""

AHEAD = 16
"""First frames that are known at a time: more would save little, and one message waits for all of them (18 µs)."""

SLACK = 256
"""Ids that may stay in the watchdog's queue after their streams' end, beside as many as are open, before an end behind
the front has it swept."""


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
        self.waiting_frame = prepare_waiting(voice.waiting)
        self.feedback = voice.feedback
        self.deliveries = deliveries
        self.max_text_bytes = limits.max_text_bytes
        self.bytes_held = 0
        self.unsettled = 0
        """Streams whose last frame the platform has not fetched."""
        self.finished = 0
        self.expired = 0
        """How many bubbles have ended with their handler, and by the watchdog."""
        self._boot_id = boot_id
        self._watchdog = limits.watchdog
        self._keep = limits.keep
        self._max_streams = limits.max_streams
        self._max_bytes = limits.max_bytes
        self._opened = 0
        self.open_streams = 0
        """How many bubbles are open at present."""
        self._streams: dict[str, Stream] = {}
        self._begun: deque[str] = deque()
        """The watchdog's queue of ids: all that are open, and some that have ended since."""
        self._over: deque[Stream] = deque()
        """By the time at which they are forgotten."""
        self._in_flight: dict[str, int] = {}
        self._clock = SteadyClock()
        self._now = 0.0

    def __len__(self) -> int:
        """Count the streams held, open and over."""
        return len(self._streams)

    def new_id(self) -> str:
        """Return an id that no other stream of this or any other process has."""
        self._opened += 1
        return f"{self._boot_id}-{self._opened:x}"

    def coming_frames(self) -> list[bytes]:
        """Return what the next streams will say at first, if they have no more to say than that they wait."""
        begin = self._opened + 1
        ids = (f"{self._boot_id}-{number:x}" for number in range(begin, begin + AHEAD))
        return [encode_waiting(stream_id, self.waiting_frame) for stream_id in ids]

    def open(self, message: UserMessage, now: float) -> Stream | None:
        """Open the stream that answers a message; None when there is no room."""
        full = len(self._streams) >= self._max_streams or self.bytes_held >= self._max_bytes
        if full and not self._make_room(1, 1):
            return None
        due_at = self._clock.read(now) + self._watchdog
        stream = Stream(self.new_id(), message, now, self, due_at=due_at)
        self._streams[stream.id] = stream
        self._begun.append(stream.id)
        self.open_streams += 1
        sender = stream.sender
        self._in_flight[sender] = self._in_flight.get(sender, 0) + 1
        self.unsettled += 1
        return stream

    def get(self, stream_id: str, now: float) -> Stream | None:
        """Return the stream with this id, open or over."""
        stream = self._streams.get(stream_id)
        if stream is None or (stream.phase is not OPEN and stream.due_at <= self._clock.read(now)):
            return None
        return stream

    def in_flight(self, sender: str) -> int:
        """Count this sender's open streams. The platform allows three (doc 100719)."""
        return self._in_flight.get(sender, 0)

    def tick(self, now: float) -> None:
        """End the bubbles whose time is up and forget the streams that nobody will ask for."""
        self._now = self._clock.read(now)
        while self._begun:
            stream = self._streams.get(self._begun[0])
            if stream is not None and stream.phase is OPEN and stream.due_at > self._now:
                break
            self._begun.popleft()
            if stream is not None:
                stream.expire()
        while self._over and self._over[0].due_at <= self._now:
            self._drop_oldest()

    def hold(self, added: int) -> bool:
        """Note that an open stream holds so many bytes more, or less; False, and nothing noted, if there is no room."""
        held = self.bytes_held + added
        if held > self._max_bytes and added > 0:
            if not self._make_room(0, added):
                return False
            held = self.bytes_held + added
        self.bytes_held = held
        return True

    def end(self, stream: Stream) -> None:
        """Note that the bubble is over."""
        if stream.phase is OVERDUE:
            self.expired += 1
        else:
            self.finished += 1
        self.open_streams -= 1
        left = self._in_flight[stream.sender] - 1
        if left:
            self._in_flight[stream.sender] = left
        else:
            del self._in_flight[stream.sender]
            if not self._in_flight:
                self._in_flight.clear()  # for the same reason as `_streams`
        stream.due_at = self._now + self._keep
        self._over.append(stream)
        if self._begun and self._begun[0] == stream.id:
            self._begun.popleft()
        elif len(self._begun) > 2 * self.open_streams + SLACK:
            self._sweep()

    def settle(self, stream: Stream) -> None:
        """Note that the platform has fetched the last frame: what follows it may go."""
        self.unsettled -= 1
        self.deliveries.release(stream.id)

    def _sweep(self) -> None:
        """Take those out of the watchdog's queue that have ended: they came out of turn, and one in front is open."""
        held = self._streams
        self._begun = deque(i for i in self._begun if (stream := held.get(i)) is not None and stream.phase is OPEN)

    def _make_room(self, streams: int, size: int) -> bool:
        """Forget the oldest that are over till there is room for so many more streams and bytes; tell if there is."""
        while len(self._streams) + streams > self._max_streams or self.bytes_held + size > self._max_bytes:
            if not self._over:
                return False
            self._drop_oldest()
        return True

    def _drop_oldest(self) -> None:
        stream = self._over.popleft()
        del self._streams[stream.id]
        if not self._streams:
            self._streams.clear()  # it keeps its size else: 10 MB after 200,000 streams
        self.bytes_held -= stream.release()
        if not stream.settled:
            stream.settled = True
            self.settle(stream)
