"""What the user sees of one message or event, and what was wrong with the answers. No IO, no clock.

Layer 3 (simulate), pure: decrypted answers come in with the time, in seconds since the message was sent. The rules on
single answers are in wecom_rules; here are those that need to know what came before. Source:
developer.work.weixin.qq.com/document/path/100719, 101031 (streams), 101138 (response_url).

    sent ──unfinished stream──> streaming ──finish──> finished       finished: the bot has said all that it will
      ├──anything complete────────────────────────────> finished     unanswered: nothing usable came, nothing will
      └──nothing usable──> unanswered        └──six minutes──> expired
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import orjson

from rawbot.errors import StateError
from rawbot.simulate.wecom_messages import JsonObject, is_object, kind_of
from rawbot.simulate.wecom_rules import (
    CONTENT_LIMIT,
    REFRESH,
    cut,
    is_visible,
    judge_card,
    judge_feedback,
    judge_repeat,
    judge_shape,
    judge_text,
    open_images,
    reply_shape,
)

STREAM_LIFETIME = 360.0
"""Seconds after the message at which the platform stops asking (100719)."""
RESPONSE_URL_LIFETIME = 3600.0
"""Seconds for which a response_url is good (101138)."""

FALLBACK_TEXT = "(the bot did not answer in time)"
"""Stands for the platform's own words when six minutes have passed and nothing was shown."""

ACCEPTED = 0
BAD_CODE = 40029
"""Invalid code, the platform's general number: which one it gives for a used or expired response_url is not told."""
BAD_TYPE = 40008
EMPTY_CONTENT = 44004
TOO_LONG = 40058

State = Literal["sent", "streaming", "finished", "unanswered", "expired"]
_Step = Literal["snapshot", "complete", "useless", "time is up"]

_MOVES: dict[tuple[State, _Step], State] = {
    ("sent", "snapshot"): "streaming",
    ("sent", "complete"): "finished",
    ("sent", "useless"): "unanswered",
    ("streaming", "snapshot"): "streaming",
    ("streaming", "complete"): "finished",
    ("streaming", "useless"): "streaming",  # the bubble is open: the platform asks again
    ("streaming", "time is up"): "expired",
}


@dataclass(slots=True)
class Frame:
    """One answer that changed, or could have changed, what the user sees."""

    at: float
    """Seconds since the message was sent."""
    content: str = field(default="", repr=False)
    finish: bool = True
    size: int = 0
    """Bytes of the content in UTF-8."""
    msg_items: int = 0
    """How many images came with it, good or not."""
    card: JsonObject | None = field(default=None, repr=False)
    feedback_id: str = ""


