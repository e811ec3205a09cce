"""The head of the answer to a request that we have sent: as much of HTTP's other side as opening a WebSocket takes.

Layer 2, pure: bytes in, a head out, parsed by h11.
"""

from typing import NamedTuple

import h11

from rawbot.errors import ProtocolError
from rawbot.exchange import Headers

MAX_HEAD = 16 * 1024
"""Bytes that the head of an answer may have, interim answers before it included: else they could come for ever."""


class AnswerHead(NamedTuple):
    """What an answer says before its content."""

    status: int
    headers: Headers
    """Names in lower case."""
    rest: bytes
    """What came behind it; after 101 it is of the new protocol."""


class AnswerReader:
    """Reads the head of one answer to a GET that asks for another protocol."""

    __slots__ = ("_http", "_received")

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._received = 0
        request = h11.Request(
            method="GET", target="/", headers=[("host", ""), ("connection", "upgrade"), ("upgrade", "websocket")]
        )
        self._http.send(request)  # the bytes are written elsewhere; this is what h11 reads the answer by
        self._http.send(h11.EndOfMessage())

    def receive_data(self, data: bytes) -> AnswerHead | None:
        """Take what came; return the head once it is whole. Raises `ProtocolError` for what is no HTTP, or too long."""
        if not data:
            return None  # which h11 would take for the end
        self._received += len(data)
        event = self._next_event(data)
        rest = b"" if event is None else self._http.trailing_data[0]
        if self._received - len(rest) > MAX_HEAD:
            raise ProtocolError("the head of the answer is too long")
        if event is None:
            return None
        headers = [(bytes(name), bytes(value)) for name, value in event.headers]
        return AnswerHead(event.status_code, headers, rest)

    def _next_event(self, data: bytes) -> h11.InformationalResponse | h11.Response | None:
        """Return the head that is not interim, if it is there."""
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
            while isinstance(event, h11.InformationalResponse) and event.status_code != 101:  # noqa: PLR2004 - it ends HTTP
                event = self._http.next_event()
        except h11.RemoteProtocolError:
            raise ProtocolError("the answer is not HTTP") from None
        return event if isinstance(event, h11.InformationalResponse | h11.Response) else None
