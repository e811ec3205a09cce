"""rawbot/http/connection.py: every byte sequence here is fed whole, byte by byte and torn; all three say the same."""

import tracemalloc
from collections.abc import Callable

import h11
import pytest
from http_corpus import A_GET, CHUNKED, CORPUS, NOW, converse, post, single, tear
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Request, Response
from rawbot.http.connection import HttpConnection, Phase
from rawbot.http.limits import Limits
from rawbot.http.recognizer import Recognizer
from rawbot.http.responses import CONTINUE
from rawbot.http.sections import MAX_REMEMBERED_SIZE, SECRET, _remembered

CUTS = st.lists(st.integers(0, 10_000), max_size=6)


@pytest.mark.parametrize("name", CORPUS)
def test_whole_and_byte_by_byte_give_the_requests_and_refusals_that_the_rfc_asks_for(name: str):
    data, expected = CORPUS[name]
    assert converse([data]) == expected
    assert converse(single(data)) == expected


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(CORPUS)), CUTS)
def test_torn_anywhere_it_says_the_same(name: str, cuts: list[int]):
    data, expected = CORPUS[name]
    assert converse(tear(data, cuts)) == expected


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Take entries of the corpus and break them at a few places."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from([d for d, _ in CORPUS.values()]), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        until = at + draw(st.integers(0, 5))
        data[at:until] = draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\n", b"0", b"\r\n\r\n", b": ", b","]))
    return bytes(data)


@settings(deadline=None, max_examples=250)
@given(st.binary(max_size=200) | mutated(), CUTS)
@example(b"A / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\n", [3])
def test_whatever_comes_in_only_the_peer_is_blamed_and_the_feeding_does_not_matter(data: bytes, cuts: list[int]):
    assert converse([data]) == converse(tear(data, cuts))


