"""rawbot/aio/engine.py: routes, time, what is sent out, and the end in the right order."""

import asyncio
import contextlib
import logging

import pytest
from fake_endpoint import GET, FakeEndpoint, FakeReply, Waiting, make_event, until
from fake_transport import FakeTransport

from rawbot.aio import engine as engine_module
from rawbot.aio.engine import Engine
from rawbot.aio.outgoing.sending import MAX_SENDING
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.routes import Routes
from rawbot.aio.settings import Timeouts, make_settings
from rawbot.bot import Bot
from rawbot.errors import FetchError, LimitError, ProtocolError
from rawbot.exchange import OutgoingRequest, Pending, Request, Response, Source, refuse

ALLOW = b"GET, HEAD, OPTIONS, POST"
QUICK = Timeouts(graceful=0.1, settle=0.1)


class FakeClient:
    """Answers what is sent when told to."""

    def __init__(self, *, available: bool = True) -> None:
        self.available = available
        self.sent = []
        self.answer = Response(200)
        self.gate = None
        self.closed = False

    async def send(self, request: OutgoingRequest, now: float):
        self.sent.append((request, now))
        if self.gate is not None:
            await self.gate.wait()
            await asyncio.sleep(0.001)  # nothing that is sent is there at once
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    fetch = None

    async def aclose(self):
        self.closed = True


class FakeSource(Source):
    """Has a number of requests to send, and remembers what became of them."""

    def __init__(self, count: int = 0) -> None:
        self.left = count
        self.received = []
        self.heard = True

    def next_request(self, now: float):
        if not self.left:
            return None
        self.left -= 1
        return OutgoingRequest("POST", "https://x/?secret", b"", (), now + 60)

    def receive(self, *of: object):
        _, response, _ = of
        self.received.append(response if response is None else response.status)
        return self.heard


@contextlib.asynccontextmanager
async def running(*endpoints: FakeEndpoint, client: FakeClient | None = None, bot: Bot | None = None):
    """Run an engine with the endpoints at /0, /1 and so on."""
    routes, bot = Routes(), bot or Bot()
    for at, endpoint in enumerate(endpoints):
        routes.add(f"/{at}", endpoint, bot)
    loop = asyncio.get_running_loop()
    engine = Engine(loop, routes, client or FakeClient(), make_settings(timeouts=QUICK))
    engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def ask(engine: Engine, path: str = "/0", method: str = "GET"):
    exchange, door = engine.receive(Request(method, path), 1.0)
    return exchange, door and door.dispatch


def with_source(source: Source):
    endpoint = FakeEndpoint()
    endpoint.sources = (source,)
    return endpoint


# Routes


def test_a_path_leads_to_its_endpoint_and_to_no_other():
    first, second = FakeEndpoint(), FakeEndpoint()

    async def run():
        async with running(first, second) as engine:
            exchange, _ = ask(engine, "/1")
            assert (exchange.response.status, len(first.requests), len(second.requests)) == (200, 0, 1)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/0/", "/00", "0", "/0?", "*", "//0", "/%30"])
def test_any_other_path_is_not_found(path: str):
    async def run():
        async with running(FakeEndpoint()) as engine:
            exchange, _ = ask(engine, path)
            assert exchange.response == Response(404, b"Not Found\n")

    asyncio.run(run())


@pytest.mark.parametrize("method", ["PUT", "DELETE", "get"])
def test_a_method_that_the_endpoint_does_not_take_is_told_which_it_takes(method: str):
    """RFC 9110, section 15.5.6: Allow is not optional."""
    endpoint = FakeEndpoint()

    async def run():
        async with running(endpoint) as engine:
            exchange, _ = ask(engine, method=method)
            assert exchange.response == Response(405, b"Method Not Allowed\n", headers=((b"allow", ALLOW),))
            assert endpoint.requests == []

    asyncio.run(run())


def test_options_tells_the_methods_of_a_path():
    """RFC 9110, section 9.3.7."""

    async def run():
        async with running(FakeEndpoint()) as engine:
            exchange, _ = ask(engine, method="OPTIONS")
            assert exchange.response == Response(204, headers=((b"allow", ALLOW),))

    asyncio.run(run())


def test_head_is_answered_as_get_by_an_endpoint_that_takes_get_alone():
    """RFC 9110, section 9.3.2: the same, and the content is left out by whoever writes it."""
    endpoint = FakeEndpoint()

    async def run():
        async with running(endpoint) as engine:
            exchange, _ = ask(engine, method="HEAD")
            assert exchange.response.body.startswith(b"GET ")
            assert endpoint.requests[0].method == "HEAD"  # again, for whoever looks at it afterwards

    asyncio.run(run())


