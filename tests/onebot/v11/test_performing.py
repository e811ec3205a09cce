"""rawbot/onebot/v11/performing.py: each call is answered once, whatever its steps wait for.

Source: OneBot 11, api (suffixes).
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onebot_parts import T0, Data
from v11_parties import Party, collect

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.v11.actions import ACTIONS
from rawbot.onebot.v11.calls import translate_request
from rawbot.onebot.v11.performing import V11Performer
from rawbot.onebot.v11.settings import V11HTTP

IMAGE = {"type": "image", "data": {"file": "base64://aGVsbG8="}}
ASYNC = {"status": "async", "retcode": 1, "data": None, "http": 200}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PARAMS = st.dictionaries(
    st.sampled_from(("user_id", "group_id", "message", "message_type", "message_id", "file", "context", "operation")),
    JSON | st.just("5") | st.just(["[CQ:at,qq=5]"]) | st.just([IMAGE]),
)


def ask(party: Party, action: str, /, **params: object) -> list[Data]:
    """Ask for an action; return where answers come."""
    told: list[Data] = []
    request: Data = {"action": action, "params": params}
    call = translate_request(request, party.face)
    party.faces.performer.perform(call, party.face, party.handlers.dispatch, collect(told))
    party.handlers.go_on()
    return told


def say(party: Party, text: str, suffix: str = "") -> list[Data]:
    return ask(party, f"send_private_msg{suffix}", user_id=5, message=text)


def texts(party: Party) -> list[object]:
    return [message["text"] for message in party.sent]


def test_what_plain_functions_answer_is_told_at_once():
    party = Party()
    (answer,) = say(party, "hi")
    assert (answer["status"], answer["retcode"], answer["http"]) == ("ok", 0, 200)
    assert party.sent == [{"text": "hi", "user_id": "5"}]
    assert party.implementation.performer.performed == 1


def test_what_has_to_be_waited_for_is_told_later():
    party = Party()
    told = ask(party, "wait", gate="a")
    assert told == []
    party.open("a")
    assert told == [{"status": "ok", "retcode": 0, "data": "a", "http": 200}]


def test_a_call_of_several_steps_waits_for_each():
    party = Party()
    told = ask(party, "send_private_msg", user_id=5, message=[IMAGE, IMAGE])
    assert told == party.sent == []
    party.open("upload")
    assert told[0]["status"] == "ok"
    assert texts(party) == ["imageimage"]


def test_however_many_steps_there_are_none_is_made_within_another():
    party = Party()
    party.gate("upload").open = True
    told = ask(party, "send_private_msg", user_id=5, message=[IMAGE] * 2000)
    assert told[0]["status"] == "ok"
    assert texts(party) == ["image" * 2000]


def test_steps_of_plain_functions_are_as_many_as_there_are():
    party = Party()
    party.implementation.actions.register("upload_file", lambda: {"file_id": "f"}, replace=True)
    told = ask(party, "send_private_msg", user_id=5, message=[IMAGE] * 5000)
    assert told[0]["status"] == "ok"


def test_a_handler_that_refuses_is_told_with_its_retcode():
    (answer,) = ask(Party(), "fail")
    assert (answer["status"], answer["retcode"], answer["message"]) == ("failed", 34_001, "not today")


def test_a_handler_that_raises_is_told_and_logged():
    party = Party()
    (answer,) = ask(party, "stop")
    assert (answer["status"], answer["retcode"]) == ("failed", 20_002)
    assert len(party.handlers.raised) == 1


def test_a_handler_that_is_stopped_is_answered_for():
    party = Party()
    told = ask(party, "wait", gate="never")
    party.handlers.stop()
    assert (told[0]["status"], told[0]["retcode"]) == ("failed", 36_000)


@pytest.mark.parametrize(
    ("action", "retcode", "status"), [("fly", 1404, 404), ("fly_async", 1404, 404), ("get_msg", 10_003, 200)]
)
def test_what_fails_before_anything_is_done_is_told_with_its_status_and_counted(action: str, retcode: int, status: int):
    party = Party()
    (answer,) = ask(party, action)
    assert (answer["status"], answer["retcode"], answer["http"]) == ("failed", retcode, status)
    performer = party.implementation.performer
    assert (performer.performed, performer.failed) == (1, 1)


def test_what_needs_nothing_of_12_is_told_at_once():
    assert ask(Party(), "can_send_image")[0]["data"] == {"yes": True}


@pytest.mark.parametrize("suffix", ["_async", "_rate_limited"])
def test_a_call_with_a_suffix_is_answered_before_it_is_carried_out(suffix: str):
    party = Party()
    assert ask(party, f"wait{suffix}", gate="never") == [ASYNC]
    assert ask(party, f"can_send_image{suffix}") == [ASYNC]
    assert say(party, "hi", suffix) == [ASYNC]
    assert ask(party, f"fail{suffix}") == [ASYNC]  # nobody hears of that


def test_rate_limited_calls_begin_half_a_second_apart():
    party = Party()
    performer = party.faces.performer
    assert performer.deadline == math.inf
    for text in "abc":
        say(party, text, "_rate_limited")
    say(party, "at once")
    assert texts(party) == ["a", "at once"]
    assert (len(performer), performer.deadline) == (2, T0 + 0.5)
    party.tick(0.4)
    assert len(party.sent) == 2
    party.tick(0.1)
    assert texts(party)[2:] == ["b"]
    party.tick(10)
    assert texts(party)[2:] == ["b", "c"]
    assert performer.deadline == math.inf
    say(party, "too soon", "_rate_limited")
    assert texts(party)[2:] == ["b", "c"]
    party.tick(0.5)
    assert texts(party)[2:] == ["b", "c", "too soon"]


def test_rate_limited_calls_begin_however_long_the_one_before_takes():
    party = Party()
    ask(party, "wait_rate_limited", gate="never")
    say(party, "next", "_rate_limited")
    party.tick(0.5)
    assert texts(party) == ["next"]


def test_each_bot_has_a_rate_of_its_own():
    party = Party()
    other = Account("loop", "10002")
    party.implementation.set_online(other)
    say(party, "a", "_rate_limited")
    say(party, "b", "_rate_limited")
    party.face = party.faces.face_for(V11HTTP(bot=other))
    say(party, "c", "_rate_limited")
    assert texts(party) == ["a", "c"]


def test_a_clock_that_is_set_back_holds_nothing_up():
    party = Party()
    for text in "ab":
        say(party, text, "_rate_limited")
    party.tick(-3600)
    party.tick(0.5)
    assert texts(party) == ["a", "b"]


def test_only_so_many_wait():
    party = Party()
    performer = V11Performer(party.implementation.performer, clock=party.clock, max_queued=1)
    party.faces.performer = performer
    assert [say(party, text, "_rate_limited")[0]["retcode"] for text in "abc"] == [1, 1, 36_000]
    party.tick(1)
    assert texts(party) == ["a", "b"]


def test_at_the_end_those_that_wait_are_dropped():
    party = Party()
    for text in "ab":
        say(party, text, "_rate_limited")
    party.faces.performer.drain()
    party.tick(1)
    assert texts(party) == ["a"]


@pytest.mark.parametrize("options", [{"rate_limit_interval": -1}, {"max_queued": 0}])
def test_bounds_that_cannot_be_are_refused(options: dict[str, int]):
    party = Party()
    with pytest.raises(ConfigError):
        V11Performer(party.implementation.performer, clock=party.clock, **options)


@given(
    action=st.sampled_from((*ACTIONS, "send_message", "upload_file", "wait", "fail")),
    suffix=st.sampled_from(("", "", "_async", "_rate_limited")),
    params=PARAMS,
)
def test_whatever_is_asked_for_is_answered_once(action: str, suffix: str, params: Data):
    party = Party()
    told = ask(party, action + suffix, **params)
    party.open("upload")
    party.handlers.stop()
    assert [answer["status"] in ("ok", "failed", "async") for answer in told] == [True]
