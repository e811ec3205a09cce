"""rawbot/onebot/v11/cq.py: strings that are read as they are written, and nothing that is refused.

The examples are those of OneBot 11, message/string and message/array.
"""

import time

import pytest
from aiocqhttp import Message as AiocqhttpMessage
from hypothesis import given
from hypothesis import strategies as st
from nonebot.adapters.onebot.v11 import Message

from rawbot.onebot.v11.cq import V11Segment, decode_cq, encode_cq, encode_value, escape_text, escape_value, unescape

NAMES = st.text("abcXYZ019_.-图", min_size=1, max_size=6)
PARTS = ["&", "[", "]", ",", "=", "a", ";", "#91", "amp", "&#44;", "[CQ:", "[CQ:face,id=1]", "\n", "图"]
HARD = st.lists(st.sampled_from(PARTS)).map("".join)
VALUES = st.one_of(st.text(), HARD)
CODES = st.builds(
    lambda kind, data: V11Segment(type=kind, data=data),
    NAMES.filter(lambda name: name != "text"),
    st.dictionaries(NAMES, VALUES, max_size=4),
)
TEXTS = VALUES.filter(bool).map(lambda text: V11Segment(type="text", data={"text": text}))


def text(words: str) -> V11Segment:
    return {"type": "text", "data": {"text": words}}


def test_the_standards_example_is_read_as_the_standard_says():
    message = "&#91;第一部分&#93;[CQ:image,file=123.jpg]图片之后的部分，表情：[CQ:face,id=123]"
    segments = [
        text("[第一部分]"),
        {"type": "image", "data": {"file": "123.jpg"}},
        text("图片之后的部分，表情："),
        {"type": "face", "data": {"id": "123"}},
    ]
    assert decode_cq(message) == segments
    assert encode_cq(segments) == message


def test_plain_text_is_escaped_as_the_standard_shows():
    assert escape_text("- [x] 使用 `&data` 获取地址") == "- &#91;x&#93; 使用 `&amp;data` 获取地址"


def test_a_parameters_value_is_escaped_with_its_commas():
    share: V11Segment = {
        "type": "share",
        "data": {"title": "震惊,小伙睡觉前居然...", "url": "http://baidu.com/?a=1&b=2"},
    }
    written = "[CQ:share,title=震惊&#44;小伙睡觉前居然...,url=http://baidu.com/?a=1&amp;b=2]"
    assert encode_cq([share]) == written
    assert decode_cq(written) == [share]


def test_only_the_first_equals_sign_ends_a_parameters_name():
    (share,) = decode_cq("[CQ:share,title=标题中有=等号,url=http://baidu.com]")
    assert share["data"] == {"title": "标题中有=等号", "url": "http://baidu.com"}


def test_a_code_may_be_without_parameters():
    assert decode_cq("[CQ:shake]") == [{"type": "shake", "data": {}}]


@pytest.mark.parametrize(
    "malformed",
    [
        "[CQ:]",
        "[CQ:face",
        "[CQ:face,id=178",
        "[CQ:face,id]",
        "[CQ:face,=1]",
        "[CQ:face,]",
        "[CQ:face, id=178]",  # the standard's own example of what is wrong
        "[CQ: face]",
        "[cq:face,id=1]",
        "CQ:face,id=1]",
        "[CQ:face,,id=1]",
        "[CQ:a=b]",
    ],
)
def test_what_breaks_the_grammar_is_text(malformed: str):
    assert decode_cq(malformed) == [text(malformed)]


def test_a_code_that_begins_within_a_broken_one_is_read():
    assert decode_cq("[CQ:image,file=a[CQ:face,id=1]b]") == [
        text("[CQ:image,file=a"),
        {"type": "face", "data": {"id": "1"}},
        text("b]"),
    ]


def test_an_ampersand_that_escapes_nothing_stands_for_itself():
    assert unescape("a&b&#92;&amp;#91;&") == "a&b&#92;&#91;&"