def test_an_endpoint_that_takes_head_itself_sees_it():
    endpoint = FakeEndpoint()
    endpoint.methods = ("GET", "HEAD", "OPTIONS")

    async def run():
        async with running(endpoint) as engine:
            for method in ("HEAD", "OPTIONS"):
                exchange, _ = ask(engine, method=method)
                assert exchange.response.body.startswith(method.encode())

    asyncio.run(run())


def test_an_endpoint_that_says_so_answers_below_its_path_and_the_longest_path_wins():
    outer, inner, exact = FakeEndpoint(), FakeEndpoint(), FakeEndpoint()
    outer.below = inner.below = True
    routes = Routes()
    for path, endpoint in (("/a", outer), ("/a/b/", inner), ("/a/x", exact)):
        routes.add(path, endpoint, Bot())
        assert endpoint.mounted_at == path
    found = {path: routes.find(path) for path in ("/a", "/a/", "/a/c", "/a/b/c", "/a/x", "/a/x/y", "/ab", "/b")}
    doors = {path: route.endpoint for path, route in found.items() if route is not None}
    assert doors == {"/a": outer, "/a/": outer, "/a/c": outer, "/a/b/c": inner, "/a/x": exact, "/a/x/y": outer}


def test_an_endpoint_that_fails_is_answered_500_and_logged(caplog: pytest.LogCaptureFixture):
    def fail(*_: object):
        raise ZeroDivisionError

    async def run():
        async with running(FakeEndpoint(fail)) as engine:
            assert ask(engine)[0].response == Response(500, b"Internal Server Error\n")
            assert engine.answer(Pending(None, 0, fail), 1.0).status == 500

    asyncio.run(run())
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2
    assert "/0" in caplog.text


def test_a_refusal_is_logged_with_its_reason_and_code_which_the_peer_does_not_see(caplog: pytest.LogCaptureFixture):
    async def run():
        async with running(
            FakeEndpoint(lambda *_: refuse(ProtocolError("a reason", status=403, code=-40001)))
        ) as engine:
            exchange, _ = ask(engine)
            assert exchange.response == Response(403, b"request refused\n")

    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "/0 refused a request of a local client: a reason (-40001)"
    ]


def test_broken_http_is_noted_below_the_default_level(caplog: pytest.LogCaptureFixture):
    async def run():
        async with running() as engine:
            engine.note_refusal(LimitError("too long", status=431), "")

    with caplog.at_level(logging.INFO, "rawbot"):
        asyncio.run(run())
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.INFO, "refused a request of a local client with 431: too long")
    ]


# Time


def test_time_passes_for_every_endpoint_even_when_one_of_them_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(engine_module, "TICK", 0.01)

    class Failing(FakeEndpoint):
        def tick(self, now: float):
            super().tick(now)
            raise ZeroDivisionError

    failing, sound = Failing(), FakeEndpoint()

    async def run():
        async with running(failing, sound):
            assert (failing.ticks, sound.ticks) == (1, 1)
            await until(lambda: sound.ticks >= 3)
        seen = sound.ticks
        await asyncio.sleep(0.03)
        assert sound.ticks == seen

    asyncio.run(run())
    assert failing.ticks == sound.ticks
    assert "ZeroDivisionError" in caplog.text


# What is sent


def test_a_source_is_asked_when_it_has_something_and_hears_what_came_of_it():
    source, client = FakeSource(), FakeClient()

    async def run():
        async with running(with_source(source), client=client):
            assert source.enabled
            source.left = 2
            source.on_ready()
            await asyncio.sleep(0.01)
            assert source.received == [200, 200]
        assert not source.enabled
        assert source.on_ready is None
        assert client.closed

    asyncio.run(run())


def test_a_source_is_told_when_nothing_can_be_sent():
    source = FakeSource()

    async def run():
        async with running(with_source(source), client=FakeClient(available=False)):
            assert not source.enabled

    asyncio.run(run())


