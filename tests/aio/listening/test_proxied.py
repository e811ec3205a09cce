"""rawbot/aio/listening/proxied.py over real sockets: PROXY headers in the clear and before TLS, from whomever."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_endpoint import GET, FakeEndpoint, make_app, until
from listening import (
    Authority,
    Echo,
    MemoryClient,
    NewLoop,
    ask,
    dial,
    dial_socket,
    each_loop,
    hang_up,
    listening,
    needs_ipv6,
    run,
    say,
)
from proxy_headers import LOCAL, SIGNATURE, binary_of, line_of, v2

from rawbot.aio.listening.listen import Listen, Origin
from rawbot.aio.listening.listeners import Listener, accept
from rawbot.aio.listening.proxied import read_proxy_header
from rawbot.aio.listening.tls import TLS
from rawbot.errors import ProtocolError

CLIENT = "203.0.113.9"
VECTORS = b"\x01\x00\x08http/1.1" + b"\x04\x03\xe8" + b"\x00" * 1000
"""HTTP/1.1 by ALPN, and a thousand bytes of nothing (section 2.2.4)."""

HEADERS = [
    (line_of(CLIENT), CLIENT),
    (line_of("2001:db8::9"), "2001:db8::9"),
    (b"PROXY UNKNOWN\r\n", "-"),
    (binary_of(CLIENT), CLIENT),
    (binary_of("2001:db8::9", VECTORS), "2001:db8::9"),
    (v2(0x21, 0x31, b"\x00" * 216), ""),
    (LOCAL, "-"),
]


def behind_proxy(tls: TLS | None = None, **options: object) -> Listen:
    return Listen(**{"port": 0, "tls": tls, "proxy_protocol": True, "forwarded_allow_ips": "127.0.0.1"} | options)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# In the clear


@pytest.mark.parametrize(("header", "peer"), HEADERS)
@each_loop
def test_the_protocol_is_told_the_client_and_gets_every_byte_behind_the_header(
    new_loop: NewLoop, header: bytes, peer: str
):
    async def go():
        async with listening(behind_proxy()) as [listener]:
            assert await ask(listener, header + b"hello") == f"http {peer} hello".encode()
            streams = await dial(listener)
            for byte in header[:-1]:
                streams[1].write(bytes([byte]))
                await asyncio.sleep(0)
            streams[1].write(header[-1:])
            assert await say(streams, b"hello") == f"http {peer} hello".encode()
            await hang_up(streams)
            assert listener.failed == 0

    run(new_loop, go())


@each_loop
def test_a_header_on_its_own_makes_the_connection(new_loop: NewLoop):
    async def go():
        alive = Echo.alive
        async with listening(behind_proxy()) as [listener]:
            streams = await dial(listener)
            streams[1].write(line_of(CLIENT))
            await until(lambda: Echo.alive == alive + 1)
            assert await say(streams) == f"http {CLIENT} hello".encode()
            await hang_up(streams)

    run(new_loop, go())


@each_loop
def test_a_health_check_that_hangs_up_is_no_failure(new_loop: NewLoop):
    async def go():
        alive = Echo.alive
        async with listening(behind_proxy()) as [listener]:
            streams = await dial(listener)
            streams[1].write(LOCAL)
            streams[1].write_eof()
            assert await streams[0].read() == b""
            await hang_up(streams)
            await until(lambda: Echo.alive == alive)
            assert listener.failed == 0

    run(new_loop, go())


@each_loop
def test_a_proxy_may_come_over_a_unix_socket(new_loop: NewLoop, tmp_path: Path):
    listen = Listen(uds=str(tmp_path / "bot.sock"), proxy_protocol=True, forwarded_allow_ips="unix")

    async def go():
        async with listening(listen) as [listener]:
            assert await ask(listener, binary_of(CLIENT) + b"hello") == f"http {CLIENT} hello".encode()

    run(new_loop, go())


@needs_ipv6
@each_loop
def test_a_proxy_may_come_over_ipv6(new_loop: NewLoop):
    async def go():
        async with listening(behind_proxy(host="::1", forwarded_allow_ips="::1")) as [listener]:
            assert await ask(listener, line_of(CLIENT) + b"hello") == f"http {CLIENT} hello".encode()

    run(new_loop, go())


@needs_ipv6
def test_an_ipv4_proxy_on_a_dual_stack_socket_is_known_by_its_ipv4_address():
    """As systemd makes it by default (BindIPv6Only=)."""

    async def go():
        with socket.socket(socket.AF_INET6) as dual:
            dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            dual.bind(("::", 0))
            listen = Listen(sock=dual, proxy_protocol=True, forwarded_allow_ips="127.0.0.1")
            async with listening(listen) as [listener]:
                streams = await asyncio.open_connection("127.0.0.1", listener.port)
                assert await say(streams, line_of(CLIENT) + b"hello") == f"http {CLIENT} hello".encode()
                await hang_up(streams)

    asyncio.run(go())


@each_loop
def test_a_connection_that_was_accepted_elsewhere_may_begin_with_a_header(new_loop: NewLoop):
    async def go():
        loop = asyncio.get_running_loop()
        like = Listen(proxy_protocol=True, forwarded_allow_ips="unix")
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.send(line_of(CLIENT) + b"hello")
            await accept(ours, Echo, loop, listen=like)
            theirs.setblocking(False)
            assert await loop.sock_recv(theirs, 100) == f"http {CLIENT} hello".encode()
        await asyncio.sleep(0.01)
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.send(b"hello\r\n")
            with pytest.raises(ProtocolError, match="no PROXY header"):
                await accept(ours, Echo, loop, listen=like)
            assert ours.fileno() == -1
        ours, theirs = socket.socketpair()
        with theirs, pytest.raises(ProtocolError, match="not trusted"):
            await accept(ours, Echo, loop, listen=Listen(proxy_protocol=True, forwarded_allow_ips="127.0.0.1"))
        assert ours.fileno() == -1

    run(new_loop, go())


# Before TLS


@pytest.mark.parametrize(("header", "peer"), HEADERS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@each_loop
def test_header_and_client_hello_may_come_in_one_segment(
    new_loop: NewLoop, authority: Authority, header: bytes, peer: str, version: ssl.TLSVersion
):
    tls = authority.tls()

    async def go():
        async with listening(behind_proxy(tls)) as [listener]:
            context = authority.client(maximum_version=version)
            assert await ask(listener, context=context, first=header) == f"https {peer} hello".encode()

    run(new_loop, go())


@each_loop
def test_header_and_client_hello_may_come_byte_by_byte(new_loop: NewLoop, authority: Authority):
    tls = authority.tls()

    async def go():
        async with listening(behind_proxy(tls)) as [listener]:
            streams = await dial(listener)
            client = MemoryClient(authority.client(), *streams)
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
            for byte in binary_of(CLIENT, VECTORS[:11]) + client.outgoing.read():
                streams[1].write(bytes([byte]))
                await asyncio.sleep(0)
            await client.shake_hands()
            client.tls.write(b"hello")
            client.send()
            assert await client.receive() == f"https {CLIENT} hello".encode()
            await hang_up(streams)

    run(new_loop, go())


@each_loop
def test_many_connections_at_once_keep_their_own_clients(new_loop: NewLoop, authority: Authority):
    """Header, ClientHello and request of 200 clients, in the clear and under TLS, all under way at the same time."""
    tls = authority.tls()

    async def go():
        async with listening(behind_proxy(tls), behind_proxy()) as [secure, clear]:
            context = authority.client()

            async def one(number: int) -> None:
                client = f"10.0.{number // 100}.{number % 100}"
                header = line_of(client) if number % 3 else binary_of(client, VECTORS)
                said = b"x" * (number * 20 % 1000) + b"hello"
                if number % 2:
                    streams = await dial(secure, context=context, first=header)
                    scheme = "https"
                else:
                    streams = await dial(clear)
                    streams[1].write(header)
                    scheme = "http"
                streams[1].write(said)
                expected = f"{scheme} {client} ".encode() + said
                assert await streams[0].readexactly(len(expected)) == expected
                await hang_up(streams)

            await asyncio.gather(*(one(number) for number in range(200)))
            assert secure.failed == clear.failed == 0
            assert secure._server.waiting == clear._server.waiting == 0

    run(new_loop, go())


# From others


async def closed_unserved(listener: Listener, data: bytes) -> bool:
    """Tell whether the connection is closed without a word."""
    streams = await dial(listener)
    try:
        streams[1].write(data)
        return await streams[0].read() == b""
    except ConnectionError:
        return True
    finally:
        await hang_up(streams)


@pytest.mark.parametrize("data", [line_of(CLIENT) + GET, binary_of(CLIENT) + GET, GET, b"hello"])
@each_loop
def test_a_peer_that_is_no_proxy_of_ours_is_shut_out(new_loop: NewLoop, data: bytes, caplog: pytest.LogCaptureFixture):
    """Gunicorn took such a header from anybody until 26.0."""
    caplog.set_level(logging.INFO, logger="rawbot")

    async def go():
        alive = Echo.alive
        async with listening(behind_proxy(forwarded_allow_ips="192.0.2.1")) as [listener]:
            assert await closed_unserved(listener, data)
            assert listener.failed == 1
            assert Echo.alive == alive

    run(new_loop, go())
    [record] = caplog.records
    assert "from 127.0.0.1 did not get through: its peer is not trusted" in record.getMessage()
    assert CLIENT not in record.getMessage()


@each_loop
def test_a_peer_that_is_no_proxy_of_ours_is_shut_out_before_it_says_anything(new_loop: NewLoop):
    async def go():
        async with listening(behind_proxy(forwarded_allow_ips="192.0.2.1")) as [listener]:
            assert await closed_unserved(listener, b"")

    run(new_loop, go())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GET, "no PROXY header"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "no PROXY header"),
        (b"PROXY TCP4 1.1.1.1\r\n", "a malformed PROXY line"),
        (b"PROXY ".ljust(107, b"x"), "the PROXY line is too long"),
        (SIGNATURE + b"\x21\x11\xff\xff", "the PROXY header is too long"),
        (v2(0x25, 0x11, b"\x00" * 12), "a PROXY header with an unknown version or command"),
    ],
)
@each_loop
def test_even_a_proxy_must_begin_with_a_header(
    new_loop: NewLoop, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="rawbot")

    async def go():
        async with listening(behind_proxy()) as [listener]:
            assert await closed_unserved(listener, data)
            assert await ask(listener, LOCAL + b"hello") == b"http - hello", "others are served on"

    run(new_loop, go())
    [record] = caplog.records
    assert record.getMessage().endswith(f"did not get through: {reason}")


@pytest.mark.parametrize("begun", [b"", line_of(CLIENT)[:-1], binary_of(CLIENT)[:-1], SIGNATURE[:3]])
@each_loop
def test_a_connection_that_ends_within_its_header_is_let_go(new_loop: NewLoop, begun: bytes):
    async def go():
        async with listening(behind_proxy()) as [listener]:
            streams = await dial(listener)
            streams[1].write(begun)
            streams[1].write_eof()
            assert await streams[0].read() == b""
            await hang_up(streams)
            await until(lambda: listener.failed == 1)

    run(new_loop, go())


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data * 10:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


@each_loop
def test_a_dripped_header_does_not_stretch_its_time(new_loop: NewLoop, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="rawbot")

    async def go():
        async with listening(behind_proxy(proxy_header_timeout=0.2)) as [listener]:
            loop = asyncio.get_running_loop()
            started = loop.time()
            reader, writer = await dial(listener)
            dripping = asyncio.create_task(drip(writer, line_of(CLIENT)[:-1]))
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert 0.19 < loop.time() - started < 5
            assert dripping.cancel(), "it would have gone on"
            await hang_up((reader, writer))
            await until(lambda: listener.failed == 1)

    run(new_loop, go())
    assert caplog.records[0].getMessage().endswith("did not get through: its PROXY header took too long")


@each_loop
def test_a_piece_of_a_header_costs_nothing_while_the_rest_is_awaited(new_loop: NewLoop):
    """Bytes that are only looked at would make the loop report the socket without end."""

    async def go():
        async with listening(behind_proxy()) as [listener]:
            streams = await dial(listener)
            streams[1].write(line_of(CLIENT)[:20])
            await until(lambda: listener._server.waiting == 1)
            await asyncio.sleep(0.02)
            before = time.process_time()
            await asyncio.sleep(0.3)
            assert time.process_time() - before < 0.1
            assert await say(streams, line_of(CLIENT)[20:] + b"hello") == f"http {CLIENT} hello".encode()
            await hang_up(streams)

    run(new_loop, go())


@each_loop
def test_silent_proxies_do_not_keep_others_waiting(new_loop: NewLoop):
    async def go():
        async with listening(behind_proxy(proxy_header_timeout=60)) as [listener]:
            silent = [dial_socket(listener) for _ in range(100)]
            await until(lambda: listener._server.waiting == 100)
            async with asyncio.timeout(20):
                assert await ask(listener, LOCAL + b"hello") == b"http - hello"
            for sock in silent:
                sock.close()
            await until(lambda: listener._server.waiting == 0)

    run(new_loop, go())


def test_reading_a_header_may_be_given_up():
    async def go():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await read_proxy_header(ours, loop)
            theirs.send(LOCAL + b"rest")
            assert (await read_proxy_header(ours, loop)).peer is None
            assert ours.recv(100) == b"rest"

    asyncio.run(go())


# The real protocol


@pytest.mark.parametrize("secure", [False, True])
@each_loop
def test_an_app_is_served_behind_a_proxy(
    new_loop: NewLoop,
    authority: Authority,
    secure: bool,  # noqa: FBT001 - a table's column
):
    async def go():
        app = make_app(FakeEndpoint())
        factory: Callable[[], asyncio.Protocol] = app.protocol_factory(asyncio.get_running_loop())
        told: list[tuple[str, str | None]] = []

        def connect(origin: Origin, peer: str | None) -> asyncio.Protocol:
            told.append((origin.scheme, peer))
            return factory()

        listen = behind_proxy(authority.tls() if secure else None)
        async with listening(listen, connect=connect) as [listener]:
            context = authority.client() if secure else None
            header = line_of(CLIENT)
            first, request = (header, GET) if secure else (b"", header + GET)
            assert (await ask(listener, request, context=context, first=first)).startswith(b"HTTP/1.1 200 OK\r\n")
            assert told == [(listener.origin.scheme, CLIENT)]
            await app.aclose()

    run(new_loop, go())
