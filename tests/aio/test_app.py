"""rawbot/aio/app.py and settings.py: what an operator writes down, and what is refused there and then."""

import asyncio
import contextlib

import pytest
from fake_endpoint import GET, FakeEndpoint, make_app, make_event, read_response, talk

from rawbot.aio.app import App
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.server import serve
from rawbot.aio.settings import Timeouts
from rawbot.bot import Bot
from rawbot.errors import ConfigError, StateError
from rawbot.exchange import Answer, Dial, Response, Service
from rawbot.http.limits import Limits


def test_an_app_has_limits_and_timeouts_of_its_own_or_the_usual_ones():
    assert (App(Bot()).settings.limits, App(Bot()).settings.timeouts) == (Limits(), Timeouts())
    limits, timeouts = Limits(max_body_size=7), Timeouts(header=7)
    app = App(Bot(), limits=limits, timeouts=timeouts)
    assert (app.settings.limits, app.settings.timeouts) == (limits, timeouts)


def test_it_knows_its_paths():
    app = App(Bot())
    assert [route.path for route in app.routes] == []
    app.add("/a", FakeEndpoint())
    app.add("/b/c.d", FakeEndpoint(), bot=Bot())
    assert [route.path for route in app.routes] == ["/a", "/b/c.d"]


@pytest.mark.parametrize("path", ["", "a", "http://x/a", "/a b", "/a?b", "/a#b", "/a\n", "/机器人"])
def test_a_path_that_no_request_can_have_is_refused(path: str):
    with pytest.raises(ConfigError, match="a path begins with /"):
        App(Bot()).add(path, FakeEndpoint())


def test_a_path_has_one_endpoint_and_an_endpoint_one_path():
    app, endpoint = App(Bot()), FakeEndpoint()
    app.add("/a", endpoint)
    with pytest.raises(ConfigError, match="/a has an endpoint already"):
        app.add("/a", FakeEndpoint())
    with pytest.raises(ConfigError, match="on another path already"):
        app.add("/b", endpoint)
    assert [route.path for route in app.routes] == ["/a"]


def test_an_endpoint_without_a_bot_is_refused():
    app = App()
    with pytest.raises(ConfigError, match="no bot for /a"):
        app.add("/a", FakeEndpoint())
    app.add("/a", FakeEndpoint(), bot=Bot())


# Services without a path


def test_a_service_takes_part_once_whether_it_has_a_path_or_not():
    app, service, endpoint, other = App(Bot()), Service(), FakeEndpoint(), FakeEndpoint()
    app.attach(service)
    with pytest.raises(ConfigError, match="takes part already"):
        app.attach(service)
    app.add("/a", endpoint)
    with pytest.raises(ConfigError, match="takes part already"):
        app.attach(endpoint)
    app.attach(other)
    with pytest.raises(ConfigError, match="takes part already"):
        app.add("/b", other)
    assert [route.path for route in app.routes] == ["/a"]


def test_a_service_that_needs_a_bot_needs_one():
    app, service = App(), Service()
    app.attach(Service())
    service.needs_bot = True
    with pytest.raises(ConfigError, match="no bot for this service"):
        app.attach(service)
    app.attach(service, bot=Bot())
    own = Service()
    own.needs_bot, own.handlers = True, Bot()
    app.attach(own)


def test_an_endpoint_with_handlers_of_its_own_needs_no_bot():
    endpoint = FakeEndpoint()
    endpoint.handlers = Bot()
    app = App()
    app.add("/a", endpoint)
    (route,) = app.routes
    assert route.bot is endpoint.handlers


def test_while_an_app_runs_no_service_joins():
    app = App()

    async def run():
        app.engine(asyncio.get_running_loop())
        with pytest.raises(StateError, match="attach its services before"):
            app.attach(Service())
        await app.aclose()
        app.attach(Service())

    asyncio.run(run())


def test_a_service_that_cannot_be_leaves_the_app_free_to_start_without_it():
    app, service = App(), Service()
    service.dials = (Dial("http://no.example/"),)
    app.attach(service)

    async def run():
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"begins with ws:// or wss://"):
                app.engine(asyncio.get_running_loop())
        service.dials = ()
        app.engine(asyncio.get_running_loop())
        await app.aclose()

    asyncio.run(run())


def test_a_service_that_fails_to_start_keeps_the_app_from_being_served():
    class Failing(Service):
        def start(self, now: float) -> None:  # noqa: ARG002 - a service's shape
            raise ZeroDivisionError

    app = App()
    app.attach(Failing())

    async def run():
        with pytest.raises(ZeroDivisionError):
            async with serve(app, port=0):
                pytest.fail("it was served")
        assert app.running is None

    asyncio.run(run())


