"""Whom a peer id names: a user, a community or a chat.

Layer 3, pure. Source: VK, User Long Poll API, additional fields of messages
(dev.vk.com/ru/api/user-long-poll/getting-started).
"""

from typing import Literal

CHAT_BASE = 2_000_000_000
"""The peer id of chat n is this + n. A user's is the user's id, a community's is the negative of the community's."""


def peer_type(peer_id: int) -> Literal["user", "group", "chat", ""]:
    """Name the kind as the platform's conversations do; empty for 0, which names nobody."""
    if peer_id > CHAT_BASE:
        return "chat"
    if peer_id < 0:
        return "group"
    return "user" if peer_id else ""
