"""What to answer for a file that is there: its status, its fields and which part of it.

Layer 2, pure: the request and what is known of the file in, the answer's head out. The order is RFC 9110's: conditions
first, then If-Range, then Range.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rawbot.exchange import Headers, Request
from rawbot.http.dates import format_date
from rawbot.http.files.conditional import CONDITIONS, Validators, check_conditions, range_stands
from rawbot.http.files.ranges import UNSATISFIABLE, Part, content_range, select_range

_ASKED = CONDITIONS | {b"range", b"accept-encoding"}
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Representation:
    """One representation of what a path names: the file, or its ready-made gzip."""

    size: int
    validators: Validators
    headers: Headers = ()
    """For every answer that is about it, 304 included: Cache-Control, Vary (RFC 9110, section 15.4.5)."""
    metadata: Headers = ()
    """For the answers that hold it: Content-Encoding and the like."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The head of an answer, and the part of the representation that is its body."""

    status: int
    headers: Headers
    part: Part | None = None


def gather_fields(headers: Headers) -> Mapping[bytes, bytes]:
    """Return the fields that decide on the answer; several lines of one are joined (RFC 9110, section 5.3)."""
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _ASKED:
            lines.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in lines.items()}


def make_validators(size: int, modified_ns: int, changed_ns: int, now: float, *, coding: bytes = b"") -> Validators:
    """Return the validators of a file's present state; `coding` sets the tag of a ready-made gzip apart.

    The tag is made of both times that the file system keeps, and the size. The time of change catches what the time of
    modification does not: archives unpacked with the times of their files, builds in which every file has the same one.
    The inode number, which some servers take for that, is given again to the next file, and differs as much between
    two machines. Last-Modified is never later than the answer (RFC 9110, section 8.8.2.1).
    """
    modified = min(modified_ns // _NANOSECONDS, int(now))
    tag = b'"%x-%x-%x%b"' % (modified_ns, changed_ns, size, b"-" + coding if coding else b"")
    return Validators(tag, modified if format_date(modified) else None)


def select(request: Request, fields: Mapping[bytes, bytes], found: Representation, now: float) -> Selection:
    """Decide on the answer: 200, 206, 304, 412 or 416. Range is for GET only (RFC 9110, section 14.2)."""
    validators = found.validators
    about: list[tuple[bytes, bytes]] = [(b"etag", validators.etag), *found.headers]
    if (status := check_conditions(fields, request.method, validators, now)) is not None:
        return Selection(status, about)
    whole = Part(0, found.size)
    part = None
    if b"range" in fields and request.method == "GET" and range_stands(fields.get(b"if-range"), validators, now):
        part = select_range(fields[b"range"], found.size)
    if part == UNSATISFIABLE:
        return Selection(416, [(b"content-range", content_range(part, found.size)), *about])
    about += [(b"accept-ranges", b"bytes"), *found.metadata]
    if validators.modified is not None and (modified := format_date(validators.modified)):
        about.append((b"last-modified", modified))
    if part is None:
        return Selection(200, about, whole)
    return Selection(206, [(b"content-range", content_range(part, found.size)), *about], part)
