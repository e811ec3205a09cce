"""One app at every kind of place at once: what its endpoint hears of the client, and that it is answered everywhere."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint, make_app, read_response
from listening import Authority, NewLoop, each_loop, hang_up, run
from proxy_headers import line_of

from rawbot.aio.app import App
from rawbot.aio.listening.listen import Listen
from rawbot.aio.server import Server, serve
from rawbot.errors import ConfigError
from rawbot.exchange import Answer, Request, Response

CLIENT = "198.51.100.7"
FORWARDED = b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"


def introduce(request: Request, now: float) -> Answer:  # noqa: ARG001 - an endpoint's shape
    """Say who the client is taken for."""
    subject = "" if request.certificate is None else str(dict(request.certificate).get("subjectAltName"))
    return Answer(Response(200, f"{request.scheme} {request.peer or '-'} {subject}".strip().encode()))


async def ask(
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], *, first: bytes = b"", fields: bytes = b""
) -> str:
    """Send a request behind `first`; return what the endpoint says."""
    reader, writer = stream
    try:
        writer.write(first + b"GET /bot HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        status, _, body = await read_response(reader)
    finally:
        await hang_up((reader, writer))
    assert status == 200
    return body.decode()


def app() -> App:
    return make_app(FakeEndpoint(introduce))


def port_of(server: Server, at: int) -> int:
    return int(server.addresses[at].rpartition(":")[2])


@each_loop
def test_every_kind_of_place_serves_and_tells_who_the_client_is(new_loop: NewLoop, tmp_path: Path):
    authority = Authority(tmp_path)
    tls = authority.tls(ca_certs=authority.ca_file, cert_reqs="optional")
    path = str(tmp_path / "bot.sock")
    with socket.create_server(("127.0.0.1", 0)) as mine, socket.create_server(("127.0.0.1", 0)) as inherited:
        places = [
            Listen(port=0),
            Listen(port=0, forwarded_allow_ips="127.0.0.1"),
            Listen(port=0, proxy_protocol=True, forwarded_allow_ips="127.0.0.1"),
            Listen(port=0, tls=tls),
            Listen(sock=mine),
            Listen(fd=inherited.fileno()),
            Listen(uds=path, uds_mode=0o600, forwarded_allow_ips="unix"),
        ]

        async def go():
            async with serve(app(), *places) as server:
                said = [
                    await ask(await asyncio.open_connection("127.0.0.1", port_of(server, 0)), fields=FORWARDED),
                    await ask(await asyncio.open_connection("127.0.0.1", port_of(server, 1)), fields=FORWARDED),
                    await ask(await asyncio.open_connection("127.0.0.1", port_of(server, 2)), first=line_of(CLIENT)),
                    await ask(
                        await asyncio.open_connection(
                            "127.0.0.1", port_of(server, 3), ssl=authority.client(), server_hostname="localhost"
                        )
                    ),
                    await ask(await asyncio.open_connection("127.0.0.1", port_of(server, 4))),
                    await ask(await asyncio.open_connection("127.0.0.1", port_of(server, 5))),
                    await ask(await asyncio.open_unix_connection(path)),
                    await ask(await asyncio.open_unix_connection(path), fields=FORWARDED),
                ]
            assert said == [
                "http 127.0.0.1",  # nobody is believed unless he is named
                "https 203.0.113.9",
                f"http {CLIENT}",
                "https 127.0.0.1",
                "http 127.0.0.1",
                "http 127.0.0.1",
                "http -",
                "https 203.0.113.9",
            ]

        run(new_loop, go())
        assert not Path(path).exists()


def test_the_endpoint_sees_the_clients_certificate(tmp_path: Path):
    authority = Authority(tmp_path)
    place = Listen(port=0, tls=authority.tls(ca_certs=authority.ca_file, cert_reqs="required"))

    async def go():
        async with serve(app(), place) as server:
            context = authority.client(show=authority.issue("client", "bot.example.org"))
            said = await ask(
                await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")
            )
            assert said == "https 127.0.0.1 (('DNS', 'bot.example.org'),)"
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await ask(
                    await asyncio.open_connection(
                        "127.0.0.1", server.port, ssl=authority.client(), server_hostname="localhost"
                    )
                )

    asyncio.run(go())


def test_a_connection_that_was_accepted_elsewhere_is_served():
    async def go():
        async with serve(app(), port=0) as server:
            ours, theirs = socket.socketpair()
            await server.accept(theirs)
            assert await ask(await asyncio.open_connection(sock=ours)) == "http -"

    asyncio.run(go())


def test_all_places_or_none_are_bound():
    async def go():
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="cannot listen on"):
            async with serve(app(), Listen(port=0), Listen(port=taken.getsockname()[1])):
                pytest.fail("it was served")

    asyncio.run(go())
