"""rawbot/onebot/plans.py: what reaches a handler, what does not, and what the application is told.

Source: OneBot 12, connect/data-protocol/action-request and action-response.
"""

from functools import partial
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.onebot.handlers import plan_for
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.plans import MAX_SHOWN, Handler
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, BAD_SEGMENT_DATA, UNSUPPORTED_PARAM, WHO_AM_I, ActionError

BOT = Account("loop", "bot-1")


def bind(
    handler: Handler, params: dict[str, object], bot: Account | None = BOT, *, strict: bool = False
) -> dict[str, object]:
    request = ActionRequest("x", params, None, None)
    return plan_for(handler).arguments(request, bot, strict=strict)


def refusal(
    handler: Handler, params: dict[str, object], bot: Account | None = BOT, *, strict: bool = False
) -> tuple[int, str]:
    with pytest.raises(ActionError) as caught:
        bind(handler, params, bot, strict=strict)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # what came stays out of tracebacks
    return caught.value.retcode, caught.value.message


def send(detail_type: str, message: Message, user_id: str = "nobody", *, limit: int = 0) -> None:
    """Look like a handler."""


GOOD: dict[str, object] = {"detail_type": "private", "message": "hello"}


# ---- what is there, what is not


def test_params_are_converted_and_passed_by_name():
    arguments = bind(send, {**GOOD, "user_id": "u", "limit": 3})
    hello = [Segment("text", {"text": "hello"})]
    assert arguments == {"detail_type": "private", "message": hello, "user_id": "u", "limit": 3}


def test_a_param_that_is_absent_is_left_to_its_default():
    assert set(bind(send, GOOD)) == {"detail_type", "message"}


def test_a_param_that_is_missing_is_named():
    assert refusal(send, {"message": "x"}) == (BAD_PARAM, "param detail_type: missing, expected string")
    assert refusal(send, {"detail_type": "private"}) == (BAD_PARAM, "param message: missing, expected message")


def test_a_param_of_a_wrong_type_is_named_and_its_value_is_not():
    assert refusal(send, {**GOOD, "limit": "geheim"}) == (BAD_PARAM, "param limit: expected int64")
    assert refusal(send, {**GOOD, "user_id": 4711}) == (BAD_PARAM, "param user_id: expected string")


def test_a_mistake_inside_a_param_is_told_with_its_place():
    def handler(users: list[str]) -> None: ...

    assert refusal(handler, {"users": ["a", 1]}) == (BAD_PARAM, "param users[1]: expected string")


def test_a_mistake_inside_a_message_has_its_own_retcode():
    retcode, message = refusal(send, {**GOOD, "message": [{"type": "text", "data": {"text": 1}}]})
    assert retcode == BAD_SEGMENT_DATA
    assert message.startswith("param message: ")


def test_params_are_looked_at_in_the_order_of_the_signature():
    assert refusal(send, {"limit": "x"})[1].startswith("param detail_type")


# ---- null


def test_null_is_none_where_none_is_a_type():
    def handler(user_id: str | None, limit: int | None = 5) -> None: ...

    assert bind(handler, {"user_id": None, "limit": None}) == {"user_id": None, "limit": None}


def test_an_optional_type_without_a_default_is_still_required():
    def handler(user_id: str | None) -> None: ...

    assert refusal(handler, {}) == (BAD_PARAM, "param user_id: missing, expected string or null")


