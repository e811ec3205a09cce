"""rawbot/aio/protocol.py on a transport in memory: what is written, when and in which order."""

import asyncio
import logging
from time import time

import pytest
from fake_endpoint import (
    GET,
    FakeEndpoint,
    Waiting,
    connect,
    echo,
    hang_up,
    make_event,
    read_response,
    serving,
    talk,
    until,
)
from fake_transport import FakeTransport, bodies, connected, get, post, statuses
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.wheel import TICK
from rawbot.bot import Bot
from rawbot.exchange import Answer, Pending, Request, Response


def test_the_answer_is_written_in_the_call_that_brings_the_request():
    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, _):
            protocol.data_received(get("a")[:-1])
            assert transport.written == b""
            protocol.data_received(b"\n")
            assert bodies(transport.take()) == [b"GET a "]
            assert not transport.closing

    asyncio.run(run())


def test_the_handler_starts_after_the_write_and_not_within_the_call():
    seen = []
    bot = Bot()
    bot.on_message(lambda event, _: seen.append((event.text, bytes(transport.written))))
    transport = None

    async def run():
        nonlocal transport
        endpoint = FakeEndpoint(lambda *_: Answer(Response(200, b"first"), make_event("hello")))
        async with connected(endpoint, bot=bot) as (transport, protocol, _):
            protocol.data_received(GET)
            assert seen == []
            await asyncio.sleep(0)
            assert seen == [("hello", bytes(transport.written))]
            assert bodies(transport.take()) == [b"first"]

    asyncio.run(run())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 60), max_size=8))
def test_pipelined_requests_are_answered_in_order_however_they_come(sizes: list[int]):
    wire = get(0) + post(b"body") + GET.replace(b"GET", b"HEAD") + get(3) + b"\x00"

    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, _):
            rest = wire
            for size in (*sizes, len(wire)):
                if rest:
                    protocol.data_received(rest[:size])
                rest = rest[size:]
            assert statuses(transport.written) == [200, 200, 200, 200, 400]
            assert bodies(transport.written) == [b"GET 0 ", b"POST  body", b"", b"GET 3 ", b"Bad Request\n"]
            assert transport.half_closed

    asyncio.run(run())


def test_a_client_that_expects_100_is_told_to_go_on_and_then_answered():
    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, _):
            wire = post(b"abc", b"Expect: 100-continue\r\n")
            protocol.data_received(wire[:-3])
            assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
            protocol.data_received(b"a")
            assert transport.take() == b""
            protocol.data_received(b"bc")
            assert bodies(transport.take()) == [b"POST  abc"]

    asyncio.run(run())


def test_a_broken_request_is_refused_noted_below_warning_and_the_end(caplog: pytest.LogCaptureFixture):
    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, _):
            protocol.data_received(GET + b"GET /?secret HTTP/1.1\r\n\r\n" + GET)
            assert statuses(transport.written) == [200, 400]
            assert b"connection: close" in transport.written
            assert transport.half_closed

    with caplog.at_level(logging.INFO, "rawbot"):
        asyncio.run(run())
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "secret" not in caplog.text


# What waits for the bot


def test_a_waiting_answer_is_written_in_the_very_call_that_wakes_it_and_only_then_the_next_request_is_read():
    waiting = Waiting()
    endpoint = FakeEndpoint(waiting)

    async def run():
        async with connected(endpoint) as (transport, protocol, _):
            protocol.data_received(get(1) + get(2))
            assert [request.query for request in endpoint.requests] == ["1"]
            waiting.pending[0].wake()
            assert bodies(transport.take()) == [b"late 1"]
            assert [request.query for request in endpoint.requests] == ["1", "2"]
            waiting.pending[1].wake()
            assert bodies(transport.take()) == [b"late 2"]

    asyncio.run(run())


def test_answers_that_are_ready_before_they_are_waited_for_are_written_at_once_and_in_order():
    def ready(request: Request, now: float):
        pending = Pending(None, now + 60, lambda _: Response(200, request.query.encode()))
        pending.wake()
        return pending

    async def run():
        async with connected(FakeEndpoint(ready)) as (transport, protocol, _):
            protocol.data_received(b"".join(map(get, range(300))))
            await until(lambda: transport.written.count(b"HTTP/1.1") == 300)  # other connections have their turns, too
            assert bodies(transport.written) == [b"%d" % n for n in range(300)]

    asyncio.run(run())


def test_a_waiting_answer_is_given_at_its_deadline():
    async def run():
        loop = asyncio.get_running_loop()
        async with connected(FakeEndpoint(Waiting(0.1))) as (transport, protocol, _):
            start = loop.time()
            protocol.data_received(get(1))
            await until(lambda: transport.written)
            assert 0.09 < loop.time() - start < 0.1 + TICK + 0.5
            assert bodies(transport.take()) == [b"late 1"]

    asyncio.run(run())


def test_a_waiting_answer_is_forgotten_when_the_peer_leaves():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, _):
            protocol.data_received(GET)
            transport.abort()
            await asyncio.sleep(0)
            assert waiting.pending[0].over
            waiting.pending[0].wake()
            assert transport.written == b""

    asyncio.run(run())


def test_being_told_twice_that_an_answer_is_ready_changes_nothing():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, _):
            protocol.data_received(get(1))
            waiting.pending[0].wake()
            waiting.pending[0].wake()
            protocol._deliver()
            assert bodies(transport.take()) == [b"late 1"]

    asyncio.run(run())


