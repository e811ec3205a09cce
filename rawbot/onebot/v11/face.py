"""What OneBot 11 sees of one bot: its number, its ids, the last messages, and how messages are written.

Layer 3, pure. A face belongs to one bot, since every connection of OneBot 11 does (`X-Self-ID`); several connections
share it. The ids are shared by all bots of an implementation.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Literal

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.retcodes import BAD_PARAM, PLATFORM_UNKNOWN_TARGET, ActionError
from rawbot.onebot.v11.cq import V11Segment, encode_cq
from rawbot.onebot.v11.ids import IdTable, message_ids, user_ids

Json = dict[str, object]
MessageFormat = Literal["string", "array"]

MAX_RECENT = 1_000
"""Messages of one bot that are remembered with their contents, for `get_msg`."""


@dataclass(slots=True)
class Ids:
    """Both tables: one for users and groups, one for messages."""

    users: IdTable = field(default_factory=user_ids)
    messages: IdTable = field(default_factory=message_ids)

    def user_id(self, number: int) -> str:
        """Return a user's or group's id; `ActionError` for a number behind which nobody is known."""
        name = self.users.decode(number)
        if name is None:
            raise ActionError(PLATFORM_UNKNOWN_TARGET, "no user and no group of this number is known")
        return name

    def message_id(self, number: int) -> str:
        """Return a message's id; `ActionError` for a number that was given to no message, or too long ago."""
        name = self.messages.decode(number)
        if name is None:
            raise ActionError(BAD_PARAM, "no message of this number is known")
        return name


class RecentMessages:
    """The last messages as `get_msg` tells them: applications look up what a reply refers to."""

    __slots__ = ("_max_items", "_messages")

    def __init__(self, max_items: int = MAX_RECENT) -> None:
        if max_items < 0:
            raise ConfigError("the number of messages to remember cannot be negative")
        self._max_items = max_items
        self._messages: OrderedDict[int, tuple[Json, list[V11Segment]]] = OrderedDict()

    def __len__(self) -> int:
        """Count the messages that are remembered."""
        return len(self._messages)

    def add(self, message_id: int, facts: Json, segments: list[V11Segment]) -> None:
        """Remember a message; the same one again is only renewed."""
        self._messages[message_id] = (facts, segments)
        self._messages.move_to_end(message_id)
        if len(self._messages) > self._max_items:
            self._messages.popitem(last=False)

    def get(self, message_id: int) -> tuple[Json, list[V11Segment]] | None:
        """Return what is known of a message besides its text, and its segments."""
        return self._messages.get(message_id)


class Face:
    """One bot, as OneBot 11 has it.

    `actions` holds the names of the OneBot 12 actions that can be called, `status` returns the data of `get_status`;
    both are asked when they are needed. `message_format` is the standard's `event.message_format`; its own default is
    "string", ours is what applications of today expect. `recent` is shared by the faces of one bot, which differ in the
    format.
    """

    def __init__(
        self,
        bot: Account,
        *,
        actions: Container[str],
        status: Callable[[], object],
        ids: Ids | None = None,
        message_format: MessageFormat = "array",
        recent: RecentMessages | None = None,
    ) -> None:
        if message_format not in ("string", "array"):
            raise ConfigError('message_format is "string" or "array"')
        self.bot = bot
        self.actions = actions
        self.status = status
        self.ids = Ids() if ids is None else ids
        self.recent = RecentMessages() if recent is None else recent
        self._as_array = message_format == "array"

    @property
    def self_id(self) -> int:
        """Return the bot's number: `self_id` of events, `X-Self-ID` of connections."""
        return self.ids.users.encode(self.bot.user_id)

    def write_message(self, segments: list[V11Segment]) -> str | list[V11Segment]:
        """Write a message in the format of this face."""
        return segments if self._as_array else encode_cq(segments)
