"""rawbot/aio/asgi/app.py: called as the specification says (asgi.readthedocs.io), and under a real uvicorn."""

import asyncio
import logging
import math
import socket
import struct

import pytest
from asgi_hosting import HTTP, Hosting, hosted
from fake_endpoint import PATH, FakeEndpoint, Waiting, connect, hang_up, make_app, make_event, read_response, until
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from rawbot.aio.app import App
from rawbot.aio.asgi.app import ASGIApp, Message
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot
from rawbot.errors import ProtocolError, StateError
from rawbot.exchange import Answer, Pending, Request, Response
from rawbot.http.limits import Limits

REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}


def make(endpoint: FakeEndpoint, **options: object):
    return ASGIApp(make_app(endpoint, **options))


async def call(asgi: ASGIApp, *messages: Message, **scope: object):
    """Make one request; when the messages are over, the host says nothing until the end. Return what was sent."""
    coming, sent = list(messages or (REQUEST,)), []

    async def receive():
        if coming:
            return coming.pop(0)
        return await asyncio.Event().wait()

    async def send(message: Message):
        sent.append(message)

    usual = {"type": "http", "method": "GET", "path": PATH, "headers": [], "query_string": b""}
    await asgi(usual | scope, receive, send)
    return sent


def once(endpoint: FakeEndpoint, *messages: Message, options: object = None, **scope: object):
    """Make one request to a new application; return status, fields and body."""

    async def run():
        asgi = make(endpoint, **(options or {}))
        sent = await call(asgi, *messages, **scope)
        await asgi.aclose()
        if not sent:
            return None
        start, body = sent
        return start["status"], dict(start["headers"]), body["body"]

    return asyncio.run(run())


# One request


def test_a_request_reaches_the_endpoint_whole():
    endpoint = FakeEndpoint()
    status, fields, body = once(
        endpoint,
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": b"c"},
        method="POST",
        query_string=b"a=%2B&b=+",
        headers=[(b"x-a", b"1")],
        http_version="1.0",
        client=("192.0.2.1", 4711),
    )
    assert (status, body) == (200, b"POST a=%2B&b=+ abc")
    assert fields == {b"content-length": b"18", b"content-type": b"text/plain; charset=utf-8"}
    assert endpoint.requests == [
        Request("POST", "/bot", "a=%2B&b=+", [(b"x-a", b"1")], b"abc", "1.0", "192.0.2.1"),
    ]


def test_an_answer_keeps_its_fields_and_says_nothing_of_content_where_there_is_none():
    endpoint = FakeEndpoint(lambda *_: Answer(Response(200, headers=[(b"x-a", b"1")])))
    assert once(endpoint) == (200, {b"content-length": b"0", b"x-a": b"1"}, b"")
    assert once(FakeEndpoint(lambda *_: Answer(Response(204, b"no")))) == (204, {}, b"")


def test_the_handler_is_started():
    seen = []
    bot = Bot()
    bot.on_message(lambda event, _: seen.append(event.text))
    once(FakeEndpoint(lambda *_: Answer(Response(200), make_event("hello"))), options={"bot": bot})
    assert seen == ["hello"]


@pytest.mark.parametrize(
    "scope",
    [
        {"path": "/bot"},
        {"path": "/bot", "raw_path": None},
        {"path": "/bot", "raw_path": b""},
        {"path": "/bot", "raw_path": b"/bot", "client": None},
        {"path": "/mount/bot", "root_path": "/mount"},
        {"path": "/mount/bot", "root_path": "/mount/"},
        {"path": "/bot", "raw_path": b"/mount/bot", "root_path": "/mount"},
        {"path": "/bot", "root_path": "/mount"},
        {"path": "/bot", "root_path": "/bo"},
        {"path": "/bot/bot", "root_path": "/bot"},
    ],
)
def test_the_path_is_what_stands_behind_the_mount_point(scope: object):
    assert once(FakeEndpoint(), **scope)[0] == 200


@pytest.mark.parametrize(
    "scope",
    [{"path": "/bot/"}, {"path": "/bot", "raw_path": b"/%62ot"}, {"path": "/mount/bot", "root_path": "/moun"}],
)
def test_another_path_is_not_found(scope: object):
    assert once(FakeEndpoint(), **scope)[0] == 404


def test_the_mount_point_itself_is_the_root():
    async def run():
        asgi = ASGIApp(make_app(FakeEndpoint(), path="/"))
        sent = await call(asgi, path="/mount", root_path="/mount")
        await asgi.aclose()
        assert sent[0]["status"] == 200

    asyncio.run(run())


