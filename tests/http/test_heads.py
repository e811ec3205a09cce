"""rawbot/http/heads.py: what h11 gets to see, that it reads it alike, and what the look costs however hostile it is."""

from collections.abc import Callable
from time import process_time

import h11
import pytest
from http_corpus import A_GET, CORPUS, HOST, post
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.http.heads import METHODS, Head, HeadReader
from rawbot.http.limits import Limits
from rawbot.http.sections import HeaderSection

TCHARS = "!#$%&'*+-.^_`|~09AZaz"
WIDE = Limits(max_target_size=1 << 23, max_header_size=1 << 24, max_header_count=1 << 20)


def read(data: bytes, limits: Limits | None = None, **options: frozenset[bytes]) -> Head | None:
    return HeadReader(limits or Limits(), **options).read(bytearray(data))


def read_torn(data: bytes, size: int = 1) -> Head | None:
    reader, buffer = HeadReader(Limits()), bytearray()
    for at in range(0, len(data), size):
        buffer += data[at : at + size]
        if (head := reader.read(buffer)) is not None:
            return head
    return None


def refusal(data: bytes, limits: Limits | None = None, **options: frozenset[bytes]) -> int:
    with pytest.raises(ProtocolError) as caught:
        read(data, limits, **options)
    return caught.value.status


def with_fields(*lines: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: x", *lines, b"", b""))


# What a head says


def test_a_head_says_what_it_needs_and_leaves_the_rest_where_it_is():
    data = post(b"Content-Length: 3\r\nX-A: \t1 2 \t\r\nx-a:\r\nConnection: Close\r\nExpect: 100-continue\r\n")
    buffer = bytearray(b"\r\n" + data + b"abc")
    fields = (
        (b"host", b"x"), (b"content-length", b"3"), (b"x-a", b"1 2"), (b"x-a", b""), (b"connection", b"Close"),
        (b"expect", b"100-continue"),
    )  # fmt: skip
    section = HeaderSection(fields, b"x", 3, chunked=False, waits=True, keep=False)
    expected = Head(data, b"POST", "/p", "", "1.1", section)
    assert HeadReader(Limits()).read(buffer) == expected
    assert buffer == data + b"abc"
    assert read_torn(data) == expected


def test_a_reader_begins_anew_behind_each_head():
    reader = HeadReader(Limits())
    for size in (1, 100, 3):
        buffer = bytearray()
        for at in range(0, len(A_GET), size):
            buffer += A_GET[at : at + size]
            head = reader.read(buffer)
        assert head is not None
        assert head.path == "/a"


@pytest.mark.parametrize(
    ("line", "connection", "keep"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"x, y", True),
        (b"GET / HTTP/1.1", b"close", False),
        (b"GET / HTTP/1.1", b"a,\tCLOSE ,,b", False),
        (b"GET / HTTP/1.1", b"close;a", True),
        (b"GET / HTTP/1.1", b"keep-alive, close", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"keep-alive", True),
        (b"GET / HTTP/1.0", b"Keep-Alive, close", False),
        (b"GET / HTTP/1.9", b"", True),
    ],
)
def test_a_connection_stays_as_rfc_9112_9_3_says(line: bytes, connection: bytes, *, keep: bool):
    assert read(with_fields(b"Connection: " + connection, line=line)).section.keep == keep
    halves = (b"Connection: " + option for option in connection.split(b","))
    assert read(with_fields(*halves, line=line)).section.keep == keep


@pytest.mark.parametrize(("expect", "waits"), [(b"", False), (b",", False), (b"100-Continue, ,100-continue", True)])
def test_a_client_waits_when_it_says_so(expect: bytes, *, waits: bool):
    assert read(with_fields(b"Expect: " + expect)).section.waits == waits
    assert not read(with_fields(b"Expect: " + expect, line=b"GET / HTTP/1.0")).section.waits


def test_an_expectation_is_nothing_to_http_1_0_whatever_it_is():
    assert not read(with_fields(b"Expect: tea", line=b"GET / HTTP/1.0")).section.waits
    assert refusal(with_fields(b"Expect: tea")) == 417


def test_methods_are_those_of_the_registry_unless_others_are_given():
    for method in METHODS - {b"CONNECT"}:
        assert read(b"%b / HTTP/1.1\r\nHost: x\r\n\r\n" % method) is not None
    assert refusal(b"PURGE / HTTP/1.1\r\nHost: x\r\n\r\n") == 501
    assert read(b"PURGE / HTTP/1.1\r\nHost: x\r\n\r\n", methods=METHODS | {b"PURGE"}) is not None
    assert refusal(b"PRI * HTTP/1.1\r\nHost: x\r\n\r\n") == 501


HOSTS = frozenset({b"bot.example", b"[::1]"})


