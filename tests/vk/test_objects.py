"""rawbot/vk/objects.py: both shapes of messages, both of payloads, each typed object, and every wrong type in it."""

import dataclasses
import json

import pytest
import vk_samples as vk
from hypothesis import given
from hypothesis import strategies as st
from vk_samples import CHAT, CLIENT_INFO, GROUP, T0, USER

from rawbot.errors import ProtocolError
from rawbot.vk.event_types import CHANGES, COMMENTS, EVENT_TYPES
from rawbot.vk.messages import decode_object
from rawbot.vk.objects import Comment, Like, Membership, MessageEvent, Raw, VKMessage, VKObject

Json = dict[str, object]

TYPES: dict[str, type] = {
    "message_new": VKMessage,
    "message_edit": VKMessage,
    "message_reply": VKMessage,
    "message_event": MessageEvent,
    "like_add": Like,
    "like_remove": Like,
    "group_join": Membership,
    "group_leave": Membership,
    **{f"{place}_{change}": Comment for place in COMMENTS for change in CHANGES},
}

each_place = pytest.mark.parametrize("place", COMMENTS)


def decode(event_type: str, value: Json | None = None) -> VKObject:
    return decode_object(vk.envelope(event_type, value))


def decode_new(**more: object) -> VKMessage:
    message = decode("message_new", vk.new_message(**more))
    assert isinstance(message, VKMessage)
    return message


def refused(event_type: str, value: Json) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(event_type, value)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_an_event_of_every_type_is_typed_or_raw(event_type: str):
    decoded = decode(event_type)
    assert type(decoded) is TYPES.get(event_type, Raw)
    value = vk.OBJECTS[event_type]
    assert (decoded.object if isinstance(decoded, Raw) else decoded.raw) == value.get("message", value)


def test_an_unknown_type_is_raw():
    assert decode("some_future_event_type", {"foo": "bar"}) == Raw("some_future_event_type", {"foo": "bar"})


# Messages


def test_a_message_says_all_that_it_says():
    message = decode_new(text="bruh", random_id=5, payload='{"command":"start"}', version=10000864)
    assert (message.id, message.conversation_message_id, message.peer_id, message.sender) == (305, 304, USER, USER)
    assert (message.date, message.text, message.random_id, message.version) == (T0, "bruh", 5, 10000864)
    assert (message.payload, message.payload_text) == ({"command": "start"}, '{"command":"start"}')
    assert (message.attachments, message.action, message.fwd_messages, message.reply_message) == ([], None, [], None)
    assert (message.out, message.admin_author_id, message.update_time, message.chat_id) == (False, 0, 0, 0)
    assert message.client_info == CLIENT_INFO


def test_both_shapes_of_a_new_message_come_in_one_run():
    old, new = decode("message_new", vk.message("a")), decode("message_new", vk.new_message("a"))
    assert isinstance(old, VKMessage)
    assert isinstance(new, VKMessage)
    assert dataclasses.replace(old, client_info=CLIENT_INFO) == new
    assert old.client_info == {}


def test_the_shape_is_told_by_what_is_there_and_not_by_the_version():
    for v in ("5.81", "5.103", "5.199", None):
        for value in (vk.message("a"), vk.new_message("a")):
            message = decode_object(vk.envelope("message_new", value, v=v))
            assert isinstance(message, VKMessage)
            assert message.text == "a"


def test_client_info_may_be_missing():
    for value in ({"message": vk.message()}, {"message": vk.message(), "client_info": None}):
        assert decode("message_new", value).client_info == {}


def test_an_echo_of_what_the_community_said_tells_who_said_it():
    message = decode("message_reply")
    assert isinstance(message, VKMessage)
    assert (message.out, message.sender, message.random_id, message.admin_author_id) == (True, -GROUP, -1939640752, 7)


def test_a_message_in_a_chat_has_the_chats_number():
    message = decode_new(peer_id=CHAT)
    assert (message.id, message.peer_id, message.chat_id) == (0, CHAT, 1)


def test_what_happened_to_a_chat_is_an_action():
    action = {"type": "chat_invite_user", "member_id": USER}
    assert decode_new(action=action).action == action
    assert decode_new(action={}).action is None


def test_a_message_without_a_peer_cannot_be_answered():
    for value in ({}, {"message": {}}, {"message": None}, vk.message(peer_id=0)):
        assert "peer_id" in str(refused("message_new", value))


def test_all_but_the_peer_may_be_missing():
    message = decode("message_new", {"message": {"peer_id": 1}})
    assert message == VKMessage(0, 0, 1, 0, 0, "", None, "", [], None, 0, False, 0, 0, 0, {}, {"peer_id": 1})