def test_a_body_is_refused_when_it_is_declared_too_long_or_becomes_it():
    endpoint = FakeEndpoint()
    limits = {"limits": Limits(max_body_size=3)}
    two = {"type": "http.request", "body": b"ab", "more_body": True}
    for length in (b"3", b"03", b"x"):
        last = {"type": "http.request", "body": b"c"}
        assert once(endpoint, two, last, options=limits, headers=[(b"content-length", length)])[0] == 200
    never = {"type": "must not be asked for"}
    assert once(endpoint, never, options=limits, headers=[(b"content-length", b"4")])[0] == 413
    assert once(endpoint, two, two, never, options=limits)[0] == 413
    assert len(endpoint.requests) == 3


def test_a_length_of_any_length_is_too_long():
    """int() gives up at 4,300 digits; a host should have refused that, and one may not have."""
    never = {"type": "must not be asked for"}
    assert once(FakeEndpoint(), never, headers=[(b"content-length", b"9" * 5000)])[0] == 413


def test_a_body_may_come_in_any_number_of_parts():
    parts = [{"type": "http.request", "body": b"%d" % (number % 10), "more_body": True} for number in range(3000)]
    status, _, body = once(FakeEndpoint(), *parts, REQUEST, method="POST")
    assert (status, body) == (200, b"POST  " + b"0123456789" * 300)


def test_bodies_on_their_way_have_a_limit_together():
    async def run():
        asgi = make(FakeEndpoint(), capacity=Capacity(max_body_bytes=10))
        part = {"type": "http.request", "body": b"abcd", "more_body": True}
        declaring = Hosting(asgi, HTTP | {"headers": [(b"content-length", b"6")]})
        coming = Hosting(asgi, HTTP, part)
        await until(lambda: coming.asked == 2)
        none, more = Hosting(asgi, HTTP, REQUEST), Hosting(asgi, HTTP, {"type": "http.request", "body": b"x"})
        assert (await none.end())[0]["status"] == 200
        start, _ = await more.end()
        assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
        coming.say(part)
        assert (await coming.end())[0]["status"] == 503
        declaring.say(GONE)
        await declaring.end()
        again = Hosting(asgi, HTTP, {"type": "http.request", "body": b"0123456789"})
        assert (await again.end())[1]["body"] == b"GET  0123456789"
        assert asgi._engine.bodies.left == 10
        await asgi.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("version", "fields"), [("1.1", {b"connection": b"close"}), ("1.0", {b"connection": b"close"}), ("2", {})]
)
def test_a_body_that_takes_too_long_is_not_waited_for(version: str, fields: dict[bytes, bytes]):
    """RFC 9110, section 15.5.9; RFC 9113, section 8.2.2, has no fields of one hop."""
    endpoint = FakeEndpoint()
    part = {"type": "http.request", "body": b"ab", "more_body": True}
    options = {"timeouts": Timeouts(body=0.02)}
    status, found, body = once(endpoint, part, options=options, method="POST", http_version=version)
    assert (status, body, endpoint.requests) == (408, b"Request Timeout\n", [])
    assert {name: value for name, value in found.items() if name == b"connection"} == fields


def test_a_route_may_have_a_limit_of_its_own():
    async def run():
        app = App(Bot(), limits=Limits(max_body_size=3))
        app.add("/large", FakeEndpoint(), max_body_size=5)
        app.add("/small", FakeEndpoint())
        asgi = ASGIApp(app)
        for path, size, status in (("/large", 5, 200), ("/large", 6, 413), ("/small", 3, 200), ("/small", 4, 413)):
            sent = await call(asgi, {"type": "http.request", "body": b"x" * size}, path=path)
            assert (path, size, sent[0]["status"]) == (path, size, status)
        await asgi.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(b"host", b"Bot.Example:8080")], 200),
        ([(b"host", b"evil.example")], 421),
        ([(b"host", b"")], 421),
        ([(b"host", b"bot.example:x")], 421),
        ([(b"host", b"bot.example"), (b"host", b"bot.example")], 421),
        ([], 421),
    ],
)
def test_only_the_hosts_that_are_served_are_answered_for(fields: list[tuple[bytes, bytes]], status: int):
    """RFC 9110, section 7.4."""
    endpoint = FakeEndpoint()
    assert once(endpoint, options={"hosts": ["bot.example"]}, headers=fields)[0] == status
    assert len(endpoint.requests) == (status == 200)


def test_an_ipv4_client_of_an_ipv6_socket_has_its_usual_address():
    endpoint = FakeEndpoint()
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"):
        once(endpoint, client=(address, 4711))
    assert [request.peer for request in endpoint.requests] == ["192.0.2.1", "192.0.2.1", "2001:db8::1"]


