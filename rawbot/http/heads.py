"""The strict look at the head of a request: what RFC 9112 and 9110 forbid is refused before h11 sees it.

Layer 2, pure. h11 stays the parser of record; it is lenient where this file is not, and bounds only heads that are
incomplete. Two ways lead through a head, and tests hold them to the same result however its bytes come:

- A head that is there in one piece, as almost all are, is matched by one regular expression.
- Otherwise, or when that does not match, its lines are looked at one by one, each byte once. So whoever breaks the
  rules hears of it at the line in question, and what is wrong first is what it hears.

Most of what the look costs is saved for heads whose fields are known from an earlier one: see `sections`.
"""

import re
from dataclasses import dataclass

from rawbot.errors import LimitError, ProtocolError
from rawbot.http.fields import FIELD_LINE, TOKEN, FieldLines, end_of_text
from rawbot.http.limits import Limits
from rawbot.http.sections import HeaderSection, read_section
from rawbot.http.targets import TARGET, split_target

METHODS = frozenset(
    (
        b"ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE MKACTIVITY"
        b" MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH PUT QUERY"
        b" REBIND REPORT SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL"
    ).split()
)
"""IANA's method registry as of June 2026, but for `*` and `PRI`, which are reserved so that nobody uses them. Anything
else is answered 501 (RFC 9110, section 9.1); whether a method goes with a path is for the shell to say (405)."""