def test_quoted_messages_are_messages():
    quoted = {"from_id": -5, "date": 1, "text": "meh", "conversation_message_id": 303}
    message = decode_new(reply_message=quoted, fwd_messages=[quoted | {"text": "a", "fwd_messages": [quoted]}, quoted])
    assert message.reply_message is not None
    assert (message.reply_message.text, message.reply_message.sender, message.reply_message.peer_id) == ("meh", -5, 0)
    assert [forwarded.text for forwarded in message.fwd_messages] == ["a", "meh"]
    assert [forwarded.text for forwarded in message.fwd_messages[0].fwd_messages] == ["meh"]


def test_messages_that_forward_each_other_without_end_do_not_exhaust_the_stack():
    value = '{"text":"end"}'
    for _ in range(400):
        value = f'{{"text":"x","fwd_messages":[{value}],"reply_message":{{"text":"y"}}}}'
    message = decode("message_new", {"message": json.loads(value) | {"peer_id": 1}})
    assert isinstance(message, VKMessage)
    depth = 0
    while message.fwd_messages:
        message = message.fwd_messages[0]
        depth += 1
    assert (depth, message.text) == (400, "end")


@pytest.mark.parametrize("field", ["reply_message", "fwd_messages"])
def test_a_quote_that_is_none_fails_when_it_is_asked_for(field: str):
    for wrong in ("hunter2", [1], True, {"text": 5} if field == "reply_message" else [{"text": 5}]):
        message = decode_new(**{field: wrong})
        with pytest.raises(ProtocolError):
            getattr(message, field)


# Payloads


