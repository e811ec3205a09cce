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

import base64
import enum
import hashlib
from copy import deepcopy
from typing import Protocol

from rawbot.errors import StateError
from rawbot.exchange import CancelReason, Pending
from rawbot.media import MAGIC_BYTES, sniff_type
from rawbot.wecom.cards import Card, check_card
from rawbot.wecom.deliveries import LIFETIME, Deliveries
from rawbot.wecom.markdown import (
    TEXT_LIMIT,
    clean,
    is_blank,
    is_visible,
    open_block,
    prefix,
    shorten,
    split,
    with_notice,
    without_thought,
)
from rawbot.wecom.messages import (
    Json,
    UserMessage,
    encode_card,
    encode_image_item,
    encode_markdown,
    encode_stream,
)
from rawbot.wecom.texts import WeComTexts

MAX_IMAGES = 10
MAX_IMAGE_BYTES = 10 * 1024 * 1024
"""Limits of `msg_item` (doc 101031), the size counted before base64."""


class Phase(enum.IntEnum):  # an Enum is hashed in Python: 0.25 µs for each move
    """Where a stream stands; see the picture at the top of the file."""

    OPEN = enum.auto()
    OVERDUE = enum.auto()
    CLOSED = enum.auto()


_MOVES = {
    Phase.OPEN: (Phase.OVERDUE, Phase.CLOSED),
    Phase.OVERDUE: (Phase.CLOSED,),
    Phase.CLOSED: (),
}


