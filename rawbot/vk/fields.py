"""Fields of the vendor's JSON objects, read by name and by type.

Layer 3, pure. A field that is absent or null gives the empty value of its type; one of another type is the peer's fault
and raises `ProtocolError`, whose text has the field's name and nothing of its value.
"""

from typing import Any, TypeGuard, cast

from rawbot.errors import ProtocolError

Json = dict[str, Any]
"""A decoded JSON object: the codec is where `Any` ends."""

MAX_INT = 2**63 - 1
"""Ids are integers of 64 bits, with a sign (VKCOM/vk-api-schema: `int64`)."""


class Private:
    """What somebody said or did: its repr tells the kind and nothing else; words and payloads stay out of logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def is_int(value: object) -> TypeGuard[int]:
    """Tell whether this is an integer of 64 bits; neither a bool nor a float is one."""
    return type(value) is int and -MAX_INT <= value <= MAX_INT


def read_int(holder: Json, key: str) -> int:
    """Return an integer of 64 bits, 0 for none."""
    value = holder.get(key)
    if is_int(value):
        return value
    if value is not None:
        raise ProtocolError(f"{key} is not an integer of 64 bits")
    return 0


def need_id(holder: Json, key: str) -> int:
    """Return an integer that must be there and not be 0."""
    value = read_int(holder, key)
    if not value:
        raise ProtocolError(f"there is no {key}")
    return value


def read_flag(holder: Json, key: str) -> bool:
    """Return a bool, which some fields spell as 0 and 1."""
    value = holder.get(key)
    if value is None or value is False or value is True:
        return bool(value)
    return read_int(holder, key) != 0


def read_str(holder: Json, key: str) -> str:
    """Return a string, "" for none."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    if value is not None:
        raise ProtocolError(f"{key} is not a string")
    return ""


def read_dict(holder: Json, key: str) -> Json:
    """Return an object, {} for none."""
    value = holder.get(key)
    if isinstance(value, dict):
        return value
    if value is not None:
        raise ProtocolError(f"{key} is not an object")
    return {}


def read_dicts(holder: Json, key: str) -> list[Json]:
    """Return a list of objects, [] for none."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ProtocolError(f"{key} is not a list of objects")
    return cast("list[Json]", value)
