"""rawbot/onebot/requests.py: every field of a request missing and mistyped, and responses with just their keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.onebot.codec import JSON, Codec, demand_msgpack
from rawbot.onebot.messages import Account
from rawbot.onebot.requests import MAX_ECHO_DEPTH, ActionRequest, decode_request, echo_of, failed, succeeded
from rawbot.onebot.retcodes import BAD_REQUEST, UNKNOWN_SELF, ActionError

MSGPACK = demand_msgpack()
REQUEST = {
    # OneBot 12, connect/data-protocol/action-request
    "action": "send_message",
    "params": {"detail_type": "group", "group_id": "12467", "message": [{"type": "text", "data": {"text": "hello"}}]},
    "echo": "1234",
    "self": {"platform": "qq", "user_id": "123456"},
}
ECHOES = ["1", " ", 0, 7, -1.5, True, False, [], {}, [1, "2"], {"id": [1]}]

each_codec = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | words
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(words, inner), max_leaves=10)
requests = st.fixed_dictionaries(
    {},
    optional={
        "action": values,
        "params": values,
        "echo": values,
        "self": values | st.fixed_dictionaries({"platform": values, "user_id": values}),
    },
)


def refused(value: object) -> ActionError:
    with pytest.raises(ActionError) as caught:
        decode_request(value)
    assert caught.value.retcode == BAD_REQUEST
    return caught.value


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in REQUEST.items() if name != key}


def nested(depth: int) -> object:
    value: object = "x"
    for level in range(depth):
        value = [value, 1] if level % 2 else {"a": value, "b": 1}
    return value


# Requests


def test_a_request_has_four_fields():
    request = decode_request(REQUEST)
    assert request == ActionRequest("send_message", REQUEST["params"], "1234", Account("qq", "123456"))
    assert request.params is REQUEST["params"]


def test_echo_and_self_may_be_absent():
    assert decode_request({"action": "get_status", "params": {}}) == ActionRequest("get_status", {}, None, None)


def test_a_null_counts_as_absent_where_absence_is_allowed():
    request = decode_request({"action": "get_status", "params": {}, "echo": None, "self": None})
    assert request == ActionRequest("get_status", {}, None, None)


def test_fields_that_nobody_knows_are_ignored():
    assert decode_request(REQUEST | {"_timeout": 3, "type": "x", "": []}) == decode_request(REQUEST)


@pytest.mark.parametrize("value", [None, True, 7, "send_message", b"{}", [], [REQUEST]])
def test_a_request_is_an_object(value: object):
    assert refused(value).message == "an action request is an object"
    assert echo_of(value) is None


@pytest.mark.parametrize("key", ["action", "params"])
def test_action_and_params_are_needed(key: str):
    assert refused(without(key)).message == f"{key} is missing"
    assert echo_of(without(key)) == "1234"


@pytest.mark.parametrize(
    ("key", "wrong"),
    [("action", wrong) for wrong in (None, 7, True, {}, [], b"get_status")]
    + [("params", wrong) for wrong in (None, 7, False, "", "{}", [], [["a", 1]])],
)
def test_action_and_params_of_another_type_are_refused_by_name(key: str, wrong: object):
    assert refused(REQUEST | {key: wrong}).message.startswith(f"{key} is not ")
    assert echo_of(REQUEST | {key: wrong}) == "1234"


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        False,
        "",
        "123456",
        [],
        {},
        {"platform": "qq"},
        {"user_id": "123456"},
        {"platform": None, "user_id": "123456"},
        {"platform": "qq", "user_id": 123456},
        {"platform": ["qq"], "user_id": "123456"},
    ],
)
def test_self_needs_platform_and_user_id(wrong: object):
    assert refused(REQUEST | {"self": wrong}).message.startswith("self ")
    assert echo_of(REQUEST | {"self": wrong}) == "1234"


def test_what_else_stands_in_self_is_kept():
    request = decode_request(REQUEST | {"self": {"platform": "qq", "qq.shard": 3, "user_id": "1"}})
    assert request.bot is not None
    assert request.bot.extra == {"qq.shard": 3}
    assert request.bot == Account("qq", "1")


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_of_any_type_is_kept_as_it_came(echo: object):
    value = REQUEST | {"echo": echo}
    for kept in (decode_request(value).echo, echo_of(value), echo_of({"echo": echo})):
        assert kept is echo


@pytest.mark.parametrize("value", [{}, {"echo": None}, {"echo": ""}])
def test_an_empty_echo_is_none(value: dict):
    assert decode_request(without("echo") | value).echo is None
    assert echo_of(value) is None


@each_codec
def test_an_echo_that_could_not_go_back_is_refused_on_its_way_in(codec: Codec):
    deepest = REQUEST | {"echo": nested(MAX_ECHO_DEPTH)}
    assert decode_request(deepest).echo == echo_of(deepest) == deepest["echo"]
    assert codec.decode(codec.encode(succeeded(None, deepest["echo"])))
    deeper = REQUEST | {"echo": nested(MAX_ECHO_DEPTH + 1)}
    assert refused(deeper).message == "echo is nested too deeply"
    assert echo_of(deeper) is None


def test_the_deepest_echo_that_can_be_read_is_refused():
    deep = JSON.decode(b'{"action":"x","params":{},"echo":' + b"[" * 1000 + b"]" * 1000 + b"}")
    assert refused(deep).message == "echo is nested too deeply"


@given(requests | values)
def test_whatever_can_be_read_is_a_request_or_a_bad_one_and_can_be_answered(value: object):
    echo = echo_of(value)
    try:
        request = decode_request(value)
    except ActionError as error:
        assert error.retcode == BAD_REQUEST  # noqa: PT017 - some are requests
        response = failed(error, echo)
    else:
        assert request.echo is echo
        response = succeeded(None, request.echo)
    for codec in (JSON, MSGPACK):
        codec.encode(response)


def test_a_request_shows_its_action_and_nothing_else():
    assert repr(decode_request(REQUEST)) == "<ActionRequest send_message>"


# Responses


def test_success_has_no_message_and_no_echo_unless_there_was_one():
    data = {"message_id": "m"}
    assert succeeded(data, None) == {"status": "ok", "retcode": 0, "data": data, "message": ""}
    assert succeeded(None, "e") == {"status": "ok", "retcode": 0, "data": None, "message": "", "echo": "e"}


def test_failure_has_no_data_and_says_why():
    error = ActionError(UNKNOWN_SELF, "who?")
    response = {"status": "failed", "retcode": 10102, "data": None, "message": "who?"}
    assert failed(error, None) == response
    assert failed(error, "e") == response | {"echo": "e"}
    assert failed(ActionError(UNKNOWN_SELF), None)["message"] == ""


@pytest.mark.parametrize("echo", ECHOES)
def test_an_echo_goes_back_unchanged(echo: object):
    assert succeeded(None, echo)["echo"] is echo
    assert failed(ActionError(BAD_REQUEST), echo)["echo"] is echo
