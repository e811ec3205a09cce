"""rawbot/onebot/actions.py: the registry, and calls that keep their contents to themselves.

Source: OneBot 12, connect/data-protocol/action-request, action-response. How params become arguments is in test_plans.
"""

import asyncio
from functools import partial

import orjson
import pytest

from rawbot.errors import ConfigError
from rawbot.onebot.actions import Actions, Call
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, UNSUPPORTED_ACTION, UNSUPPORTED_PARAM, ActionError

BOT = Account("loop", "bot-1")


def request(action: str, params: str = "{}") -> ActionRequest:
    return ActionRequest(action, orjson.loads(params), "e1", None)


def send_message(detail_type: str, message: Message, bot: Account, user_id: str = "", group_id: str = "") -> object:
    return {"detail_type": detail_type, "message": message, "to": user_id or group_id, "from": bot.user_id}


async def get_user_info(user_id: str) -> object:
    await asyncio.sleep(0)
    return {"user_id": user_id}


@pytest.fixture
def actions() -> Actions:
    actions = Actions()
    actions.register("send_message", send_message)
    actions.register("get_user_info", get_user_info)
    return actions


def refusal(actions: Actions, action: str, params: str, *, strict: bool = False) -> tuple[int, str]:
    with pytest.raises(ActionError) as caught:
        actions.bind(request(action, params), BOT, strict=strict)
    return caught.value.retcode, caught.value.message


# ---- the registry


def test_names_come_in_the_order_of_registration(actions: Actions):
    assert actions.names() == ["send_message", "get_user_info"]
    actions.names().append("more")
    assert len(actions.names()) == 2


def test_it_can_be_asked_for_a_name(actions: Actions):
    assert "send_message" in actions
    assert "send" not in actions
    assert 5 not in actions


def test_a_second_handler_is_refused_unless_it_is_to_replace_the_first(actions: Actions):
    with pytest.raises(ConfigError, match="'send_message' has a handler already"):
        actions.register("send_message", send_message)
    actions.register("send_message", lambda: "another", replace=True)
    assert actions.bind(request("send_message"), None)() == "another"
    assert actions.names() == ["send_message", "get_user_info"]
    actions.register("fresh", lambda: None, replace=True)
    assert "fresh" in actions


def test_a_handler_that_is_refused_leaves_the_old_one_in_place(actions: Actions):
    def bad(when: complex) -> None: ...

    with pytest.raises(ConfigError, match=r"handler of 'send_message' cannot be used: .*bad, parameter when: complex"):
        actions.register("send_message", bad, replace=True)
    assert actions.bind(request("send_message", '{"detail_type":"private","message":""}'), BOT)() is not None
    with pytest.raises(ConfigError):
        actions.register("new", bad)
    assert "new" not in actions


@pytest.mark.parametrize("name", ["", None, 5, b"send"])
def test_a_name_is_text(actions: Actions, name: str):
    with pytest.raises(ConfigError, match="an action's name"):
        actions.register(name, lambda: None)


@pytest.mark.parametrize("name", ["qq.set_title", "_x.act", "发送", "a b"])
def test_extended_names_are_as_good_as_any(actions: Actions, name: str):
    actions.register(name, lambda: 5)
    assert actions.bind(request(name), None)() == 5


# ---- calls


def test_a_call_calls_the_handler(actions: Actions):
    call = actions.bind(request("send_message", '{"detail_type":"private","user_id":"u","message":"hello"}'), BOT)
    assert (call.name, call.is_async) == ("send_message", False)
    assert call() == {
        "detail_type": "private",
        "message": [Segment("text", {"text": "hello"})],
        "to": "u",
        "from": "bot-1",
    }


def test_a_call_of_a_coroutine_function_returns_the_coroutine(actions: Actions):
    call = actions.bind(request("get_user_info", '{"user_id":"u"}'), BOT)
    assert call.is_async
    assert asyncio.run(call()) == {"user_id": "u"}  # type: ignore[arg-type] - a coroutine, as is_async says


def test_nothing_is_called_before_the_call(actions: Actions):
    called: list[object] = []
    actions.register("note", partial(called.append, 5))
    call = actions.bind(request("note"), None)
    assert called == []
    call()
    assert called == [5]


def test_what_a_handler_raises_comes_through(actions: Actions):
    def fail() -> None:
        raise ActionError(34001, "not here")

    def crash() -> None:
        raise KeyError("x")

    actions.register("fail", fail)
    actions.register("crash", crash)
    with pytest.raises(ActionError, match="not here"):
        actions.bind(request("fail"), None)()
    with pytest.raises(KeyError):
        actions.bind(request("crash"), None)()


def test_a_call_shows_no_contents(actions: Actions):
    call = actions.bind(request("send_message", '{"detail_type":"private","message":"geheim"}'), BOT)
    assert repr(call) == "<Call send_message>"
    assert repr(Call("x", print, {"a": "geheim"}, is_async=False)) == "<Call x>"


# ---- what is refused


@pytest.mark.parametrize("action", ["", "Send_message", "send_message ", "geheim"])
def test_an_unknown_action_is_10002_and_not_repeated(actions: Actions, action: str):
    assert refusal(actions, action, "{}") == (UNSUPPORTED_ACTION, "the action is not supported")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ("{}", "param detail_type: missing, expected string"),
        ('{"detail_type":"private"}', "param message: missing, expected message"),
        ('{"detail_type":1,"message":""}', "param detail_type: expected string"),
        ('{"detail_type":null,"message":""}', "param detail_type: expected string"),
        ('{"detail_type":"private","message":5}', "param message: expected message"),
        ('{"detail_type":"private","message":"","user_id":["u"]}', "param user_id: expected string"),
        ('{"detail_type":"private","message":"","group_id":4711}', "param group_id: expected string"),
    ],
)
def test_a_missing_or_mistyped_param_is_10003(actions: Actions, params: str, text: str):
    assert refusal(actions, "send_message", params) == (BAD_PARAM, text)


def test_an_unknown_param_is_10004_only_when_that_is_asked_for(actions: Actions):
    params = '{"user_id":"u","_timeout":30}'
    assert actions.bind(request("get_user_info", params), BOT).name == "get_user_info"
    text = "param _timeout is not supported"
    assert refusal(actions, "get_user_info", params, strict=True) == (UNSUPPORTED_PARAM, text)
