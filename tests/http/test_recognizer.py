"""rawbot/http/recognizer.py: what is recognised and what is left, where the limits are, and fields that are read late.

That nothing is read otherwise than by h11 and the strict look stands in `test_recognizer_alike`.
"""

import asyncio
from collections.abc import Sequence

import pytest
from fake_endpoint import PATH, FakeEndpoint, make_app, talk
from fake_transport import connected, statuses
from fuzz_recognizer import NOW
from http_corpus import A_GET, HOST, post
from hypothesis import example, given
from hypothesis import strategies as st

import rawbot
from rawbot.aio.doors import MAX_IDLE_BODY
from rawbot.aio.engine import Engine
from rawbot.errors import LimitError
from rawbot.exchange import Request, Response
from rawbot.http import recognizer as module
from rawbot.http.connection import HttpConnection
from rawbot.http.limits import Limits
from rawbot.http.recognizer import LazyFields, Recognizer
from rawbot.http.sections import split_fields

SIGNED = b"msg_signature=477715d11cdb4164915debcba66cb864d751f3e6&timestamp=1409659813&nonce=1372623149"
JSON = b'{"encrypt":"RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo"}'
COUNTED = b"Content-Length: %d\r\n" % len(JSON)


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line + b" HTTP/1.1", *fields, b"", body))


COMMON = {
    "a WeCom message (its page 101033)": (
        request(
            b"POST /callback/command?" + SIGNED,
            b"Host: bot.example",
            b"User-Agent: Mozilla/4.0",
            b"Accept: */*",
            b"Content-Type: application/json",
            COUNTED[:-2],
            body=JSON,
        ),
        ("POST", "/callback/command", SIGNED.decode(), JSON),
    ),
    "WeCom looks whether the address answers (its page 101033)": (
        request(
            b"GET /callback/command?" + SIGNED + b"&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3%3D", b"Host: bot.example"
        ),
        ("GET", "/callback/command", SIGNED.decode() + "&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3%3D", b""),
    ),
    "through nginx, as the README has it": (
        request(
            b"POST /callback/command?" + SIGNED,
            b"Host: bot.example",
            b"X-Forwarded-For: 203.0.113.9",
            b"X-Forwarded-Proto: https",
            COUNTED[:-2],
            b"user-agent: Mozilla/4.0",
            b"accept: */*",
            body=JSON,
        ),
        ("POST", "/callback/command", SIGNED.decode(), JSON),
    ),
    "a OneBot event (OneBot 12, HTTP webhook)": (
        request(
            b"POST /onebot",
            b"Content-Type: application/json",
            b"User-Agent: OneBot/12 (qq) Go-LibOneBot/1.0.0",
            b"X-OneBot-Version: 12",
            b"X-Impl: x",
            b"Authorization: Bearer abc",
            COUNTED[:-2],
            b"Host: 127.0.0.1:8080",
            body=JSON,
        ),
        ("POST", "/onebot", "", JSON),
    ),
    "a client that says that it stays (RFC 9112, 9.3)": (
        request(b"GET /health", b"host:x:65", b"connection: Keep-Alive \t"),
        ("GET", "/health", "", b""),
    ),
    "HEAD": (request(b"HEAD /", b"Host: x"), ("HEAD", "/", "", b"")),
    "an empty query": (request(b"GET /a?", b"Host: x"), ("GET", "/a", "", b"")),
    "question marks, quotes, escapes (RFC 9112, 3.2)": (
        request(b'GET /"%%61\'|//..?a=?%3F&"b"/', b"Host: x"),
        ("GET", "/\"%%61'|//..", 'a=?%3F&"b"/', b""),
    ),
    "a GET with a body (RFC 9110, 9.3.1)": (
        request(b"GET /", b"Host: x", b"Content-Length: 3", body=b"abc"),
        ("GET", "/", "", b"abc"),
    ),
    "a length of 0, one of nine digits": (post(b"Content-Length: 000000000\r\n"), ("POST", "/p", "", b"")),
    "a POST without a length (RFC 9112, 6.3)": (post(b""), ("POST", "/p", "", b"")),
    "a body of any bytes (RFC 9112, 6)": (
        post(b"Content-Length: 4\r\n", b"\x00\r\n\xff"),
        ("POST", "/p", "", b"\x00\r\n\xff"),
    ),
    "obs-text, empty values and long names (RFC 9110, 5.5)": (
        post(b"A:\r\nB: \t\r\nX-" + b"y" * 200 + b": \x80\xff\r\n"),
        ("POST", "/p", "", b""),
    ),
    "names that begin like special ones": (
        post(b"Hosts: a\r\nTe-A: b\r\nContent-Lengths: c\r\nConnection-: d\r\nExpec: e\r\nUpgrade-Insecure: 1\r\n"),
        ("POST", "/p", "", b""),
    ),
}
"""What must be recognised, or the fast path is one in name only."""

