"""Replies to events: a welcome, a changed card, or nothing. One answer, within five seconds.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101027 (events), 101031 (what may answer which).
An event is no bubble: what is written to a card event goes out through its response_url.
"""

from collections.abc import Sequence

from rawbot.errors import StateError
from rawbot.event import MESSAGE, CancelReason
from rawbot.exchange import Pending
from rawbot.wecom.cards import Card, check_card
from rawbot.wecom.deliveries import LIFETIME, Deliveries
from rawbot.wecom.markdown import TEXT_LIMIT, clean, is_visible, shorten, with_notice
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
from rawbot.wecom.sealing import EMPTY
from rawbot.wecom.texts import WeComTexts

_ANSWERED = "the answer to this event was sent already, or its five seconds are over"

_NAMES: dict[type[Message], str] = {
    EnterChat: "enter_chat",
    CardEvent: "template_card_event",
    FeedbackEvent: "feedback_event",
}


class EventReply:
    """The reply to one event (`exchange.Reply`).

    enter_chat: `write` or `card` make the welcome. template_card_event: `update_card` changes the card and is sent at
    once; `write` goes out through the event's response_url when the handler returns, `follow_up` after that. Any other
    event may not be answered, and writing raises `StateError`.
    """

    __slots__ = (
        "_deliveries", "_expires_at", "_parts", "_pending", "_response_url", "_task_id", "_texts", "_type", "answer",
        "finished", "kind",
    )  # fmt: skip

    def __init__(self, event: Message, now: float, deliveries: Deliveries, texts: WeComTexts) -> None:
        self.kind = _kind(event)
        """The event's name, as the vendor spells it."""
        self.answer: bytes | None = None
        """The passive reply before encryption; None as long as it is open."""
        self.finished = False
        # not the event itself: replies are remembered for repetitions, and it holds all that was said
        self._type = type(event)
        self._task_id = event.task_id if isinstance(event, CardEvent) else ""
        self._response_url = event.response_url
        self._expires_at = now + LIFETIME
        self._deliveries = deliveries
        self._texts = texts
        self._parts: list[str] = []
        self._pending: list[Pending] = []

    def __repr__(self) -> str:
        return f"<EventReply to {self._type.__name__}>"

    @property
    def answerable(self) -> bool:
        """Whether the platform takes anything but an empty answer to this event."""
        return self._type in (EnterChat, CardEvent)

    @property
    def awaits_words(self) -> bool:
        """Whether the answer itself may be words: those after a card event keep nobody waiting."""
        return self._type is EnterChat

    @property
    def text(self) -> str:
        """All that was written so far; nothing of it is kept when the reply is finished."""
        return "".join(self._parts)

    def write(self, text: str) -> None:
        """Add to the welcome, or to what follows a card event.

        Raises `StateError` where it could not be shown: nothing is taken in to be lost.
        """
        if not self.answerable:
            raise StateError("this event may not be answered with anything")
        self._demand_open()
        if self._type is EnterChat and self.answer is not None:
            raise StateError(_ANSWERED)
        if self._type is CardEvent:
            self._deliveries.demand(self._response_url, expires_at=self._expires_at)
        self._parts.append(clean(text))

    def replace(self, text: str) -> None:
        """Write this text in place of all that was written before."""
        self._parts.clear()
        self.write(text)

    def card(self, card: Card) -> None:
        """Welcome with a card. Raises `CardError`, or `StateError` where no new card may come."""
        self._demand_open()
        if self._type is not EnterChat:
            raise StateError("only enter_chat is answered with a new card; a card event takes update_card")
        check_card(card)
        self._answer_with(encode_card(card))

    def update_card(self, card: Card, *, userids: Sequence[str] = ()) -> None:
        """Change the card whose button was pressed, for these users or, without any, for all who see it.

        The task_id must be that of the event. Raises `CardError`, or `StateError` when it is not a card event or the
        time for it is over.
        """
        self._demand_open()
        if self._type is not CardEvent:
            raise StateError("only a template_card_event is answered with a changed card")
        check_card(card)
        if card.get("task_id") != self._task_id:
            raise StateError("task_id: must be that of the card whose button was pressed")
        self._answer_with(encode_card_update(card, userids=userids))

    def finish(self) -> None:
        """End the reply as it is."""
        if self._type is CardEvent and is_visible(self.text):
            self._post(self.text)
        self.close()

    def fail(self) -> None:
        """End the reply after an exception; after a card event the user is told, a failed welcome is left out."""
        if not self.finished:
            self._parts = [with_notice(self.text, self._texts.failed)] if self._type is CardEvent else []
        self.finish()

    def cancel(self, reason: CancelReason) -> None:  # noqa: ARG002 - an event has no bubble to explain it in
        """End the reply because the handler was stopped."""
        self.finish()

    def follow_up(self, text: str) -> None:
        """Say something after a card event when the reply is finished: its response_url carries one message in all.

        Raises `StateError` where that cannot be.
        """
        if self._type is not CardEvent:
            raise StateError("nothing may follow this event but what answers it in time")
        if not self.finished or not is_visible(text):
            raise StateError("a reply is followed up when it is finished, by words that can be seen")
        self._deliveries.demand(self._response_url, expires_at=self._expires_at)
        self._post(clean(text))

    def time_out(self) -> bytes:
        """Return the answer as it is now; from here on it is the answer, whatever the handler does later."""
        if self.answer is None:
            welcome = self._type is EnterChat and is_visible(self.text)
            self.answer = encode_text(self._fit(self.text)) if welcome else EMPTY
        return self.answer

    def wait(self, pending: Pending) -> None:
        """Wake this request once the answer is there."""
        self._pending = [waiting for waiting in self._pending if not waiting.over]
        self._pending.append(pending)

    def close(self) -> None:
        """Fix the answer and wake who waits for it."""
        self.finished = True
        self.time_out()
        self._parts.clear()
        self._wake()

    def _fit(self, text: str) -> str:
        """Return as much of it as one message holds."""
        return text if len(text.encode()) <= TEXT_LIMIT else shorten(text, self._texts.cut)[0]

    def _post(self, text: str) -> None:
        url, self._response_url = self._response_url, ""  # it is good for one
        self._deliveries.post(url, encode_markdown(self._fit(text)), expires_at=self._expires_at)

    def _demand_open(self) -> None:
        if self.finished:
            raise StateError("this reply is finished")

    def _answer_with(self, answer: bytes) -> None:
        if self.answer is not None:
            raise StateError(_ANSWERED)
        self.answer = answer
        self._wake()

    def _wake(self) -> None:
        pending, self._pending = self._pending, []
        for waiting in pending:
            waiting.wake()


def _kind(event: Message) -> str:
    """Name an event. One that calls itself `message` must not be taken for what a user wrote."""
    name = event.name if isinstance(event, UnknownEvent) else _NAMES[type(event)]
    return "event" if name in ("", MESSAGE) else name
