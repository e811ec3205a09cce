"""rawbot/aio/protocol.py: what a peer that floods, drips or does not read can make it hold, and for how long."""

import asyncio
from collections.abc import Callable

import pytest
from fake_endpoint import GET, FakeEndpoint, Waiting
from fake_transport import FakeTransport, connected, lifetime, post, statuses

from rawbot.aio.protocol import HttpProtocol
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.wheel import TICK
from rawbot.exchange import Answer, Response
from rawbot.http.limits import Limits

SLACK = 0.5
"""Seconds that a busy machine may be late."""

# Flow control

BIG = Answer(Response(200, bytes(16 * 1024)))
PADDED = b"GET /bot HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 12_000)


def feed(transport: FakeTransport, protocol: HttpProtocol, data: bytes, size: int) -> int:
    """Send as long as the server reads; return how much it took."""
    at = 0
    while transport.reading and at < len(data):
        protocol.data_received(data[at : at + size])
        at += size
    return at


@pytest.mark.parametrize(("size", "megabytes"), [(1000, 4), (256 * 1024, 24)])
def test_megabytes_of_pipelined_requests_wait_outside_while_nobody_reads_the_answers(size: int, megabytes: int):
    """What took uvicorn 0.54.0 with httptools to 1.1 GB."""
    wire = PADDED * (megabytes * 1024 * 1024 // len(PADDED))
    endpoint = FakeEndpoint(lambda *_: BIG)

    async def run():
        async with connected(endpoint, stuck=True) as (transport, protocol, _):
            sent = feed(transport, protocol, wire, size)
            assert not transport.reading
            assert protocol._connection.buffered <= Capacity().read_ahead + size
            assert len(transport.written) < 2 * transport.HIGH_WATER
            answers = len(statuses(transport.take()))
            while sent < len(wire):
                sent += feed(transport, protocol, wire[sent:][: 1 << 20], size)
                assert protocol._connection.buffered <= Capacity().read_ahead + size
                answers += len(statuses(transport.take()))
            while transport.written:
                answers += len(statuses(transport.take()))
            assert answers == len(endpoint.requests) == len(wire) // len(PADDED)

    asyncio.run(run())


def test_no_more_than_the_read_ahead_is_taken_in_while_an_answer_waits():
    waiting = Waiting()

    async def run():
        async with connected(FakeEndpoint(waiting)) as (transport, protocol, _):
            protocol.data_received(GET)
            sent = feed(transport, protocol, PADDED * 100, 1000)
            assert Capacity().read_ahead < sent <= Capacity().read_ahead + 1000
            waiting.pending[0].wake()
            assert transport.reading
            assert protocol._connection.buffered <= Capacity().read_ahead

    asyncio.run(run())


def test_a_long_body_is_read_on_however_long_it_is():
    limits = Limits(max_body_size=4 * Capacity().read_ahead)

    async def run():
        async with connected(FakeEndpoint(), limits=limits) as (transport, protocol, _):
            wire = post(bytes(4 * Capacity().read_ahead))
            assert feed(transport, protocol, wire, 5000) >= len(wire)
            assert statuses(transport.take()) == [200]

    asyncio.run(run())


# Time

BRIEF = 0.08
SHORT = Timeouts(keep_alive=BRIEF, header=BRIEF, body=BRIEF, write=BRIEF)
LONG = {"keep_alive": 60.0, "header": 60.0, "body": 60.0, "write": 60.0}


def only(name: str) -> Timeouts:
    return Timeouts(**(LONG | {name: BRIEF}))


CHUNKED = b"POST /bot HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "drip", "name", "said"),
    [
        (b"", b"", "header", []),
        (b"", GET[:-2] + b"X: " + b"a" * 9000, "header", [408]),
        (GET, GET[:-2] + b"X: " + b"a" * 9000, "header", [200, 408]),
        (post(bytes(9000))[:-9000], b"a", "body", [408]),
        (CHUNKED, b"1\r\na\r\n", "body", [408]),
        (GET, b"", "keep_alive", [200]),
    ],
)  # fmt: skip
def test_every_phase_ends_at_its_deadline_which_dripped_bytes_do_not_move(
    first: bytes, drip: bytes, name: str, said: list[int]
):
    async def run():
        async with connected(FakeEndpoint(), timeouts=only(name)) as (transport, protocol, _):
            protocol.data_received(first[:9])
            protocol.data_received(first[9:])
            # the first byte begins a phase, and so did the connection's own start
            assert BRIEF < await lifetime(transport, drip) < 2 * (BRIEF + TICK) + SLACK
            assert statuses(transport.written) == said

    asyncio.run(run())


