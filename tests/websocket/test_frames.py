"""rawbot/websocket/frames.py: what goes past the library is what the library makes of it."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from rawbot.errors import StateError
from rawbot.exchange import EncodedText
from rawbot.websocket.frames import encode_frame, encode_message, take_short

SIZES = [0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 70000]
LARGE = 1 << 20

payloads = st.one_of(st.binary(max_size=200), st.sampled_from(SIZES).map(bytes))
kinds = st.sampled_from([Opcode.TEXT, Opcode.BINARY])


@given(kinds, payloads)
@example(Opcode.TEXT, bytes(65536))
def test_a_server_s_frame_is_the_library_s(kind: Opcode, payload: bytes):
    assert encode_frame(kind, payload, client=False, extensions=()) == Frame(kind, payload).serialize(mask=False)


def test_a_client_s_frame_is_masked():
    frame = encode_frame(Opcode.TEXT, b"abc", client=True, extensions=())
    assert take_short(bytearray(frame), LARGE) == (Opcode.TEXT, b"abc")


@given(kinds, payloads, st.binary(max_size=20))
def test_a_whole_masked_message_is_taken_and_what_follows_stays(kind: Opcode, payload: bytes, behind: bytes):
    buffer = bytearray(Frame(kind, payload).serialize(mask=True) + behind)
    found = take_short(buffer, LARGE)
    if len(payload) < 1 << 16:
        assert found == (kind, payload)
        assert buffer == behind
    else:
        assert found is None


@given(kinds, payloads, st.data())
def test_of_a_part_nothing_is_taken(kind: Opcode, payload: bytes, data: st.DataObject):
    frame = Frame(kind, payload).serialize(mask=True)
    buffer = bytearray(frame[: data.draw(st.integers(0, len(frame) - 1))])
    before = bytes(buffer)
    assert take_short(buffer, LARGE) is None
    assert buffer == before


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, b"abc").serialize(mask=False),  # unmasked: RFC 6455, section 5.1
        Frame(Opcode.TEXT, b"abc", fin=False).serialize(mask=True),
        Frame(Opcode.CONT, b"abc").serialize(mask=True),
        Frame(Opcode.PING, b"abc").serialize(mask=True),
        Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True),
        b"\xc1\x83\0\0\0\0abc",  # a bit that an extension would have to give a meaning
        b"\x81\xfe\x00\x03\0\0\0\0abc",  # section 5.2: the length must be said in as few bytes as can be
        b"\x83\x83\0\0\0\0abc",  # a reserved kind
    ],
)
def test_all_else_is_left_to_the_library(frame: bytes):
    buffer = bytearray(frame)
    assert take_short(buffer, LARGE) is None
    assert buffer == frame


def test_a_message_above_the_limit_is_left_to_the_library():
    buffer = bytearray(Frame(Opcode.TEXT, bytes(101)).serialize(mask=True))
    assert take_short(buffer, 100) is None
    assert take_short(buffer, 101) == (Opcode.TEXT, bytes(101))


@given(st.binary(max_size=40))
def test_what_is_taken_of_any_bytes_was_a_frame_of_the_library_s(data: bytes):
    buffer = bytearray(data)
    found = take_short(buffer, LARGE)
    if found is None:
        assert buffer == data
    else:
        taken = data[: len(data) - len(buffer)]
        mask = taken[-len(found[1]) - 4 :][:4]
        assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(taken[len(taken) - len(found[1]) :])) == found[1]


def test_a_message_is_text_or_bytes():
    assert encode_message("é") == (Opcode.TEXT, "é".encode())
    assert encode_message(b"\xff") == (Opcode.BINARY, b"\xff")
    assert encode_message(EncodedText(b"{}")) == (Opcode.TEXT, b"{}")


@pytest.mark.parametrize("message", ["\ud800", 1, None, bytearray(b"x")])
def test_any_other_message_is_our_own_mistake(message: object):
    with pytest.raises(StateError):
        encode_message(message)


def test_without_the_library_s_compiled_part_its_plain_one_is_taken():
    script = """
import sys
sys.modules["websockets.speedups"] = None
from rawbot.websocket import frames
assert frames.apply_mask.__module__ == "websockets.utils"
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
