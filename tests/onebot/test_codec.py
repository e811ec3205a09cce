"""rawbot/onebot/codec.py: what goes out comes back, and what is no value raises one error and no other."""

import base64
import datetime as dt
import enum
import json
import math
import runpy
import struct
import sys
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawbot.errors import MissingExtraError
from rawbot.onebot import codec as module
from rawbot.onebot.codec import JSON, MAX_COPIED, Codec, demand_msgpack
from rawbot.onebot.messages import Segment
from rawbot.onebot.retcodes import BAD_HANDLER, BAD_REQUEST, ActionError

MSGPACK = demand_msgpack()

each_codec = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | words
finite = plain.filter(lambda value: not isinstance(value, float) or math.isfinite(value))


def nested(leaves: st.SearchStrategy) -> st.SearchStrategy:
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(words, inner), max_leaves=20)


json_values = nested(finite)
msgpack_values = nested(plain | st.binary(max_size=40))


def refused(codec: Codec, data: bytes | str) -> ActionError:
    with pytest.raises(ActionError) as caught:
        codec.decode(data)
    assert caught.value.retcode == BAD_REQUEST
    return caught.value


def unencodable(codec: Codec, value: object) -> ActionError:
    with pytest.raises(ActionError) as caught:
        codec.encode(value)
    assert caught.value.retcode == BAD_HANDLER
    return caught.value


