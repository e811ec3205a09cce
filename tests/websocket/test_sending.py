"""rawbot/websocket/connection.py: what goes out, what waits, and what time brings about."""

import math

import pytest
from websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    NOW,
    PING,
    PONG,
    TEXT,
    Sent,
    close,
    frame,
    read,
    read_frames,
    take,
)

from rawbot.errors import ConfigError, StateError
from rawbot.exchange import EncodedText
from rawbot.websocket.connection import WRITE_COUNT, WRITE_SIZE, Phase, WebSocketConnection
from rawbot.websocket.settings import WebSocketSettings

CLOSABLE = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999)
UNSAYABLE = (0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, 65535, 65536, -1)


def make(**options: object) -> WebSocketConnection:
    return WebSocketConnection(WebSocketSettings(**options), NOW)


def written(connection: WebSocketConnection) -> list[Sent]:
    return list(read_frames(take(connection)))


def receive(connection: WebSocketConnection, data: bytes, now: float = NOW) -> list[bytes | str]:
    connection.receive_data(data, now)
    return read(connection)


# Messages


def test_a_server_does_not_mask_and_a_client_does_each_time_otherwise():
    """RFC 6455, sections 5.1 and 5.3."""
    server = make()
    server.send("Hello", NOW)
    assert take(server) == b"\x81\x05Hello"
    client = WebSocketConnection(WebSocketSettings(), NOW, client=True)
    wires = set()
    for _ in range(20):
        client.send("Hello", NOW)
        wires.add(wire := take(client))
        assert list(read_frames(wire)) == [Sent(TEXT, b"Hello", masked=True)]
    assert len(wires) > 10


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_message_of_any_size_is_one_frame_of_the_shortest_head(size: int):
    connection = make()
    connection.send(b"\xfe" * size, NOW)
    wire = take(connection)
    assert list(read_frames(wire)) == [Sent(BINARY, b"\xfe" * size)]
    assert len(wire) == size + (2 if size < 126 else 4 if size < 65536 else 10)


@pytest.mark.parametrize("client", [False, True])
@pytest.mark.parametrize("size", [0, 1, 200, 70_000])
def test_text_that_is_encoded_already_goes_out_as_text_however_often(size: int, client: bool):  # noqa: FBT001 - a side
    connection = WebSocketConnection(WebSocketSettings(), NOW, client=client)
    text = EncodedText("é".encode() * size)
    for _ in range(2):
        connection.send(text, NOW)
    connection.send(bytes(text), NOW)
    assert [(sent.opcode, sent.payload) for sent in written(connection)] == [(TEXT, text)] * 2 + [(BINARY, text)]


def test_messages_go_out_in_their_order_and_pongs_before_them():
    connection = make()
    connection.send("a", NOW)
    connection.send(b"b", NOW)
    receive(connection, frame(PING, b"p"))
    connection.send("c", NOW)
    assert [(s.opcode, s.payload) for s in written(connection)] == [
        (PONG, b"p"),
        (TEXT, b"a"),
        (BINARY, b"b"),
        (TEXT, b"c"),
    ]
    assert take(connection) == b""


def test_one_write_has_about_as_much_as_asyncio_buffers():
    connection = make()
    for _ in range(300):
        connection.send(b"x" * 1000, NOW)
    assert connection.ripe
    sizes = [len(piece) for piece in iter(connection.next_data, b"")]
    assert all(WRITE_SIZE <= size < WRITE_SIZE + 1010 for size in sizes[:-1])
    assert sum(sizes) == 300 * 1004
    assert not connection.ripe


@pytest.mark.parametrize("message", [None, 1, ["a"], bytearray(b"a"), "\ud800"])
def test_what_is_no_message_is_the_sender_s_fault_and_harms_nothing(message: object):
    connection = make()
    with pytest.raises(StateError) as caught:
        connection.send(message, NOW)
    assert "\\ud800" not in str(caught.value)
    connection.send("fine", NOW)
    assert [s.payload for s in written(connection)] == [b"fine"]


# The queue


