"""An event on its way to everybody: encoded once, and shared.

Layer 3, pure. Source: OneBot 12, connect/communication: events go out as JSON, save in the answer to
get_latest_events, which has the encoding of its request. Another version of the standard has another form.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from rawbot.exchange import EncodedText
from rawbot.onebot.codec import JSON
from rawbot.onebot.events import OneBotEvent, encode_event

K = TypeVar("K")


class Broadcast:
    """One event, as an object and, once somebody asks for it, as text."""

    __slots__ = ("_forms", "_text", "event", "is_meta", "value")

    def __init__(self, event: OneBotEvent) -> None:
        self.event = event
        self.value = encode_event(event)
        self.is_meta = event.type == "meta"
        self._text: EncodedText | None = None
        self._forms: dict[object, EncodedText | None] | None = None

    def __repr__(self) -> str:
        return f"<Broadcast {self.event.type}.{self.event.detail_type}>"

    @property
    def text(self) -> EncodedText:
        """The event in JSON. Raises `ActionError` for values that it has no form for."""
        if self._text is None:
            self._text = EncodedText(JSON.encode(self.value))
        return self._text

    def form(self, key: K, encode: Callable[[OneBotEvent, K], EncodedText | None]) -> EncodedText | None:
        """Return the event in another form, which `encode` makes of it and this key when it is first asked for.

        None stands for an event that this form has no words for.
        """
        if self._forms is None:
            self._forms = {}
        if key not in self._forms:
            self._forms[key] = encode(self.event, key)
        return self._forms[key]


class Sink(Protocol):
    """Where events go: a connection, or a buffer."""

    def push(self, broadcast: Broadcast) -> None:
        """Take an event; never waits, and raises nothing."""

    def listens(self, now: float) -> bool:
        """Tell whether an application seems to be there."""