class Owner(Protocol):
    """What a stream needs of the table that holds it."""

    texts: WeComTexts
    waiting: str
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
        "_bytes", "_card", "_card_late", "_card_msgid", "_cut", "_expires_at", "_feedback", "_final", "_held",
        "_images", "_message_id", "_owner", "_parts", "_pictures_lost", "_response_url", "_seen", "_seen_by", "_shown",
        "_single", "_unshown", "_version", "_waiters", "_wordless", "id", "opened_at", "phase", "sender", "settled",
    )  # fmt: skip

    def __init__(
        self, stream_id: str, message: UserMessage, now: float, owner: Owner, *, opened_at: float, feedback: bool
    ) -> None:
        self.id = stream_id
        self.sender = message.sender
        self.phase = Phase.OPEN
        self.settled = False
        self._owner = owner
        self._message_id = message.msgid
        self._response_url = message.response_url
        self._single = message.chattype != "group"
        self._expires_at = now + LIFETIME
        self.opened_at = opened_at
        self._feedback = feedback
        # Empty tuples, not lists: a quiet stream is one object to the garbage collector instead of four, and a full
        # collection over 48,000 of them takes 60 ms instead of 91.
        self._parts: list[str] | tuple[()] = ()
        self._bytes = 0
        self._held = 0
        self._cut = False
        self._images: tuple[Json, ...] = ()
        self._pictures_lost = False
        self._card: Card | None = None
        self._card_late = False
        self._card_msgid: str | None = None
        self._version = 0
        self._seen = -1
        self._seen_by = ""
        self._shown = self._unshown = ""
        self._final = ""
        self._wordless = False
        self._waiters: tuple[tuple[Pending, bool], ...] = ()

    def __repr__(self) -> str:
        return f"<Stream {self.id} {self.phase.name}>"

    # The bot's side

    @property
    def text(self) -> str:
        """All that was written so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def finished(self) -> bool:
        """Whether nothing more can be written."""
        return self.phase is Phase.CLOSED

    @property
    def overdue(self) -> bool:
        """Whether the bubble has ended before the handler: what is written now goes out through response_url."""
        return self.phase is Phase.OVERDUE

    def write(self, text: str) -> None:
        """Add to the end of what the user sees."""
        self._demand_open()
        if self._append(clean(text)):
            self._changed()

    def replace(self, text: str) -> None:
        """Let the user see this text in place of all that was written before."""
        self._demand_open()
        self._parts = ()
        self._hold(-self._bytes)
        self._bytes = 0
        self._cut = False
        self._append(clean(text))
        self._changed()

    def attach_image(self, data: bytes) -> None:
        """Show a picture (JPG or PNG, at most 10 MB, at most 10 of them) when the reply is finished.

        Raises `StateError` for anything else. Once the reply is `overdue` a picture cannot be shown any more, since a
        response_url carries none; the user is told so, as when the endpoint holds its `max_bytes` already.
        """
        self._demand_open()
        if len(self._images) == MAX_IMAGES:
            raise StateError(f"msg_item: at most {MAX_IMAGES} images")
        if len(data) > MAX_IMAGE_BYTES:
            raise StateError(f"msg_item: an image of {len(data)} bytes, {MAX_IMAGE_BYTES} are the limit")
        if sniff_type(data[:MAGIC_BYTES]) not in ("image/png", "image/jpeg"):
            raise StateError("msg_item: neither JPG nor PNG")
        if self.phase is Phase.OVERDUE or not self._hold((len(data) + 2) // 3 * 4):
            self._pictures_lost = True
            return
        encoded = base64.b64encode(data).decode("ascii")
        item = encode_image_item(encoded, hashlib.md5(data, usedforsecurity=False).hexdigest())
        self._images = (*self._images, item)

    def card(self, card: Card) -> None:
        """Show a card with the next frame; one per reply. Raises `CardError` or `StateError`.

        Once the reply is `overdue` a card goes out alone, in single chats, when no words do; else the user is told.
        """
        self._demand_open()
        check_card(card)
        if self._card is not None:
            raise StateError("template_card: a stream carries one card, and this one has it already")
        self._card = deepcopy(card)
        self._card_late = self.phase is Phase.OVERDUE
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

    # The platform's side

    def frame(self, msgid: str, *, first: bool = False) -> bytes:
        """Return the reply to the callback `msgid`, and note that the platform has seen this state.

        A card goes with one callback and again with its repetition. A reply that is only a card, and done in time
        for the `first` answer, is sent as that.
        """
        card = self._card_for(msgid)
        feedback_id = self.id if self._feedback and msgid == self._message_id else None
        self._seen, self._seen_by = self._version, msgid
        if self.phase is Phase.OPEN:
            return encode_stream(self.id, self._snapshot(), finish=False, feedback_id=feedback_id, card=card)
        if not self.settled:
            self.settled = True
            self._owner.settle(self)
        if first and card is not None and self._wordless and not self._images:
            return encode_card(card)
        return encode_stream(self.id, self._final, finish=True, images=self._images, feedback_id=feedback_id, card=card)

    def has_news(self, msgid: str) -> bool:
        """Tell whether there is anything that the platform has not seen, be it that the last answer was lost."""
        return self._seen != self._version or self.ended or self._seen_by == msgid

    @property
    def ended(self) -> bool:
        """Whether the bubble is over, be the handler done or not."""
        return self.phase is not Phase.OPEN

    def wait(self, pending: Pending, *, until_closed: bool = False) -> None:
        """Wake this request when something is written, or only when the bubble ends."""
        waiting = (waiter for waiter in self._waiters if not waiter[0].over)
        self._waiters = (*waiting, (pending, until_closed))

    def expire(self) -> None:
        """End the bubble with a notice, while the handler goes on (the watchdog)."""
        if self.phase is not Phase.OPEN:
            return
        texts = self._owner.texts
        late = self._owner.deliveries.can_post(self._response_url)
        self._shown = without_thought(self.text)
        self._final, self._unshown = shorten(self.text, texts.overdue if late else texts.overdue_lost)
        self._move(Phase.OVERDUE)
        self._owner.end(self)
        self._wake(closed=True)

    def release(self) -> int:
        """Let go of the pictures, as the table forgets the stream; return how many bytes were held for it."""
        self._images = ()
        return self._held

    # Inside

    def _demand_open(self) -> None:
        if self.phase is Phase.CLOSED:
            raise StateError("this reply is finished")

    def _move(self, phase: Phase) -> None:
        if phase not in _MOVES[self.phase]:
            raise StateError(f"a stream cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase

    def _append(self, text: str) -> bool:
        """Take in as much of a text as there is room for; tell whether it was anything."""
        room = 0 if self._cut else self._owner.max_text_bytes - self._bytes
        size = len(text.encode())
        if size > room:
            text = prefix(text, room)
            size = len(text.encode())
            self._cut = True
        if not size:
            return False
        if not self._hold(size):
            self._cut = True
            return False
        if self._parts:
            self._parts.append(text)
        else:
            self._parts = [text]
        self._bytes += size
        return True

    def _hold(self, added: int) -> bool:
        """Count the bytes held while the table counts on them; an overdue handler's are bounded by `max_text_bytes`."""
        if self.phase is not Phase.OPEN:
            return True
        if not self._owner.hold(added):
            return False
        self._held += added
        return True

    def _snapshot(self) -> str:
        """Return what an open bubble shows. A cut falls anywhere: what grows must not shrink to a paragraph's end."""
        if not self._parts:
            return self._owner.waiting
        text = self.text
        if self._bytes > TEXT_LIMIT:
            text = prefix(without_thought(text) or text, TEXT_LIMIT)
        return self._owner.waiting if is_blank(text) else text

    def _changed(self) -> None:
        self._version += 1
        if self._waiters and self.phase is Phase.OPEN:
            self._wake(closed=False)

    def _wake(self, *, closed: bool) -> None:
        waiters, self._waiters = self._waiters, ()
        if not closed:
            self._waiters = tuple(waiter for waiter in waiters if waiter[1])
        for pending, until_closed in waiters:
            if closed or not until_closed:
                pending.wake()

    def _card_for(self, msgid: str) -> Card | None:
        if self._card is None or self._card_late:
            return None
        if self._card_msgid is None:
            self._card_msgid = msgid
        return self._card if self._card_msgid == msgid else None

    def _close(self, sentence: str) -> None:
        """End it for good; `sentence` is said at the end when the handler did not end by itself."""
        if self.phase is Phase.CLOSED:
            return
        if self.phase is Phase.OVERDUE:
            self._move(Phase.CLOSED)
            self._deliver_late(sentence)
            return
        texts = self._owner.texts
        text = with_notice(self.text, sentence)
        if not is_visible(text):
            self._wordless = is_blank(text) and not self._pictures_lost
            text = with_notice(text, texts.attached if self._card is not None or self._images else texts.silent)
        self._final = self._fit(with_notice(text, texts.pictures_lost) if self._pictures_lost else text)
        self._parts = [self._final]
        self._hold(len(self._final.encode()) - self._bytes)
        self._move(Phase.CLOSED)
        self._owner.end(self)
        self._wake(closed=True)

    def _deliver_late(self, sentence: str) -> None:
        """Send what the bubble did not show: the words since then, else a card that came too late for it."""
        texts = self._owner.texts
        text = with_notice(self._rest(), sentence)
        if self._pictures_lost:
            text = with_notice(text, texts.pictures_lost)
        if self._card_late and (is_visible(text) or not self._single):
            text = with_notice(text, texts.card_lost)
        if is_visible(text):
            self._deliver(text.lstrip("\n"))
        elif self._card_late and self._card is not None:
            self._post(encode_card(self._card))
        elif self._owner.deliveries.can_post(self._response_url):
            said = is_visible(self._shown) or self._card is not None or self._images
            self._deliver(texts.concluded if said else texts.silent)
        self._parts, self._shown, self._unshown = [self._final], "", ""

    def _rest(self) -> str:
        """Return what was written and not shown when the bubble ended; all of it, if it was replaced since."""
        text = without_thought(self.text)
        if not text.startswith(self._shown):
            return text
        new = text[len(self._shown) :]
        if is_blank(new) or self._unshown:
            return self._unshown + new
        return open_block(self._shown)[1] + new

    def _fit(self, text: str) -> str:
        """Return what the bubble shows of a text at its end; have the rest sent, or say that it was cut."""
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
        self._owner.deliveries.post(self._response_url, body, expires_at=self._expires_at, after=after)
