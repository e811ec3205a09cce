"""Handlers in a module whose hints are all strings: rawbot/onebot/handlers.py resolves them one by one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired, TypedDict

import pytest

from rawbot.errors import ConfigError
from rawbot.onebot.actions import Actions
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.plans import Handler
from rawbot.onebot.requests import ActionRequest

if TYPE_CHECKING:
    from decimal import Decimal


class Header(TypedDict):
    name: str
    data: NotRequired[bytes]


class Service:
    def upload(self, headers: list[Header], kind: Literal["url", "data"] = "url") -> object:
        return headers, kind

    async def __call__(self, number: Annotated[int, "x.number"], bot: Account, **rest: bytes) -> Decimal:
        return number, bot, rest  # type: ignore[return-value]


def send(message: Message, user_id: str | None = None) -> object:
    return message, user_id


def pay(amount: Decimal) -> None: ...


BOT = Account("loop", "bot-1")


def call(handler: Handler, params: dict[str, object]) -> object:
    actions = Actions()
    actions.register("x", handler)
    return actions.bind(ActionRequest("x", params, None, None), BOT)()


def test_strings_are_as_good_as_types():
    assert call(send, {"message": "hello", "user_id": None}) == ([Segment("text", {"text": "hello"})], None)
    assert call(partial(send, user_id="u"), {"message": []}) == ([], "u")


def test_methods_and_objects_find_their_names():
    assert call(Service().upload, {"headers": [{"name": "a", "data": "QQ=="}, {"name": "b"}]}) == (
        [{"name": "a", "data": b"A"}, {"name": "b"}],
        "url",
    )
    coroutine = call(Service(), {"x.number": 1, "y": "QQ=="})
    assert asyncio.run(coroutine) == (1, BOT, {"y": b"A"})  # type: ignore[arg-type]


def test_a_name_that_only_type_checkers_import_is_refused_for_a_parameter():
    with pytest.raises(ConfigError, match=r"handler of 'x'.*: pay, parameter amount: .*name 'Decimal' is not defined"):
        call(pay, {"amount": 1})


def test_a_local_type_is_refused_with_handler_and_parameter():
    class Local(TypedDict):
        name: str

    def handler(first: str, second: Local) -> None: ...

    with pytest.raises(ConfigError, match=r"handler, parameter second: .*name 'Local' is not defined"):
        call(handler, {"first": "a", "second": {"name": "a"}})
