"""Takes on what user Long Poll tells: messages once and as many as there is room for, everything else as it comes.

Layer 3, pure. Source: VK, User Long Poll API (dev.vk.com/ru/api/user-long-poll/getting-started). Its updates have
numbers and no names; where a community's event tells the same, they have its name here.

A message is kept in the journal, if there is one, till its handler is done and VK has answered what that had to say.
What an earlier process has left is taken on again at the start. Other updates tell how things stand at the moment, and
are not kept.
"""

import os
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from functools import partial
from math import inf

import orjson

from rawbot.errors import ProtocolError
from rawbot.event import MESSAGE, Event
from rawbot.exchange import Figure
from rawbot.vk.bot_events import PLATFORM
from rawbot.vk.intake import MAX_PER_PEER, MAX_RUNNING, Refusal
from rawbot.vk.journal import Entry, Journal
from rawbot.vk.lines import Lines
from rawbot.vk.messages import Key
from rawbot.vk.peers import CHAT_BASE
from rawbot.vk.posting import Api, Target
from rawbot.vk.register import Register, Standing
from rawbot.vk.replies import Ending, VKReply
from rawbot.vk.user_events import decode_user_update
from rawbot.vk.user_objects import (
    Call,
    ChatChanged,
    ChatInfoChanged,
    Counter,
    DialogFlagsChanged,
    DialogMoved,
    EditedMessage,
    FlagsChanged,
    MessagesDeleted,
    MessagesRead,
    MessagesRestored,
    MessageUpdate,
    NewMessage,
    NotificationSettings,
    Presence,
    Typing,
    UserEvent,
)

ECHO = "message_reply"
"""The kind of a message that the account has sent itself."""

INCOMPLETE = "message_new"
"""The kind of a new message of which nothing but its id came: it has to be asked for."""

KINDS: dict[type[UserEvent], str] = {
    EditedMessage: "message_edit",
    FlagsChanged: "message_flags",
    DialogFlagsChanged: "dialog_flags",
    MessagesRead: "message_read",
    Presence: "presence",
    MessagesDeleted: "messages_deleted",
    MessagesRestored: "messages_restored",
    DialogMoved: "dialog_moved",
    ChatChanged: "chat_changed",
    ChatInfoChanged: "chat_info_changed",
    Typing: "message_typing_state",
    Call: "call",
    Counter: "counter",
    NotificationSettings: "notification_settings",
}
"""`Event.kind` of the others; of what is not known, `update_` and its number."""


