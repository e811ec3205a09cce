"""Replies as a channel may have them, and events to which they belong: for the tests of the gateway."""

from collections.abc import Sequence

from fake_endpoint import FakeReply

from rawbot.errors import StateError
from rawbot.event import MESSAGE, Event


class FullReply(FakeReply):
    """A reply with all that a channel may have: pictures, and one message that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[bytes] = []
        self.followed_by: list[str] = []
        self.may_be_followed = True
        self.written: list[str] = []
        """Piece by piece."""

    @property
    def illustrated(self) -> bool:
        return bool(self.images)

    def write(self, text: str) -> None:
        super().write(text)
        self.written.append(text)

    def attach_images(self, images: Sequence[bytes]) -> None:
        if b"bad" in images:
            raise StateError("neither JPG nor PNG")
        self.images += images

    def follow_up(self, text: str) -> None:
        if not self.ended:
            raise StateError("the reply is not finished")
        if not self.may_be_followed:
            raise StateError("one message has followed")
        self.may_be_followed = False
        self.followed_by.append(text)


def make_event(text: str = "hello", message_id: str = "m1", **more: object) -> Event:
    """Make an event of zhangsan's, in the single chat unless a group is named."""
    fields: dict[str, object] = {
        "kind": MESSAGE,
        "platform": "wecom",
        "chat": "BOT/zhangsan",
        "sender": "zhangsan",
        "text": text,
        "reply": FullReply(),
        "message": None,
        "message_id": message_id,
        "bot": "BOT",
    }
    return Event(**fields | more)
