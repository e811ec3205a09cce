"""rawbot/aio/outgoing/dialing.py: when no WebSocket is to be opened any more, alone and in an app that ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from dialling import (
    Behaviour,
    FakeDial,
    Reader,
    RogueServer,
    Stage,
    Writer,
    dialled,
    honest,
    run,
    saying,
    stay,
    stay_silent,
    url_of,
)
from fake_channel import FakeChannel
from fake_endpoint import GET, FakeEndpoint, make_app, until
from fake_transport import FakeTransport, statuses
from websockets.asyncio.server import ServerConnection

from rawbot.aio import engine as engine_module
from rawbot.aio.app import App
from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.tallies import Tallies
from rawbot.exchange import Service

FAR = 60.0
"""Seconds to a next try that does not come."""
SLACK = 1.0
"""Seconds that a busy machine may be late."""

fall_silent = saying(until_left=True)
leave = saying()


async def until_asked(stage: Stage, server: RogueServer) -> None:
    """Till the handshake waits for its answer."""
    await until(lambda: server.heads)
    assert stage.dial.channels == []


async def until_refused(stage: Stage, server: RogueServer) -> None:
    """Till the next try is waited for."""
    await until(lambda: stage.dial.order == "oc")
    await until(lambda: not server.open)


async def until_open(stage: Stage, server: RogueServer) -> None:
    await stage.opens()
    assert server.open == 1


async def at_once(stage: Stage, server: RogueServer) -> None:
    del stage, server


async def a_turn_later(stage: Stage, server: RogueServer) -> None:
    del stage, server
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("behave", "moment"),
    [
        (fall_silent, at_once),
        (fall_silent, a_turn_later),
        (stay_silent, until_asked),
        (leave, until_refused),
        (fall_silent, until_open),
    ],
    ids=["at once", "a turn later", "asked", "refused", "open"],
)
def test_it_may_be_stopped_at_any_moment(
    behave: Behaviour,
    moment: Callable[[Stage, RogueServer], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
):
    async def main() -> None:
        async with RogueServer(behave).listen() as server:
            async with dialled(url_of(server.port), interval=FAR) as stage:
                await moment(stage, server)
                connected, opened = server.connected, stage.dial.order
                stage.dialing.stop()
                async with asyncio.timeout(SLACK):
                    await stage.dialing.aclose()
                await asyncio.sleep(0.02)
                assert stage.dial.order == opened  # what is open stays so
                assert server.connected - connected <= (moment is a_turn_later)
                assert server.open == (moment is until_open)
            await until(lambda: not server.open)

    run(main())
    assert len(caplog.records) <= (moment is until_refused)  # it may be stopped before it has told


def test_it_may_be_stopped_while_tls_shakes_hands():
    async def main() -> None:
        writers: list[Writer] = []

        async def accept(reader: Reader, writer: Writer) -> None:
            writers.append(writer)
            await stay(reader)
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with dialled(url_of(server.sockets[0].getsockname()[1], "localhost", "wss"), interval=FAR) as stage:
            await until(lambda: writers)
            stage.dialing.stop()
            await stage.dialing.aclose()
            await until(writers[0].is_closing)
        server.close()

    run(main())


def test_it_may_be_stopped_while_the_channel_begins():
    """The handshake is done, but whoever waits for it has not heard of that yet."""

    class Stopping(FakeChannel):
        def opened(self, now: float) -> None:
            super().opened(now)
            stages[0].dialing.stop()

    stages: list[Stage] = []

    async def main() -> None:
        async with (
            RogueServer(fall_silent).listen() as server,
            dialled(url_of(server.port)) as stage,
        ):
            stages.append(stage)
            stage.dial.make = Stopping
            await until(lambda: stage.dial.order == "oc")
            assert stage.dial.channel.codes == [1006]
            await until(lambda: not server.open)
            assert server.connected == 1

    run(main())


def test_a_handshake_that_is_done_as_its_time_is_over_leaves_nothing():
    def slow() -> FakeChannel:
        time.sleep(0.15)  # it holds the loop till the time is over
        return FakeChannel()

    async def main() -> None:
        async with (
            RogueServer(fall_silent).listen() as server,
            dialled(url_of(server.port), within=0.1) as stage,
        ):
            stage.dial.make = slow
            await until(lambda: stage.dial.channels)
            await asyncio.sleep(0.05)
            assert server.most == 1
            assert "oo" not in stage.dial.order

    run(main())


# In an app


class Caller(Service):
    """A service that has a WebSocket opened."""

    def __init__(self, url: str, **options: object) -> None:
        self.dial = FakeDial(url, **options)
        self.dials = (self.dial,)


def calling(caller: Caller, **options: object) -> App:
    app = make_app(FakeEndpoint(), **options)
    app.attach(caller)
    return app


def test_an_app_opens_the_dials_of_its_services_and_closes_them_with_going_away():
    codes: list[tuple[int, str]] = []

    async def peer(connection: ServerConnection) -> None:
        await connection.wait_closed()
        codes.append((connection.close_code, connection.close_reason))

    async def main() -> None:
        async with honest(peer) as url:
            caller = Caller(url)
            app = calling(caller)
            for _ in range(2):  # an app may be started again
                caller.dial.order = ""
                engine = app.engine(asyncio.get_running_loop())
                await until(lambda: caller.dial.order == "o")
                await app.aclose()
                assert caller.dial.order == "oc"
                assert caller.dial.channel.codes == [1001]
                assert not engine.connections
                assert asyncio.all_tasks() - before == set()
            await until(lambda: len(codes) == 2)

    async def outer() -> None:
        before.update(asyncio.all_tasks())
        await main()

    before: set[asyncio.Task[object]] = set()
    run(outer())
    assert codes == [(1001, "going away")] * 2


def test_a_server_that_does_not_answer_our_close_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "FLUSH", 0.1)

    async def main() -> None:
        async with RogueServer(fall_silent).listen() as server:
            caller = Caller(url_of(server.port))
            app = calling(caller)
            app.engine(asyncio.get_running_loop())
            await until(lambda: caller.dial.order == "o")
            async with asyncio.timeout(SLACK):
                await app.aclose()
            await until(lambda: not server.open)
            assert caller.dial.channel.codes == [1006]
            assert server.connected == 1

    run(main())


def test_while_the_app_drains_what_is_open_stays_so_and_nothing_is_opened():
    async def main() -> None:
        async with RogueServer(fall_silent).listen() as server, RogueServer(stay_silent).listen() as other:
            opened, waiting = Caller(url_of(server.port)), Caller(url_of(other.port))
            app = calling(opened)
            app.attach(waiting)
            engine = app.engine(asyncio.get_running_loop())
            await until(lambda: opened.dial.order == "o" and other.heads)
            engine.drain()
            await until(lambda: not other.open)
            await asyncio.sleep(0.05)
            assert (server.open, server.connected, other.connected) == (1, 1, 1)
            assert (opened.dial.order, waiting.dial.order) == ("o", "")
            opened.dial.channel.say("still here")
            await app.aclose()
            await until(lambda: not server.open)

    run(main())


def test_nothing_is_opened_while_the_engine_closes_without_having_drained():
    """A request that is on its way holds up the end."""

    async def main() -> None:
        async with RogueServer(leave).listen() as server:
            caller = Caller(url_of(server.port), interval=0.05)
            app = calling(caller, timeouts=Timeouts(graceful=0.3))
            engine = app.engine(asyncio.get_running_loop())
            await until(lambda: caller.dial.order == "oc")
            transport = FakeTransport(HttpProtocol(engine))
            transport.protocol.data_received(GET[:-1])
            await engine.close()
            assert transport.aborted
            await app.aclose()
            assert server.connected == caller.dial.order.count("o") <= 2

    run(main())


def test_connections_that_we_open_need_no_place_and_are_no_clients():
    tallies = Tallies()

    async def main() -> None:
        async with RogueServer(fall_silent).listen() as server:
            first, second = Caller(url_of(server.port)), Caller(url_of(server.port))
            app = calling(first, capacity=Capacity(max_connections=1), observers=[tallies])
            app.attach(second)
            engine = app.engine(asyncio.get_running_loop())
            await until(lambda: first.dial.order == second.dial.order == "o")
            assert len(engine.connections) == 2
            transport = FakeTransport(HttpProtocol(engine))
            transport.protocol.data_received(GET)
            assert statuses(transport.take()) == [200]
            transport.abort()
            await app.aclose()
            await until(lambda: not server.open)
            assert (engine.connections, engine._dialled) == (set(), set())

    run(main())
    assert (tallies.connections, tallies.refusals) == (1, {})