class UserIntake:
    """The updates of one account, which is called `account` wherever a name is needed.

    Whoever brings an update gives what `take` returns to the bot. `recall` comes first, `tick` as time passes.
    """

    deadline = inf
    """When `tick` is wanted, as a service's."""

    def __init__(
        self,
        account: str,
        api: Api,
        *,
        register: Register,
        journal: Journal | None = None,
        echoes: bool = False,
        max_running: int = MAX_RUNNING,
        max_per_peer: int = MAX_PER_PEER,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.taken = 0
        self.recalled = 0
        self.refused: Tally[Refusal] = Tally()
        self.ended: Tally[Ending] = Tally()
        self.lost: Tally[str] = Tally()
        """What the journal could not do, by what that was."""
        self.clock = 0.0
        """The time that was told last."""
        self._account = account
        self._api = api
        self._register = register
        self._journal = journal
        self._echoes = echoes
        self._max_running = max_running
        self._max_per_peer = max_per_peer
        self._entropy = entropy
        self._lines = Lines()
        self._running = 0
        self._per_peer: Tally[int] = Tally()

    def __len__(self) -> int:
        """Count the updates that are being handled."""
        return self._running

    def take(self, update: object, now: float) -> Event | Refusal:
        """Take an update on, and keep it; what comes back is for the bot, and must be dispatched.

        Raises `ProtocolError` for what is no update, and `OSError` when it cannot be kept: then it is not taken on.
        """
        self.clock = now
        about = decode_user_update(update)
        if isinstance(about, NewMessage) and about.out and not self._echoes:
            return self._refuse(Refusal.ECHO)
        key, peer = self._key(about), _peer(about)
        standing = Standing.NEW if key is None else self._register.standing(key, now)
        if standing in (Standing.RUNNING, Standing.DONE):
            return self._refuse(Refusal.RUNNING if standing is Standing.RUNNING else Refusal.DONE)
        if self._running >= self._max_running or (key is not None and self._per_peer[peer] >= self._max_per_peer):
            return self._refuse(Refusal.FULL)
        if key is not None and self._journal is not None:
            self._keep(self._journal, key, about.raw, now)
        self.taken += 1
        return self._begin(about, key, peer, now)

    def recall(self, now: float) -> list[Event]:
        """Return the messages that an earlier process has taken on and not done, in their order.

        Raises `OSError` when the journal cannot be read.
        """
        self.clock = now
        if self._journal is None:
            return []
        entries = list(self._journal.entries(now - self._register.window))
        found = [self._recall(self._journal, entry, now) for entry in entries]
        return [event for event in found if event is not None]

    def tick(self, now: float) -> None:
        """Forget."""
        self.clock = now
        self._register.expire(now)
        if self._journal is not None:
            try:
                self._journal.forget(now - self._register.window)
            except OSError:
                self.lost["forget"] += 1

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("vk_updates", "counter", self.taken, "Updates of an account that were taken on.")
        yield Figure("vk_updates_recalled", "counter", self.recalled, "Messages that an earlier process had left.")
        for reason in Refusal:
            labels = (("reason", reason.name.lower()),)
            text = "Updates of an account that the bot did not get."
            yield Figure("vk_updates_refused", "counter", self.refused[reason], text, labels)
        for ending in Ending:
            labels = (("ending", ending.name.lower()),)
            yield Figure("vk_updates_ended", "counter", self.ended[ending], "Updates by how they ended.", labels)
        for what, count in sorted(self.lost.items()):
            yield Figure("vk_journal_failures", "counter", count, "What the journal could not do.", (("what", what),))
        yield Figure("vk_updates_running", "gauge", len(self), "Updates of an account that are being handled.")

    # Inside

    def _refuse(self, reason: Refusal) -> Refusal:
        self.refused[reason] += 1
        return reason

    def _key(self, about: UserEvent) -> Key | None:
        """Return what names a message that somebody wrote to the account; nothing else comes twice and does harm."""
        if isinstance(about, NewMessage) and about.complete and not about.out:
            return ("user", self._account, about.message_id)
        return None

    def _begin(self, about: UserEvent, key: Key | None, peer: int, now: float) -> Event:
        """Let an update run."""
        if key is not None:
            self._register.begin(key, now)
            self._per_peer[peer] += 1
        self._running += 1
        message = about if isinstance(about, MessageUpdate) else None
        return Event(
            kind=_kind(about),
            platform=PLATFORM,
            chat=f"{self._account}/{peer or ''}",
            sender=str(_sender(about) or ""),
            text="" if message is None else message.text,
            reply=self._reply(key, peer),
            message=about,
            in_flight=max(1, self._per_peer[peer]),
            message_id="" if message is None else str(message.message_id),
            group=str(peer) if peer > CHAT_BASE else "",
        )

    def _reply(self, key: Key | None, peer: int) -> VKReply:
        settled = partial(self._settle, key, peer)
        event_id = self._entropy(12).hex() if key is None else ":".join(map(str, key))
        target = Target(self._api, self._lines, 0, peer, event_id, whom="peer_id") if peer else None
        return VKReply(target, peer_id=peer, on_settled=settled)

    def _settle(self, key: Key | None, peer: int, ending: Ending) -> None:
        self._running -= 1
        self.ended[ending] += 1
        if key is None:
            return
        self._register.finish(key, self.clock, well=ending is Ending.WELL)
        self._per_peer[peer] -= 1
        if not self._per_peer[peer]:
            del self._per_peer[peer]
        if ending is not Ending.CUT_OFF and self._journal is not None:
            self._note_end(self._journal, key, well=ending is Ending.WELL)

    # The journal

    def _keep(self, journal: Journal, key: Key, update: object, now: float) -> None:
        try:
            body = orjson.dumps(update)
        except orjson.JSONEncodeError:  # over 254 levels, which can be read and not be written
            raise ProtocolError("the update nests too deeply") from None
        try:
            journal.append(_name(key), body, now)
        except OSError:
            self.lost["append"] += 1
            raise

    def _note_end(self, journal: Journal, key: Key, *, well: bool) -> None:
        """Note how a message ended; where that cannot be, it is taken on once more by the next process."""
        try:
            journal.finish(_name(key), self.clock, well=well)
        except OSError:
            self.lost["finish"] += 1

    def _recall(self, journal: Journal, entry: Entry, now: float) -> Event | None:
        key = _own_key(entry.key, self._account)
        if key is None:  # several may share a journal
            return None
        if entry.ended is not None:
            self._register.recall(key, now, well=entry.ended)
            return None
        standing = self._register.standing(key, now)
        about = _read(entry.body)
        if standing is Standing.RUNNING:
            return None
        if about is None or standing is Standing.DONE:
            self._note_end(journal, key, well=standing is Standing.DONE)
            return None
        self.recalled += 1
        return self._begin(about, key, _peer(about), now)


def _kind(about: UserEvent) -> str:
    if not isinstance(about, NewMessage):
        return KINDS.get(type(about), f"update_{about.code}")
    if about.out:
        return ECHO
    return MESSAGE if about.complete else INCOMPLETE


def _peer(about: UserEvent) -> int:
    """Return the dialog that it belongs to, 0 for none."""
    if isinstance(about, Presence | Call):
        return about.user_id
    if isinstance(about, ChatChanged):
        return CHAT_BASE + about.chat_id
    return getattr(about, "peer_id", 0)


def _sender(about: UserEvent) -> int:
    """Return who has done it, 0 where nothing tells."""
    if isinstance(about, MessageUpdate):
        return about.sender
    if isinstance(about, Typing):
        return about.user_ids[0] if about.user_ids else 0
    return about.user_id if isinstance(about, Presence | Call) else 0


def _name(key: Key) -> str:
    return orjson.dumps(key).decode()


def _own_key(name: str, account: str) -> Key | None:
    """Return the key of a journal's entry, None for one that is not this account's."""
    try:
        key = orjson.loads(name)
    except orjson.JSONDecodeError:
        return None
    return tuple(key) if isinstance(key, list) and key[:2] == ["user", account] else None


def _read(body: bytes) -> UserEvent | None:
    """Return an update of the journal's; None for one that this version cannot read any more."""
    try:
        return decode_user_update(orjson.loads(body))
    except (ProtocolError, orjson.JSONDecodeError):
        return None