def test_of_a_parameter_that_is_there_twice_the_last_counts():
    assert decode_cq("[CQ:face,id=1,id=2]")[0]["data"] == {"id": "2"}


def test_auto_escape_takes_all_of_it_for_text():
    assert decode_cq("[CQ:face,id=1]&amp;", auto_escape=True) == [text("[CQ:face,id=1]&amp;")]
    assert decode_cq("", auto_escape=True) == decode_cq("") == []


def test_values_of_other_kinds_are_written_as_strings():
    data = {"a": 1, "b": True, "c": False, "d": None, "e": 1.5, "f": b"hi", "g": [1, "x"]}
    assert encode_cq([{"type": "t", "data": data}]) == '[CQ:t,a=1,b=1,c=0,e=1.5,f=base64://aGk=,g=&#91;1&#44;"x"&#93;]'


@pytest.mark.parametrize("value", [object(), {"a": object()}, [{1, 2}], {"a": [float]}])
def test_what_has_no_json_is_left_empty(value: object):
    assert encode_value(value) == ""
    assert encode_cq([{"type": "x", "data": {"a": value}}]) == "[CQ:x,a=]"


def test_bytes_within_other_values_are_written_as_those_outside():
    assert encode_value({"a": b"hello"}) == '{"a":"base64://aGVsbG8="}'


def test_what_no_code_can_bear_the_name_of_is_not_written_as_one():
    assert encode_cq([{"type": "a b]", "data": {"c": "d"}}]) == "&#91;a b&#93;&#93;"
    assert encode_cq([{"type": "a", "data": {"c d": "e", "": "f"}}]) == "[CQ:a]"


@given(VALUES)
def test_every_text_comes_back_from_its_escape(value: str):
    assert unescape(escape_text(value)) == unescape(escape_value(value)) == value
    assert not set("[],") & set(escape_value(value))


@given(st.lists(st.one_of(CODES, TEXTS), max_size=6))
def test_segments_come_back_from_a_string(segments: list[V11Segment]):
    joined: list[V11Segment] = []
    for segment in segments:
        if segment["type"] == "text" and joined and joined[-1]["type"] == "text":
            joined[-1] = text(f"{joined[-1]['data']['text']}{segment['data']['text']}")
        else:
            joined.append(segment)
    assert decode_cq(encode_cq(segments)) == joined


@given(VALUES, st.booleans())
def test_any_string_is_read_and_written_the_same_for_ever(value: str, auto_escape: bool):  # noqa: FBT001 - drawn
    segments = decode_cq(value, auto_escape=auto_escape)
    assert decode_cq(encode_cq(segments)) == segments


CLIENTS_NAMES = st.text("abXY09_.-", min_size=1, max_size=6).filter(lambda name: name != "text")
CLIENTS_CODES = st.builds(
    lambda kind, data: V11Segment(type=kind, data=data),
    CLIENTS_NAMES,
    st.dictionaries(CLIENTS_NAMES, VALUES, max_size=3),
)


@given(st.lists(CLIENTS_CODES, min_size=1, max_size=4), VALUES)
def test_clients_read_what_we_write_and_write_what_we_read(codes: list[V11Segment], words: str):
    segments = [*codes, text(words)] if words else codes
    written = encode_cq(segments)
    theirs = Message(written)
    assert [{"type": segment.type, "data": segment.data} for segment in theirs] == segments
    assert str(theirs) == str(AiocqhttpMessage(segments)) == written
    assert decode_cq(str(AiocqhttpMessage(segments))) == segments


@pytest.mark.parametrize("part", ["[CQ:", "[CQ:a,b=c", ",b=c", "[CQ:a,b=", "=", "a"])
def test_reading_takes_no_longer_than_the_text_is(part: str):
    hostile = "[CQ:a" + part * 200_000
    began = time.perf_counter()
    decode_cq(hostile)
    assert time.perf_counter() - began < 2  # 0.02 s; a pattern that tries again would need minutes