@pytest.mark.parametrize(("count", "fits"), [(9, True), (10, True), (11, False)])
def test_so_many_messages_may_wait(count: int, fits: bool):  # noqa: FBT001 - an outcome
    connection = make(max_queue=10)
    for _ in range(count):
        connection.send("x", NOW)
    sent = written(connection)
    assert [s.opcode for s in sent] == ([TEXT] * count if fits else [CLOSE])
    assert connection.phase is (Phase.OPEN if fits else Phase.CLOSING)
    if not fits:
        assert sent[0].payload[:2] == (1013).to_bytes(2, "big")
        assert connection.error.code == 1013


@pytest.mark.parametrize(("sizes", "fits"), [((50, 49), True), ((50, 50), True), ((50, 51), False), ((500,), True)])
def test_so_many_bytes_may_wait_but_for_a_single_message(sizes: tuple[int, ...], fits: bool):  # noqa: FBT001
    connection = make(max_queue_size=100)
    for size in sizes:
        connection.send(b"x" * size, NOW)
    assert [s.opcode for s in written(connection)] == ([BINARY] * len(sizes) if fits else [CLOSE])
    assert connection._queue_size == 0


@pytest.mark.parametrize(
    ("size", "count", "ripe"),
    [
        (1, WRITE_COUNT - 1, False),
        (1, WRITE_COUNT, True),
        (WRITE_SIZE - 1, 1, False),
        (WRITE_SIZE, 1, True),
        (WRITE_SIZE // 2, 2, True),
    ],
)
def test_it_tells_when_it_is_time_to_write(size: int, count: int, ripe: bool):  # noqa: FBT001 - an outcome
    connection = make()
    for _ in range(count):
        connection.send(b"x" * size, NOW)
    assert connection.ripe is ripe


def test_it_is_time_to_write_before_a_short_queue_is_too_long():
    connection = make(max_queue=3)
    for _ in range(30):
        connection.send("x", NOW)
        if connection.ripe:
            assert len(written(connection)) == 3
    assert connection.phase is Phase.OPEN


def test_what_was_taken_to_be_written_waits_no_more():
    connection = make(max_queue=2, max_queue_size=10)
    for _ in range(100):
        connection.send("12345", NOW)
        connection.send("12345", NOW)
        assert len(written(connection)) == 2
    assert connection.phase is Phase.OPEN


# Closing


def test_what_waits_goes_out_before_our_close_and_nothing_after_it():
    connection = make()
    connection.send("last words", NOW)
    connection.close(1000, "bye", NOW)
    with pytest.raises(StateError):
        connection.send("more", NOW)
    assert written(connection) == [Sent(TEXT, b"last words"), Sent(CLOSE, b"\x03\xe8bye")]
    assert receive(connection, frame(PING, b"p") + frame(TEXT, b"too late")) == []
    connection.close(1001, "again", NOW)
    assert (take(connection), connection.phase) == (b"", Phase.CLOSING)
    receive(connection, close(1000, b"bye"))
    assert (take(connection), connection.phase, connection.close_code) == (b"", Phase.CLOSED, 1000)


def test_what_waits_goes_out_before_the_answer_to_their_close():
    connection = make()
    connection.send("an answer", NOW)
    receive(connection, close(4001, b"why"))
    assert written(connection) == [Sent(TEXT, b"an answer"), Sent(CLOSE, (4001).to_bytes(2, "big"))]
    assert (connection.heard_end, connection.close_code) == (True, 4001)


@pytest.mark.parametrize("code", CLOSABLE)
def test_a_code_that_may_be_sent_is(code: int):
    connection = make()
    connection.close(code, "", NOW)
    assert written(connection) == [Sent(CLOSE, code.to_bytes(2, "big"))]


@pytest.mark.parametrize("code", UNSAYABLE)
def test_a_code_that_must_not_be_sent_is_refused_and_the_connection_stays(code: int):
    """RFC 6455, section 7.4."""
    connection = make()
    with pytest.raises(StateError, match="close code"):
        connection.close(code, "", NOW)
    assert (connection.phase, take(connection)) == (Phase.OPEN, b"")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("x" * 123, b"x" * 123),
        ("x" * 124, b"x" * 123),
        ("é" * 62, "é".encode() * 61),  # 124 bytes: no half of a character
        ("💬" * 31, "💬".encode() * 30),
        ("\ud800", b"?"),
    ],
)
def test_a_reason_is_cut_to_what_a_control_frame_holds(reason: str, said: bytes):
    connection = make()
    connection.close(1000, reason, NOW)
    assert written(connection) == [Sent(CLOSE, b"\x03\xe8" + said)]


