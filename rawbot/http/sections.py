"""The header section of a request: its fields, and what those mean for the body and for the connection.

Layer 2, pure. Whoever calls us often, as a platform or a proxy does, sends the same lines each time, but for the length
of the body. So what a section means is remembered, and so is that h11 has accepted it: a callback of eight fields and
its answer cost 6 µs that way and 42 otherwise, 25 of them in h11 (CPython 3.11).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from rawbot.errors import ProtocolError
from rawbot.exchange import Headers
from rawbot.http.fields import TOKEN
from rawbot.http.targets import split_authority

REMEMBERED = 512
"""Sections that are remembered, the latest ones; the lengths of a platform's callbacks vary by some hundred bytes."""
SECRET = frozenset((b"authorization", b"cookie", b"proxy-authorization"))
"""Fields that are not remembered, with all that stands beside them: their values are not ours to keep."""
MAX_REMEMBERED_SIZE = 1024
"""Bytes of the longest one that is remembered: all of them together hold 2 MiB at the most."""

_FIELDS = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}")
"""What fits in 63 bits: a longer one wraps around somewhere, and whoever stands before us may have wrapped it."""
_CODED = re.compile(rb"(?>(?:(?!chunked[ \t,])" + TOKEN + rb"[ \t]*+,[ \t]*+)+)chunked", re.IGNORECASE)
_SINGLE = (b"host", b"content-length", b"transfer-encoding")


@dataclass(slots=True)
class HeaderSection:
    """The fields of one request or of many: nobody changes it."""

    fields: Headers
    """As `Request.headers` has them."""
    host: bytes | None
    """What Host names, in lower case and without port."""
    length: int | None
    """Bytes of the body, if they are said."""
    chunked: bool
    waits: bool
    """Whether the client waits for 100 Continue (RFC 9110, section 10.1.1)."""
    keep: bool
    """Whether the client wants the connection to stay (RFC 9112, section 9.3)."""
    accepted: bool = field(default=False, compare=False)
    """Whether h11 has accepted these very lines, in this version of HTTP."""


def read_section(lines: bytes, modern: bool) -> HeaderSection:  # noqa: FBT001 - the cache's key
    """Return what the lines say; `modern` is HTTP/1.1."""
    if len(lines) > MAX_REMEMBERED_SIZE:
        return _read(lines, modern=modern)
    try:
        return _remembered(lines, modern)
    except _SecretError as secret:
        return secret.section


@lru_cache(maxsize=REMEMBERED)
def _remembered(lines: bytes, modern: bool) -> HeaderSection:  # noqa: FBT001
    section = _read(lines, modern=modern)
    if any(name in SECRET for name, _ in section.fields):
        raise _SecretError(section)  # which the cache does not keep
    return section


class _SecretError(Exception):
    def __init__(self, section: HeaderSection) -> None:
        super().__init__()
        self.section = section


def split_fields(lines: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the fields of lines that have the grammar of fields, as `Request.headers` has them."""
    return tuple((name.lower(), value.rstrip(b" \t")) for name, value in _FIELDS.findall(lines))


def _read(lines: bytes, *, modern: bool) -> HeaderSection:
    """Read lines that have the grammar of fields. Raises `ProtocolError` for what they may not say together."""
    fields = split_fields(lines)
    known = _by_name(fields)
    host = _host(known.get(b"host"), needed=modern)
    length, chunked = _framing(known, modern=modern)
    waits = modern and b"expect" in known and _waits(known[b"expect"])
    keep = _keeps(known[b"connection"], modern=modern) if b"connection" in known else modern
    return HeaderSection(fields, host, length, chunked, waits, keep)


def _by_name(fields: Headers) -> dict[bytes, bytes]:
    """Return the values by name, those of a repeated field in one list (RFC 9110, section 5.3)."""
    known = dict(fields)
    if len(known) == len(fields):
        return known  # nothing is there twice
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    for name in _SINGLE:  # equal ones, too: of two lengths or hosts, somebody else may have seen only one
        if len(values.get(name, ())) > 1:
            raise ProtocolError("a field that delimits or directs the request is there twice")
    return {name: b",".join(several) for name, several in values.items()}


def _host(value: bytes | None, *, needed: bool) -> bytes | None:
    """Return the host; it must be there in HTTP/1.1 and be valid wherever it is (RFC 9112, section 3.2)."""
    if value is None:
        if needed:
            raise ProtocolError("there is no Host")
        return None
    authority = split_authority(value)
    if authority is None:
        raise ProtocolError("Host is malformed")
    return authority[0]


def _framing(known: dict[bytes, bytes], *, modern: bool) -> tuple[int | None, bool]:
    """Return the length of the body, if it is said, and whether it comes in chunks (RFC 9112, sections 6.1 to 6.3)."""
    length = known.get(b"content-length")
    coding = known.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or not modern:
            # section 6.1: whoever stands before us may have read it the other way
            raise ProtocolError("the body is delimited in two ways, or in one that its version does not know")
        if coding.lower() == b"chunked":
            return None, True
        if _CODED.fullmatch(coding):
            raise ProtocolError("a transfer coding that is not known here", status=501)
        raise ProtocolError("a body whose end cannot be told")  # section 6.3: 400 whatever the coding is
    if length is None:
        return None, False
    if _LENGTH.fullmatch(length) is None:  # no list of equal lengths, which section 6.3 would allow to repair
        raise ProtocolError("Content-Length is no length")
    return int(length), False


def _waits(expect: bytes) -> bool:
    expectations = _options(expect)
    if expectations - {b"100-continue"}:
        raise ProtocolError("an expectation that cannot be met", status=417)
    return bool(expectations)


def _keeps(connection: bytes, *, modern: bool) -> bool:
    options = _options(connection)
    return b"close" not in options and (modern or b"keep-alive" in options)


def _options(value: bytes) -> set[bytes]:
    """Return the elements of a list of case-insensitive tokens, without empty ones (RFC 9110, section 5.6.1)."""
    return {option.strip(b" \t").lower() for option in value.split(b",")} - {b""}