GET_LINE = b"GET / HTTP/1.1\r\n"
LEFT = {
    "another method": b"PUT / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case (RFC 9110, 9.1)": A_GET.replace(b"GET", b"get"),
    "HTTP/1.0": A_GET.replace(b"1.1", b"1.0"),
    "a higher minor version (RFC 9110, 2.5)": A_GET.replace(b"1.1", b"1.2"),
    "absolute-form (RFC 9112, 3.2.2)": A_GET.replace(b"/a", b"http://x/a"),
    "asterisk-form (RFC 9112, 3.2.4)": A_GET.replace(b"/a?b=c", b"*"),
    "a fragment (RFC 9112, 3.2)": A_GET.replace(b"b=c", b"#c"),
    "an empty line before (RFC 9112, 2.2)": b"\r\n" + A_GET,
    "no Host (RFC 9112, 3.2)": GET_LINE + b"A: b\r\n\r\n",
    "no fields at all": GET_LINE + b"\r\n",
    "two Hosts (CVE-2026-34525)": A_GET[:-2] + b"HOST: x\r\n\r\n",
    "an IPv6 address (RFC 3986, 3.2.2)": GET_LINE + b"Host: [::1]:80\r\n\r\n",
    "a port that is none (RFC 9110, 4.2)": GET_LINE + b"Host: x:65536\r\n\r\n",
    "two lengths, equal ones (CVE-2019-16792)": post(b"Content-Length: 2\r\ncontent-length: 2\r\n", b"ab"),
    "a list of lengths (RFC 9112, 6.3)": post(b"Content-Length: 2, 2\r\n", b"ab"),
    "a length with a sign (GHSA-qppv-j76h-2rpx)": post(b"Content-Length: +2\r\n", b"ab"),
    "a length of ten digits": post(b"Content-Length: 0000000002\r\n", b"ab"),
    "a blank before a length's colon (RFC 9112, 5.1)": post(b"Content-Length : 2\r\n", b"ab"),
    "a tab before a length's colon (RFC 9112, 5.1)": post(b"Content-Length\t: 2\r\n", b"ab"),
    "a body that is still coming": post(b"Content-Length: 3\r\n", b"ab"),
    "chunks (RFC 9112, 7.1)": post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "a coding that nobody knows (CVE-2024-6827)": post(b"Transfer-Encoding: x\r\n"),
    "a client that waits (RFC 9110, 10.1.1)": post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"ab"),
    "an offer to upgrade (RFC 9110, 7.8)": post(b"Upgrade: websocket\r\n"),
    "TE (RFC 9110, 10.1.4)": post(b"te:\r\n"),
    "Trailer (RFC 9110, 6.6.2)": post(b"TRAILER: a\r\n"),
    "the last request of a connection (RFC 9112, 9.3)": post(b"Connection: close\r\n"),
    "Connection with more than keep-alive": post(b"Connection: keep-alive, close\r\n"),
    "Connection that begins with keep-alive": post(b"Connection: keep-alive-not\r\n"),
    "a folded line (RFC 9112, 5.2)": post(b"A: b\r\n c\r\n"),
    "a line without a colon (CPython gh-106052)": post(b"A\r\n"),
    "an empty Host behind another (CPython gh-106052)": A_GET[:-2] + b"Host:\r\n" + A_GET,
    "a bare LF (RFC 9112, 2.2)": post(b"A: b\n"),
    "a bare CR (CVE-2023-37276)": post(b"A: b\rC: d\r\n"),
    "a NUL (RFC 9110, 5.5)": post(b"A: \x00\r\n"),
    "all but the last byte": A_GET[:-1],
    "nothing": b"",
}


def make(limits: Limits | None = None, *, body_limit: int = 1024, hosts: frozenset[bytes] | None = None) -> Recognizer:
    return Recognizer(limits or Limits(), body_limit=body_limit, hosts=hosts)


@pytest.mark.parametrize("name", COMMON)
def test_what_platforms_and_proxies_send_is_recognised(name: str):
    data, said = COMMON[name]
    found = make().read(data, 0, "192.0.2.1")
    assert found is not None
    got, end = found
    assert (got.method, got.path, got.query, got.body) == said
    assert (end, got.http_version, got.peer, got.scheme) == (len(data), "1.1", "192.0.2.1", "http")
    assert type(got.body) is bytes


@pytest.mark.parametrize("name", LEFT)
def test_what_is_unusual_is_left_to_the_strict_look(name: str):
    assert make().read(LEFT[name], 0, "") is None


