"""What a request is for: the four forms of its target (RFC 9112, section 3.2), and the host that it names.

Layer 2, pure. Nothing is decoded or normalised here: path and query go on as they came.
"""

import re
from ipaddress import IPv6Address

from rawbot.errors import ProtocolError

TARGET = rb"[\x21\x22\x24-\x7e]++"
"""Visible ASCII but `#`, since a fragment never leaves the client. That is more than RFC 3986 has: browsers send `|`,
`^` and braces as they are, and a percent sign may stand alone, for nobody decodes here."""

_UNRESERVED = rb"A-Za-z0-9._~!$&'()*+,;=-"  # and the sub-delims: RFC 3986, section 2
_AUTHORITY = re.compile(
    rb"((?>(?:[" + _UNRESERVED + rb"]++|%[0-9A-Fa-f]{2})*)"
    rb"|\[[0-9A-Fa-f:.]++\]|\[[Vv][0-9A-Fa-f]++\.[:" + _UNRESERVED + rb"]++\])(?::([0-9]*+))?"
)
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*+)://([^/?]*+)(.*+)")
_MAX_PORT = 65535
_SLASH = ord("/")


def split_authority(value: bytes) -> tuple[bytes, int | None] | None:
    """Return host, in lower case, and port of `uri-host [":" port]`; None when it is something else.

    RFC 9110, section 7.2 with RFC 3986, section 3.2: the host may be empty, a comma is a legal part of a name, the
    digits of the port may be missing. User names are not part of it.
    """
    found = _AUTHORITY.fullmatch(value)
    if found is None:
        return None
    host, digits = found.groups()
    if host[:1] == b"[" and host[1:2] not in b"Vv" and not _is_ipv6(host[1:-1]):
        return None
    if not digits:
        return host.lower(), None
    digits = digits.lstrip(b"0")  # int() gives up at 4,300 digits
    if len(digits) > len(str(_MAX_PORT)) or int(digits or b"0") > _MAX_PORT:
        return None
    return host.lower(), int(digits or b"0")


def split_target(method: bytes, target: bytes) -> tuple[str, str, bytes | None]:
    """Return path, query, and the host where the target names one, which then counts and not Host (section 3.2.2).

    Raises `ProtocolError`: 400 for a target that has no form that goes with its method, 421 for one that is not HTTP's,
    501 for CONNECT, which no path is good for.
    """
    if target[0] == _SLASH and method != b"CONNECT":
        path, _, query = target.decode("ascii").partition("?")
        return path, query, None
    if method == b"CONNECT":  # and only there: section 3.2.3
        authority = split_authority(target)
        if authority is None or not authority[0] or not authority[1]:  # RFC 9110, section 9.3.6: it must have a port
            raise ProtocolError("CONNECT names no host and port")
        raise ProtocolError("no tunnels are built here", status=501)
    if target == b"*" and method == b"OPTIONS":  # and only there: section 3.2.4
        return "*", "", None
    return _split_absolute(target)


def _split_absolute(target: bytes) -> tuple[str, str, bytes]:
    """Return path, query and host of absolute-form, which servers must understand (section 3.2.2)."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise ProtocolError("the request target has no form that goes with its method")
    scheme, authority, rest = found.groups()
    if scheme.lower() not in (b"http", b"https"):  # RFC 9110, section 7.4
        raise ProtocolError("the request target is for another protocol", status=421)
    split = split_authority(authority)
    if split is None or not split[0]:  # RFC 9110, section 4.2: never without a host, and no user names
        raise ProtocolError("the authority of the request target is malformed")
    path, _, query = rest.decode("ascii").partition("?")
    return path or "/", query, split[0]


def _is_ipv6(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True
