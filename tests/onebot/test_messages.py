"""rawbot/onebot/messages.py: the ten standard segments, each field missing and mistyped, and a message's shapes."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.onebot import messages
from rawbot.onebot.codec import JSON
from rawbot.onebot.messages import (
    Account,
    Message,
    Segment,
    alt_message,
    decode_account,
    decode_message,
    encode_message,
)
from rawbot.onebot.retcodes import BAD_PARAM, BAD_REQUEST, BAD_SEGMENT_DATA, ActionError

PLACE = {"latitude": 31.032315, "longitude": 121.447127, "title": "SJTU", "content": "Dongchuan Road 800"}
STANDARD: dict[str, tuple[dict, Segment, str]] = {
    # OneBot 12, interface/message/segments. type: its data, how it is made, what stands for it in plain text
    "text": ({"text": "hello [x]"}, messages.text("hello [x]"), "hello [x]"),
    "mention": ({"user_id": "1234567"}, messages.mention("1234567"), "@1234567"),
    "mention_all": ({}, messages.mention_all(), "@all"),
    "image": ({"file_id": "e30f9684"}, messages.image("e30f9684"), "[image]"),
    "voice": ({"file_id": "e30f9684"}, messages.voice("e30f9684"), "[voice]"),
    "audio": ({"file_id": "e30f9684"}, messages.audio("e30f9684"), "[audio]"),
    "video": ({"file_id": "e30f9684"}, messages.video("e30f9684"), "[video]"),
    "file": ({"file_id": "e30f9684"}, messages.file("e30f9684"), "[file]"),
    "location": (PLACE, messages.location(**PLACE), "[location]"),
    "reply": ({"message_id": "6283", "user_id": "1234567"}, messages.reply("6283", "1234567"), "[reply]"),
}
FIELDS = [(kind, key) for kind, (data, _, _) in STANDARD.items() for key in data]
OPTIONAL = ("reply", "user_id")

each_kind = pytest.mark.parametrize("kind", STANDARD)
each_field = pytest.mark.parametrize(("kind", "key"), FIELDS)


def wire(kind: str, data: object) -> dict:
    return {"type": kind, "data": data}


def refused(value: object, retcode: int) -> ActionError:
    with pytest.raises(ActionError) as caught:
        decode_message(value)
    assert caught.value.retcode == retcode
    return caught.value


# The ten


@each_kind
def test_a_segment_of_each_kind_is_read_made_and_written(kind: str):
    data, made, alt = STANDARD[kind]
    assert decode_message([wire(kind, data)]) == [made] == [Segment(kind, data)]
    assert encode_message([made]) == [wire(kind, data)]
    assert alt_message([made]) == alt


@each_field
def test_a_missing_field_is_bad_segment_data(kind: str, key: str):
    data = {name: value for name, value in STANDARD[kind][0].items() if name != key}
    if (kind, key) == OPTIONAL:
        assert decode_message([wire(kind, data)]) == [messages.reply("6283")]
    else:
        message = refused([wire(kind, data)], BAD_SEGMENT_DATA).message
        assert kind in message
        assert key in message


@each_field
@pytest.mark.parametrize("wrong", [True, b"x", [], {}, ["x"], {"x": 1}])
def test_a_field_of_the_wrong_type_is_refused_by_name(kind: str, key: str, wrong: object):
    message = refused([wire(kind, STANDARD[kind][0] | {key: wrong})], BAD_SEGMENT_DATA).message
    assert kind in message
    assert key in message


@pytest.mark.parametrize(("kind", "key"), [field for field in FIELDS if field[1] not in ("latitude", "longitude")])
def test_a_number_is_no_string(kind: str, key: str):
    refused([wire(kind, STANDARD[kind][0] | {key: 1234567})], BAD_SEGMENT_DATA)


@pytest.mark.parametrize("key", ["latitude", "longitude"])
@pytest.mark.parametrize("wrong", ["31.0", math.nan, math.inf, -math.inf, None])
def test_degrees_are_numbers(key: str, wrong: object):
    refused([wire("location", PLACE | {key: wrong})], BAD_SEGMENT_DATA)


def test_whole_degrees_become_floats_and_nothing_else_is_changed():
    data = PLACE | {"latitude": 31, "longitude": -121, "qq.zoom": 3}
    [place] = decode_message([wire("location", data)])
    assert place.data == {**PLACE, "latitude": 31.0, "longitude": -121.0, "qq.zoom": 3}
    assert [type(place.data[key]) for key in ("latitude", "longitude")] == [float, float]
    assert type(messages.location(31, 121).data["latitude"]) is float
    assert data["latitude"] == 31
    assert type(data["latitude"]) is int


def test_a_null_for_the_author_of_what_is_answered_counts_as_absent():
    assert decode_message([wire("reply", {"message_id": "1", "user_id": None, "x": 1})]) == [
        Segment("reply", {"message_id": "1", "x": 1})
    ]


@each_kind
def test_extended_fields_are_kept(kind: str):
    data = STANDARD[kind][0] | {"qq.more": [1, {"a": b"b"}]}
    assert decode_message(wire(kind, data)) == [Segment(kind, data)]


@pytest.mark.parametrize("kind", ["text", "location", "mention_all", "qq.face"])
def test_data_must_not_have_a_field_type(kind: str):
    data = STANDARD.get(kind, ({},))[0] | {"type": "x"}
    assert "type" in refused([wire(kind, data)], BAD_SEGMENT_DATA).message


# Shapes


def test_a_segment_that_the_standard_does_not_know_is_kept_as_it_came():
    data = {"id": 12, "deep": {"type": "inside"}}
    [segment] = decode_message([wire("qq.face", data)])
    assert (segment.type, segment.data) == ("qq.face", data)
    assert segment.data is data
    assert alt_message([segment]) == "[qq.face]"


def test_a_message_is_a_list_a_segment_or_a_string():
    hello = [Segment("text", {"text": "hello"})]
    assert decode_message("hello") == decode_message(wire("text", {"text": "hello"})) == hello
    assert decode_message([wire("text", {"text": "hello"})]) == hello
    assert decode_message("") == [Segment("text", {"text": ""})]
    assert decode_message([]) == []


@pytest.mark.parametrize("value", [None, True, 7, 1.5, b"hello", ("hello",), {"hello"}])
def test_nothing_else_is_one(value: object):
    refused(value, BAD_PARAM)


@pytest.mark.parametrize(
    "segment",
    [
        None,
        7,
        "hello",
        ["text"],
        {},
        {"type": "text"},
        {"data": {"text": "x"}},
        {"type": None, "data": {}},
        {"type": "", "data": {}},
        {"type": 7, "data": {}},
        {"type": ["text"], "data": {}},
        {"type": "mention_all", "data": None},
        {"type": "text", "data": "x"},
        {"type": "qq.face", "data": []},
    ],
)
def test_a_segment_is_an_object_with_type_and_data(segment: object):
    refused([wire("text", {"text": "x"}), segment], BAD_PARAM)


def test_an_error_repeats_a_type_only_if_it_can_be_shown():
    assert "qq.face" in refused([wire("qq.face", 1)], BAD_PARAM).message
    for kind in ("x" * 1000, "a\nb", "\x1b[31m"):
        assert kind not in refused([wire(kind, 1)], BAD_PARAM).message


words = st.text(max_size=10)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.binary(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(words, inner),
    max_leaves=10,
)
keys = st.sampled_from(sorted({key for _, key in FIELDS} | {"type"})) | words
segments = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(STANDARD)) | anything, "data": st.dictionaries(keys, words | anything) | anything}
)


@given(anything | segments | st.lists(segments, max_size=3))
@example([wire("location", PLACE | {"latitude": 10**400})])
def test_anything_is_a_message_or_refused_with_one_of_two_codes(value: object):
    try:
        message = decode_message(value)
    except ActionError as error:
        assert error.retcode in (BAD_PARAM, BAD_SEGMENT_DATA)  # noqa: PT017 - some are messages
        return
    written = encode_message(message)
    assert decode_message(written) == message or "nan" in repr(written)
    assert isinstance(alt_message(message), str)


made = st.one_of(
    st.builds(messages.text, words),
    st.builds(messages.mention, words),
    st.builds(messages.mention_all),
    *(st.builds(make, words) for make in (messages.image, messages.voice, messages.audio)),
    *(st.builds(make, words) for make in (messages.video, messages.file)),
    st.builds(messages.location, st.floats(-90, 90), st.floats(-180, 180), words, words),
    st.builds(messages.reply, words, st.none() | words),
)


@given(st.lists(made))
def test_what_is_made_here_can_be_read(message: Message):
    assert decode_message(encode_message(message)) == message


def test_the_stand_in_is_written_without_gaps():
    message = [messages.reply("m"), messages.mention("bob"), messages.text(" look: "), messages.image("f")]
    assert alt_message(message) == "[reply]@bob look: [image]"
    assert alt_message([]) == ""
    assert alt_message([Segment("text", {}), Segment("mention", {})]) == "@"


def test_a_place_needs_no_name():
    assert messages.location(1.5, 2.5).data == {"latitude": 1.5, "longitude": 2.5, "title": "", "content": ""}


def test_a_segment_shows_its_type_and_nothing_else():
    assert repr(messages.text("hunter2")) == "<Segment text>"
    assert "hunter2" not in repr([messages.mention("hunter2")])


# Bots


def test_a_bot_is_read_and_written_with_all_its_fields():
    value = {"platform": "qq", "user_id": "1", "qq.shard": 3}
    account = decode_account(value)
    assert (account.platform, account.user_id, account.extra) == ("qq", "1", {"qq.shard": 3})
    assert account.encode() == value
    assert list(account.encode()) == ["platform", "user_id", "qq.shard"]
    assert JSON.encode(Account("qq", "1").encode()) == b'{"platform":"qq","user_id":"1"}'


@pytest.mark.parametrize("value", [None, "qq", [], {}, {"platform": "qq"}, {"platform": "qq", "user_id": 1}])
def test_a_bot_has_a_platform_and_an_id(value: object):
    with pytest.raises(ActionError) as caught:
        decode_account(value)
    assert caught.value.retcode == BAD_REQUEST


def test_two_bots_are_the_same_when_platform_and_id_are():
    one, same = Account("qq", "1", {"a": 1}), Account("qq", "1")
    assert one == same
    assert {one: "here"}[same] == "here"
    assert len({one, Account("qq", "2"), Account("vk", "1")}) == 3
    assert same.extra is not Account("qq", "1").extra
    assert repr(one) == "Account(platform='qq', user_id='1')"
