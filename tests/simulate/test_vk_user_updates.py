"""rawbot/simulate/vk_user_updates.py: arrays of user Long Poll, as the mode asks for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.simulate.vk_dialogs import Dialog
from rawbot.simulate.vk_user_updates import read_mode, render, update_of
from rawbot.vk.user_events import decode_user_update

NOW = 1_700_000_000.0


def test_attachments_are_named_one_by_one():
    message = Dialog(100).add(100, 1, NOW, "look")
    message.attachments = [
        {"type": "photo", "photo": {"owner_id": -1, "id": 2}},
        {"type": "doc", "doc": {"owner_id": 3, "id": 4}},
        {"type": "strange", "strange": "nothing"},
    ]
    assert update_of(message, sender_id=100)[7] == {
        "attach1_type": "photo",
        "attach1": "-1_2",
        "attach2_type": "doc",
        "attach2": "3_4",
    }


@pytest.mark.parametrize(
    ("mode", "length"), [("0", 6), ("2", 8), ("128", 7), ("130", 9), ("234", 9), ("", 6), ("x", 6)]
)
def test_a_message_is_as_long_as_the_mode_asks_for(mode: str, length: int):
    update = update_of(Dialog(100).add(100, 1, NOW, "hi"), sender_id=100)
    assert len(render(update, {"mode": mode})) == length


def test_updates_of_the_extended_kind_come_with_8():
    assert render([114, {}], {"mode": "8"}) == [114, {}]
    assert render([114, {}], {"mode": "2"}) is None


@pytest.mark.parametrize("update", [[4, 1, 128], [80, 1, 0], [], {"odd": 1}, "odd"])
def test_what_is_short_or_odd_comes_as_it_is(update: object):
    assert render(update, {}) == update


def test_no_mode_is_0():
    assert read_mode({}) == 0


@given(st.text())
def test_rawbot_reads_what_was_written(text: str):
    update = update_of(Dialog(100).add(100, 1, NOW, text), sender_id=100)
    assert decode_user_update(update).text == text
