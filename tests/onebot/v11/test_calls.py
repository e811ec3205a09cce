"""rawbot/onebot/v11/calls.py: what comes in is answered once, with its echo, whatever it is.

Source: OneBot 11, communication/ws (echo, retcodes), communication/http (status codes), api (suffixes).
"""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from v11_face import STANDARD, STATUS, face, no, ok, run

from rawbot.errors import StateError
from rawbot.onebot.retcodes import BAD_HANDLER, BAD_REQUEST, ActionError
from rawbot.onebot.v11.calls import failed, http_status, translate_quick_operation, translate_request

SEND = {"action": "send_private_msg", "params": {"user_id": 5, "message": "hi"}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def test_an_answer_has_the_standards_fields():
    call = translate_request(SEND | {"echo": "123"}, face())
    run(call, ok({"message_id": "7", "time": 1.5}))
    assert call.response == {"status": "ok", "retcode": 0, "data": {"message_id": 7}, "echo": "123"}


@pytest.mark.parametrize("echo", ["", "123", 5, 1.5, {"seq": 1}, [1], [], {}, True, None])
def test_an_echo_of_any_type_comes_back(echo: object):
    for request in ({"action": "get_status"}, {"action": "nothing"}, {"action": 5}, {"action": "x", "params": 5}):
        call = translate_request(request | {"echo": echo}, face())
        if call.request is not None:
            call.receive(ok(STATUS))
        assert call.response["echo"] == echo
        assert call.accepted["echo"] == echo


def test_an_echo_that_could_not_go_back_does_not_come_in():
    echo: object = 1
    for _ in range(300):
        echo = [echo]
    call = translate_request(SEND | {"echo": echo}, face())
    assert call.request is None
    assert call.response["retcode"] == 1400
    assert "echo" not in call.response


def test_without_an_echo_none_comes_back():
    for request in ({"action": "nothing"}, {}, [], {"action": "can_send_image"}):
        call = translate_request(request, face())
        assert "echo" not in call.response
        assert "echo" not in call.accepted


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"action": 5}, {"action": None}, {"action": {}}])
def test_what_is_no_request_is_answered_1400(value: object):
    call = translate_request(value, face())
    assert call.request is None
    assert (call.response["status"], call.response["retcode"], call.response["data"]) == ("failed", 1400, None)
    assert http_status(call.response) == 400


@pytest.mark.parametrize("params", [5, "x", [], True])
def test_params_that_are_no_object_are_answered_1400(params: object):
    assert translate_request({"action": "get_status", "params": params}, face()).response["retcode"] == 1400


@pytest.mark.parametrize("request_", [{"action": "get_status"}, {"action": "get_status", "params": None}])
def test_params_may_be_absent(request_: dict[str, object]):
    call = translate_request(request_, face())
    assert call.request is not None
    assert call.request.params == {}


@pytest.mark.parametrize("action", ["", "nothing", "nothing_async", "get_latest_events", "set_group_kick", "_async"])
def test_an_action_that_is_not_there_is_answered_1404(action: str):
    call = translate_request({"action": action}, face(actions=STANDARD | {"get_latest_events"}))
    assert call.request is None
    assert call.response["retcode"] == 1404
    assert http_status(call.response) == 404


def test_an_action_that_12_does_not_have_is_not_there_either():
    its_face = face(actions=frozenset(("get_status",)))
    assert translate_request(SEND, its_face).response["retcode"] == 1404
    assert translate_request({"action": "get_status"}, its_face).request is not None


@pytest.mark.parametrize(
    ("suffix", "is_async", "is_rate_limited"),
    [("", False, False), ("_async", True, False), ("_rate_limited", False, True)],
)
def test_suffixes_are_recognised(suffix: str, is_async: bool, is_rate_limited: bool):  # noqa: FBT001 - a table
    call = translate_request({"action": "send_msg" + suffix, "params": SEND["params"], "echo": 1}, face())
    assert (call.action, call.is_async, call.is_rate_limited) == ("send_msg", is_async, is_rate_limited)
    assert call.accepted == {"status": "async", "retcode": 1, "data": None, "echo": 1}
    assert call.request is not None


def test_a_suffix_may_be_part_of_a_name():
    call = translate_request({"action": "wecom.stream_async"}, face(actions=frozenset(("wecom.stream_async",))))
    assert not call.is_async
    assert call.request is not None
    assert call.request.action == "wecom.stream_async"


