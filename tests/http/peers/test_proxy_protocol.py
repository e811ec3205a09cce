"""rawbot/http/peers/proxy_protocol.py against HAProxy's proxy-protocol.txt: three feedings, each limit, nothing lax."""

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_headers import REQUEST, SIGNATURE, TLS_HELLO, v2

from rawbot.errors import LimitError, ProtocolError
from rawbot.http.peers.proxy_protocol import MAX_HEADER_SIZE, MAX_LINE_SIZE, ProxyHeader, ProxyHeaderReader

V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2])
V6 = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000002")
MAPPED = bytes.fromhex("00000000000000000000ffffc000020100000000000000000000ffffc6336402")
PORTS = b"\xdb\x04\x01\xbb"
UNIX = b"/run/client.sock".ljust(108, b"\x00") + b"/run/proxy.sock".ljust(108, b"\x00")
# section 2.2.1 ff.: ALPN, authority, unique id, no-operation
VECTORS = b"\x01\x00\x08http/1.1" + b"\x02\x00\x0bexample.com" + b"\x05\x00\x04\r\n\r\n" + b"\x04\x00\x00"
LONGEST_LINE = b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"

LINES = [
    # section 2.1
    (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0"),
    (b"PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n", "2001:db8::1"),
    (b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n", "ffff:" * 7 + "ffff"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN \r\n", None),
    (b"PROXY UNKNOWN whatever \xff\x00 is there\r\n", None),
    (LONGEST_LINE, None),
]
BINARY = [
    (v2(0x21, 0x11, V4 + PORTS), "192.0.2.1"),
    (v2(0x21, 0x12, V4 + PORTS), "192.0.2.1"),  # a datagram's client, as behind a proxy that speaks HTTP/3
    (v2(0x21, 0x21, V6 + PORTS), "2001:db8::1"),
    (v2(0x21, 0x22, V6 + PORTS), "2001:db8::1"),
    (v2(0x21, 0x21, MAPPED + PORTS), "192.0.2.1"),
    (v2(0x21, 0x31, UNIX), ""),
    (v2(0x21, 0x32, UNIX), ""),
    (v2(0x21, 0x11, V4 + PORTS + VECTORS), "192.0.2.1"),
    (v2(0x21, 0x21, V6 + PORTS + VECTORS), "2001:db8::1"),
    (v2(0x21, 0x11, V4 + PORTS + b"\x01\xff\xff no vector"), "192.0.2.1"),
    (v2(0x21, 0x00, b""), None),
    (v2(0x21, 0x00, V4 + PORTS + VECTORS), None),
    (v2(0x21, 0x01, b""), None),
    (v2(0x21, 0x10, V4 + PORTS), None),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, V4 + PORTS), None),  # LOCAL: the family is ignored
    (v2(0x20, 0xFF, b"\r\n" * 20), None),
    (v2(0x20, 0x11, b""), None),
    (v2(0x21, 0x11, (V4 + PORTS).ljust(MAX_HEADER_SIZE - 16, b"\x04")), "192.0.2.1"),
]
VALID = LINES + BINARY


def read(pieces: Iterable[bytes]) -> tuple[ProxyHeader, bytes]:
    """Feed a reader as a socket would be read: return the header and what stands behind it."""
    reader = ProxyHeaderReader()
    rest = b""
    for piece in pieces:
        if reader.header is not None:
            rest += piece
            continue
        taken = reader.receive_data(piece)
        assert taken == len(piece) or reader.header is not None
        rest += piece[taken:]
    assert reader.header is not None
    return reader.header, rest


def whole(data: bytes) -> list[bytes]:
    return [data]


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def torn(data: bytes) -> list[bytes]:
    chance = random.Random(len(data))
    cuts = sorted(chance.sample(range(1, len(data)), 5))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("feed", [whole, single, torn])
@pytest.mark.parametrize("rest", [b"", REQUEST, TLS_HELLO, b"\r\n\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"])
@pytest.mark.parametrize(("header", "peer"), VALID)
def test_a_header_names_the_client_and_takes_no_byte_of_what_follows(
    header: bytes, peer: str | None, rest: bytes, feed: Callable[[bytes], list[bytes]]
):
    assert read(feed(header + rest)) == (ProxyHeader(peer), rest)


@settings(deadline=None)
@given(st.sampled_from(VALID), st.binary(max_size=40), st.data())
def test_however_it_is_torn_the_same_comes_out(valid: tuple[bytes, str | None], rest: bytes, data: st.DataObject):
    header, peer = valid
    stream = header + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(piece for piece in pieces if piece) == (ProxyHeader(peer), rest)


@pytest.mark.parametrize(("header", "peer"), VALID)
def test_while_a_byte_is_missing_there_is_no_header(header: bytes, peer: str | None):  # noqa: ARG001 - a table's column
    reader = ProxyHeaderReader()
    assert reader.receive_data(header[:-1]) == len(header) - 1
    assert reader.header is None


