"""rawbot/vk/traffic.py: whose turn it is, and how each call ends."""

from math import inf

import pytest
from vk_calling import NOW, TOKEN, FakeShell, answer, error, fields_of, method_of, result

from rawbot.exchange import OutgoingRequest, Response
from rawbot.vk import errors
from rawbot.vk.api import MAX_WAITING, TIMEOUT
from rawbot.vk.errors import VKError
from rawbot.vk.rates import COMMUNITY_RATE, USER_RATE
from rawbot.vk.retries import MAX_HINT, MAX_TRIES, PAUSE
from rawbot.vk.traffic import GRACE


def methods(shell: FakeShell) -> list[str]:
    return [method_of(request) for request in shell.sending]


def outcome(shell: FakeShell) -> VKError:
    (told,) = shell.outcomes
    assert isinstance(told, VKError)
    return told


# One call


def test_a_call_goes_out_in_the_same_breath_and_has_its_result():
    shell = FakeShell()
    shell.submit("users.get", user_ids=[1, 2])
    assert (shell.request.method, method_of(shell.request)) == ("POST", "users.get")
    assert fields_of(shell.request) == {"user_ids": "1,2", "v": "5.199"}
    assert shell.request.expires_at == NOW + TIMEOUT + GRACE
    assert shell.outcomes == []
    shell.reply(result([{"id": 1}]))
    assert shell.outcomes == [[{"id": 1}]]
    assert (shell.sending, shell.api.waiting(), shell.api.deadline) == ([], 0, inf)


def test_an_error_is_the_caller_s():
    shell = FakeShell()
    shell.submit("messages.send")
    shell.reply(error(901, "no permission"))
    assert str(outcome(shell)) == "messages.send: 901 no permission"
    assert not shell.sending


def test_no_error_holds_frames_in_which_the_token_stands():
    shell = FakeShell()
    for response in (error(100), Response(200, b"<html>"), error(14)):
        shell.submit("wall.post")
        shell.reply(response)
    for told in shell.outcomes:
        assert isinstance(told, VKError)
        assert (told.__traceback__, told.__context__, told.__cause__) == (None, None, None)


def test_the_token_is_in_no_text():
    shell = FakeShell()
    shell.submit("messages.send", message="private")
    request = shell.request
    assert (b"authorization", b"Bearer " + TOKEN.encode()) in request.headers
    assert TOKEN not in f"{request!r} {request.url} {request.body!r} {shell.api!r}"
    shell.reply(error(5, f"User authorization failed: invalid access_token {TOKEN}"))
    assert TOKEN not in f"{outcome(shell)} {outcome(shell)!r} {vars(outcome(shell))}"
    assert "private" not in f"{request!r} {outcome(shell)!r}"


def test_answers_for_nothing_are_not_minded():
    shell = FakeShell()
    shell.submit()
    request = shell.request
    shell.reply(result(1))
    assert shell.api.receive(request, result(2), NOW)
    assert shell.api.receive(OutgoingRequest("GET", "https://vk.com/", b"", (), inf), None, NOW)
    assert shell.outcomes == [1]


def test_without_a_shell_calls_wait_for_one():
    shell = FakeShell()
    shell.api.on_ready = None
    shell.submit()
    shell.api.tick(NOW + 3)
    assert (shell.sending, shell.api.waiting(), shell.outcomes) == ([], 1, [])
    shell.api.on_ready = shell.pump
    shell.tick(NOW + 4)
    assert shell.request.expires_at == NOW + 3 + TIMEOUT + GRACE


def test_a_tick_with_nothing_to_send_wakes_nobody():
    shell = FakeShell()
    shell.api.on_ready = lambda: pytest.fail("for nothing")
    shell.api.tick(NOW)


# Order and rate


@pytest.mark.parametrize("rate", [COMMUNITY_RATE, USER_RATE])
def test_no_second_sees_more_calls_than_vk_allows(rate: int):
    shell = FakeShell(places=999, rate=rate)
    for number in range(3 * rate):
        shell.submit(number=number)
    assert len(shell.sending) == rate
    assert shell.api.deadline == NOW + 1
    shell.wait(0.99)
    assert len(shell.sending) == rate
    shell.wait(0.01)
    assert len(shell.sending) == 2 * rate
    shell.wait(1)
    assert [fields_of(request)["number"] for request in shell.sending] == [str(n) for n in range(3 * rate)]


