"""A body in chunks (RFC 9112, section 7.1), decoded strictly and in time that grows with its bytes alone.

Layer 2, pure. h11 is not asked here: it lets control characters pass in extensions, bounds neither those nor the
trailers nor the number of chunks, and takes 7 µs for each chunk where this takes one, so that 256 KiB of one-byte
chunks would hold the loop for 0.3 s. A differential test holds the two together: what is taken here, h11 takes alike.
"""

import re

from rawbot.errors import LimitError, ProtocolError
from rawbot.http.fields import TOKEN, FieldLines, end_of_text
from rawbot.http.limits import Limits

_QUOTED = rb'"(?>(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*)"'
_EXTENSION = rb"[ \t]*+;[ \t]*+" + TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?>(?:" + _EXTENSION + rb")*)\r\n")
_CRLF = b"\r\n"
_OVERHEAD_PER_BYTE = 8
"""A chunk of one byte takes five beside it, so whoever sends byte by byte is let in; extensions to each are not."""


class ChunkedBody:
    """The body of one request. Raises `ProtocolError`, or `LimitError` for what is too much."""

    __slots__ = ("_body", "_limits", "_max_size", "_overhead", "_trailers", "_wanted")

    def __init__(self, limits: Limits, max_size: int) -> None:
        self._limits = limits
        self._max_size = max_size
        self._body = bytearray()
        self._overhead = 0
        self._wanted = 0
        self._trailers: FieldLines | None = None

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return len(self._body)

    def receive(self, buffer: bytearray) -> bytes | None:
        """Take what belongs to the body from the front of the buffer; return the body once it is whole, else None."""
        if len(buffer) < self._wanted:
            return None
        if self._trailers is None:
            self._take_chunks(buffer)
        return None if self._trailers is None else self._take_trailers(buffer, self._trailers)

    def _take_chunks(self, buffer: bytearray) -> None:
        """Take the chunks that are whole; after the last one come the trailers."""
        at = self._wanted = 0
        while (chunk := self._find_chunk(buffer, at)) is not None:
            start, end = chunk
            if start == end:  # the last one, which has no data and no CR LF behind it
                self._trailers = FieldLines(0, self._limits.max_header_count)
                at = start
                break
            self._body += buffer[start:end]
            at = end + len(_CRLF)
        del buffer[:at]  # once: each time it moves all that is left
        self._wanted -= at

    def _find_chunk(self, buffer: bytearray, at: int) -> tuple[int, int] | None:
        """Return where the data of the chunk at this place starts and ends, or None while it is not whole."""
        line = _LINE.match(buffer, at, at + self._limits.max_chunk_line_size)
        if line is None:
            self._check_line(buffer, at)
            return None
        start = line.end()
        end = start + int(line[1], 16)
        size = len(self._body) + end - start
        if size > self._max_size:
            raise LimitError("the body is too long")
        overhead = self._overhead + start - at + len(_CRLF)
        if overhead > self._limits.max_chunk_overhead + _OVERHEAD_PER_BYTE * size:
            raise LimitError("too many bytes for a body that is so short")
        if start < end and (behind := buffer[end : end + 2]) != _CRLF:
            if behind != _CRLF[: len(behind)]:  # CVE-2025-43859
                raise ProtocolError("a chunk does not end where it says")
            self._wanted = end + len(behind) + 1
            return None
        self._overhead = overhead
        return start, end

    def _check_line(self, buffer: bytearray, at: int) -> None:
        """Raise for a line that is not, and cannot become, the line before a chunk."""
        room = self._limits.max_chunk_line_size
        end = min(len(buffer), at + room)
        if end_of_text(buffer, at, end) + 2 <= end:
            raise ProtocolError("a chunk has no proper size, or its extension is malformed")
        if len(buffer) > at + room:
            raise LimitError("the line before a chunk is too long")

    def _take_trailers(self, buffer: bytearray, trailers: FieldLines) -> bytes | None:
        """Drop the trailers once they are whole, as RFC 9110, section 6.5.1, has it for all that is not understood."""
        room = self._limits.max_trailer_size
        size = trailers.find_end(buffer, min(len(buffer), room))
        if size is None:
            if len(buffer) > room:
                raise LimitError("the trailers are too long", status=431)
            return None
        del buffer[:size]
        return bytes(self._body)