MALFORMED_LINES = [
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
    b"PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.02 1 2\r\n",
    b"PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
    b"PROXY TCP4 ::1 ::2 1 2\r\n",
    b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
    b"PROXY TCP6 ::1 2.2.2.2 1 2\r\n",
    b"PROXY TCP6 1::2::3 ::2 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
    b"PROXY TCP6 [::1] [::2] 1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 99999\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1_0 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 0x1 2\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 \xd9\xa1 2\r\n",  # an Arabic one in UTF-8
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n",
    b"PROXY TCP4 1.1.1.1\r2.2.2.2 1 2\r\n",
    b"PROXY TCP4 1.1.1.1\x00 2.2.2.2 1 2\r\n",
    b"PROXY UNKNOWN\n",
    b"PROXY UNKNOWN a\rb\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY LOCAL\r\n",
]
MALFORMED_BINARY = [
    v2(0x11, 0x11, V4 + PORTS),  # version 1
    v2(0x31, 0x11, V4 + PORTS),
    v2(0x22, 0x11, V4 + PORTS),  # commands 2 and 15
    v2(0x2F, 0x11, V4 + PORTS),
    v2(0x21, 0x41, V4 + PORTS),  # family 4, transport 3
    v2(0x21, 0xF1, V4 + PORTS),
    v2(0x21, 0x13, V4 + PORTS),
    v2(0x21, 0x0F, b""),
    v2(0x21, 0x11, b""),
    v2(0x21, 0x11, (V4 + PORTS)[:-1]),
    v2(0x21, 0x21, V4 + PORTS),
    v2(0x21, 0x21, (V6 + PORTS)[:-1]),
    v2(0x21, 0x31, UNIX[:-1]),
]


@pytest.mark.parametrize("feed", [whole, single, torn])
@pytest.mark.parametrize("header", MALFORMED_LINES + MALFORMED_BINARY)
def test_what_is_not_exactly_a_header_is_refused(header: bytes, feed: Callable[[bytes], list[bytes]]):
    """Section 2.1: a sequence that does not match exactly aborts the connection."""
    with pytest.raises(ProtocolError):
        read(feed(header + REQUEST))


@pytest.mark.parametrize(
    ("data", "known_after"),
    [
        (REQUEST, 1),
        (TLS_HELLO, 1),
        (b"POST / HTTP/1.1\r\n", 2),  # the P could have been that of PROXY
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3),
        (b"PROXY/1", 6),
        (b"proxy TCP4", 1),
        (b" PROXY TCP4", 1),
        (b"\nPROXY TCP4", 1),
        (b"\r\nPROXY TCP4", 3),
        (SIGNATURE[:-1] + b"\r", 12),
    ],
)
def test_what_is_no_header_is_refused_at_the_byte_that_shows_it(data: bytes, known_after: int):
    reader = ProxyHeaderReader()
    assert reader.receive_data(data[: known_after - 1]) == known_after - 1
    with pytest.raises(ProtocolError, match="no PROXY header"):
        reader.receive_data(data[known_after - 1 : known_after])


# Limits


@pytest.mark.parametrize("feed", [whole, single, torn])
def test_a_line_has_107_bytes_at_most_however_it_comes(feed: Callable[[bytes], list[bytes]]):
    assert len(LONGEST_LINE) == MAX_LINE_SIZE
    for size in (MAX_LINE_SIZE - 1, MAX_LINE_SIZE):
        line = b"PROXY UNKNOWN ".ljust(size - 2, b"x") + b"\r\n"
        assert read(feed(line + REQUEST)) == (ProxyHeader(None), REQUEST)
    with pytest.raises(LimitError):
        read(feed(b"PROXY UNKNOWN ".ljust(MAX_LINE_SIZE - 1, b"x") + b"\r\n" + REQUEST))


def test_a_line_without_an_end_is_refused_at_its_107th_byte():
    reader = ProxyHeaderReader()
    reader.receive_data(b"PROXY ".ljust(MAX_LINE_SIZE - 1, b"x"))
    with pytest.raises(LimitError):
        reader.receive_data(b"x")


@pytest.mark.parametrize("command", [0x20, 0x21])
def test_a_binary_header_that_declares_too_much_is_refused_before_it_comes(command: int):
    fits = SIGNATURE + bytes([command, 0x11]) + (MAX_HEADER_SIZE - 16).to_bytes(2, "big")
    assert ProxyHeaderReader().receive_data(fits) == 16
    for size in (MAX_HEADER_SIZE - 15, 0xFFFF):
        with pytest.raises(LimitError):
            ProxyHeaderReader().receive_data(SIGNATURE + bytes([command, 0x11]) + size.to_bytes(2, "big"))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_a_reader_keeps_no_more_than_a_header(pieces: list[bytes]):
    reader = ProxyHeaderReader()
    try:
        for piece in [SIGNATURE, *pieces, b"x" * 10 * MAX_HEADER_SIZE]:
            if reader.header is None:
                reader.receive_data(piece)
    except ProtocolError:
        pass
    assert len(reader._buffer) <= MAX_HEADER_SIZE
