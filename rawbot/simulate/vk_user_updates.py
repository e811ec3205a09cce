"""What happens to a user's account, as the arrays of user Long Poll, and what a poll's `mode` makes of them.

Layer 3 (simulate), pure. Source: dev.vk.com/ru/api/user-long-poll/getting-started (version 3).
"""

from collections.abc import Mapping

from rawbot.simulate.vk_dialogs import ChatMessage
from rawbot.simulate.vk_rules import JsonObject, is_object
from rawbot.vk.peers import CHAT_BASE

Update = list[object]

WITH_ATTACHMENTS = 2
WITH_EXTENDED_EVENTS = 8
WITH_PTS = 32
WITH_RANDOM_ID = 128
"""Bits of `mode`."""

NEW_MESSAGE = 4
EDITED_MESSAGE = 5

_UNREAD, _OUTBOX, _CHAT = 1, 2, 8192
_EXTENDED = (114, 115, 119)
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("\n"): "<br>"}
_EXTRA_AT = 6


def update_of(message: ChatMessage, *, sender_id: int, edited: bool = False) -> Update:
    """Return a new or an edited message with all that a `mode` may ask for; its text is HTML."""
    in_chat = message.peer_id > CHAT_BASE
    flags = (_OUTBOX if message.outgoing else _UNREAD) | (_CHAT if in_chat else 0)
    extra: JsonObject = {"from": str(sender_id)} if in_chat else {"title": " ... "}
    attachments: JsonObject = {}
    for number, attachment in enumerate(message.attachments, 1):
        kind = str(attachment["type"])
        about = attachment[kind]
        if is_object(about):
            attachments[f"attach{number}_type"] = kind
            attachments[f"attach{number}"] = f"{about['owner_id']}_{about['id']}"
    return [
        EDITED_MESSAGE if edited else NEW_MESSAGE,
        message.id or message.conversation_message_id,
        flags,
        message.peer_id,
        int(message.date),
        message.text.translate(_ESCAPES),
        extra,
        attachments,
        message.random_id,
    ]


def read_mode(query: Mapping[str, str]) -> int:
    """Return the `mode` of a poll, 0 for what is none."""
    told = query.get("mode", "0")
    return int(told) if told.isdecimal() else 0


def render(update: object, query: Mapping[str, str]) -> object:
    """Return an update as this poll has asked for it, None when it has not."""
    mode = read_mode(query)
    if not isinstance(update, list) or not update:
        return update
    if update[0] in _EXTENDED and not mode & WITH_EXTENDED_EVENTS:
        return None
    if update[0] not in (NEW_MESSAGE, EDITED_MESSAGE) or len(update) <= _EXTRA_AT:
        return update
    shown = update[:_EXTRA_AT]
    if mode & WITH_ATTACHMENTS:
        shown += update[_EXTRA_AT:8]
    if mode & WITH_RANDOM_ID:
        shown += update[8:]
    return shown
