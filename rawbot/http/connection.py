"""One HTTP/1.1 connection without IO: bytes in, whole requests out, responses to bytes.

Layer 2, pure. h11 parses; this file decides how much of the peer's bytes h11 gets to see and when:

- h11 parses heads and chunks. A body whose length the head tells is as many bytes, and h11 is not asked about it.
- The head is held back until its blank line is there, so its size is bounded however it arrives; h11 alone bounds only
  heads that are incomplete (a 100 KB head in one piece passes).
- Each request has an h11 object of its own (1.3 µs), used for reading only. Responses are written in `responses`.
- The next request is not parsed before the answer to the last one was sent. So pipelined requests are answered in
  order, and what they cost is their bytes in one buffer, which the shell keeps short by not reading on.

        ┌────────────── send ──────────────┐
        ▼                                  │
      HEAD ──▶ BODY ──▶ ANSWER (owed) ─────┴─▶ CLOSED
        └────────┴── any error: refuse ───────▶┘
"""

import enum
import re

import h11

from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Headers, Request, Response
from rawbot.http.limits import Limits
from rawbot.http.responses import CONTINUE, encode_response, refusal


class Phase(enum.IntEnum):  # an Enum is hashed in Python: 0.25 µs for each move
    """What the connection waits for."""

    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    CLOSED = enum.auto()


_MOVES = {
    Phase.HEAD: (Phase.BODY, Phase.CLOSED),
    Phase.BODY: (Phase.ANSWER, Phase.CLOSED),
    Phase.ANSWER: (Phase.HEAD, Phase.CLOSED),
    Phase.CLOSED: (),
}

_BLANK_LINE = re.compile(rb"\n\r?\n")
_METHOD_START = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_AROUND_TARGET = 64
"""Bytes allowed for method, version and blanks beside a target whose line has not ended yet."""


