"""Long polls over real sockets: rawbot/onebot/endpoint.py and buffer.py with the shell around them.

OneBot 12, interface/meta/actions (get_latest_events). What a poll was answered with is gone from the buffer; what a
poller did not live to see is not.
"""

import asyncio
import contextlib
import socket
import struct

import pytest
from fake_endpoint import read_response
from onebot_parts import Data, asking, message
from onebot_serving import Http, hear, make_onebot, pack, serve, unpack, websocket
from talking import in_time, until

from rawbot.onebot.buffer import EventBuffer
from rawbot.onebot.endpoint import OneBotEndpoint
from rawbot.onebot.events import heartbeat
from rawbot.onebot.settings import HTTP
from rawbot.onebot_server import OneBot, OneBotServer

PATIENT = 30
"""Seconds of a poll that is not to end by itself."""


def buffer_of(ob: OneBot) -> EventBuffer:
    """Return the one buffer that events wait in."""
    (endpoint,) = [service for service in ob._services if isinstance(service, OneBotEndpoint)]
    assert endpoint._buffer is not None
    return endpoint._buffer


def poll(http: Http, timeout: int = PATIENT, **params: object) -> None:
    http.send(pack(asking("get_latest_events", timeout=timeout, **params)))


async def told(http: Http) -> list[object]:
    """Return the ids of the events that a poll is answered with."""
    async with asyncio.timeout(5):
        status, _, body = await http.receive()
    answer = unpack(body)
    assert (status, answer["status"]) == (200, "ok")
    return [event["id"] for event in answer["data"]]


async def events_now(http: Http) -> list[object]:
    poll(http, 0)
    return await told(http)


def close(http: Http) -> None:
    http.writer.close()


def reset(http: Http) -> None:
    """Close with a reset, as a process that is killed with unread bytes does."""
    sock = http.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    http.writer.transport.abort()


def shut(http: Http) -> None:
    """Close one side only: of clients that do, nearly all have gone wholly."""
    http.writer.write_eof()


@pytest.mark.parametrize("leave", [close, reset, shut])
def test_a_poller_that_has_gone_takes_no_event_with_it(leave: object):
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        buffer = buffer_of(ob)
        async with contextlib.AsyncExitStack() as stack:
            gone = await stack.enter_async_context(Http(server.port))
            poll(gone)
            await until(lambda: buffer.waiting == 1)
            leave(gone)
            await until(lambda: buffer.waiting == 0)
            ob.push(message(1))
            assert len(buffer) == 1
            async with Http(server.port) as http:
                assert await events_now(http) == ["e1"]
                assert await events_now(http) == []

    serve(talk)


def test_a_client_that_gives_up_before_the_answer_finds_all_the_next_time():
    """As HTTP libraries do whose read time-out is shorter than the poll's."""

    async def talk(ob: OneBot, server: OneBotServer) -> None:
        got: list[object] = []
        for number in range(5):
            async with Http(server.port) as http:
                poll(http)
                await until(lambda: buffer_of(ob).waiting == 1)
            await until(lambda: buffer_of(ob).waiting == 0)
            ob.push(message(number))
            async with Http(server.port) as http:
                got += await events_now(http)
        assert got == ["e0", "e1", "e2", "e3", "e4"]

    serve(talk)


def test_the_first_event_answers_and_the_others_wait_for_the_next_poll():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            poll(http, limit=10)
            await until(lambda: buffer_of(ob).waiting == 1)
            ob.push(message(1))
            ob.push(message(2))
            ob.push(message(3))
            assert await told(http) == ["e1"]
            poll(http, limit=1)
            assert await told(http) == ["e2"]
            assert await events_now(http) == ["e3"]

    serve(talk)


def test_events_about_the_implementation_end_no_poll():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            poll(http)
            await until(lambda: buffer_of(ob).waiting == 1)
            ob.set_online("b1", online=False)
            ob.push(heartbeat(5000))
            ob.push(message(1))
            assert await told(http) == ["e1"]

    serve(talk)


def test_of_several_pollers_each_event_goes_to_one_and_who_came_first_has_the_first():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        buffer = buffer_of(ob)
        async with contextlib.AsyncExitStack() as stack:
            pollers = []
            for number in range(3):
                pollers.append(await stack.enter_async_context(Http(server.port)))
                poll(pollers[-1])
                await until(lambda number=number: buffer.waiting == number + 1)
            close(pollers[1])
            await until(lambda: buffer.waiting == 2)
            ob.push(message(1))
            ob.push(message(2))
            assert [await told(pollers[0]), await told(pollers[2])] == [["e1"], ["e2"]]

    serve(talk)


def test_a_poll_and_a_websocket_get_each_event_both():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http, websocket(server.port) as ws:
            ob.push(message(1))
            assert (await hear(ws))["id"] == "e1"
            assert await events_now(http) == ["e1"]

    serve(talk)


def test_a_request_behind_a_poll_is_answered_after_it_and_what_it_emits_comes_in_order():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        def ring() -> None:
            ob.push(message(2))

        ob.action("ring")(ring)
        async with Http(server.port) as http, websocket(server.port) as ws:
            poll(http)
            http.send(pack(asking("ring", echo="r")))
            await until(lambda: buffer_of(ob).waiting == 1)
            ob.push(message(1))
            assert await told(http) == ["e1"]
            assert unpack((await http.receive())[2])["echo"] == "r"
            assert [(await hear(ws))["id"] for _ in range(2)] == ["e1", "e2"]
            assert await events_now(http) == ["e2"]

    serve(talk)


def test_polls_one_after_the_other_miss_nothing_and_repeat_nothing():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        got: list[object] = []

        async def emit() -> None:
            for number in range(200):
                ob.push(message(number))
                if number % 7 == 0:
                    await asyncio.sleep(0)

        async with Http(server.port) as http:
            emitting = asyncio.create_task(emit())
            while len(got) < 200:
                poll(http, limit=5)
                got += await told(http)
            await emitting
        assert got == [f"e{number}" for number in range(200)]

    serve(talk, HTTP(port=0, event_buffer_size=0))


def test_the_end_answers_the_polls_that_wait():
    ob = make_onebot()

    async def run() -> list[Data]:
        answers = []
        async with contextlib.AsyncExitStack() as stack:
            async with ob.serve() as server:
                pollers = [await stack.enter_async_context(Http(server.port)) for _ in range(3)]
                for http in pollers:
                    poll(http, echo="e")
                await until(lambda: buffer_of(ob).waiting == 3)
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began < 2
            for http in pollers:
                _, fields, body = await read_response(http.reader)
                assert fields[b"connection"] == b"close"
                answers.append(unpack(body))
        return answers

    assert in_time(run()) == [{"status": "ok", "retcode": 0, "data": [], "message": "", "echo": "e"}] * 3


def test_an_event_that_was_answered_to_a_client_that_reads_slowly_is_told_whole():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            poll(http)
            await until(lambda: buffer_of(ob).waiting == 1)
            ob.push(message(1, text="x" * 3_000_000))
            await asyncio.sleep(0.05)
            assert await told(http) == ["e1"]

    serve(talk)