def test_a_failure_of_ours_is_1011_and_waits_for_nobody():
    connection = make()
    connection.send("what was said", NOW)
    connection.fail("internal error")
    assert written(connection) == [Sent(TEXT, b"what was said"), Sent(CLOSE, b"\x03\xf3internal error")]
    assert (connection.phase, connection.error, connection.heard_end) == (Phase.CLOSED, None, False)
    connection.fail("again")
    assert take(connection) == b""


def test_a_failure_while_closing_says_no_second_close():
    connection = make()
    connection.close(1000, "", NOW)
    connection.fail("internal error")
    assert written(connection) == [Sent(CLOSE, b"\x03\xe8")]
    assert connection.phase is Phase.CLOSED


def test_broken_frames_while_closing_end_it_without_a_second_close():
    connection = make()
    connection.close(1000, "", NOW)
    receive(connection, frame(CONT, b"x"))
    assert written(connection) == [Sent(CLOSE, b"\x03\xe8")]
    assert (connection.phase, connection.error.code, connection.close_code) == (Phase.CLOSED, 1002, 1006)


def test_what_is_closed_stays_closed():
    connection = make()
    connection.receive_eof()
    for phase in Phase:
        with pytest.raises(StateError):
            connection._move(phase)


@pytest.mark.parametrize("closing", [False, True])
def test_the_end_of_the_stream_without_a_close_is_1006(closing: bool):  # noqa: FBT001 - a state
    connection = make()
    if closing:
        connection.close(1000, "", NOW)
    connection.receive_eof()
    connection.receive_eof()
    assert (connection.phase, connection.close_code, connection.heard_end) == (Phase.CLOSED, 1006, True)


# Time


def test_silence_is_broken_by_a_ping_and_a_pong_goes_on():
    connection = make(ping_interval=20.0, ping_timeout=10.0)
    assert connection.deadline == NOW + 20
    connection.tick(NOW + 19)
    assert take(connection) == b""
    connection.tick(NOW + 20)
    assert written(connection) == [Sent(PING, b"")]
    assert connection.deadline == NOW + 30
    receive(connection, frame(PONG), NOW + 25)
    connection.tick(NOW + 30)
    assert (take(connection), connection.deadline) == (b"", NOW + 45)
    connection.tick(NOW + 45)
    assert written(connection) == [Sent(PING, b"")]


def test_a_ping_that_nobody_answers_ends_it_with_1011():
    connection = make(ping_interval=20.0, ping_timeout=10.0)
    connection.tick(NOW + 20)
    take(connection)
    connection.tick(NOW + 29.9)
    assert connection.phase is Phase.OPEN
    connection.tick(NOW + 30)
    assert [s.payload[:2] for s in written(connection)] == [(1011).to_bytes(2, "big")]
    assert (connection.phase, connection.error.code, connection.close_code) == (Phase.CLOSED, 1011, 1006)
    assert connection.deadline == math.inf


@pytest.mark.parametrize("sign", [frame(TEXT, b"x"), frame(TEXT, b"x", fin=False), frame(PING), frame(PONG, b"any")])
def test_any_frame_is_a_sign_of_life(sign: bytes):
    connection = make(ping_interval=20.0, ping_timeout=10.0)
    connection.tick(NOW + 20)
    receive(connection, sign, NOW + 29)
    connection.tick(NOW + 30)
    assert (connection.phase, connection.deadline) == (Phase.OPEN, NOW + 49)