def test_only_so_many_are_under_way_at_once_and_the_rest_follows():
    source, client = FakeSource(), FakeClient()

    async def run():
        client.gate = asyncio.Event()
        async with running(with_source(source), client=client):
            source.left = MAX_SENDING + 5
            source.on_ready()
            await asyncio.sleep(0.01)
            source.on_ready()
            assert len(client.sent) == MAX_SENDING
            client.gate.set()
            await asyncio.sleep(0.01)
            assert len(source.received) == MAX_SENDING + 5

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "heard"),
    [(None, None), (Response(500), 500), (FetchError("x: broken"), 504), (OSError("https://x/?secret"), 504)],
)
def test_a_source_hears_of_every_failure_and_what_is_lost_is_logged(
    answer: Response | Exception | None, heard: int | None, caplog: pytest.LogCaptureFixture
):
    source, client = FakeSource(), FakeClient()
    source.heard = False
    client.answer = answer

    async def run():
        async with running(with_source(source), client=client):
            source.left = 1
            source.on_ready()
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert source.received == [heard]
    assert caplog.records[-1].getMessage().startswith("what was to be sent is lost")
    assert "secret" not in caplog.text


# The end


def test_it_is_busy_while_handlers_run_or_answers_are_unsettled():
    endpoint = FakeEndpoint()
    bot = Bot()
    released = None

    @bot.on_message
    async def handler(*_: object):
        await released.wait()

    async def run():
        nonlocal released
        released = asyncio.Event()
        async with running(endpoint, bot=bot) as engine:
            assert not engine.busy
            endpoint.open = 1
            assert engine.busy
            endpoint.open = 0
            ask(engine)[1](make_event())
            await asyncio.sleep(0)
            assert engine.busy
            released.set()
            await asyncio.sleep(0.01)
            assert not engine.busy

    asyncio.run(run())


def test_starting_and_draining_are_told_to_every_endpoint():
    endpoints = FakeEndpoint(), FakeEndpoint()

    async def run():
        async with running(*endpoints) as engine:
            assert [(endpoint.starts, endpoint.drained) for endpoint in endpoints] == [(1, False)] * 2
            engine.drain()
            assert [(endpoint.starts, endpoint.drained) for endpoint in endpoints] == [(1, True)] * 2

    asyncio.run(run())


def test_finishing_waits_for_handlers_then_for_platforms_then_for_what_is_being_sent():
    order = []
    source, client = FakeSource(), FakeClient()
    bot = Bot()

    class Polled(FakeEndpoint):
        def unsettled(self):
            order.append("asked")
            return len(order) < 3

    class Told(FakeReply):
        def cancel(self, reason: str):
            order.append(reason)
            source.left = 20
            source.on_ready()

    endpoint = Polled()
    endpoint.sources = (source,)
    bot.on_message(lambda *_: asyncio.Event().wait())

    async def run():
        async with running(endpoint, client=client, bot=bot) as engine:
            client.gate = asyncio.Event()
            asyncio.get_running_loop().call_later(0.2, client.gate.set)
            ask(engine)[1](make_event(reply=Told()))
            await engine.finish()
            assert order == ["shutdown", "asked", "asked"]
            assert source.received == [200] * 20

    asyncio.run(run())


def test_finishing_does_not_wait_for_ever_and_says_what_was_cut_off(caplog: pytest.LogCaptureFixture):
    endpoint = with_source(FakeSource(100))
    endpoint.open = 1
    client = FakeClient()

    async def run():
        loop = asyncio.get_running_loop()
        client.gate = asyncio.Event()
        async with running(endpoint, client=client) as engine:
            endpoint.sources[0].on_ready()
            start = loop.time()
            await engine.finish()
            assert 0.09 < loop.time() - start < 1
        await asyncio.sleep(0.01)
        assert (endpoint.sources[0].received, endpoint.sources[0].left) == ([], 100 - MAX_SENDING)
        assert f"{MAX_SENDING} outgoing requests were cut off" in caplog.text
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(run())


def test_closing_aborts_whoever_does_not_read_after_a_moment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "FLUSH", 0.03)

    async def run():
        async with running(FakeEndpoint()) as engine:
            transport = FakeTransport(HttpProtocol(engine), stuck=True)
            transport.protocol.data_received(GET)
            await engine.close()
            assert transport.aborted
            assert len(engine.wheel) == 0
            await asyncio.sleep(0)
            assert engine.connections == set()

    asyncio.run(run())


def test_closing_answers_what_waits_and_takes_no_longer_than_that():
    async def run():
        loop = asyncio.get_running_loop()
        async with running(FakeEndpoint(Waiting())) as engine:
            transport = FakeTransport(HttpProtocol(engine))
            transport.protocol.data_received(GET.replace(b"/bot", b"/0"))
            start = loop.time()
            await engine.close()
            assert transport.written.endswith(b"late ")
            assert loop.time() - start < 2
            assert engine.closed

    asyncio.run(run())


def test_what_never_started_can_be_closed():
    async def run():
        await Engine(asyncio.get_running_loop(), Routes(), FakeClient(), make_settings(timeouts=QUICK)).close()

    asyncio.run(run())
