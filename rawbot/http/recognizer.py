"""The common request, known by one regular expression: whole, canonical, and there in one piece.

Layer 2, pure. h11 stays the parser of record. What is recognised here is a small part of what the strict look (`heads`)
and h11 let pass, and is read as they read it; of anything else the very same bytes go to them. A second parser is how
requests are smuggled when it is laxer than the first, so this one is stricter throughout:

- GET, POST or HEAD in HTTP/1.1 of a path in origin-form, every line ended by CR LF;
- one Host, a name or an IPv4 address; at most one Content-Length;
- no Transfer-Encoding, Expect, Upgrade, TE or Trailer, and no Connection that says more than keep-alive;
- the body there to its last byte, and no longer than its path takes.

A callback is read in 3 µs here, where h11 takes 37, and the look at lines that h11 has accepted before takes 6 (CPython
3.11). Nothing that repeats gives anything back and the branches of a line exclude each other, so that every byte is
looked at a fixed number of times: what is not recognised costs little. Sets repeat possessively. The group of lines is
atomic instead: CPython 3.11.0 to 3.11.4 goes on from the middle of the line that ends a possessive group (gh-106052).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from rawbot.exchange import Request
from rawbot.http.fields import TEXT, TOKEN
from rawbot.http.limits import Limits
from rawbot.http.sections import split_fields

_BLANKS = rb"[ \t]*+"
_REQUEST_LINE = rb"(GET|POST|HEAD) (/[!\"$->@-~]*+)(?:\?([!\"$-~]*+))? HTTP/1\.1\r\n"
"""Groups 1 to 3. A target is visible ASCII without `#`, as in `targets.TARGET`; the path ends at the first `?`."""
_HOST = rb"(?i:host):" + _BLANKS + rb"(?(5)(?!))([0-9A-Za-z.-]++)(?::(?:[1-5][0-9]{4}|[0-9]{1,4}))?" + _BLANKS
"""`(?(5)(?!))` fails where group 5 is set: at a second one. Ports above 59999 are for the strict look."""
_LENGTH = rb"(?i:content-length):" + _BLANKS + rb"(?(6)(?!))([0-9]{1,9}+)" + _BLANKS
_CONNECTION = rb"(?i:connection):" + _BLANKS + rb"(?i:keep-alive)" + _BLANKS
_SPECIAL = rb"(?i:host|content-length|connection|expect|te|trailer|transfer-encoding|upgrade)"
_OTHER = rb"(?!" + _SPECIAL + rb":)" + TOKEN + rb":" + TEXT + rb"*+"
_LINE = rb"(?:" + rb"|".join((_HOST, _LENGTH, _CONNECTION, _OTHER)) + rb")\r\n"
_REQUEST = re.compile(_REQUEST_LINE + rb"((?>(?:" + _LINE + rb")+))(?(5)\r\n|(?!))")

_METHODS = {b"GET": "GET", b"POST": "POST", b"HEAD": "HEAD"}
_LINE_FEED = ord("\n")
_SHORTEST_LINE = len(b"a:\r\n")


class LazyFields(Sequence[tuple[bytes, bytes]]):
    """The fields of one request (`Request.headers`), taken apart when somebody asks: most endpoints never do."""

    __slots__ = ("_fields", "_lines")

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._fields: tuple[tuple[bytes, bytes], ...] | None = None

    def first(self, name: bytes) -> bytes | None:
        """Return the first value of a field, asked for in lower case (`Request.header`).

        As long as nobody has asked for all of them, that field alone is looked for: 0.4 µs in place of 1.3.
        """
        if self._fields is not None:
            return next((value for key, value in self._fields if key == name), None)
        lines, wanted = self._lines, name + b":"
        lower = lines.lower()
        at = lower.find(wanted)
        while at > 0 and lines[at - 1] != _LINE_FEED:
            at = lower.find(wanted, at + 1)
        if at < 0:
            return None
        start = at + len(wanted)
        return lines[start : lines.index(b"\r", start)].strip(b" \t")

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._read())

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[bytes, bytes]]: ...
    def __getitem__(self, index: int | slice) -> tuple[bytes, bytes] | Sequence[tuple[bytes, bytes]]:
        return self._read()[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._read() == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # like any sequence that is compared by what it holds

    def __repr__(self) -> str:
        return f"<LazyFields, {len(self._lines)} bytes>"  # they may hold secrets

    def _read(self) -> tuple[tuple[bytes, bytes], ...]:
        fields = self._fields
        if fields is None:
            fields = self._fields = split_fields(self._lines)
        return fields


class Recognizer:
    """Reads common requests within `limits`. One object serves all connections; all must know its three methods.

    `hosts` as in `HttpConnection`. A body of more than `body_limit` bytes is left to the strict look, unless `ask` says
    that the request may have one.
    """

    __slots__ = ("_ask", "_body_limit", "_header_size", "_hosts", "_line_count", "_surely_few", "_target_size")

    def __init__(
        self,
        limits: Limits,
        *,
        body_limit: int,
        ask: Callable[[Request], int] | None = None,
        hosts: frozenset[bytes] | None = None,
    ) -> None:
        self._hosts = hosts
        self._ask = ask
        self._body_limit = min(body_limit, limits.max_body_size)
        self._target_size = limits.max_target_size
        self._header_size = limits.max_header_size
        self._line_count = limits.max_header_count
        self._surely_few = limits.max_header_count * _SHORTEST_LINE

    def read(self, data: bytes, at: int, peer: str) -> tuple[Request, int] | None:
        """Return the request that begins at this place and where it ends, or None when it is not a common one."""
        found = _REQUEST.match(data, at)
        if found is None:
            return None
        method, path, query, lines, host, length = found.groups()
        start = end = found.end()
        if length is not None:
            end += int(length)
        if end > len(data) or not self._within(path, query, lines, start - at):
            return None
        if self._hosts is not None and host.lower() not in self._hosts:
            return None
        request = Request(
            _METHODS[method],
            path.decode("ascii"),
            "" if query is None else query.decode("ascii"),
            LazyFields(lines),
            data[start:end],
            "1.1",
            peer,
        )
        if end - start > self._body_limit and (self._ask is None or end - start > self._ask(request)):
            return None
        return request, end

    def _within(self, path: bytes, query: bytes | None, lines: bytes, size: int) -> bool:
        """Tell whether a head keeps the limits: who breaks them hears of it from the strict look."""
        target_size = len(path) + (0 if query is None else len(query) + 1)
        if target_size > self._target_size or size > self._header_size:
            return False
        return len(lines) <= self._surely_few or lines.count(b"\r\n") <= self._line_count
