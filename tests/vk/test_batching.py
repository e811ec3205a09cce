"""rawbot/vk/batching.py: the code of `execute`, and whose is what in its answer.

The shape of the answer is that of dev.vk.com/ru/method/execute.
"""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import StateError
from rawbot.vk.batching import MAX_CALLS, MAX_CODE, decode_execute, encode_execute, gather
from rawbot.vk.calls import Call
from rawbot.vk.errors import AnswerError, PeerError, VKError, decode_error
from rawbot.vk.methods import CallAnswer

SEND, GET, POST = "messages.send", "users.get", "wall.post"


def failure(method: str, code: int = 100) -> VKError:
    return decode_error({"error_code": code, "error_msg": "no"}, method)


def call(method: str = GET, size: int = 0, *, alone: bool = False) -> Call:
    made = Call(method, {"x": "y" * (size - 1)} if size else {}, lambda _: None, 30)
    made.alone = alone
    return made


# Code


def test_code_makes_each_call_and_returns_the_list_of_results():
    calls = [(SEND, {"peer_id": "1", "message": 'a "quoted"\nline'}), (GET, {})]
    code = 'return [API.messages.send({"peer_id":"1","message":"a \\"quoted\\"\\nline"}),API.users.get({})];'
    assert encode_execute(calls) == code


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_whatever_users_write_stays_inside_of_its_string(fields: dict[str, str]):
    found = re.fullmatch(r"return \[API\.messages\.send\((.*)\)\];", encode_execute([(SEND, fields)]), re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == fields


@pytest.mark.parametrize("count", [0, MAX_CALLS + 1])
def test_no_more_calls_than_vk_carries_out(count: int):
    with pytest.raises(StateError):
        encode_execute([(GET, {})] * count)
    assert encode_execute([(GET, {})] * MAX_CALLS).count("API.") == 25


def test_what_is_no_method_does_not_become_code():
    with pytest.raises(StateError):
        encode_execute([("users.get({});API.wall.post", {})])


# Who goes together


@pytest.mark.parametrize(
    ("waiting", "together", "complete"),
    [
        ([call()], 1, False),
        ([call(), call(SEND), call()], 3, False),
        ([call()] * MAX_CALLS, 25, True),
        ([call()] * (MAX_CALLS + 5), 25, True),
        ([call("execute"), call()], 1, True),
        ([call(), call("execute"), call()], 1, True),
        ([call(alone=True), call()], 1, True),
        ([call(), call(), call(alone=True)], 2, True),
        ([call(size=MAX_CODE), call()], 2, False),
        ([call(size=MAX_CODE + 1), call()], 1, True),
        ([call(size=MAX_CODE), call(size=1), call()], 1, True),
        ([call(size=MAX_CODE - 1), call(size=1), call(size=1)], 2, True),
    ],
)
def test_calls_go_together_in_their_order_up_to_a_limit(waiting: list[Call], together: int, complete: bool):  # noqa: FBT001 - of the table
    assert gather(iter(waiting)) == (waiting[:together], complete)


# Answers


def decode(results: object, errors: list[VKError], *methods: str) -> list[object]:
    return decode_execute(CallAnswer(results, tuple(errors)), methods)


def test_results_are_in_the_order_of_the_calls():
    assert decode([1, {"a": 2}, [3]], [], SEND, GET, GET) == [1, {"a": 2}, [3]]


def test_errors_belong_to_what_is_false_in_their_order():
    errors = [failure(GET, 15), failure(SEND, 901), failure(GET, 6)]
    assert decode([1, False, False, 0, False], errors, SEND, GET, SEND, SEND, GET) == [1, *errors[:2], 0, errors[2]]


def test_a_method_s_errors_are_found_among_results_that_are_false_by_themselves():
    error = failure(SEND)
    assert decode([False, False, 1], [error], GET, SEND, SEND) == [False, error, 1]
    assert decode([False], [], GET) == [False]


@pytest.mark.parametrize(
    ("results", "errors", "methods"),
    [
        ([False, False], [failure(SEND)], [SEND, SEND]),  # which of them?
        ([False], [failure(SEND), failure(SEND)], [SEND]),
        ([False, False], [failure(POST), failure("execute")], [SEND, GET]),  # of whom?
    ],
)
def test_where_errors_do_not_fit_nothing_is_known(results: list[object], errors: list[VKError], methods: list[str]):
    decoded = decode(results, errors, *methods)
    assert all(isinstance(outcome, AnswerError) and outcome.uncertain for outcome in decoded)
    assert [outcome.method for outcome in decoded] == methods
    assert "100 no" in str(decoded[0])


def test_what_fits_is_told_though_other_methods_do_not():
    error = failure(POST, 15)
    first, second, third = decode([False, False, False], [failure(SEND), error], SEND, POST, SEND)
    assert second is error
    assert all(isinstance(outcome, AnswerError) for outcome in (first, third))


@pytest.mark.parametrize("results", [None, 1, {}, [], [1], [1, 2, 3], "ab"])
def test_without_a_result_for_each_nothing_is_known_of_any(results: object):
    decoded = decode(results, [], SEND, GET)
    assert [type(outcome) for outcome in decoded] == [AnswerError, AnswerError]
    assert [outcome.method for outcome in decoded] == [SEND, GET]


def test_recipients_that_got_no_message_are_surfaced_here_too():
    peers = [{"peer_id": 1, "error": {"code": 901, "description": "no"}}]
    ((peer,), other) = decode([peers, peers], [], SEND, GET)
    assert isinstance(peer, PeerError)
    assert other == peers