@pytest.mark.parametrize(
    ("line", "host", "served"),
    [
        (b"GET / HTTP/1.1", b"Bot.Example", True),
        (b"GET / HTTP/1.1", b"bot.example:8080", True),
        (b"GET / HTTP/1.1", b"[::1]:80", True),
        (b"GET / HTTP/1.1", b"", False),
        (b"GET / HTTP/1.1", b"bot.example.", False),
        (b"GET / HTTP/1.1", b"evil.example", False),
        (b"GET http://bot.example/ HTTP/1.1", b"evil.example", True),
        (b"GET http://evil.example/ HTTP/1.1", b"bot.example", False),
        (b"OPTIONS * HTTP/1.1", b"bot.example", True),
    ],
)
def test_hosts_that_are_not_served_are_refused_as_misdirected(line: bytes, host: bytes, *, served: bool):
    data = line + b"\r\nHost: " + host + b"\r\n\r\n"
    assert read(data) is not None
    if served:
        assert read(data, hosts=HOSTS) is not None
    else:
        assert refusal(data, hosts=HOSTS) == 421


def test_a_request_that_names_no_host_is_misdirected_where_hosts_are_named():
    assert read(b"GET / HTTP/1.0\r\n\r\n") is not None
    assert refusal(b"GET / HTTP/1.0\r\n\r\n", hosts=HOSTS) == 421


# Both ways through a head


