"""Replies to events: a welcome, a changed card, or nothing. One answer, within five seconds.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101027 (events), 101031 (what may answer which).
An event is no bubble: what is written to a card event goes out through its response_url.
"""

from collections.abc import Sequence

from rawbot.errors import StateError
from rawbot.exchange import Pending
from rawbot.wecom.cards import Card, check_card
from rawbot.wecom.deliveries import LIFETIME, Deliveries
from rawbot.wecom.markdown import TEXT_LIMIT, clean, is_visible, split
from rawbot.wecom.messages import (
    CardEvent,
    EnterChat,
    FeedbackEvent,
    Message,
    UnknownEvent,
    encode_card,
    encode_card_update,
    encode_markdown,
    encode_text,
)
from rawbot.wecom.texts import WeComTexts

EMPTY = b""
"""The answer that says nothing: 200 with an empty body."""

_NAMES: dict[type[Message], str] = {
    EnterChat: "enter_chat",
    CardEvent: "template_card_event",
    FeedbackEvent: "feedback_event",
}


class EventReply:
    """The reply to one event (`exchange.Reply`).

    enter_chat: `write` or `card` make the welcome. template_card_event: `update_card` changes the card and is sent at
    once; `write` goes out through the event's response_url when the handler returns. Any other event may not be
    answered, and writing raises `StateError`.
    """

    __slots__ = ("_deliveries", "_event", "_now", "_parts", "_pending", "_texts", "answer", "finished")

    def __init__(self, event: Message, now: float, deliveries: Deliveries, texts: WeComTexts) -> None:
        self.answer: bytes | None = None
        """The passive reply before encryption; None as long as it is open."""
        self.finished = False
        self._event = event
        self._now = now
        self._deliveries = deliveries
        self._texts = texts
        self._parts: list[str] = []
        self._pending: list[Pending] = []

    def __repr__(self) -> str:
        return f"<EventReply to {type(self._event).__name__}>"

    @property
    def answerable(self) -> bool:
        """Whether the platform takes anything but an empty answer to this event."""
        return isinstance(self._event, EnterChat | CardEvent)

    @property
    def kind(self) -> str:
        """The event's name, as the vendor spells it."""
        if isinstance(self._event, UnknownEvent):
            return self._event.name
        return _NAMES[type(self._event)]

    @property
    def text(self) -> str:
        """All that was written so far."""
        return "".join(self._parts)

    def write(self, text: str) -> None:
        """Add to the welcome, or to what follows a card event."""
        self._demand_open()
        if not self.answerable:
            raise StateError("this event may not be answered with anything")
        self._parts.append(clean(text))

    def replace(self, text: str) -> None:
        """Write this text in place of all that was written before."""
        self._demand_open()
        self._parts.clear()
        self.write(text)

    def card(self, card: Card) -> None:
        """Welcome with a card. Raises `CardError`, or `StateError` where no new card may come."""
        self._demand_open()
        if not isinstance(self._event, EnterChat):
            raise StateError("only enter_chat is answered with a new card; a card event takes update_card")
        check_card(card)
        self._answer_with(encode_card(card))

    def update_card(self, card: Card, userids: Sequence[str] = ()) -> None:
        """Change the card whose button was pressed, for these users or, without any, for all who see it.

        The task_id must be that of the event. Raises `CardError`, or `StateError` when it is not a card event or the
        time for it is over.
        """
        self._demand_open()
        if not isinstance(self._event, CardEvent):
            raise StateError("only a template_card_event is answered with a changed card")
        check_card(card)
        if card.get("task_id") != self._event.task_id:
            raise StateError("task_id: must be that of the card whose button was pressed")
        self._answer_with(encode_card_update(card, userids))

    def finish(self) -> None:
        """End the reply as it is."""
        if self.finished:
            return
        text = self.text
        if isinstance(self._event, EnterChat) and self.answer is None and is_visible(text):
            self.answer = encode_text(split(text, TEXT_LIMIT)[0])
        elif isinstance(self._event, CardEvent) and is_visible(text):
            body = encode_markdown(split(text, TEXT_LIMIT)[0])
            self._deliveries.post(self._event.response_url, body, expires_at=self._now + LIFETIME)
        self.close()

    def fail(self) -> None:
        """End the reply after an exception; after a card event the user is told, a failed welcome is left out."""
        if isinstance(self._event, CardEvent) and not self.finished:
            self._parts.append(f"\n\n{self._texts.failed}" if self._parts else self._texts.failed)
        elif not self.finished:
            self._parts.clear()
        self.finish()

    def cancel(self, *, shutdown: bool = False) -> None:  # noqa: ARG002 - an event has no bubble to explain it in
        """End the reply because the handler was stopped."""
        self.finish()

    def time_out(self) -> bytes:
        """Return the answer as it is now; from here on it is the answer, whatever the handler does later."""
        if self.answer is None and isinstance(self._event, EnterChat) and is_visible(self.text):
            self.answer = encode_text(split(self.text, TEXT_LIMIT)[0])
        if self.answer is None:
            self.answer = EMPTY
        return self.answer

    def wait(self, pending: Pending) -> None:
        """Wake this request once the answer is there."""
        self._pending = [waiting for waiting in self._pending if not waiting.over]
        self._pending.append(pending)

    def close(self) -> None:
        """Fix the answer and wake who waits for it."""
        self.finished = True
        if self.answer is None:
            self.answer = EMPTY
        self._wake()

    def _demand_open(self) -> None:
        if self.finished:
            raise StateError("this reply is finished")

    def _answer_with(self, answer: bytes) -> None:
        if self.answer is not None:
            raise StateError("the answer to this event was sent already, or its five seconds are over")
        self.answer = answer
        self._wake()

    def _wake(self) -> None:
        pending, self._pending = self._pending, []
        for waiting in pending:
            waiting.wake()
