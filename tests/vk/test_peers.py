"""rawbot/vk/peers.py: users, communities and chats by their ids."""

import pytest

from rawbot.vk.peers import CHAT_BASE, peer_type


@pytest.mark.parametrize(
    ("peer_id", "kind"),
    [
        (1, "user"),
        (1_056_538_121, "user"),
        (2_000_000_000, "user"),  # there is no chat 0
        (2_000_000_001, "chat"),
        (CHAT_BASE + 148, "chat"),
        (-1, "group"),
        (-222_124_211, "group"),
        (0, ""),
    ],
)
def test_a_peer_is_a_user_a_community_or_a_chat(peer_id: int, kind: str):
    assert peer_type(peer_id) == kind
