"""rawbot/vk/user_objects.py: what follows from the fields: who wrote it, what flags become, and what a repr hides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.vk.peers import CHAT_BASE
from rawbot.vk.user_objects import Change, DialogFlag, DialogFlagsChanged, FlagsChanged, MessageFlag, NewMessage

flags = st.integers(0, 2**25 - 1)


def message(*, peer_id: int = 5, flags: int = 0, **extra: object) -> NewMessage:
    return NewMessage(4, [], 1, flags, peer_id, 0, "hunter2", extra, {}, 0, 0, 0, True)


def changed(change: Change, mask: int) -> FlagsChanged:
    return FlagsChanged(1, [], 1, mask, 5, 0, "", {}, {}, 0, 0, 0, False, change)


@given(flags, flags)
def test_flags_are_replaced_set_or_cleared(mask: int, before: int):
    assert changed("replace", mask).apply(before) == mask
    assert changed("set", mask).apply(before) == before | mask
    assert changed("clear", mask).apply(before) == before - (before & mask)
    for change in ("replace", "set", "clear"):
        assert DialogFlagsChanged(10, [], 5, mask, change).apply(before) == changed(change, mask).apply(before)


def test_flags_have_names():
    assert MessageFlag(2 + 128) == MessageFlag.OUTBOX | MessageFlag.DELETED
    assert MessageFlag.NOT_DELIVERED == 2**18
    assert DialogFlag(3) == DialogFlag.IMPORTANT | DialogFlag.UNANSWERED


@pytest.mark.parametrize(
    ("event", "sender"),
    [
        (message(peer_id=5), 5),
        (message(peer_id=-7), -7),
        (message(peer_id=5, flags=2), 0),
        (message(peer_id=0), 0),
        (message(peer_id=CHAT_BASE + 5, **{"from": "253866502"}), 253866502),
        (message(peer_id=CHAT_BASE + 5, **{"from": "-7"}), -7),
        (message(peer_id=CHAT_BASE + 5, flags=2, **{"from": "9"}), 9),
        (message(peer_id=CHAT_BASE + 5), 0),
        *(
            (message(peer_id=CHAT_BASE + 5, **{"from": wrong}), 0)
            for wrong in ("", "-", "--5", "٣", "1e5", "9" * 20, 5)
        ),
    ],
)
def test_who_wrote_it_is_the_peer_outside_of_chats(event: NewMessage, sender: int):
    assert event.sender == sender


@pytest.mark.parametrize(("bits", "out"), [(0, False), (1, False), (2, True), (3, True), (2629633, False), (19, True)])
def test_a_flag_tells_who_said_it(bits: int, out: bool):  # noqa: FBT001
    assert message(flags=bits).out is out


def test_a_repr_has_no_words():
    assert repr(message(title="hunter2")) == "<NewMessage>"