class Conversation:
    """A message or event of the user's, and all that the bot made of it.

    `card` is, for a press on a card, the card as the user has it; an update changes this very object. `lifetime` and
    `response_url_lifetime` are in seconds; a simulator that runs faster passes shorter ones. `on_problem` is called
    with each of `problems` as it is found.
    """

    __slots__ = (
        "_lifetime",
        "_on_problem",
        "_pressed",
        "_response_url_lifetime",
        "_response_url_used",
        "_state",
        "active_messages",
        "cards",
        "deliveries",
        "first_answer",
        "frames",
        "images",
        "kind",
        "message",
        "notes",
        "problems",
        "shown",
        "stream_id",
    )

    def __init__(
        self,
        message: JsonObject,
        *,
        card: JsonObject | None = None,
        lifetime: float = STREAM_LIFETIME,
        response_url_lifetime: float = RESPONSE_URL_LIFETIME,
        on_problem: Callable[["Conversation", str], None] | None = None,
    ) -> None:
        self.message = message
        self.kind = kind_of(message)
        """`message`, or the eventtype."""
        self.frames: list[Frame] = []
        self.shown = ""
        """The text in the bubble now."""
        self.stream_id = ""
        self.first_answer: float | None = None
        """Seconds until the first answer that got through."""
        self.deliveries = 0
        """How many requests were made: tries, duplicates and refreshes."""
        self.images: list[bytes] = []
        self.cards: list[JsonObject] = []
        self.active_messages: list[JsonObject] = []
        """What came by response_url and was shown below the bubble."""
        self.problems: list[str] = []
        """Violations of the platform's rules, in words; empty when all was right."""
        self.notes: list[str] = []
        """What is allowed but without effect, and the faults that the simulator made itself."""
        self._state: State = "sent"
        self._pressed = card
        self._lifetime = lifetime
        self._response_url_lifetime = response_url_lifetime
        self._response_url_used = False
        self._on_problem = on_problem

    def __repr__(self) -> str:
        return f"<Conversation {self.kind} {self._state}, {len(self.frames)} frames, {len(self.problems)} problems>"

    @property
    def state(self) -> State:
        """Where it stands: see the top of the file."""
        return self._state

    @property
    def finished(self) -> bool:
        """Whether the bot has said all that it will."""
        return self._state == "finished"

    @property
    def streaming(self) -> bool:
        """Whether the platform has to ask again."""
        return self._state == "streaming"

    def receive(self, reply: JsonObject, at: float) -> Frame | None:
        """Take the decrypted answer, `{}` for an empty one; return the frame that the user sees, if any.

        Raises `StateError` when nothing was asked any more.
        """
        if self._state not in ("sent", "streaming"):
            raise StateError(f"an answer came to a conversation that is {self._state}")
        if self.first_answer is None:
            self.first_answer = at
        row = REFRESH if self.streaming else self.kind
        shape = reply_shape(reply)
        if wrong := judge_shape(row, shape):
            self.blame(*wrong)
            self._move("useless")
            return None
        frame = self._READERS[shape](self, reply, at)
        if frame is not None:
            self.frames.append(frame)
        elif shape:
            self._move("useless")
            return None
        self._move("complete" if frame is None or frame.finish else "snapshot")
        return frame

    def receive_nothing(self) -> None:
        """Note that no try brought a usable answer; the caller has blamed whoever is to blame."""
        self._move("useless")

    def receive_repeat(self, first: JsonObject, second: JsonObject, *, overlapping: bool = False) -> None:
        """Compare two answers to the same msgid, whether or not the user sees them."""
        self.blame(*judge_repeat(first, second, overlapping=overlapping))

    def expire(self, reason: str = "the stream was not finished within six minutes") -> None:
        """Stop asking, since six minutes have passed or for another reason. Raises `StateError` when nobody asked."""
        self._move("time is up")
        self.blame(reason)
        if not is_visible(self.shown):
            self.shown = FALLBACK_TEXT

    def overdue(self, at: float) -> bool:
        """Tell whether six minutes (or what stands for them) have passed at this time."""
        return at >= self._lifetime

    def receive_active(self, body: bytes, at: float) -> tuple[int, str]:
        """Take what was posted to the response_url: plain JSON, once. Returns errcode and errmsg; 0 is success."""
        code, error, message = self._judge_active(body, at)
        if code != ACCEPTED:
            self.blame(f"response_url: {error}")
            return code, error
        self._response_url_used = True
        self.active_messages.append(message)
        card = message.get("template_card")
        if is_object(card):
            self.cards.append(card)
            self.blame(*judge_card(card))
        return code, "ok"

    def blame(self, *problems: str) -> None:
        """Add problems, each sentence once."""
        for problem in problems:
            if problem in self.problems:
                continue
            self.problems.append(problem)
            if self._on_problem is not None:
                self._on_problem(self, problem)

    def note(self, *notes: str) -> None:
        """Add notes, each sentence once."""
        self.notes.extend(n for n in notes if n not in self.notes)

    def _move(self, step: _Step) -> None:
        following = _MOVES.get((self._state, step))
        if following is None:
            raise StateError(f"this cannot happen to a conversation that is {self._state}: {step}")
        self._state = following

    def _read_nothing(self, reply: JsonObject, at: float) -> None:
        """Read an empty answer where one is allowed."""

    def _read_text(self, reply: JsonObject, at: float) -> Frame | None:
        body = reply.get("text")
        content = body.get("content") if is_object(body) else None
        if not isinstance(content, str):
            self.blame("text.content is not a string")
            return None
        return self._show(Frame(at, content))

    def _read_card(self, reply: JsonObject, at: float) -> Frame | None:
        card = self._take_card(reply)
        return None if card is None else Frame(at, card=card, feedback_id=self._feedback_id(card))

    def _read_stream(self, reply: JsonObject, at: float) -> Frame | None:
        stream = reply.get("stream")
        if not is_object(stream) or not self._same_stream(stream.get("id")):
            self.blame("stream.id is missing, or no string: no refresh can follow")
            return None
        content, finish = stream.get("content", ""), stream.get("finish", False)
        if not isinstance(content, str) or not isinstance(finish, bool):
            self.blame("stream.content is not a string, or stream.finish not a boolean")
            return None
        items = stream.get("msg_item") or []
        return self._show(
            Frame(
                at,
                content,
                finish,
                msg_items=len(items) if isinstance(items, list) else 0,
                card=self._take_card(reply) if "template_card" in reply_shape(reply) else None,
                feedback_id=self._feedback_id(stream),
            ),
            items,
        )

    def _read_update(self, reply: JsonObject, at: float) -> Frame | None:
        card, pressed, users = reply.get("template_card"), self._pressed, reply.get("userids")
        if not is_object(card) or pressed is None:
            self.blame("update_template_card has no template_card")
            return None
        if card.get("task_id") != pressed.get("task_id"):
            self.blame("update_template_card has another task_id than the card that was pressed")
            return None
        self.blame(*judge_card(card))
        sender = self.message.get("from")
        if users and isinstance(users, list) and is_object(sender) and sender.get("userid") not in users:
            self.note("the update is for other users than the one who pressed")
            return Frame(at)
        pressed.clear()
        pressed.update(card)
        return Frame(at, card=card)

    def _same_stream(self, stream_id: object) -> bool:
        """Keep the id of the first answer; later ones need not repeat it, but must not change it."""
        if self.stream_id and stream_id is not None and stream_id != self.stream_id:
            self.blame("the stream id changed")
        elif not self.stream_id and isinstance(stream_id, str):
            self.stream_id = stream_id
        return bool(self.stream_id)

    def _show(self, frame: Frame, items: object = ()) -> Frame:
        """Put the frame's text in the bubble, in place of what was there, and its images below when it is the last."""
        frame.size = len(frame.content.encode())
        self.blame(*judge_text(frame.content, shown=self.shown, final=frame.finish))
        self.shown = cut(frame.content)
        if items and frame.finish:
            self.images, problems = open_images(items)
            self.blame(*problems)
        elif items:
            self.note("msg_item came before the last frame, where it is ignored")
        return frame

    def _take_card(self, reply: JsonObject) -> JsonObject | None:
        card = reply.get("template_card")
        if not is_object(card):
            self.blame("template_card is missing, or no object")
            return None
        self.blame(*judge_card(card))
        if any(frame.card is not None for frame in self.frames):
            self.blame("a card was sent twice in one stream")
            return None
        self.cards.append(card)
        return card

    def _feedback_id(self, holder: JsonObject) -> str:
        feedback = holder.get("feedback")
        if feedback is None:
            return ""
        if self.frames:
            self.note("feedback came after the first reply, where it is ignored")
            return ""
        feedback_id = feedback.get("id") if is_object(feedback) else None
        self.blame(*judge_feedback(feedback_id))
        return feedback_id if isinstance(feedback_id, str) else ""

    def _judge_active(self, body: bytes, at: float) -> tuple[int, str, JsonObject]:
        """Return errcode, the reason for it, and the message."""
        if self._response_url_used:
            return BAD_CODE, "it was used twice", {}
        if at > self._response_url_lifetime:
            return BAD_CODE, "it was used after its hour", {}
        try:
            message: object = orjson.loads(body)
        except orjson.JSONDecodeError:
            return BAD_TYPE, "what was posted is not JSON", {}
        if not is_object(message) or "encrypt" in message:
            return BAD_TYPE, "what was posted is not a plain JSON object (it must not be encrypted)", {}
        shape = reply_shape(message)
        if shape == "template_card" and is_object(message.get(shape)):
            in_group = self.message.get("chattype") == "group"
            return (BAD_TYPE, "a card is allowed in single chats only", {}) if in_group else (ACCEPTED, "", message)
        if shape != "markdown":
            return BAD_TYPE, "what was posted is neither markdown nor template_card", {}
        return (*_judge_markdown(message.get(shape)), message)

    _READERS: ClassVar[dict[str, Callable[["Conversation", JsonObject, float], Frame | None]]] = {
        "": _read_nothing,
        "text": _read_text,
        "template_card": _read_card,
        "stream": _read_stream,
        "stream_with_template_card": _read_stream,
        "update_template_card": _read_update,
    }


def _judge_markdown(markdown: object) -> tuple[int, str]:
    content = markdown.get("content") if is_object(markdown) else None
    if not isinstance(content, str) or not is_visible(content):
        return EMPTY_CONTENT, "the markdown shows nothing"
    size = len(content.encode())
    if size > CONTENT_LIMIT:
        return TOO_LONG, f"the markdown has {size} bytes; the limit is {CONTENT_LIMIT}"
    return ACCEPTED, ""
