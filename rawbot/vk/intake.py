"""Takes events on, whichever way they come: each once, as many as there is room for, and none that is our own echo.

Layer 3, pure. The Callback API and Long Poll bring the same events, and each brings some of them twice; so both come
here. Source: VK, community events (dev.vk.com/ru/api/community-events/json-schema).

An event is kept in the journal, if there is one, before it is acknowledged, and stays there till its handler is done
and VK has answered what that had to say. What an earlier process has left is taken on again at the start. A handler
that the end of the app cuts off is as if it had not run.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from math import inf

import orjson

from rawbot.errors import ConfigError, ProtocolError
from rawbot.event import Event
from rawbot.exchange import Figure
from rawbot.vk.bot_events import make_event, peer_of
from rawbot.vk.event_replies import DEADLINE, ButtonReply
from rawbot.vk.growing import Growing
from rawbot.vk.journal import Entry, Journal
from rawbot.vk.lines import Dialog, Lines
from rawbot.vk.messages import Envelope, Key, decode_object, decode_update, dedupe_key
from rawbot.vk.objects import MessageEvent, VKObject
from rawbot.vk.posting import Api, Target
from rawbot.vk.register import Register, Standing
from rawbot.vk.replies import Ending, VKReply
from rawbot.vk.settings import VKGroup

MAX_RUNNING = 10_000
"""Events that are being handled or wait for it; one more is not taken on, and VK brings it again."""

MAX_PER_PEER = 32
"""Messages of one dialog, likewise: no more than `Bot.max_waiting`, or the bot refuses what is acknowledged."""

MAX_BYTES = 256 * 1024 * 1024
"""Bytes of all these events, as they came: a few of the largest take the place of many."""


class Refusal(Enum):
    """Why an event was not given to the bot."""

    RUNNING = "its handler runs already"
    DONE = "it was handled before"
    ECHO = "it tells of what the community has said itself"
    FULL = "too many events are being handled"


class Intake:
    """The events of some communities. `apis` has the API client of each community with a token.

    Whoever brings an event gives what `take` returns to the bot. `recall` comes first, `tick` is called as time passes.
    """

    def __init__(
        self,
        groups: Mapping[int, VKGroup],
        apis: Mapping[int, Api],
        *,
        register: Register,
        journal: Journal | None = None,
        echoes: bool = False,
        max_running: int = MAX_RUNNING,
        max_per_peer: int = MAX_PER_PEER,
        max_bytes: int = MAX_BYTES,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if min(max_running, max_per_peer, max_bytes) < 1:
            raise ConfigError("max_running, max_per_peer and max_bytes must be 1 or more")
        self.closed = False
        """Whether nothing new is taken on: there is no room for anything then."""
        self.taken = self.recalled = 0
        self.refused: Counter[Refusal] = Counter()
        self.ended: Counter[Ending] = Counter()
        self.lost: Counter[str] = Counter()
        """What the journal could not do, by what that was."""
        self.clock = 0.0
        """The time that was told last."""
        self.deadline = inf
        """When `tick` is wanted, as a service's."""
        self._groups = groups
        self._apis = apis
        self._register = register
        self.journal = journal
        self._echoes = echoes
        self._max_running = max_running
        self._max_per_peer = max_per_peer
        self._max_bytes = max_bytes
        self._entropy = entropy
        self._messages: dict[Dialog, int] = {}
        """How many messages of each dialog are being handled."""
        self._bytes = 0
        self._lines = Lines()
        self._growing = Growing()

    def __len__(self) -> int:
        """Count the events that are being handled."""
        return len(self._register)

    def take(self, envelope: Envelope, now: float, *, began_at: float | None = None, size: int = 0) -> Event | Refusal:
        """Take an event on, and keep it; what comes back is for the bot, and must be dispatched.

        `began_at` is when it came first, where that is known to be earlier; `size` its bytes. Raises `ProtocolError`
        for an object that is not what its type says, and `OSError` when it cannot be kept: then it is not taken on.
        """
        self.clock = now
        if envelope.type == "message_reply" and not self._echoes:
            return self._refuse(Refusal.ECHO)
        key = dedupe_key(envelope) or (envelope.group_id, self._entropy(12).hex())
        standing = self._register.standing(key, now)
        if standing is Standing.RUNNING or standing is Standing.DONE:
            return self._refuse(Refusal.RUNNING if standing is Standing.RUNNING else Refusal.DONE)
        about = decode_object(envelope)
        dialog = envelope.group_id, peer_of(about)
        if self._is_full(envelope, dialog):
            if isinstance(about, MessageEvent):  # its minute has begun
                self._register.put_off(key, now)
            return self._refuse(Refusal.FULL)
        if self.journal is not None:
            self._keep(self.journal, key, envelope, now)
        self.taken += 1
        again = standing is Standing.FAILED
        return self._begin(envelope, about, key, now, met=began_at, size=size, again=again)

    def recall(self, now: float) -> list[Event]:
        """Return the events that an earlier process has taken on and not done, in their order.

        Raises `OSError` when the journal cannot be read.
        """
        self.clock = now
        if self.journal is None:
            return []
        entries = list(self.journal.entries(now - self._register.window))
        found = [self._recall(self.journal, entry, now) for entry in entries]
        return [event for event in found if event is not None]

    def tick(self, now: float) -> None:
        """Forget, and let the messages grow that are being written."""
        self.clock = now
        self._register.expire(now)
        self.deadline = self._growing.tick(now)
        if self.journal is not None:
            try:
                self.journal.forget(now - self._register.window)
            except OSError:
                self.lost["forget"] += 1

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("vk_events", "counter", self.taken, "Events that were taken on.")
        yield Figure("vk_events_recalled", "counter", self.recalled, "Events that an earlier process had left.")
        for reason in Refusal:
            labels = (("reason", reason.name.lower()),)
            yield Figure(
                "vk_events_refused", "counter", self.refused[reason], "Events that the bot did not get.", labels
            )
        for ending in Ending:
            labels = (("ending", ending.name.lower()),)
            yield Figure("vk_events_ended", "counter", self.ended[ending], "Events by how they ended.", labels)
        for what, count in sorted(self.lost.items()):
            labels = (("what", what),)
            yield Figure("vk_journal_failures", "counter", count, "What the journal could not do.", labels)
        yield Figure("vk_events_running", "gauge", len(self), "Events that are being handled.")
        yield Figure("vk_events_age", "gauge", self._register.age(self.clock), "Seconds of the oldest of them.")

    # Taking on

    def _refuse(self, reason: Refusal) -> Refusal:
        self.refused[reason] += 1
        return reason

    def _is_full(self, envelope: Envelope, dialog: Dialog) -> bool:
        if self.closed or len(self._register) >= self._max_running or self._bytes >= self._max_bytes:
            return True
        return envelope.type == _MESSAGE and self._messages.get(dialog, 0) >= self._max_per_peer

    def _begin(
        self, envelope: Envelope, about: VKObject, key: Key, now: float, *, met: float | None, size: int, again: bool
    ) -> Event:
        """Let an event run; `again` tells that it has before. Nothing here may raise: it would run for ever."""
        met = self._register.begin(key, now, met=met)
        peer_id, in_flight = peer_of(about), 1
        dialog = envelope.group_id, peer_id
        is_message = envelope.type == _MESSAGE
        if is_message:
            in_flight = self._messages[dialog] = self._messages.get(dialog, 0) + 1
        self._bytes += size
        settled = partial(self._settle, key, dialog if is_message else None, size)
        target = self._target(envelope, key, peer_id, again=again)
        if isinstance(about, MessageEvent):
            reply: VKReply = ButtonReply(
                target, about, on_settled=settled, deadline=met + DEADLINE, clock=self._read_clock
            )
        else:
            growing = self._growing if target is not None and target.edits else None
            reply = VKReply(target, peer_id=peer_id, on_settled=settled, growing=growing)
        return make_event(envelope, about, reply, now, peer_id=peer_id, in_flight=in_flight)

    def _target(self, envelope: Envelope, key: Key, peer_id: int, *, again: bool) -> Target | None:
        """Return where the answer goes; None where none can."""
        group_id = envelope.group_id
        api, settings = self._apis.get(group_id), self._groups.get(group_id)
        if api is None or not peer_id:
            return None
        event_id = envelope.event_id or ":".join(map(str, key))
        edits = settings is not None and settings.stream == "edit"
        return Target(api, self._lines, group_id, peer_id, event_id, edits, again)

    def _read_clock(self) -> float:
        return self.clock

    # The end

    def _settle(self, key: Key, dialog: Dialog | None, size: int, ending: Ending) -> None:
        self._register.finish(key, self.clock, well=ending is Ending.WELL)
        self.ended[ending] += 1
        self._bytes -= size
        if dialog is not None:
            self._messages[dialog] -= 1
            if not self._messages[dialog]:
                del self._messages[dialog]
        if ending is not Ending.CUT_OFF and self.journal is not None:
            self._note_end(self.journal, key, well=ending is Ending.WELL)

    # The journal

    def _keep(self, journal: Journal, key: Key, envelope: Envelope, now: float) -> None:
        """Keep an event without its secret."""
        kept = {name: value for name, value in envelope.raw.items() if name != "secret"}
        try:
            body = orjson.dumps(kept)
        except orjson.JSONEncodeError:  # over 254 levels, which can be read and not be written
            raise ProtocolError("the event nests too deeply") from None
        try:
            journal.append(_name(key), body, now)
        except OSError:
            self.lost["append"] += 1
            raise

    def _note_end(self, journal: Journal, key: Key, *, well: bool) -> None:
        """Note how an event ended; where that cannot be, it is taken on once more by the next process."""
        try:
            journal.finish(_name(key), self.clock, well=well)
        except OSError:
            self.lost["finish"] += 1

    def _recall(self, journal: Journal, entry: Entry, now: float) -> Event | None:
        key = _key(entry.key)
        if key is None or key[0] not in self._groups:  # several may share a journal
            return None
        if entry.ended is not None:
            self._register.recall(key, now, well=entry.ended)
            return None
        standing = self._register.standing(key, now)
        if standing is Standing.RUNNING:
            return None
        try:
            envelope = _read(entry.body)
            about = decode_object(envelope)
        except ProtocolError:  # of another version: it would come again at each start
            standing = Standing.FAILED
        else:
            if standing is not Standing.DONE:
                self.recalled += 1
                size = len(entry.body)
                return self._begin(envelope, about, key, now, met=entry.began_at, size=size, again=True)
        self._note_end(journal, key, well=standing is Standing.DONE)
        return None


_MESSAGE = "message_new"


def _name(key: Key) -> str:
    return orjson.dumps(key).decode()


def _key(name: str) -> Key | None:
    try:
        value = orjson.loads(name)
    except orjson.JSONDecodeError:
        return None
    is_key = isinstance(value, list) and value and all(isinstance(part, int | str) for part in value)
    return tuple(value) if is_key else None


def _read(body: bytes) -> Envelope:
    """Return an envelope of the journal's. Raises `ProtocolError` for one that this version cannot read any more."""
    try:
        raw = orjson.loads(body)
        return decode_update(raw, raw["group_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ProtocolError("the journal's event cannot be read") from None