def test_requests_in_a_row_are_recognised_one_after_the_other_and_each_ends_where_the_next_begins():
    row, at, seen = b"".join(data for data, _ in COMMON.values()) + b"GET", 0, []
    while found := make().read(row, at, ""):
        got, at = found
        seen.append((got.method, got.path, got.query, got.body))
    assert seen == [said for _, said in COMMON.values()]
    assert row[at:] == b"GET"


def test_a_connection_takes_what_is_common_without_its_buffer_and_all_else_with_it():
    connection = HttpConnection(Limits(), recognizer=make())
    for data, recognized in ((A_GET, True), (post(b"Connection: x\r\n"), False), (A_GET, True), (A_GET[:9], False)):
        connection.receive_data(data)
        got = connection.next_request()
        assert isinstance(got and got.headers, LazyFields) == recognized
        if got:
            connection.send(Response(200), NOW)
    connection.receive_data(A_GET[9:])
    assert connection.next_request().headers == ((b"host", b"x"),)


# Limits


def read(data: bytes, limits: Limits | None = None, **options: object) -> Request | None:
    found = make(limits, **options).read(data, 0, "")
    return None if found is None else found[0]


def test_who_breaks_a_limit_is_left_to_those_who_tell_it_and_who_keeps_it_is_not():
    head = GET_LINE + HOST + b"A: b\r\nC: d\r\n\r\n"
    for kept, broken in (
        (
            Limits(max_header_size=len(head), max_target_size=1),
            Limits(max_header_size=len(head) - 1, max_target_size=1),
        ),
        (Limits(max_header_count=3), Limits(max_header_count=2)),
    ):
        assert read(head, kept)
        assert read(head, broken) is None
    for target in (b"/12345678", b"/123?5678", b"/1234567?"):
        data = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
        assert read(data % target, Limits(max_target_size=9))
        assert read(data % target, Limits(max_target_size=8)) is None


def test_lines_are_counted_when_they_might_be_too_many_however_short_they_are():
    limits = Limits(max_header_count=20)
    assert read(GET_LINE + HOST + b"a:\r\n" * 19 + b"\r\n", limits)
    assert read(GET_LINE + HOST + b"a:\r\n" * 20 + b"\r\n", limits) is None
    assert read(GET_LINE + HOST + b"a: " + b"b" * 500 + b"\r\n\r\n", limits)


def test_a_body_may_be_as_long_as_any_path_takes():
    for size in (0, 4, 5):
        data = post(b"Content-Length: %d\r\n" % size, b"x" * size)
        assert (read(data, body_limit=4) is not None) == (size <= 4)
        assert (read(data, Limits(max_body_size=4)) is not None) == (size <= 4)


@pytest.mark.parametrize(
    ("host", "served"), [(b"Bot.Example", True), (b"bot.example:80", True), (b"evil.example", False)]
)
def test_only_hosts_that_are_served_are_recognised_where_hosts_are_named(host: bytes, *, served: bool):
    data = GET_LINE + b"Host: " + host + b"\r\n\r\n"
    assert (read(data, hosts=frozenset({b"bot.example"})) is not None) == served
    assert read(data)


# Fields that are taken apart when somebody asks