def test_what_fails_before_it_begins_fails_at_once_even_if_nobody_waits():
    call = translate_request({"action": "send_msg_async", "params": {"user_id": "x", "message": "hi"}}, face())
    assert call.is_async
    assert call.request is None
    assert call.response["retcode"] == 10003


@pytest.mark.parametrize(
    ("theirs", "told"),
    [(10001, 1400), (10002, 1404), (10003, 10003), (34001, 34001), (0, 20001), (1, 20001), ("x", 20001)],
)
def test_a_failure_keeps_its_number_unless_11_has_one(theirs: object, told: int):
    call = translate_request(SEND | {"echo": 1}, face())
    call.receive({"status": "failed", "retcode": theirs, "data": None, "message": "why"})
    assert call.response == {"status": "failed", "retcode": told, "data": None, "message": "why", "echo": 1}


def test_a_failure_after_the_start_is_http_200_unless_11_says_otherwise():
    call = translate_request(SEND, face())
    call.receive(no(34001, "why"))
    assert http_status(call.response) == 200
    assert http_status(failed(ActionError(BAD_REQUEST, ""))) == 400
    assert http_status({"retcode": 1403}) == 403


def test_a_call_under_way_has_no_answer_yet():
    call = translate_request(SEND, face())
    with pytest.raises(StateError):
        _ = call.response


def test_a_call_takes_no_more_than_it_asked_for():
    call = translate_request(SEND, face())
    call.receive(ok({"message_id": "7"}))
    with pytest.raises(StateError):
        call.receive(ok())


def test_its_repr_tells_no_words():
    assert repr(translate_request(SEND, face())) == "<V11Call send_private_msg>"


def test_an_answer_that_cannot_be_encoded_is_one_that_says_so():
    def encode(value: object) -> bytes:
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise ActionError(BAD_HANDLER, "cannot be encoded") from error

    its_face = face(actions=frozenset(("x",)))
    call = translate_request({"action": "x", "echo": 5}, its_face)
    run(call, ok(2**70))
    answer = {"status": "failed", "retcode": BAD_HANDLER, "data": None, "message": "cannot be encoded"}
    assert orjson.loads(call.encode(encode)) == answer | {"echo": 5}
    call = translate_request({"action": "x", "echo": 2**70}, its_face)
    run(call, ok())
    assert orjson.loads(call.encode(encode)) == answer
    call = translate_request({"action": "x", "echo": 5}, its_face)
    run(call, ok([1]))
    assert orjson.loads(call.encode(encode)) == {"status": "ok", "retcode": 0, "data": [1], "echo": 5}


def test_what_stands_in_for_an_answer_is_encoded_with_its_echo():
    call = translate_request(SEND | {"action": "send_private_msg_async", "echo": [5]}, face())
    accepted = {"status": "async", "retcode": 1, "data": None, "echo": [5]}
    assert orjson.loads(call.encode_accepted(orjson.dumps)) == accepted


def test_a_call_may_be_refused_before_it_is_carried_out():
    call = translate_request(SEND | {"echo": 5}, face())
    call.refuse(ActionError(36000, "too many"))
    assert call.request is None
    assert call.response == {"status": "failed", "retcode": 36000, "data": None, "message": "too many", "echo": 5}


def test_the_body_of_an_answered_post_is_a_call():
    event = {"post_type": "message", "message_type": "private", "user_id": 5}
    call = translate_quick_operation(event, {"reply": "hi"}, face())
    (request,) = run(call, ok({"message_id": "7"}))
    assert request.action == "send_message"
    assert call.response["data"] is None
    assert translate_quick_operation(event, ["hi"], face()).response["retcode"] == 10003


NAMES = ["user_id", "group_id", "message_id", "message", "file", "message_type", "context", "operation", "is_dismiss"]
PARAMS = st.dictionaries(st.sampled_from(NAMES), JSON)
REQUESTS = st.fixed_dictionaries(
    {"action": st.sampled_from(["send_msg", "get_msg", "get_image", ".handle_quick_operation", "set_group_leave"])},
    optional={"params": PARAMS, "echo": JSON},
)


@given(JSON | REQUESTS, st.lists(st.builds(ok, JSON) | st.builds(no, st.integers(), st.text()), max_size=3))
def test_whatever_comes_from_either_side_is_answered(value: object, responses: list[dict[str, object]]):
    call = translate_request(value, face())
    for response in responses:
        if call.request is not None:
            call.receive(response)
    assert call.request is not None or call.response["status"] in ("ok", "failed")
