"""rawbot/vk/methods.py: what goes over the wire, and what an answer means.

The forms are those of dev.vk.com/ru/api/api-requests; a list of peers answers as in dev.vk.com/ru/method/messages.send.
"""

import contextlib
import enum
import string
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import StateError
from rawbot.vk import errors
from rawbot.vk.errors import PeerError, VKError
from rawbot.vk.methods import (
    check_method,
    decode_answer,
    decode_result,
    encode_call,
    encode_params,
    is_idempotent,
    surface_peers,
)

TOKEN = "vk1.a.secret"
URL = "https://api.vk.com/method/"


class Keyword(str, enum.Enum):  # noqa: UP042 - whose str() is not its value
    TYPING = "typing"


class Number(enum.IntEnum):
    SEVEN = 7


def encode(method: str = "users.get", **params: object) -> dict[str, str]:
    call = encode_call(method, params, token=TOKEN, v="5.199", url=URL)
    return dict(parse_qsl(call.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))


def decode(value: object, method: str = "users.get", status: int = 200) -> object:
    return decode_result(status, orjson.dumps(value), method)


def fail(value: object, method: str = "users.get", status: int = 200) -> VKError:
    with pytest.raises(VKError) as caught:
        decode(value, method, status)
    return caught.value


# Calls


def test_a_call_is_a_form_with_its_token_in_the_header():
    call = encode_call("messages.send", {"peer_id": 1, "message": "да & нет"}, token=TOKEN, v="5.199", url=URL)
    assert call.url == "https://api.vk.com/method/messages.send"
    assert call.body == b"peer_id=1&message=%D0%B4%D0%B0+%26+%D0%BD%D0%B5%D1%82&v=5.199"
    assert list(call.headers) == [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"authorization", b"Bearer vk1.a.secret"),
    ]
    assert TOKEN not in call.url + repr(call)
    assert TOKEN.encode() not in call.body


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("a,b", "a,b"),
        (0, "0"),
        (-123, "-123"),
        (True, "1"),
        (False, "0"),
        (1.5, "1.5"),
        (Number.SEVEN, "7"),
        (Keyword.TYPING, "typing"),
        ([], ""),
        ([1, "two", True], "1,two,1"),
        ((1, 2), "1,2"),
        (range(3), "0,1,2"),
        (frozenset((5,)), "5"),
        ({"one_time": True, "buttons": []}, '{"one_time":true,"buttons":[]}'),
        ({}, "{}"),
        ([{"a": 1}, 2], '[{"a":1},2]'),
        ([[1, 2], [3]], "[[1,2],[3]]"),
    ],
)
def test_values_have_the_forms_that_vk_reads(value: object, text: str):
    assert encode(x=value) == {"x": text, "v": "5.199"}


def test_what_is_none_is_left_out():
    assert encode(x=None) == {"v": "5.199"}


def test_a_call_may_ask_for_another_version():
    assert encode(v="5.131") == {"v": "5.131"}


@pytest.mark.parametrize(
    "value",
    [b"bytes", object(), float("nan"), float("inf"), [None], ["a,b"], [b"x"], {1: 2}, {"x": object()}, "\ud800", 1j],
)
def test_what_has_no_form_is_refused_by_the_name_of_its_parameter(value: object):
    with pytest.raises(StateError, match="'keyboard'") as caught:
        encode(keyboard=value)
    assert "bytes'" not in str(caught.value)


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(StateError):
        encode_params({"\ud800": 1})
    with pytest.raises(StateError):
        encode_params({7: 1})


def test_a_token_among_the_parameters_is_refused():
    with pytest.raises(StateError) as caught:
        encode(access_token="other")
    assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    "method", ["", "users.get/../x", "users.get?x=1", "users.", ".get", "a.b.c", "users.get\n", "ü.get", "1.x", None]
)
def test_what_is_no_method_s_name_is_refused(method: str):
    with pytest.raises(StateError):
        check_method(method)
    with pytest.raises(StateError):
        encode_call(method, {}, token=TOKEN, v="5.199", url=URL)


@pytest.mark.parametrize("method", ["execute", "users.get", "execute.my_procedure2", "messages.getLongPollServer"])
def test_methods_have_one_or_two_names(method: str):
    check_method(method)


