"""rawbot/vk/user_events.py: every code of the page, short and strange tuples, and none that fails."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.vk.peers import CHAT_BASE
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
    RawUpdate,
    Typing,
    UserEvent,
)

T0 = 1_767_225_600
CHAT = CHAT_BASE + 5
EXTRA = {"title": " ... "}
PHOTO = {"attach1_type": "photo", "attach1": "123456_414233177"}

TYPED: list[tuple[list, UserEvent]] = [
    # an update, and what it says besides code and raw
    ([6, 5, 77], MessagesRead(6, [], 5, 77, out=False, count=None)),
    ([6, 5, 77, 3], MessagesRead(6, [], 5, 77, out=False, count=3)),
    ([7, CHAT, 77, 0], MessagesRead(7, [], CHAT, 77, out=True, count=0)),
    ([8, -5, 7, T0], Presence(8, [], 5, True, 7, False, T0)),
    ([8, 5, 0x104, T0, 2274003, 1, 0], Presence(8, [], 5, True, 4, False, T0)),
    ([8, -5, 0], Presence(8, [], 5, True, 0, False, 0)),
    ([9, -5, 0, T0], Presence(9, [], 5, False, 0, False, T0)),
    ([9, -5, 1, T0, 2274003, 0, 0], Presence(9, [], 5, False, 0, True, T0)),
    ([10, -5, 1], DialogFlagsChanged(10, [], -5, 1, "clear")),
    ([11, -5, 3], DialogFlagsChanged(11, [], -5, 3, "replace")),
    ([12, -5, 2], DialogFlagsChanged(12, [], -5, 2, "set")),
    ([13, 5, 77], MessagesDeleted(13, [], 5, 77)),
    ([14, 5, 77], MessagesRestored(14, [], 5, 77)),
    ([20, CHAT, 16, 0], DialogMoved(20, [], CHAT, "major_id", 16)),
    ([21, CHAT, 1234], DialogMoved(21, [], CHAT, "minor_id", 1234)),
    ([51, 5, 1], ChatChanged(51, [], 5, True)),
    ([51, 5, 0], ChatChanged(51, [], 5, False)),
    ([51, 5], ChatChanged(51, [], 5, False)),
    ([52, 6, CHAT, 17], ChatInfoChanged(52, [], 6, CHAT, 17)),
    ([52, 1, CHAT], ChatInfoChanged(52, [], 1, CHAT, 0)),
    ([61, 5, 1], Typing(61, [], 5, [5], "typing", 1)),
    ([62, 6, 5], Typing(62, [], CHAT, [6], "typing", 1)),
    ([63, [5, 6], CHAT, 2, T0], Typing(63, [], CHAT, [5, 6], "typing", 2)),
    ([63, CHAT, [5, 6], 9, T0], Typing(63, [], CHAT, [5, 6], "typing", 9)),
    ([63, CHAT, []], Typing(63, [], CHAT, [], "typing", 0)),
    ([64, CHAT, [5], 1, T0], Typing(64, [], CHAT, [5], "recording", 1)),
    ([64, [5], CHAT], Typing(64, [], CHAT, [5], "recording", 1)),
    ([65, 5, [5], 1, T0], Typing(65, [], 5, [5], "photo", 1)),
    ([66, 5, [5], 1, T0], Typing(66, [], 5, [5], "video", 1)),
    ([67, 5, [5], 1, T0], Typing(67, [], 5, [5], "file", 1)),
    ([68, 5, [5], 1, T0], Typing(68, [], 5, [5], "video_message", 1)),
    ([70, 5, 99], Call(70, [], 5, 99)),
    ([80, 10, 0, 0, 0], Counter(80, [], 10)),
    ([80, 10], Counter(80, [], 10)),
    ([114, {"peer_id": CHAT, "sound": 1, "disabled_until": -1}], NotificationSettings(114, [], CHAT, True, -1)),
    ([114, {"peer_id": CHAT, "sound": 0, "disabled_until": T0}], NotificationSettings(114, [], CHAT, False, T0)),
    ([114, CHAT, 1, 0], NotificationSettings(114, [], CHAT, True, 0)),
]


@pytest.mark.parametrize(("update", "expected"), TYPED, ids=lambda value: str(value) if isinstance(value, list) else "")
def test_an_update_of_each_code_is_typed(update: list, expected: UserEvent):
    expected.raw = update
    assert decode_user_update(update) == expected


# Messages


def read(update: list) -> MessageUpdate:
    event = decode_user_update(update)
    assert isinstance(event, MessageUpdate)
    assert event.raw is update
    return event


def test_a_new_message_of_the_page_says_all_that_it_says():
    event = read([4, 1619489, 561, 123456, 1464958914, "hello", EXTRA, PHOTO, -7])
    assert type(event) is NewMessage
    assert (event.message_id, event.flags, event.peer_id, event.date) == (1619489, 561, 123456, 1464958914)
    assert (event.text, event.extra, event.attachments, event.random_id) == ("hello", EXTRA, PHOTO, -7)
    assert (event.conversation_message_id, event.edited_at, event.complete) == (0, 0, True)


def test_later_versions_add_two_numbers():
    event = read([4, 1, 2, 3, T0, "a", {}, {}, 8, 93222, T0 + 1])
    assert (event.random_id, event.conversation_message_id, event.edited_at) == (8, 93222, T0 + 1)


def test_the_number_that_the_table_has_and_the_example_has_not_may_come():
    event = read([4, 1, 2, 88, 3, T0, "a", EXTRA, PHOTO, 8])
    assert (event.message_id, event.flags, event.peer_id, event.date) == (1, 2, 3, T0)
    assert (event.text, event.extra, event.attachments, event.random_id) == ("a", EXTRA, PHOTO, 8)


@pytest.mark.parametrize(
    "update",
    [
        [4, 1, 2, 3, T0, "a"],
        [4, 1, 2, 3, T0, "a", []],
        [4, 1, 2, 3, T0, "a", [], []],
        [4, 1, 2, 3, T0, "a", {}, []],
        [4, 1, 2, 3, T0, "a", 0],
        [4, 1, 2, 3, T0, "a", None, None, None],
    ],
    ids=str,
)
def test_attachments_may_be_missing_or_an_empty_list(update: list):
    event = read(update)
    assert (event.extra, event.attachments, event.complete) == ({}, {}, True)
    assert (event.random_id, event.conversation_message_id, event.edited_at) == (0, 0, 0)


def test_an_empty_list_in_place_of_the_first_object_keeps_the_place_of_the_second():
    event = read([4, 1, 2, 3, T0, "a", [], PHOTO, 8])
    assert (event.extra, event.attachments) == ({}, PHOTO)


@pytest.mark.parametrize("code", [4, 5, 1, 2, 3, 18])
@pytest.mark.parametrize("rest", [[], [5], [CHAT], [5, T0]], ids=str)
def test_a_message_that_is_gone_has_little_more_than_its_id(code: int, rest: list):
    event = read([code, 210723, 17, *rest])
    assert (event.code, event.message_id, event.flags, event.complete) == (code, 210723, 17, False)
    assert [event.peer_id, event.date] == [*rest, 0, 0][:2]
    assert (event.text, event.extra, event.attachments, event.sender in (0, 5)) == ("", {}, {}, True)
    assert (event.random_id, event.conversation_message_id, event.edited_at) == (0, 0, 0)


@pytest.mark.parametrize("code", [5, 18])
def test_a_message_is_edited_by_its_author_or_by_the_platform(code: int):
    event = read([code, 1, 2, 3, T0, "new", {}, PHOTO, 0])
    assert type(event) is EditedMessage
    assert (event.text, event.attachments) == ("new", PHOTO)


@pytest.mark.parametrize(("code", "change"), [(1, "replace"), (2, "set"), (3, "clear")])
def test_flags_change_in_three_ways_and_a_restored_message_comes_whole(code: int, change: str):
    event = read([code, 1, 128, 5, T0, "back", EXTRA, {}, 0])
    assert isinstance(event, FlagsChanged)
    assert (event.change, event.flags, event.text, event.extra) == (change, 128, "back", EXTRA)


def test_a_text_is_what_was_typed():
    assert read([4, 1, 2, 3, T0, "&lt;b&gt;<br>&amp;quot;", {}, {}]).text == "<b>\n&quot;"
    assert read([5, 1, 2, 3, T0, "", {}, {}]).text == ""


# Strange ones

CODES = sorted({update[0] for update, _ in TYPED} | {1, 2, 3, 4, 5, 18})


@pytest.mark.parametrize(
    "update",
    [
        [0],
        [-1, 1],
        [19, 5],
        [90, 2, 5],
        [119, {"owner_id": -1, "peer_id": 5, "event_id": "a"}],
        [505, 5, 88262293, CHAT],
        [601, 1, CHAT, 1841767, 2, 4, 5],
        [10004, 1, 2, 3, 5, T0, "a", {}, {}, 0, 1, 0],
        [2**63 - 1],
    ],
    ids=str,
)
def test_an_unknown_code_is_raw(update: list):
    event = decode_user_update(update)
    assert type(event) is RawUpdate
    assert (event.code, event.raw) == (update[0], update)


@pytest.mark.parametrize("code", CODES)
def test_an_update_that_is_too_short_is_raw(code: int):
    assert decode_user_update([code]) == RawUpdate(code, [code])


@pytest.mark.parametrize(
    "update",
    [
        [4, "1", 2],
        [4, 1, None],
        [4, 1, 2.0, 3],
        [4, True, 2, 3],
        [4, 1, 2, "3"],
        [4, 1, 2, 3, T0, None],
        [4, 1, 2, 3, T0, None, {}, {}],
        [4, 1, 2, 3, T0, 5, 6, "text"],
        [4, 1, 2, 3, "T0", "a"],
        [4, 1, 2, None, T0, "a"],
        [4, 2**63, 2],
        [6, 5],
        [6, 5, 77, "3"],
        [8, "5", 0, T0],
        [9, -5, 0, "T0"],
        [20, CHAT, "16"],
        [52, 6, CHAT, "17"],
        [61, 0.5, 1],
        [62, 5],
        [63, CHAT, 5],
        [63, CHAT, 5, [6]],
        [63, [5], "6", 2],
        [63, [5], [6]],
        [63, CHAT, [5, "6"]],
        [63, CHAT, [True]],
        [63, CHAT],
        [63, CHAT, [5], "1"],
        [80, None],
        [114, {"peer_id": "5"}],
        [114, {"disabled_until": []}],
        [114, [CHAT, 1, 0]],
        [114, CHAT, 1],
    ],
    ids=str,
)
def test_an_update_with_other_types_is_raw(update: list):
    assert decode_user_update(update) == RawUpdate(update[0], update)


@pytest.mark.parametrize(
    "update", [None, {}, "4", 4, [], ["4"], [None], [True, 1], [4.0, 1], [[4, 1, 2]], [2**63], (4, 1, 2)]
)
def test_what_is_no_update_is_refused(update: object):
    with pytest.raises(ProtocolError) as caught:
        decode_user_update(update)
    assert caught.value.status == 400


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
items = plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=5), plain, max_size=3)


@given(st.sampled_from(CODES) | st.integers(-5, 700), st.lists(items, max_size=12))
@example(4, [1, 2, 3, 4, "a", {"from": "1" * 5000}])
def test_no_update_that_begins_with_a_number_fails(code: int, rest: list):
    event = decode_user_update([code, *rest])
    assert (event.code, event.raw) == (code, [code, *rest])
    if isinstance(event, MessageUpdate):
        assert isinstance(event.sender, int)


@given(st.sampled_from(TYPED), st.data())
def test_one_strange_field_makes_no_other_of_it(typed: tuple[list, UserEvent], data: st.DataObject):
    update = list(typed[0])
    update[data.draw(st.integers(1, len(update) - 1))] = data.draw(items)
    assert type(decode_user_update(update)) in (type(typed[1]), RawUpdate)