class HttpConnection:
    """The server's side of one connection.

    Call `receive_data` with what came, then `next_request` until it returns None; answer each request with `send`
    before asking for the next. `peer` is put into every request.
    """

    __slots__ = (
        "_body", "_body_size", "_buffer", "_chunked", "_head_only", "_keep", "_limits", "_parser", "_peer", "_request",
        "_scanned", "_version", "_wants_continue", "phase",
    )  # fmt: skip

    def __init__(self, limits: Limits, *, peer: str = "") -> None:
        self.phase = Phase.HEAD
        self._limits = limits
        self._peer = peer
        self._buffer = bytearray()
        self._scanned = 0
        self._parser: h11.Connection | None = None
        self._request: Request | None = None
        self._body = bytearray()
        self._body_size = 0
        self._chunked = False
        self._head_only = False
        self._keep = False
        self._version = b"1.1"
        self._wants_continue = False

    @property
    def buffered(self) -> int:
        """How many bytes wait to be parsed."""
        return len(self._buffer)

    @property
    def idle(self) -> bool:
        """Whether nothing of a request is there and nothing is owed."""
        return self.phase is Phase.HEAD and not self._buffer

    def receive_data(self, data: bytes) -> None:
        """Take in what the peer sent; after the end of the connection it is thrown away."""
        if self.phase is not Phase.CLOSED:
            self._buffer += data

    def next_request(self) -> Request | None:
        """Return the next whole request, or None while it is not there or an answer is owed.

        Raises `ProtocolError` or `LimitError`, to be answered with `refuse`.
        """
        if self.phase is Phase.HEAD and (not self._buffer or not self._begin()):
            return None
        if self.phase is Phase.BODY:
            return self._read_body()
        return None

    def take_interim(self) -> bytes:
        """Return "100 Continue" once when the client waits for it before it sends the body, else b""."""
        if not self._wants_continue or self.phase is not Phase.BODY:
            return b""
        self._wants_continue = False
        return CONTINUE

    def send(self, response: Response, now: float, *, close: bool = False) -> bytes:
        """Return the answer that is owed. Afterwards the phase tells whether the connection stays."""
        if self.phase is not Phase.ANSWER:
            raise StateError("no answer is owed")
        keep = self._keep and not close
        connection = None if keep else b"close"
        if keep and self._version == b"1.0":
            connection = b"keep-alive"
        data = encode_response(response, now, head_only=self._head_only, connection=connection)
        self._move(Phase.HEAD if keep else Phase.CLOSED)
        return data

    def refuse(self, error: ProtocolError, now: float) -> bytes:
        """Return the answer to what `next_request` raised; the connection is over."""
        self._move(Phase.CLOSED)
        return encode_response(refusal(error), now, head_only=self._head_only, connection=b"close")

    def _move(self, phase: Phase) -> None:
        if phase not in _MOVES[self.phase]:
            raise StateError(f"a connection cannot go from {self.phase.name} to {phase.name}")
        self.phase = phase
        if phase is Phase.CLOSED:
            self._buffer.clear()
            self._body.clear()

    def _begin(self) -> bool:
        """Parse the head once it is whole."""
        end = self._head_end()
        if end is None:
            return False
        self._parser = parser = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.max_header_size)
        event = self._parse(self._take(end))
        if not isinstance(event, h11.Request):
            raise ProtocolError("not an HTTP request")
        if not event.http_version.startswith(b"1."):
            raise ProtocolError("not a version of HTTP that is spoken here", status=505)
        path, query = _split_target(event.target, self._limits)
        # not list(event.headers), whose iteration is h11's own Python: 2 µs
        headers: Headers = [(name.lower(), value) for name, value in event.headers.raw_items()]
        self._request = Request(
            event.method.decode("ascii"), path, query, headers, b"", event.http_version.decode("ascii"), self._peer
        )
        self._version = event.http_version
        self._frame(headers)
        self._wants_continue = parser.they_are_waiting_for_100_continue
        self._move(Phase.BODY)
        return True

    def _head_end(self) -> int | None:
        """Return where the head ends, or None while its blank line has not come."""
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # RFC 9112, section 2.2: empty lines before a request are skipped
            del buffer[:2]
        self._head_only = buffer.startswith(b"HEAD ")  # before h11 sees it: a refusal goes by it too
        if buffer and buffer[0] not in _METHOD_START and buffer != b"\r":
            raise ProtocolError("not an HTTP request")
        found = _BLANK_LINE.search(buffer, max(0, self._scanned - 2))
        size = found.end() if found else len(buffer)
        line_end = buffer.find(b"\n", 0, self._limits.max_target_size + _AROUND_TARGET + 1)
        if line_end < 0 and size > self._limits.max_target_size + _AROUND_TARGET:
            raise LimitError("the request line is too long", status=414)
        if size > self._limits.max_header_size:
            raise LimitError("the head is too long", status=431)
        self._scanned = 0 if found else len(buffer)
        return size if found else None

    def _frame(self, headers: Headers) -> None:
        """Note how the body is delimited, and whether the connection stays (RFC 9112, sections 6 and 9.3).

        h11 has checked each field, but not whether both kinds of length are there.
        """
        self._chunked = False
        length = None
        options: set[bytes] = set()
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection":
                options.update(option.strip().lower() for option in value.split(b","))
            elif name == b"transfer-encoding":
                self._chunked = True
        self._keep = b"close" not in options and (self._version >= b"1.1" or b"keep-alive" in options)
        if self._chunked and (length is not None or self._version < b"1.1"):
            # RFC 9112, section 6.1: whoever stands before us may have read it the other way
            raise ProtocolError("the body is delimited in two ways, or in one that its version does not know")
        self._body_size = length or 0
        if self._body_size > self._limits.max_body_size:
            raise LimitError("the body is too long", status=413)

    def _read_body(self) -> Request | None:
        """Take a counted body as it is, which saves 11 µs; of a chunked one h11 says what it is and where it ends."""
        if not self._chunked:
            if len(self._buffer) < self._body_size:
                return None
            return self._complete(self._take(self._body_size))
        event = self._parse(self._take(len(self._buffer)))
        while isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limits.max_body_size:
                raise LimitError("the body is too long", status=413)
            event = self._parse()
        if not isinstance(event, h11.EndOfMessage):
            return None
        if self._parser is not None:
            self._buffer[:0] = self._parser.trailing_data[0]
        body = bytes(self._body)
        self._body.clear()  # an idle connection keeps nothing
        return self._complete(body)

    def _complete(self, body: bytes) -> Request | None:
        request, self._request, self._parser = self._request, None, None
        if request is not None:
            request.body = body
        self._move(Phase.ANSWER)
        return request

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _parse(self, data: bytes = b"") -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self._parser is None:
            raise StateError("nothing is being parsed")
        try:
            if data:
                self._parser.receive_data(data)
            return self._parser.next_event()
        except h11.RemoteProtocolError as error:
            # h11's own text quotes the peer's bytes, which may hold a secret
            raise ProtocolError("the request breaks HTTP/1.1", status=error.error_status_hint) from None


def _split_target(target: bytes, limits: Limits) -> tuple[str, str]:
    """Return path and query; of an absolute-form target what stands behind its authority (RFC 9112, section 3.2.2)."""
    if len(target) > limits.max_target_size:
        raise LimitError("the request target is too long", status=414)
    text = target.decode("ascii")
    if not text.startswith("/") and "://" in text:
        text = text.partition("://")[2]
        text = text[_path_start(text) :]
        text = text if text.startswith("/") else f"/{text}"
    path, _, query = text.partition("?")
    return path, query


def _path_start(text: str) -> int:
    """Return where the authority at the front of a text ends."""
    return next((i for i, c in enumerate(text) if c in "/?#"), len(text))
