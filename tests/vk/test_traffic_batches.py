"""rawbot/vk/traffic.py: calls that share a request, and what it means for each how that request went."""

import pytest
from vk_calling import NOW, FakeShell, answer, error, fields_of, method_of, result

from rawbot.exchange import Response
from rawbot.vk import errors
from rawbot.vk.batching import SINGLY
from rawbot.vk.errors import VKError
from rawbot.vk.traffic import GRACE, LINGER


def busy(*methods: str) -> FakeShell:
    """Return a shell with one request under way, for `first.first`, behind which these calls wait."""
    shell = FakeShell(batch=True)
    for method in ("first.first", *methods):
        shell.submit(method)
    shell.tick(NOW)
    assert method_of(shell.request) == "first.first"
    return shell


def company(*methods: str) -> FakeShell:
    """Return a shell with one request under way, that carries these calls."""
    shell = busy(*methods)
    shell.reply(result("first"))
    shell.outcomes.clear()
    assert method_of(shell.request) == "execute"
    return shell


def kinds(shell: FakeShell) -> list[tuple[str, type]]:
    return [(told.method, type(told)) for told in shell.outcomes if isinstance(told, VKError)]


def methods(shell: FakeShell) -> list[str]:
    return [method_of(request) for request in shell.sending]


# Who goes with whom


def test_a_lone_call_goes_at_once_as_it_is():
    shell = FakeShell(batch=True)
    shell.submit("users.get")
    assert method_of(shell.request) == "users.get"


def test_calls_made_while_another_is_under_way_go_together_after_it():
    shell = busy("a.a", "b.b")
    shell.reply(result(1))
    assert fields_of(shell.request) == {"code": "return [API.a.a({}),API.b.b({})];", "v": "5.199"}
    shell.reply(result([2, [3]]))
    assert shell.outcomes == [1, 2, [3]]


def test_they_do_not_wait_for_a_slow_one():
    shell = busy("a.a", "b.b")
    assert shell.api.deadline == NOW + LINGER
    shell.wait(LINGER)
    assert methods(shell) == ["first.first", "execute"]


def test_as_many_as_vk_takes_do_not_wait_at_all():
    shell = busy(*["a.a"] * 24)
    for method in ("a.a", "b.b"):
        shell.submit(method)
    assert methods(shell) == ["first.first", "execute"]
    assert fields_of(shell.sending[1])["code"].count("API.a.a") == 25
    assert shell.api.waiting() == 1


def test_one_that_goes_alone_parts_the_others():
    shell = busy("a.a", "b.b")
    shell.submit("execute", code="return 1;")
    shell.submit("c.c")
    assert methods(shell) == ["first.first", "execute", "execute"]
    assert fields_of(shell.sending[1])["code"] == "return [API.a.a({}),API.b.b({})];"
    assert fields_of(shell.sending[2])["code"] == "return 1;"
    assert shell.api.waiting() == 1


def test_those_that_nobody_waits_for_are_left_behind():
    shell = busy("a.a")
    shell.api.submit("b.b", {}, shell.outcomes.append, wanted=lambda: False)
    shell.submit("c.c")
    shell.reply(result(1))
    assert fields_of(shell.request)["code"] == "return [API.a.a({}),API.c.c({})];"
    shell.reply(result([2, 3]))
    assert (shell.outcomes, shell.api.waiting()) == ([1, 2, 3], 0)


def test_together_they_are_one_call_for_vk_s_rate():
    shell = FakeShell(batch=True, rate=2)
    for _ in range(60):
        shell.submit("a.a")
    assert (methods(shell), shell.api.waiting()) == (["a.a", "execute"], 34)
    shell.wait(1)
    assert methods(shell)[2:] == ["execute", "execute"]


def test_without_batches_every_call_goes_by_itself():
    shell = FakeShell()
    for method in ("a.a", "b.b", "c.c"):
        shell.submit(method)
    assert methods(shell) == ["a.a", "b.b", "c.c"]


# How it went


def test_one_may_fail_and_the_others_not():
    shell = company("a.a", "b.b", "c.c")
    failed = [{"method": "b.b", "error_code": 100, "error_msg": "no"}]
    shell.reply(answer({"response": [1, False, 3], "execute_errors": failed}))
    first, second, third = shell.outcomes
    assert (first, third) == (1, 3)
    assert str(second) == "b.b: 100 no"


def test_one_that_was_too_fast_inside_is_repeated():
    shell = company("wall.post", "wall.pin")
    failed = [{"method": "wall.pin", "error_code": 6, "error_msg": "slow"}]
    shell.reply(answer({"response": [1, False], "execute_errors": failed}))
    assert shell.outcomes == [1]
    shell.wait(1)
    assert methods(shell) == ["wall.pin"]


def test_those_that_were_too_fast_together_go_together_again():
    shell = company("wall.post", "wall.pin", "users.get")
    shell.reply(error(6))
    shell.submit("first.first")
    shell.tick(NOW + 2)
    assert fields_of(shell.request)["code"].count("API.") == 4
    assert shell.outcomes == []


@pytest.mark.parametrize("code", sorted(SINGLY - {13}))
def test_where_execute_is_refused_each_goes_alone_in_their_order(code: int):
    shell = company("wall.post", "users.get", "wall.pin")
    shell.reply(error(code))
    assert (methods(shell), shell.outcomes) == (["wall.post", "users.get", "wall.pin"], [])
    shell.reply(error(code), shell.sending[0])
    assert kinds(shell)[0][0] == "wall.post"


def test_where_execute_broke_off_those_go_alone_that_can_be_repeated():
    shell = company("wall.post", "users.get")
    shell.reply(error(13, "response size is too big"))
    assert (methods(shell), kinds(shell)) == (["users.get"], [("wall.post", VKError)])
    assert isinstance(shell.outcomes[0], VKError)
    assert shell.outcomes[0].uncertain


def test_an_answer_that_is_none_lets_them_go_alone_later():
    shell = company("wall.post", "users.get", "groups.get")
    shell.reply(Response(200, b'{"response":[1,'))
    assert kinds(shell) == [("wall.post", errors.AnswerError)]
    shell.wait(1)
    assert methods(shell) == ["users.get", "groups.get"]


def test_an_error_of_all_is_one_of_each():
    shell = company("a.a", "b.b")
    shell.reply(error(14, "Captcha needed", captcha_sid="9"))
    assert kinds(shell) == [("a.a", errors.CaptchaError), ("b.b", errors.CaptchaError)]
    first, second = shell.outcomes
    assert first is not second
    assert isinstance(first, errors.CaptchaError)
    assert first.sid == "9"


def test_where_no_connection_came_about_all_are_repeated():
    shell = company("wall.post", "users.get")
    shell.reply(None)
    assert (shell.outcomes, shell.api.waiting()) == ([], 2)
    shell.wait(1)
    assert methods(shell) == ["execute"]


def test_each_has_its_own_time():
    shell = busy()
    shell.api.submit("a.a", {}, shell.outcomes.append, timeout=5)
    shell.submit("b.b")
    shell.reply(result(0))
    assert shell.request.expires_at == NOW + 30 + GRACE
    shell.wait(5)
    assert kinds(shell) == [("a.a", errors.CallTimeoutError)]
    shell.reply(result([1, 2]))
    assert shell.outcomes[-1] == 2
    assert len(shell.outcomes) == 3


def test_what_was_under_way_when_the_shell_ended_is_waited_for_no_more():
    shell = busy("a.a")
    shell.sending.clear()
    shell.api.enabled = False
    shell.api.enabled = True
    shell.submit("b.b")
    assert methods(shell) == ["b.b"]
