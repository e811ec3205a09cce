"""Parameters: from a type hint to the conversion that it asks for.

Layer 3, pure. The conversions themselves are in `conversions`, the signatures in which hints stand in `handlers`.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import orjson

from rawbot.errors import ConfigError
from rawbot.onebot import conversions
from rawbot.onebot.conversions import Conversion, Field
from rawbot.onebot.messages import Segment

Known = dict[object, Conversion]
"""The types that may contain themselves, by hint: one that is still being built is found here."""

Build = Callable[[tuple[object, ...], Known], Conversion]
"""Returns the conversion for the arguments of a hint: those in its brackets."""


def conversion_for(hint: object, *, or_null: bool = False) -> Conversion:
    """Return the conversion to a type, or to None with `or_null`. Strings in the hint must have been resolved before.

    Raises `ConfigError` for a hint that nothing on the wire can satisfy.
    """
    return _build_union((hint, NoneType), {}) if or_null else _build(hint, {})


def _build(hint: object, known: Known) -> Conversion:
    origin = get_origin(hint)
    if origin is None:
        return _build_plain(hint, known)
    build = _BUILDERS.get(origin)
    if build is None:
        raise _unusable(hint)
    return build(get_args(hint), known)


def _build_plain(hint: object, known: Known) -> Conversion:
    if not isinstance(hint, Hashable):
        raise _unusable(hint)
    found = _PLAIN.get(hint) or known.get(hint)
    if found is not None:
        return found
    if hint in _CONTAINERS:
        return _CONTAINERS[hint]((), known)
    if isinstance(hint, NewType):
        return _build(hint.__supertype__, known)
    if type(hint).__name__ == "TypeAliasType":  # made by a `type` statement, since Python 3.12
        return _build_alias(hint, known)
    if isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__required_keys__"):
        return _build_typed_dict(hint, known)
    raise _unusable(hint)


def _unusable(hint: object) -> ConfigError:
    if isinstance(hint, ForwardRef):
        return ConfigError(f"the type {hint.__forward_arg__!r} is not known here")
    name = hint.__qualname__ if isinstance(hint, type) and get_origin(hint) is None else repr(hint)
    return ConfigError(
        f"{name} cannot come over the wire: str, int, float, bool, bytes, list[T], dict[str, T], Literal, a TypedDict, "
        "Message, Any and unions of them can"
    )


def _build_list(arguments: tuple[object, ...], known: Known) -> Conversion:
    hint = arguments[0] if arguments else Any
    if hint is Segment:
        return Conversion(conversions.convert_message, "message")
    item = _build(hint, known)
    if item is _ANY:
        return Conversion(partial(conversions.convert_list, None, "list"), "list")
    expected = f"list[{item.expected}]"
    return Conversion(partial(conversions.convert_list, item, expected), expected)


def _build_map(arguments: tuple[object, ...], known: Known) -> Conversion:
    key, hint = arguments or (str, Any)
    if key is not str:
        raise ConfigError("the keys of an object are str: write dict[str, T]")
    item = _build(hint, known)
    if item is _ANY:
        return Conversion(partial(conversions.convert_map, None, "object"), "object")
    expected = f"map[string]{item.expected}"
    return Conversion(partial(conversions.convert_map, item, expected), expected)


def _build_typed_dict(hint: type, known: Known) -> Conversion:
    fields: list[Field] = []
    known[hint] = conversion = Conversion(partial(conversions.convert_object, fields), "object")
    required_keys: frozenset[str] = getattr(hint, "__required_keys__", frozenset())
    try:
        hints = get_type_hints(hint, include_extras=True)
    except Exception as error:  # to evaluate a hint can raise anything
        raise ConfigError(f"the types of {hint.__qualname__} cannot be resolved ({error})") from error
    for key, type_ in hints.items():
        # Where hints are strings, the class itself has not seen Required and NotRequired.
        qualifier = get_origin(type_)
        required = qualifier is Required or (key in required_keys and qualifier is not NotRequired)
        fields.append(Field(key, _build(type_, known), required))
    return conversion


def _build_alias(hint: Any, known: Known) -> Conversion:  # noqa: ANN401 - Python 3.11 has no name for its type
    target: list[Conversion] = []

    def convert(value: object) -> object:
        return target[0].convert(value)

    known[hint] = Conversion(convert, hint.__name__)
    target.append(_build(hint.__value__, known))
    return target[0]


def _build_literal(arguments: tuple[object, ...], _known: Known) -> Conversion:
    if not all(type(each) in (str, int, bool, NoneType) for each in arguments):
        raise ConfigError("a Literal on the wire is made of str, int, bool and None")
    allowed = frozenset((type(each), each) for each in arguments)
    expected = "one of " + ", ".join(orjson.dumps(each).decode() for each in arguments)
    return Conversion(partial(conversions.convert_literal, allowed, expected), expected)


def _build_union(arguments: tuple[object, ...], known: Known) -> Conversion:
    members = [_build(each, known) for each in arguments if each is not NoneType]
    with_null = NoneType in arguments
    expected = " or ".join([*(each.expected for each in members), *(["null"] if with_null else [])])
    return Conversion(
        partial(conversions.convert_union, members, with_null, expected),
        expected,
        members[0].as_is if members else NoneType,
    )


def _build_annotated(arguments: tuple[object, ...], known: Known) -> Conversion:
    if any(isinstance(each, str) for each in arguments[1:]):
        raise ConfigError('a name on the wire stands outermost: Annotated[int | None, "extra.param"]')
    return _build(arguments[0], known)


def _build_qualified(arguments: tuple[object, ...], known: Known) -> Conversion:
    return _build(arguments[0], known)


_ANY = Conversion(conversions.convert_any, "any")
_NULL = Conversion(conversions.convert_null, "null", NoneType)
_PLAIN: dict[object, Conversion] = {
    Any: _ANY,
    object: _ANY,
    str: Conversion(conversions.convert_string, "string", str),
    int: Conversion(conversions.convert_int, "int64"),
    float: Conversion(conversions.convert_float, "float64"),
    bool: Conversion(conversions.convert_bool, "bool", bool),
    bytes: Conversion(conversions.convert_bytes, conversions.BYTES, bytes),
    None: _NULL,
    NoneType: _NULL,
}
_CONTAINERS: dict[object, Build] = {list: _build_list, Sequence: _build_list, dict: _build_map, Mapping: _build_map}
_BUILDERS: dict[object, Build] = {
    **_CONTAINERS,
    Annotated: _build_annotated,
    Literal: _build_literal,
    Union: _build_union,
    UnionType: _build_union,
    Required: _build_qualified,
    NotRequired: _build_qualified,
}
"""By what `typing.get_origin` says."""
