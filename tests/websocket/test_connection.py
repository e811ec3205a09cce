"""rawbot/websocket/connection.py: what comes in. All is fed whole, byte by byte and torn; all three say the same."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websocket_corpus import BAD, CORPUS, GOOD
from websocket_frames import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    NOW,
    PING,
    PONG,
    TEXT,
    Said,
    close,
    converse,
    fragments,
    frame,
    read,
    read_frames,
    single,
    take,
    tear,
)
from websockets import exceptions
from websockets.frames import Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from rawbot.websocket.connection import FRAME_SIZE, MAX_PONGS, Phase, WebSocketConnection
from rawbot.websocket.settings import WebSocketSettings

CUTS = st.lists(st.integers(0, 200_000), max_size=6)
SMALL = WebSocketSettings(max_size=1000)


def essence(said: Said) -> tuple[list, list, int | None]:
    return said.messages, said.pongs, said.code


@pytest.mark.parametrize("name", CORPUS)
def test_whole_and_byte_by_byte_give_what_the_rfc_asks_for(name: str):
    data, expected = CORPUS[name]
    assert essence(converse([data])) == expected
    assert converse([data]) == converse(single(data))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(CORPUS)), CUTS)
def test_torn_anywhere_it_says_the_same(name: str, cuts: list[int]):
    data, expected = CORPUS[name]
    assert essence(converse(tear(data, cuts))) == expected


@pytest.mark.parametrize("name", BAD)
def test_who_breaks_the_rules_is_told_by_our_close_and_named_in_the_error(name: str):
    data, (_, _, code) = BAD[name]
    said = converse([data])
    assert (said.phase, said.error, said.close_code) == (Phase.CLOSED, code, 1006)


@pytest.mark.parametrize("name", GOOD)
def test_who_keeps_the_rules_is_blamed_for_nothing_and_gets_his_own_code_back(name: str):
    data, (_, _, code) = GOOD[name]
    said = converse([data])
    assert said.error is None
    assert said.phase is (Phase.OPEN if code is None else Phase.CLOSED)
    assert said.close_code == (code or 1006)


# A second opinion: the library's own protocol, which is made of the same frames but put together otherwise


def by_the_library(data: bytes) -> tuple[list[bytes | str], int | None]:
    """Return the messages that the library's server side reads, and the code of the Close that it sends."""
    protocol = Protocol(SERVER, state=OPEN, max_size=SMALL.max_size)
    protocol.receive_data(data)
    frames = protocol.events_received()
    messages: list[bytes | str] = []
    parts: list[bytes] = []
    kind = None
    for received in frames:
        if received.opcode in (Opcode.TEXT, Opcode.BINARY):
            kind, parts = received.opcode, []
        elif received.opcode is not Opcode.CONT:
            continue
        parts.append(bytes(received.data))
        joined = b"".join(parts)
        try:
            text = joined.decode() if received.fin or kind is Opcode.BINARY else joined.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            if kind is Opcode.TEXT and (received.fin or error.reason != "unexpected end of data"):
                return messages, 1007
            text = ""
        if received.fin:
            messages.append(text if kind is Opcode.TEXT else joined)
    sent = [s for s in read_frames(b"".join(protocol.data_to_send())) if s.opcode == CLOSE]
    return messages, (int.from_bytes(sent[0].payload[:2], "big") or 1005) if sent else None


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Put frames together, most of them good, and break some of the bytes."""
    good = st.sampled_from([data for data, _ in GOOD.values() if len(data) < 2000])
    bad = st.sampled_from([data for data, _ in BAD.values()])
    loose = st.builds(
        frame,
        st.sampled_from([CONT, TEXT, BINARY, PING, PONG]),
        st.binary(max_size=20) | st.text(max_size=8).map(str.encode),
        fin=st.booleans(),
    )
    data = bytearray(b"".join(draw(st.lists(good | loose | bad, max_size=6))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@settings(deadline=None, max_examples=600)
@given(streams(), CUTS)
@example(fragments(TEXT, b"\xf0", b"\x9f\x92\xa9"), [1])
def test_the_library_s_own_protocol_reads_the_same(data: bytes, cuts: list[int]):
    said = converse(tear(data, cuts), SMALL)
    messages, code = said.messages, said.code
    theirs, their_code = by_the_library(data)
    if code == said.close_code and their_code == 1002:
        assert messages == theirs  # a Close between fragments, which they refuse
    elif their_code == 1007 or code == 1007:
        assert messages == theirs  # they see the whole frame, or find it behind what ended the connection for us
    else:
        assert (messages, code) == (theirs, their_code)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300) | streams(), CUTS)
def test_whatever_comes_in_only_the_peer_is_blamed_and_the_feeding_does_not_matter(data: bytes, cuts: list[int]):
    assert converse([data], SMALL) == converse(tear(data, cuts), SMALL)


# Sizes


@pytest.mark.parametrize(("size", "code"), [(999, None), (1000, None), (1001, 1009)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("parts", [1, 2, 3, 100])
def test_a_message_has_its_limit_and_not_a_byte_more_however_it_is_cut(
    size: int, code: int | None, opcode: int, parts: int
):
    payload = b"x" * size
    step = -(-size // parts)
    data = fragments(opcode, *(payload[at : at + step] for at in range(0, size, step)))
    for pieces in ([data], single(data)):
        said = converse(pieces, SMALL)
        assert said.code == code
        assert said.messages == ([] if code else [payload.decode() if opcode == TEXT else payload])


@pytest.mark.parametrize("limit", [1, 60, 125])
def test_a_limit_below_that_of_a_ping_holds_for_messages_and_not_for_pings(limit: int):
    small = WebSocketSettings(max_size=limit)
    data = frame(PING, b"p" * 125) + frame(TEXT, b"x" * limit)
    assert essence(converse([data], small)) == (["x" * limit], [b"p" * 125], None)
    assert converse([frame(TEXT, b"x" * (limit + 1))], small).code == 1009


def test_a_ping_is_let_through_where_the_message_around_it_has_used_up_its_size():
    data = frame(TEXT, b"x" * 1000, fin=False) + frame(PING, b"still here") + frame(CONT)
    assert essence(converse([data], SMALL)) == (["x" * 1000], [b"still here"], None)


def test_what_is_too_long_is_refused_at_its_length_before_any_of_it_comes():
    assert converse([frame(BINARY, size=1001)[:8]], SMALL).code == 1009
    assert converse([frame(BINARY, b"x" * 600, fin=False) + frame(CONT, size=401)[:4]], SMALL).code == 1009


def test_sixteen_megabytes_pass_where_the_limit_lets_them():
    size = 16 * 1024 * 1024
    large = WebSocketSettings(max_size=size)
    payload = bytes(size)
    data = frame(BINARY, payload)
    pieces = [data[at : at + 256 * 1024] for at in range(0, len(data), 256 * 1024)]
    assert converse(pieces, large).messages == [payload]
    assert converse([fragments(TEXT, *[b"x" * 65536] * 256)], large).messages == ["x" * size]
    assert converse([frame(BINARY, size=size + 1)], large).code == 1009


def test_any_number_of_empty_fragments_holds_nothing():
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(frame(TEXT, b"a", fin=False), NOW)
    many = frame(CONT, fin=False) * 5000
    read(connection)
    tracemalloc.start()
    try:
        for _ in range(10):
            connection.receive_data(many, NOW)
            assert read(connection) == []
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000
    connection.receive_data(frame(CONT, b"b"), NOW)
    assert read(connection) == ["ab"]


def test_of_a_flood_of_pings_the_first_and_the_last_are_answered():
    flood = b"".join(frame(PING, b"%d" % n) for n in range(10_000))
    said = converse([flood])
    assert said.pongs == [b"%d" % n for n in range(MAX_PONGS - 1)] + [b"9999"]
    assert said.code is None


# Turns


@pytest.mark.parametrize(
    "kind", [frame(PING, b"p"), frame(PONG), frame(CONT, fin=False)], ids=["pings", "pongs", "empty fragments"]
)
def test_frames_that_complete_no_message_count_too(kind: bytes):
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(frame(TEXT, b"a", fin=False) + kind * 99, NOW)
    for taken in range(10, 100, 10):
        connection.left = 10
        assert connection.next_message() is None
        assert connection.turn_is_over
        assert len(connection._buffer) == (100 - taken) * len(kind)
    connection.left = 10
    assert connection.next_message() is None
    assert not connection.turn_is_over
    connection.receive_data(frame(CONT, b"b"), NOW)
    connection.left = 10
    assert read(connection) == ["ab"]


@pytest.mark.parametrize("turn", [1, 2, 3, 7])
@pytest.mark.parametrize("name", CORPUS)
def test_in_turns_it_says_the_same(name: str, turn: int):
    data, expected = CORPUS[name]
    connection = WebSocketConnection(WebSocketSettings(), NOW)
    connection.receive_data(data, NOW)
    messages, written = [], b""
    while True:
        connection.left = turn
        messages += read(connection)
        written += take(connection)
        if not connection.turn_is_over:
            break
    sent = list(read_frames(written))
    closes = [s.payload for s in sent if s.opcode == CLOSE]
    code = (int.from_bytes(closes[0][:2], "big") or 1005) if closes else None
    pongs = [s.payload for s in sent if s.opcode == PONG]
    assert (messages, code) == (expected[0], expected[2])
    assert pongs[: MAX_PONGS - 1] == expected[1][: MAX_PONGS - 1]
    assert pongs[-1:] == expected[1][-1:]


def test_a_large_frame_counts_for_as_many_as_its_size_is_worth():
    large = frame(BINARY, bytes(10 * FRAME_SIZE))
    connection = WebSocketConnection(WebSocketSettings(), NOW)
    connection.receive_data(large * 3, NOW)
    connection.left = 22
    assert len(read(connection)) == 2
    assert connection.turn_is_over
    connection.left = 1  # whatever is left, one frame is taken
    assert len(read(connection)) == 1
    assert not connection.turn_is_over


def test_of_a_flood_of_pings_no_more_are_answered_in_turns_but_the_last_of_each():
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(b"".join(frame(PING, b"%d" % n) for n in range(1000)), NOW)
    pongs = []
    for _ in range(10):
        connection.left = 100
        assert connection.next_message() is None
        connection.receive_data(b"", NOW + 1)
        pongs.append([int(sent.payload) for sent in read_frames(take(connection))])
    assert pongs[0] == [*range(MAX_PONGS - 1), 99]
    assert pongs[1:] == [[n * 100 + 99] for n in range(1, 10)]
    connection.left = 100
    connection.receive_data(frame(PING, b"1") + frame(PING, b"2"), NOW)
    assert connection.next_message() is None
    assert take(connection) == frame(PONG, b"1", key=None) + frame(PONG, b"2", key=None)


def test_what_ends_it_ends_the_turn_and_leaves_nothing_over():
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(close(1000) + frame(PING) * 10, NOW)
    connection.left = 1
    assert connection.next_message() is None
    assert connection.phase is Phase.CLOSED
    assert not connection.turn_is_over


# Soon enough


def test_text_that_is_none_is_refused_at_its_fragment_and_not_at_its_end():
    """Autobahn 6.4.1: "fail fast"."""
    assert converse([frame(TEXT, b"good", fin=False)]).code is None
    assert converse([frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90", fin=False)]).code == 1007


def test_after_the_end_nothing_is_taken_in_and_nothing_said():
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(close(1000), NOW)
    assert connection.next_message() is None
    take(connection)
    connection.receive_data(frame(TEXT, b"x") + frame(PING, b"y"), NOW)
    connection.receive_eof()
    assert (connection.next_message(), take(connection), connection._buffer) == (None, b"", bytearray())


def test_messages_are_handed_out_one_by_one_and_what_follows_them_waits():
    connection = WebSocketConnection(SMALL, NOW)
    connection.receive_data(frame(TEXT, b"1") + frame(PING, b"p") + frame(TEXT, b"2") + frame(TEXT, b"\xff"), NOW)
    assert connection.next_message() == "1"
    assert take(connection) == b""
    assert connection.next_message() == "2"
    assert take(connection) == frame(PONG, b"p", key=None)
    assert connection.phase is Phase.OPEN
    assert connection.next_message() is None
    assert connection.phase is Phase.CLOSED


# The other side


def test_a_client_reads_what_is_not_masked():
    """RFC 6455, section 5.7."""
    wire = b"\x81\x05Hello" + b"\x01\x03Hel\x80\x02lo" + b"\x89\x05Hello"
    for pieces in ([wire], single(wire)):
        said = converse(pieces, client=True)
        assert (said.messages, said.pongs) == (["Hello", "Hello"], [b"Hello"])
    binary = b"\x82\x7e\x01\x00" + b"x" * 256
    assert converse([binary], client=True).messages == [b"x" * 256]


def test_a_client_refuses_what_is_masked():
    assert converse([frame(TEXT, b"Hello", key=KEY)], client=True).code == 1002


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_the_mask_is_taken_off_whatever_it_is(payload: bytes, key: bytes):
    assert converse([frame(BINARY, payload, key=key)]).messages == [payload]


def test_a_message_is_bytes_or_str_and_nothing_alike():
    messages = converse([frame(BINARY, b"a") + fragments(BINARY, b"b", b"c") + frame(TEXT, b"d")]).messages
    assert [type(message) for message in messages] == [bytes, bytes, str]
    (message,) = converse([b"\x82\x01x"], client=True).messages
    assert type(message) is bytes


def test_no_phrase_of_the_library_quotes_what_was_said():
    for data, _ in BAD.values():
        connection = WebSocketConnection(WebSocketSettings(), NOW)
        connection.receive_data(data, NOW)
        read(connection)
        assert str(connection.error) in PHRASES, exceptions.__name__


PHRASES = {
    "incorrect masking", "control frame too long", "fragmented control frame", "invalid opcode", "invalid status code",
    "reserved bits must be 0", "close frame too short", "a text is not UTF-8", "a frame is above the limit",
    "a fragment is out of place",
}  # fmt: skip
