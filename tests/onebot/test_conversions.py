"""rawbot/onebot/conversions.py: the values of the standard's types, and what is none of them.

Source: OneBot 12, connect/data-protocol/basic-types. How hints lead to these is in test_parameters.
"""

import math
from base64 import b64encode
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.onebot.conversions import (
    BYTES,
    MAX_INT64,
    MIN_INT64,
    Convert,
    MismatchError,
    convert_any,
    convert_bool,
    convert_bytes,
    convert_float,
    convert_int,
    convert_message,
    convert_null,
    convert_string,
)
from rawbot.onebot.messages import Segment
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA

ONE_OF_EACH = ("", "text", 0, 1, -7, 1.5, True, False, None, b"", b"bin", [], [1], {}, {"a": 1})


def refused(convert: Convert, value: object) -> str:
    with pytest.raises(MismatchError) as caught:
        convert(value)
    assert caught.value.where == ""
    assert caught.value.retcode == BAD_PARAM
    return caught.value.reason


@pytest.mark.parametrize(
    ("convert", "expected", "types"),
    [
        (convert_string, "string", (str,)),
        (convert_int, "int64", (int,)),
        (convert_float, "float64", (int, float)),
        (convert_bool, "bool", (bool,)),
        (convert_null, "null", (type(None),)),
        (convert_message, "message", (str, list, dict)),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_standards_name_of_the_type(
    convert: Convert, expected: str, types: tuple[type, ...]
):
    others = [value for value in ONE_OF_EACH if type(value) not in types]
    assert others
    assert {refused(convert, value) for value in others} == {f"expected {expected}"}


@pytest.mark.parametrize("value", ONE_OF_EACH)
def test_anything_stays_what_it_is(value: object):
    assert convert_any(value) is value


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (convert_string, ""),
        (convert_string, "发送\U0001f600"),
        (convert_int, 0),
        (convert_float, 1.5),
        (convert_bool, True),
        (convert_bool, False),
        (convert_bytes, b"\x00"),
        (convert_null, None),
    ],
)
def test_a_value_of_the_right_type_stays_what_it_is(convert: Convert, value: object):
    assert convert(value) is value


@pytest.mark.parametrize("value", [True, False])
def test_a_bool_is_no_number(value: bool):  # noqa: FBT001 - the data of this test
    assert refused(convert_int, value) == "expected int64"
    assert refused(convert_float, value) == "expected float64"


@pytest.mark.parametrize("value", [0, 1, 0.0, "true", None])
def test_a_bool_is_true_or_false_and_nothing_like_it(value: object):
    assert refused(convert_bool, value) == "expected bool"


@given(st.integers() | st.sampled_from([MIN_INT64, MAX_INT64, MIN_INT64 - 1, MAX_INT64 + 1, 2**64 - 1]))
def test_an_integer_has_64_bits(value: int):
    if -(2**63) <= value < 2**63:
        assert convert_int(value) == value
    else:
        assert refused(convert_int, value) == "expected int64"


def test_a_float_is_no_integer_even_if_it_is_whole():
    assert refused(convert_int, 1.0) == "expected int64"


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**64), 2**64))
def test_a_float_may_be_written_as_an_integer(value: float):
    converted = convert_float(value)
    assert type(converted) is float
    assert converted == float(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400)])
def test_a_float_is_finite(value: float):
    assert refused(convert_float, value) == "expected float64"


@given(st.binary())
def test_bytes_come_as_they_are_or_as_base64(value: bytes):
    assert convert_bytes(value) == value
    assert convert_bytes(b64encode(value).decode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "QQ",  # no padding
        "QQ=",
        "QQ===",
        "AAAA=",
        "AAAA====",
        "=QQ=",
        "====",
        "QQ==QQ==",
        "QUJD\n",
        " QUJD",
        "QU JD",
        "-_-_",  # the alphabet of URLs
        "A===",
        "abcde",
        "é===",
        "\ud800QQ=",
        "data:text/plain;base64,QUJD",
        "base64://QUJD",
    ],
)
def test_bytes_are_base64_to_the_letter(text: str):
    assert refused(convert_bytes, text) == f"expected {BYTES}"


@given(st.text("ABab01+/=\n-_ é", max_size=12))
def test_text_that_passes_for_bytes_is_what_those_bytes_look_like(text: str):
    try:
        value = convert_bytes(text)
    except MismatchError:
        return
    again = b64encode(value).decode()
    assert len(again) == len(text)
    assert convert_bytes(again) == value  # the unused bits before the padding may differ


@pytest.mark.parametrize("value", [1, None, ["QQ=="], {"QQ==": 1}, bytearray(b"A"), True])
def test_bytes_are_nothing_else(value: object):
    assert refused(convert_bytes, value) == f"expected {BYTES}"


class Kind(StrEnum):
    PRIVATE = "private"


class Number(IntEnum):
    ONE = 1


def test_a_call_from_inside_may_use_subclasses():
    assert convert_string(Kind.PRIVATE) is Kind.PRIVATE
    assert convert_int(Number.ONE) is Number.ONE
    assert convert_float(Number.ONE) == 1.0


@pytest.mark.parametrize(
    "value", ["hello", {"type": "text", "data": {"text": "hello"}}, [{"type": "text", "data": {"text": "hello"}}]]
)
def test_a_message_is_a_list_of_segments_whatever_form_it_came_in(value: object):
    assert convert_message(value) == [Segment("text", {"text": "hello"})]


def test_what_is_wrong_inside_a_message_keeps_its_retcode():
    with pytest.raises(MismatchError) as caught:
        convert_message([{"type": "text", "data": {"text": 5}}])
    assert caught.value.retcode == BAD_SEGMENT_DATA
    assert caught.value.reason


def test_an_error_is_told_its_place_from_the_inside_out():
    error = MismatchError("expected bool", where=".title", retcode=BAD_SEGMENT_DATA).inside("[3]").inside(".*")
    assert (error.where, error.reason, error.retcode) == (".*[3].title", "expected bool", BAD_SEGMENT_DATA)