def in_lists(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def in_objects(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


# Round trips


@given(json_values)
def test_what_json_says_is_what_was_meant(value: object):
    data = JSON.encode(value)
    assert repr(JSON.decode(data)) == repr(value)  # by repr: 1, 1.0 and True are equal
    assert repr(JSON.decode(data.decode())) == repr(value)
    assert json.loads(data) == value


@given(json_values)
def test_json_of_another_writer_is_read(value: object):
    assert JSON.decode(json.dumps(value)) == value
    assert JSON.decode(json.dumps(value, ensure_ascii=False, indent=2).encode()) == value


@given(msgpack_values)
def test_what_messagepack_says_is_what_was_meant(value: object):
    assert repr(MSGPACK.decode(MSGPACK.encode(value))) == repr(value)


@given(msgpack_values)
def test_bytes_are_base64_in_json(value: object):
    assume_finite = json.loads(json.dumps(value, default=lambda data: base64.b64encode(data).decode()))
    assert json.loads(JSON.encode(value)) == without_infinities(assume_finite)


def without_infinities(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_infinities(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_infinities(inner) for inner in value]
    return None if isinstance(value, float) and math.isinf(value) else value


@pytest.mark.parametrize("data", [b"", b"a", b"\x00\xff\xfb", bytes(range(256))])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_are_encoded_alike(kind: type, data: bytes):
    assert JSON.encode({"data": kind(data)}) == b'{"data":"%b"}' % base64.b64encode(data)
    assert MSGPACK.decode(MSGPACK.encode({"data": kind(data)})) == {"data": data}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        # The MessagePack specification, "Formats": each in its shortest form and in a longer one.
        (b"\xc0", None),
        (b"\xc2", False),
        (b"\xc3", True),
        (b"\x7f", 127),
        (b"\xcc\x7f", 127),
        (b"\xcd\x00\x7f", 127),
        (b"\xce\x00\x00\x00\x7f", 127),
        (b"\xcf" + b"\xff" * 8, 2**64 - 1),
        (b"\xe0", -32),
        (b"\xd0\xe0", -32),
        (b"\xd1\xff\xe0", -32),
        (b"\xd2\xff\xff\xff\xe0", -32),
        (b"\xd3\x80" + b"\x00" * 7, -(2**63)),
        (b"\xca\x3f\xc0\x00\x00", 1.5),
        (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),
        (b"\xa1a", "a"),
        (b"\xd9\x01a", "a"),
        (b"\xda\x00\x01a", "a"),
        (b"\xdb\x00\x00\x00\x01a", "a"),
        (b"\xc4\x01a", b"a"),
        (b"\xc5\x00\x01a", b"a"),
        (b"\xc6\x00\x00\x00\x01a", b"a"),
        (b"\x91\x01", [1]),
        (b"\xdc\x00\x01\x01", [1]),
        (b"\xdd\x00\x00\x00\x01\x01", [1]),
        (b"\x81\xa1a\x01", {"a": 1}),
        (b"\xde\x00\x01\xa1a\x01", {"a": 1}),
        (b"\xdf\x00\x00\x00\x01\xd9\x01a\x01", {"a": 1}),
        (b"\x82\xa1a\x01\xa1a\x02", {"a": 2}),
    ],
)
def test_messagepack_is_read_in_every_width(data: bytes, value: object):
    assert repr(MSGPACK.decode(data)) == repr(value)


def test_the_last_of_two_equal_keys_counts():
    assert JSON.decode(b'{"a":1,"a":2}') == {"a": 2}


# Bad input


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xdd\xff\xff\xff\xff")
def test_garbage_raises_one_error_and_no_other(data: bytes):
    for codec in (JSON, MSGPACK):
        try:
            codec.decode(data)
        except ActionError as error:
            assert error.retcode == BAD_REQUEST  # noqa: PT017 - some garbage is a value


@given(st.text(max_size=200))
def test_text_that_is_no_json_raises_the_same(text: str):
    try:
        JSON.decode(text)
    except ActionError as error:
        assert error.retcode == BAD_REQUEST  # noqa: PT017 - some text is JSON


@given(msgpack_values, st.data())
def test_a_changed_byte_raises_nothing_else(value: object, data: st.DataObject):
    encoded = bytearray(MSGPACK.encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        MSGPACK.decode(bytes(encoded))
    except ActionError as error:
        assert error.retcode == BAD_REQUEST  # noqa: PT017 - it may be another value by now


@given(msgpack_values)
def test_messagepack_that_is_torn_anywhere_is_refused(value: object):
    data = MSGPACK.encode(value)
    for end in range(len(data)):
        refused(MSGPACK, data[:end])


@given(msgpack_values, st.binary(min_size=1, max_size=40))
@example({}, b"\xc0")
@example({}, b"\xc1")
@example({}, b"\xc4\x10" + bytes(16))
@example({}, b"\x80")
def test_messagepack_that_is_followed_by_anything_is_refused(value: object, rest: bytes):
    refused(MSGPACK, MSGPACK.encode(value) + rest)


LARGE = MSGPACK.encode({"data": bytes(MAX_COPIED)})


@pytest.mark.parametrize("length", [MAX_COPIED - 9, MAX_COPIED - 8, MAX_COPIED - 7, MAX_COPIED * 3])
@pytest.mark.parametrize("rest", [b"\x00", b"\xc0", b"\xc1", b"\x80\x80", bytes(100)])
def test_neither_is_a_large_value_torn_or_followed_by_anything(length: int, rest: bytes):
    data = b"\x81\xa1d\xc6" + struct.pack(">I", length) + bytes(length)
    assert MSGPACK.decode(data) == {"d": bytes(length)}
    refused(MSGPACK, data + rest)
    refused(MSGPACK, data[:-1])
    refused(MSGPACK, data[: length // 2])


def test_a_large_value_that_is_broken_before_its_end_is_refused():
    refused(MSGPACK, b"\x92\xc1" + bytes(2 * MAX_COPIED))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{}x",
        b"{'a':1}",
        b'{"a":1,}',
        b"{1:2}",
        b"[1 2]",
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\x"',
        b'"\n"',
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"01",
        b"nul",
        b"\x00",
        b"/**/{}",
    ],
)
def test_what_is_not_json_is_refused(data: bytes):
    refused(JSON, data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",  # never used
        b"\xd4\x01\x00",  # fixext 1
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xc7\x00\x01",  # ext 8
        b"\x81\xa1a\xd4\x01\x00",
        b"\xa1\xff",  # a string that is not UTF-8
        b"\xa3\xed\xa0\x80",  # a surrogate
        b"\x81\xa1\xff\x01",
        b"\x81\x01\x02",  # keys that are no strings
        b"\x81\xc0\x02",
        b"\x81\xc4\x01a\x02",
        b"\x81\x90\x02",
        b"\xdc\xff\xff",  # more is announced than comes
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff\xa1a",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xdd\x7f\xff\xff\xff" * 20,
        b"\x92\x01",
    ],
)
def test_what_is_not_messagepack_or_not_of_its_own_is_refused(data: bytes):
    refused(MSGPACK, data)


def test_text_is_not_messagepack():
    refused(MSGPACK, "\x01")


@pytest.mark.parametrize("ending", ["", "]" * 100_000])
def test_a_hundred_thousand_brackets_are_refused(ending: str):
    refused(JSON, "[" * 100_000 + ending)
    refused(JSON, '{"a":' * 100_000 + ending)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01"])
@pytest.mark.parametrize("ending", [b"", b"\xc0", b"\x91\xc0"])
def test_a_hundred_thousand_levels_of_messagepack_are_refused(opening: bytes, ending: bytes):
    refused(MSGPACK, opening * 100_000 + ending)
    refused(MSGPACK, opening * 2000 + ending)


@each_codec
def test_a_hundred_levels_are_nothing_special(codec: Codec):
    for value in (in_lists(200), in_objects(200)):
        assert codec.decode(codec.encode(value)) == value


def test_an_error_repeats_nothing_of_what_came():
    for codec, data in ((JSON, b'{"access_token":"hunter2"'), (MSGPACK, b"\x82\xa7hunter2\xa7hunter2")):
        error = refused(codec, data)
        assert "hunter2" not in f"{error} {error.message} {error.__cause__}"
        assert error.__suppress_context__ or error.__context__ is None


def test_json_has_floats_for_integers_beyond_64_bits():
    assert repr(JSON.decode(b"[18446744073709551616,-9223372036854775809]")) == repr([2.0**64, -(2.0**63)])
    assert JSON.decode(b"[18446744073709551615,-9223372036854775808]") == [2**64 - 1, -(2**63)]


# What cannot go out


@dataclass
class Something:
    a: int = 1


class Name(str):
    __slots__ = ()


CYCLE: list[object] = []
CYCLE.append(CYCLE)
CYCLIC_OBJECT: dict[str, object] = {}
CYCLIC_OBJECT["self"] = [CYCLIC_OBJECT]


@each_codec
@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**63) - 1,
        10**400,
        "\ud800",
        "a\udfffb",
        {"\ud800": 1},
        {1: 2},
        {b"a": 2},
        {None: 1},
        {(1, 2): 3},
        {Name("a"): 1},
        {1, 2},
        object(),
        Something(),
        Segment("text", {"text": "x"}),
        len,
        1j,
        (item for item in ()),
        memoryview(b"abc")[::-1],
        CYCLE,
        CYCLIC_OBJECT,
        in_lists(600),
        in_objects(600),
        in_lists(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_is_the_handlers_fault(codec: Codec, value: object):
    unencodable(codec, value)
    unencodable(codec, {"data": [value]})


@each_codec
def test_an_error_names_the_type_and_not_the_value(codec: Codec):
    assert "set" in unencodable(codec, {"data": {"hunter2"}}).message
    assert "hunter2" not in str(unencodable(codec, {"data": "hunter2\ud800"}))
    assert "hunter2" not in str(unencodable(codec, {b"hunter2": 1}))


def test_json_says_null_for_what_is_no_number_and_messagepack_says_it():
    values = [math.nan, math.inf, -math.inf]
    assert JSON.encode(values) == b"[null,null,null]"
    assert repr(MSGPACK.decode(MSGPACK.encode(values))) == "[nan, inf, -inf]"


class Colour(enum.Enum):
    RED = "red"


@each_codec
def test_what_has_one_obvious_form_gets_it(codec: Codec):
    when = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)
    value = {"tuple": (1, (2,)), "time": when, "enum": Colour.RED, "uuid": uuid.UUID(int=1), "name": Name("n")}
    assert codec.decode(codec.encode(value)) == {
        "tuple": [1, [2]],
        "time": "2024-02-29T12:30:00+00:00",
        "enum": "red",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "name": "n",
    }


