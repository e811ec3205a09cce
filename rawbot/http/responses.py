"""A response to bytes: one object, ready for one write.

Layer 2, pure. Written by hand rather than by h11, which takes 25 µs where this takes one (h11 0.16, CPython 3.11).
"""

import http
import re
from email.utils import formatdate
from functools import lru_cache

from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim response that a client with `Expect: 100-continue` waits for (RFC 9110, section 10.1.1)."""

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode("ascii") for s in http.HTTPStatus}
_WITHOUT_CONTENT = frozenset({204, 304})
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def encode_response(
    response: Response, now: float, *, head_only: bool = False, connection: bytes | None = None
) -> bytes:
    """Return status line, fields and body.

    Date and Content-Length are always there, Content-Type when there is a body; `connection` is the value of that
    field, if it is due. With `head_only` (the answer to HEAD) the body is counted and left out. Raises `StateError`
    for a status that is none and for fields that would let content become syntax (RFC 9110, section 5.5).
    """
    status_line = _STATUS_LINES.get(response.status)
    if status_line is None or response.status < http.HTTPStatus.OK:
        raise StateError(f"{response.status} is not the status of a final response")
    body = response.body
    parts = [status_line, b"date: ", _date(int(now)), b"\r\n"]
    if response.status not in _WITHOUT_CONTENT:
        parts.append(b"content-length: %d\r\n" % len(body))
        if body:
            parts += (b"content-type: ", response.content_type, b"\r\n")
    for name, value in response.headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise StateError("a response field holds characters that no field may hold")
        parts += (name, b": ", value, b"\r\n")
    if connection is not None:
        parts += (b"connection: ", connection, b"\r\n")
    parts.append(b"\r\n")
    if body and not head_only and response.status not in _WITHOUT_CONTENT:
        parts.append(body)
    return b"".join(parts)


def refusal(error: ProtocolError) -> Response:
    """Return the plain short answer to a request that breaks HTTP: its status and that status's phrase."""
    return Response(error.status, f"{http.HTTPStatus(error.status).phrase}\n".encode("ascii"))


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    """Format a second as RFC 9110, section 5.6.7, asks; made once a second (3 µs)."""
    return formatdate(second, usegmt=True).encode("ascii")
