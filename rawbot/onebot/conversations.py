"""What the gateway remembers of the conversations on the app's channels: who wrote, and which replies are still open.

Layer 3, pure. A turn is one message of a user's, or an event that may be answered, with the reply that the channel
waits for. As long as that is open, what an application sends goes there; after that it is a follow-up.

Turns are held open for applications, each for its own time. Those to be ended come out of a heap; one whose time was
prolonged goes back into it, so that prolonging costs nothing.
"""

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from rawbot.event import Event, Illustrated, Reply
from rawbot.expiring import ExpiringDict
from rawbot.onebot.messages import Account

MAX_REPLIES = 3
"""Finished replies of one conversation that are kept for follow-ups: each may carry one, on some channels."""

LOOK_AT = 2 * MAX_REPLIES
"""Replies of one conversation from which on it is looked which of them are of use."""

REMEMBERED = 3600.0
"""Seconds for which a message can be followed up, and its sender is known: as long as WeCom's response_url lives."""

MAX_CONVERSATIONS = 50_000
"""Conversations, and users, that are remembered."""


class Target(NamedTuple):
    """Whom a message is for."""

    platform: str
    bot: str
    detail_type: str
    """`private` or `group`."""
    id: str
    """The user's, or the group's."""


class Turn:
    """One message and the reply to it. It holds nothing of what was said."""

    __slots__ = (
        "_on_return", "answered", "expires_at", "forgotten_at", "has_returned", "held", "message_id", "reply", "sender",
        "spent", "streamed",
    )  # fmt: skip

    def __init__(self, event: Event, now: float, on_return: "OnReturn") -> None:
        self._on_return = on_return
        self.reply: Reply = event.reply
        self.message_id = event.message_id
        self.sender = event.sender
        self.forgotten_at = now + REMEMBERED
        self.expires_at = now
        """Until then it is held, if it is."""
        self.held = False
        """Whether the reply is kept open for applications when the handler has returned."""
        self.has_returned = False
        """Whether the app's own handler is through with it."""
        self.answered = False
        """Whether an application has said what it wanted to."""
        self.streamed = False
        """Whether an application writes piece by piece, and says itself when it is through."""
        self.spent = False
        """Whether nothing can follow the reply any more, as has turned out."""

    @property
    def open(self) -> bool:
        """Whether something can still be written to the reply."""
        return not self.reply.finished

    @property
    def settled(self) -> bool:
        """Whether something has been said, by the handler or by an application, and nothing more is under way."""
        if self.answered or self.streamed:
            return self.answered
        return bool(self.reply.text) or (isinstance(self.reply, Illustrated) and self.reply.illustrated)

    @property
    def can_follow_up(self) -> bool:
        """Whether its channel may take one more message."""
        return not self.spent and hasattr(self.reply, "follow_up")  # asking for the protocol takes 3 µs, and 14 in vain

    def returned(self, _event: Event) -> None:
        """Be told that the handler is through (`event.Keeper`)."""
        self.has_returned = True
        self._on_return(self)


OnReturn = Callable[[Turn], None]


class Meant(NamedTuple):
    """The turns that a message may answer, the newest first."""

    turns: list[Turn]
    """Those that it can be meant for."""
    others: list[Turn]
    """The conversation's others, which may carry it where those cannot."""

    @property
    def open(self) -> Turn | None:
        """The turn to write to."""
        return next((turn for turn in self.turns if turn.open), None)


