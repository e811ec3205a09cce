"""rawbot/vk/fields.py: each type, none of it, and every other type."""

from collections.abc import Callable

import pytest

from rawbot.errors import ProtocolError
from rawbot.vk.fields import MAX_INT, Private, is_int, need_id, read_dict, read_dicts, read_flag, read_int, read_str

VALUES: list[object] = [
    0,
    1,
    -5,
    True,
    False,
    1.0,
    "hunter2",
    "",
    [],
    [1],
    [{}],
    {},
    {"a": 1},
    2**64,
    MAX_INT,
    MAX_INT + 1,
]
READERS: dict[Callable[[dict, str], object], tuple[object, Callable[[object], bool]]] = {
    # reader: what none is, and which values it takes
    read_int: (0, is_int),
    need_id: (None, lambda value: is_int(value) and value != 0),
    read_flag: (False, lambda value: isinstance(value, bool) or is_int(value)),
    read_str: ("", lambda value: isinstance(value, str)),
    read_dict: ({}, lambda value: isinstance(value, dict)),
    read_dicts: ([], lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value)),
}

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)


@each_reader
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_another_type_is_refused_without_being_repeated(
    reader: Callable[[dict, str], object], value: object
):
    if READERS[reader][1](value):
        assert reader({"field": value}, "field") == value or reader is read_flag
        return
    with pytest.raises(ProtocolError, match="field") as caught:
        reader({"field": value}, "field")
    assert caught.value.status == 400
    assert "hunter2" not in str(caught.value)


@each_reader
@pytest.mark.parametrize("holder", [{}, {"field": None}], ids=["absent", "null"])
def test_none_is_the_empty_value_unless_it_is_needed(reader: Callable[[dict, str], object], holder: dict):
    if reader is need_id:
        with pytest.raises(ProtocolError, match="there is no field"):
            reader(holder, "field")
    else:
        assert reader(holder, "field") == READERS[reader][0]


@pytest.mark.parametrize(("value", "flag"), [(0, False), (1, True), (2, True), (True, True), (False, False)])
def test_a_flag_is_a_bool_or_a_number(value: object, flag: bool):  # noqa: FBT001
    assert read_flag({"field": value}, "field") is flag


@pytest.mark.parametrize("value", [2**63 - 1, 1 - 2**63, 0, 1])
def test_an_integer_has_64_bits(value: int):
    assert is_int(value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 2**63, -(2**63) - 1])
def test_nothing_else_is_an_integer(value: object):
    assert not is_int(value)


def test_the_repr_of_what_was_said_has_its_kind_only():
    class Said(Private):
        text = "hunter2"

    assert repr(Said()) == "<Said>"
