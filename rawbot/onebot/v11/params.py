"""Parameters of OneBot 11: a number may come as a string, truth as 1, "yes" or "true". Stateless.

Layer 3, pure. Source: OneBot 11, communication/http (values given as strings are parsed), message/segment (0 and 1).
Every function raises `ActionError` with `BAD_PARAM` for what it cannot read, and names the parameter, not its value.
"""

import re

from rawbot.onebot.retcodes import BAD_PARAM, ActionError

Params = dict[str, object]

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_DOUBLE_EXACT = 2**53


def is_absent(params: Params, name: str) -> bool:
    """Tell whether a parameter is left out, null, or an empty string, which is how a form leaves out a number."""
    return params.get(name) in (None, "")


def read_integer(value: object, name: str) -> int:
    """Read a number that has no fraction."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _DOUBLE_EXACT:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value := value.strip()):
        return int(value)
    raise ActionError(BAD_PARAM, f"{name} has to be an integer")


def integer(params: Params, name: str) -> int:
    """Return a parameter that has to be there."""
    if is_absent(params, name):
        raise ActionError(BAD_PARAM, f"{name} is missing")
    return read_integer(params[name], name)


def text(params: Params, name: str, default: str | None = None) -> str:
    """Return a string; a number in its place is written out. Without a default it has to be there."""
    value = params.get(name)
    if value is None:
        value = default
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ActionError(BAD_PARAM, f"{name} is missing" if value is None else f"{name} has to be a string")
    return value


def flag(params: Params, name: str, *, default: bool = False) -> bool:
    """Return truth or falsehood, `default` where nothing is said."""
    if is_absent(params, name):
        return default
    value = params[name]
    if isinstance(value, bool):
        return value
    truth = _TRUTH.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if truth is None:
        raise ActionError(BAD_PARAM, f"{name} has to be true or false")
    return truth


def record(params: Params, name: str) -> Params:
    """Return an object that has to be there."""
    value = params.get(name)
    if not isinstance(value, dict):
        raise ActionError(BAD_PARAM, f"{name} has to be an object")
    return value
