"""The gateway: the app's channels as a OneBot platform each, so that OneBot applications drive any of them.

Layer 3, pure: a `Service` that hears every event of the app's. A message becomes `message.private` or `message.group`,
any other event a notice of the name `<platform>.<event>`. The bot's handlers in the process go on as without it: the
reply ends when both they and an application have had their say, or when the time is over for which it is held.

`send_message` writes to the newest open reply of the conversation (or to that of the message named by a `reply`
segment) and ends it; what comes after that goes as a follow-up where the channel has any. `rawbot.write_stream` writes
to an open reply piece by piece.
"""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Literal

from rawbot.errors import StateError
from rawbot.event import MESSAGE, Event, Illustrated
from rawbot.exchange import Figure, Service
from rawbot.onebot import events
from rawbot.onebot.conversations import Conversations, Target, Turn
from rawbot.onebot.files import Files
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account, Message
from rawbot.onebot.rendering import Rendered, render, segments_of
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    PLATFORM_ERROR,
    PLATFORM_UNABLE,
    PLATFORM_UNKNOWN_TARGET,
    UNSUPPORTED_SEGMENT,
    ActionError,
)

HOLD = 30.0
"""Seconds for which a reply is held open for an application. Whatever comes later goes as a follow-up; an application
that ignores a message leaves its user waiting for so long."""

JsonObject = dict[str, object]
DetailType = Literal["private", "group"]


class Gateway(Service):
    """Stands between the channels of the app that it is attached to and the applications of an implementation.

    `names` are the bots' names by platform, for get_self_info and where an event does not tell the bot's id.
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
        self.implementation = implementation
        self._files = files
        self._names = names or {}
        self._conversations = Conversations(hold)
        self._streams: dict[str, Turn] = {}
        self._draining = False
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
        """Let applications know of an event."""
        account = Account(event.platform, event.bot or event.platform)
        self.implementation.set_online(account)
        for attachment in event.attachments:
            attachment.fetch = self.fetch
        if event.kind != MESSAGE:
            self.implementation.push(_notice(event, account))
            return
        if self.implementation.is_heard() and not self._draining and event.keeper is None:
            event.keeper = self._conversations.begin(event, account, self.implementation.clock(), self._returned)
        self.implementation.push(self._message(event, account))

    def tick(self, now: float) -> None:
        """End the replies that no application wants any more."""
        for turn in self._conversations.expired(now):
            self._finish(turn)
        self._streams = {name: turn for name, turn in self._streams.items() if turn.open}

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Hold nothing any more: users are told that the bot goes down."""
        self._draining = True
        for turn in self._conversations:
            self._conversations.release(turn)
            if turn.settled:
                turn.event.reply.finish()
            elif turn.has_returned:
                turn.event.reply.cancel("shutdown")

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("onebot_gateway_held", "gauge", len(self._conversations), "Replies held open for applications.")

    # The applications' side

    def send_message(
        self,
        bot: Account,
        detail_type: DetailType,
        message: Message,
        user_id: str | None = None,
        group_id: str | None = None,
    ) -> JsonObject | Awaitable[JsonObject]:
        """Answer, or say something more to who has written."""
        target = _target(bot, detail_type, user_id, group_id)
        rendered = render(message)
        return self._send_pictures(target, rendered) if rendered.images else self._send(target, rendered, [])

    async def _send_pictures(self, target: Target, rendered: Rendered) -> JsonObject:
        return self._send(target, rendered, [(await self._files.read(file_id)).data for file_id in rendered.images])

    def _send(self, target: Target, rendered: Rendered, pictures: list[bytes]) -> JsonObject:
        now = self.implementation.clock()
        turn = self._conversations.find_open(target, rendered.reply_to, now)
        if turn is None:
            self._follow_up(target, rendered, now)
        else:
            _write(turn, rendered.text, pictures)
            turn.answered = True
            if turn.has_returned:
                self._finish(turn)
        return {"message_id": self.implementation.new_id(), "time": now}

    def write_stream(
        self,
        bot: Account,
        message: Message,
        *,
        stream_id: str | None = None,
        detail_type: DetailType = "private",
        user_id: str | None = None,
        group_id: str | None = None,
        replace: bool = False,
        finish: bool = False,
    ) -> JsonObject:
        """Write to an open reply piece by piece: the first call names the conversation, the next ones the stream.

        `replace` shows the message in place of what was written, `finish` ends the reply. It is held while pieces come.
        """
        now, rendered = self.implementation.clock(), render(message)
        if rendered.images:
            raise ActionError(UNSUPPORTED_SEGMENT, "a stream is made of text: send pictures with send_message")
        if stream_id is None:
            turn = self._conversations.find_open(_target(bot, detail_type, user_id, group_id), rendered.reply_to, now)
            stream_id = self.implementation.new_id()
        else:
            turn = self._streams.get(stream_id)
        if turn is None or not turn.open:
            raise ActionError(PLATFORM_UNABLE, "there is no open reply to write to: use send_message")
        self._streams[stream_id] = turn
        self._conversations.hold_on(turn, now)
        (turn.event.reply.replace if replace else turn.event.reply.write)(rendered.text)
        if finish:
            del self._streams[stream_id]
            turn.answered = True
            if turn.has_returned:
                self._finish(turn)
        return {"stream_id": stream_id, "message_id": turn.event.message_id, "time": now}

    def delete_message(self, message_id: str) -> None:  # noqa: ARG002 - the action's parameter
        """Refuse: no channel takes back what it has shown."""
        raise ActionError(PLATFORM_UNABLE, "this channel does not take back what was sent")

    def get_self_info(self, bot: Account) -> JsonObject:
        """Tell who the bot is, as far as the channel tells it."""
        return {"user_id": bot.user_id, "user_name": self._names.get(bot.platform, ""), "user_displayname": ""}

    def get_user_info(self, bot: Account, user_id: str) -> JsonObject:
        """Tell of a user who has written within the last hour; channels give no names."""
        if self._conversations.user(bot, user_id, self.implementation.clock()) is None:
            raise ActionError(PLATFORM_UNKNOWN_TARGET, "this user has not written to the bot lately")
        return _user(user_id)

    def get_friend_list(self, bot: Account) -> list[JsonObject]:
        """Tell who has written to the bot by themselves within the last hour."""
        return [_user(user_id) for user_id in self._conversations.users(bot, self.implementation.clock())]

    # Inside

    def _returned(self, turn: Turn) -> None:
        """Let the reply end with the handler, unless an application may still have something to say."""
        if turn.settled or not self._conversations.holds(turn):
            self._finish(turn)

    def _message(self, event: Event, account: Account) -> events.OneBotEvent:
        segments = segments_of(event, self._files)
        message_id = event.message_id or self.implementation.new_id()
        if event.group:
            message = events.group_message(account, segments, event.sender, message_id, group_id=event.group)
        else:
            message = events.private_message(account, segments, event.sender, message_id)
        if event.quoted:
            message.fields["rawbot.quote"] = event.quoted
        return message

    def _finish(self, turn: Turn) -> None:
        self._conversations.release(turn)
        if turn.has_returned:
            turn.event.reply.finish()

    def _follow_up(self, target: Target, rendered: Rendered, now: float) -> None:
        """Say something more where the channel lets us."""
        if not self._conversations.knows(target, now):
            raise ActionError(PLATFORM_UNKNOWN_TARGET, "nobody has written from there lately, so nothing can be sent")
        if rendered.images:
            raise ActionError(UNSUPPORTED_SEGMENT, "what follows a reply on this channel carries no pictures")
        reason = "this channel takes one answer to each message, and no more"
        for reply in self._conversations.follow_ups(target, now):
            try:
                reply.follow_up(rendered.text)
            except StateError as error:
                reason = str(error)
            else:
                return
        raise ActionError(PLATFORM_UNABLE, reason)


