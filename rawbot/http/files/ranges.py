"""Range requests: which part of a representation is asked for (RFC 9110, section 14).

Layer 2, pure. One part is served. A request for several gets the whole (section 14.2 lets a server ignore the field):
no reader of these files needs them, and answers made of many parts are how servers were brought down, from
CVE-2011-3192 on.
"""

import re
from typing import NamedTuple

MAX_RANGES = 16
"""A request for more is not even looked at."""
MAX_DIGITS = 40
"""Longer numbers are no positions in a file; `int` gives up at 4,300 digits."""

_UNIT = b"bytes="
_SPEC = re.compile(rb"(?P<first>[0-9]*+)-(?P<last>[0-9]*+)")


class Part(NamedTuple):
    """A part of a representation, in bytes."""

    offset: int
    size: int


UNSATISFIABLE = Part(0, 0)
"""No byte that is there was asked for: 416. No other part is empty."""


def select_range(value: bytes, size: int) -> Part | None:
    """Return the part of `size` bytes that a Range field asks for, `UNSATISFIABLE`, or None for the whole.

    The field is ignored, as section 14.2 allows or demands, when its unit is another one, when any part of it is
    malformed (such as a last position before the first), and when it asks for several ranges of which one is there.
    """
    if value[: len(_UNIT)].lower() != _UNIT or value.count(b",") >= MAX_RANGES:  # units: section 14.1, in any case
        return None
    parts: list[Part] = []
    for spec in value[len(_UNIT) :].split(b","):
        stripped = spec.strip(b" \t")
        if not stripped:
            continue  # section 5.6.1.2
        found = _SPEC.fullmatch(stripped)
        if found is None or (part := _resolve(found["first"], found["last"], size)) is None:
            return None
        parts.append(part)
    if parts and all(part == UNSATISFIABLE for part in parts):
        return UNSATISFIABLE
    return parts[0] if len(parts) == 1 else None


def _resolve(first: bytes, last: bytes, size: int) -> Part | None:
    """Return what one range means for `size` bytes (section 14.1.2), or None when it is malformed."""
    if max(len(first), len(last)) > MAX_DIGITS or not (first or last):
        return None
    if not first:
        wanted = int(last)
        if not wanted:
            return UNSATISFIABLE
        count = min(wanted, size)
        return Part(size - count, count) if count else None  # Content-Range has no form for the end of an empty file
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return UNSATISFIABLE
    end = min(int(last), size - 1) if last else size - 1
    return Part(start, end - start + 1)


def content_range(part: Part, size: int) -> bytes:
    """Return the value of Content-Range for a 206, or for a 416 (section 14.4)."""
    if part == UNSATISFIABLE:
        return b"bytes */%d" % size
    return b"bytes %d-%d/%d" % (part.offset, part.offset + part.size - 1, size)