def test_bytes_that_complete_no_frame_are_no_sign_of_life():
    connection = make(ping_interval=20.0, ping_timeout=10.0)
    wire = frame(TEXT, b"x" * 100)
    for second in range(31):
        receive(connection, wire[second : second + 1], NOW + second)
        connection.tick(NOW + second)
    assert connection.error.code == 1011


def test_a_message_has_its_time_which_neither_bytes_nor_fragments_stretch():
    connection = make(ping_interval=None, message_timeout=10.0)
    assert connection.deadline == math.inf
    receive(connection, frame(TEXT, b"x", fin=False), NOW + 5)
    assert connection.deadline == NOW + 15
    for second in range(6, 15):
        receive(connection, frame(CONT, b"x", fin=False), NOW + second)
        connection.tick(NOW + second)
        assert connection.phase is Phase.OPEN
    assert connection.deadline == NOW + 15
    connection.tick(NOW + 15)
    assert (connection.phase, connection.error.code) == (Phase.CLOSED, 1008)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_time_of_a_message_begins_with_its_first_byte(count: int):
    connection = make(ping_interval=None, message_timeout=10.0)
    receive(connection, frame(TEXT, b"x")[:count], NOW + 5)
    assert connection.deadline == NOW + 15 if count < 7 else math.inf
    receive(connection, frame(TEXT, b"x")[count:], NOW + 14)
    connection.tick(NOW + 15)
    assert (connection.phase, connection.deadline) == (Phase.OPEN, math.inf)


def test_each_message_has_a_time_of_its_own():
    connection = make(ping_interval=None, message_timeout=10.0)
    receive(connection, frame(TEXT, b"x")[:3], NOW)
    assert receive(connection, frame(TEXT, b"x")[3:] + frame(TEXT, b"y")[:3], NOW + 9) == ["x"]
    connection.tick(NOW + 10)
    assert (connection.phase, connection.deadline) == (Phase.OPEN, NOW + 19)


def test_a_close_that_nobody_answers_ends_in_its_time():
    connection = make(close_timeout=5.0)
    connection.close(1000, "", NOW + 1)
    assert connection.deadline == NOW + 6
    connection.tick(NOW + 5.9)
    assert connection.phase is Phase.CLOSING
    connection.tick(NOW + 6)
    assert (connection.phase, connection.close_code, connection.deadline) == (Phase.CLOSED, 1006, math.inf)


def test_no_pings_leave_when_none_are_wanted():
    connection = make(ping_interval=None)
    connection.tick(NOW + 1e6)
    assert (take(connection), connection.deadline, connection.phase) == (b"", math.inf, Phase.OPEN)


def test_time_in_which_we_did_not_listen_is_nobody_s_silence():
    connection = make(ping_interval=20.0, ping_timeout=10.0, message_timeout=15.0)
    connection.tick(NOW + 20)
    receive(connection, frame(TEXT, b"x")[:3], NOW + 25)
    connection.excuse(NOW + 1000)
    connection.tick(NOW + 1000)
    assert (connection.phase, connection.deadline) == (Phase.OPEN, NOW + 1000 + 15)
    assert receive(connection, frame(TEXT, b"x")[3:], NOW + 1014) == ["x"]


def test_a_deadline_that_came_early_changes_nothing():
    connection = make()
    receive(connection, frame(TEXT, b"x"), NOW + 10)
    deadline = connection.deadline
    connection.tick(deadline)
    assert (take(connection), connection.deadline) == (b"", NOW + 30)


# Settings


@pytest.mark.parametrize("name", ["max_size", "max_queue", "max_queue_size"])
def test_a_size_is_one_or_more(name: str):
    WebSocketSettings(**{name: 1})
    with pytest.raises(ConfigError):
        WebSocketSettings(**{name: 0})


@pytest.mark.parametrize("name", ["ping_interval", "ping_timeout", "message_timeout", "close_timeout"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_time_is_finite_and_more_than_nothing(name: str, seconds: float):
    WebSocketSettings(**{name: 0.1})
    with pytest.raises(ConfigError):
        WebSocketSettings(**{name: seconds})