def _write(turn: Turn, text: str, pictures: list[bytes]) -> None:
    """Write to a reply, behind what stands there already. Raises `ActionError` for what the channel does not take."""
    reply = turn.event.reply
    if pictures and not isinstance(reply, Illustrated):
        raise ActionError(UNSUPPORTED_SEGMENT, "this channel shows no pictures")
    try:
        for data in pictures:
            if isinstance(reply, Illustrated):
                reply.attach_image(data)
        if text:
            reply.write(f"\n\n{text}" if reply.text else text)
    except StateError as error:
        raise ActionError(PLATFORM_ERROR, str(error)) from None


def _target(bot: Account, detail_type: str, user_id: str | None, group_id: str | None) -> Target:
    name = user_id if detail_type == "private" else group_id
    if not name:
        raise ActionError(BAD_PARAM, "user_id is missing" if detail_type == "private" else "group_id is missing")
    return Target(bot.platform, bot.user_id, detail_type, name)


def _notice(event: Event, account: Account) -> events.OneBotEvent:
    """Return what is no message, under the platform's own name for it."""
    fields: JsonObject = {"user_id": event.sender}
    if event.group:
        fields["group_id"] = event.group
    return events.OneBotEvent("notice", f"{event.platform}.{event.kind}", bot=account, fields=fields)


def _user(user_id: str) -> JsonObject:
    return {"user_id": user_id, "user_name": "", "user_displayname": "", "user_remark": ""}