def test_a_request_carries_its_fields_in_order_and_its_peer():
    connection = HttpConnection(Limits(), peer="192.0.2.1")
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1 \r\nx-a:2\r\n\r\n")
    request = connection.next_request()
    assert list(request.headers) == [(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2")]
    assert request.header(b"x-a") == b"1"
    assert request.peer == "192.0.2.1"


def test_a_body_in_many_small_chunks_costs_no_more_memory_than_in_one():
    connection = HttpConnection(Limits())
    connection.receive_data(post(CHUNKED))
    connection.next_request()
    connection.receive_data(b"2\r\nab\r\n" * 4096)
    tracemalloc.start()
    connection.next_request()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 4 * 8192


def test_what_was_read_or_refused_is_not_kept():
    connection = HttpConnection(Limits(max_body_size=5))
    for size in (5, 6):
        connection.receive_data(post(CHUNKED, b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"))
        try:
            assert connection.next_request().body == b"xxxxx"
            connection.send(Response(200), NOW)
        except LimitError as error:
            connection.refuse(error, NOW)
        assert (connection.buffered, connection._chunks, connection._request) == (0, None, None)


# Answers


def answered(data: bytes, response: Response | None = None, **options: bool) -> tuple[bytes, HttpConnection]:
    connection = HttpConnection(Limits())
    connection.receive_data(data)
    assert connection.next_request() is not None
    return connection.send(response or Response(200, b"hello"), NOW, **options), connection


def test_an_answer_keeps_the_connection_unless_either_side_wants_it_closed():
    data, connection = answered(A_GET)
    assert b"connection" not in data
    assert connection.phase is Phase.HEAD
    for data, connection in (answered(A_GET, close=True), answered(A_GET[:-2] + b"Connection: close\r\n\r\n")):
        assert b"\r\nconnection: close\r\n" in data
        assert connection.phase is Phase.CLOSED


def test_http_1_0_is_told_that_the_connection_stays_when_it_asked_for_it():
    data, connection = answered(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nconnection: keep-alive\r\n" in data
    assert connection.phase is Phase.HEAD
    assert b"\r\nconnection: close\r\n" in answered(b"GET / HTTP/1.0\r\n\r\n")[0]


def test_head_is_answered_with_the_length_and_without_the_content():
    data, _ = answered(A_GET.replace(b"GET", b"HEAD"))
    assert b"content-length: 5\r\n" in data
    assert data.endswith(b"\r\n\r\n")


def refused(data: bytes, before: bytes = b"") -> bytes:
    connection = HttpConnection(Limits())
    if before:
        connection.receive_data(before)
        connection.next_request()
        connection.send(Response(200), NOW)
    connection.receive_data(data)
    with pytest.raises(ProtocolError) as caught:
        connection.next_request()
    return connection.refuse(caught.value, NOW)


def test_a_refusal_has_status_date_length_content_and_close():
    assert refused(b"GET / HTTP/1.1\r\n\r\n") == (
        b"HTTP/1.1 400 Bad Request\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
        b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: 12\r\n\r\nBad Request\n"
    )


def test_the_content_of_a_refusal_depends_on_the_refused_request_and_not_on_the_one_before():
    head = A_GET.replace(b"GET", b"HEAD")
    assert refused(b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")
    assert refused(b"\r\nHEAD / HTTP/1.1\r\nHost : x\r\n\r\n", before=A_GET).endswith(b"\r\n\r\n")
    assert refused(b"GET / HTTP/1.1\r\n\r\n", before=head).endswith(b"\r\n\r\nBad Request\n")
    assert refused(b"\x16", before=head).endswith(b"\r\n\r\nBad Request\n")


def test_the_text_of_a_refusal_quotes_nothing_of_the_peers():
    connection = HttpConnection(Limits())
    connection.receive_data(b"GET /?key=secret HTTP/1.1\r\nHost: x\r\nBad Secret\r\n\r\n")
    with pytest.raises(ProtocolError) as caught:
        connection.next_request()
    assert "ecret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# Expect: 100-continue (RFC 9110, section 10.1.1)

EXPECTING = post(b"Content-Length: 2\r\nExpect: 100-Continue\r\n")


def test_a_client_that_waits_is_told_once_to_go_on():
    connection = HttpConnection(Limits())
    connection.receive_data(EXPECTING)
    assert connection.take_interim() == b""
    assert connection.next_request() is None
    assert connection.take_interim() == CONTINUE
    assert connection.take_interim() == b""
    connection.receive_data(b"ab")
    assert connection.next_request().body == b"ab"
    assert connection.take_interim() == b""


@pytest.mark.parametrize(
    "data",
    [
        EXPECTING + b"ab",
        post(b"Content-Length: 2\r\nExpect: 100-continue\r\n", version=b"1.0"),
        post(b"Content-Length: 0\r\nExpect: 100-continue\r\n"),
        A_GET,
        EXPECTING[:-1],
    ],
)
def test_nobody_is_told_to_go_on_who_does_not_wait(data: bytes):
    connection = HttpConnection(Limits())
    connection.receive_data(data)
    connection.next_request()
    assert connection.take_interim() == b""


def test_a_body_that_is_refused_is_not_asked_for():
    connection = HttpConnection(Limits(), body_limit=lambda _: 50)
    connection.receive_data(post(b"Content-Length: 51\r\nExpect: 100-continue\r\n"))
    with pytest.raises(LimitError) as caught:
        connection.next_request()
    assert connection.take_interim() == b""
    assert connection.refuse(caught.value, NOW).startswith(b"HTTP/1.1 413 ")


# What a request may be for


def limit_of_path(request: Request) -> int:
    return 5 if request.path == "/small" else 100


def asked(data: bytes, **options: object) -> Request | int | None:
    """Return the request, or the status of its refusal."""
    connection = HttpConnection(Limits(max_body_size=50), **options)
    connection.receive_data(data)
    try:
        return connection.next_request()
    except ProtocolError as error:
        return error.status


@pytest.mark.parametrize(("path", "limit"), [(b"/small", 5), (b"/p", 100)])
def test_a_body_may_be_as_long_as_its_route_allows(path: bytes, limit: int):
    for size in (limit - 1, limit, limit + 1):
        counted = post(b"Content-Length: %d\r\n" % size, b"a" * size)
        chunked = post(CHUNKED, b"%x\r\n" % size + b"a" * size + b"\r\n0\r\n\r\n")
        for data in (counted, chunked):
            said = asked(data.replace(b"/p", path), body_limit=limit_of_path)
            assert said == 413 if size > limit else len(said.body) == size


def test_a_route_is_asked_with_the_head_once_and_only_when_there_is_a_body():
    seen = []

    def limit(request: Request) -> int:
        seen.append((request.method, request.path, request.header(b"host"), request.body))
        return 50

    connection = HttpConnection(Limits(), body_limit=limit)
    for piece in single(A_GET + post(b"Content-Length: 0\r\n") + post(b"Content-Length: 2\r\n", b"ab")):
        connection.receive_data(piece)
        if connection.next_request():
            connection.send(Response(200), NOW)
    assert seen == [("POST", "/p", b"x", b"")]


def test_hosts_and_methods_that_are_not_served_are_refused():
    hosts = frozenset({b"y"})
    assert asked(A_GET, hosts=hosts) == 421
    assert asked(A_GET.replace(b"Host: x", b"Host: Y:80"), hosts=hosts).path == "/a"
    assert asked(A_GET.replace(b"/a", b"http://y/a"), hosts=hosts).path == "/a"
    assert asked(A_GET, methods=frozenset({b"HEAD"})) == 501
    assert asked(A_GET.replace(b"GET", b"PURGE"), methods=frozenset({b"PURGE"})).method == "PURGE"


def test_h11_has_the_last_word(monkeypatch: pytest.MonkeyPatch):
    class Refusing(h11.Connection):
        def next_event(self):
            raise h11.RemoteProtocolError("secret", error_status_hint=501)

    class Silent(h11.Connection):
        def next_event(self):
            return h11.NEED_DATA

    for parser, status in ((Refusing, 501), (Silent, 400)):
        monkeypatch.setattr(h11, "Connection", parser)
        connection = HttpConnection(Limits())
        connection.receive_data(A_GET[:-2] + b"X: never seen before\r\n\r\n")
        with pytest.raises(ProtocolError) as caught:
            connection.next_request()
        assert caught.value.status == status
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        (b"GET /a HTTP/1.1", b"POST /b?c HTTP/1.1", 1),
        (b"GET /a HTTP/1.1", b"GET /a HTTP/1.0", 2),  # the same lines may mean something else there
    ],
)
def test_h11_is_asked_once_about_the_same_fields(
    first: bytes, second: bytes, asked: int, monkeypatch: pytest.MonkeyPatch
):
    made = []
    make = h11.Connection
    monkeypatch.setattr(h11, "Connection", lambda role: made.append(role) or make(role))
    lines = b"\r\nHost: x\r\nX: %b%b\r\nConnection: keep-alive\r\n\r\n" % (first, second)
    connection = HttpConnection(Limits())
    for line in (first, second, first, second):
        connection.receive_data(line + lines)
        request = connection.next_request()
        assert (request.method, request.path) == (line.split()[0].decode(), line.split()[1].decode().partition("?")[0])
        connection.send(Response(200), NOW)
    assert len(made) == asked


def test_what_was_refused_is_refused_again():
    for _ in range(3):
        assert asked(A_GET[:-2] + b"Content-Length: x\r\n\r\n") == 400
        assert asked(A_GET[:-2] + b"Transfer-Encoding: gzip, chunked\r\n\r\n") == 501


@pytest.mark.parametrize("name", sorted(SECRET))
def test_header_sections_with_secrets_are_not_remembered(name: bytes):
    secret = A_GET[:-2] + name.title() + b": Basic c2VzYW1l\r\n\r\n"
    before = _remembered.cache_info().currsize
    assert asked(secret).header(name) == asked(secret).header(name) == b"Basic c2VzYW1l"
    assert _remembered.cache_info().currsize == before


def test_long_header_sections_are_not_remembered():
    long = A_GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * MAX_REMEMBERED_SIZE)
    before = _remembered.cache_info().currsize
    assert asked(long).path == asked(long).path == "/a"
    assert _remembered.cache_info().currsize == before


# The order of things


def test_an_answer_that_nobody_asked_for_is_our_own_mistake():
    with pytest.raises(StateError, match="no answer is owed"):
        HttpConnection(Limits()).send(Response(200), NOW)
    _, connection = answered(A_GET, close=True)
    with pytest.raises(StateError, match="cannot go from CLOSED"):
        connection.refuse(ProtocolError("again"), NOW)


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 2\r\n"])
def test_behind_its_last_request_nothing_of_a_client_is_kept_or_read(fields: bytes):
    connection = HttpConnection(Limits())
    connection.receive_data(post(b"Connection: close\r\n" + fields, b"ab" if fields else b"") + b"\x00" + A_GET)
    assert connection.next_request() is not None
    assert connection.buffered == 0
    connection.receive_data(A_GET)
    assert connection.buffered == 0
    connection.send(Response(200), NOW)
    connection.receive_data(A_GET)
    assert (connection.buffered, connection.phase, connection.next_request()) == (0, Phase.CLOSED, None)


def test_what_came_behind_a_request_is_handed_over_when_the_connection_becomes_something_else():
    connection = HttpConnection(Limits())
    connection.receive_data(A_GET + b"\x81\x00")
    connection.next_request()
    connection.receive_data(b"\x82")
    assert connection.detach() == b"\x81\x00\x82"
    assert (connection.phase, connection.buffered) == (Phase.CLOSED, 0)


def test_behind_a_refusal_nothing_of_a_client_is_kept_or_read():
    connection = HttpConnection(Limits())
    connection.receive_data(b"\x00" + A_GET)
    with pytest.raises(ProtocolError) as caught:
        connection.next_request()
    connection.refuse(caught.value, NOW)
    connection.receive_data(A_GET)
    assert (connection.buffered, connection.phase, connection.next_request()) == (0, Phase.CLOSED, None)


@pytest.mark.parametrize("first", [b"\x16", b"\x80", b"\x00", b" ", b"\n", b"{"])
def test_what_cannot_begin_a_request_is_refused_at_its_first_byte(first: bytes):
    assert asked(first) == 400


def test_empty_lines_leave_a_connection_idle_until_there_are_too_many():
    connection = HttpConnection(Limits(max_target_size=10, max_header_size=20))
    for _ in range(9):
        connection.receive_data(b"\r\n")
        assert connection.next_request() is None
        assert connection.idle
    connection.receive_data(b"\r\n")
    with pytest.raises(LimitError) as caught:
        connection.next_request()
    assert caught.value.status == 431


def test_an_answer_that_cannot_be_written_is_still_owed():
    connection = HttpConnection(Limits())
    connection.receive_data(A_GET)
    connection.next_request()
    with pytest.raises(StateError, match="not the status"):
        connection.send(Response(99), NOW)
    assert connection.send(Response(500), NOW).startswith(b"HTTP/1.1 500 ")


def test_it_knows_when_it_is_idle_and_what_it_holds():
    connection = HttpConnection(Limits())
    assert connection.idle
    connection.receive_data(A_GET + A_GET)
    assert not connection.idle
    connection.next_request()
    assert connection.buffered == len(A_GET)
    assert connection.next_request() is None
    connection.send(Response(200), NOW, close=True)
    assert connection.buffered == 0
    connection.receive_data(A_GET)
    assert connection.buffered == 0
    assert not connection.idle


# What a recogniser has not taken yet


def fresh(data: bytes) -> HttpConnection:
    """Return a connection to which this came in one piece and which recognises what is common."""
    connection = HttpConnection(Limits(), recognizer=Recognizer(Limits(), body_limit=100))
    connection.receive_data(data)
    return connection


def last_answer(connection: HttpConnection) -> None:
    connection.next_request()
    connection.send(Response(200), NOW, close=True)


def refusal_of_the_rest(connection: HttpConnection) -> None:
    connection.next_request()
    connection.send(Response(200), NOW)
    connection.refuse(ProtocolError("it took too long", status=408), NOW)


def detachment(connection: HttpConnection) -> None:
    connection.next_request()
    connection.detach()


@pytest.mark.parametrize("end", [last_answer, refusal_of_the_rest, detachment])
def test_at_the_end_nothing_that_was_to_be_recognised_is_kept(end: Callable[[HttpConnection], None]):
    connection = fresh(A_GET * 3)
    end(connection)
    assert connection.phase is Phase.CLOSED
    assert (connection.buffered, connection.held, connection._fresh) == (0, 0, b"")
    connection.receive_data(A_GET)
    assert (connection.buffered, connection.held, connection.next_request()) == (0, 0, None)


@pytest.mark.parametrize(("pieces", "rest"), [([], b""), ([b"\x82"], b"\x82"), ([b"\x82", b"\x01"], b"\x82\x01")])
def test_what_came_in_one_piece_with_a_recognised_request_is_handed_over_too(pieces: list[bytes], rest: bytes):
    connection = fresh(A_GET + b"\x81\x00")
    assert connection.next_request().path == "/a"
    for piece in pieces:
        connection.receive_data(piece)
    assert connection.detach() == b"\x81\x00" + rest


def test_a_refusal_of_what_was_not_looked_at_yet_gives_head_no_content():
    late = ProtocolError("it took too long", status=408)
    for method, content in ((b"GET", b"Request Timeout\n"), (b"HEAD", b"")):
        assert fresh(A_GET.replace(b"GET", method)).refuse(late, NOW).endswith(b"\r\n\r\n" + content)


def test_what_came_in_one_piece_is_held_till_its_last_request_was_read():
    size = len(A_GET)
    connection = fresh(A_GET * 3)
    assert (connection.buffered, connection.held) == (3 * size, 3 * size)
    for buffered, held in ((2 * size, 3 * size), (size, 3 * size), (0, 0)):
        assert connection.next_request() is not None
        assert (connection.buffered, connection.held) == (buffered, held)
        connection.send(Response(200), NOW)
    assert connection.idle


class Conversation(RuleBasedStateMachine):
    """Requests come in torn, answers go out late: their order and number never change, and one is owed at most."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = HttpConnection(Limits())
        self.sent = self.received = self.answered = 0
        self.wire = b""

    @rule(length=st.integers(0, 9), chunked=st.booleans())
    def request(self, length: int, chunked: bool) -> None:  # noqa: FBT001 - drawn by name
        body = b"x" * length
        rest = CHUNKED + b"\r\n%x\r\n" % length + body + b"\r\n0\r\n\r\n" if chunked and length else b"\r\n"
        self.wire += b"GET /%d HTTP/1.1\r\nHost: x\r\n" % self.sent + rest
        self.sent += 1

    @rule(count=st.integers(1, 60))
    def arrive(self, count: int) -> None:
        self.connection.receive_data(self.wire[:count])
        self.wire = self.wire[count:]

    @rule()
    def receive(self) -> None:
        request = self.connection.next_request()
        if self.received > self.answered:
            assert request is None
        elif request is not None:
            assert request.path == f"/{self.received}"
            self.received += 1

    @rule()
    def answer(self) -> None:
        if self.received > self.answered:
            self.connection.send(Response(200), NOW)
            self.answered += 1

    @invariant()
    def at_most_one_answer_is_owed(self) -> None:
        assert self.received - self.answered == (self.connection.phase is Phase.ANSWER)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(deadline=None, max_examples=30, stateful_step_count=30)