def test_the_scheme_is_the_host_s():
    endpoint = FakeEndpoint()
    once(endpoint, scheme="https")
    once(endpoint)
    assert [request.scheme for request in endpoint.requests] == ["https", "http"]


def test_head_has_the_length_and_no_content():
    status, fields, body = once(FakeEndpoint(), method="HEAD")
    assert (status, fields[b"content-length"], body) == (200, b"5", b"")


class Witness(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def answered(self, request: Request, route: str, response: Response, took: float, now: float) -> None:
        assert 0 <= took < 60
        assert now > 1e9
        self.told.append((request.method, route, response.status))

    def refused(self, error: ProtocolError, peer: str, now: float) -> None:
        assert now > 1e9
        self.told.append((error.status, peer))


def test_observers_are_told_of_answers_and_of_refusals():
    witness = Witness()
    options = {"observers": [witness], "limits": Limits(max_body_size=3)}
    once(FakeEndpoint(), options=options)
    once(FakeEndpoint(), options=options, path="/else")
    once(FakeEndpoint(), options=options, method="PUT")
    once(FakeEndpoint(), options=options, headers=[(b"content-length", b"4")], client=("192.0.2.1", 4711))
    once(FakeEndpoint(Waiting(0)), options=options)
    once(FakeEndpoint(Waiting()), REQUEST, GONE, options=options)
    assert witness.told == [
        ("GET", PATH, 200),
        ("GET", "", 404),
        ("PUT", PATH, 405),
        (413, "192.0.2.1"),
        ("GET", PATH, 200),
    ]


def test_who_leaves_in_the_middle_of_the_body_is_not_answered():
    endpoint = FakeEndpoint()
    assert once(endpoint, {"type": "http.request", "body": b"ab", "more_body": True}, GONE) is None
    assert endpoint.requests == []


def test_a_scope_of_another_kind_is_our_own_mistake():
    with pytest.raises(StateError, match="'unknown'"):
        asyncio.run(call(make(FakeEndpoint()), type="unknown"))


# What waits for the bot


def test_a_waiting_answer_is_given_when_the_bot_has_spoken():
    waiting = Waiting()
    waiting.event = make_event()
    bot = Bot()
    bot.on_message(lambda *_: waiting.pending[0].wake())
    assert once(FakeEndpoint(waiting), options={"bot": bot})[2] == b"late "


def test_a_waiting_answer_is_given_at_once_when_it_is_ready_and_at_its_deadline_when_it_is_not():
    def ready(_: object, now: float):
        pending = Pending(None, now + 60, lambda _: Response(200, b"ready"))
        pending.wake()
        return pending

    assert once(FakeEndpoint(ready))[2] == b"ready"
    assert once(FakeEndpoint(Waiting(0.02)))[2] == b"late "
    assert once(FakeEndpoint(Waiting(-1)))[2] == b"late "


@pytest.mark.parametrize("seconds", [1e12, math.inf])
def test_an_answer_may_wait_for_ever_as_far_as_its_endpoint_goes(seconds: float):
    waiting = Waiting(seconds)
    assert once(FakeEndpoint(waiting), REQUEST, GONE) is None
    assert waiting.pending[0].over


def test_one_waiting_answer_too_many_is_given_at_once_as_it_is():
    waiting = Waiting()

    async def run():
        asgi = make(FakeEndpoint(waiting), capacity=Capacity(max_pending=2))
        first = [Hosting(asgi, HTTP, REQUEST) for _ in range(2)]
        await until(lambda: len(waiting.pending) == 2)
        assert (await Hosting(asgi, HTTP, REQUEST).end())[1]["body"] == b"late "
        assert [hosting.sent for hosting in first] == [[], []]
        first[0].say(GONE)
        await first[0].end()
        another = Hosting(asgi, HTTP, REQUEST)
        await until(lambda: len(waiting.pending) == 4)
        waiting.pending[1].wake()
        waiting.pending[3].wake()
        for hosting in (first[1], another):
            assert (await hosting.end())[1]["body"] == b"late "
        assert asgi._engine.pending == 0
        await asgi.aclose()

    asyncio.run(run())


def test_a_waiting_answer_is_forgotten_when_the_peer_leaves():
    waiting = Waiting()
    assert once(FakeEndpoint(waiting), REQUEST, GONE) is None
    assert waiting.pending[0].over
    waiting.pending[0].wake()


def test_a_waiting_answer_is_forgotten_when_the_host_cancels_the_request():
    waiting = Waiting()

    async def run():
        asgi = make(FakeEndpoint(waiting))
        asking = asyncio.create_task(call(asgi))
        await until(lambda: waiting.pending)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert waiting.pending[0].over
        await asgi.aclose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_a_host_whose_receive_breaks_takes_the_answer_all_the_same():
    waiting = Waiting(0.02)

    async def run():
        asgi = make(FakeEndpoint(waiting))
        sent = []
        coming = iter([REQUEST])

        async def receive():
            try:
                return next(coming)
            except StopIteration:
                raise RuntimeError("asked too often") from None

        async def send(message: Message):
            sent.append(message)

        await asgi({"type": "http", "method": "GET", "path": PATH, "headers": []}, receive, send)
        await asgi.aclose()
        assert sent[1]["body"] == b"late "

    asyncio.run(run())


def test_an_answer_that_cannot_be_made_is_a_500(caplog: pytest.LogCaptureFixture):
    def fail(_: object):
        raise ZeroDivisionError

    assert once(FakeEndpoint(lambda *_: Pending(None, 0, fail)))[0] == 500
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# Lifespan


def test_the_lifespan_starts_and_ends_the_engine():
    endpoint = FakeEndpoint()

    async def run():
        asgi = make(endpoint)
        events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent = []

        async def receive():
            return next(events)

        async def send(message: Message):
            sent.append((message["type"], endpoint.ticks, endpoint.drained))

        await asgi({"type": "lifespan"}, receive, send)
        assert sent == [("lifespan.startup.complete", 1, False), ("lifespan.shutdown.complete", 1, True)]
        await asgi.aclose()

    asyncio.run(run())


def test_the_first_requests_start_the_engine_once_and_the_hooks_before():
    endpoint = FakeEndpoint()
    app = make_app(endpoint)
    begun, go_on = [], asyncio.Event()

    @app.on_startup
    async def begin():
        begun.append(endpoint.starts)
        await go_on.wait()

    async def run():
        asgi = ASGIApp(app)
        requests = [Hosting(asgi, HTTP, REQUEST) for _ in range(3)]
        await until(lambda: begun)
        go_on.set()
        for hosting in requests:
            assert (await hosting.end())[0]["status"] == 200
        assert (begun, endpoint.starts) == ([0], 1)
        await asgi.aclose()

    asyncio.run(run())


# Under uvicorn


async def ask(port: int, *requests: bytes):
    """Send the requests over one connection; return status and body of each answer."""
    reader, writer = await connect(port)
    answers = []
    for request in requests:
        writer.write(request)
        status, _, body = await read_response(reader)
        answers.append((status, body))
    await hang_up(writer)
    return answers


def get(path: str):
    return b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()


def test_mounted_beside_a_starlette_route_both_answer_and_the_engine_starts_by_itself():
    endpoint = FakeEndpoint()
    asgi = make(endpoint, limits=Limits(max_body_size=3))
    hello = Route("/hello", lambda _: PlainTextResponse("hello"))
    application = Starlette(routes=[hello, Mount("/mount", asgi)])
    post = b"POST /mount/bot?q=%%2B HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"

    async def run():
        async with hosted(application, lifespan="on") as port:
            assert endpoint.ticks == 0
            assert await ask(port, get("/hello"), post % 3 + b"abc", get("/mount/bot"), get("/mount/else")) == [
                (200, b"hello"),
                (200, b"POST q=%2B abc"),
                (200, b"GET  "),
                (404, b"Not Found\n"),
            ]
            assert (await ask(port, post % 4))[0][0] == 413
            assert [request.path for request in endpoint.requests] == ["/bot", "/bot"]
            assert endpoint.requests[0].peer == "127.0.0.1"
            await asgi.aclose()
        assert endpoint.drained

    asyncio.run(run())


def test_alone_it_lives_as_long_as_the_host():
    endpoint, bot, event = FakeEndpoint(), Bot(), make_event()
    endpoint.answer = lambda *_: Answer(Response(200), event)
    bot.on_message(lambda *_: asyncio.sleep(0.05))

    async def run():
        async with hosted(make(endpoint, bot=bot), lifespan="on") as port:
            assert endpoint.ticks == 1
            assert await ask(port, get(PATH)) == [(200, b"")]
        assert endpoint.drained

    asyncio.run(run())
    assert event.reply.endings == ["finished"]


def test_under_uvicorn_a_waiting_answer_is_woken_and_forgotten_when_the_client_goes():
    waiting = Waiting()
    asgi = make(FakeEndpoint(waiting))

    async def run():
        async with hosted(asgi, lifespan="on") as port:
            asking = asyncio.create_task(ask(port, get(f"{PATH}?1")))
            await until(lambda: waiting.pending)
            waiting.pending[0].wake()
            assert await asking == [(200, b"late 1")]
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(get(PATH))
                await until(lambda: len(waiting.pending) == 2)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await until(lambda: waiting.pending[1].over)

    asyncio.run(run())
