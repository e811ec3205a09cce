"""rawbot/vk/messages.py: envelopes of every type, in every order, with every wrong type, and what names an event."""

import itertools
import json
from collections.abc import Callable

import pytest
import vk_samples as vk
from hypothesis import example, given
from hypothesis import strategies as st
from vk_samples import CHAT, EVENT_ID, GROUP, SECRET, USER

from rawbot.errors import ProtocolError
from rawbot.vk.event_types import EVENT_TYPES
from rawbot.vk.fields import MAX_INT
from rawbot.vk.messages import (
    MAX_NAME,
    Envelope,
    decode_envelope,
    decode_object,
    decode_update,
    dedupe_key,
    object_key,
)

Json = dict[str, object]

each_type = pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=10)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


def refused(body: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode_envelope(body)
    assert caught.value.status == 400
    return caught.value


def refused_fields(**fields: object) -> ProtocolError:
    return refused(vk.encode(vk.callback() | fields))


# What comes


@each_type
def test_an_event_of_every_known_type_is_taken(event_type: str):
    envelope = vk.envelope(event_type)
    assert (envelope.type, envelope.group_id, envelope.event_id, envelope.v) == (event_type, GROUP, EVENT_ID, "5.199")
    assert envelope.object == vk.OBJECTS[event_type]
    assert envelope.secret == SECRET
    assert envelope.raw == vk.callback(event_type)


def test_a_type_that_nobody_knows_is_taken_too():
    envelope = vk.envelope("some_future_event_type", {"foo": "bar"})
    assert (envelope.type, envelope.object) == ("some_future_event_type", {"foo": "bar"})


ORDERS = [
    # of current servers; of 2020 and 2021; and the secret before all
    ("group_id", "type", "event_id", "v", "object", "secret"),
    ("type", "object", "group_id", "event_id", "secret", "v"),
    ("secret", "v", "object", "event_id", "type", "group_id"),
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@each_type
def test_the_order_of_the_keys_means_nothing(event_type: str, order: tuple[str, ...]):
    fields = vk.callback(event_type)
    assert decode_envelope(vk.encode({key: fields[key] for key in order})) == vk.envelope(event_type)


def test_no_order_of_the_keys_means_anything():
    fields = vk.callback("message_event")
    for order in itertools.permutations(fields):
        assert decode_envelope(vk.encode({key: fields[key] for key in order})) == vk.envelope("message_event")


def test_a_secret_behind_a_large_object_is_read():
    envelope = vk.envelope("message_new", vk.new_message("я" * 524_288))
    assert envelope.secret == SECRET
    assert len(envelope.raw["object"]["message"]["text"]) == 524_288


def test_an_old_body_has_neither_event_id_nor_version_nor_secret():
    envelope = decode_envelope(b'{"type":"group_join","object":{"user_id":1,"join_type":"join"},"group_id":1}')
    assert envelope == Envelope("group_join", 1, "", "", {"user_id": 1, "join_type": "join"}, None, envelope.raw)


def test_null_is_as_good_as_nothing():
    envelope = vk.envelope(event_id=None, v=None, secret=None)
    assert (envelope.event_id, envelope.v, envelope.secret) == ("", "", None)


@pytest.mark.parametrize(("event_id", "normal"), [(12345, "12345"), (0, "0"), (-1, "-1"), ("12345", "12345"), ("", "")])
def test_an_event_id_may_be_a_number_as_in_the_vendors_own_example(event_id: object, normal: str):
    assert vk.envelope(event_id=event_id).event_id == normal


def test_a_confirmation_has_no_object():
    for body in (b'{"type":"confirmation","group_id":7}', b'{"type":"confirmation","group_id":7,"object":null}'):
        assert decode_envelope(body).object == {}
    envelope = decode_envelope(b'{"type":"confirmation","group_id":7,"secret":"s"}')
    assert (envelope.type, envelope.group_id, envelope.secret) == ("confirmation", 7, "s")


def test_names_may_have_one_character():
    envelope = vk.envelope("e", {}, event_id="1")
    assert (envelope.type, dedupe_key(envelope)) == ("e", (GROUP, "1"))
    assert object_key(vk.envelope("message_event", vk.button(event_id="1"))) == (GROUP, "message_event", "1")


def test_names_may_be_three_times_as_long_as_any_that_was_seen():
    longest = "e" * 128
    assert MAX_NAME == len(longest) > 3 * len(EVENT_ID)
    envelope = vk.envelope(longest, {}, event_id=longest)
    assert (envelope.type, envelope.event_id) == (longest, longest)
    assert object_key(vk.envelope("message_event", vk.button(event_id=longest))) == (GROUP, "message_event", longest)


def test_unknown_fields_are_kept():
    assert vk.envelope(new_field={"a": 1}).raw["new_field"] == {"a": 1}


def test_the_last_of_two_equal_keys_counts():
    body = vk.encode(vk.callback())[:-1] + b',"group_id":5,"type":"group_leave"}'
    assert (decode_envelope(body).group_id, decode_envelope(body).type) == (5, "group_leave")


@pytest.mark.parametrize("around", [(b"", b"\n"), (b" \r\n\t", b" "), (b"\n\n", b"")])
def test_white_space_around_the_body_means_nothing(around: tuple[bytes, bytes]):
    assert decode_envelope(around[0] + vk.encode(vk.callback()) + around[1]) == vk.envelope()


def test_a_body_with_escapes_is_the_same():
    assert decode_envelope(json.dumps(vk.callback()).encode()) == vk.envelope()


# What does not


@pytest.mark.parametrize(
    "group_id",
    [None, True, False, "191949777", 191949777.0, 1.5, 0, -191949777, 2**63, 2**64, 10**30, [], [1], {}],
    ids=repr,
)
def test_a_group_id_is_a_positive_integer_and_nothing_like_one(group_id: object):
    assert "group_id" in str(refused_fields(group_id=group_id))


def test_a_group_id_may_have_64_bits():
    assert vk.envelope(group_id=MAX_INT).group_id == MAX_INT


@pytest.mark.parametrize("event_type", [None, "", "t" * (MAX_NAME + 1), 1, True, [], ["message_new"], {}], ids=repr)
def test_a_type_is_a_string_of_some_characters(event_type: object):
    assert "type" in str(refused_fields(type=event_type))


@pytest.mark.parametrize("value", [None, "", "{}", 0, 1, True, [], [{}]], ids=repr)
@pytest.mark.parametrize("event_type", ["message_new", "some_future_event_type"])
def test_an_object_is_an_object(event_type: str, value: object):
    assert "object" in str(refused_fields(type=event_type, object=value))


@pytest.mark.parametrize("value", ["", 0, [], False], ids=repr)
def test_neither_may_a_confirmation_have_another(value: object):
    assert "object" in str(refused_fields(type="confirmation", object=value))


@pytest.mark.parametrize("event_id", [True, 1.0, 2**64, [], {}, "e" * (MAX_NAME + 1)], ids=repr)
def test_an_event_id_is_a_short_string_or_an_integer(event_id: object):
    assert "event_id" in str(refused_fields(event_id=event_id))


@pytest.mark.parametrize("v", [5.131, 5, True, [], {}], ids=repr)
def test_a_version_is_a_string(v: object):
    assert "v is not" in str(refused_fields(v=v))


@pytest.mark.parametrize("secret", [0, 1, True, False, 1.5, [], [SECRET], {}], ids=repr)
def test_a_secret_is_a_string(secret: object):
    assert "secret" in str(refused_fields(secret=secret))


@pytest.mark.parametrize("key", ["type", "group_id", "object"])
def test_three_fields_must_be_there(key: str):
    fields = vk.callback()
    del fields[key]
    assert key in str(refused(vk.encode(fields)))


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b"null", b"true", b"1", b"1.5", b'"confirmation"'])
def test_json_that_is_no_object_is_refused(body: bytes):
    assert "object" in str(refused(body))


