"""The gateway: the app's channels as a OneBot platform each, so that OneBot applications drive any of them.

Layer 3, pure: a `Service` that hears every event of the app's. A message becomes `message.private` or `message.group`,
any other event a notice of the name `<platform>.<event>`. The bot's handlers in the process go on as without it: a
reply ends when they have returned and something has been said, by them or by an application. For that it is held for
a while, as long as any application is there.

`send_message` writes to an open reply of the conversation and ends it; what comes after that goes as a follow-up where
the channel has any. Which reply is meant is told by a `reply` segment; without one it is the newest, in a group the
newest of the user that `user_id` names. `rawbot.write_stream` writes to an open reply piece by piece.
"""

import math
from collections.abc import Awaitable, Iterable, Mapping

from rawbot.errors import ConfigError, StateError
from rawbot.event import MESSAGE, Event, FollowUp, Illustrated
from rawbot.exchange import Figure, Service
from rawbot.onebot import events
from rawbot.onebot.conversations import Conversations, Meant, Target, Turn
from rawbot.onebot.files import Files
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account, Message
from rawbot.onebot.rendering import Rendered, render, segments_of
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    PLATFORM_ERROR,
    PLATFORM_UNABLE,
    PLATFORM_UNKNOWN_TARGET,
    UNSUPPORTED_PARAM,
    UNSUPPORTED_SEGMENT,
    ActionError,
)

HOLD = 30.0
"""Seconds for which a reply is held open for an application. Whatever comes later goes as a follow-up; an application
that ignores a message leaves its user waiting for so long."""

ABSENCE = 5.0
"""Seconds for which replies are held while no application is there: NoneBot, which comes back after 3, then answers."""

JsonObject = dict[str, object]