def test_a_shell_that_is_busy_is_not_rushed():
    shell = FakeShell(places=1)
    for method in ("a.a", "b.b"):
        shell.submit(method)
    assert methods(shell) == ["a.a"]
    shell.tick(NOW)
    assert shell.api.deadline == NOW
    shell.reply(result(1))
    assert methods(shell) == ["b.b"]


def test_more_than_wait_are_told_at_once():
    shell = FakeShell(places=1, max_waiting=2)
    for _ in range(4):
        shell.submit()
    assert type(outcome(shell)) is errors.QueueFullError
    assert not outcome(shell).uncertain
    assert shell.api.waiting() == 2
    assert MAX_WAITING >= TIMEOUT * COMMUNITY_RATE


def test_one_that_nobody_waits_for_any_more_is_not_sent():
    shell = FakeShell(places=1)
    wanted = [True]
    shell.submit("a.a")
    shell.api.submit("b.b", {}, shell.outcomes.append, wanted=lambda: wanted[0])
    shell.submit("c.c")
    wanted.clear()
    wanted.append(False)
    shell.reply(result(1))
    assert (methods(shell), shell.outcomes) == (["c.c"], [1])


# Time


def test_a_call_that_is_not_answered_in_time_ends_uncertain():
    shell = FakeShell()
    shell.submit("wall.post")
    assert shell.api.deadline == NOW + 30
    shell.wait(30)
    assert type(outcome(shell)) is errors.CallTimeoutError
    assert str(outcome(shell)) == "wall.post: no result within 30 s"
    assert outcome(shell).uncertain
    shell.reply(result(1))
    assert len(shell.outcomes) == 1


def test_a_call_whose_turn_does_not_come_in_time_has_surely_done_nothing():
    shell = FakeShell(places=1)
    shell.submit("a.a")
    shell.api.submit("wall.post", {}, shell.outcomes.append, timeout=5)
    shell.tick(NOW)
    shell.wait(5)
    assert str(outcome(shell)) == "wall.post: no result within 5 s"
    assert not outcome(shell).uncertain
    assert shell.api.waiting() == 0


def test_a_time_out_found_by_the_shell_s_question_is_told_as_well():
    shell = FakeShell()
    shell.submit()
    assert shell.api.next_request(NOW + 31) is None
    assert type(outcome(shell)) is errors.CallTimeoutError


def test_an_answer_of_the_last_moment_counts():
    shell = FakeShell()
    shell.submit()
    shell.now = NOW + 30
    shell.reply(result(7))
    assert shell.outcomes == [7]


def test_an_answer_to_another_call_brings_on_the_end_of_what_is_over():
    shell = FakeShell()
    shell.api.submit("a.a", {}, shell.outcomes.append, timeout=5)
    shell.submit("b.b")
    shell.now = NOW + 6
    shell.reply(result(7), shell.sending[1])
    assert shell.outcomes[0] == 7
    assert type(shell.outcomes[1]) is errors.CallTimeoutError


def test_a_time_out_tells_how_the_last_try_went():
    shell = FakeShell()
    shell.submit("users.get")
    for _ in range(4):
        shell.reply(error(10, "Internal server error"))
        shell.wait(5)
    shell.wait(10)
    assert str(outcome(shell)) == "users.get: no result within 30 s, the last try gave: 10 Internal server error"
    assert outcome(shell).uncertain


def test_a_clock_that_is_set_back_delays_nothing():
    shell = FakeShell(rate=1)
    shell.submit("a.a")
    shell.submit("b.b")
    shell.tick(NOW - 3600)
    shell.reply(error(6))
    assert methods(shell) == []
    shell.wait(1)
    assert len(shell.sending) == 1
    shell.wait(30)
    assert [type(told) for told in shell.outcomes] == [errors.CallTimeoutError] * 2


# Second tries


@pytest.mark.parametrize("method", ["users.get", "wall.post"])
def test_what_was_too_fast_is_repeated_after_a_pause_for_all(method: str):
    shell = FakeShell()
    shell.submit(method)
    shell.reply(error(6))
    shell.submit("c.c")
    assert methods(shell) == []
    shell.wait(PAUSE)
    assert methods(shell) == ["c.c"]
    shell.wait(PAUSE)
    assert methods(shell) == ["c.c", method]
    shell.reply(result(1), shell.sending[1])
    assert (shell.outcomes, shell.api.repeated) == ([1], 1)


