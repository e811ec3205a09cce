"""Frames of RFC 6455, section 5, made and read by hand, and what a WebSocket makes of them.

Nothing here goes through the library that the code under test stands on.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from rawbot.websocket.connection import Phase, WebSocketConnection
from rawbot.websocket.settings import WebSocketSettings

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"  # section 5.7
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
NOW = 1000.0


class Sent(NamedTuple):
    """A frame as it was read."""

    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = False
    rsv: int = 0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes | None = KEY, size: int = -1
) -> bytes:
    """Make a frame, masked as a client's unless `key` is None; `size` is what it says of its length."""
    length = len(payload) if size < 0 else size
    head = bytes([opcode | rsv | (0x80 if fin else 0)])
    mask = 0 if key is None else 0x80
    if length < 126:
        head += bytes([mask | length])
    elif length < 65536:
        head += bytes([mask | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([mask | 127]) + length.to_bytes(8, "big")
    return head + payload if key is None else head + key + masked(payload, key)


def masked(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask (section 5.3)."""
    size = len(payload)
    many = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ many).to_bytes(size, "big")


def close(code: int, reason: bytes = b"") -> bytes:
    """Make a client's Close."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def fragments(opcode: int, *parts: bytes) -> bytes:
    """Make one message of several frames."""
    last = len(parts) - 1
    return b"".join(frame(CONT if at else opcode, part, fin=at == last) for at, part in enumerate(parts))


def read_frames(data: bytes) -> Iterator[Sent]:
    """Read what was written, which must be whole frames."""
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        size, at = second & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        key = data[at : at + 4] if second & 0x80 else b""
        at += len(key)
        payload = data[at : at + size]
        assert len(payload) == size
        at += size
        yield Sent(first & 0x0F, masked(payload, key) if key else payload, bool(first & 0x80), bool(key), first & 0x70)


class Said(NamedTuple):
    """What came of feeding a connection."""

    messages: list[bytes | str]
    pongs: list[bytes]
    closes: list[bytes]
    """The payloads of the Closes that were sent."""
    phase: Phase
    close_code: int
    error: int | None

    @property
    def code(self) -> int | None:
        """The code of the one Close that was sent."""
        if not self.closes:
            return None
        (payload,) = self.closes
        return int.from_bytes(payload[:2], "big") if payload else 1005


def take(connection: WebSocketConnection) -> bytes:
    """Return all that it wants written."""
    pieces = iter(connection.next_data, b"")
    return b"".join(pieces)


def read(connection: WebSocketConnection) -> list[bytes | str]:
    """Return all messages that are there."""
    return list(iter(connection.next_message, None))


def converse(pieces: Iterable[bytes], settings: WebSocketSettings | None = None, **options: object) -> Said:
    """Feed the pieces; return what a server's side made of them."""
    connection = WebSocketConnection(settings or WebSocketSettings(), NOW, **options)
    messages: list[bytes | str] = []
    written = b""
    for piece in pieces:
        connection.receive_data(piece, NOW)
        messages += read(connection)
        written += take(connection)
    sent = list(read_frames(written))
    assert {s.opcode for s in sent} <= {PONG, CLOSE}
    assert all(s.fin and not s.rsv and s.masked is connection.client for s in sent)
    assert [s.opcode for s in sent].index(CLOSE) == len(sent) - 1 if CLOSE in {s.opcode for s in sent} else True
    return Said(
        messages,
        [s.payload for s in sent if s.opcode == PONG],
        [s.payload for s in sent if s.opcode == CLOSE],
        connection.phase,
        connection.close_code,
        connection.error and connection.error.code,
    )


def single(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[i : i + 1] for i in range(len(data))]


def tear(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut at these places."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]
