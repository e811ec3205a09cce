"""How many at once, over real sockets: limit - 1, limit and limit + 1, and what whoever is beyond is told."""

import asyncio
import re
import socket
import struct

import pytest
from fake_endpoint import GET, PATH, FakeEndpoint, Waiting, connect, hang_up, make_app, read_response, talk, until

from rawbot.aio.server import serve
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.exchange import Answer, Channel, Request, Response, Upgrade
from rawbot.http.limits import Limits

LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", said)]


@pytest.mark.parametrize("limit", [{"max_connections": 3}, {"max_connections_per_address": 3}])
def test_whoever_finds_no_place_is_told_when_to_come_again_and_the_others_notice_nothing(limit: dict[str, int]):
    async def go():
        app = make_app(FakeEndpoint(), capacity=Capacity(**limit, retry_after=7))
        async with serve(app, port=0) as server:
            inside = [await connect(server.port) for _ in range(3)]
            for reader, writer in inside:
                writer.write(GET)
                assert (await read_response(reader))[0] == 200
            late, writer = await connect(server.port)
            status, fields, _ = await read_response(late)
            assert (status, fields[b"retry-after"], fields[b"connection"]) == (503, b"7", b"close")
            assert b"date" in fields
            assert await late.read() == b""
            await hang_up(writer, inside.pop()[1])
            await until(lambda: len(app._engine.connections) == 2)
            assert statuses(await talk(server.port, LAST)) == [200]
            for reader, writer in inside:
                writer.write(GET)
                assert (await read_response(reader))[0] == 200
            await hang_up(*(writer for _, writer in inside))

    asyncio.run(go())


def test_a_flood_beyond_the_places_is_cut_off_without_a_word():
    async def go():
        app = make_app(FakeEndpoint(), capacity=Capacity(max_connections=2))
        async with serve(app, port=0) as server:
            links = [await connect(server.port) for _ in range(8)]
            await until(lambda: len(app._engine.connections) <= 5)
            writers = [writer for _, writer in links]
            await hang_up(*writers)
            await until(lambda: not app._engine.connections)
            assert statuses(await talk(server.port, LAST)) == [200]

    asyncio.run(go())


@pytest.mark.parametrize("asked", [2, 3, 4])
def test_a_connection_ends_in_order_after_so_many_answers(asked: int):
    async def go():
        app = make_app(FakeEndpoint(), capacity=Capacity(max_requests_per_connection=3))
        async with serve(app, port=0) as server:
            said = await talk(server.port, GET * asked, eof=True)
        assert statuses(said) == [200] * min(asked, 3)
        assert asked < 3 or said.count(b"connection: close") == 1

    asyncio.run(go())


def test_an_answer_beyond_those_that_may_wait_is_given_at_once():
    waiting = Waiting()

    async def go():
        app = make_app(FakeEndpoint(waiting), capacity=Capacity(max_pending=2))
        async with serve(app, port=0) as server:
            links = [await connect(server.port) for _ in range(3)]
            for _, writer in links[:2]:
                writer.write(GET)
            await until(lambda: len(waiting.pending) == 2)
            links[2][1].write(GET)
            assert (await read_response(links[2][0]))[0] == 200
            assert app._engine.pending == 2
            waiting.pending[0].wake()
            assert app._engine.pending == 1
            gone = links[1][1].get_extra_info("socket")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
            await hang_up(links[1][1])  # one that leaves gives its place back, too
            await until(lambda: app._engine.pending == 0)
            await hang_up(*(writer for _, writer in links))

    asyncio.run(go())