NOTABLE = [
    b"Content-Length: 3",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: Chunked ",
    b"Expect: x",
    b"Expect: 100-continue",
    b"Connection: close",
    b"A : b",
    b" a",
    b"A",
]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Draw a head that is mostly right, with all that the grammar allows."""
    method = draw(st.sampled_from([b"GET", b"POST", b"OPTIONS", b"CONNECT", b"get"]))
    target = draw(st.sampled_from([b"/", b"/a?b", b"*", b"http://x/a", b"x:1", b"/" + b"a" * 30]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0", b"1.7", b"2.0"]))
    host = draw(st.sampled_from([[b"Host: x"], [b"host:[::1]:80"], [b"Host: a b"], []]))
    name = st.text(TCHARS, min_size=1, max_size=9).map(str.encode)
    value = st.text([chr(c) for c in (9, *range(32, 127), *range(128, 256))], max_size=20)
    lines = [
        draw(name) + draw(st.sampled_from([b":", b": ", b":\t "])) + draw(value).encode("latin-1")
        for _ in range(draw(st.integers(0, 5)))
    ]
    lines += draw(st.lists(st.sampled_from(NOTABLE), max_size=2))
    head = bytearray(b"\r\n".join([b"%b %b HTTP/%b" % (method, target, version), *host, *lines, b"", b""]))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(head)))
        head[at : at + draw(st.integers(0, 2))] = draw(st.sampled_from([b"\r", b"\n", b"\x00", b" ", b":", b"\r\n"]))
    return bytes(head)


def outcome(data: bytes, size: int, limits: Limits) -> tuple[object, str]:
    """Return the head, or how it was refused, when it comes in pieces of this size."""
    reader, buffer = HeadReader(limits), bytearray()
    for at in range(0, len(data), size):
        buffer += data[at : at + size]
        try:
            head = reader.read(buffer)
        except ProtocolError as error:
            return error.status, str(error)
        if head is not None:
            return head, ""
    return None, ""


TIGHT = Limits(max_target_size=9, max_header_size=110, max_header_count=4)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([b"", b"\r\n", b"\r\n" * 40]), heads(), st.integers(1, 40), st.sampled_from([Limits(), TIGHT]))
def test_a_head_in_one_piece_and_in_many_is_the_same_or_refused_for_the_same_reason(
    before: bytes, data: bytes, size: int, limits: Limits
):
    assert outcome(before + data, len(before + data), limits) == outcome(before + data, size, limits)


@settings(deadline=None, max_examples=300)
@given(heads() | st.sampled_from([data for data, _ in CORPUS.values()]))
def test_what_passes_the_look_h11_reads_in_the_same_way(data: bytes):
    head, _ = outcome(data, len(data) or 1, Limits())
    if not isinstance(head, Head):
        return
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head.data)
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    line = b" ".join((event.method, event.target, b"HTTP/" + event.http_version))
    assert head.data.startswith(line + b"\r\n")
    assert head.version == ("1.0" if event.http_version == b"1.0" else "1.1")
    # h11 writes this one in lower case
    lower = [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in head.section.fields]
    assert lower == [(name.lower(), value) for name, value in event.headers.raw_items()]
    chunked = type(parser.next_event()) is h11.NEED_DATA and not head.section.length
    assert chunked == head.section.chunked
    assert parser.they_are_waiting_for_100_continue == (
        head.section.waits and bool(head.section.chunked or head.section.length)
    )


# Limits


def test_the_first_thing_that_is_wrong_is_what_is_refused_although_all_of_it_is_there():
    tail = b"\r\nA : b\r\n\r\n"
    assert refusal(b"GOT / HTTP/1.1" + tail) == 501
    assert refusal(b"GET / HTTP/2.0" + tail) == 505
    assert refusal(b"GET /" + b"a" * 9000 + b" HTTP/1.1" + tail) == 414
    assert refusal(b"GET / HTTP/1.1\r\nHost: x" + tail + b"B: " + b"c" * 20_000) == 400
    assert refusal(b"GET / HTTP/1.1\r\n" + b"B: c\r\n" * 101 + tail) == 431


@pytest.mark.parametrize(
    ("begin", "status"), [(b"GET /", 414), (b"M" * 64 + b" /", 414), (b"M" * 65 + b" /", 501), (b"M", 501)]
)
def test_a_line_without_an_end_is_the_targets_fault_or_that_of_an_endless_method(begin: bytes, status: int):
    limits = Limits(max_target_size=100, max_header_size=20_000)
    assert read(begin + b"a" * (164 - len(begin)), limits) is None
    assert refusal(begin + b"a" * (165 - len(begin)), limits) == status
    assert refusal(begin + b"a" * 9000 + b" HTTP/2.0\r\n" + HOST + b"\r\n", limits) == status


def test_a_tls_hello_is_named_in_the_log():
    with pytest.raises(ProtocolError, match="TLS"):
        read(b"\x16")


def test_empty_lines_count_as_parts_of_the_next_head_and_only_of_that():
    limits = Limits(max_target_size=100, max_header_size=300)
    reader = HeadReader(limits)
    room = 300 - len(A_GET)
    for _ in range(3):
        assert reader.read(bytearray(b"\r\n" * (room // 2) + A_GET)) is not None
    assert refusal(b"\r\n" * (room // 2 + 1) + A_GET, limits) == 431
    assert refusal(b"\r\n" * 150, limits) == 431


# Cost

KILO = 1024
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "a long target": lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without an end": lambda n: b"GET /" + b"a" * n,
    "a method without an end": lambda n: b"G" * n,
    "a long value": lambda n: A_GET[:-2] + b"A: " + b"a" * n + b"\r\n\r\n",
    "a value of blanks": lambda n: A_GET[:-2] + b"A:" + b" " * n + b"\r\n\r\n",
    "blanks with something between": lambda n: A_GET[:-2] + b"A: " + b" \ta" * (n // 3) + b"\r\n\r\n",
    "a long name": lambda n: A_GET[:-2] + b"a" * n + b": b\r\n\r\n",
    "a name without a colon": lambda n: A_GET[:-2] + b"a" * n + b"\r\n\r\n",
    "a line without an end": lambda n: A_GET[:-2] + b"A: " + b"a" * n,
    "many fields": lambda n: A_GET[:-2] + b"A: b\r\n" * (n // 6) + b"\r\n",
    "many fields and no end": lambda n: A_GET[:-2] + b"A: b\r\n" * (n // 6),
    "many fields of many names": lambda n: A_GET[:-2] + b"".join(b"A%d:\r\n" % i for i in range(n // 9)) + b"\r\n",
    "many fields and a broken one": lambda n: A_GET[:-2] + b"A: b\r\n" * (n // 6) + b"A : b\r\n\r\n",
    "empty lines": lambda n: b"\r\n" * (n // 2) + A_GET,
    "a long Host": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"%41" * (n // 3) + b"\r\n\r\n",
    "a long Host that is none": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"a" * n + b"/\r\n\r\n",
    "a long port": lambda n: b"GET / HTTP/1.1\r\nHost: x:" + b"0" * n + b"\r\n\r\n",
    "a long IPv6 address": lambda n: b"GET / HTTP/1.1\r\nHost: [" + b":1" * (n // 2) + b"]\r\n\r\n",
    "an absolute target of slashes": lambda n: b"GET http://" + b"a" * n + b"://? HTTP/1.1\r\n" + HOST + b"\r\n",
    "many options": lambda n: A_GET[:-2] + b"Connection: " + b"a ," * (n // 3) + b"\r\n\r\n",
    "many codings": lambda n: A_GET[:-2] + b"Transfer-Encoding: " + b"chunke," * (n // 7) + b"\r\n\r\n",
    "a long length": lambda n: A_GET[:-2] + b"Content-Length: " + b"9" * n + b"\r\n\r\n",
}


def cost(data: bytes, pieces: int) -> float:
    """Return the CPU seconds of a look at data that comes in so many pieces, the least of three."""
    least = float("inf")
    size = -(-len(data) // pieces)
    for _ in range(3):
        began = process_time()
        outcome(data, size, WIDE)
        least = min(least, process_time() - began)
    return least


@pytest.mark.parametrize("pieces", [1, 16])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_head_costs_in_proportion_to_its_length(name: str, pieces: int):
    """Were it quadratic, sixteen times the length would cost 256 times as much."""
    short, long = (cost(HOSTILE[name](size), pieces) for size in (16 * KILO, 256 * KILO))
    assert long < 64 * max(short, 0.0002), (short, long)


def test_a_head_that_drips_in_byte_by_byte_is_looked_at_once():
    """Were it looked at from its beginning each time, this would be 134 MB."""
    data = A_GET[:-2] + b"A: " + b"a" * (16 * KILO - len(A_GET) - 5) + b"\r\n\r\n"
    began = process_time()
    assert read_torn(data) is not None
    assert process_time() - began < 0.5