@pytest.mark.parametrize("own", [None, 5])
@pytest.mark.parametrize("given", [None, 3])
def test_how_long_a_body_may_be_is_said_by_whoever_adds_an_endpoint_or_by_itself(own: int | None, given: int | None):
    endpoint = FakeEndpoint()
    endpoint.max_body_size = own
    app = App(Bot(), limits=Limits(max_body_size=7))
    app.add("/bot", endpoint, max_body_size=given)
    limit = given or own or 7

    async def run():
        async with serve(app, port=0) as server:
            for size, status in ((limit, b"200"), (limit + 1, b"413")):
                request = b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
                assert (await talk(server.port, request + b"x" * size, eof=True)).startswith(b"HTTP/1.1 " + status)

    asyncio.run(run())


# Bounds


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["keep_alive", "header", "body", "write", "graceful", "settle"])
def test_a_time_out_is_a_number_of_seconds(name: str, value: float):
    with pytest.raises(ConfigError, match=f"timeouts.{name} must be"):
        Timeouts(**{name: value})
    assert getattr(Timeouts(**{name: 0}), name) == 0


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize(
    ("host", "status"),
    [("bot.example", 200), ("Bot.Example:8080", 200), ("x", 421), ("bot.example.org", 421), ("example", 421)],
)
def test_other_hosts_than_the_named_ones_are_not_answered_for(host: str, status: int, *, fast_path: bool):
    endpoint = FakeEndpoint()

    async def run():
        async with serve(make_app(endpoint, hosts=["bot.example"], fast_path=fast_path), port=0) as server:
            return await talk(server.port, GET.replace(b"Host: x", b"Host: " + host.encode()), eof=True)

    assert asyncio.run(run()).startswith(b"HTTP/1.1 %d " % status)
    assert len(endpoint.requests) == (status == 200)