@pytest.mark.parametrize(
    "response", [error(1), error(10), Response(502), Response(504), Response(200, b"<html>"), answer([])]
)
def test_what_may_have_taken_effect_is_repeated_only_where_that_does_no_harm(response: Response):
    shell = FakeShell()
    shell.submit("users.get")
    shell.submit("messages.send", random_id=5)
    shell.submit("messages.send", random_id=0)
    shell.submit("wall.post")
    for _ in range(4):
        shell.reply(response)
    assert [told.method for told in shell.outcomes if isinstance(told, VKError)] == ["messages.send", "wall.post"]
    assert all(told.uncertain for told in shell.outcomes if isinstance(told, VKError))
    shell.wait(0.5)
    assert methods(shell) == ["users.get", "messages.send"]
    assert fields_of(shell.sending[1])["random_id"] == "5"


def test_the_caller_may_know_better_what_can_be_repeated():
    shell = FakeShell()
    shell.api.submit("groups.editCallbackServer", {}, shell.outcomes.append, idempotent=True)
    shell.api.submit("users.get", {}, shell.outcomes.append, idempotent=False)
    for _ in range(2):
        shell.reply(error(10))
    assert outcome(shell).method == "users.get"
    shell.wait(0.5)
    assert methods(shell) == ["groups.editCallbackServer"]


def test_what_never_arrived_is_repeated_whatever_it_is():
    shell = FakeShell()
    shell.submit("wall.post")
    waits = []
    while not shell.outcomes:
        shell.reply(None)
        if shell.outcomes:
            break
        began = shell.now
        shell.wait(shell.api.deadline - shell.now)
        waits.append(round(shell.now - began, 3))
    assert type(outcome(shell)) is errors.UnreachableError
    assert not outcome(shell).uncertain
    assert waits == [0.375, 0.75, 1.5, 3.0, 6.0, 11.25]  # and not another one, that would come too late
    assert shell.now < NOW + 30


def test_after_so_many_tries_it_is_enough():
    shell = FakeShell(timeout=3600)
    shell.submit("users.get")
    for _ in range(MAX_TRIES):
        shell.reply(error(10))
        shell.wait(60)
    shell.reply(error(10))
    assert type(outcome(shell)) is errors.InternalError
    assert shell.api.repeated == MAX_TRIES


@pytest.mark.parametrize("code", [5, 9, 14, 15, 27, 28, 29, 100, 901])
def test_other_errors_are_told_at_once(code: int):
    shell = FakeShell()
    shell.submit("users.get")
    shell.reply(error(code))
    assert outcome(shell).code == code
    assert shell.api.waiting() == 0


def test_a_captcha_is_solved_by_another_call():
    shell = FakeShell()
    shell.submit("messages.send", message="x")
    shell.reply(error(14, captcha_sid="77", captcha_img="https://api.vk.com/captcha.php?sid=77"))
    captcha = outcome(shell)
    assert isinstance(captcha, errors.CaptchaError)
    shell.submit("messages.send", message="x", captcha_sid=captcha.sid, captcha_key="q7z")
    assert fields_of(shell.request)["captcha_sid"] == "77"


def test_a_server_that_names_a_time_is_not_asked_before():
    shell = FakeShell()
    shell.submit("users.get")
    shell.reply(Response(503, headers=[(b"retry-after", b"7")]))
    shell.wait(6.99)
    assert not shell.sending
    shell.wait(0.01)
    assert methods(shell) == ["users.get"]


def test_http_429_stops_all_calls_for_as_long_as_it_says():
    shell = FakeShell()
    shell.submit("wall.post")
    shell.reply(answer("slow", 429, retry_after="9"))
    shell.submit("c.c")
    shell.wait(8.99)
    assert not shell.sending
    shell.wait(0.01)
    assert sorted(methods(shell)) == ["c.c", "wall.post"]
    assert MAX_HINT > TIMEOUT


def test_a_try_that_would_come_too_late_is_not_waited_for():
    shell = FakeShell()
    shell.submit("users.get")
    shell.reply(Response(503, headers=[(b"retry-after", b"30")]))
    assert type(outcome(shell)) is errors.AnswerError


