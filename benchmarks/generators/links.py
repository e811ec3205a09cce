"""The connections of the built-in generator: blocking sockets that send one request and take in its answer.

- `Link` keeps an HTTP connection.
- `FreshLink` opens one for each request, as clients do that keep none, and closes it when the answer is whole.
- `WebSocketLink` speaks RFC 6455 as a client, as far as a server of actions is heard: it wants the event `meta.connect`
  before all else, passes over other events, and answers pings.
"""

import base64
import contextlib
import hashlib
import secrets
import socket
from time import perf_counter
from typing import NamedTuple, Self

import orjson

from benchmarks.generators.load import SILENCE, Way
from benchmarks.measuring import Failed

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
"""First bytes of frames that are whole: FIN, and the opcode (RFC 6455, 5.2)."""

_HOST = "127.0.0.1"
_LENGTH = b"\r\ncontent-length:"
_HEAD_END = b"\r\n\r\n"
_OF_ANSWERS = b'"retcode"'
"""What each answer to an action has, and no event."""
_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Answered(NamedTuple):
    """A whole answer, the number of its request, and the seconds it took."""

    number: int
    answer: bytes
    took: float


class Link:
    """One connection that is kept, and what was answered on it."""

    __slots__ = ("_buffer", "_number", "_port", "_sent_at", "answered", "socket")

    once = False
    """Whether a connection ends with its first answer."""

    def __init__(self, port: int) -> None:
        self.answered: list[Answered] = []
        self._port = port
        self._buffer = b""
        self._number = 0
        self._sent_at = 0.0
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connect. Raises `OSError` or `Failed`."""
        self.socket = socket.create_connection((_HOST, self._port), timeout=SILENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def send(self, number: int, request: bytes) -> None:
        """Send the next request."""
        self._number = number
        self._sent_at = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take in what has come; tell whether the answer is whole. Raises `Failed`."""
        self._take_in()
        head_end = self._buffer.find(_HEAD_END)
        if head_end < 0:
            return False
        size = head_end + 4 + _content_length(self._buffer[: head_end + 2])
        if len(self._buffer) < size:
            return False
        if len(self._buffer) > size:
            raise Failed("more is said than was asked")
        self._keep(self._buffer)
        self._buffer = b""
        return True

    def _take_in(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise Failed(f"a connection is closed in place of answer {self._number + 1}")
        self._buffer += data

    def _keep(self, answer: bytes) -> None:
        self.answered.append(Answered(self._number, answer, perf_counter() - self._sent_at))


class FreshLink(Link):
    """Connections one after another, one for each request; to open it is part of the time to answer."""

    __slots__ = ()

    once = True

    def open(self) -> None:
        """Wait for a request."""

    def close(self) -> None:
        """End the connection, if there was one."""
        if hasattr(self, "socket"):
            self.socket.close()

    def send(self, number: int, request: bytes) -> None:
        """Connect, and send a request."""
        began = perf_counter()
        super().open()
        super().send(number, request)
        self._sent_at = began


class WebSocketLink(Link):
    """One WebSocket that is kept; what is sent is whole frames, masked, and the answers are what they carry."""

    __slots__ = ()

    def open(self) -> None:
        """Connect, upgrade, and wait for `meta.connect` (OneBot 12, interface/meta/events)."""
        super().open()
        try:
            self._upgrade()
        except (OSError, Failed):
            self.socket.close()
            raise

    def close(self) -> None:
        """Say goodbye (RFC 6455, 5.5.1), and end the connection without waiting for an answer."""
        with contextlib.suppress(OSError):  # it may have ended already
            self.socket.sendall(mask_frame(b"\x03\xe8", CLOSE))
        self.socket.close()

    def receive(self) -> bool:
        """Take in what has come; tell whether the answer is whole. Raises `Failed`."""
        self._take_in()
        answers = self._hear()
        if answers > 1:
            raise Failed("more is said than was asked")
        return answers == 1

    def _hear(self) -> int:
        """Go through the frames that are whole; return how many answers there were."""
        answers = 0
        while (frame := read_frame(self._buffer)) is not None:
            self._buffer = self._buffer[frame.size :]
            if frame.kind == TEXT:
                if _OF_ANSWERS in frame.payload:
                    self._keep(frame.payload)
                    answers += 1
            elif frame.kind == PING:
                self.socket.sendall(mask_frame(frame.payload, PONG))
            elif frame.kind != PONG:
                raise Failed(f"a frame that begins with {frame.kind:#x} in place of answer {self._number + 1}")
        return answers

    def _upgrade(self) -> None:
        key = base64.b64encode(secrets.token_bytes(16))
        self.socket.sendall(_UPGRADE % key)
        while _HEAD_END not in self._buffer:
            self._take_in()
        head, _, self._buffer = self._buffer.partition(_HEAD_END)
        _require_upgrade(head, key)
        while (frame := read_frame(self._buffer)) is None:
            self._take_in()
        self._buffer = self._buffer[frame.size :]
        if frame.kind != TEXT or not _is_connect(frame.payload):
            raise Failed(f"a WebSocket begins with {frame.payload[:60]!r} in place of meta.connect")
        if self._hear():
            raise Failed("an answer comes before a request")


LINKS: dict[Way, type[Link]] = {"kept": Link, "new": FreshLink, "websocket": WebSocketLink}


class Frame(NamedTuple):
    """A frame of a server: its first byte, what it carries, and the bytes that it takes."""

    kind: int
    payload: bytes
    size: int


def read_frame(data: bytes) -> Frame | None:
    """Return the first frame of a server (RFC 6455, 5.2); None when it is not whole. Raises `Failed`."""
    if len(data) < 2:
        return None
    length, start = data[1], 2
    if length & 0x80:
        raise Failed("a server masks its frames")
    if length >= 126:
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start])
    end = start + length
    return Frame(data[0], data[start:end], end) if len(data) >= end else None


def mask_frame(payload: bytes, kind: int = TEXT) -> bytes:
    """Return a frame of a client, with a mask of its own (RFC 6455, 5.3)."""
    size = len(payload)
    if size < 126:
        head = bytes((kind, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((kind, 0xFE)) + size.to_bytes(2)
    else:
        head = bytes((kind, 0xFF)) + size.to_bytes(8)
    mask = secrets.token_bytes(4)
    stream = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload) ^ int.from_bytes(stream)
    return head + mask + masked.to_bytes(size)


def _require_upgrade(head: bytes, key: bytes) -> None:
    line, *fields = head.split(b"\r\n")
    if not line.startswith(b"HTTP/1.1 101 "):
        raise Failed(f"a WebSocket is answered with {line.decode(errors='replace')!r}")
    accept = base64.b64encode(hashlib.sha1(key + _SALT).digest())  # noqa: S324 - RFC 6455, 4.2.2
    if not any(name.lower() == b"sec-websocket-accept" and value.strip() == accept for name, value in _split(fields)):
        raise Failed("a WebSocket is accepted for another key")


def _split(fields: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, _, value in (field.partition(b":") for field in fields)]


def _is_connect(payload: bytes) -> bool:
    try:
        event = orjson.loads(payload)
    except ValueError:
        return False
    return isinstance(event, dict) and (event.get("type"), event.get("detail_type")) == ("meta", "connect")


def _content_length(head: bytes) -> int:
    start = head.lower().find(_LENGTH)
    if start < 0:
        raise Failed("an answer has no Content-Length")
    start += len(_LENGTH)
    return int(head[start : head.index(b"\r", start)])