class Gateway(Service):
    """Stands between the channels of the app that it is attached to and the applications of an implementation.

    `hold` is for how many seconds a reply is held open, `names` the bots' names by id, or by platform, for
    get_self_info. Raises `ConfigError` for a time that cannot be.
    """

    hears = True
    keeps_state = True  # an answer must reach the process that holds the reply

    def __init__(
        self,
        implementation: Implementation,
        files: Files,
        *,
        hold: float = HOLD,
        names: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 <= hold < math.inf:
            raise ConfigError(f"hold is a number of seconds, 0 or more, not {hold}")
        self.implementation = implementation
        self._files = files
        self._hold = hold
        self._names = names or {}
        self._conversations = Conversations()
        self._streams: dict[str, Turn] = {}
        self._draining = False
        self._alone_since = math.inf
        """Since when no application is there."""
        for name in ("send_message", "delete_message", "get_self_info", "get_user_info", "get_friend_list"):
            implementation.actions.register(name, getattr(self, name))
        implementation.actions.register("rawbot.write_stream", self.write_stream)

    def __repr__(self) -> str:
        return "<Gateway>"

    # The app's side

    def start(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Hold replies (again)."""
        self._draining = False

    def hear(self, event: Event) -> None:
        """Let applications know of an event. What belongs to no conversation is none of theirs."""
        if not event.chat:
            return
        implementation, now = self.implementation, self.implementation.clock()
        account = Account(event.platform, event.bot or event.platform)
        implementation.set_online(account)
        if not event.reply.finished:
            turn = self._conversations.note(event, account, now, self._returned)
            self._hold_for(event, turn, now)
        if implementation.has_sinks:
            for attachment in event.attachments:
                attachment.fetch = self.fetch
            implementation.push(self._message(event, account) if event.kind == MESSAGE else _notice(event, account))

    def tick(self, now: float) -> None:
        """End the replies that no application wants any more: all of them when the last one does not come back."""
        self._expire(now)
        self._alone_since = math.inf if self.implementation.is_heard() else min(self._alone_since, now)
        if now - self._alone_since >= ABSENCE:
            for turn in self._conversations.release_all():
                self._end(turn)
        if self._streams:
            self._streams = {name: turn for name, turn in self._streams.items() if turn.open}

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Hold nothing any more: users are told that the bot goes down, unless a handler still speaks to them."""
        self._draining = True
        for turn in self._conversations.release_all():
            if turn.has_returned:
                turn.reply.cancel("shutdown")

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("onebot_gateway_held", "gauge", len(self._conversations), "Replies held open for applications.")

    # The applications' side

    def send_message(
        self,
        bot: Account,
        detail_type: str,
        message: Message,
        user_id: str | None = None,
        group_id: str | None = None,
    ) -> JsonObject | Awaitable[JsonObject]:
        """Answer, or say something more to who has written."""
        target, rendered = _target(bot, detail_type, user_id, group_id), render(message)
        rendered.demand_something()
        if rendered.images:
            return self._send_pictures(target, rendered, user_id or "")
        return self._send(target, rendered, user_id or "")

    async def _send_pictures(self, target: Target, rendered: Rendered, user_id: str) -> JsonObject:
        """Read the pictures, unless nothing could show them, and send."""
        turn = _demand_pictures(self._find(target, rendered, user_id).open)
        if turn.held:
            self._hold_on(turn)
        pictures = [(await self._files.read(file_id)).data for file_id in rendered.images]
        return self._send(target, rendered, user_id, pictures)

    def _send(self, target: Target, rendered: Rendered, user_id: str, pictures: Iterable[bytes] = ()) -> JsonObject:
        meant = self._find(target, rendered, user_id)
        turn = meant.open
        if rendered.images:
            _demand_pictures(turn)
        if turn is None:
            _follow_up(meant, rendered.text)
        else:
            _write(turn, rendered.text, list(pictures))
            self._note_answered(turn)
        return {"message_id": self.implementation.new_id(), "time": self.implementation.clock()}

    def write_stream(
        self,
        bot: Account,
        message: Message | None = None,
        *,
        stream_id: str | None = None,
        detail_type: str = "private",
        user_id: str | None = None,
        group_id: str | None = None,
        replace: bool = False,
        finish: bool = False,
    ) -> JsonObject:
        """Write to an open reply piece by piece: the first call names the conversation, the next ones the stream.

        `replace` shows the message in place of all that was written, `finish` ends the reply, with or without a last
        message. It is held for as long again with each piece.
        """
        rendered = render(message or [])
        if rendered.images:
            raise ActionError(UNSUPPORTED_SEGMENT, "a stream is made of text: send pictures with send_message")
        if not finish and not replace:
            rendered.demand_something()
        begins = stream_id is None
        if stream_id is None:
            turn = self._find(_target(bot, detail_type, user_id, group_id), rendered, user_id or "").open
            stream_id = self.implementation.new_id()
        else:
            self._expire(self.implementation.clock())
            turn = self._streams.get(stream_id)
        if turn is None or not turn.open:
            raise ActionError(PLATFORM_UNABLE, "the reply has ended, or there is none: use send_message")
        _write(turn, rendered.text, [], apart=begins, replace=replace)
        if finish:
            self._streams.pop(stream_id, None)
            self._note_answered(turn)
        else:
            turn.streamed = True
            self._streams[stream_id] = turn
            self._hold_on(turn)
        return {"stream_id": stream_id, "message_id": stream_id, "time": self.implementation.clock()}

    def delete_message(self, message_id: str) -> None:  # noqa: ARG002 - the action's parameter
        """Refuse: no channel takes back what it has shown."""
        raise ActionError(PLATFORM_UNABLE, "this channel does not take back what was sent")

    def get_self_info(self, bot: Account) -> JsonObject:
        """Tell who the bot is, as far as that is known."""
        name = self._names.get(bot.user_id) or self._names.get(bot.platform, "")
        return {"user_id": bot.user_id, "user_name": name, "user_displayname": ""}

    def get_user_info(self, bot: Account, user_id: str) -> JsonObject:
        """Tell of a user who has spoken within the last hour; channels give no names."""
        if not self._conversations.knows(bot, user_id, self.implementation.clock()):
            raise ActionError(PLATFORM_UNKNOWN_TARGET, "this user has not written to the bot lately")
        return _user(user_id)

    def get_friend_list(self, bot: Account) -> list[JsonObject]:
        """Tell who has spoken to the bot by themselves within the last hour."""
        return [_user(user_id) for user_id in self._conversations.users(bot, self.implementation.clock())]

    # Inside

    def _hold_for(self, event: Event, turn: Turn, now: float) -> None:
        """Hold a reply while somebody listens, as long as the platform waits for it."""
        seconds = self._hold if event.kind == MESSAGE else min(self._hold, event.patience)
        if seconds > 0 and event.keeper is None and not self._draining and self.implementation.is_heard():
            event.keeper = turn
            self._conversations.hold(turn, now + seconds)

    def _hold_on(self, turn: Turn) -> None:
        """Hold a reply for as long again: an application is about to say something."""
        if not self._draining:
            self._conversations.hold(turn, self.implementation.clock() + self._hold)

    def _returned(self, turn: Turn) -> None:
        """Let the reply end with the handler, unless an application may still have something to say."""
        if turn.settled or not turn.held:
            self._end(turn)

    def _note_answered(self, turn: Turn) -> None:
        """End the reply, with the handler where that goes on."""
        turn.answered = True
        self._end(turn)

    def _expire(self, now: float) -> None:
        for turn in self._conversations.expire(now):
            self._end(turn)

    def _end(self, turn: Turn) -> None:
        self._conversations.release(turn)
        if turn.has_returned:
            turn.reply.finish()

    def _find(self, target: Target, rendered: Rendered, user_id: str) -> Meant:
        """Return the turns that a message may answer, with those ended whose time is over."""
        now = self.implementation.clock()
        self._expire(now)
        meant = self._conversations.find(target, rendered.reply_to, user_id, now)
        if meant is None:
            raise ActionError(PLATFORM_UNKNOWN_TARGET, "nobody has written from there lately, so nothing can be sent")
        return meant

    def _message(self, event: Event, account: Account) -> events.OneBotEvent:
        segments = segments_of(event, account, self._files)
        message_id = event.message_id or self.implementation.new_id()
        if event.group:
            message = events.group_message(account, segments, event.sender, message_id, group_id=event.group)
        else:
            message = events.private_message(account, segments, event.sender, message_id)
        if event.quoted:
            message.fields["rawbot.quote"] = event.quoted
        return message


def _demand_pictures(turn: Turn | None) -> Turn:
    """Return the turn to write to. Raises `ActionError` (10005) where no picture can be shown."""
    if turn is None:
        raise ActionError(UNSUPPORTED_SEGMENT, "no reply is open, and what follows one carries no pictures")
    if not isinstance(turn.reply, Illustrated):
        raise ActionError(UNSUPPORTED_SEGMENT, "this reply shows no pictures")
    return turn


def _write(turn: Turn, text: str, pictures: list[bytes], *, apart: bool = True, replace: bool = False) -> None:
    """Write to a reply, `apart` from what stands there already. Raises `ActionError` for what it does not take."""
    reply = turn.reply
    try:
        if pictures and isinstance(reply, Illustrated):
            reply.attach_images(pictures)
        if replace:
            reply.replace(text)
        elif text:
            reply.write(f"\n\n{text}" if apart and reply.text else text)
    except StateError as error:
        raise ActionError(PLATFORM_ERROR, str(error)) from None


def _follow_up(meant: Meant, text: str) -> None:
    """Say something more where the channel lets us."""
    reason = ""
    for turn in (*meant.turns, *meant.others):
        if isinstance(turn.reply, FollowUp):
            try:
                return turn.reply.follow_up(text)
            except StateError as error:
                turn.spent = not turn.open
                reason = reason or str(error)
    raise ActionError(PLATFORM_UNABLE, reason or "this channel takes one answer to each message, and no more")


def _target(bot: Account, detail_type: str, user_id: str | None, group_id: str | None) -> Target:
    """Return whom a message is for. A notice's own detail_type is taken, too: NoneBot answers a notice with that."""
    if detail_type not in ("private", "group"):
        if "." not in detail_type:
            raise ActionError(UNSUPPORTED_PARAM, "there are private conversations and groups, and nothing else")
        detail_type = "group" if group_id else "private"
    name = user_id if detail_type == "private" else group_id
    if not name:
        raise ActionError(BAD_PARAM, "user_id is missing" if detail_type == "private" else "group_id is missing")
    return Target(bot.platform, bot.user_id, detail_type, name)


def _notice(event: Event, account: Account) -> events.OneBotEvent:
    """Return what is no message, under the platform's own name for it and with its own fields."""
    fields: JsonObject = {"user_id": event.sender}
    if event.group:
        fields["group_id"] = event.group
    if event.message_id:
        fields["message_id"] = event.message_id
    if event.payload:
        fields["rawbot.payload"] = dict(event.payload)
    return events.OneBotEvent("notice", f"{event.platform}.{event.kind}", bot=account, fields=fields)


def _user(user_id: str) -> JsonObject:
    return {"user_id": user_id, "user_name": "", "user_displayname": "", "user_remark": ""}
