"""An event on its way to everybody: encoded once, and shared.

Layer 3, pure. Source: OneBot 12, connect/communication: events go out as JSON, save in the answer to
get_latest_events, which has the encoding of its request.
"""

from typing import Protocol

from rawbot.exchange import EncodedText
from rawbot.onebot.codec import JSON
from rawbot.onebot.events import OneBotEvent, encode_event


class Broadcast:
    """One event, as an object and, once somebody asks for it, as text."""

    __slots__ = ("_text", "event", "is_meta", "value")

    def __init__(self, event: OneBotEvent) -> None:
        self.event = event
        self.value = encode_event(event)
        self.is_meta = event.type == "meta"
        self._text: EncodedText | None = None

    def __repr__(self) -> str:
        return f"<Broadcast {self.event.type}.{self.event.detail_type}>"

    @property
    def text(self) -> EncodedText:
        """The event in JSON. Raises `ActionError` for values that it has no form for."""
        if self._text is None:
            self._text = EncodedText(JSON.encode(self.value))
        return self._text


class Sink(Protocol):
    """Where events go: a connection, or a buffer."""

    def push(self, broadcast: Broadcast) -> None:
        """Take an event; never waits, and raises nothing."""

    def listens(self, now: float) -> bool:
        """Tell whether an application seems to be there."""
