"""VK's rules: what an answer to a callback means, the API's errors, what a message and its keyboard may hold.

Layer 3 (simulate), pure. Written from the vendor's pages and not from our own wing, which it judges:
dev.vk.com/ru/api/callback/getting-started, dev.vk.com/ru/reference/errors, dev.vk.com/ru/method/messages.send,
dev.vk.com/ru/api/bots/development/keyboard.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeGuard

import orjson

from rawbot.exchange import Response

JsonObject = dict[str, object]
Version = tuple[int, int]

MAX_TEXT = 9000
MAX_PEERS = 100
MAX_EVENT_DATA = 1000
MAX_RETRY_AFTER = 3 * 3600.0
"""Seconds for which VK lets itself be put off; it has to be less."""

OLDEST_VERSION: Version = (5, 81)
"""The first version of the API that callbacks come in."""

FAULTS_OF_CALLERS = frozenset((3, 5, 6, 8, 12, 13, 15, 27, 100, 909, 911, 914, 2000))
"""The errors that no bot should ever meet; the others depend on what users have settled."""

MESSAGES: dict[int, str] = {
    1: "Unknown error occurred",
    3: "Unknown method passed",
    5: "User authorization failed: invalid access_token (4).",
    6: "Too many requests per second",
    8: "Invalid request: v (version) is required",
    9: "Flood control",
    10: "Internal server error",
    12: "Unable to compile code",
    13: "Runtime error occurred during code invocation",
    14: "Captcha needed",
    15: "Access denied",
    27: "Group authorization failed: method is unavailable with group auth.",
    28: "Application authorization failed: method is unavailable with service token.",
    29: "Rate limit reached",
    100: "One of the parameters specified was missing or invalid",
    900: "Can't send messages for users from blacklist",
    901: "Can't send messages for users without permission",
    902: "Can't send messages to this user due to their privacy settings",
    907: "Value of ts or pts is too old",
    908: "Value of ts or pts is too new",
    909: "Can't edit this message, because it's too old",
    911: "Keyboard format is invalid",
    914: "Message is too long",
    917: "You don't have access to this chat",
    2000: "Servers number limit is reached",
}


class ApiError(Exception):
    """What the API answers in place of a result. `more` are further fields of the error, as captcha_sid."""

    def __init__(self, code: int, detail: str = "", more: Mapping[str, object] | None = None) -> None:
        message = MESSAGES.get(code, "Error")
        super().__init__(f"{message}: {detail}" if detail else message)
        self.code = code
        self.more = more or {}


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Tell whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def parse_version(text: str) -> Version | None:
    """Return a version of the API as two numbers, None for what is none."""
    found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", text, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What VK makes of an answer to a callback."""

    means: Literal["ok", "remove", "version", "later", "failed"]
    reason: str = ""
    """What was wrong, of `failed`."""
    version: str = ""
    delay: float = 0.0
    """Seconds, of `later`."""


def judge_answer(response: Response, now: float) -> Verdict:
    """Judge the answer to an event. `now` is for a Retry-After with a date, where the answer tells no date itself."""
    if response.status in (410, 429, 503) and (told := _header(response, b"retry-after")) is not None:
        delay = _read_delay(told, _header(response, b"date"), now)
        if delay is None or not 0 <= delay < MAX_RETRY_AFTER:
            return Verdict("failed", f"Retry-After is neither a time nor seconds below {MAX_RETRY_AFTER:g}")
        return Verdict("later", delay=delay)
    if response.status != 200:  # noqa: PLR2004 - the only one
        return Verdict("failed", f"an answer's status is {response.status}")
    body = response.body
    if body == b"ok":
        return Verdict("ok")
    if body == b"remove":
        return Verdict("remove")
    version = re.fullmatch(rb"version (\d{1,3}\.\d{1,3})", body)
    if version is None:
        return Verdict("failed", f"an answer is {_quote(body)} and not ok")
    name = version[1].decode("ascii")
    if (parse_version(name) or OLDEST_VERSION) < OLDEST_VERSION:
        return Verdict("failed", f"version {name} is older than the oldest, 5.81")
    return Verdict("version", version=name)


def judge_confirmation(response: Response, code: str) -> str:
    """Return what is wrong with the answer to a confirmation, "" if nothing is."""
    if response.status != 200:  # noqa: PLR2004 - the only one
        return f"the answer to the confirmation has status {response.status}"
    if response.body == code.encode():
        return ""
    return f"the answer to the confirmation is {_quote(response.body)} and not the confirmation string"


def check_keyboard(text: str) -> JsonObject | None:
    """Return the keyboard in `keyboard`, None for an empty parameter. Raises `ApiError` (911)."""
    if not text:
        return None
    try:
        keyboard: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ApiError(911, "it is not JSON") from None
    rows = keyboard.get("buttons") if is_object(keyboard) else None
    if not is_object(keyboard) or not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
        raise ApiError(911, "buttons is not an array of rows")
    inline = keyboard.get("inline") is True
    if inline and keyboard.get("one_time") is True:
        raise ApiError(911, "inline keyboards are not shown one time")
    max_rows, max_buttons = (6, 10) if inline else (10, 40)
    if len(rows) > max_rows or any(len(row) > _MAX_ROW for row in rows) or sum(map(len, rows)) > max_buttons:
        raise ApiError(911, f"more than {max_rows} rows, {_MAX_ROW} buttons in one or {max_buttons} in all")
    for row in rows:
        for button in row:
            _check_button(button)
    return keyboard


_MAX_ROW = 5
_MAX_LABEL = 40
_MAX_PAYLOAD = 255
_ACTIONS = ("text", "callback", "open_link", "open_app", "location", "vkpay")
_LABELLED = ("text", "callback", "open_link", "open_app")
_COLOURS = ("primary", "secondary", "negative", "positive")


def _check_button(button: object) -> None:
    action = button.get("action") if is_object(button) else None
    if not is_object(button) or not is_object(action) or action.get("type") not in _ACTIONS:
        raise ApiError(911, "a button has no action of a known type")
    label, payload = action.get("label"), action.get("payload", "")
    if action["type"] in _LABELLED and not (isinstance(label, str) and 0 < len(label) <= _MAX_LABEL):
        raise ApiError(911, f"a label is a string of 1 to {_MAX_LABEL} characters")
    if len(payload if isinstance(payload, str) else orjson.dumps(payload)) > _MAX_PAYLOAD:
        raise ApiError(911, f"a payload has at most {_MAX_PAYLOAD} characters")
    if button.get("color", "primary") not in _COLOURS:
        raise ApiError(911, "a color is none of the four")


def _header(response: Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


def _read_delay(told: str, date: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3), None for what is none."""
    if told.isdigit() and told.isascii():
        return float(told)
    try:
        since = now if date is None else parsedate_to_datetime(date).timestamp()
        return parsedate_to_datetime(told).timestamp() - since
    except ValueError:
        return None


def _quote(body: bytes) -> str:
    return repr(body[:40].decode("utf-8", "replace")) + ("…" if len(body) > 40 else "")  # noqa: PLR2004 - for a line
