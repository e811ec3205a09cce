"""The API's methods as bytes: a call is a form, its answer JSON. Knows no queue and no time.

Layer 3, pure and stateless. Sources: dev.vk.com/ru/api/api-requests, dev.vk.com/ru/reference/errors,
dev.vk.com/ru/method/messages.send (`peer_ids`).

The token goes in a header of its own, so that neither URL nor body holds it.
"""

import re
from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple
from urllib.parse import urlencode

import orjson

from rawbot.errors import StateError
from rawbot.exchange import Headers
from rawbot.vk.errors import AnswerError, ExecuteError, RateError, VKError, clean, decode_error, decode_peer_error

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)?")
_READING = re.compile(r"(?!execute\.)[a-z][A-Za-z]*\.(get|is|search)([A-Z][A-Za-z]*)?")
"""Methods that only look: `users.get`, `groups.isMember`; not the stored procedures, whose names say nothing."""

_SEND = "messages.send"
_FORM = (b"content-type", b"application/x-www-form-urlencoded")

_OK = 200
_TOO_MANY = 429
_SERVER_ERROR = 500


class EncodedCall(NamedTuple):
    """One POST."""

    url: str
    body: bytes
    headers: Headers

    def __repr__(self) -> str:
        return "<EncodedCall>"  # its header holds the token


class CallAnswer(NamedTuple):
    """What an answer holds: the response and, of `execute` only, the failures inside."""

    response: object
    errors: tuple[VKError, ...]


def check_method(method: str) -> None:
    """Raise `StateError` for what is no method's name: it would end up in a URL, or in code."""
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise StateError('a method of VK\'s has a name such as "messages.send"')


def encode_params(params: Mapping[str, object]) -> dict[str, str]:
    """Return the fields of a form: lists joined by commas, True as 1, objects as JSON, and without what is None.

    Raises `StateError` for what has no such form, and for an `access_token`, whose place is the header.
    """
    if "access_token" in params:
        raise StateError("a token belongs to the VKApi, not to a call's parameters")
    return {_check_name(name): _encode(name, value) for name, value in params.items() if value is not None}


def encode_call(method: str, params: Mapping[str, object], *, token: str, v: str, url: str) -> EncodedCall:
    """Return the request for a call. `url` ends with a slash; a `v` among the parameters wins over the argument.

    Raises `StateError` for a method or parameters that cannot be sent.
    """
    check_method(method)
    fields = {**encode_params(params)}
    fields.setdefault("v", v)
    return EncodedCall(url + method, urlencode(fields).encode("ascii"), (_FORM, authorization(token)))


def authorization(token: str) -> tuple[bytes, bytes]:
    """Return the header field that carries the token."""
    return b"authorization", b"Bearer " + token.encode("ascii")


def is_idempotent(method: str, fields: Mapping[str, str]) -> bool:
    """Tell whether the call, made twice, does no more than made once.

    So it is with what only looks, and with a message that has a `random_id` other than 0: VK answers its repetition
    with the id of the message that is there.
    """
    if method == _SEND:
        return fields.get("random_id", "0").strip() not in ("", "0")
    return _READING.fullmatch(method) is not None


def decode_answer(status: int, body: bytes, method: str = "", *, secret: str = "") -> CallAnswer:
    """Return what an answer holds. `secret` is kept out of all error texts. Raises `VKError`."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _no_answer(status, method) from None
    if not isinstance(value, dict):
        raise _no_answer(status, method)
    if "error" in value:
        raise _failure(value, status, method, secret)
    if "response" not in value or status != _OK:
        raise _no_answer(status, method)
    errors = value.get("execute_errors")
    failed = [entry for entry in errors if isinstance(entry, dict)] if isinstance(errors, list) else []
    return CallAnswer(value["response"], tuple(decode_error(e, _method_of(e, method), secret) for e in failed))


def decode_result(status: int, body: bytes, method: str = "", *, secret: str = "") -> object:
    """Return a call's result, decoded JSON, a recipient that got no message being a `PeerError` in its place.

    Raises `VKError`: for a direct `execute` also when some of the calls inside have failed.
    """
    answer = decode_answer(status, body, method, secret=secret)
    if not answer.errors:
        return surface_peers(method, answer.response, secret)
    first = answer.errors[0]
    error = ExecuteError(first.code, f"{len(answer.errors)} of the calls inside failed: {first}", method)
    error.errors, error.response = answer.errors, answer.response
    raise error


def surface_peers(method: str, response: object, secret: str = "") -> object:
    """Return the result of a call: recipients that `messages.send` did not reach are `PeerError`s in their place."""
    if method != _SEND or not isinstance(response, list):
        return response
    return [_surface(entry, secret) for entry in response]


def _surface(entry: object, secret: str) -> object:
    error = entry.get("error") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(error, dict):
        return entry
    return decode_peer_error(entry, error, _SEND, secret)


def _failure(value: dict[str, object], status: int, method: str, secret: str) -> VKError:
    """Return the exception for an answer with an error, VK's own or that of what stands before it."""
    error = value["error"]
    if isinstance(error, dict):
        return decode_error(error, method, secret)
    if status >= _SERVER_ERROR or status == _TOO_MANY:
        return _no_answer(status, method)
    return VKError(0, clean(error, secret) or "VK gives no reason", method)


def _no_answer(status: int, method: str) -> VKError:
    """Return the exception for what is no answer of the API's."""
    if status == _TOO_MANY:
        return RateError(0, "HTTP 429", method)
    if status == _OK:
        return AnswerError(0, "the answer is not one of the API", method)
    return (AnswerError if status >= _SERVER_ERROR else VKError)(0, f"HTTP {status}", method)


def _method_of(error: dict[str, object], otherwise: str) -> str:
    method = error.get("method")
    return method if isinstance(method, str) and _METHOD.fullmatch(method) else otherwise


def _check_name(name: str) -> str:
    if not isinstance(name, str) or not name.isascii():
        raise StateError("the names of parameters are ASCII")
    return name


def _encode(name: str, value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset | range):
        items = list(value)
        if any(isinstance(item, Mapping | list | tuple) for item in items):
            return _encode_json(name, items)
        return ",".join(_encode_item(name, item) for item in items)
    return _encode_json(name, value) if isinstance(value, Mapping) else _encode_scalar(name, value)


def _encode_item(name: str, value: object) -> str:
    text = _encode_scalar(name, value)
    if "," in text:
        raise StateError(f"the parameter {name!r} is a list, whose items cannot hold commas")
    return text


def _encode_scalar(name: str, value: object) -> str:
    if isinstance(value, str):
        return _checked(name, str.__str__(value))  # an enum's value, not its name
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float) and isfinite(value):
        return repr(float(value))
    raise StateError(f"the parameter {name!r} has a value that a form cannot hold: {type(value).__name__}")


def _checked(name: str, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise StateError(f"the parameter {name!r} is no text: it holds half of a surrogate pair") from None
    return text


def _encode_json(name: str, value: object) -> str:
    try:
        return orjson.dumps(value).decode("utf-8")
    except (TypeError, RecursionError):
        raise StateError(f"the parameter {name!r} cannot be written as JSON") from None