def test_fields_are_read_when_they_are_asked_for_and_once(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(module, "split_fields", lambda lines: asked.append(lines) or split_fields(lines))
    got = read(post(b"A: b\r\n"))
    assert repr(got)
    assert repr(got.headers)
    assert asked == []
    assert (got.header(b"a"), got.header(b"host"), got.header(b"c")) == (b"b", b"x", None)
    assert asked == []
    assert [list(got.headers), list(got.headers)] == [[(b"host", b"x"), (b"a", b"b")]] * 2
    assert asked == [HOST + b"A: b\r\n"]


NAMES = st.sampled_from([b"a", b"ab", b"b", b"host", b"x-a", b"content-type", b"c"])


@given(
    st.lists(st.tuples(NAMES, st.booleans(), st.from_regex(rb"[ \t]*[!-~: \x80-\xff]{0,9}[ \t]*", fullmatch=True))),
    NAMES,
)
@example([(b"x-a", False, b"a: 1"), (b"a", False, b"2")], b"a")
@example([(b"b", False, b"content-type:"), (b"content-type", True, b"\tx ")], b"content-type")
def test_a_field_that_is_looked_for_alone_is_what_all_of_them_say(fields: list[tuple[bytes, bool, bytes]], name: bytes):
    lines = b"".join((key.upper() if upper else key) + b":" + value + b"\r\n" for key, upper, value in fields)
    plain = Request("GET", "/", headers=split_fields(lines)).header(name)
    headers = LazyFields(lines)
    assert Request("GET", "/", headers=headers).header(name) == plain
    assert tuple(headers) == split_fields(lines)
    assert Request("GET", "/", headers=headers).header(name) == plain


def test_fields_are_a_sequence_equal_to_what_the_strict_look_gives():
    lines = b"Host: x\r\nA: \t1 2 \t\r\na:\r\nB:\xff \r\n"
    fields, plain = LazyFields(lines), ((b"host", b"x"), (b"a", b"1 2"), (b"a", b""), (b"b", b"\xff"))
    assert isinstance(fields, Sequence)
    assert fields == plain
    assert plain == fields
    assert fields == list(plain)
    assert fields == LazyFields(lines)
    assert fields != plain[1:]
    assert fields != 4
    assert tuple(fields) == plain
    assert (len(fields), fields[0], fields[-1], fields[1:3]) == (4, plain[0], plain[3], plain[1:3])
    assert (b"a", b"") in fields
    assert (b"a", b"x") not in fields
    assert (tuple(reversed(fields)), fields.index(plain[2]), fields.count(plain[0])) == (plain[::-1], 2, 1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(fields)
    with pytest.raises(IndexError):
        fields[4]


def test_two_requests_are_equal_whichever_way_they_came():
    connection = HttpConnection(Limits())
    connection.receive_data(A_GET)
    assert connection.next_request() == read(A_GET)


def test_neither_a_request_nor_its_fields_show_what_they_hold():
    got = read(request(b"POST /p?key=secret", b"Host: x", b"Cookie: secret", b"Content-Length: 6", body=b"secret"))
    assert "secret" not in repr(got) + repr(got.headers) + str(got.headers)


# The app


@pytest.mark.parametrize("fast_path", [True, False])
def test_an_app_recognises_unless_it_is_told_not_to(*, fast_path: bool):
    endpoint = FakeEndpoint()
    data = post(b"Content-Length: 2\r\n", b"ab").replace(b"/p", PATH.encode())

    async def run():
        async with connected(endpoint, fast_path=fast_path) as (transport, protocol, _):
            assert (protocol._connection._recognizer is not None) == fast_path
            protocol.data_received(data)
            assert transport.take().endswith(b"\r\n\r\nPOST  ab")

    asyncio.run(run())
    assert [type(got.headers) for got in endpoint.requests] == [LazyFields if fast_path else tuple]


def test_over_a_socket_nobody_can_tell_which_way_a_request_went():
    wire = b"".join(data for data, _ in COMMON.values()) + LEFT["the last request of a connection (RFC 9112, 9.3)"]

    async def run(*, fast_path: bool) -> list[bytes]:
        async with asyncio.timeout(10), rawbot.serve(make_app(FakeEndpoint(), fast_path=fast_path), port=0) as server:
            said = await talk(server.port, wire)
        return [line for line in said.split(b"\r\n") if not line.startswith(b"date:")]

    assert asyncio.run(run(fast_path=True)) == asyncio.run(run(fast_path=False))


def test_no_path_gets_a_longer_body_by_the_fast_path():
    app = make_app(FakeEndpoint())
    app.add("/small", FakeEndpoint(), max_body_size=3)
    data = post(b"Content-Length: 4\r\n", b"abcd")

    async def run():
        async with asyncio.timeout(10), rawbot.serve(app, port=0) as server:
            for path, status in ((b"/small", b"413"), (PATH.encode(), b"200")):
                said = await talk(server.port, data.replace(b"/p", path), eof=True)
                assert said.startswith(b"HTTP/1.1 " + status)

    asyncio.run(run())


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize(("size", "status"), [(MAX_IDLE_BODY, 404), (MAX_IDLE_BODY + 1, 413)])
def test_behind_a_request_for_no_path_only_a_short_body_is_read(size: int, status: int, *, fast_path: bool):
    data = post(b"Content-Length: %d\r\n" % size, bytes(size))

    async def run():
        async with connected(FakeEndpoint(), fast_path=fast_path) as (transport, protocol, _):
            protocol.data_received(data)
            assert statuses(transport.take()) == [status]

    asyncio.run(run())


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_path_with_a_small_limit_keeps_it_and_does_not_slow_the_others(*, fast_path: bool):
    app = make_app(FakeEndpoint(), fast_path=fast_path)
    app.add("/small", FakeEndpoint(), max_body_size=10)

    def asked(engine: Engine, path: str, size: int) -> Request:
        connection = engine.make_connection("")
        data = post(b"Content-Length: %d\r\n" % size, bytes(size))
        connection.receive_data(data.replace(b"/p", path.encode()))
        got = connection.next_request()
        assert len(got.body) == size
        return got

    async def run():
        engine = app.engine(asyncio.get_running_loop())
        for path, size in ((PATH, 1024), ("/small", 10)):
            assert type(asked(engine, path, size).headers) is (LazyFields if fast_path else tuple)
        with pytest.raises(LimitError):
            asked(engine, "/small", 11)
        await app.aclose()

    asyncio.run(run())
