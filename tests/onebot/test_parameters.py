"""rawbot/onebot/parameters.py against a slow reading of the same hints, and hints that nothing can satisfy."""

import typing
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum
from functools import reduce
from operator import or_
from types import NoneType
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import ConfigError
from rawbot.onebot.conversions import BYTES, MismatchError
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.parameters import conversion_for
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA


def convert(hint: object, value: object) -> object:
    return conversion_for(hint).convert(value)


def refusal(hint: object, value: object) -> str:
    """Return the place and the reason with which a value is refused."""
    with pytest.raises(MismatchError) as caught:
        convert(hint, value)
    assert caught.value.retcode == BAD_PARAM
    return f"{caught.value.where}: {caught.value.reason}"


# ---- everything at once, against a model

MARK = "geheim"
"""Stands in many values, and must stand in no text."""


class Misfit(Exception):  # noqa: N818 - of the model
    pass


def convert_slowly(hint: Any, value: Any) -> object:  # noqa: ANN401
    """Do what the hints say in the plainest way: no preparation, no order of guesses, no texts."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is list:
        return [convert_slowly(arguments[0], each) for each in demand(value, list)]
    if origin is dict:
        return {key: convert_slowly(arguments[1], each) for key, each in demand(value, dict).items()}
    if origin is Literal:
        for each in arguments:
            if type(each) is type(value) and each == value:
                return value
        raise Misfit
    if origin is not None:
        return convert_by_first(arguments, value)
    if hint is float and type(value) is int:
        return float(value)
    if hint is bytes and type(value) is str:
        return decode_slowly(value)
    if hint is int and type(value) is int and value.bit_length() > 63 and value != -(2**63):
        raise Misfit
    return demand(value, hint)


def demand(value: Any, type_: type) -> Any:  # noqa: ANN401
    if type(value) is not type_:
        raise Misfit
    return value


def decode_slowly(text: str) -> bytes:
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        raise Misfit from None
    if len(b64encode(value)) != len(text):
        raise Misfit
    return value


def convert_by_first(hints: Sequence[object], value: object) -> object:
    for each in hints:
        try:
            return convert_slowly(each, value)
        except Misfit:
            continue
    raise Misfit


LEAVES = st.sampled_from([str, int, float, bool, bytes, NoneType, Any, Literal["a", 1], Literal[True, "QQ=="]])
HINTS = st.recursive(
    LEAVES,
    lambda inner: (
        inner.map(lambda hint: list[hint])
        | inner.map(lambda hint: dict[str, hint])
        | st.lists(inner, min_size=2, max_size=3).map(lambda hints: Union[tuple(hints)])  # noqa: UP007 - of what is known at run time
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.sampled_from(
        ["", "a", "QQ==", MARK, MARK + "==", 0, 1, -(2**63), 2**63, 1.0, -2.5, True, False, None, b"", b"A"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", MARK]), inner, max_size=3),
    max_leaves=6,
)


def same(one: object, other: object) -> bool:
    """Compare with types: 1, 1.0 and True are three values."""
    return one == other and repr(one) == repr(other)


@settings(max_examples=1000)
@given(HINTS, VALUES)
def test_every_hint_does_to_every_value_what_a_plain_reading_of_it_does(hint: object, value: object):
    conversion = conversion_for(hint)
    try:
        expected = convert_slowly(hint, value)
    except Misfit:
        with pytest.raises(MismatchError) as caught:
            conversion.convert(value)
        assert caught.value.reason.startswith("expected ")
        assert MARK not in caught.value.reason + caught.value.where
        return
    assert same(conversion.convert(value), expected)


@settings(max_examples=300)
@given(HINTS, VALUES)
def test_what_may_skip_the_conversion_would_come_out_unchanged(hint: object, value: object):
    conversion = conversion_for(hint)
    if type(value) is conversion.as_is:
        assert conversion.convert(value) is value


@settings(max_examples=300)
@given(HINTS, VALUES)
def test_a_conversion_leaves_the_request_as_it_came(hint: object, value: object):
    before = repr(value)
    with suppress(MismatchError):
        conversion_for(hint).convert(value)
    assert repr(value) == before


# ---- the words for each type


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, "string"),
        (int, "int64"),
        (float, "float64"),
        (bool, "bool"),
        (bytes, BYTES),
        (None, "null"),
        (list, "list"),
        (list[Any], "list"),
        (typing.List, "list"),  # noqa: UP006 - older code has it
        (typing.List[int], "list[int64]"),  # noqa: UP006
        (Sequence, "list"),
        (Sequence[str], "list[string]"),
        (dict, "object"),
        (dict[str, object], "object"),
        (Mapping[str, int], "map[string]int64"),
        (dict[str, list[bool]], "map[string]list[bool]"),
        (Literal["private", "group"], 'one of "private", "group"'),
        (Literal[1, None, True], "one of 1, null, true"),  # noqa: PYI061 - it is about the text
        (str | None, "string or null"),
        (Optional[int], "int64 or null"),  # noqa: UP045
        (None | str | int, "string or int64 or null"),
        (Message, "message"),
        (list[Segment], "message"),
        (list[Message], "list[message]"),
    ],
)
def test_a_text_names_what_was_expected_in_the_standards_words(hint: object, expected: str):
    class Foreign:
        pass

    assert refusal(hint, Foreign()) == f": expected {expected}"


@pytest.mark.parametrize("hint", [Any, object])
def test_without_a_type_nothing_is_refused(hint: object):
    value = object()
    assert convert(hint, value) is value


# ---- containers


def test_lists_and_maps_are_converted_all_the_way_down():
    assert convert(dict[str, list[bytes]], {"a": ["QQ==", b"B"], "b": []}) == {"a": [b"A", b"B"], "b": []}
    assert convert(list[dict[str, float]], [{"x": 1}]) == [{"x": 1.0}]
    assert type(convert(list[list[float]], [[1]])[0][0]) is float  # type: ignore[index] - of a list of lists


def test_the_place_of_a_mistake_is_told():
    assert refusal(list[int], [1, 2, "3"]) == "[2]: expected int64"
    assert refusal(list[list[int]], [[], [1, True]]) == "[1][1]: expected int64"


def test_keys_of_maps_are_the_peers_words_and_stay_out_of_the_text():
    assert refusal(dict[str, list[int]], {"token-of-somebody": ["x"]}) == ".*[0]: expected int64"


def test_a_map_has_strings_for_keys():
    assert refusal(dict[str, int], {1: 1}) == ": expected map[string]int64"
    assert refusal(dict, {b"a": 1}) == ": expected object"


@pytest.mark.parametrize("value", [(1, 2), "12", {"0": 1}, None])
def test_only_a_list_is_a_list(value: object):
    assert refusal(list[int], value) == ": expected list[int64]"


def test_a_message_inside_a_container_is_a_list_of_segments():
    assert convert(list[Message], ["a", [{"type": "mention_all", "data": {}}]]) == [
        [Segment("text", {"text": "a"})],
        [Segment("mention_all", {})],
    ]


def test_a_wrong_segment_says_so_through_all_layers():
    wrong = {"type": "text", "data": {"text": 5}}
    for hint, value in [(Message, [wrong]), (Message | None, wrong), (list[Message] | None, [wrong])]:
        with pytest.raises(MismatchError) as caught:
            convert(hint, value)
        assert caught.value.retcode == BAD_SEGMENT_DATA


# ---- unions and literals


def test_a_union_tries_its_members_in_order():
    assert convert(bytes | str, "QQ==") == b"A"
    assert convert(str | bytes, "QQ==") == "QQ=="
    assert convert(bytes | str, "no base64") == "no base64"
    assert same(convert(float | int, 1), 1.0)
    assert same(convert(int | float, 1), 1)
    assert same(convert(int | float, 2**63), float(2**63))
    assert convert(str | Message, "hello") == "hello"
    assert convert(Message | str, "hello") == [Segment("text", {"text": "hello"})]


def test_null_is_none_for_an_optional_and_refused_otherwise():
    assert convert(int | None, None) is None
    assert convert(Message | None, None) is None
    assert refusal(int | str, None) == ": expected int64 or string"


def test_a_member_that_knew_the_shape_tells_what_is_wrong_inside():
    assert refusal(list[int] | None, [1, "2"]) == "[1]: expected int64"
    assert refusal(str | list[int] | dict[str, int], {"a": "b"}) == ".*: expected int64"


def test_the_place_tells_a_mistake_inside_from_one_of_the_whole():
    assert refusal(Tree | None, {"name": "a", "children": [5]}) == ".children[0]: expected object"


def test_when_several_knew_the_shape_all_types_are_named():
    assert refusal(list[int] | list[str], [1, "2"]) == ": expected list[int64] or list[string]"


def test_a_long_union_is_as_good_as_a_short_one():
    hint: Any = reduce(or_, [int, str, list[bytes], dict[str, float], None])
    assert [convert(hint, value) for value in (1, "a", ["QQ=="], {"x": 1}, None)] == [1, "a", [b"A"], {"x": 1.0}, None]


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], {"a": 1}, b"1", 2])
def test_a_literal_compares_types_too(value: object):
    assert refusal(Literal[1, "one"], value) == ': expected one of 1, "one"'


def test_literals_are_what_was_written():
    for value in (1, "one", False, None):
        assert convert(Literal[1, "one", False, None], value) is value  # noqa: PYI061 - it may be written so


# ---- objects with declared keys


class Place(TypedDict):
    latitude: float
    title: NotRequired[str]


class Partly(TypedDict, total=False):
    name: Required[str]
    sha256: str
    data: bytes


class Tree(TypedDict):
    name: str
    children: "list[Tree]"


class Late(TypedDict):
    name: "str"
    size: "NotRequired[int]"


def test_an_object_with_declared_keys_is_converted_by_key():
    place = {"latitude": 53, "title": "home"}
    converted = convert(Place, place)
    assert converted == {"latitude": 53.0, "title": "home"}
    assert same(converted["latitude"], 53.0)  # type: ignore[index] - of a dict
    assert same(place, {"latitude": 53, "title": "home"})
    assert convert(Partly, {"name": "a", "data": "QQ=="}) == {"name": "a", "data": b"A"}


def test_keys_that_nobody_declared_stay():
    assert convert(Place, {"latitude": 1.0, "qq.zoom": 3}) == {"latitude": 1.0, "qq.zoom": 3}


def test_declared_keys_are_named_when_they_are_missing_or_mistyped():
    assert refusal(Place, {}) == ".latitude: missing, expected float64"
    assert refusal(Place, {"latitude": "x"}) == ".latitude: expected float64"
    assert refusal(Place, {"latitude": 1, "title": None}) == ".title: expected string"
    assert refusal(Partly, {"sha256": ""}) == ".name: missing, expected string"
    assert refusal(list[Place], [{"latitude": 1}, {}]) == "[1].latitude: missing, expected float64"
    assert refusal(Place, [1]) == ": expected object"


def test_required_and_not_required_count_in_hints_that_are_strings():
    assert convert(Late, {"name": "a"}) == {"name": "a"}
    assert refusal(Late, {"name": "a", "size": "big"}) == ".size: expected int64"
    assert refusal(Late, {}) == ".name: missing, expected string"


def test_a_type_may_contain_itself():
    tree = {"name": "a", "children": [{"name": "b", "children": []}]}
    assert convert(Tree, tree) == tree
    tree["children"][0]["children"] = [{"name": 5}]  # type: ignore[index] - of a tree
    assert refusal(Tree, tree) == ".children[0].children[0].name: expected string"


# ---- other names for a type

UserId = NewType("UserId", str)


class Alias:
    """What a `type` statement makes since Python 3.12, as far as it is looked at."""

    def __init__(self, name: str, value: Callable[[], object]) -> None:
        self.__name__ = name
        self._value = value

    @property
    def __value__(self) -> object:
        return self._value()


Alias.__name__ = "TypeAliasType"


def test_a_new_type_is_the_type_that_it_is_made_of():
    assert convert(UserId, "u1") == "u1"
    assert refusal(UserId, 1) == ": expected string"


def test_the_alias_of_a_type_is_that_type():
    assert convert(Alias("Ids", lambda: list[bytes]), ["QQ=="]) == [b"A"]


@pytest.mark.parametrize("make", [Alias, getattr(typing, "TypeAliasType", Alias)])
def test_an_alias_may_contain_itself(make: type):
    if make is Alias:
        numbers: Any = Alias("Numbers", lambda: Union[float, list[numbers]])  # noqa: UP007 - a fake is no type for |
    else:
        module: dict[str, Any] = {}
        exec("type Numbers = float | list[Numbers]", module)  # older versions cannot read it
        numbers = module["Numbers"]
    assert convert(numbers, [1, [2, []]]) == [1.0, [2.0, []]]
    assert refusal(numbers, [1, ["x"]]) == "[1][0]: expected float64 or list[Numbers]"


def test_notes_beside_a_type_are_the_business_of_others():
    assert convert(list[Annotated[bytes, 5, {"max": 3}]], ["QQ=="]) == [b"A"]


# ---- hints that nothing can satisfy


class Colour(Enum):
    RED = 1


T = TypeVar("T")


@pytest.mark.parametrize(
    ("hint", "named"),
    [
        (datetime, "datetime"),
        (Colour, "Colour"),
        (tuple[int, int], "tuple[int, int]"),
        (tuple, "tuple"),
        (set[int], "set[int]"),
        (bytearray, "bytearray"),
        (Callable[[], int], "collections.abc.Callable[[], int]"),
        (Callable, "Callable"),
        (type[int], "type[int]"),
        (type, "type"),
        (T, "~T"),
        (typing.Never, "Never"),
        (Segment, "Segment"),
        (Account, "Account"),
        (ActionRequest, "ActionRequest"),
        (list[Account], "Account"),
        (dict[str, set[int]], "set[int]"),
        (int | complex, "complex"),
        (typing.ForwardRef("Somewhere"), "'Somewhere'"),
        (5, "5"),
        ([], "[]"),
        ({"a": int}, "{'a'"),
        ("int", "'int'"),
        (..., "Ellipsis"),
    ],
)
def test_a_hint_that_nothing_can_satisfy_is_refused_by_name(hint: object, named: str):
    with pytest.raises(ConfigError) as caught:
        conversion_for(hint)
    assert str(caught.value).startswith(named) or f"{named} " in str(caught.value)


@pytest.mark.parametrize("hint", [dict[int, str], dict[Any, str], Mapping[bytes, int], dict[str | int, int]])
def test_keys_other_than_strings_are_refused(hint: object):
    with pytest.raises(ConfigError, match="keys of an object are str"):
        conversion_for(hint)


@pytest.mark.parametrize("hint", [Literal[b"a"], Literal[Colour.RED], Literal["a", b"b"]])
def test_a_literal_of_something_that_is_not_in_json_is_refused(hint: object):
    with pytest.raises(ConfigError, match="Literal on the wire"):
        conversion_for(hint)


@pytest.mark.parametrize(
    "hint", [Annotated[int, "x.y"] | None, list[Annotated[int, "x.y"]], dict[str, Annotated[int, "x.y"]]]
)
def test_a_name_on_the_wire_in_the_wrong_place_is_no_note_to_be_ignored(hint: object):
    with pytest.raises(ConfigError, match="stands outermost"):
        conversion_for(hint)


class Broken(TypedDict):
    field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - that is the test


class Impossible(TypedDict):
    field: datetime


def test_the_fields_of_an_object_are_looked_at_before_the_first_request():
    with pytest.raises(ConfigError, match=r"types of Broken cannot be resolved .*Nowhere"):
        conversion_for(Broken)
    with pytest.raises(ConfigError, match="datetime cannot come"):
        conversion_for(list[Impossible])


def test_or_null_adds_null_to_any_type():
    conversion = conversion_for(int, or_null=True)
    assert (conversion.convert(5), conversion.convert(None)) == (5, None)
    assert conversion.expected == "int64 or null"
    assert conversion_for(None, or_null=True).convert(None) is None
    assert conversion_for(Any, or_null=True).convert(5) == 5
    assert conversion_for(str, or_null=True).as_is is str


def test_what_json_brings_is_what_is_converted():
    hint = dict[str, list[int | None] | bytes]
    assert convert(hint, orjson.loads('{"a":[1,null],"b":"AAE="}')) == {"a": [1, None], "b": b"\x00\x01"}
