"""One answer bubble: a snapshot of the whole text so far, which the platform polls and the bot writes.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101031 and 100719: a reply's content replaces what the
bubble shows; the platform polls till `finish`, for six minutes at the most.

A stream is not a queue. However often the bot writes and however seldom the platform asks, a refresh gets the newest
text in O(1); asked again it gets the same or a newer one, never an older one and never an empty one.

          write, replace, …             finish, fail, cancel
    OPEN ─────────────────▶ OPEN ──────────────────────────────▶ CLOSED
      │ overdue (the watchdog: the bubble ends with a notice)        ▲
      ▼                          finish, fail, cancel                │
    OVERDUE ──────────────────────────────────────────────────────────
              (what is new since then goes out through response_url, once the notice was fetched)
"""

from collections.abc import Sequence
from typing import Protocol

from rawbot.errors import StateError
from rawbot.event import CancelReason
from rawbot.exchange import Pending
from rawbot.wecom.cards import Card
from rawbot.wecom.deliveries import LIFETIME, Deliveries
from rawbot.wecom.enclosures import Enclosures, check_images, encoded_size
from rawbot.wecom.frames import encode_waiting, encode_words
from rawbot.wecom.markdown import (
    TEXT_LIMIT,
    clean,
    is_blank,
    is_visible,
    prefix,
    shorten,
    split,
    unseen,
    with_notice,
    without_thought,
)
from rawbot.wecom.messages import UserMessage, encode_card, encode_markdown, encode_stream
from rawbot.wecom.phases import CLOSED, MOVES, OPEN, OVERDUE, Phase
from rawbot.wecom.texts import WeComTexts

SHORT = TEXT_LIMIT // 4
"""Characters that fit into a bubble whatever they are: no character has more than four bytes."""

_FINISHED = "this reply is finished"
_NOTHING = Enclosures()
"""What most replies enclose; never written to."""


class Owner(Protocol):
    """What a stream needs of the table that holds it."""

    texts: WeComTexts
    waiting: str
    waiting_frame: str
    """The same, as `prepare_waiting` returns it."""
    feedback: bool
    deliveries: Deliveries
    max_text_bytes: int

    def hold(self, added: int) -> bool:
        """Note that an open stream holds so many bytes more, or less; False, and nothing noted, if there is no room."""

    def end(self, stream: "Stream") -> None:
        """Note that the bubble is over, as far as the platform is concerned."""

    def settle(self, stream: "Stream") -> None:
        """Note that the platform has fetched the last frame."""