class Conversation:
    """The turns of one conversation that may still be of use, the oldest first."""

    __slots__ = ("_look_at", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._look_at = LOOK_AT

    def add(self, turn: Turn, now: float) -> None:
        """Add the newest. Whether the others are of use is looked at as often as they have doubled."""
        if len(self.turns) >= self._look_at:
            self.turns = _useful(self.turns, now)
            self._look_at = max(LOOK_AT, 2 * len(self.turns))
        self.turns.append(turn)


class Conversations:
    """All that is remembered."""

    __slots__ = ("_due", "_held", "_known", "_number", "_users")

    def __init__(self) -> None:
        self._known: ExpiringDict[Target, Conversation] = ExpiringDict(REMEMBERED, MAX_CONVERSATIONS)
        self._users: ExpiringDict[tuple[str, str, str], bool] = ExpiringDict(REMEMBERED, MAX_CONVERSATIONS)
        self._held = 0
        self._due: list[tuple[float, int, Turn]] = []
        """A heap by the time at which to look at a turn again."""
        self._number = count()

    def __len__(self) -> int:
        """Count the turns that are held."""
        return self._held

    def note(self, event: Event, account: Account, now: float, on_return: OnReturn) -> Turn:
        """Remember who has spoken and where, and the reply."""
        kind, name = ("group", event.group) if event.group else ("private", event.sender)
        target = Target(account.platform, account.user_id, kind, name)
        turn = Turn(event, now, on_return)
        conversation = self._known.get(target, now) or Conversation()
        conversation.add(turn, now)
        self._known.set(target, conversation, now)
        self._users.set((account.platform, account.user_id, event.sender), True, now)
        return turn

    def find(self, target: Target, message_id: str, sender: str, now: float) -> Meant | None:
        """Return the turns that a message may answer, or None when nobody has spoken from there lately.

        It is meant for the message that it names, else for those of the user that it names, else for any.
        """
        conversation = self._known.get(target, now)
        if conversation is None:
            return None
        turns = [turn for turn in reversed(conversation.turns) if turn.open or turn.forgotten_at > now]
        meant = [turn for turn in turns if message_id and turn.message_id == message_id]
        meant = meant or [turn for turn in turns if sender and turn.sender == sender] or turns
        among = set(meant)
        return Meant(meant, [turn for turn in turns if turn not in among])

    def knows(self, account: Account, user_id: str, now: float) -> bool:
        """Tell whether a user has spoken to a bot, in whichever conversation."""
        return self._users.get((account.platform, account.user_id, user_id), now) is not None

    def users(self, account: Account, now: float) -> list[str]:
        """Return who has spoken to a bot by themselves."""
        whose = (account.platform, account.user_id, "private")
        return [target.id for target in self._known.keys(now) if target[:3] == whose]

    def hold(self, turn: Turn, expires_at: float) -> None:
        """Hold a turn till then; one that is held already, at least till then."""
        if turn.held:
            turn.expires_at = max(turn.expires_at, expires_at)
            return
        turn.expires_at, turn.held = expires_at, True
        self._held += 1
        heapq.heappush(self._due, (expires_at, next(self._number), turn))

    def release(self, turn: Turn) -> None:
        """Hold a turn no longer."""
        if turn.held:
            turn.held = False
            self._held -= 1

    def expire(self, now: float) -> Iterator[Turn]:
        """Release the turns whose time is over, and give them; forget what is old."""
        while self._due and self._due[0][0] <= now:
            turn = heapq.heappop(self._due)[2]
            if turn.held and turn.open and turn.expires_at > now:
                heapq.heappush(self._due, (turn.expires_at, next(self._number), turn))
            elif turn.held:
                self.release(turn)
                yield turn
        self._known.expire(now)
        self._users.expire(now)

    def release_all(self) -> list[Turn]:
        """Release all turns, and give them."""
        turns = [turn for _, _, turn in self._due if turn.held]
        self._due.clear()
        for turn in turns:
            self.release(turn)
        return turns


def _useful(turns: list[Turn], now: float) -> list[Turn]:
    """Return those that are open, and the newest of the others that can be followed up."""
    left = MAX_REPLIES
    useful: list[Turn] = []
    for turn in reversed(turns):
        if turn.open:
            useful.append(turn)
        elif left and turn.forgotten_at > now and turn.can_follow_up:
            left -= 1
            useful.append(turn)
    useful.reverse()
    return useful
