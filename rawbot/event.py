"""What a bot sees: the event that it is told of, the reply that it writes to, the files that came with it.

Layer 1. The same on every channel; the platform's own typed object is `Event.message`. Nothing here does IO: an
attachment is downloaded by the shell.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from rawbot.errors import StateError
from rawbot.lanes import Policy
from rawbot.media import Media

MESSAGE = "message"
"""The `Event.kind` of what a user wrote. Every other kind is an event, named as its vendor spells it."""


CancelReason = Literal["superseded", "shutdown", "busy"]
"""Why a handler was stopped or not started: a newer message came, the bot goes down, too many messages wait."""


class Reply(Protocol):
    """What a handler writes to: the same on every channel. Returning from the handler finishes it.

    Writing to a finished reply raises `StateError`. `finish`, `fail` and `cancel` are called by whoever runs the
    handler; calling them twice does nothing.
    """

    @property
    def text(self) -> str:
        """All that was written so far."""

    @property
    def finished(self) -> bool:
        """Whether nothing more can be written."""

    def write(self, text: str) -> None:
        """Add to the end of what the user sees."""

    def replace(self, text: str) -> None:
        """Let the user see this text in place of all that was written before."""

    def finish(self) -> None:
        """End the reply as it is; the user sees at least a short sentence."""

    def fail(self) -> None:
        """End the reply after an exception in the handler; the user is told that it went wrong."""

    def cancel(self, reason: CancelReason) -> None:
        """End the reply because the handler was stopped, or never started; the user is told why."""


@runtime_checkable
class FollowUp(Protocol):
    """What a reply has besides where the platform takes more than one message for an answer.

    Whoever may have something more to say keeps it for long, so when finished it should hold little.
    """

    def follow_up(self, text: str) -> None:
        """Say something more once the reply is finished, as a message of its own.

        Raises `StateError`, and says why, where that cannot be or not any more.
        """


@runtime_checkable
class Illustrated(Protocol):
    """What a reply has besides where the platform shows pictures in it."""

    @property
    def illustrated(self) -> bool:
        """Whether it shows anything besides words already."""

    def attach_images(self, images: Sequence[bytes]) -> None:
        """Show pictures with the reply: all of them, or none and `StateError` if the platform does not take one."""


class Decoder(Protocol):
    """Turns the bytes that a download brings into those of the file."""

    def update(self, data: bytes) -> bytes:
        """Take the next piece, give what it completes."""

    def finish(self) -> bytes:
        """Give the rest. Raises `ProtocolError` when what came was cut short or is not what it should be."""


class Fetch(Protocol):
    """The shell's way to download an attachment, to memory or to the file at `path`."""

    def __call__(self, attachment: "Attachment", max_bytes: int, path: str | None) -> Awaitable[Media]:
        """Download, decode and describe. Raises `FetchError`."""


class Attachment:
    """A file that the user sent: nothing is downloaded before `read` or `save` is awaited."""

    __slots__ = ("expires_at", "fetch", "headers", "kind", "name", "url")

    def __init__(
        self,
        kind: str,
        url: str,
        *,
        expires_at: float,
        name: str = "",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.kind = kind
        """`image`, `file` or `video`."""
        self.url = url
        self.name = name
        """The file name, when the platform told one with the message."""
        self.headers = headers
        """More fields for the request, which no redirect to another host gets to see."""
        self.expires_at = expires_at
        """Unix time after which the platform no longer serves the file."""
        self.fetch: Fetch | None = None
        """Set by the shell before the handler is started."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind}>"  # the URL is a capability: whoever has it has the file

    def decoder(self) -> Decoder:
        """Return a fresh decoder for one download."""
        raise NotImplementedError

    async def read(self, *, max_bytes: int = 20 * 1024 * 1024) -> Media:
        """Download into memory, at most `max_bytes`. Raises `FetchError`, or `StateError` outside of a server."""
        return await self._fetcher()(self, max_bytes, None)

    async def save(self, path: str, *, max_bytes: int = 100 * 1024 * 1024) -> Media:
        """Download into the file at `path`, which appears only when it is whole. Raises as `read` does."""
        return await self._fetcher()(self, max_bytes, path)

    def _fetcher(self) -> Fetch:
        if self.fetch is None:
            raise StateError("this attachment was not delivered by a running App, so nothing can download it")
        return self.fetch


@dataclass(slots=True)
class Event:
    """What a bot's handler sees, from whichever platform."""

    kind: str
    """`"message"`, or the event's name as its vendor spells it."""
    platform: str
    chat: str
    """The conversation, unique within the platform; order is kept within it."""
    sender: str
    text: str
    reply: Reply
    message: object
    """The platform's own typed object, with all that it said."""
    attachments: Sequence[Attachment] = ()
    in_flight: int = 1
    """How many messages of this sender are being answered at present, this one included."""
    message_id: str = ""
    """The platform's name for the message, or for the event's callback; empty where it gives none."""
    bot: str = ""
    """The bot's own id on the platform, as far as the event tells it."""
    group: str = ""
    """The id of the group that it was said in; empty in a conversation of two."""
    quoted: str = ""
    """The words of the message that this one answers, as far as the platform tells them."""
    reply_to: str = ""
    """That message's id, likewise."""
    payload: Mapping[str, object] | None = None
    """What the platform says with an event that is no message, in its own fields."""
    patience: float = 0.0
    """Seconds for which the platform waits for words in answer to an event that is no message; 0 where it does not."""
    keeper: "Keeper | None" = None
    """Who ends the reply, when that is not the handler's return."""

    def __repr__(self) -> str:
        return f"<Event {self.kind} on {self.platform}>"  # what was said stays out of logs


class Keeper(Protocol):
    """Ends a reply in place of the handler's return, since others may have something to say as well.

    A reply whose handler fails or is cancelled ends with that all the same.
    """

    def returned(self, event: Event) -> None:
        """Be told that the handler has returned, or that there is none."""


Handler = Callable[..., Awaitable[None] | None]
"""`handler(event, reply)`: a coroutine function, or a plain function that must not block."""


class Handlers(Protocol):
    """Who is told of events: `rawbot.Bot`, or what a service has in its place."""

    policy: Policy
    max_waiting: int

    def handler_for(self, kind: str) -> Handler | None:
        """Return what to call for an event of this kind, or None."""
