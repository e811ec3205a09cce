"""Several calls in one: code for `execute`, and whose is what in its answer.

Layer 3, pure and stateless. Source: dev.vk.com/ru/method/execute (at most 25 calls; one that fails returns false, and
its error stands in `execute_errors`, in their order).
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from rawbot.errors import StateError
from rawbot.vk.calls import Call
from rawbot.vk.errors import AnswerError, VKError
from rawbot.vk.methods import CallAnswer, check_method, surface_peers

EXECUTE = "execute"

MAX_CALLS = 25
"""Calls that VK carries out in one `execute`."""

MAX_CODE = 48 * 1024
"""Characters of fields in one `execute`. VK names no limit; this is room for five messages of the greatest length, and
a request that is longer gains little by one round trip less."""

SINGLY = frozenset((3, 8, 12, 13, 15, 27, 28))
"""Codes by which `execute` itself is refused, or breaks off, for a reason that a call by itself need not have: 12, the
code is not understood; 13, it broke off, as for an answer that is too large; 27, the token is not one for `execute`."""


def encode_execute(calls: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """Return code that makes these calls, each a method with its fields, and returns the list of their results.

    Raises `StateError` for more than 25, none, or what is no method's name.
    """
    if not 1 <= len(calls) <= MAX_CALLS:
        raise StateError("execute carries 1 to 25 calls")
    for method, _ in calls:
        check_method(method)
    made = (f"API.{method}({orjson.dumps(fields).decode('utf-8')})" for method, fields in calls)
    return f"return [{','.join(made)}];"


def gather(waiting: Iterable[Call]) -> tuple[list[Call], bool]:
    """Return those at the front that go together, one at least, and whether none that comes later could join them."""
    found: list[Call] = []
    size = 0
    for call in waiting:
        size += sum(len(name) + len(value) for name, value in call.fields.items())
        if found and (size > MAX_CODE or not call.shareable):
            return found, True
        found.append(call)
        if not call.shareable or len(found) == MAX_CALLS:
            return found, True
    return found, False


def decode_execute(answer: CallAnswer, methods: Sequence[str], *, secret: str = "") -> list[object]:
    """Return what came of each call: its result, or a `VKError` in its place.

    Errors belong to the results that are false, in their order; `_blame` says what where they do not fit together.
    """
    results = answer.response
    if not isinstance(results, list) or len(results) != len(methods):
        return [AnswerError(0, "execute did not return a result for each call", method) for method in methods]
    failed = [method for method, result in zip(methods, results, strict=True) if result is False]
    blamed = iter(_blame(failed, answer.errors))
    return [
        next(blamed) if result is False else surface_peers(method, result, secret)
        for method, result in zip(methods, results, strict=True)
    ]


def _blame(failed: Sequence[str], errors: Sequence[VKError]) -> list[object]:
    """Return what came of each call that returned false.

    By their order, when the methods agree; else method by method, when there are as many errors as calls of it. Of a
    method without any error false is the result. Of all other calls it is not known what came of them.
    """
    if [error.method for error in errors] == list(failed):
        return list(errors)
    strays = [error for error in errors if error.method not in failed]
    told: dict[str, list[object]] = {}
    for method in set(failed):
        own = [error for error in errors if error.method == method]
        count = failed.count(method)
        if strays or len(own) not in (0, count):
            told[method] = [_unclear(method, errors[0]) for _ in range(count)]
        else:
            told[method] = list(own) or [False] * count
    return [told[method].pop(0) for method in failed]


def _unclear(method: str, first: VKError) -> VKError:
    return AnswerError(0, f"execute returned false, and it is not clear why: {first}", method)
