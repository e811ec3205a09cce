"""rawbot/aio/server.py over real sockets: where it listens, what it answers, how little one client makes it hold."""

import asyncio
import socket
import struct

import pytest
from fake_endpoint import (
    GET,
    PATH,
    FakeEndpoint,
    Waiting,
    connect,
    hang_up,
    make_app,
    refuses,
    serving,
    talk,
    until,
)

from rawbot.aio.server import serve
from rawbot.aio.settings import Timeouts
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Response
from rawbot.http.limits import Limits

LAST = GET[:-2] + b"Connection: close\r\n\r\n"


# Serving


def test_it_serves_on_a_free_port_until_the_block_is_left():
    async def go():
        async with serve(make_app(FakeEndpoint()), port=0) as server:
            assert server.port > 0
            assert server.addresses == [f"127.0.0.1:{server.port}"]
            assert b"GET  " in await talk(server.port, LAST)
        assert await refuses(server.port)

    asyncio.run(go())


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_written_in_brackets():
    async def go():
        try:
            async with serve(make_app(FakeEndpoint()), host="::1", port=0) as server:
                assert server.addresses == [f"[::1]:{server.port}"]
        except ConfigError:
            pytest.skip("this machine has no ::1")

    asyncio.run(go())


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("nowhere.invalid", 0), ("a" * 64 + ".b", 0), ("a\x00b", 0)],
)
def test_an_address_that_cannot_be_listened_on_is_the_operators_fault(host: str, port: int):
    async def go():
        app = make_app(FakeEndpoint())
        with pytest.raises(ConfigError, match="cannot listen on"):
            async with serve(app, host=host, port=port):
                pass
        assert app.running is None

    asyncio.run(go())


def test_a_port_that_is_taken_is_named():
    async def go():
        async with serving(FakeEndpoint()) as port:
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: "):
                async with serve(make_app(FakeEndpoint()), port=port):
                    pass

    asyncio.run(go())


def test_what_is_raised_inside_of_the_block_comes_out_of_it_and_the_server_ends():
    ports = []

    async def go():
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what is tested
            async with serving(FakeEndpoint()) as port:
                ports.append(port)
                raise ZeroDivisionError
        assert await refuses(ports[0])

    asyncio.run(go())


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_pipelined_requests_torn_over_many_packets_are_answered_in_order(cut: int):
    post = b"POST /bot?2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    wire = GET + post + LAST.replace(b"GET", b"HEAD")

    async def go():
        async with serving(FakeEndpoint()) as port:
            said = await talk(port, *(wire[at : at + cut] for at in range(0, len(wire), cut)))
            parts = [part.split(b"\r\n") for part in said.split(b"HTTP/1.1 ")[1:]]
            assert [(part[0], part[-1]) for part in parts] == [
                (b"200 OK", b"GET  "),
                (b"200 OK", b"POST 2 abc"),
                (b"200 OK", b""),
            ]

    asyncio.run(go())


def test_a_body_that_is_declared_too_long_is_refused_before_it_is_sent():
    async def go():
        async with serving(FakeEndpoint(), limits=Limits(max_body_size=10)) as port:
            head = b"POST /bot HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
            assert (await talk(port, head)).startswith(b"HTTP/1.1 413 ")

    asyncio.run(go())


def test_a_client_that_closes_its_side_gets_every_answer_that_it_is_owed():
    waiting = Waiting()

    async def go():
        async with serving(FakeEndpoint(waiting)) as port:
            asking = asyncio.create_task(talk(port, GET, GET.replace(PATH.encode(), b"/bot?2"), eof=True))
            for count in (1, 2):
                await until(lambda: len(waiting.pending) == count)  # noqa: B023 - awaited at once
                await asyncio.sleep(0.01)
                waiting.pending[-1].wake()
            said = await asking
            assert said.count(b"HTTP/1.1 200 OK") == 2
            assert said.endswith(b"late 2")

    asyncio.run(go())


def test_an_answer_that_waits_is_forgotten_when_the_client_goes():
    waiting = Waiting()

    async def go():
        async with serving(FakeEndpoint(waiting)) as port:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(GET)
                await until(lambda: waiting.pending)
                # closing sends a reset; without this option it would look like a client that closes its side only
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await until(lambda: waiting.pending[0].over)

    asyncio.run(go())


# What one client can make it hold


def test_24_mb_of_pipelined_requests_stay_with_a_client_that_does_not_read():
    request = b"GET /bot HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 12_000)
    wire = memoryview(request * (24 * 1024 * 1024 // len(request)))
    endpoint = FakeEndpoint(lambda *_: Answer(Response(200, bytes(16 * 1024))))

    async def go():
        loop = asyncio.get_running_loop()
        app = make_app(endpoint)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            client.setblocking(False)
            async with serve(app, port=0) as server:
                await loop.sock_connect(client, ("127.0.0.1", server.port))
                sending = asyncio.create_task(loop.sock_sendall(client, wire))
                connections = app._engine.connections
                await until(lambda: connections and not next(iter(connections))._transport.is_reading())
                answered = len(endpoint.requests)
                await asyncio.sleep(0.05)
                (connection,) = connections
                assert connection._connection.buffered < 512 * 1024
                assert connection._transport.get_write_buffer_size() < 128 * 1024
                assert len(endpoint.requests) == answered < 1000
                assert not sending.done()
                await read_all(client)
                await sending
                assert len(endpoint.requests) == len(wire) // len(request)

    async def read_all(client: socket.socket):
        loop = asyncio.get_running_loop()
        data = await loop.sock_recv(client, 1 << 20)
        left = len(wire) // len(request) * (data.index(b"\r\n\r\n") + 4 + 16 * 1024) - len(data)
        while left:
            left -= len(await loop.sock_recv(client, 1 << 20))

    asyncio.run(go())


def test_a_client_that_does_not_read_is_cut_off():
    async def go():
        endpoint = FakeEndpoint(lambda *_: Answer(Response(200, bytes(1 << 20))))
        app = make_app(endpoint, timeouts=Timeouts(write=0.1))
        async with serve(app, port=0) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(GET * 20)
                connections = app._engine.connections
                await until(lambda: endpoint.requests)
                await until(lambda: not connections)

    asyncio.run(go())


def test_a_head_that_drips_in_is_answered_408_at_its_deadline():
    async def go():
        async with serving(FakeEndpoint(), timeouts=Timeouts(header=0.1)) as port:
            reader, writer = await connect(port)
            for _ in range(4):
                writer.write(b"a")
                await asyncio.sleep(0.01)
            # nothing more: what arrives after the close would be answered with a reset, which may overtake the answer
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            await hang_up(writer)

    asyncio.run(go())