def test_empty_lines_do_not_keep_a_connection():
    async def run():
        for first in (b"", GET):
            async with connected(FakeEndpoint(), timeouts=SHORT) as (transport, protocol, _):
                protocol.data_received(first)
                assert await lifetime(transport, b"\r\n") < 2 * (BRIEF + TICK) + SLACK

    asyncio.run(run())


def test_requests_in_time_keep_a_connection_for_longer_than_any_time_out():
    async def run():
        patient = Timeouts(keep_alive=0.3, header=0.3, body=0.3, write=0.3)
        async with connected(FakeEndpoint(), timeouts=patient) as (transport, protocol, engine):
            for _ in range(8):
                await asyncio.sleep(0.05)
                protocol.data_received(post(b"abc")[:-1])
                await asyncio.sleep(0)
                protocol.data_received(b"c")
                assert len(engine.wheel) <= 1
            assert statuses(transport.take()) == [200] * 8
            assert not transport.closing

    asyncio.run(run())


def test_a_thousand_requests_leave_one_entry_in_the_wheel():
    async def run():
        async with connected(FakeEndpoint()) as (transport, protocol, engine):
            for _ in range(500):
                protocol.data_received(GET)
                protocol.data_received(GET[:9])
                protocol.data_received(GET[9:])
                transport.take()
            assert len(engine.wheel) == 1

    asyncio.run(run())


def test_a_peer_that_does_not_read_is_aborted():
    async def run():
        endpoint = FakeEndpoint(lambda *_: BIG)
        async with connected(endpoint, stuck=True, timeouts=only("write")) as (transport, protocol, _):
            protocol.data_received(GET * 20)
            assert transport.paused_protocol
            assert BRIEF < await lifetime(transport) < BRIEF + TICK + SLACK
            assert transport.aborted

    asyncio.run(run())


def test_a_peer_that_reads_slowly_but_reads_is_not_aborted():
    async def run():
        endpoint = FakeEndpoint(lambda *_: BIG)
        async with connected(endpoint, stuck=True, timeouts=Timeouts(write=0.3)) as (transport, protocol, _):
            protocol.data_received(GET * 20)
            for _ in range(4):
                await asyncio.sleep(0.1)
                transport.take()
            assert not transport.closing

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ending", "timeouts"),
    [
        (lambda protocol, _: protocol.data_received(b"\x00"), only("write")),
        (lambda protocol, _: protocol.data_received(GET[:-2] + b"Connection: close\r\n\r\n"), only("write")),
        (lambda protocol, transport: protocol.eof_received() or transport.close(), only("write")),
        (lambda protocol, _: protocol.close_when_idle(), only("write")),
        (lambda _, transport: transport.close(), SHORT),
        (lambda *_: None, SHORT),
        (lambda protocol, _: protocol.data_received(GET[:5]), SHORT),
    ],
)
def test_closing_does_not_wait_for_ever_for_a_peer_that_leaves_its_answers_unread(
    ending: Callable[[HttpProtocol, FakeTransport], object], timeouts: Timeouts
):
    """In asyncio `close` waits until all is flushed: only `abort` ends it."""

    async def run():
        async with connected(FakeEndpoint(), stuck=True, timeouts=timeouts) as (transport, protocol, _):
            protocol.data_received(GET)
            ending(protocol, transport)
            assert BRIEF < await lifetime(transport) < 2 * (BRIEF + TICK) + SLACK
            assert transport.aborted

    asyncio.run(run())


def test_a_long_last_answer_leaves_whole_when_the_peer_takes_it():
    async def run():
        endpoint = FakeEndpoint(lambda *_: Answer(Response(200, bytes(100_000))))
        async with connected(endpoint, stuck=True) as (transport, protocol, _):
            protocol.data_received(GET[:-2] + b"Connection: close\r\n\r\n" + GET)
            assert transport.paused_protocol
            assert transport.half_closed
            assert transport.take().endswith(bytes(100_000))
            assert (transport.lost, transport.aborted) == (True, False)

    asyncio.run(run())


def test_a_body_does_not_get_more_time_because_writing_was_paused_in_between():
    async def run():
        async with connected(FakeEndpoint(), stuck=True, timeouts=only("body")) as (transport, protocol, _):
            transport.HIGH_WATER = 0
            protocol.data_received(post(b"abc", b"Expect: 100-continue\r\n")[:-3])
            assert transport.paused_protocol
            transport.stuck = False
            transport.take()
            assert BRIEF < await lifetime(transport) < BRIEF + TICK + SLACK

    asyncio.run(run())
