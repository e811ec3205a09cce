"""rawbot/onebot/handlers.py: what can be a handler, how its signature is read, and what is refused when."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, partialmethod, wraps
from typing import TYPE_CHECKING, Annotated, Any
from unittest.mock import Mock

import pytest

from rawbot.errors import ConfigError
from rawbot.onebot.handlers import plan_for
from rawbot.onebot.messages import Account, Message, Segment
from rawbot.onebot.plans import Handler
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, ActionError

if TYPE_CHECKING:
    from datetime import datetime as OnlyForReaders  # noqa: N812 - a name that is not there at run time

BOT = Account("loop", "bot-1")
PARAMS: dict[str, object] = {"user_id": "u", "count": 3}


def call(handler: Handler, params: dict[str, object] | None = None) -> object:
    """Bind the params and call the handler, running a coroutine to its end."""
    plan = plan_for(handler)
    result = handler(**plan.arguments(ActionRequest("x", params or PARAMS, None, None), BOT, strict=False))
    assert plan.is_async == inspect.iscoroutine(result)
    return finish(result) if inspect.iscoroutine(result) else result


def finish(coroutine: Any) -> object:  # noqa: ANN401
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


def refusal(handler: Any) -> str:  # noqa: ANN401 - much of it is no handler
    with pytest.raises(ConfigError) as caught:
        plan_for(handler)
    return str(caught.value)


# ---- kinds of handlers


def function(user_id: str, bot: Account, count: int = 0) -> object:
    return user_id, bot, count


async def async_function(user_id: str, bot: Account, count: int = 0) -> object:
    return user_id, bot, count


def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(handler)
    def wrapper(*args: object, **kwargs: object) -> object:
        return handler(*args, **kwargs)

    return wrapper


def decorate_async(handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @wraps(handler)
    async def wrapper(*args: object, **kwargs: object) -> object:
        return handler(*args, **kwargs)

    return wrapper


class Service:
    def method(self, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    async def async_method(self, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    @classmethod
    def class_method(cls, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    @staticmethod
    def static_method(user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    @staticmethod
    async def async_static_method(user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    @decorate
    def decorated(self, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count

    def with_store(self, store: object, user_id: str, bot: Account, count: int = 0) -> object:
        assert store is STORE
        return user_id, bot, count

    stored = partialmethod(with_store, store=Segment("a", {}))


STORE = inspect.getattr_static(Service, "stored").keywords["store"]


class Callee:
    def __call__(self, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count


class AsyncCallee:
    async def __call__(self, user_id: str, bot: Account, count: int = 0) -> object:
        return user_id, bot, count


def with_store(store: Service, user_id: str, bot: Account, count: int = 0) -> object:
    assert isinstance(store, Service)
    return user_id, bot, count


async def async_with_store(store: Service, user_id: str, bot: Account, count: int = 0) -> object:
    return with_store(store, user_id, bot, count)


@functools.lru_cache
def cached(user_id: str, count: int) -> object:
    return user_id, BOT, count


SERVICE = Service()

KINDS: dict[str, tuple[Handler, bool]] = {
    "function": (function, False),
    "coroutine function": (async_function, True),
    "lambda": (lambda user_id, count: (user_id, BOT, count), False),
    "bound method": (SERVICE.method, False),
    "bound coroutine method": (SERVICE.async_method, True),
    "class method": (Service.class_method, False),
    "static method": (SERVICE.static_method, False),
    "static coroutine method": (Service.async_static_method, True),
    "decorated method": (SERVICE.decorated, False),
    "partial method": (SERVICE.stored, False),
    "partial by position": (partial(with_store, SERVICE), False),
    "partial by name": (partial(with_store, store=SERVICE), False),
    "partial of a method": (partial(SERVICE.with_store, STORE), False),
    "partial of a coroutine function": (partial(async_with_store, store=SERVICE), True),
    "partial of a coroutine method": (partial(SERVICE.async_method), True),
    "partial of a partial": (partial(partial(with_store, SERVICE), bot=BOT), False),
    "object": (Callee(), False),
    "object with a coroutine": (AsyncCallee(), True),
    "partial of an object": (partial(Callee(), bot=BOT), False),
    "partial of an object with a coroutine": (partial(AsyncCallee(), bot=BOT), True),
    "bound __call__": (AsyncCallee().__call__, True),
    "decorated function": (decorate(function), False),
    "decorator that makes it a coroutine": (decorate_async(function), True),
    "cached function": (cached, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_may_be_of_any_of_these_kinds(kind: str):
    handler, is_async = KINDS[kind]
    assert plan_for(handler).is_async is is_async
    assert call(handler) == ("u", BOT, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_param_is_found_before_any_of_them_is_called(kind: str):
    with pytest.raises(ActionError) as caught:
        call(KINDS[kind][0], {"count": 3})
    assert caught.value.retcode == BAD_PARAM


def test_a_coroutine_function_behind_a_plain_decorator_counts_as_plain():
    """Nobody can know what the decorator returns; whoever calls it sees whether it must be awaited."""
    assert plan_for(decorate(async_function)).is_async is False


def test_what_a_partial_has_bound_needs_no_type_that_can_come_over_the_wire():
    assert [wire for wire, *_ in plan_for(partial(with_store, store=SERVICE)).wired] == ["user_id", "count"]
    assert "parameter store: Service cannot come" in refusal(with_store)


# ---- what cannot be a handler


def positional_only(user_id: str, /) -> None: ...
def with_args(*user_ids: str) -> None: ...
def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class GeneratorCallee:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (positional_only, "positional_only, parameter user_id: it is positional-only"),
        (partial(positional_only), "positional_only, parameter user_id: it is positional-only"),
        (with_args, "with_args, parameter user_ids: params come by name"),
        (partial(with_args, "a"), "with_args, parameter user_ids: params come by name"),
        (Mock(), "Mock, parameter args: params come by name"),
        (generator, "generator: a handler does not yield"),
        (partial(generator), "generator: a handler does not yield"),
        (async_generator, "async_generator: a handler does not yield"),
        (GeneratorCallee(), "GeneratorCallee: a handler does not yield"),
        (GeneratorCallee().__call__, "GeneratorCallee.__call__: a handler does not yield"),
        (Service, "Service: a handler is a function, a method or an object that can be called"),
        (dict, "dict: a handler is a function"),
        (partial(Service), "Service: a handler is a function"),
        (None, "NoneType: a handler is a function"),
        ("send", "str: a handler is a function"),
        (object(), "object: a handler is a function"),
        (print, "print, parameter args: params come by name"),
        (len, "len, parameter obj: it is positional-only"),
        (getattr, "getattr: its signature cannot be read"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_with_its_name(handler: object, text: str):
    assert refusal(handler).startswith(text)


def test_a_positional_only_parameter_that_is_bound_is_nobodys_business():
    def handler(bot: object, /, user_id: str, count: int) -> object:
        return user_id, bot, count

    assert call(partial(handler, BOT)) == ("u", BOT, 3)


# ---- type hints


def test_without_a_hint_a_parameter_takes_whatever_came():
    def handler(user_id, count=0):  # noqa: ANN001
        return user_id, count

    assert call(handler, {"user_id": [1], "count": {"a": None}}) == ([1], {"a": None})


def test_hints_may_be_strings():
    def handler(user_id: "str", message: "Message", me: "Account | None", n: "Annotated[int, 'x.n']" = 1) -> object:
        return user_id, message, me, n

    hello = [Segment("text", {"text": "hello"})]
    assert call(handler, {"user_id": "u", "message": "hello", "x.n": 2}) == ("u", hello, BOT, 2)


def test_the_hint_of_the_result_may_be_unknown_at_run_time():
    def handler(user_id: str) -> "OnlyForReaders":
        return user_id  # type: ignore[return-value]

    assert call(handler) == "u"


def test_a_hint_that_is_unknown_at_run_time_is_refused_with_handler_and_parameter():
    def handler(user_id: str, since: "OnlyForReaders") -> None: ...

    text = refusal(handler)
    assert "handler, parameter since: its type hint cannot be resolved" in text
    assert "OnlyForReaders" in text


def test_a_local_type_in_a_string_cannot_be_found():
    class Local:
        pass

    def handler(user_id: "Local") -> None: ...

    assert "parameter user_id: its type hint cannot be resolved (name 'Local' is not defined)" in refusal(handler)


@pytest.mark.parametrize("hint", ["not a type", "str[", "1/0", "str.nothing", "list[str, 'Nowhere']"])
def test_a_hint_that_raises_is_a_mistake_of_the_operator(hint: str):
    def handler(user_id: str) -> None: ...

    handler.__annotations__["user_id"] = hint
    assert "handler, parameter user_id: " in refusal(handler)


def test_the_cause_of_a_hint_that_cannot_be_resolved_stays_with_the_error():
    def handler(user_id: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the test

    with pytest.raises(ConfigError) as caught:
        plan_for(handler)
    assert isinstance(caught.value.__cause__, NameError)


def test_a_hint_that_cannot_come_over_the_wire_is_refused_with_handler_and_parameter():
    def handler(ids: set[int]) -> None: ...

    assert "handler, parameter ids: set[int] cannot come over the wire" in refusal(handler)


def test_the_type_of_what_is_collected_is_looked_at_too():
    def handler(**params: set[int]) -> None: ...

    assert "parameter params: set[int] cannot come" in refusal(handler)


# ---- names on the wire


def test_two_parameters_cannot_share_a_name_on_the_wire():
    def handler(user_id: str, again: Annotated[str, "user_id"]) -> None: ...

    assert refusal(handler).endswith("parameter again: another parameter is called 'user_id' on the wire already")


def test_two_parameters_may_swap_their_names():
    def handler(a: Annotated[int, "b"], b: Annotated[int, "a"]) -> object:
        return a, b

    assert call(handler, {"a": 1, "b": 2}) == (2, 1)


@pytest.mark.parametrize("hint", [Annotated[int, ""], Annotated[int, "how many of them"], Annotated[int, "a\nb"]])
def test_a_note_that_is_no_name_is_refused(hint: object):
    def handler(count: int) -> None: ...

    handler.__annotations__["count"] = hint
    assert "a name on the wire is not empty and has no spaces" in refusal(handler)


def test_one_name_is_enough():
    def handler(count: Annotated[int, "a", "b"]) -> None: ...

    assert "several names on the wire" in refusal(handler)


def test_other_notes_are_the_business_of_others():
    def handler(count: Annotated[int, 5, {"max": 3}, "x.count"], again: Annotated[int, None] = 1) -> object:
        return count, again

    assert call(handler, {"x.count": 2, "again": 3}) == (2, 3)


def test_what_does_not_come_by_params_has_no_name_there():
    def with_bot(bot: Annotated[Account, "x.bot"]) -> None: ...
    def with_request(request: Annotated[ActionRequest, "x.request"]) -> None: ...
    def with_rest(**params: Annotated[int, "x.rest"]) -> None: ...

    assert "parameter bot: Account does not come by params" in refusal(with_bot)
    assert "parameter request: ActionRequest does not come by params" in refusal(with_request)
    assert "parameter params: it has no name of its own on the wire" in refusal(with_rest)


def test_an_account_among_other_types_cannot_come():
    def handler(bot: Account | str) -> None: ...

    assert "parameter bot: Account cannot come over the wire" in refusal(handler)