# The two of them


def test_each_knows_its_name_and_its_frames():
    assert (JSON.content_type, JSON.binary) == (b"application/json", False)
    assert (MSGPACK.content_type, MSGPACK.binary) == (b"application/msgpack", True)


def test_without_the_library_there_is_no_messagepack_and_who_demands_it_is_told(monkeypatch: pytest.MonkeyPatch):
    assert demand_msgpack() is module.MSGPACK
    monkeypatch.setitem(sys.modules, "ormsgpack", None)
    without = runpy.run_path(module.__file__)
    assert without["MSGPACK"] is None
    assert without["JSON"].decode(without["JSON"].encode({"a": b"b"})) == {"a": "Yg=="}
    with pytest.raises(
        MissingExtraError, match=r"^the echo needs the extra 'msgpack': pip install 'rawbot\[msgpack\]'"
    ):
        without["demand_msgpack"]("the echo")


@pytest.mark.parametrize(
    ("version", "is_used"),
    [("1.4.0", False), ("1.13.0", False), ("1.13", False), ("1.13.1", True), ("1.14.0rc1", True), ("2.0", True)],
)
def test_a_library_that_a_peer_can_crash_is_not_used(monkeypatch: pytest.MonkeyPatch, version: str, *, is_used: bool):
    monkeypatch.setattr("ormsgpack.__version__", version)
    assert (runpy.run_path(module.__file__)["MSGPACK"] is not None) is is_used
