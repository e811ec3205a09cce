"""How a reply reaches its dialog: as messages of bounded length, in order, each sent once; and what has come of it.

Layer 3, pure: calls go to the API client, which sends them in its time. Source: VK, messages.send and messages.edit
(dev.vk.com/ru/method/messages.send, dev.vk.com/ru/method/messages.edit).

Each message has a `random_id` that is made from the event and from its place in the answer, so an answer that is given
again sends nothing twice. A message that grows is sent once and edited from then on.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple, Protocol

from rawbot.media import MAGIC_BYTES, sniff_type
from rawbot.vk.errors import ShutdownError, VKError
from rawbot.vk.lines import Done, Job, Lines
from rawbot.vk.random_ids import random_id
from rawbot.vk.texts import MAX_TEXT, clean, split
from rawbot.vk.uploads import PHOTO, Kind, OnDone

EDIT_EVERY = 2.0
"""Seconds between two edits of a growing message: a community has 20 calls a second for all its dialogs."""

LEFT_OVER = 1000
"""Where the numbers of what a failed handler leaves begin: they must not be those of a good answer that follows it."""

Fields = dict[str, object]


class Api(Protocol):
    """What a reply needs of the API client."""

    def submit(self, method: str, params: Mapping[str, object], on_done: OnDone) -> None:
        """Call a method; tell `on_done` its result or a `VKError`, once."""

    def upload(self, kind: Kind, data: bytes, name: str, params: Mapping[str, object], on_done: OnDone) -> None:
        """Upload a file; tell `on_done` the attachment's name or a `VKError`, once."""

    def waiting(self) -> int:
        """Count the calls that wait to be sent."""


class Target(NamedTuple):
    """Where an answer goes, and which event it answers."""

    api: Api
    lines: Lines
    group_id: int
    peer_id: int
    event_id: str
    edits: bool = False
    """Whether its message may grow."""
    again: bool = False
    """Whether the event was answered before, so that a message may be there already, with another text."""
    whom: Literal["peer_ids", "peer_id"] = "peer_ids"
    """How messages.send is told the dialog: to a list, which communities may give, it answers more."""


