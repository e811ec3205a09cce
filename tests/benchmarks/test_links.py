"""benchmarks/generators/links.py: connections that are kept, that are not, and WebSockets, whatever the server does."""

import base64
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generators import builtin, links
from benchmarks.generators.links import BINARY, CLOSE, PING, PONG, TEXT, mask_frame, read_frame
from benchmarks.measuring import Failed
from benchmarks.traffic import Callback

Serve = Callable[..., int]
Talk = Callable[["Peer"], None]

CONNECT = b'{"id":"1","time":1.0,"type":"meta","detail_type":"connect","sub_type":"","version":{}}'
HEARTBEAT = b'{"id":"2","time":1.0,"type":"meta","detail_type":"heartbeat","sub_type":"","interval":1}'
RIGHT = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"


def frame(payload: bytes, kind: int = TEXT) -> bytes:
    """Return a frame as servers send it (RFC 6455, 5.2), by another hand than the one that reads it."""
    if len(payload) < 126:
        return bytes([kind, len(payload)]) + payload
    wide = len(payload) >= 1 << 16
    return bytes([kind, 127 if wide else 126]) + len(payload).to_bytes(8 if wide else 2, "big") + payload


class Peer:
    """A server's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")

    def upgrade(
        self, first: bytes = b"", *, status: bytes = b"101 Switching Protocols", accept: bytes | None = None
    ) -> None:
        """Accept a WebSocket, and send these frames with the response in one piece."""
        fields = {}
        for line in iter(self._file.readline, b"\r\n"):
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        digest = hashlib.sha1(fields[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        accept = accept or base64.b64encode(digest)
        head = b"HTTP/1.1 %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        self.send(head % (status, accept) + first)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def read(self) -> tuple[int, bytes]:
        """Return the kind of a client's next frame, and what it says; all of them must be masked."""
        kind, length = self._file.read(2)
        assert length & 0x80
        length &= 0x7F
        if length >= 126:
            length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
        mask = self._file.read(4)
        return kind, bytes(byte ^ mask[at % 4] for at, byte in enumerate(self._file.read(length)))

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@pytest.fixture
def listen() -> Iterator[Callable[[Talk], int]]:
    """Return what starts a server on a port, which talks so on each connection."""
    with ExitStack() as closing:

        def start(talk: Talk) -> int:
            server = socket.create_server(("127.0.0.1", 0))
            closing.callback(server.close)
            closing.callback(server.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=accept, args=(server, talk), daemon=True).start()
            return server.getsockname()[1]

        yield start


def accept(server: socket.socket, talk: Talk) -> None:
    with suppress(OSError):
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve_one, args=(sock, talk), daemon=True).start()


def serve_one(sock: socket.socket, talk: Talk) -> None:
    peer = Peer(sock)
    with suppress(OSError, ValueError):  # the client goes away when it has had enough
        talk(peer)
    peer.close()


def make_frames(number: int) -> list[Callback]:
    return [Callback(mask_frame(b'{"echo":"%d"}' % each), str(each)) for each in range(number)]


def answer(said: bytes) -> bytes:
    return frame(b'{"retcode":0,"said":%b}' % said)


def answer_all(peer: Peer) -> None:
    peer.upgrade(frame(CONNECT))
    while True:
        kind, said = peer.read()
        if kind == CLOSE:
            return
        peer.send(answer(said))


@pytest.mark.parametrize(("number", "connections"), [(1, 1), (5, 8), (300, 8)])
def test_each_frame_is_sent_once_and_what_it_says_is_answered(
    listen: Callable[[Talk], int], number: int, connections: int
):
    answers = builtin.ask(listen(answer_all), make_frames(number), connections, way="websocket")
    assert answers == [b'{"retcode":0,"said":{"echo":"%d"}}' % each for each in range(number)]


def test_a_connection_says_goodbye(listen: Callable[[Talk], int]):
    heard = []
    ended = threading.Event()

    def talk(peer: Peer) -> None:
        peer.upgrade(frame(CONNECT))
        peer.send(answer(peer.read()[1]))
        heard.append(peer.read())
        ended.set()

    builtin.ask(listen(talk), make_frames(1), 1, way="websocket")
    assert ended.wait(5)
    assert heard == [(CLOSE, b"\x03\xe8")]


def test_events_are_passed_over_and_pings_are_answered(listen: Callable[[Talk], int]):
    heard = []

    def talk(peer: Peer) -> None:
        peer.upgrade(frame(CONNECT) + frame(HEARTBEAT) + frame(b"there?", PING))
        for _ in range(3):
            heard.extend([peer.read(), peer.read()])  # the pong to what was sent before, and a request
            peer.send(frame(HEARTBEAT) + frame(b"", PONG) + answer(b'"x"') + frame(HEARTBEAT) + frame(b"still?", PING))

    answers = builtin.ask(listen(talk), make_frames(3), 1, way="websocket")
    assert answers == [b'{"retcode":0,"said":"x"}'] * 3
    pongs = [said for kind, said in heard if kind == PONG]
    assert pongs == [b"there?", b"still?", b"still?"]