def test_an_event_that_waits_for_its_answer_reaches_the_bot_which_wakes_it():
    waiting = Waiting()
    waiting.event = make_event()
    bot = Bot()
    bot.on_message(lambda *_: waiting.pending[0].wake())

    async def run():
        async with connected(FakeEndpoint(waiting), bot=bot) as (transport, protocol, _):
            protocol.data_received(get(1))
            assert transport.written == b""
            await asyncio.sleep(0)
            assert bodies(transport.take()) == [b"late 1"]

    asyncio.run(run())


def test_what_cannot_be_answered_is_answered_500_and_the_connection_and_its_clock_go_on(
    caplog: pytest.LogCaptureFixture,
):
    def fail(_: object):
        raise ZeroDivisionError

    broken = [
        Answer(Response(200, headers=[(b"x", b"a\r\nb")])),
        Pending(None, time(), fail),
        Pending(None, time() + 60, fail),
        Pending(None, time() + 60, lambda _: Response(99)),
    ]
    left = list(broken)

    async def run():
        endpoint = FakeEndpoint(lambda *of: left.pop(0) if left else echo(*of))
        async with connected(endpoint) as (transport, protocol, _):
            protocol.data_received(GET * 5)
            await until(lambda: len(statuses(transport.written)) == 2)
            broken[2].wake()
            broken[3].wake()
            assert statuses(transport.written) == [500, 500, 500, 500, 200]
            assert not transport.closing

    asyncio.run(run())
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 4
    assert b"a\r\nb".decode() not in caplog.text


# Half-closed clients


def test_a_half_closed_client_gets_what_was_answered_already():
    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, _):
            protocol.data_received(GET)
            assert protocol.eof_received() is False
            assert statuses(transport.take()) == [200]

    asyncio.run(run())


def test_a_half_closed_client_gets_every_answer_that_is_owed_then_the_end():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, _):
            protocol.data_received(get(1) + get(2) + GET[:5])
            assert protocol.eof_received() is True
            waiting.pending[0].wake()
            assert not transport.closing
            waiting.pending[1].wake()
            assert bodies(transport.written) == [b"late 1", b"late 2"]
            assert transport.closing

    asyncio.run(run())


def test_the_last_answer_to_a_half_closed_client_says_that_it_is_the_last():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, _):
            protocol.data_received(GET)
            protocol.eof_received()
            waiting.pending[0].wake()
            assert b"\r\nconnection: close\r\n" in transport.take()
            assert transport.closing

    asyncio.run(run())


class Taking(Waiting):
    """Answers take something away."""

    def __call__(self, request: Request, now: float) -> Pending:
        pending = super().__call__(request, now)
        pending.needs_reader = True
        return pending


def test_a_half_closed_client_is_gone_for_an_answer_that_takes_something_away():
    waiting = Taking()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, engine):
            protocol.data_received(GET)
            assert engine.pending == 1
            assert protocol.eof_received() is False
            assert waiting.pending[0].over  # in this very call: what comes right afterwards goes to somebody else
            assert engine.pending == 0
            waiting.pending[0].wake()
            assert (transport.written, transport.closing) == (b"", True)

    asyncio.run(run())


def test_what_was_answered_before_still_goes_out_and_nothing_behind_is_taken():
    waiting = Taking()

    def answer(request: Request, now: float) -> Answer | Pending:
        return waiting(request, now) if request.query == "wait" else Answer(Response(200, bytes(100_000)))

    async def run():
        endpoint = FakeEndpoint(answer)
        async with connected(endpoint, stuck=True) as (transport, protocol, _):
            protocol.data_received(get(1))
            transport.paused_protocol = False  # one more than the peer reads was on its way already
            protocol.resume_writing()
            protocol.data_received(get("wait") + get(3))
            protocol.pause_writing()
            assert protocol.eof_received() is False
            assert waiting.pending[0].over
            assert transport.closing
            protocol.resume_writing()
            assert statuses(transport.take()) == [200]
            assert [request.query for request in endpoint.requests] == ["1", "wait"]

    asyncio.run(run())


def test_over_a_socket_a_client_that_closes_its_side_loses_nothing_for_the_next_one():
    waiting = Taking()

    async def run():
        async with serving(FakeEndpoint(waiting)) as port:
            assert await talk(port, GET, eof=True) == b""
            assert waiting.pending[0].over
            reader, writer = await connect(port)
            writer.write(GET)
            await until(lambda: len(waiting.pending) == 2)
            waiting.pending[1].wake()
            assert (await read_response(reader))[2] == b"late "
            await hang_up(writer)

    asyncio.run(run())


# The end


def test_at_shutdown_an_idle_connection_is_closed_and_a_waiting_one_answered_first():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, engine):
            idle = FakeTransport(HttpProtocol(engine))
            protocol.data_received(get(1))
            await engine.close()
            assert (idle.closing, idle.written) == (True, b"")
            assert bodies(transport.written) == [b"late 1"]
            assert b"connection: close" in transport.written
            assert transport.closing

    asyncio.run(run())


def test_a_connection_over_a_unix_socket_has_no_peer_address():
    endpoint = FakeEndpoint()

    async def run():
        async with connected(endpoint) as (transport, protocol, engine):
            protocol.data_received(GET)
            local = HttpProtocol(engine)
            transport._extra["peername"] = ""
            local.connection_made(transport)
            local.data_received(GET)
            local.connection_lost(None)
            assert [request.peer for request in endpoint.requests] == ["192.0.2.1", ""]

    asyncio.run(run())
