"""rawbot/websocket: permessage-deflate (RFC 7692), against the RFC's own examples, bombs and limits."""

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket_frames import BINARY, CONT, NOW, PING, RSV1, TEXT, Sent, converse, frame, read, read_frames, single, take
from websocket_requests import handshake_request

from rawbot.exchange import Channel, EncodedText, Upgrade
from rawbot.websocket.connection import COMPRESS_FROM, WebSocketConnection
from rawbot.websocket.handshake import accept
from rawbot.websocket.settings import WebSocketSettings

ON = WebSocketSettings(per_message_deflate=True)
TAIL = b"\0\0\xff\xff"

# RFC 7692, section 7.2.3: the payloads of its frames
EXAMPLES = {
    "one block (7.2.3.1)": ["f248cdc9c90700"],
    "two fragments (7.2.3.1)": ["f248cd", "c9c90700"],
    "no compression (7.2.3.3)": ["000500faff48656c6c6f00"],
    "a final block (7.2.3.4)": ["f348cdc9c9070000"],
    "two blocks (7.2.3.5)": ["f248050000 00ffffcac9c90700"],
}


def extensions(settings: WebSocketSettings = ON) -> list:
    request = handshake_request({b"sec-websocket-extensions": b"permessage-deflate; client_max_window_bits"})
    return list(accept(request, Upgrade(Channel()), settings, NOW).connection._extensions)


def deflated(payload: bytes) -> bytes:
    """Compress as RFC 7692, section 7.2.1, says."""
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


def inflated(payload: bytes) -> bytes:
    return zlib.decompress(payload + TAIL + b"\1\0\0\xff\xff", wbits=-15)


def compressed(opcode: int, *parts: bytes) -> bytes:
    """Make one compressed message of several frames."""
    last = len(parts) - 1
    return b"".join(
        frame(CONT if at else opcode, part, fin=at == last, rsv=0 if at else RSV1) for at, part in enumerate(parts)
    )


def settings_of(size: int) -> WebSocketSettings:
    return WebSocketSettings(max_size=size, per_message_deflate=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_rfc_s_examples_say_hello_as_often_as_they_come(name: str):
    wire = compressed(TEXT, *(bytes.fromhex(part) for part in EXAMPLES[name]))
    for pieces in ([wire, wire], single(wire + wire)):
        assert converse(pieces, ON, extensions=extensions()).messages == ["Hello", "Hello"]


@given(st.lists(st.text(max_size=600) | st.binary(max_size=600), max_size=4))
def test_what_one_side_compresses_the_other_reads(messages: list[bytes | str]):
    ours = WebSocketConnection(ON, NOW, extensions=extensions())
    for message in messages:
        ours.send(message, NOW)
    wire = take(ours)
    assert [inflated(s.payload) if s.rsv else s.payload for s in read_frames(wire)] == [
        message if isinstance(message, bytes) else message.encode() for message in messages
    ]
    back = b"".join(compressed(s.opcode, s.payload) if s.rsv else frame(s.opcode, s.payload) for s in read_frames(wire))
    assert converse([back], ON, extensions=extensions()).messages == messages


@pytest.mark.parametrize(("size", "rsv"), [(COMPRESS_FROM - 1, 0), (COMPRESS_FROM, RSV1)])
def test_short_messages_are_sent_as_they_are(size: int, rsv: int):
    connection = WebSocketConnection(ON, NOW, extensions=extensions())
    connection.send("x" * size, NOW)
    (sent,) = read_frames(take(connection))
    assert sent.rsv == rsv


def test_control_frames_are_never_compressed():
    """RFC 7692, section 6.1."""
    said = converse([frame(PING, b"x" * 125)], ON, extensions=extensions())
    assert said.pongs == [b"x" * 125]
    assert converse([frame(PING, b"x", rsv=RSV1)], ON, extensions=extensions()).code == 1002


@pytest.mark.parametrize(
    "wire",
    [
        frame(BINARY, b"a", fin=False, rsv=RSV1) + frame(CONT, b"b", rsv=RSV1),  # section 6.1: on the first frame only
        compressed(BINARY, b"\xff\xff\xff"),
        compressed(BINARY, b"\x04"),  # an incomplete dynamic block
        compressed(BINARY, bytes.fromhex("000500faf048656c6c6f00")),  # a stored block whose lengths disagree
    ],
)
def test_what_cannot_be_unpacked_ends_it(wire: bytes):
    assert converse([wire + frame(TEXT, b"x")], ON, extensions=extensions()).code == 1002


def test_unpacked_text_that_is_none_ends_it():
    assert converse([compressed(TEXT, deflated(b"\xff"))], ON, extensions=extensions()).code == 1007


@pytest.mark.parametrize(("size", "code"), [(4095, None), (4096, None), (4097, 1009)])
@pytest.mark.parametrize("shrinks", [True, False])
@pytest.mark.parametrize("parts", [1, 3])
def test_the_limit_is_that_of_what_comes_out_whether_it_was_long_or_short(
    size: int,
    code: int | None,
    shrinks: bool,  # noqa: FBT001 - a kind of content
    parts: int,
):
    payload = b"x" * size if shrinks else random.Random(1).randbytes(size)
    data = deflated(payload)
    step = -(-len(data) // parts)
    wire = compressed(BINARY, *(data[at : at + step] for at in range(0, len(data), step)))
    for pieces in ([wire], single(wire)):
        said = converse(pieces, settings_of(4096), extensions=extensions())
        assert (said.messages, said.code) == ([] if code else [payload], code)


@pytest.mark.parametrize("parts", [1, 2, 50])
def test_a_bomb_takes_no_more_memory_than_the_limit(parts: int):
    """64 MiB in 64 KiB; twice over it would be 64 GiB in as much."""
    bomb = deflated(bytes(64 * 1024 * 1024))
    step = -(-len(bomb) // parts)
    wire = compressed(BINARY, *(bomb[at : at + step] for at in range(0, len(bomb), step)))
    connection = WebSocketConnection(settings_of(100_000), NOW, extensions=extensions())
    tracemalloc.start()
    try:
        connection.receive_data(wire, NOW)
        assert read(connection) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert connection.error.code == 1009
    assert peak < 5 * 100_000 + 2 * len(wire)


def test_nothing_is_kept_between_messages():
    (extension,) = extensions()
    connection = WebSocketConnection(ON, NOW, extensions=[extension])
    connection.receive_data(compressed(BINARY, deflated(b"x" * 1000)), NOW)
    connection.send(b"y" * 1000, NOW)
    assert read(connection) == [b"x" * 1000]
    assert [type(s) for s in read_frames(take(connection))] == [Sent]
    assert not hasattr(extension, "decoder")
    assert not hasattr(extension, "encoder")


def test_text_that_is_encoded_already_is_compressed_as_text():
    connection = WebSocketConnection(ON, NOW, extensions=extensions())
    text = EncodedText(b"x" * COMPRESS_FROM)
    connection.send(text, NOW)
    (sent,) = read_frames(take(connection))
    assert (sent.opcode, sent.rsv, inflated(sent.payload)) == (TEXT, RSV1, text)