@dataclass(slots=True)
class Content:
    """What a reply is when it is finished."""

    text: str = ""
    attachments: Sequence[str] = ()
    images: Sequence[bytes] = ()
    """To be uploaded before."""
    keyboard: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class Posting:
    """The calls for one reply. `on_quiet` is told each time when the last of those that were open is answered."""

    target: Target
    on_quiet: Callable[[], None]
    error: VKError | None = None
    """What the last one that failed was answered."""
    cut_off: bool = False
    """Whether one was not made, or not answered, since the app has ended."""
    _open: int = 0
    _number: int = 0
    """Of the message that was sent last."""
    _message: Fields = field(default_factory=dict)
    """What names the message that grows."""
    _shown: str = ""
    """What it says."""
    _grows: bool = True
    _edit_at: float = 0.0
    """When it may be edited next."""

    @property
    def quiet(self) -> bool:
        """Whether no call is open."""
        return not self._open

    @property
    def has_grown(self) -> bool:
        """Whether some of the text may be seen already."""
        return self._edit_at > 0

    def say(self, text: str) -> None:
        """Send a text by itself, as several messages where one does not hold it."""
        self._add(partial(self._go_on, deque(_parts_of(Content(text)))))

    def conclude(self, content: Content, *, failed: bool = False) -> None:
        """Send what the reply has become; `failed` tells that its handler did not get to its end."""
        self._add(partial(self._conclude, content, failed))

    def call(self, method: str, fields: Fields, *, matters: bool = True) -> None:
        """Call a method beside the messages, without waiting for them. `matters` is whether its failure counts."""
        self._open += 1

        def on_done(outcome: object) -> None:
            if matters:
                self._note(outcome)
            self._close()

        self.target.api.submit(method, fields, on_done)

    def grow(self, text: str, now: float) -> bool:
        """Show the text as it is now, if it is time and nothing of more weight waits to be sent.

        Returns whether this very text is to be shown later.
        """
        target = self.target
        text = clean(text)[:MAX_TEXT]
        if not self._grows or text == self._shown or not text.strip():
            return False
        busy = target.api.waiting() or not target.lines.is_idle((target.group_id, target.peer_id))
        if busy or self._edit_at - EDIT_EVERY <= now < self._edit_at:
            return True
        self._edit_at = now + EDIT_EVERY
        self._add(partial(self._show, text))
        return False

    # Jobs

    def _show(self, text: str, done: Done) -> None:
        """Send the message that grows, or edit it; what fails here is made good at the end."""
        is_first = not self._message

        def on_done(outcome: object) -> None:
            failure = _failure_in(outcome)
            self._grows = failure is None
            if failure is None:
                self._shown = "" if is_first and self.target.again else text
            elif is_first:
                self._number -= 1  # it is not there, or it is and must not come twice
            done()

        if is_first:
            self._send({"message": text}, self._noting_message(on_done))
        else:
            self._edit(self._message, {"message": text}, on_done)

    def _conclude(self, content: Content, failed: bool, done: Done) -> None:  # noqa: FBT001 - a job's shape
        if failed and not self._message:
            self._number = max(self._number, LEFT_OVER)
        if content.images:
            self._upload(content, done)
        else:
            self._post(content, done)

    def _upload(self, content: Content, done: Done) -> None:
        """Upload the pictures, all at once, then send the message with those that have arrived."""
        names: dict[int, str] = {}
        left = len(content.images)

        def uploaded(at: int, outcome: object) -> None:
            nonlocal left
            left -= 1
            self._note(outcome)
            if isinstance(outcome, str):
                names[at] = outcome
            if not left:
                attachments = [*content.attachments, *(names[number] for number in sorted(names))]
                self._post(Content(content.text, attachments, (), content.keyboard), done)

        for at, data in enumerate(content.images):
            fields = {"peer_id": self.target.peer_id}
            self.target.api.upload(PHOTO, data, _file_name(data), fields, partial(uploaded, at))

    def _post(self, content: Content, done: Done) -> None:
        """Send the messages that this content makes; where one has grown, it becomes the first of them."""
        parts = deque(_parts_of(content))
        message, shown = self._message, self._shown
        self._message = {}
        if message and parts:
            fields = parts.popleft()
            if fields == {"message": shown}:
                self._go_on(parts, done)
            else:
                self._edit(message, fields, partial(self._answered, parts, done))
        elif parts and self.target.again and self.target.edits:
            self._send(parts[0], self._noting_message(partial(self._sent_before, parts, done)))
        else:
            self._go_on(parts, done)

    def _sent_before(self, parts: deque[Fields], done: Done, outcome: object) -> None:
        """Go on from the first message: it was there, perhaps, with a text that has been written since then."""
        if self._message:
            self._shown = ""
            self._edit(self._message, parts.popleft(), partial(self._answered, parts, done))
        else:
            parts.popleft()
            self._answered(parts, done, outcome)

    def _go_on(self, parts: deque[Fields], done: Done) -> None:
        """Send the next part; it is over when there is none."""
        if parts:
            self._send(parts.popleft(), partial(self._answered, parts, done))
        else:
            done()

    def _answered(self, parts: deque[Fields], done: Done, outcome: object) -> None:
        """Go on, unless something is missing now: half an answer is not followed by its end."""
        self._note(outcome)
        if _failure_in(outcome) is not None:
            parts.clear()
        self._go_on(parts, done)

    # Calls

    def _send(self, fields: Fields, on_done: OnDone) -> None:
        self._number += 1
        target = self.target
        number = random_id(target.group_id, target.event_id, self._number)
        target.api.submit("messages.send", {target.whom: target.peer_id, "random_id": number, **fields}, on_done)

    def _edit(self, message: Fields, fields: Fields, on_done: OnDone) -> None:
        self.target.api.submit("messages.edit", {"peer_id": self.target.peer_id, **message, **fields}, on_done)

    def _noting_message(self, then: OnDone) -> OnDone:
        """Learn which message it is: messages.send with `peer_ids` tells its number within the dialog."""

        def on_done(outcome: object) -> None:
            self._message = _names_of(outcome)
            then(outcome)

        return on_done

    def _add(self, job: Job) -> None:
        self._open += 1
        self.target.lines.add((self.target.group_id, self.target.peer_id), lambda done: job(partial(self._done, done)))

    def _done(self, done: Done) -> None:
        done()
        self._close()

    def _close(self) -> None:
        self._open -= 1
        if not self._open:
            self.on_quiet()

    def _note(self, outcome: object) -> None:
        failure = _failure_in(outcome)
        if failure is not None:
            self.error = failure
            self.cut_off = self.cut_off or isinstance(failure, ShutdownError)


def _parts_of(content: Content) -> list[Fields]:
    """Return the messages that hold this: what is not text goes with the last one."""
    parts: list[Fields] = [{"message": text} for text in split(clean(content.text))]
    if content.attachments and not parts:
        parts.append({})
    if parts and content.attachments:
        parts[-1]["attachment"] = ",".join(content.attachments)
    if parts and content.keyboard is not None:
        parts[-1]["keyboard"] = content.keyboard
    return parts


def _failure_in(outcome: object) -> VKError | None:
    """Return the error in an answer: messages.send succeeds as a whole, and tells of each dialog by itself."""
    if isinstance(outcome, VKError):
        return outcome
    entries = outcome if isinstance(outcome, list) else ()
    return next((entry for entry in entries if isinstance(entry, VKError)), None)


def _names_of(outcome: object) -> Fields:
    """Return what names a message that was sent, or nothing."""
    if isinstance(outcome, int) and outcome:
        return {"message_id": outcome}
    entry = outcome[0] if isinstance(outcome, list) and outcome else None
    if not isinstance(entry, dict):
        return {}
    for key in ("conversation_message_id", "message_id"):
        if isinstance(number := entry.get(key), int) and number:
            return {key: number}
    return {}


def _file_name(image: bytes) -> str:
    return f"photo.{sniff_type(image[:MAGIC_BYTES]).removeprefix('image/')}"
