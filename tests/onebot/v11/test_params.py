"""rawbot/onebot/v11/params.py: values as forms and query strings give them, and as JSON does."""

import pytest

from rawbot.onebot.retcodes import BAD_PARAM, ActionError
from rawbot.onebot.v11.params import flag, integer, is_absent, read_integer, record, text


@pytest.mark.parametrize("value", [5, "5", " 5 ", "+5", 5.0, "05"])
def test_a_number_may_come_as_a_string(value: object):
    assert integer({"n": value}, "n") == 5


def test_a_number_may_be_negative_and_as_large_as_int64():
    assert read_integer("-12", "n") == -12
    assert read_integer(str(2**63 - 1), "n") == 2**63 - 1


@pytest.mark.parametrize(
    "value", ["", None, "x", "5.5", 5.5, "1_0", "５", "0x5", True, False, [], {}, 1e300, float("nan"), "9" * 5000]
)
def test_what_is_no_number_is_refused(value: object):
    with pytest.raises(ActionError) as caught:
        integer({"n": value}, "n")
    assert caught.value.retcode == BAD_PARAM
    assert "n " in caught.value.message


def test_a_missing_number_is_said_to_be_missing():
    for params in ({}, {"n": None}, {"n": ""}):
        assert is_absent(params, "n")
        with pytest.raises(ActionError, match="n is missing"):
            integer(params, "n")


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        *((word, True) for word in (True, 1, "1", "true", "True", "yes")),
        *((word, False) for word in (False, 0, "0", "false", "no", "No ")),
    ],
)
def test_truth_has_many_words(value: object, truth: bool):  # noqa: FBT001 - a table
    assert flag({"f": value}, "f", default=not truth) is truth


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_word_the_default_counts(value: object):
    assert flag({"f": value}, "f", default=True) is flag({}, "f", default=True) is True
    assert flag({"f": value}, "f") is flag({}, "f") is False


@pytest.mark.parametrize("value", [2, "maybe", [], {}, 1.0, -1])
def test_what_is_neither_true_nor_false_is_refused(value: object):
    with pytest.raises(ActionError, match="f has to be true or false"):
        flag({"f": value}, "f")


def test_a_string_may_have_been_taken_for_a_number():
    assert text({"t": 42}, "t") == "42"
    assert text({"t": "x"}, "t") == "x"
    assert text({"t": ""}, "t") == ""
    assert text({}, "t", "default") == text({"t": None}, "t", "default") == "default"


@pytest.mark.parametrize("params", [{}, {"t": None}, {"t": True}, {"t": []}, {"t": {}}])
def test_what_is_no_string_is_refused(params: dict[str, object]):
    with pytest.raises(ActionError):
        text(params, "t")


def test_an_object_has_to_be_one():
    assert record({"o": {"a": 1}}, "o") == {"a": 1}
    for params in ({}, {"o": None}, {"o": "{}"}, {"o": []}):
        with pytest.raises(ActionError, match="o has to be an object"):
            record(params, "o")


def test_an_error_does_not_tell_the_value():
    with pytest.raises(ActionError) as caught:
        integer({"n": "geheim"}, "n")
    assert "geheim" not in caught.value.message
