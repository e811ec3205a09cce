"""The code of `execute`, as far as a client that bundles calls writes it: a list of calls, their arguments JSON.

Layer 3 (simulate), pure. Source: dev.vk.com/ru/method/execute. Of VKScript it reads `return [API.a.b({…}),…];` and
`return API.a.b({…});`, no more.
"""

import json
import re

from rawbot.simulate.vk_rules import ApiError, JsonObject, is_object

MAX_CALLS = 25

_CALL = re.compile(r"\s*API\.([A-Za-z]+\.[A-Za-z]+)\s*\(\s*")
_DECODER = json.JSONDecoder()


def parse_code(code: str) -> tuple[list[tuple[str, dict[str, str]]], bool]:
    """Return the calls, and whether their results are wanted as a list. Raises `ApiError` (12, 13)."""
    found = re.fullmatch(r"\s*return\s*(.*?)\s*;\s*", code, re.DOTALL)
    if found is None:
        raise ApiError(12, "no return at the end")
    inside = found[1]
    bundled = inside.startswith("[")
    if bundled:
        if not inside.endswith("]"):
            raise ApiError(12, "unexpected end of the list")
        inside = inside[1:-1]
    calls = []
    position = 0
    while True:
        call, position = _parse_call(inside, position)
        calls.append(call)
        if position == len(inside):
            break
        if inside[position] != "," or not bundled:
            raise ApiError(12, f"unexpected character {position}")
        position += 1
    if len(calls) > MAX_CALLS:
        raise ApiError(13, "too many api calls")
    return calls, bundled


def _parse_call(code: str, position: int) -> tuple[tuple[str, dict[str, str]], int]:
    """Return the call that stands there, and where what follows begins."""
    found = _CALL.match(code, position)
    if found is None:
        raise ApiError(12, f"no call at character {position}")
    arguments: JsonObject = {}
    position = found.end()
    if not code.startswith(")", position):
        try:
            value, position = _DECODER.raw_decode(code, position)
        except json.JSONDecodeError:
            raise ApiError(12, f"no arguments at character {position}") from None
        if not is_object(value):
            raise ApiError(12, f"the arguments at character {position} are no object")
        arguments = value
    end = re.compile(r"\s*\)\s*").match(code, position)
    if end is None:
        raise ApiError(12, f"no end of the call at character {position}")
    return (found[1], {name: _as_field(value) for name, value in arguments.items()}), end.end()


def _as_field(value: object) -> str:
    """Return an argument as a form would have it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return ",".join(map(_as_field, value))
    return value if isinstance(value, str) else json.dumps(value)
