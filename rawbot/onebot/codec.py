"""The two forms of OneBot on the wire, JSON and MessagePack: bytes to values and back, whatever they mean.

Layer 3, pure. Source: OneBot 12, connect/data-protocol/basic-types. MessagePack needs the extra `msgpack`.

What differs between the two: bytes are base64 text in JSON and stay text when decoded, since only who knows the
parameter can tell; an integer beyond 64 bits is decoded as a float from JSON and cannot be said in MessagePack; NaN and
the infinities become null in JSON and are kept in MessagePack.
"""

import re
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from os import urandom

import orjson

from rawbot.errors import MissingExtraError
from rawbot.onebot.retcodes import BAD_HANDLER, BAD_REQUEST, ActionError

try:
    import ormsgpack
except ImportError:
    _INSTALLED = False
else:
    # Up to 1.13.0 an array that announces 2**32 - 1 items, dd ff ff ff ff, ends the process at once.
    _INSTALLED = tuple(map(int, re.findall(r"\d+", ormsgpack.__version__)[:3])) >= (1, 13, 1)

MAX_COPIED = 65536
"""Bytes of MessagePack that are copied to find out whether something follows the value. See `_decode_msgpack`."""


@dataclass(slots=True, frozen=True)
class Codec:
    """One form: what it is called on the wire, and two functions."""

    content_type: bytes
    """Its media type, without parameters."""
    binary: bool
    """Whether a WebSocket carries it in binary frames rather than in text."""
    decode: Callable[[bytes | str], object]
    """Returns the value: None, bool, int, float, str, in MessagePack also bytes, and lists and dicts of those.

    Raises `ActionError` (10001) for what is not exactly one such value: torn or followed by more, not UTF-8, with a
    byte order mark, a lone surrogate or NaN in JSON, with an extension type or a key that is no string in MessagePack,
    or nested too deeply (1024 levels in JSON, some hundreds in MessagePack). The text repeats nothing of it.
    """
    encode: Callable[[object], bytes]
    """Returns the bytes. Tuples become lists, dates and UUIDs text, enumerations their values.

    Raises `ActionError` (20001) for what has no form: any other object, a key that is no string, an integer beyond 64
    bits, a lone surrogate, a dataclass, and what is nested too deeply (254 levels in JSON) or contains itself.
    """


def demand_msgpack(purpose: str = "MessagePack") -> Codec:
    """Return `MSGPACK`. Raises `MissingExtraError` where its library is not installed, or too old."""
    if MSGPACK is None:
        raise MissingExtraError("msgpack", purpose)
    return MSGPACK


def _decode_json(data: bytes | str) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # its text quotes the document
        raise ActionError(BAD_REQUEST, "this is not JSON") from None


def _encode_json(value: object) -> bytes:
    try:
        return orjson.dumps(value, _base64, _JSON_OPTIONS)
    except TypeError as error:  # its text names types, and no values
        raise ActionError(BAD_HANDLER, f"the value cannot be encoded: {error}") from None


def _base64(value: object) -> str:
    if isinstance(value, _BYTES):
        return b2a_base64(value, newline=False).decode()
    raise TypeError


def _decode_msgpack(data: bytes | str) -> object:
    """Return the one value that these bytes are.

    The library reads a value and does not look at what follows. So it is given a list of two, this value and an end
    that no peer can know, and has to find that end: 0.3 µs more for an action of 150 bytes. The copy would take 1 ms
    for a megabyte, a file; there the value is read once more without its last byte, which must fail: 4 µs.
    """
    if isinstance(data, str):
        raise ActionError(BAD_REQUEST, "text is not MessagePack")
    try:
        if len(data) <= MAX_COPIED:
            value, end = ormsgpack.unpackb(b"\x92" + data + _PACKED_END)
            if end == _END:
                return value
        elif not _is_whole(memoryview(data)[:-1]):
            return ormsgpack.unpackb(data)
    except ValueError:
        pass
    raise ActionError(BAD_REQUEST, "this is not MessagePack")


def _is_whole(data: memoryview) -> bool:
    try:
        ormsgpack.unpackb(data)
    except ValueError:
        return False
    return True


def _encode_msgpack(value: object) -> bytes:
    try:
        return ormsgpack.packb(value, None, _MSGPACK_OPTIONS)
    except TypeError as error:
        raise ActionError(BAD_HANDLER, f"the value cannot be encoded: {error}") from None


_BYTES = (bytes, bytearray, memoryview)
_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS  # or else a segment would go out with whatever fields it has here
_END = urandom(16)
_PACKED_END = b"\xc4\x10" + _END

JSON = Codec(b"application/json", False, _decode_json, _encode_json)

MSGPACK: Codec | None = None
"""None where the library is not installed, or too old."""

if _INSTALLED:
    _MSGPACK_OPTIONS = ormsgpack.OPT_PASSTHROUGH_DATACLASS
    MSGPACK = Codec(b"application/msgpack", True, _decode_msgpack, _encode_msgpack)