@contextlib.asynccontextmanager
async def bare(app: App):
    """Serve with asyncio alone, as the README shows; yield a client's connection."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(app.protocol_factory(loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        listener.close()
        await app.aclose()
        writer.close()
        await writer.wait_closed()


def test_it_works_on_bare_asyncio_with_a_bot_for_each_path():
    seen = []
    first, second = Bot(), Bot()
    first.on_message(lambda event, _: seen.append(("first", event.text)))
    second.on_message(lambda event, _: seen.append(("second", event.text)))
    app = App(first)
    for path, bot in (("/1", None), ("/2", second), ("/3", first)):
        app.add(path, FakeEndpoint(lambda r, _: Answer(Response(200), make_event(r.path))), bot=bot)

    async def run():
        async with bare(app) as (reader, writer):
            for path in (b"/1", b"/2", b"/3", b"/4"):
                writer.write(GET.replace(b"/bot", path))
            assert [(await read_response(reader))[0] for _ in range(4)] == [200, 200, 200, 404]
            await asyncio.sleep(0)
        assert await reader.read() == b""

    asyncio.run(run())
    assert seen == [("first", "/1"), ("second", "/2"), ("first", "/3")]


def test_closing_ends_the_handlers_and_the_connections_then_forgets_them():
    bot, endpoint, event = Bot(), FakeEndpoint(), make_event()
    bot.on_message(lambda *_: asyncio.Event().wait())
    endpoint.answer = lambda *_: Answer(Response(200), event)
    app = App(bot, timeouts=Timeouts(graceful=0.05, settle=0))
    app.add("/bot", endpoint)

    async def run():
        async with bare(app) as (reader, writer):
            writer.write(GET)
            assert (await read_response(reader))[0] == 200
        assert endpoint.drained
        assert event.reply.endings == ["shutdown"]
        await app.aclose()

    asyncio.run(run())


def test_an_app_runs_once_at_a_time_and_again_when_it_has_ended():
    endpoint = FakeEndpoint()
    app = App(Bot())
    app.add("/bot", endpoint)

    async def run():
        for _ in range(3):
            engine = app.engine(asyncio.get_running_loop())
            with pytest.raises(StateError, match="runs already"):
                app.protocol_factory(asyncio.get_running_loop())
            with pytest.raises(StateError, match="before it is served"):
                app.add("/other", FakeEndpoint())
            await engine.close()
            with pytest.raises(StateError, match="runs already"):
                app.engine(asyncio.get_running_loop())  # its shutdown hooks are still to come
            await app.aclose()
        assert not endpoint.drained

    asyncio.run(run())


def test_an_app_that_is_ending_cannot_be_started_again_before_it_has_ended():
    endpoint = FakeEndpoint()
    endpoint.open = 1
    app = App(Bot(), timeouts=Timeouts(settle=0.03))
    app.add("/bot", endpoint)

    async def run():
        loop = asyncio.get_running_loop()
        app.engine(loop)
        ending = asyncio.create_task(app.aclose())
        await asyncio.sleep(0.01)
        with pytest.raises(StateError, match="runs already"):
            app.engine(loop)
        await ending
        await app.engine(loop).close()

    asyncio.run(run())


def test_a_factory_makes_a_new_protocol_for_each_connection():
    app = App(Bot())

    async def run():
        factory = app.protocol_factory(asyncio.get_running_loop())
        first, second = factory(), factory()
        assert isinstance(first, HttpProtocol)
        assert first is not second
        await app.aclose()

    asyncio.run(run())


def test_an_endpoint_that_was_drained_takes_messages_again_when_the_app_is_served_anew():
    endpoint = FakeEndpoint()
    app = App(Bot())
    app.add("/bot", endpoint)
    order = []
    endpoint.start = lambda _: order.append("start")  # type: ignore[method-assign]
    endpoint.drain = lambda _: order.append("drain")  # type: ignore[method-assign]

    async def run():
        for _ in range(2):
            app.protocol_factory(asyncio.get_running_loop())
            await app.aclose()

    asyncio.run(run())
    assert order == ["start", "drain"] * 2


def test_an_end_that_is_cancelled_still_closes():
    app = App(Bot(), timeouts=Timeouts(graceful=30))
    app.add("/bot", FakeEndpoint())

    async def run():
        engine = app.engine(asyncio.get_running_loop())
        engine.finish = asyncio.Event().wait
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(app.aclose(), 0.01)
        assert engine.closed
        app.engine(asyncio.get_running_loop())
        await app.aclose()

    asyncio.run(run())


# Start and end


class Hooks:
    """Registers two hooks of each kind, one of them a coroutine function; `ran` is what was called."""

    def __init__(self, app: App, *, failing: str = "") -> None:
        self.ran: list[str] = []
        self.failing = failing
        app.on_startup(self.hook("start 1"))
        app.on_startup(self.coroutine("start 2"))
        app.on_shutdown(self.hook("end 1"))
        app.on_shutdown(self.coroutine("end 2"))

    def hook(self, name: str):
        def run() -> None:
            self.ran.append(name)
            if name == self.failing:
                raise ZeroDivisionError

        return run

    def coroutine(self, name: str):
        async def run() -> None:
            await asyncio.sleep(0)
            self.hook(name)()

        return run


def test_hooks_run_before_the_first_request_and_after_the_last_handler_in_reverse_order():
    app = App()
    app.add("/", endpoint := FakeEndpoint(), bot=Bot())
    hooks = Hooks(app)

    async def run():
        async with serve(app, port=0) as server:
            assert hooks.ran == ["start 1", "start 2"]
            assert server.ready
            assert endpoint.starts == 1
        assert not server.ready

    asyncio.run(run())
    assert hooks.ran == ["start 1", "start 2", "end 2", "end 1"]


def test_an_app_whose_start_up_fails_is_not_served_and_what_was_started_is_ended():
    app = App()
    hooks = Hooks(app, failing="start 2")

    async def run():
        with pytest.raises(ZeroDivisionError):
            async with serve(app, port=0):
                pytest.fail("it was served")
        assert hooks.ran == ["start 1", "start 2", "end 2", "end 1"]
        assert app._engine.closed

    asyncio.run(run())


def test_a_shutdown_hook_that_fails_does_not_keep_the_others_from_running(caplog: pytest.LogCaptureFixture):
    app = App()
    hooks = Hooks(app, failing="end 2")

    async def run():
        async with serve(app, port=0):
            pass

    asyncio.run(run())
    assert hooks.ran[-2:] == ["end 2", "end 1"]
    assert "a shutdown hook failed" in caplog.text


def test_a_shutdown_hook_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture):
    app = App(timeouts=Timeouts(hooks=0.05))
    app.on_shutdown(lambda: asyncio.sleep(60))

    async def run():
        async with serve(app, port=0):
            pass

    asyncio.run(run())
    assert "TimeoutError" in caplog.text


def test_on_bare_asyncio_the_hooks_are_the_embedders_to_run():
    app = App()
    hooks = Hooks(app)

    async def run():
        loop = asyncio.get_running_loop()
        with pytest.raises(StateError, match=r"await app\.startup\(\)"):
            app.protocol_factory(loop)
        await app.startup()
        await app.startup()
        app.protocol_factory(loop)
        await app.aclose()
        await app.aclose()
        assert hooks.ran == ["start 1", "start 2", "end 2", "end 1"]

    asyncio.run(run())
