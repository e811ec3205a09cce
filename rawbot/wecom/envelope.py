"""The envelope around what is encrypted: all that the wing reads before it knows who has sent it.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101033.
"""

from typing import Any, Literal

import orjson

from rawbot.errors import ProtocolError
from rawbot.wecom.crypto import PARSE_ERROR

Json = dict[str, Any]

MAX_PARTS = 100
"""Commas, colons and brackets that an envelope may have; a real one has five. A megabyte of nothing else would take
80 ms to make into objects, and nobody has signed it yet."""
_HARMLESS = 4096
"""Bytes of a body that need no counting, whatever they are: a message's. It would take 1.2 µs of 2."""


def decode_envelope(body: bytes) -> bytes:
    """Return the `encrypt` field of a callback's body. Raises `ProtocolError` (-40002)."""
    if len(body) > _HARMLESS and sum(map(body.count, b",:[{")) > MAX_PARTS:
        raise ProtocolError("the body is no envelope", code=PARSE_ERROR)
    envelope = load_object(body, "the body")
    encrypted = envelope.get("encrypt") or envelope.get("Encrypt")
    if not isinstance(encrypted, str) or not encrypted.isascii():
        raise ProtocolError("the body has no field encrypt", code=PARSE_ERROR)
    return encrypted.encode()


def encode_envelope(encrypted: bytes, signature: str, timestamp: int, nonce: str) -> bytes:
    """Return the body of an encrypted reply: the four fields of doc 101033, the timestamp a number of seconds."""
    return b'{"encrypt":"%b","msgsignature":"%b","timestamp":%d,"nonce":%b}' % (
        encrypted,
        signature.encode(),
        timestamp,
        orjson.dumps(nonce),
    )


def load_object(data: bytes, what: Literal["the body", "the message"]) -> Json:
    """Return a JSON object. Raises `ProtocolError` (-40002)."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:  # its text quotes the document
        raise ProtocolError(f"{what} is not JSON", code=PARSE_ERROR) from None
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is not a JSON object", code=PARSE_ERROR)
    return value
