"""What the file service demands of parameters and names.

Layer 3, pure and stateless. Source: OneBot 12, interface/file/actions.
"""

import re
from string import hexdigits
from typing import TypeVar

from rawbot.onebot.retcodes import BAD_PARAM, UNSUPPORTED_PARAM, ActionError

MAX_NAME_BYTES = 200
"""Of a file's name, in UTF-8: with an id before it, a file system's 255 are not reached."""

_LONGEST_SUFFIX = 16
_SHA256_DIGITS = 64
_LOWER_HEX = frozenset(hexdigits.lower())

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
"""RFC 9110, sections 5.6.2 and 5.5: nothing in it ends the line, and no space is at its ends."""

_OF_THE_CONNECTION = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive")
)
"""Where the request goes and where it ends is not for applications to say (RFC 9110, section 7; RFC 9112)."""

T = TypeVar("T")


def demand(value: T | None, name: str) -> T:
    """Return a parameter that this kind of request must have. Raises `ActionError` when it is absent."""
    if value is None:
        raise ActionError(BAD_PARAM, f"{name} is missing")
    return value


def check_sha256(digits: str) -> str:
    """Return the digits as they are. Raises `ActionError` for what cannot be a SHA-256 as the standard writes it."""
    if len(digits) != _SHA256_DIGITS or not _LOWER_HEX.issuperset(digits):
        raise ActionError(BAD_PARAM, "sha256 is not 64 lower-case hexadecimal digits")
    return digits


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the fields as they are. Raises `ActionError` for one that cannot be sent, or that is the client's own."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ActionError(BAD_PARAM, "a header cannot be sent as it is")
        if name.lower() in _OF_THE_CONNECTION:
            raise ActionError(UNSUPPORTED_PARAM, "a header is about the connection, not about the file")
    return headers


def clean_name(name: str) -> str:
    """Return a file name without directories, control characters and outer spaces, or "" when nothing is left.

    Applications may use it as it is, so one of them must not be able to name a place for another. A long name is cut
    to `MAX_NAME_BYTES` before its suffix.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if c.isprintable()).strip()
    if not name.strip("."):
        return ""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = (dot + suffix).encode() if stem and len(suffix.encode()) <= _LONGEST_SUFFIX else b""
    start = (stem if ending else name).encode()[: MAX_NAME_BYTES - len(ending)]
    return start.decode("utf-8", "ignore") + ending.decode()
