"""A request's path to the names of directories and a file, so that no name can be anything but a name.

Layer 2, pure. What is refused here cannot be misread by the file system: names that lead up, names with a separator in
them, what is decoded twice. It does not keep anybody below a directory where links lead out: that is for whoever opens.
"""

import re
from urllib.parse import unquote_to_bytes

_ENCODED = re.compile(rb"(?>(?:[^%]|%[0-9A-Fa-f]{2})*)")
_NO_NAME = re.compile(rb"[/\\\x00-\x1f\x7f]")
"""Separators, of other systems too: a proxy or cache before us may take them for ones. Control characters have no place
in names, and NUL ends a name for the system."""


def split_path(path: str, *, hidden: bool = False) -> tuple[bytes, ...] | None:
    """Return the names in a path, percent-decoded once, or None when it names nothing that can be a file's.

    The path is empty or begins with a slash; behind a slash at its end stands an empty name. All other names are UTF-8
    and not empty, contain no separator and are neither `.` nor `..`. Those that begin with a dot are let through with
    `hidden` only: `.git`, `.env`.
    """
    if not path:
        return ()
    if path[0] != "/" or not path.isascii():
        return None
    names: list[bytes] = []
    encoded = path[1:].encode("ascii").split(b"/")  # before decoding: an encoded slash separates nothing
    for at, segment in enumerate(encoded):
        name = _decode(segment)
        if name is None or (not name and at < len(encoded) - 1):
            return None
        if name.startswith(b".") and (not hidden or name in (b".", b"..")):
            return None
        names.append(name)
    return tuple(names)


def _decode(segment: bytes) -> bytes | None:
    if b"%" in segment:
        if _ENCODED.fullmatch(segment) is None:
            return None
        segment = unquote_to_bytes(segment)
        try:
            segment.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return segment if _NO_NAME.search(segment) is None else None


def with_slash(path: str, query: str) -> bytes:
    """Return the Location for a directory that was asked for without its slash.

    It is relative to the path's last name, so no path can make it lead to another host (`//evil.example`), and it is
    right behind a proxy that has taken off a prefix.
    """
    return f"./{path.rpartition('/')[2]}/{'?' + query if query else ''}".encode("ascii")
