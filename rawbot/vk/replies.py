"""What a handler writes to on VK: one message when it is done, or one that is edited as the text grows.

Layer 3, pure. How it gets to the dialog: `posting`. A reply is settled when VK has answered the last call of it; the
event is not done before.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import orjson

from rawbot.errors import StateError
from rawbot.event import CancelReason
from rawbot.media import MAGIC_BYTES, sniff_type
from rawbot.vk.errors import VKError
from rawbot.vk.posting import Content, Posting, Target

MAX_ATTACHMENTS = 10
"""Pictures and other attachments of one message (messages.send)."""


class Ending(Enum):
    """How an event has ended."""

    WELL = "the handler is done, and VK has what it said"
    BADLY = "the handler or a call of it has failed"
    CUT_OFF = "the app ended before"


Settled = Callable[[Ending], None]
"""Is told that all calls of a reply are answered."""


class Growing(Protocol):
    """The replies that have something new to show."""

    def add(self, reply: "VKReply", /) -> None:
        """Have this one grow as time passes."""


class VKReply:
    """The reply to one event (`event.Reply`), to the dialog `peer_id`.

    `write` and `replace` make its text, `attach` and `attach_images` its attachments, `keyboard` its buttons, which
    need one of these. Without a `target`, that is without a token or somebody to write to, they raise `StateError`.
    """

    __slots__ = (
        "_attachments", "_growing", "_images", "_keyboard", "_on_settled", "_parts", "_posting", "_target", "_verdict",
        "finished", "peer_id",
    )  # fmt: skip

    def __init__(
        self, target: Target | None, *, peer_id: int, on_settled: Settled, growing: Growing | None = None
    ) -> None:
        self.peer_id = peer_id
        self.finished = False
        self._target = target
        self._growing = growing
        self._on_settled: Settled | None = on_settled
        self._verdict = Ending.WELL
        """How it ends, unless a call fails."""
        self._posting: Posting | None = None
        self._parts: list[str] = []
        self._attachments: Sequence[str] = ()
        self._images: Sequence[bytes] = ()
        self._keyboard: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.peer_id}>"

    @property
    def text(self) -> str:
        """All that was written so far; nothing of it is kept when the reply is finished."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def error(self) -> VKError | None:
        """What the last call of it that failed was answered."""
        return None if self._posting is None else self._posting.error

    @property
    def illustrated(self) -> bool:
        """Whether it shows anything besides words."""
        return bool(self._attachments or self._images or self._keyboard)

    # The bot's side

    def write(self, text: str) -> None:
        """Add to the end of the message."""
        self._demand_open()
        if not isinstance(text, str):
            raise StateError(f"what is written is a str, not {type(text).__name__}")
        self._parts.append(text)
        if self._growing is not None:
            self._growing.add(self)

    def replace(self, text: str) -> None:
        """Let the message be this text in place of all that was written before."""
        self._demand_open()
        before, self._parts = self._parts, []
        try:
            self.write(text)
        except StateError:
            self._parts = before
            raise

    def attach(self, *attachments: str) -> None:
        """Attach what VK has already: `photo1_2`, `doc1_2_key`."""
        self._demand_open()
        if not all(isinstance(name, str) and _ATTACHMENT.fullmatch(name) for name in attachments):
            raise StateError("an attachment of VK's is named as photo1_2 or doc1_2_key")
        self._demand_room(len(attachments))
        self._attachments = [*self._attachments, *attachments]

    def attach_image(self, data: bytes) -> None:
        """Attach a picture, which is uploaded when the reply is finished."""
        self.attach_images((data,))

    def attach_images(self, images: Sequence[bytes]) -> None:
        """Attach several: all of them, or `StateError` and none."""
        self._demand_open()
        for data in images:
            if not isinstance(data, bytes) or not sniff_type(data[:MAGIC_BYTES]).startswith("image/"):
                raise StateError("a picture is the bytes of a file: JPG, PNG or GIF")
        self._demand_room(len(images))
        self._images = [*self._images, *images]

    def keyboard(self, keyboard: Mapping[str, object]) -> None:
        """Show these buttons with the message; see dev.vk.com/ru/api/bots/development/keyboard."""
        self._demand_open()
        try:
            self._keyboard = orjson.dumps(keyboard).decode()
        except orjson.JSONEncodeError:
            raise StateError("this keyboard cannot be written as JSON") from None

    def follow_up(self, text: str) -> None:
        """Say something more as a message of its own: before the reply's, or after it at any time."""
        if not isinstance(text, str) or not text.strip():
            raise StateError("a reply is followed up by words that can be seen")
        self._demand_posting().say(text)

    # The shell's side

    def finish(self) -> None:
        """Send what was written; nothing, when that is nothing."""
        self._end(Ending.WELL)

    def fail(self) -> None:
        """End the reply after an exception in the handler. What was written is sent."""
        self._end(Ending.BADLY)

    def cancel(self, reason: CancelReason) -> None:
        """End the reply because the handler was stopped; only what is seen already is brought up to date."""
        if self.finished:
            return
        if self._posting is None or not self._posting.has_grown or reason != "superseded":
            self._parts = []
        self._attachments, self._images = (), ()
        self._end(_AFTER[reason])

    def grow(self, now: float) -> bool:
        """Show what is new, if it is time; tell whether there may be more to show."""
        if self.finished:
            return False
        return self._demand_posting().grow(self.text, now)

    # Inside

    def _demand_open(self) -> None:
        if self.finished:
            raise StateError("this reply is finished")
        if self._target is None:
            raise StateError(_NO_TARGET)

    def _demand_room(self, count: int) -> None:
        if len(self._attachments) + len(self._images) + count > MAX_ATTACHMENTS:
            raise StateError(f"a message has at most {MAX_ATTACHMENTS} attachments")

    def _demand_posting(self) -> Posting:
        if self._target is None:
            raise StateError(_NO_TARGET)
        if self._posting is None:
            self._posting = Posting(self._target, _nobody if self._on_settled is None else self._settle)
        return self._posting

    def _end(self, verdict: Ending) -> None:
        if self.finished:
            return
        content = Content(self.text, self._attachments, self._images, self._keyboard)
        self.finished = True
        self._verdict = verdict
        self._parts, self._attachments, self._images, self._keyboard = [], (), (), None
        if content.text or content.attachments or content.images:
            self._demand_posting().conclude(content, failed=verdict is not Ending.WELL)
        else:
            self._settle()

    def _settle(self) -> None:
        """Tell how it ended, once it has and no call is open."""
        posting = self._posting
        if not self.finished or self._on_settled is None or (posting is not None and not posting.quiet):
            return
        verdict = self._verdict
        if posting is not None:
            posting.on_quiet = _nobody  # no cycle: a reply is kept for what may follow
            if posting.error is not None and verdict is Ending.WELL:
                verdict = Ending.CUT_OFF if posting.cut_off else Ending.BADLY
        settled, self._on_settled = self._on_settled, None
        settled(verdict)


def _nobody() -> None:
    """Be told that calls are answered which nobody waits for."""


_ATTACHMENT = re.compile(r"[a-z_]+-?[0-9]+_[0-9]+(_[0-9A-Za-z]+)?")

_NO_TARGET = "nothing can be sent: this community has no token, or the event names nobody to write to"

_AFTER = {"superseded": Ending.WELL, "shutdown": Ending.CUT_OFF, "busy": Ending.BADLY}
