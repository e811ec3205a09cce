"""Slow senders and slow readers hold neither memory nor a place for longer than the time-outs, however many they are.

The server is a process of its own, so that its memory can be looked at from outside.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

import rawbot
from benchmarks.abuse import quantiles
from benchmarks.abused import Terms
from benchmarks.abusers import MEGABYTE, UNREAD
from benchmarks.link import KEPT
from benchmarks.siege import Siege, besieged, forget_peak, read_memory, short

SLOW = {
    "drip head": 300, "drip body": 250, "drip chunks": 250, "say nothing": 100, "await continue": 80,
    "read file slowly": 20,
}  # fmt: skip
"""A thousand connections."""

TERMS = Terms(short(1.2, keep_alive=1.2))
SECONDS = 1.0
"""Less than the shortest time-out, so that each of the thousand is there from the beginning to the end."""
ANNOUNCED = 300
"""Connections that say they will send a megabyte, and send nothing."""
APIECE = 16 * 1024
"""Bytes that one of them may cost: four times what `Capacity` says of an idle connection, as a request is in work."""


@pytest.fixture
def siege() -> Iterator[Siege]:
    with besieged(TERMS) as siege:
        yield siege


def test_a_thousand_slow_connections_cost_the_others_nothing_and_are_gone_in_time(siege: Siege):
    quiet = siege.stand_by(0.5)
    before = siege.settle()
    forget_peak(siege.pid)
    seen, outcome = siege.assail(SECONDS, list(SLOW), widths=SLOW, slowness=8.0)
    assert siege.settle().connections == 0
    assert read_memory(siege.pid, peak=True) - before.memory < APIECE * sum(SLOW.values())
    assert sum(tally.connections for tally in outcome.tallies.values()) == 1000
    assert (quiet.wrong, seen.wrong) == ([], [])
    assert seen.sent == seen.answered > 50
    assert quantiles(seen.times)[0] < max(0.5, 20 * quantiles(quiet.times)[0])
    for name in SLOW.keys() - {"read file slowly"}:
        assert not outcome.tallies[name].ends[KEPT], name
        assert outcome.tallies[name].statuses.keys() <= {100, 408}


def test_bodies_that_are_only_announced_take_no_room_from_those_that_are_sent(siege: Siege):
    """A hundred bytes must not hold a megabyte's room: else 256 announcements keep every callback out."""
    head = b"POST /echo HTTP/1.1\r\nHost: bot\r\n%b\r\n\r\n"
    fields = (b"Content-Length: %d" % MEGABYTE, b"Transfer-Encoding: chunked")
    with contextlib.ExitStack() as stack:
        for number in range(ANNOUNCED):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", siege.port)))
            client.sendall(head % fields[number % 2])
        seen = siege.stand_by(0.5)
    assert (seen.wrong, seen.lost) == ([], 0)


def test_megabytes_of_pipelined_requests_whose_answers_nobody_reads_stay_outside(siege: Siege):
    """What took uvicorn 0.54.0 with httptools to 1.1 GB."""
    before = siege.footprint()
    forget_peak(siege.pid)
    _, outcome = siege.assail(0.3, ["leave unread"], widths={"leave unread": 1}, users=0, comers=0)
    assert outcome.tallies["leave unread"].sent < UNREAD
    assert siege.settle().connections == 0
    assert read_memory(siege.pid, peak=True) - before.memory < 5 * MEGABYTE


def test_a_request_that_waits_in_the_kernel_while_the_loop_is_held_is_not_too_late():
    """Time is up only for those who were listened to: what has come must be read before any deadline is looked at.

    The turns of the loop: in one, the connection is made and the loop is held; in the next, the deadline of another one
    is due from the beginning, the request is in the kernel, and its own deadline passes before that turn has ended.
    """
    timeouts = rawbot.Timeouts(header=0.15, keep_alive=5.0, settle=0.0)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        app = rawbot.App(rawbot.Bot(), timeouts=timeouts)
        factory = app.protocol_factory(loop)
        (silent, accepted), (client, other) = socket.socketpair(), socket.socketpair()
        with silent, client:
            await loop.connect_accepted_socket(factory, accepted)
            client.sendall(request)
            connecting = loop.create_task(loop.connect_accepted_socket(factory, other))
            loop.call_soon(loop.call_soon, time.sleep, 0.3)  # held behind the three steps that connecting takes
            loop.call_soon(time.sleep, 0.3)
            await connecting
            client.setblocking(False)
            answer = await loop.sock_recv(client, 65536)
            await app.aclose()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 404 ")
