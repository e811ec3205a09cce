"""Handlers: the signature of an action's handler, read once and turned into a plan.

Layer 3, pure; nothing is called here. What a plan does is in `plans`, what a type hint means in `parameters`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from inspect import Parameter
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.parameters import conversion_for
from rawbot.onebot.plans import Handler, Plan
from rawbot.onebot.requests import ActionRequest


def plan_for(handler: Handler) -> Plan:
    """Read the handler's signature. Raises `ConfigError` for what cannot serve as one; the text names the parameter."""
    name = _name_of(handler)
    _check(handler, name)
    function = _function_of(handler)
    bound = _bound_by_partial(handler)
    signature = _signature_of(handler, name)
    own_names = {each.name for each in _signature_of(function, name).parameters.values() if each.kind in _BY_NAME}
    plan = Plan(handler, _is(inspect.iscoroutinefunction, handler), frozenset(own_names | bound))
    for parameter in signature.parameters.values():
        if parameter.name in bound:
            continue
        try:
            _add(plan, parameter, _hint_of(parameter, function))
        except ConfigError as error:
            raise ConfigError(f"{name}, parameter {parameter.name}: {error}") from error.__cause__
    return plan


_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_NOT_BY_NAME = {
    Parameter.POSITIONAL_ONLY: "it is positional-only, and params come by name",
    Parameter.VAR_POSITIONAL: "params come by name, so there is nothing for it; **params takes all unknown ones",
}


def _check(handler: Handler, name: str) -> None:
    if not callable(handler) or isinstance(_unpack(handler), type):
        raise ConfigError(f"{name}: a handler is a function, a method or an object that can be called")
    if _is(inspect.isgeneratorfunction, handler) or _is(inspect.isasyncgenfunction, handler):
        raise ConfigError(f"{name}: a handler does not yield: it returns the response's data")


def _add(plan: Plan, parameter: Parameter, hint: object) -> None:
    """Add one parameter to the plan."""
    name = parameter.name
    wire, hint = _split_name(name, hint)
    with_default = parameter.default is not Parameter.empty
    if parameter.kind is Parameter.VAR_KEYWORD:
        if wire != name:
            raise ConfigError("it has no name of its own on the wire")
        plan.rest = conversion_for(hint).convert
    elif (given := _given(hint)) is not None:
        if wire != name:
            raise ConfigError(f"{given.__name__} does not come by params: it has no name on the wire")
        _add_given(plan, name, hint, given, with_default=with_default)
    else:
        conversion = conversion_for(hint, or_null=parameter.default is None)
        if wire in plan.known:
            raise ConfigError(f"another parameter is called {wire!r} on the wire already")
        plan.known.add(wire)
        plan.wired.append((wire, name, conversion.as_is, conversion.convert))
        if not with_default:
            plan.missing[wire] = f"param {wire}: missing, expected {conversion.expected}"


def _add_given(plan: Plan, name: str, hint: object, given: type, *, with_default: bool) -> None:
    if given is ActionRequest:
        plan.requests.append(name)
        return
    plan.accounts.append(name)
    if with_default:
        return
    if hint is Account:
        plan.needs_bot = True
    else:
        plan.without_bot[name] = None


def _given(hint: object) -> type | None:
    """Return the type of what is given to a handler beside params, when the hint is that, or that or None."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    asked = [each for each in members if each is not NoneType]
    return next((type_ for type_ in (Account, ActionRequest) if asked == [type_]), None)


def _split_name(name: str, hint: object) -> tuple[str, object]:
    """Return the name on the wire and the type: those of `Annotated[int, "extra.param"]`, or the parameter's own."""
    if get_origin(hint) is not Annotated:
        return name, hint
    type_, *notes = get_args(hint)
    names = [note for note in notes if isinstance(note, str)]
    if len(names) > 1:
        raise ConfigError("it has several names on the wire")
    if names and (not names[0] or not names[0].isprintable() or " " in names[0]):
        raise ConfigError("a name on the wire is not empty and has no spaces")
    return (names or [name])[0], type_


def _hint_of(parameter: Parameter, function: Handler) -> object:
    """Return the parameter's hint with its strings resolved, by itself: no other hint, nor the result's, is needed."""
    if parameter.kind in _NOT_BY_NAME:
        raise ConfigError(_NOT_BY_NAME[parameter.kind])
    if parameter.annotation is Parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(function, "__globals__", {})
    try:
        return get_type_hints(holder, names, include_extras=True)[parameter.name]
    except Exception as error:  # to evaluate a hint can raise anything
        raise ConfigError(
            f"its type hint cannot be resolved ({error}): what a hint names is in the module, imported at run time"
        ) from error


def _signature_of(handler: Handler, name: str) -> inspect.Signature:
    try:
        return inspect.signature(handler)
    except Exception as error:  # ValueError of most built-in functions; whatever evaluating a hint raises, since 3.14
        raise ConfigError(f"{name}: its signature cannot be read ({error})") from error


def _is(test: Callable[[object], bool], handler: Handler) -> bool:
    """Ask it of a function, of what a `partial` calls, or of an object's `__call__`."""
    handler = _unpack(handler)
    return test(handler) or test(type(handler).__call__)


def _unpack(handler: Handler) -> Handler:
    while isinstance(handler, partial):
        handler = handler.func
    return handler


def _bound_by_partial(handler: Handler) -> set[str]:
    """Return the names of keyword arguments that are decided already: no peer may say otherwise."""
    names: set[str] = set()
    while isinstance(handler, partial):
        names |= handler.keywords.keys()
        handler = handler.func
    return names


def _function_of(handler: Handler) -> Handler:
    """Return the function whose signature and module count, with `self` and without decorators."""
    handler = _unpack(handler)
    if not inspect.isroutine(handler) and not hasattr(handler, "__wrapped__"):
        handler = type(handler).__call__
    function: Handler = inspect.unwrap(getattr(handler, "__func__", handler))
    return function


def _name_of(handler: object) -> str:
    handler = _unpack(handler) if callable(handler) else handler
    name: str = getattr(handler, "__qualname__", type(handler).__qualname__)
    return name
