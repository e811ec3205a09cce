"""rawbot/aio/server.py: the end in the right order, over real sockets and with real signals."""

import asyncio
from pathlib import Path

import pytest
from fake_endpoint import (
    GET,
    FakeEndpoint,
    FakeReply,
    Waiting,
    connect,
    hang_up,
    make_app,
    make_event,
    read_response,
    refuses,
    talk,
    until,
)

from rawbot.aio.server import serve
from rawbot.aio.settings import Timeouts
from rawbot.bot import Bot
from rawbot.exchange import Answer, Request, Response

TESTS = Path(__file__).parent.parent
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def make_bubble(bot: Bot) -> tuple[FakeEndpoint, FakeReply, Waiting]:
    """Make an endpoint whose message, a POST, stays open till its end was fetched with a GET."""
    event = make_event()
    polls = Waiting()

    def answer(request: Request, now: float):
        if request.method == "POST":
            endpoint.open = 1
            return Answer(Response(200, b"bubble"), event)
        if not event.reply.ended:
            return polls(request, now)
        endpoint.open = 0
        return Answer(Response(200, event.reply.ended.encode()))

    @bot.on_message
    async def handler(*_: object):
        await asyncio.Event().wait()

    endpoint = FakeEndpoint(answer)
    endpoint.keeps_state = True
    return endpoint, event.reply, polls


POST = b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def test_while_a_bubble_is_open_it_is_polled_on_old_and_new_connections_and_then_all_is_closed():
    bot = Bot()
    endpoint, reply, polls = make_bubble(bot)

    async def go():
        async with serve(make_app(endpoint, bot=bot, timeouts=Timeouts(graceful=0.1, settle=5)), port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(POST)
            assert (await read_response(reader))[2] == b"bubble"
            poller, polling = await connect(server.port)
            polling.write(GET)
            await until(lambda: polls.pending)
            closing = asyncio.create_task(server.close())
            await until(lambda: endpoint.drained)
            assert b"404" in await talk(server.port, LAST.replace(b"/bot", b"/else"))
            assert not reply.ended
            await until(lambda: reply.ended)
            assert reply.ended == "shutdown"
            assert not closing.done()
            polls.pending[0].wake()
            assert (await read_response(poller))[2] == b"late "
            assert (await talk(server.port, LAST)).endswith(b"shutdown")
            await closing
            assert await refuses(server.port)
            assert await reader.read() == await poller.read() == b""
            await hang_up(writer, polling)

    asyncio.run(go())


def test_an_open_poll_is_answered_when_nobody_fetches_the_end():
    bot = Bot()
    endpoint, _, polls = make_bubble(bot)

    async def go():
        async with serve(make_app(endpoint, bot=bot, timeouts=Timeouts(graceful=0.02, settle=0.05)), port=0) as server:
            poller, polling = await connect(server.port)
            polling.write(GET)
            await until(lambda: polls.pending)
            endpoint.open = 1
            await server.close()
            _, fields, body = await read_response(poller)
            assert (body, fields[b"connection"]) == (b"late ", b"close")
            assert await poller.read() == b""
            await hang_up(polling)

    asyncio.run(go())


def test_with_nothing_open_the_listener_closes_before_anything_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    refused = []

    async def go():
        app = make_app(FakeEndpoint())
        async with serve(app, port=0) as server:

            async def finish():
                refused.append(await refuses(server.port))

            monkeypatch.setattr(app._engine, "finish", finish)

    asyncio.run(go())
    assert refused == [True]


def test_with_nothing_open_idle_connections_close_at_once():
    async def go():
        loop = asyncio.get_running_loop()
        async with serve(make_app(FakeEndpoint()), port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(GET)
            assert (await read_response(reader))[0] == 200
            start = loop.time()
            await server.close()
            assert await refuses(server.port)
            assert await reader.read() == b""
            await hang_up(writer)
        assert loop.time() - start < 0.9

    asyncio.run(go())


@pytest.mark.parametrize("begun", [b"", GET[:10]])
def test_a_request_that_is_on_its_way_when_the_end_begins_is_answered(begun: bytes):
    """Its client has just connected: a rolling restart must not look to it like a failure."""

    async def go():
        async with serve(make_app(FakeEndpoint()), port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(begun)
            await until(lambda: server._engine.connections)
            closing = asyncio.create_task(server.close())
            await until(lambda: server._engine.closed)
            writer.write(GET[len(begun) :])
            status, fields, _ = await read_response(reader)
            assert (status, fields[b"connection"]) == (200, b"close")
            assert await reader.read() == b""
            await hang_up(writer)
            await closing

    asyncio.run(go())


def test_closing_twice_takes_no_longer_than_once():
    endpoint = FakeEndpoint()
    endpoint.open = 1

    async def go():
        loop = asyncio.get_running_loop()
        async with serve(make_app(endpoint, timeouts=Timeouts(settle=0.5)), port=0) as server:
            await server.close()
            start = loop.time()
        assert loop.time() - start < 0.4

    asyncio.run(go())


def test_the_socket_is_closed_too_when_the_app_was_ended_within_the_block():
    async def go():
        app = make_app(FakeEndpoint())
        async with serve(app, port=0) as server:
            await app.aclose()
        assert await refuses(server.port)

    asyncio.run(go())


def test_cancelling_the_close_stops_handlers_and_socket_at_once():
    bot = Bot()
    endpoint, reply, _ = make_bubble(bot)

    async def go():
        async with serve(make_app(endpoint, bot=bot, timeouts=Timeouts(graceful=60)), port=0) as server:
            assert b"bubble" in await talk(server.port, POST, eof=True)
            closing = asyncio.create_task(server.close())
            await until(lambda: endpoint.drained)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert reply.ended == "shutdown"
            assert await refuses(server.port)

    asyncio.run(go())
