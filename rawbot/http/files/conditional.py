"""Conditional requests: whether what the client has is still what is here (RFC 9110, sections 8.8 and 13).

Layer 2, pure: fields and validators in, a verdict out. Whoever calls asks only when the answer would otherwise be a 2xx
(section 13.2.1), and gives each field as one value, its lines joined by a comma (section 5.3).

What is malformed never matches. For If-Match that is the safe side, since nothing is done to a representation that the
client may not know; for If-None-Match as well, since the whole representation is always a right answer. A date that is
none is ignored, as the sections of its fields demand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rawbot.http.dates import parse_date

CONDITIONS = frozenset((b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"))
"""The fields that are read here."""

NOT_MODIFIED = 304
FAILED = 412

_TAG = rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"'
_EACH_TAG = re.compile(_TAG)
_TAGS = re.compile(rb"(?>(?:[ \t]*+,)*)[ \t]*+" + _TAG + rb"(?>(?:[ \t]*+,(?:[ \t]*+" + _TAG + rb")?)*)[ \t]*+")
"""A list of entity-tags; empty elements are read over (section 5.6.1.2)."""
_WEAK = b"W/"

_SETTLED = 2
"""Seconds after which a second's last change is surely over: the clock of file systems lags by up to 10 ms, no more."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a representation from another."""

    etag: bytes
    """The entity-tag as its field has it: in quotes, a weak one behind `W/`."""
    modified: int | None = None
    """Last-Modified in Unix seconds, never in the future (section 8.8.2.1); None when it is not known."""


def check_conditions(fields: Mapping[bytes, bytes], method: str, validators: Validators, now: float) -> int | None:
    """Return the status to answer with in place of the representation, 304 or 412, or None to go on.

    The order is that of section 13.2.2. If-Range comes after it: see `range_stands`.
    """
    reads = method in ("GET", "HEAD")
    if (tags := fields.get(b"if-match")) is not None:
        if not _matches(tags, validators.etag, strongly=True):
            return FAILED
    elif _changed_since(fields.get(b"if-unmodified-since"), validators, now):
        return FAILED
    if (tags := fields.get(b"if-none-match")) is not None:
        if not _matches(tags, validators.etag, strongly=False):
            return None
        return NOT_MODIFIED if reads else FAILED
    if reads and _changed_since(fields.get(b"if-modified-since"), validators, now) is False:
        return NOT_MODIFIED
    return None


def range_stands(condition: bytes | None, validators: Validators, now: float) -> bool:
    """Tell whether Range is to be obeyed, given the value of If-Range (section 13.1.5).

    Tags are compared strongly. A date must be the very one, and strong: we know that the file did not change again in
    that second once the second is over, and the client must not use a date that it got any earlier (section 8.8.2.2).
    """
    if condition is None:
        return True
    if _EACH_TAG.fullmatch(condition):
        return _equal(condition, validators.etag, strongly=True)
    modified = validators.modified
    return modified is not None and parse_date(condition, now) == modified and modified + _SETTLED <= now


def _matches(tags: bytes, etag: bytes, *, strongly: bool) -> bool:
    if tags == b"*":
        return True
    if _TAGS.fullmatch(tags) is None:
        return False
    return any(_equal(tag, etag, strongly=strongly) for tag in _EACH_TAG.findall(tags))


def _equal(one: bytes, other: bytes, *, strongly: bool) -> bool:
    """Compare as section 8.8.3.2 says."""
    if strongly:
        return one == other and not one.startswith(_WEAK)
    return one.removeprefix(_WEAK) == other.removeprefix(_WEAK)


def _changed_since(value: bytes | None, validators: Validators, now: float) -> bool | None:
    """Tell whether it was modified after the date of this field; None when field or date are missing, or malformed."""
    if value is None or validators.modified is None:
        return None
    second = parse_date(value, now)
    return None if second is None else validators.modified > second