def test_a_second_try_stands_before_those_that_came_later():
    shell = FakeShell(places=1)
    shell.submit("a.a")
    shell.submit("b.b")
    shell.submit("c.c")
    shell.reply(None)
    assert methods(shell) == ["b.b"]
    shell.wait(1)
    shell.reply(result(1))
    assert methods(shell) == ["a.a"]


# The end


def test_when_the_shell_ends_all_calls_do():
    shell = FakeShell(places=1)
    shell.submit("a.a")
    shell.submit("b.b")
    request = shell.request
    shell.api.enabled = False
    shell.api.on_ready = None
    first, second = shell.outcomes
    assert isinstance(first, errors.ShutdownError)
    assert isinstance(second, errors.ShutdownError)
    assert (first.uncertain, second.uncertain) == (True, False)
    assert (shell.api.waiting(), shell.api.deadline) == (0, inf)
    assert shell.api.receive(request, result(1), NOW)
    shell.submit("c.c")
    assert [type(told) for told in shell.outcomes] == [errors.ShutdownError] * 3
    assert not shell.api.enabled


def test_one_that_waits_for_another_try_when_the_shell_ends_may_have_taken_effect():
    shell = FakeShell()
    shell.submit("users.get")
    shell.reply(error(10))
    shell.api.enabled = False
    assert outcome(shell).uncertain


def test_calls_may_be_made_just_before_a_shell_begins_again():
    shell = FakeShell()
    shell.api.enabled = False
    shell.api.on_ready = None
    shell.api.start()
    shell.submit()
    assert (shell.outcomes, shell.api.waiting()) == ([], 1)
    shell.api.enabled = True
    shell.api.on_ready = shell.pump
    shell.tick(NOW)
    shell.reply(result(1))
    assert shell.outcomes == [1]


def test_a_shell_that_begins_again_sends_again():
    shell = FakeShell()
    shell.api.enabled = False
    shell.api.enabled = True
    shell.submit()
    shell.reply(result(1))
    assert shell.outcomes == [1]


# Callers


def test_a_caller_may_call_again_when_it_is_told():
    shell = FakeShell(places=1)
    shell.submit("a.a", on_done=lambda _: shell.submit("b.b"))
    shell.submit("c.c")
    shell.reply(result(1))
    assert methods(shell) == ["c.c"]
    shell.reply(result(2))
    shell.reply(result(3))
    assert shell.outcomes == [2, 3]


def test_a_caller_that_calls_again_from_within_the_shell_s_question_is_served():
    shell = FakeShell()
    shell.submit("a.a", on_done=lambda _: shell.submit("b.b"))
    shell.now = NOW + 31
    shell.pump()
    assert methods(shell) == ["a.a", "b.b"]


def test_callers_that_are_told_at_once_again_and_again_do_not_stand_on_each_other():
    shell = FakeShell()
    shell.api.enabled = False
    told: list[object] = []

    def again(outcome: object) -> None:
        told.append(outcome)
        if len(told) < 5000:
            shell.submit(on_done=again)

    shell.submit(on_done=again)
    assert len(told) == 5000


def test_one_caller_s_fault_does_not_keep_the_others_from_being_told():
    shell = FakeShell()
    shell.submit("a.a", on_done=lambda _: 1 / 0)
    shell.submit("b.b")
    with pytest.raises(ZeroDivisionError):
        shell.api.enabled = False
    shell.api.tick(NOW)
    assert type(outcome(shell)) is errors.ShutdownError


# Figures


def test_it_counts_what_became_of_calls():
    shell = FakeShell(places=3)
    for _ in range(6):
        shell.submit()
    shell.reply(result(1))
    shell.reply(error(100))
    shell.reply(None)
    shell.reply(error(6))  # from now on nothing is sent for a while
    figures = {(figure.name, figure.labels): figure.value for figure in shell.api.figures()}
    assert figures == {
        ("vk_api_waiting", ()): 2,
        ("vk_api_under_way", ()): 2,
        ("vk_api_answered", ()): 1,
        ("vk_api_repeated", ()): 2,
        ("vk_api_failed", (("reason", "100"),)): 1,
    }
    shell.wait(31)
    reasons = [dict(figure.labels) for figure in shell.api.figures()][4:]
    assert {"reason": "CallTimeoutError"} in reasons
