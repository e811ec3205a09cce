"""What the gateway remembers of the conversations on the app's channels: who wrote, and which replies are still open.

Layer 3, pure. A turn is one message of a user's, with the reply that the channel waits for. As long as it is held, an
application's `send_message` goes there; after that, what it says is a follow-up of the last reply.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rawbot.event import Event, FollowUp
from rawbot.expiring import ExpiringDict
from rawbot.onebot.messages import Account

MAX_REPLIES = 8
"""Replies of one conversation that are kept for follow-ups: each may carry one, on some channels."""

REMEMBERED = 3600.0
"""Seconds for which a conversation can be written to after its last message: as long as WeCom's response_url lives."""

MAX_CONVERSATIONS = 50_000
"""Conversations that are remembered; a kilobyte each, as a rule."""


class Target(NamedTuple):
    """Whom a message is for."""

    platform: str
    bot: str
    detail_type: str
    """`private` or `group`."""
    id: str
    """The user's, or the group's."""


class Turn:
    """One message and the reply to it."""

    __slots__ = ("_on_return", "answered", "event", "expires_at", "has_returned", "target")

    def __init__(self, event: Event, target: Target, expires_at: float, on_return: "OnReturn") -> None:
        self._on_return = on_return
        self.event = event
        self.target = target
        self.expires_at = expires_at
        """Until then the reply is held open for applications."""
        self.has_returned = False
        """Whether the app's own handler is through with it."""
        self.answered = False
        """Whether an application has said what it wanted to."""

    @property
    def open(self) -> bool:
        """Whether something can still be written to the reply."""
        return not self.event.reply.finished

    def returned(self, _event: Event) -> None:
        """Be told that the handler is through (`event.Keeper`)."""
        self.has_returned = True
        self._on_return(self)

    @property
    def settled(self) -> bool:
        """Whether nobody has anything more to say: the handler has returned, and words are there."""
        return self.has_returned and (self.answered or bool(self.event.reply.text))


OnReturn = Callable[[Turn], None]


class Conversations:
    """All that is remembered; each turn is held for `hold` seconds."""

    __slots__ = ("_held", "_hold", "_known", "_users")

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._known: ExpiringDict[Target, list[Turn]] = ExpiringDict(REMEMBERED, MAX_CONVERSATIONS)
        self._users: ExpiringDict[tuple[str, str, str], Event] = ExpiringDict(REMEMBERED, MAX_CONVERSATIONS)
        self._held: OrderedDict[Turn, None] = OrderedDict()
        """In the order of their time, since all are held equally long, and start anew at the end."""

    def __len__(self) -> int:
        """Count the turns that are held."""
        return len(self._held)

    def __iter__(self) -> Iterator[Turn]:
        return iter(tuple(self._held))

    def begin(self, event: Event, account: Account, now: float, on_return: OnReturn) -> Turn:
        """Note a message; its reply is held from now on."""
        kind, name = ("group", event.group) if event.group else ("private", event.sender)
        target = Target(account.platform, account.user_id, kind, name)
        turn = Turn(event, target, now + self._hold, on_return)
        turns = self._known.get(target, now) or []
        self._known.set(target, [*turns[1 - MAX_REPLIES :], turn], now)
        self._users.set((account.platform, account.user_id, event.sender), event, now)
        self._held[turn] = None
        return turn

    def find_open(self, target: Target, message_id: str, now: float) -> Turn | None:
        """Return the turn to write to: that of the message named, else the newest that is open."""
        turns = [turn for turn in self._known.get(target, now) or () if turn in self._held and turn.open]
        named = [turn for turn in turns if message_id and turn.event.message_id == message_id]
        return next(reversed(named or turns), None)

    def follow_ups(self, target: Target, now: float) -> list[FollowUp]:
        """Return the replies that may carry one more message, the newest first."""
        turns = reversed(self._known.get(target, now) or ())
        return [turn.event.reply for turn in turns if isinstance(turn.event.reply, FollowUp)]

    def knows(self, target: Target, now: float) -> bool:
        """Tell whether anybody has written from there."""
        return self._known.get(target, now) is not None

    def user(self, account: Account, user_id: str, now: float) -> Event | None:
        """Return the last message of a user."""
        return self._users.get((account.platform, account.user_id, user_id), now)

    def users(self, account: Account, now: float) -> list[str]:
        """Return who has written to a bot by themselves."""
        whose = (account.platform, account.user_id, "private")
        return [target.id for target in self._known.keys(now) if target[:3] == whose]

    def hold_on(self, turn: Turn, now: float) -> None:
        """Hold a turn for as long again."""
        if turn in self._held:
            turn.expires_at = now + self._hold
            self._held.move_to_end(turn)

    def holds(self, turn: Turn) -> bool:
        """Tell whether a turn is held."""
        return turn in self._held

    def release(self, turn: Turn) -> None:
        """Hold a turn no longer."""
        self._held.pop(turn, None)

    def expired(self, now: float) -> Iterator[Turn]:
        """Take out the turns whose time is over, or whose reply has ended without us; forget old conversations."""
        while self._held and (turn := next(iter(self._held))) is not None:
            if turn.expires_at > now and turn.open:
                break
            self.release(turn)
            yield turn
        self._known.expire(now)
        self._users.expire(now)