BODY = vk.encode(vk.callback())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"ok",
        BODY[:-1],
        BODY + b"}",
        BODY + BODY,
        BODY + b"\x00",
        b"\xef\xbb\xbf" + BODY,
        json.dumps(vk.callback()).encode("utf-16"),
        BODY.replace("привет".encode(), b"\xff"),
        BODY.replace("привет".encode(), "привет".encode("cp1251")),
        BODY.replace("привет".encode(), b"\\ud800"),
        BODY.replace("привет".encode(), b"\xed\xa0\x80"),
        BODY.replace(b"191949777", b"NaN"),
        BODY.replace(b"191949777", b"Infinity"),
        BODY.replace(b"191949777", b"-"),
        BODY.replace(b"191949777", b"0191949777"),
        BODY.replace(b'"type"', b"type"),
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        BODY.replace('"привет"'.encode(), b'{"a":' * 5000 + b"1" + b"}" * 5000),
    ],
    ids=range(22),
)
def test_what_is_no_json_is_refused_at_once(body: bytes):
    assert str(refused(body)) == "the body is not JSON"


def test_an_error_repeats_nothing_of_what_came():
    bodies = [b'{"secret":"hunter2"', vk.encode({"secret": ["hunter2"]}), vk.encode({"type": ["hunter2"]})]
    bodies += [
        vk.encode(vk.callback() | {field: ["hunter2"]}) for field in ("type", "group_id", "event_id", "v", "object")
    ]
    for body in bodies:
        error = refused(body)
        assert "hunter2" not in str(error)
        assert error.__suppress_context__ or error.__context__ is None


