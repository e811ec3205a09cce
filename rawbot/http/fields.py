"""Field lines as they came, looked at strictly before anybody parses them: of a head, and of the trailers of chunks.

Layer 2, pure. What a lenient reader repairs, two readers repair differently, and a request is smuggled through the
difference. So nothing is repaired here (RFC 9112, section 5, allows to refuse all of it):

- A line ends in CR LF. A bare LF may be taken for a line's end (section 2.2), a bare CR may be taken for a blank: who
  stands before us may have done so or not. Both are refused, and so is every other control character but the tab.
- A line that begins with a blank (obs-fold, section 5.2) and a blank before the colon (section 5.1) are refused.
"""

import re

from rawbot.errors import LimitError, ProtocolError

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
"""RFC 9110, section 5.6.2. Nothing is ever tried twice, here and in the neighbours: sets repeat possessively; groups
are atomic, since CPython 3.11.0 to 3.11.4 goes on from the middle of what ends a possessive one (gh-106052)."""
TEXT = rb"[\t\x20-\x7e\x80-\xff]"
"""A byte of a field value: visible, blank, tab or obs-text (RFC 9110, section 5.5)."""

FIELD_LINE = TOKEN + rb":" + TEXT + rb"*+"
_FIELD_LINE = re.compile(FIELD_LINE)
_NO_TEXT = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_CR, _LF = b"\r\n"


def end_of_text(buffer: bytearray, start: int, end: int) -> int:
    """Return where a line's text ends: at its CR LF or, while that is not there, at `end` or at a CR right before it.

    So the line is whole when two bytes follow before `end`. Raises `ProtocolError` for a byte that no line may hold.
    """
    found = _NO_TEXT.search(buffer, start, end)
    if found is None:
        return end
    at = found.start()
    if buffer[at] == _CR and (at + 1 == end or buffer[at + 1] == _LF):
        return at
    raise ProtocolError("a line holds a control character, or does not end in CR LF")


class FieldLines:
    """The lines of one section as they come in, every byte looked at once, up to the empty line behind them."""

    __slots__ = ("_count", "_max_count", "_seen", "_start")

    def __init__(self, start: int, max_count: int) -> None:
        self._start = start
        self._seen = start
        self._count = 0
        self._max_count = max_count

    def find_end(self, buffer: bytearray, end: int) -> int | None:
        """Return where the section ends, its empty line included, or None while that has not come before `end`.

        Raises `ProtocolError` for the first line that is no field, `LimitError` (431) for one too many.
        """
        while (at := end_of_text(buffer, self._seen, end)) + 2 <= end:
            start, self._start = self._start, at + 2
            self._seen = at + 2
            if at == start:
                return at + 2
            if _FIELD_LINE.fullmatch(buffer, start, at) is None:
                raise ProtocolError("a line of the head or of the trailers is no field")
            self._count += 1
            if self._count > self._max_count:
                raise LimitError("too many fields", status=431)
        self._seen = at
        return None
