"""rawbot/onebot/v11/segments.py: a message in both languages. Kinds and fields: OneBot 11, message/segment."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.onebot.messages import Segment, decode_message, encode_message
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, PLATFORM_UNKNOWN_TARGET, ActionError
from rawbot.onebot.v11.cq import V11Segment, decode_cq, encode_cq
from rawbot.onebot.v11.face import Ids
from rawbot.onebot.v11.segments import ONLY_V11, decode_segments, encode_segments, read_message, upload_params

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def v11(kind: str, **data: object) -> V11Segment:
    return {"type": kind, "data": data}


PAIRS = [
    (Segment("text", {"text": "hi, [you]"}), v11("text", text="hi, [you]")),
    (Segment("mention", {"user_id": "10001000"}), v11("at", qq="10001000")),
    (Segment("mention_all", {}), v11("at", qq="all")),
    (Segment("image", {"file_id": "abc.jpg"}), v11("image", file="abc.jpg")),
    (Segment("voice", {"file_id": "abc"}), v11("record", file="abc")),
    (Segment("video", {"file_id": "abc"}), v11("video", file="abc")),
    (Segment("file", {"file_id": "abc"}), v11("file", file="abc")),
    (
        Segment("location", {"latitude": 39.8969426, "longitude": -116.5, "title": "t", "content": ""}),
        v11("location", lat="39.8969426", lon="-116.5", title="t", content=""),
    ),
    (Segment("reply", {"message_id": "123456"}), v11("reply", id="123456")),
    (Segment("cq.face", {"id": "123"}), v11("face", id="123")),
    (Segment("cq.poke", {"cq.type": "126", "id": "2003"}), v11("poke", type="126", id="2003")),
    (Segment("wecom.card", {"title": "x"}), v11("wecom.card", title="x")),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_both_languages_say_the_same(ours: Segment, theirs: V11Segment):
    ids = Ids()
    assert encode_segments([ours], ids) == [theirs]
    assert decode_segments([theirs], ids) == [ours]
    assert decode_segments(decode_cq(encode_cq([theirs])), ids) == [ours]


@pytest.mark.parametrize("theirs", [theirs for _, theirs in PAIRS])
def test_what_is_read_is_a_message_of_onebot_12(theirs: V11Segment):
    message = decode_segments([theirs], Ids())
    assert decode_message(encode_message(message)) == message


def test_ids_that_are_no_numbers_go_through_the_tables():
    ids = Ids()
    message = [Segment("mention", {"user_id": "alice"}), Segment("reply", {"message_id": "m-1"})]
    at, reply = encode_segments(message, ids)
    assert at == v11("at", qq=str(ids.users.encode("alice")))
    assert reply == v11("reply", id=str(ids.messages.encode("m-1")))
    assert decode_segments([at, reply], ids) == message


def test_audio_comes_back_as_voice():
    ids = Ids()
    assert encode_segments([Segment("audio", {"file_id": "a"})], ids) == [v11("record", file="a")]


def test_whom_a_reply_answers_is_not_told():
    reply = Segment("reply", {"message_id": "7", "user_id": "alice"})
    assert encode_segments([reply], Ids()) == [v11("reply", id="7")]


def test_extended_fields_go_out_as_strings():
    image = Segment("image", {"file_id": "a", "url": "http://x/", "wecom.size": 3, "wecom.none": None})
    assert encode_segments([image], Ids()) == [v11("image", file="a", url="http://x/", **{"wecom.size": "3"})]


@pytest.mark.parametrize("kind", ["face", "at", "record", "a b", "a]"])
def test_what_would_mean_something_else_goes_out_as_text(kind: str):
    (segment,) = encode_segments([Segment(kind, {"x": "y"})], Ids())
    assert segment["type"] == "text"
    assert segment["data"]["text"]


@pytest.mark.parametrize("kind", sorted(ONLY_V11))
def test_what_only_11_has_is_kept_whole(kind: str):
    ids = Ids()
    segment = v11(kind, type="1", id="2")
    assert encode_segments(decode_segments([segment], ids), ids) == [segment]
    assert "type" not in decode_segments([segment], ids)[0].data  # OneBot 12 forbids that key


@pytest.mark.parametrize("qq", [10001000, "10001000", "alice's"])
def test_at_takes_a_number_in_both_forms(qq: object):
    ids = Ids()
    if qq == "alice's":
        qq = ids.users.encode("10001001x")
        assert decode_segments([v11("at", qq=qq)], ids) == [Segment("mention", {"user_id": "10001001x"})]
    else:
        assert decode_segments([v11("at", qq=qq)], ids) == [Segment("mention", {"user_id": "10001000"})]


def test_a_number_may_stand_where_a_string_is_meant():
    message = decode_segments([v11("text", text=5), v11("location", lat=1, lon=2.5)], Ids())
    assert message[0] == Segment("text", {"text": "5"})
    assert message[1].data == {"latitude": 1.0, "longitude": 2.5, "title": "", "content": ""}


def test_what_a_sender_says_of_the_download_is_left_out():
    image = v11("image", file="a", cache="1", proxy="1", timeout="5", type="flash")
    assert decode_segments([image], Ids()) == [Segment("image", {"file_id": "a"})]


@pytest.mark.parametrize(
    ("segment", "retcode"),
    [
        (v11("text"), BAD_SEGMENT_DATA),
        (v11("text", text=["x"]), BAD_SEGMENT_DATA),
        (v11("text", text=True), BAD_SEGMENT_DATA),
        (v11("at"), BAD_PARAM),
        (v11("at", qq="alice"), BAD_PARAM),
        (v11("at", qq=2**52 + 5), PLATFORM_UNKNOWN_TARGET),
        (v11("at", qq="0"), PLATFORM_UNKNOWN_TARGET),
        (v11("reply"), BAD_PARAM),
        (v11("reply", id=str(2**30 + 5)), BAD_PARAM),
        (v11("image"), BAD_SEGMENT_DATA),
        (v11("record", file={}), BAD_SEGMENT_DATA),
        (v11("location", lat="1"), BAD_SEGMENT_DATA),
        (v11("location", lat="north", lon="1"), BAD_SEGMENT_DATA),
        (v11("location", lat="nan", lon="1"), BAD_SEGMENT_DATA),
        (v11("location", lat="1", lon="inf"), BAD_SEGMENT_DATA),
    ],
)
def test_segments_that_say_nothing_are_refused(segment: V11Segment, retcode: int):
    with pytest.raises(ActionError) as caught:
        decode_segments([segment], Ids())
    assert caught.value.retcode == retcode


def test_a_message_is_a_string_a_segment_or_a_list():
    face = v11("face", id="1")
    assert read_message("[CQ:face,id=1]") == read_message(face) == read_message([face]) == [face]
    assert read_message("[CQ:face,id=1]", auto_escape=True) == [v11("text", text="[CQ:face,id=1]")]
    assert read_message([face], auto_escape=True) == [face]
    assert read_message([]) == read_message("") == []


def test_data_may_be_null_and_so_may_any_of_it():
    assert read_message({"type": "shake", "data": None}) == read_message({"type": "shake"}) == [v11("shake")]
    assert read_message({"type": "image", "data": {"file": "a", "type": None}}) == [v11("image", file="a")]


@pytest.mark.parametrize(
    "value", [None, 5, True, {}, {"type": ""}, {"type": 5}, {"type": "a", "data": []}, ["x"], [None], [[v11("shake")]]]
)
def test_what_is_no_message_is_refused(value: object):
    with pytest.raises(ActionError) as caught:
        read_message(value)
    assert caught.value.retcode == BAD_PARAM


@pytest.mark.parametrize(
    ("kind", "file", "params"),
    [
        ("image", "abc.jpg", None),
        ("image", "", None),
        ("image", "wecom://abc", None),
        ("image", "http://i1.piimg.com/567571/fd%20d6.jpg?x=1", {"type": "url", "name": "fd d6.jpg"}),
        ("voice", "https://x.org/", {"type": "url", "name": "voice"}),
        ("image", "file:///tmp/a%20b.png", {"type": "path", "name": "a b.png", "path": "/tmp/a b.png"}),
        ("image", r"file:///C:\\Users\1.png", {"type": "path", "name": "1.png", "path": r"C:\\Users\1.png"}),
        ("image", "file:///C:/a/1.png", {"type": "path", "name": "1.png", "path": "C:/a/1.png"}),
        ("image", "base64://" + base64.b64encode(PNG).decode(), {"type": "data", "name": "image.png", "data": PNG}),
        ("voice", "base64://", {"type": "data", "name": "voice.bin", "data": b""}),
    ],
)
def test_what_a_file_says_is_uploaded_unless_it_is_an_id(kind: str, file: str, params: dict[str, object] | None):
    if params is not None and params["type"] == "url":
        params = {**params, "url": file}
    assert upload_params(kind, file) == params


@pytest.mark.parametrize("file", ["base64://aGk", "base64://a-_=", "base64://图", "http://[::1/x"])
def test_a_file_that_cannot_be_read_is_refused(file: str):
    with pytest.raises(ActionError) as caught:
        upload_params("image", file)
    assert caught.value.retcode == BAD_SEGMENT_DATA


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["text", "at", "reply", "location", "image", "record", "face", "x", "mention"])
KEYS = st.sampled_from(["text", "qq", "id", "lat", "lon", "file", "type", "x"])
SHAPED = st.fixed_dictionaries({"type": KINDS | JSON, "data": st.dictionaries(KEYS, JSON) | JSON})


@given(JSON | SHAPED | st.lists(SHAPED | JSON))
def test_whatever_comes_in_is_read_or_refused(value: object):
    ids = Ids()
    try:
        message = decode_segments(read_message(value), ids)
    except ActionError:
        return
    assert all(isinstance(segment, Segment) for segment in message)


@given(st.lists(st.sampled_from([ours for ours, _ in PAIRS]), max_size=6))
def test_a_message_makes_the_round_trip(message: list[Segment]):
    ids = Ids()
    assert decode_segments(encode_segments(message, ids), ids) == message
