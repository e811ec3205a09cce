"""What user Long Poll tells, as values: messages, their flags, who has read what, who comes and goes, who types.

Layer 3, pure. Source: VK, User Long Poll API, version 3 (dev.vk.com/ru/api/user-long-poll/getting-started). The array
stays in `raw`, with what stands behind the fields of that page.
"""

import re
from dataclasses import dataclass
from enum import IntFlag
from typing import Literal

from rawbot.vk.fields import Json, Private
from rawbot.vk.peers import peer_type

Change = Literal["replace", "set", "clear"]


class MessageFlag(IntFlag):
    """What `flags` of a message add up from; others are to be ignored."""

    UNREAD = 1
    OUTBOX = 2
    REPLIED = 4
    IMPORTANT = 8
    CHAT = 16
    FRIENDS = 32
    SPAM = 64
    DELETED = 128
    FIXED = 256
    MEDIA = 512
    HIDDEN = 65536
    DELETED_FOR_ALL = 131072
    NOT_DELIVERED = 262144


class DialogFlag(IntFlag):
    """What `flags` of a community's dialog add up from."""

    IMPORTANT = 1
    UNANSWERED = 2


@dataclass(slots=True, repr=False)
class UserEvent(Private):
    """Any of them."""

    code: int
    """The number that it begins with."""
    raw: list[object]


@dataclass(slots=True, repr=False)
class RawUpdate(UserEvent):
    """One that is not known, or not as the page has it."""


@dataclass(slots=True, repr=False)
class MessageUpdate(UserEvent):
    """Something about a message: all of it, or, where it is unavailable by now, as little as its id and flags."""

    message_id: int
    flags: int
    peer_id: int
    """0 where it was left out."""
    date: int
    """Unix seconds, 0 likewise."""
    text: str
    """As it was typed: entities are decoded."""
    extra: Json
    """Additional data: `from` in chats, `source_act` of what happened to a chat, `keyboard`, `payload`."""
    attachments: Json
    """`attach1_type`, `attach1`, `fwd`, `reply`, …: all of them strings."""
    random_id: int
    conversation_message_id: int
    """From version 10 on, 0 before."""
    edited_at: int
    """Likewise; 0 for never."""
    complete: bool
    """Whether there is a text, be it empty. Without one the message has to be asked for."""

    @property
    def out(self) -> bool:
        """Whether the account that polls has said it."""
        return bool(self.flags & MessageFlag.OUTBOX)

    @property
    def sender(self) -> int:
        """Who has said it; 0 for the account that polls, and where nothing tells."""
        author = self.extra.get("from")
        if isinstance(author, str) and _ID.fullmatch(author):
            return int(author)
        return 0 if self.out or peer_type(self.peer_id) == "chat" else self.peer_id


@dataclass(slots=True, repr=False)
class NewMessage(MessageUpdate):
    """4: a message came, or was sent."""


@dataclass(slots=True, repr=False)
class EditedMessage(MessageUpdate):
    """5: it was edited; 18: the platform has added something, as the preview of a link."""


@dataclass(slots=True, repr=False)
class FlagsChanged(MessageUpdate):
    """1, 2 and 3: `flags` replace the message's, are set in them, or cleared. A restored message comes complete."""

    change: Change

    def apply(self, flags: int) -> int:
        """Return the message's flags after this change."""
        return _apply(self.change, self.flags, flags)


@dataclass(slots=True, repr=False)
class DialogFlagsChanged(UserEvent):
    """10, 11 and 12: the same for a dialog of a community."""

    peer_id: int
    flags: int
    change: Change

    def apply(self, flags: int) -> int:
        """Return the dialog's flags after this change."""
        return _apply(self.change, self.flags, flags)


@dataclass(slots=True, repr=False)
class MessagesRead(UserEvent):
    """6 and 7: the messages of a dialog were read, up to this one: those that came, or those that were sent."""

    peer_id: int
    local_id: int
    out: bool
    """Whether the other side has read what was sent to it."""
    count: int | None
    """How many are unread still, where it is told."""


@dataclass(slots=True, repr=False)
class Presence(UserEvent):
    """8 and 9: a friend came or went."""

    user_id: int
    online: bool
    platform: int
    """1 mobile, 2 iPhone, 3 iPad, 4 Android, 5 Windows Phone, 6 Windows, 7 the site; 0 where it is not told."""
    timed_out: bool
    """Whether a friend who went has only done nothing for a while."""
    date: int


@dataclass(slots=True, repr=False)
class MessagesDeleted(UserEvent):
    """13: all messages of a dialog were deleted up to this one."""

    peer_id: int
    local_id: int


@dataclass(slots=True, repr=False)
class MessagesRestored(UserEvent):
    """14: they are back."""

    peer_id: int
    local_id: int


@dataclass(slots=True, repr=False)
class DialogMoved(UserEvent):
    """20 and 21: the number by which dialogs are sorted has changed."""

    peer_id: int
    number: Literal["major_id", "minor_id"]
    value: int


@dataclass(slots=True, repr=False)
class ChatChanged(UserEvent):
    """51: something about a chat has changed, its name or who is in it."""

    chat_id: int
    by_self: bool
    """Whether the account that polls did it."""


@dataclass(slots=True, repr=False)
class ChatInfoChanged(UserEvent):
    """52: the same in detail."""

    type_id: int
    """1 name, 2 picture, 3 administrator, 4 rights, 5 pin, 6 joined, 7 left, 8 thrown out; more are not documented."""
    peer_id: int
    info: int
    """Whom or what it concerns, by type."""


@dataclass(slots=True, repr=False)
class Typing(UserEvent):
    """61 to 64: somebody types or speaks; 65 to 68: somebody uploads."""

    peer_id: int
    user_ids: list[int]
    activity: Literal["typing", "recording", "photo", "video", "file", "video_message"]
    total_count: int
    """How many there are: the list may be shorter."""


@dataclass(slots=True, repr=False)
class Call(UserEvent):
    """70: a user has called."""

    user_id: int
    call_id: int


@dataclass(slots=True, repr=False)
class Counter(UserEvent):
    """80: how many dialogs are unread."""

    count: int


@dataclass(slots=True, repr=False)
class NotificationSettings(UserEvent):
    """114: whether a dialog may make itself heard."""

    peer_id: int
    sound: bool
    disabled_until: int
    """Unix seconds; 0 when nothing is disabled, -1 for ever."""


def _apply(change: Change, mask: int, flags: int) -> int:
    if change == "replace":
        return mask
    return flags | mask if change == "set" else flags & ~mask


_ID = re.compile("-?[0-9]{1,19}")
