"""Conversions: what came over the wire, made into what a handler asks for, or refused.

Layer 3, pure; type hints are read in `parameters`. Source: OneBot 12, connect/data-protocol/basic-types, whose names
the texts use. A text tells the place and what was expected there, never what came.
"""

from binascii import a2b_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from rawbot.errors import RawbotError
from rawbot.onebot.messages import decode_message
from rawbot.onebot.retcodes import BAD_PARAM, ActionError

MIN_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1
"""What an int64 can hold. JSON and MessagePack carry larger ones."""

BYTES = "bytes (base64 text in JSON)"

Convert = Callable[[object], object]


class MismatchError(RawbotError):
    """What came is not what was asked for.

    `where` is the place inside the parameter: "", "[3]", ".title", and ".*" for some value of a map, whose keys are the
    peer's words. `retcode` is 10003, or what `decode_message` says of a segment.
    """

    def __init__(self, reason: str, *, where: str = "", retcode: int = BAD_PARAM) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.retcode = retcode

    def inside(self, place: str) -> "MismatchError":
        """Return the same error as seen from one level further out."""
        return MismatchError(self.reason, where=place + self.where, retcode=self.retcode)


@dataclass(slots=True, frozen=True)
class Conversion:
    """How to come by a type: `convert(value)` returns what a handler gets, or raises `MismatchError`.

    `as_is` is a type whose instances (not those of subclasses) would come back unchanged: the caller may save the call.
    """

    convert: Convert
    expected: str
    as_is: type | None = None


@dataclass(slots=True, frozen=True)
class Field:
    """One key of an object that has declared keys."""

    key: str
    conversion: Conversion
    required: bool


def mistyped(expected: str) -> MismatchError:
    """Return the error for a value of another type."""
    return MismatchError(f"expected {expected}")


def convert_any(value: object) -> object:
    """Return what came."""
    return value


def convert_string(value: object) -> str:
    """Accept a string."""
    if isinstance(value, str):
        return value
    raise mistyped("string")


def convert_int(value: object) -> int:
    """Accept an integer of 64 bits; true and false are none."""
    if isinstance(value, int) and not isinstance(value, bool) and MIN_INT64 <= value <= MAX_INT64:
        return value
    raise mistyped("int64")


def convert_float(value: object) -> float:
    """Accept any number. NaN and the infinities are none: JSON cannot say them, and NaN passes tests of a range."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise mistyped("float64") from None
        if isfinite(number):
            return number
    raise mistyped("float64")


def convert_bool(value: object) -> bool:
    """Accept true and false."""
    if isinstance(value, bool):
        return value
    raise mistyped("bool")


def convert_bytes(value: object) -> bytes:
    """Accept bytes, and base64 text with its padding and nothing besides."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise mistyped(BYTES)
    try:
        decoded = a2b_base64(value, strict_mode=True)
    except ValueError:  # binascii.Error is one
        raise mistyped(BYTES) from None
    if len(value) != (len(decoded) + 2) // 3 * 4:  # "AAAA=" passes the strict mode of Python 3.11
        raise mistyped(BYTES)
    return decoded


def convert_null(value: object) -> None:
    """Accept null."""
    if value is not None:
        raise mistyped("null")


def convert_message(value: object) -> object:
    """Accept a message in any of its forms: the handler gets a list of segments."""
    if not isinstance(value, list | dict | str):
        raise mistyped("message")
    try:
        return decode_message(value)
    except ActionError as error:
        raise MismatchError(error.message, retcode=error.retcode) from None


def convert_list(item: Conversion | None, expected: str, value: object) -> object:
    """Accept a list and convert its items, if they need it."""
    if not isinstance(value, list):
        raise mistyped(expected)
    if item is None:
        return value
    as_is, convert = item.as_is, item.convert
    converted: list[object] = []
    try:
        for each in value:
            converted.append(each if type(each) is as_is else convert(each))  # noqa: PERF401 - its length is the place
    except MismatchError as error:
        raise error.inside(f"[{len(converted)}]") from None
    return converted


def convert_map(item: Conversion | None, expected: str, value: object) -> object:
    """Accept an object and convert its values, if they need it."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise mistyped(expected)
    if item is None:
        return value
    as_is, convert = item.as_is, item.convert
    try:
        return {key: each if type(each) is as_is else convert(each) for key, each in value.items()}
    except MismatchError as error:
        raise error.inside(".*") from None


def convert_object(fields: Sequence[Field], value: object) -> object:
    """Accept an object with these fields and convert them; others stay as they came, for an extension may add some."""
    if not isinstance(value, dict):
        raise mistyped("object")
    converted = dict(value)
    for field in fields:
        if field.key in value:
            converted[field.key] = _convert_field(field, value[field.key])
        elif field.required:
            raise MismatchError(f"missing, expected {field.conversion.expected}", where=f".{field.key}")
    return converted


def _convert_field(field: Field, value: object) -> object:
    try:
        return field.conversion.convert(value)
    except MismatchError as error:
        raise error.inside(f".{field.key}") from None


def convert_literal(allowed: frozenset[tuple[type, object]], expected: str, value: object) -> object:
    """Accept one of these values, of the same type: true is not 1."""
    if isinstance(value, str | int | None) and (type(value), value) in allowed:
        return value
    raise mistyped(expected)


def convert_union(members: Sequence[Conversion], with_null: bool, expected: str, value: object) -> object:  # noqa: FBT001
    """Accept what one of the members accepts, asking them in order, or null."""
    if with_null and value is None:
        return None
    telling: list[MismatchError] = []
    for member in members:
        try:
            return member.convert(value)
        except MismatchError as error:
            if error.where or error.reason != f"expected {member.expected}":
                telling.append(error)
    # One member knew the shape and found something wrong inside: that says more than a list of all types.
    raise telling[0] if len(telling) == 1 else mistyped(expected)