def test_a_default_of_none_lets_the_param_be_null():
    def handler(limit: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013 - people write it

    assert bind(handler, {"limit": None}) == {"limit": None}
    assert refusal(handler, {"limit": "x"}) == (BAD_PARAM, "param limit: expected int64 or null")


def test_null_is_a_wrong_type_where_only_a_default_was_given():
    assert refusal(send, {**GOOD, "limit": None}) == (BAD_PARAM, "param limit: expected int64")


# ---- names on the wire


def extended(number: Annotated[int, "extra.param"], name: Annotated[str | None, "extra.name"] = None) -> None:
    """Look like a handler of extended params."""


def test_a_param_has_the_name_that_was_annotated():
    assert bind(extended, {"extra.param": 5, "extra.name": "n"}) == {"number": 5, "name": "n"}


def test_texts_use_the_name_on_the_wire():
    assert refusal(extended, {"number": 5}) == (BAD_PARAM, "param extra.param: missing, expected int64")
    assert refusal(extended, {"extra.param": "5"}) == (BAD_PARAM, "param extra.param: expected int64")


def test_an_annotated_param_with_a_default_may_be_absent():
    """Passing null in its place fails on its own type: pylibob 0.1.1 does."""

    def handler(number: Annotated[int, "extra.param"] = 7) -> int:
        return number

    assert bind(handler, {}) == {}
    assert handler(**bind(handler, {})) == 7  # type: ignore[arg-type] - it is empty


def test_what_a_conversion_returns_is_what_the_handler_gets():
    """Validating and then passing what came is not enough: with pylibob 0.1.1 bytes reach the handler as base64."""

    def handler(data: bytes, size: Annotated[float, "x.size"], parts: list[bytes] | None = None) -> None: ...

    arguments = bind(handler, {"data": "AAE=", "x.size": 3, "parts": ["QQ==", b"B"]})
    assert arguments == {"data": b"\x00\x01", "size": 3.0, "parts": [b"A", b"B"]}
    assert type(arguments["size"]) is float


# ---- what is unknown


def test_unknown_params_are_ignored():
    assert set(bind(send, {**GOOD, "_timeout": 30, "bot": 1})) == {"detail_type", "message"}


def test_unknown_params_are_refused_when_that_is_asked_for():
    assert refusal(send, {**GOOD, "_timeout": 30}, strict=True) == (
        UNSUPPORTED_PARAM,
        "param _timeout is not supported",
    )
    assert set(bind(send, {**GOOD, "limit": 1}, strict=True)) == {"detail_type", "message", "limit"}


def test_what_is_missing_is_told_before_what_is_too_much():
    assert refusal(send, {"extra": 1}, strict=True)[0] == BAD_PARAM


@pytest.mark.parametrize("name", ["x" * (MAX_SHOWN + 1), "a\nb", "\x1b[2J", "a\u202eb", "\ud800"])
def test_a_name_that_could_spoil_a_log_is_not_repeated(name: str):
    retcode, message = refusal(send, {**GOOD, name: 1}, strict=True)
    assert retcode == UNSUPPORTED_PARAM
    assert name not in message
    assert len(message) < 100


# ---- **params


def collect(user_id: str, **params: object) -> None:
    """Look like a handler that takes whatever there is."""


def test_all_other_params_can_be_collected():
    for strict in (False, True):
        arguments = bind(collect, {"user_id": "u", "qq.a": 1, "_timeout": None}, strict=strict)
        assert arguments == {"user_id": "u", "qq.a": 1, "_timeout": None}


def test_collected_params_are_converted_too():
    def handler(**params: bytes) -> None: ...

    assert bind(handler, {"a": "QQ=="}) == {"a": b"A"}
    assert refusal(handler, {"a": "QQ==", "b": 1}) == (
        BAD_PARAM,
        "param b: expected bytes (base64 text in JSON)",
    )
    assert refusal(handler, {"x" * 100: 1})[1].startswith("param (of a name that is not shown): expected bytes")


class Service:
    def handle(self, bot: Account, number: Annotated[int, "x.number"], **params: object) -> tuple[object, ...]:
        return self, bot, number, params


def decide(store: str, level: int, /, bot: Account, *, secret: str = "", **params: object) -> tuple[object, ...]:
    return store, level, bot, secret, params


@pytest.mark.parametrize("name", ["self", "bot", "number"])
def test_a_collected_param_cannot_stand_in_for_an_argument_that_python_has_given_away(name: str):
    """It would replace a checked argument by an unchecked one, or make the call a TypeError."""
    service = Service()
    params = {"x.number": 1, name: "forged", "other": 2}
    arguments = bind(service.handle, params)
    assert service.handle(**arguments) == (service, BOT, 1, {"other": 2})  # type: ignore[arg-type]
    assert refusal(service.handle, params, strict=True) == (UNSUPPORTED_PARAM, f"param {name} is not supported")


@pytest.mark.parametrize("name", ["secret", "extra"])
def test_what_a_partial_has_bound_cannot_be_said_otherwise(name: str):
    bound = partial(decide, "store", 5, secret="s", extra="e")
    arguments = bind(bound, {name: "forged", "store": "theirs"})
    assert bound(**arguments) == ("store", 5, BOT, "s", {"extra": "e", "store": "theirs"})  # type: ignore[arg-type]
    assert refusal(bound, {name: "forged"}, strict=True)[0] == UNSUPPORTED_PARAM


NAMES = st.sampled_from(["self", "bot", "number", "x.number", "params", "user_id", "", "qq.a", "__class__", "def"])


@given(st.dictionaries(NAMES | st.text(max_size=5), st.integers(0, 3)))
def test_no_names_make_a_call_fail_that_was_bound(params: dict[str, Any]):
    service = Service()
    if "x.number" not in params:
        assert refusal(service.handle, params)[0] == BAD_PARAM
        return
    arguments = bind(service.handle, params)
    told = service.handle(**arguments)  # type: ignore[arg-type]
    assert told[:3] == (service, BOT, params["x.number"])
    assert told[3] == {k: v for k, v in params.items() if k not in ("self", "bot", "number", "x.number")}


# ---- what is given beside params


def test_the_bot_comes_to_whoever_asks_for_it():
    def handler(me: Account, user_id: str, again: Account | None) -> None: ...

    assert bind(handler, {"user_id": "u", "me": "forged"}) == {"me": BOT, "user_id": "u", "again": BOT}


def test_without_a_bot_an_action_that_needs_one_asks_who_it_is():
    def handler(bot: Account) -> None: ...

    assert refusal(handler, {}, None) == (WHO_AM_I, "this action needs self")


def test_without_a_bot_none_is_given_or_the_default_applies():
    def optional(bot: Account | None) -> None: ...
    def with_default(bot: Account = BOT) -> None: ...
    def with_both(bot: Account | None = BOT) -> None: ...

    assert bind(optional, {}, None) == {"bot": None}
    assert bind(with_default, {}, None) == {}
    assert bind(with_both, {}, None) == {}
    assert bind(with_default, {}, Account("loop", "other")) == {"bot": Account("loop", "other")}


def test_one_call_cannot_change_what_the_next_one_gets():
    def handler(bot: Account | None, **params: object) -> None: ...

    plan = plan_for(handler)
    first = plan.arguments(ActionRequest("x", {"a": 1}, None, None), None, strict=False)
    first["bot"] = first["b"] = "changed"
    assert plan.arguments(ActionRequest("x", {}, None, None), None, strict=False) == {"bot": None}


def test_the_request_comes_to_whoever_asks_for_it():
    def handler(request: ActionRequest, raw: ActionRequest | None = None) -> None: ...

    request = ActionRequest("x", {"request": "forged"}, 5, None)
    arguments = plan_for(handler).arguments(request, None, strict=False)
    assert arguments["request"] is arguments["raw"] is request


def test_what_is_given_is_unknown_as_a_param():
    def handler(bot: Account, request: ActionRequest) -> None: ...

    for name in ("bot", "request"):
        assert refusal(handler, {name: 1}, strict=True) == (UNSUPPORTED_PARAM, f"param {name} is not supported")


# ---- depth


class Tree(TypedDict):
    children: "list[Tree]"


@pytest.mark.parametrize("collected", [False, True])
def test_what_is_nested_too_deeply_is_refused_like_any_other_mistake(collected: bool):  # noqa: FBT001
    def handler(tree: Tree) -> None: ...
    def collector(**params: Tree) -> None: ...

    value: dict[str, object] = {"children": []}
    for _ in range(5000):
        value = {"children": [value]}
    assert refusal(collector if collected else handler, {"tree": value}) == (
        BAD_PARAM,
        "param tree: nested too deeply",
    )