_REQUEST_LINE = rb"(" + TOKEN + rb") (" + TARGET + rb") HTTP/([0-9]\.[0-9])"
_WHOLE_REQUEST_LINE = re.compile(_REQUEST_LINE)
_HEAD = re.compile(_REQUEST_LINE + rb"\r\n((?>(?:" + FIELD_LINE + rb"\r\n)*))\r\n")
_EMPTY_LINES = re.compile(rb"(?>(?:\r\n)+)")
_METHOD_START = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""What a token may begin with: whatever else comes first is refused at its first byte."""
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
"""Methods that mean little without a body."""
_AROUND_TARGET = 64
"""Bytes that a request line may have beside the target; the longest method that is known takes 17, the rest 11."""
_CR, _HANDSHAKE = b"\r\x16"

_Line = tuple[bytes, str, str, bool, bytes | None]
"""A request line: method, path, query, whether it is HTTP/1.1, the host when the target names it."""


@dataclass(slots=True)
class Head:
    """A head that keeps all the rules, and what it says about the rest."""

    data: bytes
    """The head as it came, its empty line included."""
    method: bytes
    path: str
    query: str
    version: str
    """`1.0` or `1.1`: a higher minor version means the same to us (RFC 9110, section 2.5)."""
    section: HeaderSection


class HeadReader:
    """Finds the heads of one connection, one after the other.

    `hosts`, lower-case names without port, are those that are answered for; None for any. `methods` are all that are
    known.
    """

    __slots__ = ("_begun", "_hosts", "_limits", "_line_room", "_methods", "_seen", "_skipped")

    def __init__(
        self, limits: Limits, *, hosts: frozenset[bytes] | None = None, methods: frozenset[bytes] = METHODS
    ) -> None:
        self._limits = limits
        self._line_room = limits.max_target_size + _AROUND_TARGET
        self._hosts = hosts
        self._methods = methods
        self._skipped = 0
        self._seen = 0
        self._begun: tuple[_Line, int, FieldLines] | None = None

    @property
    def begun(self) -> bool:
        """Whether the next head has begun, if only with empty lines, which are no longer in the buffer."""
        return self._skipped > 0

    def read(self, buffer: bytearray) -> Head | None:
        """Return the head at the front of the buffer, which is left there, or None while it is not whole.

        Empty lines before it are removed. Raises `ProtocolError`, or `LimitError` for what is too long.
        """
        if buffer[0] == _CR:
            self._skip_empty_lines(buffer)
        if not buffer or buffer == b"\r":
            return None
        if buffer[0] not in _METHOD_START:
            tls = buffer[0] == _HANDSHAKE  # it hears of it in plain text, as nginx has it
            raise ProtocolError("a TLS hello where HTTP is spoken" if tls else "not an HTTP request")
        room = self._limits.max_header_size - self._skipped
        found = None if self._seen else _HEAD.match(buffer, 0, room)
        if found is None:
            return self._look(buffer, room)
        if found.end(3) > self._line_room:
            raise _line_too_long(buffer)
        line = self._understand_line(found[1], found[2], found[3])
        return self._understand(line, found[4], found[0])

    def _skip_empty_lines(self, buffer: bytearray) -> None:
        """Skip what some clients send behind a body (RFC 9112, section 2.2), as parts of the next head.

        If they did not count, a flood of them would never come to an end.
        """
        found = _EMPTY_LINES.match(buffer)
        if found is not None:
            del buffer[: found.end()]
            self._skipped += found.end()
        if self._skipped >= self._limits.max_header_size:
            raise LimitError("the head is too long", status=431)

    def _look(self, buffer: bytearray, room: int) -> Head | None:
        """Look at the lines that have come since the last look."""
        end = min(len(buffer), room)
        begun = self._begun = self._begun or self._find_line(buffer, end)
        if begun is not None:
            line, start, lines = begun
            size = lines.find_end(buffer, end)
            if size is not None:
                data = bytes(buffer[:size])
                return self._understand(line, data[start:-2], data)
        if len(buffer) > room:
            raise LimitError("the head is too long", status=431)
        return None

    def _find_line(self, buffer: bytearray, end: int) -> tuple[_Line, int, FieldLines] | None:
        """Return the request line, where the fields begin, and what looks at them; None while the line is not there."""
        at = self._seen = end_of_text(buffer, self._seen, min(end, self._line_room + 1))
        if at > self._line_room:
            raise _line_too_long(buffer)
        if end_of_text(buffer, at, end) + 2 > end:
            return None
        found = _WHOLE_REQUEST_LINE.fullmatch(buffer, 0, at)
        if found is None:
            raise ProtocolError("not an HTTP request")
        line = self._understand_line(found[1], found[2], found[3])
        return line, at + 2, FieldLines(at + 2, self._limits.max_header_count)

    def _understand_line(self, method: bytes, target: bytes, version: bytes) -> _Line:
        if len(target) > self._limits.max_target_size:
            raise LimitError("the request target is too long", status=414)
        if not version.startswith(b"1."):
            raise ProtocolError("not a version of HTTP that is spoken here", status=505)
        if method not in self._methods:
            raise ProtocolError("not a method that is known here", status=501)
        path, query, host = split_target(method, target)
        return method, path, query, version != b"1.0", host

    def _understand(self, line: _Line, lines: bytes, data: bytes) -> Head:
        """Check what concerns the head as a whole; the next call of `read` begins anew."""
        method, path, query, modern, host = line
        if lines.count(b"\r\n") > self._limits.max_header_count:
            raise LimitError("too many fields", status=431)
        section = read_section(lines, modern)
        if self._hosts is not None and (host or section.host) not in self._hosts:  # RFC 9110, section 7.4
            raise ProtocolError("a host that is not served here", status=421)
        if section.length is None and not modern and method in _WITH_BODY:
            # RFC 1945, section 8.3, wants a length and had only 400 for it. Without one HTTP/1.1 says "no body", but a
            # client of those days may have meant "up to the end", and what it sends would be taken for requests
            raise ProtocolError("a body of unknown length", status=411)
        self._seen = self._skipped = 0
        self._begun = None
        return Head(data, method, path, query, "1.1" if modern else "1.0", section)


def _line_too_long(buffer: bytearray) -> ProtocolError:
    if b" " not in buffer[: _AROUND_TARGET + 1]:  # RFC 9112, section 3: a method longer than all that are known
        return ProtocolError("not a method that is known here", status=501)
    return LimitError("the request line is too long", status=414)
