"""A platform of one bot whose users say back what they are told: for trying out and testing OneBot applications.

Layer 4. `python -m rawbot onebot` serves it. It is a OneBot implementation like any other, so it shows how one is
written, too.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from typing import Literal

from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.errors import StateError
from rawbot.expiring import ExpiringDict
from rawbot.onebot import events
from rawbot.onebot.messages import Account, Message
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, LOGIC_ERROR, ActionError
from rawbot.onebot.settings import HTTP, Connection, HTTPWebhook, WebSocket, WebSocketReverse
from rawbot.onebot.v11.settings import V11HTTP, V11Connection, V11HTTPPost, V11WebSocket, V11WebSocketReverse
from rawbot.onebot_server import OneBot

KEEP = 3600.0
"""Seconds for which a message can be deleted and a user is remembered."""

MAX_KEPT = 10_000
"""Messages, and users, that are remembered at once."""

JsonObject = dict[str, object]


def serve_loopback(options: argparse.Namespace) -> None:
    """Serve the loop-back platform, as the command line has it, until SIGINT or SIGTERM."""
    token = options.access_token
    connections: list[Connection | V11Connection] = [
        HTTP(host=options.host, port=options.port, access_token=token),
        WebSocket(host=options.host, port=options.port, access_token=token),
        *(HTTPWebhook(url, access_token=token) for url in options.webhook),
        *(WebSocketReverse(url, access_token=token, reconnect_interval=options.reconnect) for url in options.reverse),
        *_connect_v11(options),
    ]
    make_loopback(options.platform, options.self_id, connections, heartbeat=options.heartbeat).run()


def _connect_v11(options: argparse.Namespace) -> Iterator[V11Connection]:
    """Yield the connections of OneBot 11 that are asked for."""
    host, token, interval = options.host, options.access_token, options.reconnect
    if options.v11_port is not None:
        yield V11HTTP(host=host, port=options.v11_port, access_token=token)
        yield V11WebSocket(host=host, port=options.v11_port, access_token=token)
    for url in options.v11_reverse:
        yield V11WebSocketReverse(url, access_token=token, reconnect_interval=interval)
    for url in options.v11_post:
        yield V11HTTPPost(url, secret=options.v11_secret)


def make_loopback(
    platform: str, self_id: str, connections: Iterable[Connection | V11Connection], *, heartbeat: int = 0
) -> OneBot:
    """Return the platform: one bot, online.

    Applications of OneBot 11 know it by its id if that is a number, else by one that is made of it.
    """
    ob = OneBot(
        "rawbot-loopback",
        platform=platform,
        version="1.0.0",
        bots=[self_id],
        connections=connections,
        heartbeat=heartbeat,
        outgoing=OutgoingPolicy(allow_http=True, allow_loopback=True),
    )
    ob.serve_files()
    world = _World(ob)
    for name in ("send_message", "delete_message", "get_self_info", "get_user_info", "get_friend_list"):
        ob.action(name)(getattr(world, name))
    return ob


class _World:
    """The users of the platform, each of whom says back what the bot says."""

    def __init__(self, ob: OneBot) -> None:
        self._ob = ob
        self._messages: ExpiringDict[str, bool] = ExpiringDict(KEEP, MAX_KEPT)
        self._users: ExpiringDict[str, bool] = ExpiringDict(KEEP, MAX_KEPT)

    def send_message(
        self,
        bot: Account,
        message: Message,
        detail_type: Literal["private", "group", "channel"],
        *,
        user_id: str | None = None,
        group_id: str | None = None,
        guild_id: str | None = None,
        channel_id: str | None = None,
    ) -> JsonObject:
        """Take a message, and let it be said back on the loop's next turn."""
        message_id, now = os.urandom(8).hex(), time.time()
        if detail_type == "private":
            user = _demand("user_id", user_id)
            event = events.private_message(bot, message, user, message_id)
        elif detail_type == "group":
            user, group = user_id or "somebody", _demand("group_id", group_id)
            event = events.group_message(bot, message, user, message_id, group_id=group)
        else:
            user, guild, channel = (
                user_id or "somebody",
                _demand("guild_id", guild_id),
                _demand("channel_id", channel_id),
            )
            event = events.channel_message(bot, message, user, message_id, guild_id=guild, channel_id=channel)
        try:
            self._ob.prepare(event)
        except StateError as error:  # data of a segment that no event can carry
            raise ActionError(BAD_SEGMENT_DATA, str(error)) from None
        self._users.set(user, True, now)
        self._messages.set(message_id, True, now)
        asyncio.get_running_loop().call_soon(self._ob.push, event)
        return {"message_id": message_id, "time": now}

    def delete_message(self, message_id: str) -> None:
        """Forget a message."""
        if self._messages.get(message_id, time.time()) is None:
            raise ActionError(LOGIC_ERROR, "there is no such message, or not any more")
        self._messages.pop(message_id)

    def get_self_info(self, bot: Account) -> JsonObject:
        """Tell who the bot is."""
        return {"user_id": bot.user_id, "user_name": bot.user_id, "user_displayname": ""}

    def get_user_info(self, user_id: str) -> JsonObject:
        """Tell who a user is: everybody exists, and is called as the id says."""
        return {"user_id": user_id, "user_name": user_id, "user_displayname": "", "user_remark": ""}

    def get_friend_list(self) -> list[JsonObject]:
        """Tell whom the bot has written to within the last hour."""
        return [self.get_user_info(user) for user in self._users.keys(time.time())]


def _demand(name: str, value: str | None) -> str:
    if not value:
        raise ActionError(BAD_PARAM, f"{name} is missing")
    return value