def test_the_repr_has_neither_secret_nor_object():
    text = repr(vk.envelope("message_new", vk.new_message("hunter2"), secret="hunter2"))
    assert text == "<Envelope 'message_new' of 191949777>"
    assert "\n" not in repr(vk.envelope("a\nb", {}))


# Whatever comes


def decoded(body: bytes) -> None:
    """Go all the way that a callback goes."""
    try:
        envelope = decode_envelope(body)
    except ProtocolError:
        return
    dedupe_key(envelope)
    object_key(envelope)
    try:
        decode_object(envelope)
    except ProtocolError as error:
        assert error.status == 400  # noqa: PT017 - most garbage is no event


@given(st.binary(max_size=200))
@example(b"")
@example(b"{}")
def test_garbage_raises_one_error_and_no_other(body: bytes):
    decoded(body)


@given(st.sampled_from(sorted(EVENT_TYPES)), st.data())
def test_a_changed_byte_raises_nothing_else(event_type: str, data: st.DataObject):
    body = bytearray(vk.encode(vk.callback(event_type)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    decoded(bytes(body))


@given(st.sampled_from(sorted(EVENT_TYPES)), st.data())
def test_a_value_of_any_kind_anywhere_raises_nothing_else(event_type: str, data: st.DataObject):
    fields = vk.callback(event_type)
    places: list[tuple[dict, str]] = [(fields, key) for key in fields]
    inner = fields["object"] = dict(vk.OBJECTS[event_type])
    places += [(inner, key) for key in inner]
    if "message" in inner:
        inner["message"] = innermost = dict(inner["message"])
        places += [(innermost, key) for key in (*innermost, "payload", "reply_message", "action", "update_time")]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(values)
    decoded(vk.encode(fields))


@pytest.mark.parametrize("event_type", ["message_new", "message_event", "confirmation", "like_add"])
def test_a_body_that_is_torn_anywhere_is_refused(event_type: str):
    body = vk.encode(vk.callback(event_type))
    for end in range(len(body)):
        refused(body[:end])


# Updates of Long Poll


@each_type
def test_an_update_of_long_poll_is_the_callback_without_its_secret(event_type: str):
    envelope = decode_update(vk.update(event_type), GROUP)
    expected = vk.envelope(event_type)
    assert (envelope.type, envelope.object, envelope.event_id) == (expected.type, expected.object, expected.event_id)
    assert envelope.secret is None
    assert dedupe_key(envelope) == dedupe_key(expected)


def test_an_update_need_not_name_its_community():
    update = vk.update()
    del update["group_id"]
    assert decode_update(update, GROUP).group_id == GROUP


def test_a_secret_in_an_update_is_none():
    assert decode_update(vk.update() | {"secret": ["hunter2"]}, GROUP).secret is None


@pytest.mark.parametrize("group_id", [GROUP + 1, -GROUP, str(GROUP), True, 0, float(GROUP)], ids=repr)
def test_an_update_of_another_community_is_refused(group_id: object):
    with pytest.raises(ProtocolError):
        decode_update(vk.update() | {"group_id": group_id}, GROUP)


@given(values)
@example([4, 1, 2])
@example({})
def test_an_update_of_any_kind_raises_one_error_and_no_other(value: object):
    with pytest.raises(ProtocolError):
        decode_update(value, GROUP)


# What names an event


@each_type
def test_an_event_is_named_by_its_group_and_its_id(event_type: str):
    assert dedupe_key(vk.envelope(event_type)) == (GROUP, EVENT_ID)
    assert dedupe_key(vk.envelope(event_type, event_id=12345)) == (GROUP, "12345")


def test_two_groups_may_use_one_event_id():
    assert dedupe_key(vk.envelope()) != dedupe_key(vk.envelope(group_id=GROUP + 1))


NAMED: dict[str, tuple[int | str, ...]] = {
    # what an object alone tells, VK's callback of 2018 to 2020
    "message_new": (GROUP, "message_new", USER, 304),
    "message_reply": (GROUP, "message_reply", USER, 304),
    "message_edit": (GROUP, "message_edit", USER, 304, vk.T0 + 5),
    "message_event": (GROUP, "message_event", "1776a756b921"),
}


@each_type
def test_without_an_id_only_messages_and_buttons_are_named_by_their_object(event_type: str):
    envelope = vk.envelope(event_type, event_id=None)
    assert dedupe_key(envelope) == object_key(envelope) == NAMED.get(event_type)
    assert object_key(vk.envelope(event_type)) == NAMED.get(event_type)


def test_both_shapes_of_a_message_have_one_name():
    assert object_key(vk.envelope("message_new", vk.message())) == NAMED["message_new"]


def test_a_message_in_a_chat_is_named_though_its_id_is_0():
    first, second = (vk.envelope("message_new", vk.new_message(peer_id=CHAT, cmid=cmid)) for cmid in (1, 2))
    assert object_key(first) == (GROUP, "message_new", CHAT, 1)
    assert object_key(first) != object_key(second)


def test_two_edits_of_one_message_have_two_names():
    first, second = (vk.envelope("message_edit", vk.message(update_time=time)) for time in (1, 2))
    assert object_key(first) != object_key(second)
    assert object_key(vk.envelope("message_edit", vk.message())) is None  # it cannot be told from the next


def test_join_leave_and_join_are_three_events():
    keys = [dedupe_key(vk.envelope(name, event_id=None)) for name in ("group_join", "group_leave", "group_join")]
    assert keys == [None, None, None]


def without(holder: Json, *keys: str) -> Json:
    return {key: value for key, value in holder.items() if key not in keys}


@pytest.mark.parametrize(
    ("event_type", "value"),
    [
        ("message_new", without(vk.message(), "peer_id")),
        ("message_new", without(vk.message(), "conversation_message_id")),
        ("message_new", vk.message(cmid=0)),
        ("message_new", vk.message(peer_id=True)),
        ("message_new", vk.message(cmid="304")),
        ("message_new", vk.message(cmid=3.0)),
        ("message_new", {"message": []}),
        ("message_new", {"message": None}),
        ("message_new", {}),
        ("message_event", vk.button(event_id=None)),
        ("message_event", vk.button(event_id="")),
        ("message_event", vk.button(event_id=["a"])),
        ("message_event", vk.button(event_id="e" * (MAX_NAME + 1))),
    ],
    ids=repr,
)
def test_an_object_that_does_not_tell_gives_no_name(event_type: str, value: Json):
    assert object_key(vk.envelope(event_type, value)) is None


@given(values, st.sampled_from(["message_new", "message_edit", "message_event", "like_add"]))
def test_a_name_can_be_remembered(value: object, event_type: str):
    def keys(place: Callable[[object], Json]) -> None:
        hash(object_key(Envelope(event_type, 1, "", "", place(value), None, {})))

    keys(lambda value: {"message": value})
    keys(lambda value: {"peer_id": value, "conversation_message_id": value, "update_time": value, "event_id": value})