@pytest.mark.parametrize(
    ("payload", "value", "text"),
    [
        ('{"command":"start"}', {"command": "start"}, '{"command":"start"}'),
        ('{"a": [1, "б"]}', {"a": [1, "б"]}, '{"a": [1, "б"]}'),
        ('"go"', "go", '"go"'),
        ("17", 17, "17"),
        ("null", None, "null"),
        ("go", "go", "go"),
        ("{", "{", "{"),
        ("[" * 5000, "[" * 5000, "[" * 5000),
        ("NaN", "NaN", "NaN"),
        ("", None, ""),
        (None, None, ""),
        ({"payload": "week"}, {"payload": "week"}, '{"payload":"week"}'),
        ({}, {}, "{}"),
        ([], [], "[]"),
        ([1, "б", None], [1, "б", None], '[1,"б",null]'),
        (17, 17, "17"),
        (0, 0, "0"),
        (False, False, "false"),
        (1.5, 1.5, "1.5"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_payload_is_a_string_or_any_json_wherever_it_comes(payload: object, value: object, text: str):
    event = vk.button() | {"payload": payload}
    for decoded in (decode_new(payload=payload), decode("message_event", event)):
        assert isinstance(decoded, VKMessage | MessageEvent)
        assert repr((decoded.payload, decoded.payload_text)) == repr((value, text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values)
def test_a_payload_as_an_object_is_the_same_as_in_a_string(value: object):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    as_string = decode("message_event", vk.button(text))
    assert isinstance(as_string, MessageEvent)
    assert repr(as_string.payload) == repr(value)
    if value is not None and not isinstance(value, str):
        as_value = decode("message_event", vk.button(value))
        assert isinstance(as_value, MessageEvent)
        assert (as_value.payload, as_value.payload_text) == (as_string.payload, as_string.payload_text)


def test_a_payload_that_nests_too_deeply_is_refused():
    payload: object = 1
    for _ in range(300):
        payload = [payload]
    assert "payload" in str(refused("message_event", vk.button(payload)))


# Buttons, comments, likes, memberships


def test_a_pressed_button_says_who_where_and_what():
    event = decode("message_event")
    value = vk.OBJECTS["message_event"]
    assert event == MessageEvent(USER, CHAT, "1776a756b921", {"command": "week"}, '{"command":"week"}', 130, value)


def test_the_keyboard_below_a_dialog_is_in_no_message():
    value = vk.button()
    del value["conversation_message_id"]
    assert decode("message_event", value).conversation_message_id == 0


@pytest.mark.parametrize("field", ["user_id", "peer_id", "event_id"])
def test_a_button_that_cannot_be_answered_is_refused(field: str):
    for nothing in (None, 0, "", [], True):
        assert field in str(refused("message_event", vk.button() | {field: nothing}))


@each_place
@pytest.mark.parametrize("change", ["new", "edit", "restore"])
def test_a_comment_says_what_and_under_what(place: str, change: str):
    comment = decode(f"{place}_{change}", vk.comment(place) | {"reply_to_user": 3, "reply_to_comment": 4})
    assert isinstance(comment, Comment)
    assert (comment.place, comment.change, comment.id) == (place, change, 9)
    assert (comment.owner_id, comment.object_id, comment.sender, comment.deleter_id) == (-GROUP, 6, USER, 0)
    assert (comment.date, comment.text, comment.attachments) == (T0, "хорошо", [])
    assert (comment.reply_to_user, comment.reply_to_comment) == (3, 4)


@each_place
def test_a_deleted_comment_says_who_took_it_away(place: str):
    comment = decode(f"{place}_delete")
    assert isinstance(comment, Comment)
    assert (comment.change, comment.id, comment.deleter_id, comment.sender) == ("delete", 9, 7, USER)
    assert (comment.owner_id, comment.object_id, comment.text) == (-GROUP, 6, "")


@each_place
def test_the_owner_of_the_comment_is_not_taken_for_that_of_the_post(place: str):
    comment = decode(f"{place}_new", vk.comment(place) | {"owner_id": 55})
    assert isinstance(comment, Comment)
    assert comment.owner_id == -GROUP


@each_place
def test_a_comment_without_a_number_is_refused(place: str):
    assert "id" in str(refused(f"{place}_new", vk.comment(place) | {"id": None}))


def test_a_like_says_of_what():
    added, removed = decode("like_add"), decode("like_remove")
    assert added == Like(True, USER, "post", -GROUP, 7, 0, 0, vk.OBJECTS["like_add"])
    assert removed == Like(False, USER, "post", -GROUP, 7, 0, 0, vk.OBJECTS["like_remove"])


@pytest.mark.parametrize(("flag", "by_self"), [(1, True), (0, False), (True, True), (False, False), (None, False)])
def test_who_leaves_may_have_been_removed(flag: object, by_self: bool):  # noqa: FBT001
    value = {"user_id": USER, "self": flag}
    assert decode("group_leave", value) == Membership(False, USER, "", by_self, value)


def test_who_joins_does_so_in_some_way():
    value = vk.OBJECTS["group_join"]
    assert decode("group_join") == Membership(True, USER, "approved", False, value)


# Wrong types

STRINGS = ("text", "event_id", "object_type", "join_type")
LISTS = ("attachments",)
OBJECTS = ("action", "client_info")
ANYTHING = ("payload", "reply_message", "fwd_messages", "important", "is_hidden", "read_message_id")


def typed_fields() -> list[tuple[str, str]]:
    """Every field of the typed samples, and those that they leave out, by the name of the event."""
    more = {
        VKMessage: ("action", "update_time", "admin_author_id", "version", "random_id"),
        Comment: ("from_id", "reply_to_user", "reply_to_comment", "attachments", "deleter_id", "text", "date"),
        Like: ("post_id",),
        Membership: ("self", "join_type"),
    }
    fields = []
    for name, kind in TYPES.items():
        sample = vk.OBJECTS[name]
        keys = {*sample.get("message", sample), *more.get(kind, ())}
        fields += [(name, key) for key in sorted(keys) if key not in ANYTHING]
    return fields


@pytest.mark.parametrize(("event_type", "field"), typed_fields())
def test_a_field_of_a_wrong_type_is_refused_without_being_repeated(event_type: str, field: str):
    sample = dict(vk.OBJECTS[event_type])
    holder = sample
    if "message" in sample:
        holder = sample["message"] = dict(sample["message"])
    wrong: list[object] = ["hunter2", 1.5, ["hunter2"], {"hunter2": 1}, 2**63]
    wrong += [] if field in ("out", "self") else [True]
    fits = str if field in STRINGS else list if field in LISTS else dict if field in OBJECTS else None
    for value in wrong:
        holder[field] = value
        if fits is None or not isinstance(value, fits) or value == ["hunter2"]:
            error = refused(event_type, sample)
            assert field in str(error)
            assert "hunter2" not in str(error)


@pytest.mark.parametrize("wrong", ["hunter2", 1, True, [1]], ids=repr)
def test_the_parts_of_a_new_message_are_objects(wrong: object):
    assert "message" in str(refused("message_new", {"message": wrong}))
    assert "client_info" in str(refused("message_new", {"message": vk.message(), "client_info": wrong}))


# What is not said


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_a_repr_has_neither_words_nor_payloads(event_type: str):
    sample = dict(vk.OBJECTS[event_type])
    secrets = {"text": "hunter2", "payload": '"hunter2"', "key": "hunter2"}
    if "message" in sample:
        sample["message"] = {**sample["message"], **secrets}
    decoded = decode(event_type, sample | secrets)
    assert "hunter2" not in repr(decoded)
    assert repr(decoded).startswith(f"<{type(decoded).__name__}")


def test_the_repr_of_a_message_says_where_it_is():
    assert repr(decode_new(peer_id=CHAT)) == "<VKMessage 304 in 2000000001>"
    assert repr(decode("app_payload")) == "<Raw 'app_payload'>"
