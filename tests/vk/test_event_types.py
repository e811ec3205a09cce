"""rawbot/vk/event_types.py: the counts of the vendor's pages, and no name twice."""

import pytest
import vk_samples as vk

from rawbot.vk.event_types import (
    ALWAYS_SENT,
    CHANGES,
    COMMENTS,
    CONFIRMATION,
    EVENT_TYPES,
    LONG_POLL_SETTABLE,
    MESSAGES,
    SETTABLE,
)


def test_there_are_as_many_names_as_the_settings_have_switches():
    assert len(SETTABLE) == 56  # groups.setCallbackSettings of 5.199
    assert len(LONG_POLL_SETTABLE) == 51  # groups.setLongPollSettings of 5.199
    assert len(EVENT_TYPES) == 59


def test_what_cannot_be_set_is_known_all_the_same():
    assert {CONFIRMATION, "vkpay_transaction", "app_payload"} == EVENT_TYPES - SETTABLE
    assert ALWAYS_SENT <= EVENT_TYPES


def test_long_poll_knows_nothing_that_callbacks_do_not():
    assert SETTABLE > LONG_POLL_SETTABLE


def test_every_comment_can_change_in_four_ways():
    comments = {name for name in SETTABLE if name.rpartition("_")[0] in COMMENTS}
    assert comments == {f"{place}_{change}" for place in COMMENTS for change in CHANGES}
    assert len(comments) == 20


def test_messages_are_settable():
    assert MESSAGES < SETTABLE


def test_the_samples_of_these_tests_have_all_of_them():
    assert set(vk.OBJECTS) == EVENT_TYPES


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_name_is_of_small_letters_and_underscores(name: str):
    assert name.replace("_", "").isalpha()
    assert name == name.lower()