@given(st.dictionaries(st.text(string.ascii_lowercase, min_size=1), st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_arrives_as_it_is(params: dict[str, str]):
    params.pop("v", None)
    assert encode(**params) == {**params, "v": "5.199"}


@pytest.mark.parametrize(
    ("method", "fields", "idempotent"),
    [
        ("messages.send", {"random_id": "7"}, True),
        ("messages.send", {"random_id": "0"}, False),
        ("messages.send", {"random_id": " 0"}, False),
        ("messages.send", {"random_id": ""}, False),
        ("messages.send", {}, False),
        ("users.get", {}, True),
        ("groups.getLongPollServer", {}, True),
        ("groups.isMember", {}, True),
        ("messages.search", {}, True),
        ("messages.getConversations", {"random_id": "0"}, True),
        ("messages.edit", {"random_id": "7"}, False),
        ("photos.saveMessagesPhoto", {}, False),
        ("wall.post", {}, False),
        ("execute", {}, False),
        ("execute.getAll", {}, False),
        ("x.getting", {}, False),
        ("x.issue", {}, False),
    ],
)
def test_what_only_looks_or_has_a_random_id_may_be_repeated(method: str, fields: dict[str, str], idempotent: bool):  # noqa: FBT001 - of the table
    assert is_idempotent(method, fields) is idempotent


# Answers


@pytest.mark.parametrize("value", [1, 0, None, False, "text", [], {}, [{"id": 1}], {"count": 0, "items": []}])
def test_a_response_is_the_result(value: object):
    assert decode({"response": value}) == value


def test_an_error_is_raised_with_the_method_s_name():
    error = fail({"error": {"error_code": 100, "error_msg": "message is empty", "request_params": []}}, "messages.send")
    assert (error.code, error.method) == (100, "messages.send")


@pytest.mark.parametrize("status", [200, 401, 500])
def test_an_error_of_vk_s_counts_whatever_the_status(status: int):
    assert fail({"error": {"error_code": 5}}, status=status).code == 5


def test_an_error_beats_a_response():
    assert fail({"response": 1, "error": {"error_code": 10}}).code == 10


def test_an_error_without_an_object_is_still_one():
    assert str(fail({"error": "invalid_request"})) == "users.get: invalid_request"
    assert str(fail({"error": None})) == "users.get: VK gives no reason"
    assert type(fail({"error": "busy"}, status=503)) is errors.AnswerError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, errors.AnswerError),
        (204, VKError),
        (301, VKError),
        (404, VKError),
        (413, VKError),
        (429, errors.RateError),
        (500, errors.AnswerError),
        (502, errors.AnswerError),
        (504, errors.AnswerError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"response":', b"\xff", b"[" * 100_000])
def test_what_is_no_answer_is_told_by_its_status(status: int, kind: type[VKError], body: bytes):
    with pytest.raises(VKError) as caught:
        decode_result(status, body, "users.get")
    assert type(caught.value) is kind
    assert caught.value.code == 0
    assert str(status) in str(caught.value) or status == 200


def test_a_response_with_another_status_is_no_answer():
    assert type(fail({"response": 1}, status=502)) is errors.AnswerError


@given(st.binary(max_size=40), st.sampled_from([200, 302, 400, 429, 500]))
def test_any_answer_is_a_result_or_a_vk_error(body: bytes, status: int):
    with contextlib.suppress(VKError):
        decode_result(status, body, "messages.send")


NAMES = ["response", "error", "execute_errors", "error_code", "error_msg", "peer_id", "code", "method"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
)


@given(JSON, st.sampled_from(["messages.send", "execute"]))
def test_any_json_is_a_result_or_a_vk_error(value: object, method: str):
    try:
        decode(value, method)
    except VKError as error:
        str(error)


def test_a_secret_is_kept_out_of_every_text():
    said = {"error_code": 5, "error_msg": f"bad token {TOKEN}", "method": "users.get"}
    for value in (
        {"error": said},
        {"error": f"bad {TOKEN}"},
        {"response": [False], "execute_errors": [said]},
    ):
        with pytest.raises(VKError) as caught:
            decode_result(200, orjson.dumps(value), "execute", secret=TOKEN)
        assert TOKEN not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    (peer,) = surface_peers("messages.send", [{"peer_id": 1, "error": {"code": 1, "description": TOKEN}}], TOKEN)
    assert TOKEN not in f"{peer} {peer!r}"


# Some of many


PEERS = [
    {"peer_id": 1, "message_id": 11, "conversation_message_id": 3},
    {"peer_id": 2, "message_id": 0, "error": {"code": 901, "description": "Can't send messages to this user"}},
    {"peer_id": 3, "message_id": 13, "conversation_message_id": 5},
]


def test_recipients_that_got_no_message_are_errors_in_their_place():
    first, second, third = decode({"response": PEERS}, "messages.send")
    assert (first, third) == (PEERS[0], PEERS[2])
    assert isinstance(second, PeerError)
    assert (second.peer_id, second.code, str(second)) == (2, 901, "messages.send: 901 Can't send messages to this user")


def test_other_lists_are_left_as_they_are():
    assert decode({"response": PEERS}, "messages.getById") == PEERS
    assert decode({"response": [1, 2]}, "messages.send") == [1, 2]
    assert decode({"response": [{"error": "x"}]}, "messages.send") == [{"error": "x"}]
    assert decode({"response": 5}, "messages.send") == 5


FAILED = [{"method": "messages.send", "error_code": 901, "error_msg": "no"}, {"method": "x y", "error_code": 15}]


def test_calls_that_fail_inside_of_execute_are_an_error_that_holds_all():
    error = fail({"response": [1, False, False], "execute_errors": FAILED}, "execute")
    assert isinstance(error, errors.ExecuteError)
    assert (error.code, error.response) == (901, [1, False, False])
    assert [(e.code, e.method) for e in error.errors] == [(901, "messages.send"), (15, "execute")]
    assert str(error) == "execute: 901 2 of the calls inside failed: messages.send: 901 no"


@pytest.mark.parametrize("errors_told", [[], None, "x", [1, None]])
def test_execute_without_errors_is_like_any_method(errors_told: object):
    value = {"response": {"a": 1}, "execute_errors": errors_told}
    assert decode(value, "execute") == {"a": 1}
    assert decode_answer(200, orjson.dumps(value), "execute").errors == ()
