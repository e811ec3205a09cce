"""The implementation: its bots, its actions, and everybody whom its events go to.

Layer 3, pure. Source: OneBot 12, connect/ for the ways out, interface/meta for the actions and events about the
implementation itself. The clock and chance are given; nothing here waits.

One implementation may stand behind any number of doors and connections. Each of them lets time pass (`tick`), so it
does not matter which.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rawbot.errors import ConfigError, StateError
from rawbot.exchange import Figure
from rawbot.onebot import events
from rawbot.onebot.actions import Actions
from rawbot.onebot.broadcast import Broadcast, Sink
from rawbot.onebot.events import OneBotEvent
from rawbot.onebot.files import Files
from rawbot.onebot.messages import Account
from rawbot.onebot.performing import ActionHandlers, Performer
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.roster import Roster
from rawbot.onebot.settings import check_name, demand_count

ONEBOT_VERSION = "12"

ACTION_TIMEOUT = 120.0
"""Seconds after which a handler's action is answered for it. Applications give up earlier (NoneBot after 30), and then
want no answer; this is for those who would wait for ever."""

MAX_RUNNING = 1000
"""Actions whose handlers run at once."""

H = TypeVar("H", bound=Callable[..., object])


class Implementation:
    """A OneBot implementation named `impl`, of which `bots` are the accounts, or their ids, on `platform`.

    `heartbeat` is the interval of heartbeat events in milliseconds, 0 for none. `action_timeout` is in seconds.
    `strict` refuses parameters that an action does not know (10004), which are ignored otherwise. `clock` gives Unix
    time, `entropy(n)` n random bytes. Raises `ConfigError` for names that the standard does not allow, those of the
    bots' platforms among them.
    """

    def __init__(
        self,
        impl: str,
        *,
        platform: str,
        version: str,
        bots: Sequence[str | Account] = (),
        heartbeat: int = 0,
        action_timeout: float = ACTION_TIMEOUT,
        max_running: int = MAX_RUNNING,
        strict: bool = False,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.impl = check_name("impl", impl)
        self.platform = check_name("platform", platform)
        self.version = _check_version(version)
        demand_count("heartbeat", heartbeat)
        self.roster = _make_roster(bots, platform)
        self.actions = Actions()
        self.performer = Performer(
            self.actions, self.roster, clock=clock, timeout=action_timeout, max_running=max_running, strict=strict
        )
        self.handlers = ActionHandlers()
        self.clock = clock
        self.heartbeat = heartbeat
        self._entropy = entropy
        self._sinks: list[Sink] = []
        self._leaving: deque[Broadcast] = deque()
        self._sending = False
        self._next_beat = math.inf
        self.emitted = 0
        self.dropped = 0
        """How many events the applications on WebSockets were too slow for."""
        self.files: Files | None = None
        """The file service, if there is one: time passes for it, too."""
        for name in ("get_supported_actions", "get_status", "get_version"):
            self.actions.register(name, getattr(self, f"_{name}"))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.impl}>"

    @property
    def user_agent(self) -> bytes:
        """What it calls itself where it opens connections."""
        return f"OneBot/{ONEBOT_VERSION} ({self.platform}) {self.impl}/{self.version}".encode("ascii", "replace")

    # What its owner calls

    def action(self, name: str, *, replace: bool = False) -> Callable[[H], H]:
        """Register the handler of an action (decorator); see `Actions.register` for what its signature may say."""

        def register(handler: H) -> H:
            self.actions.register(name, handler, replace=replace)
            return handler

        return register

    async def emit(self, event: OneBotEvent) -> None:
        """Send an event to everybody: `push`, for those who write `await`."""
        self.push(event)

    def push(self, event: OneBotEvent) -> None:
        """Send an event to everybody, without waiting for anybody. It may not be changed afterwards.

        Its id and time are set unless it has them; an event without a bot gets the only one. Raises `StateError` for an
        event that the standard does not know how to say.
        """
        if event.bot is None and event.type != "meta":
            event.bot = self._only_bot()
        self._send(event)

    def set_online(self, bot: str | Account, online: bool = True) -> None:  # noqa: FBT001, FBT002 - on or off
        """Note that a bot, a new one too, is online or not; everybody is told when that is news."""
        account = Account(self.platform, bot) if isinstance(bot, str) else bot
        if self.roster.set(account, online=online):
            self._send(events.status_update(self.roster.status([account])))

    def remove_bot(self, bot: str | Account) -> None:
        """Forget a bot; everybody is told that it is offline."""
        account = Account(self.platform, bot) if isinstance(bot, str) else bot
        gone = self.roster.remove(account)
        if gone is not None:
            last = {"self": gone.encode(), "online": False}
            self._send(events.status_update(self.roster.status([]) | {"bots": [last]}))

    def set_good(self, good: bool) -> None:  # noqa: FBT001 - on or off
        """Note whether the implementation itself is well; everybody is told when that is news."""
        if good is not self.roster.good:
            self.roster.good = good
            self._send(events.status_update(self.roster.status([])))

    # What connections call

    def join(self, sink: Sink) -> None:
        """Let events go to this one, too."""
        self._sinks.append(sink)

    def leave(self, sink: Sink) -> None:
        """Let no more go there."""
        if sink in self._sinks:
            self._sinks.remove(sink)

    @property
    def has_sinks(self) -> bool:
        """Whether events go anywhere at all, be it only to a buffer that nobody has asked for lately."""
        return bool(self._sinks)

    def is_heard(self) -> bool:
        """Tell whether events go to an application, as far as that can be known."""
        now = self.clock()
        return any(sink.listens(now) for sink in self._sinks)

    def new_id(self) -> str:
        """Return an id that nothing else has."""
        return self._entropy(12).hex()

    def greetings(self) -> list[Broadcast]:
        """Return the first events of a new WebSocket: connect, and how all bots are."""
        return [self.prepare(events.connect(self._get_version())), self.prepare_status()]

    def prepare_status(self) -> Broadcast:
        """Return a status_update of all bots."""
        return self.prepare(events.status_update(self.roster.status()))

    def prepare(self, event: OneBotEvent) -> Broadcast:
        """Return an event ready to go, with an id and a time. Raises `StateError` for one that cannot."""
        if not event.id:
            event.id = self.new_id()
        if not event.time:
            event.time = self.clock()
        return Broadcast(event)

    # Time

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return min(self._next_beat, self.performer.deadline)

    def start(self, now: float) -> None:
        """Be well again, and let the heart beat: the first beat comes after one interval."""
        self.set_good(good=True)
        if self.heartbeat and self._next_beat == math.inf:
            self._next_beat = now + self.heartbeat / 1000

    def tick(self, now: float) -> None:
        """Do what is due; any number of callers may."""
        self.performer.tick(now)
        if self.files is not None:
            self.files.tick(now)
        if self._next_beat < math.inf:
            self._beat(now, self.heartbeat / 1000)

    def drain(self) -> None:
        """Say that it is about to go."""
        self._next_beat = math.inf
        self.set_good(good=False)

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        performer = self.performer
        yield Figure("onebot_sinks", "gauge", len(self._sinks), "Connections and buffers that events go to.")
        yield Figure("onebot_events", "counter", self.emitted, "Events that were sent.")
        yield Figure("onebot_websockets_dropped", "counter", self.dropped, "Events that WebSockets were too slow for.")
        yield Figure("onebot_actions", "counter", performer.performed, "Action requests that were answered.")
        yield Figure("onebot_actions_failed", "counter", performer.failed, "Those that were answered with an error.")
        yield Figure("onebot_actions_running", "gauge", len(performer), "Actions whose handlers run.")
        if self.files is not None:
            yield from self.files.figures()

    # Inside

    def _beat(self, now: float, interval: float) -> None:
        """Beat if it is time; a clock that was set back, or stood still, delays or repeats no beat."""
        if now >= self._next_beat:
            following = self._next_beat + interval
            self._next_beat = following if following > now else now + interval
            self._send(events.heartbeat(self.heartbeat))
        else:
            self._next_beat = min(self._next_beat, now + interval)

    def _send(self, event: OneBotEvent) -> None:
        broadcast = self.prepare(event)
        try:
            _ = broadcast.text if self._sinks else None
        except ActionError as error:
            raise StateError(f"this event cannot be encoded: {error}") from None
        self.emitted += 1
        self._leaving.append(broadcast)
        if self._sending:  # a poll is answered, and the request behind it emits: all shall get both in their order
            return
        self._sending = True
        try:
            while self._leaving:
                broadcast = self._leaving.popleft()
                for sink in tuple(self._sinks):
                    sink.push(broadcast)
        finally:
            self._sending = False

    def _only_bot(self) -> Account:
        try:
            return self.roster.find(None)
        except ActionError:
            raise StateError("an event names its bot, unless the implementation has exactly one") from None

    def _get_supported_actions(self) -> list[str]:
        return self.actions.names()

    def _get_status(self) -> dict[str, object]:
        return self.roster.status()

    def _get_version(self) -> dict[str, object]:
        return {"impl": self.impl, "version": self.version, "onebot_version": ONEBOT_VERSION}


def _check_version(version: str) -> str:
    if not isinstance(version, str) or not version.isprintable():
        raise ConfigError("version is a printable str: it stands in a header field")
    return version


def _make_roster(bots: Sequence[str | Account], platform: str) -> Roster:
    if isinstance(bots, str):
        raise ConfigError("bots is a sequence of ids, or of accounts")
    roster = Roster(Account(platform, bot) if isinstance(bot, str) else bot for bot in bots)
    for account in roster:
        check_name("platform", account.platform)
        if not account.user_id:
            raise ConfigError("a bot's id must not be empty")
    return roster