class Stream:
    """The reply to one user message (`exchange.Reply`), and the bubble that shows it."""

    __slots__ = (
        "_bytes", "_cut", "_enclosed", "_expires_at", "_final", "_held", "_message_id", "_news", "_owner", "_parts",
        "_response_url", "_seen_by", "_shown", "_single", "_text", "_unshown", "_waiters", "due_at", "id", "phase",
        "sender", "settled",
    )  # fmt: skip

    def __init__(self, stream_id: str, message: UserMessage, now: float, owner: Owner, *, due_at: float) -> None:
        self.id = stream_id
        self.sender = message.sender
        self.phase = OPEN
        self.settled = False
        self.due_at = due_at
        """When the owner has to do something about it: end its bubble, and afterwards forget it."""
        self._owner = owner
        self._message_id = message.msgid
        self._response_url = message.response_url
        self._single = message.chattype != "group"
        self._expires_at = now + LIFETIME
        # Empty tuples and None, not lists: a quiet stream is one object to the garbage collector instead of four, and
        # a full collection over 48,000 of them takes 60 ms instead of 91.
        self._parts: list[str] | tuple[()] = ()
        """What was written since the text was last looked at."""
        self._waiters: tuple[tuple[Pending, bool], ...] = ()
        self._enclosed: Enclosures | None = None
        self._text = self._final = self._shown = self._unshown = self._seen_by = ""
        self._bytes = self._held = 0
        self._cut = False
        self._news = True

    def __repr__(self) -> str:
        return f"<Stream {self.id} {self.phase.name}>"

    # The bot's side

    @property
    def text(self) -> str:
        """All that was written so far."""
        if self._parts:
            self._text += "".join(self._parts)
            self._parts = ()
        return self._text

    @property
    def finished(self) -> bool:
        """Whether nothing more can be written."""
        return self.phase is CLOSED

    @property
    def overdue(self) -> bool:
        """Whether the bubble has ended before the handler: what is written now goes out through response_url."""
        return self.phase is OVERDUE

    def write(self, text: str) -> None:
        """Add to the end of what the user sees."""
        if self.phase is CLOSED:
            raise StateError(_FINISHED)
        if self._append(text):
            self._changed()

    def replace(self, text: str) -> None:
        """Let the user see this text in place of all that was written before."""
        self._demand_open()
        self._text, self._parts = "", ()
        self._hold(-self._bytes)
        self._bytes = 0
        self._cut = False
        self._append(text)
        self._changed()

    @property
    def illustrated(self) -> bool:
        """Whether there is a picture or a card."""
        return (self._enclosed or _NOTHING).shown

    def attach_image(self, data: bytes) -> None:
        """Show a picture (JPG or PNG, at most 10 MB, at most 10 of them) when the reply is finished.

        Raises `StateError` for anything else. Once the reply is `overdue` a picture cannot be shown any more, since a
        response_url carries none; the user is told so, as when the endpoint holds its `max_bytes` already.
        """
        self.attach_images((data,))

    def attach_images(self, images: Sequence[bytes]) -> None:
        """Show several: all of them, or `StateError` and none."""
        self._demand_open()
        check_images(images, beside=len((self._enclosed or _NOTHING).images))
        enclosed = self._enclosed = self._enclosed or Enclosures()
        for data in images:
            if self.phase is OVERDUE or not self._hold(encoded_size(data)):
                enclosed.pictures_lost = True
            else:
                enclosed.add_image(data)

    def card(self, card: Card) -> None:
        """Show a card with the next frame; one per reply. Raises `CardError` or `StateError`.

        Once the reply is `overdue` a card goes out alone, in single chats, when no words do; else the user is told.
        """
        self._demand_open()
        self._enclosed = self._enclosed or Enclosures()
        self._enclosed.set_card(card, late=self.phase is OVERDUE)
        self._changed()

    def finish(self) -> None:
        """End the reply as it is; the user sees at least a short sentence."""
        self._close("")

    def fail(self) -> None:
        """End the reply after an exception in the handler; the user is told that it went wrong."""
        self._close(self._owner.texts.failed)

    def cancel(self, reason: CancelReason) -> None:
        """End the reply because the handler was stopped, or never started; the user is told why."""
        self._close(getattr(self._owner.texts, reason))

    def follow_up(self, text: str) -> None:
        """Say something more when the reply is finished, by response_url: that carries one message in all.

        Raises `StateError` where it cannot be, or has carried one.
        """
        if self.phase is not CLOSED or not is_visible(text):
            raise StateError("a reply is followed up when it is finished, by words that can be seen")
        self._owner.deliveries.demand(self._response_url, expires_at=self._expires_at)
        self._cut = False  # that was another text
        self._deliver(clean(text))

    # The platform's side

    def frame(self, msgid: str, *, first: bool = False) -> bytes:
        """Return the reply to the callback `msgid`, and note that the platform has seen this state.

        A card goes with one callback and again with its repetition. A reply that is only a card, and done in time
        for the `first` answer, is sent as that.
        """
        self._news = False
        self._seen_by = msgid
        if self.phase is not OPEN and not self.settled:
            self.settled = True
            self._owner.settle(self)
        if self._enclosed is not None or (self._owner.feedback and msgid == self._message_id):
            return self._full_frame(msgid, first=first)
        if self.phase is not OPEN:
            return encode_words(self.id, self._final, finish=True)
        if not self._bytes:
            return encode_waiting(self.id, self._owner.waiting_frame)
        return encode_words(self.id, self._snapshot(), finish=False)

    def has_news(self, msgid: str) -> bool:
        """Tell whether there is anything that the platform has not seen, be it that the last answer was lost."""
        return self._news or self.phase is not OPEN or self._seen_by == msgid

    @property
    def ended(self) -> bool:
        """Whether the bubble is over, be the handler done or not."""
        return self.phase is not OPEN

    def wait(self, pending: Pending, *, until_closed: bool = False) -> None:
        """Wake this request when something is written, or only when the bubble ends."""
        waiting = (waiter for waiter in self._waiters if not waiter[0].over)
        self._waiters = (*waiting, (pending, until_closed))

    def expire(self) -> None:
        """End the bubble with a notice, while the handler goes on (the watchdog)."""
        if self.phase is not OPEN:
            return
        texts = self._owner.texts
        late = self._owner.deliveries.can_post(self._response_url)
        self._shown = without_thought(self.text)
        self._final, self._unshown = shorten(self.text, texts.overdue if late else texts.overdue_lost)
        self._move(OVERDUE)
        self._owner.end(self)
        self._wake(closed=True)

    def release(self) -> int:
        """Let go of pictures, and of words that are said, as the table forgets it; return how many bytes it held."""
        if self._enclosed is not None:
            self._enclosed.images = ()
        if self.phase is CLOSED:
            self._text = self._final = ""
        return self._held

    # Inside

    def _demand_open(self) -> None:
        if self.phase is CLOSED:
            raise StateError(_FINISHED)

    def _move(self, phase: Phase) -> None:
        if phase not in MOVES[self.phase]:
            raise StateError(f"a stream cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase

    def _append(self, text: str) -> bool:
        """Take in as much of a text as there is room for; tell whether it was anything."""
        if isinstance(text, str) and text.isascii():  # bytes have `isascii`, too
            size = len(text)
        else:
            text = clean(text)
            size = len(text.encode())
        room = 0 if self._cut else self._owner.max_text_bytes - self._bytes
        if size > room:
            text = prefix(text, room)
            size = len(text.encode())
            self._cut = True
        if not size:
            return False
        if not self._hold(size):
            self._cut = True
            return False
        if not self._bytes:
            self._text = text
        elif self._parts:
            self._parts.append(text)
        else:
            self._parts = [text]
        self._bytes += size
        return True

    def _hold(self, added: int) -> bool:
        """Count the bytes held while the table counts on them; an overdue handler's are bounded by `max_text_bytes`."""
        if self.phase is not OPEN:
            return True
        if not self._owner.hold(added):
            return False
        self._held += added
        return True

    def _snapshot(self) -> str:
        """Return what an open bubble shows. A cut falls anywhere: what grows must not shrink to a paragraph's end."""
        text = self.text
        if self._bytes > TEXT_LIMIT:
            text = prefix(without_thought(text) or text, TEXT_LIMIT)
        return self._owner.waiting if is_blank(text) else text

    def _changed(self) -> None:
        self._news = True
        if self._waiters and self.phase is OPEN:
            self._wake(closed=False)

    def _wake(self, *, closed: bool) -> None:
        waiters, self._waiters = self._waiters, ()
        if not closed:
            self._waiters = tuple(waiter for waiter in waiters if waiter[1])
        for pending, until_closed in waiters:
            if closed or not until_closed:
                pending.wake()

    def _full_frame(self, msgid: str, *, first: bool) -> bytes:
        """Return the reply to a callback with all that may be in it."""
        enclosed = self._enclosed or _NOTHING
        card = enclosed.card_for(msgid)
        feedback_id = self.id if self._owner.feedback and msgid == self._message_id else None
        if self.phase is OPEN:
            return encode_stream(self.id, self._snapshot(), finish=False, feedback_id=feedback_id, card=card)
        images = enclosed.images
        if first and card is not None and enclosed.wordless and not images:
            return encode_card(card)
        return encode_stream(self.id, self._final, finish=True, images=images, feedback_id=feedback_id, card=card)

    def _close(self, sentence: str) -> None:
        """End it for good; `sentence` is said at the end when the handler did not end by itself."""
        if self.phase is CLOSED:
            return
        if self.phase is OVERDUE:
            self._move(CLOSED)
            self._deliver_late(sentence)
            return
        text = self.text
        if sentence or self._cut or self._enclosed is not None or len(text) > SHORT or not is_visible(text):
            text = self._conclude(text, sentence)
            self._hold(len(text.encode()) - self._bytes)
        self._text = self._final = text
        self._move(CLOSED)
        self._owner.end(self)
        if self._waiters:
            self._wake(closed=True)

    def _conclude(self, text: str, sentence: str) -> str:
        """Return what the bubble shows at its end, our own sentences included."""
        texts, enclosed = self._owner.texts, self._enclosed or _NOTHING
        text = with_notice(text, sentence)
        if not is_visible(text):
            if enclosed is not _NOTHING:
                enclosed.wordless = is_blank(text) and not enclosed.pictures_lost
            text = with_notice(text, texts.attached if enclosed.shown else texts.silent)
        return self._fit(with_notice(text, texts.pictures_lost) if enclosed.pictures_lost else text)

    def _deliver_late(self, sentence: str) -> None:
        """Send what the bubble did not show: the words since then, else a card that came too late for it."""
        texts, enclosed = self._owner.texts, self._enclosed or _NOTHING
        text = with_notice(unseen(self.text, self._shown, self._unshown), sentence)
        text = enclosed.tell_losses(text, texts, single=self._single)
        if is_visible(text):
            self._deliver(text.lstrip("\n"))
        elif enclosed.card_late and enclosed.card is not None:
            self._post(encode_card(enclosed.card))
        elif self._owner.deliveries.can_post(self._response_url):
            self._deliver(texts.concluded if is_visible(self._shown) or enclosed.shown else texts.silent)
        self._text, self._parts, self._shown, self._unshown = self._final, (), "", ""

    def _fit(self, text: str) -> str:
        """Return what the bubble shows of a text at its end; have the rest sent, or say that it was cut."""
        if len(text) <= SHORT and not self._cut:
            return text
        if len(text.encode()) > TEXT_LIMIT:
            text = without_thought(text)
        head, tail = split(text, TEXT_LIMIT)
        if not is_visible(tail):
            return shorten(text, self._owner.texts.cut)[0] if self._cut else head
        if not is_visible(head) or not self._owner.deliveries.can_post(self._response_url):
            return shorten(text, self._owner.texts.cut)[0]
        self._deliver(tail)
        return head

    def _deliver(self, text: str) -> None:
        """Send a text through response_url: one message, cut where it is longer than that."""
        if self._cut or len(text.encode()) > TEXT_LIMIT:
            text = shorten(text, self._owner.texts.cut)[0]
        self._post(encode_markdown(text))

    def _post(self, body: bytes) -> None:
        after = "" if self.settled else self.id
        url, self._response_url = self._response_url, ""  # it is good for one
        self._owner.deliveries.post(url, body, expires_at=self._expires_at, after=after)