def test_an_answer_may_come_byte_by_byte(listen: Callable[[Talk], int]):
    def talk(peer: Peer) -> None:
        peer.upgrade()
        for each in frame(CONNECT):
            peer.send(bytes([each]))
        for _ in range(2):
            peer.read()
            for each in answer(b'"%b"' % (b"x" * 200)):
                peer.send(bytes([each]))

    answers = builtin.ask(listen(talk), make_frames(2), 1, way="websocket")
    assert answers == [b'{"retcode":0,"said":"%b"}' % (b"x" * 200)] * 2


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        ({"status": b"403 Forbidden"}, "answered with 'HTTP/1.1 403 Forbidden'"),
        ({"accept": b"bm8="}, "accepted for another key"),
        ({"first": frame(HEARTBEAT)}, "in place of meta.connect"),
        ({"first": frame(CONNECT, BINARY)}, "in place of meta.connect"),
        ({"first": frame(b"{")}, "in place of meta.connect"),
        ({"first": mask_frame(CONNECT)}, "masks its frames"),
        ({"first": frame(CONNECT) + answer(b"1")}, "an answer comes before a request"),
        ({"then": frame(b"", CLOSE)}, "begins with 0x88 in place of answer 1"),
        ({"then": frame(b'{"retcode":0', 0x01)}, "begins with 0x1 in place of answer 1"),
        ({"then": frame(b'{"retcode":0}', BINARY)}, "begins with 0x82 in place of answer 1"),
        ({"then": answer(b"1") * 2}, "more is said than was asked"),
        ({"then": b""}, "closed in place of answer 1"),
    ],
    ids=["status", "key", "event", "kind", "json", "mask", "early", "close", "part", "binary", "two", "gone"],
)
def test_what_a_server_may_not_do_is_told(listen: Callable[[Talk], int], upgrade: dict[str, bytes], said: str):
    ended = threading.Event()

    def talk(peer: Peer) -> None:
        then = upgrade.pop("then", None)
        peer.upgrade(**({"first": frame(CONNECT)} | upgrade))
        if then is not None:
            peer.read()
            peer.send(then)
        if then != b"":
            ended.wait(5)

    with pytest.raises(Failed, match=said):
        builtin.ask(listen(talk), make_frames(1), 1, way="websocket")
    ended.set()


def test_a_server_that_says_nothing_before_the_upgrade_is_not_waited_for_without_end(
    listen: Callable[[Talk], int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(links, "SILENCE", 0.1)
    ended = threading.Event()
    with pytest.raises(Failed, match="no connection: timed out"):
        builtin.ask(listen(lambda _: ended.wait(5) and None), make_frames(1), 1, way="websocket")
    ended.set()


@pytest.mark.parametrize("connections", [1, 8])
def test_each_request_has_a_connection_of_its_own_which_the_client_closes(
    listen: Callable[[Talk], int], connections: int
):
    numbers = count()
    ends = []
    all_ended = threading.Event()

    def talk(peer: Peer) -> None:
        number = next(numbers)
        asked = peer._sock.recv(100)
        peer.send(RIGHT)
        ends.append((number, asked, peer._sock.recv(100)))
        if len(ends) == 40:
            all_ended.set()

    asked = [Callback(b"request %02d" % each, "") for each in range(40)]
    assert builtin.ask(listen(talk), asked, connections, way="new") == [RIGHT] * 40
    assert all_ended.wait(5)
    assert sorted(request for _, request, _ in ends) == [each.request for each in asked]
    assert {end for _, _, end in ends} == {b""}


def test_what_goes_wrong_on_a_connection_of_its_own_is_told(serve: Serve):
    with pytest.raises(Failed, match="a connection fails"):
        builtin.ask(1, [Callback(b"", "")], way="new")
    port = serve(lambda *_: b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(Failed, match="401 Unauthorized"):
        builtin.ask(port, [Callback(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "")], way="new")


@given(st.binary(max_size=70_000), st.binary(max_size=20))
def test_a_frame_is_read_when_it_is_whole_and_what_follows_is_left(payload: bytes, following: bytes):
    whole = frame(payload)
    assert read_frame(whole + following) == (TEXT, payload, len(whole))
    assert read_frame(whole[:-1]) is None


@given(st.binary(max_size=70_000))
def test_a_client_masks_what_it_says_each_time_by_another_mask(payload: bytes):
    one, other = mask_frame(payload), mask_frame(payload)
    head = len(one) - len(payload)
    mask, masked = one[head - 4 : head], one[head:]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)) == payload
    plain = frame(payload)
    assert one[: head - 4] == bytes([plain[0], plain[1] | 0x80]) + plain[2 : head - 4]
    assert one[head - 4 : head] != other[head - 4 : head]
