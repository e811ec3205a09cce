"""The faces of one implementation: what its connections of OneBot 11 share.

Layer 3, pure. Source: OneBot 11, communication (X-Self-ID: one bot for each connection). All have the same ids; the
faces of one bot, which differ in the format of messages, remember the same messages.
"""

from collections.abc import Iterator

from rawbot.errors import ConfigError, StateError
from rawbot.exchange import EncodedText, Figure
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.v11.events import encode_event, lifecycle
from rawbot.onebot.v11.face import Face, Ids, MessageFormat, RecentMessages
from rawbot.onebot.v11.performing import RATE_LIMIT_INTERVAL, V11Performer
from rawbot.onebot.v11.settings import V11Connection


class Faces:
    """Makes the faces, and performs what is asked of them. `rate_limit_interval` is in milliseconds."""

    def __init__(self, implementation: Implementation, *, rate_limit_interval: int = RATE_LIMIT_INTERVAL) -> None:
        self.implementation = implementation
        self.performer = V11Performer(
            implementation.performer, clock=implementation.clock, rate_limit_interval=rate_limit_interval
        )
        self.untold = 0
        """Events that could not be told, for a field of OneBot 12's that they lack."""
        self._ids = Ids()
        self._recent: dict[Account, RecentMessages] = {}
        self._faces: dict[tuple[Account, MessageFormat], Face] = {}

    @property
    def user_agent(self) -> bytes:
        """What the implementation calls itself where it opens connections."""
        ours = self.implementation
        return f"OneBot/11 ({ours.platform}) {ours.impl}/{ours.version}".encode("ascii", "replace")

    def face_for(self, settings: V11Connection) -> Face:
        """Return the face of a connection's bot, the same one for all connections with that bot and format.

        Raises `ConfigError` where the bot is not named though it is not the only one, and for a `self_id` that cannot
        be, or that contradicts what the bot's number has been so far.
        """
        bot = self._find(settings.bot)
        self._settle(bot, settings.self_id)
        key = bot, settings.message_format
        face = self._faces.get(key)
        if face is None:
            face = self._faces[key] = Face(
                bot,
                actions=self.implementation.actions,
                status=self.implementation.roster.status,
                ids=self._ids,
                message_format=settings.message_format,
                recent=self._recent.setdefault(bot, RecentMessages()),
            )
        return face

    def encode(self, broadcast: Broadcast, face: Face) -> EncodedText | None:
        """Return an event as this face tells it, encoded once for all of its connections; None where it tells nothing.

        Nothing is raised: an event that lacks what OneBot 12 demands of it is not told, and counted.
        """
        return broadcast.form(face, self._encode)

    def lifecycle(self, sub_type: str, face: Face, now: float) -> EncodedText:
        """Return the event that opens a connection, or tells of start and end."""
        return EncodedText(JSON.encode(lifecycle(sub_type, face, now)))

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure(
            "onebot_v11_untold", "counter", self.untold, "Events that lack what OneBot 11 has to tell of them."
        )
        yield Figure("onebot_v11_queued", "gauge", len(self.performer), "Rate-limited calls that wait for their turn.")

    def _encode(self, event: OneBotEvent, face: Face) -> EncodedText | None:
        try:
            encoded = encode_event(event, face)
            return None if encoded is None else EncodedText(JSON.encode(encoded))
        except (ActionError, StateError):
            self.untold += 1
            return None

    def _settle(self, bot: Account, self_id: int | None) -> None:
        """Let the bot have this number, which its other connections have told already."""
        users = self._ids.users
        if self_id is None:
            return
        if bot in self._recent and users.encode(bot.user_id) != self_id:
            raise ConfigError(f"the bot's connections say another self_id than {self_id}: give it to all of them")
        users.pin(bot.user_id, self_id)

    def _find(self, bot: str | Account | None) -> Account:
        if isinstance(bot, Account):
            return bot
        if bot is not None:
            return Account(self.implementation.platform, bot)
        try:
            return self.implementation.roster.find(None)
        except ActionError:
            raise ConfigError(
                "a connection of OneBot 11 is for one bot: name it, unless there is exactly one"
            ) from None