@pytest.mark.parametrize(("size", "status"), [(4, 200), (5, 200), (6, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_path_may_have_a_body_limit_of_its_own(size: int, status: int, *, chunked: bool):
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size)) if chunked else bytes(size)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size

    async def go():
        app = make_app(FakeEndpoint(), limits=Limits(max_body_size=1000))
        app.add("/small", FakeEndpoint(), max_body_size=5)
        async with serve(app, port=0) as server:
            for path, expected in (("/small", status), (PATH, 200)):
                head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n\r\n" % (path.encode(), framing)
                assert statuses(await talk(server.port, head + body)) == [expected]

    asyncio.run(go())


def test_a_client_reads_the_refusal_although_it_goes_on_sending():
    """Without closing in stages (RFC 9112, section 9.6) the kernel answers the rest with a reset, and takes the 413."""

    async def go():
        app = make_app(FakeEndpoint(), limits=Limits(max_body_size=1000))
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
            for _ in range(30):
                writer.write(bytes(100_000))
                await asyncio.sleep(0)
            await writer.drain()
            assert (await read_response(reader))[0] == 413
            assert await reader.read() == b""
            await hang_up(writer)
            await until(lambda: not app._engine.connections)

    asyncio.run(go())


def test_lingering_ends_when_the_client_does_not():
    async def go():
        app = make_app(FakeEndpoint(), timeouts=Timeouts(linger=0.1, write=0.1))
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(LAST)
            assert (await read_response(reader))[0] == 200
            await until(lambda: not app._engine.connections)
            await hang_up(writer)

    asyncio.run(go())


def test_while_it_drains_every_answer_says_that_it_is_the_last():
    async def go():
        app = make_app(FakeEndpoint(lambda *_: Answer(Response(200))))
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(GET)
            assert b"connection" not in (await read_response(reader))[1]
            server.drain()
            writer.write(GET)
            assert (await read_response(reader))[1][b"connection"] == b"close"
            await hang_up(writer)

    asyncio.run(go())


# Room for bodies

AHEAD = 1000
ROOM = Capacity(read_ahead=AHEAD, max_body_bytes=5000)


@pytest.mark.parametrize(("size", "status"), [(AHEAD + 4999, 200), (AHEAD + 5000, 200), (AHEAD + 5001, 503)])
def test_bodies_have_a_common_room_beyond_what_is_read_ahead(size: int, status: int):
    async def go():
        app = make_app(FakeEndpoint(lambda *_: Answer(Response(200))), capacity=ROOM)
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(b"POST /bot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (size + 1))
            writer.write(bytes(size))
            if status == 200:
                await until(lambda: app._engine.bodies.left == AHEAD + 5000 - size)
                writer.write(b"x")
            assert (await read_response(reader))[0] == status
            await hang_up(writer)
            await until(lambda: app._engine.bodies.left == 5000)

    asyncio.run(go())


def test_an_answer_that_is_owed_comes_although_there_is_no_room_for_what_follows():
    waiting = Waiting()

    async def go():
        app = make_app(FakeEndpoint(waiting), capacity=Capacity(read_ahead=AHEAD, max_body_bytes=1))
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(GET + GET * 100)
            await until(lambda: waiting.pending)
            waiting.pending[0].wake()
            assert (await read_response(reader))[0] == 200
            await until(lambda: len(waiting.pending) == 2)
            await hang_up(writer)

    asyncio.run(go())


def test_a_connection_that_becomes_a_websocket_gives_its_room_back():
    waiting = Waiting()

    class Silent(Channel):
        def receive(self, message: bytes | str, now: float):  # noqa: ARG002 - a channel's shape
            return ()

    def answer(request: Request, now: float):
        return Upgrade(Silent()) if request.query else waiting(request, now)

    upgrade = (
        b"GET /bot?1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    async def go():
        app = make_app(FakeEndpoint(answer), capacity=ROOM)
        async with serve(app, port=0) as server:
            reader, writer = await connect(server.port)
            writer.write(GET + upgrade + b"\x8a\x80abcd" * 300)  # masked, empty pongs behind the handshake
            await until(lambda: app._engine.bodies.left < 5000)
            waiting.pending[0].wake()
            assert (await read_response(reader))[0] == 200
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert app._engine.bodies.left == 5000
            await hang_up(writer)

    asyncio.run(go())
