"""rawbot/simulate/http_server.py over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rawbot.errors import FetchError, StateError
from rawbot.exchange import Request, Response
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.http_server import HttpServer


async def echo(request: Request) -> Response:
    return Response(200, b"%s %s?%s %s" % (
        request.method.encode(), request.path.encode(), request.query.encode(), request.body
    ), b"text/plain", [(b"x-seen", request.header(b"x-said") or b"")])  # fmt: skip


def run(use: Callable[[HttpServer], Awaitable[object]], answer: object = echo, **options: object) -> object:
    async def main():
        server = HttpServer(answer, **options)
        await server.start()
        try:
            return await use(server)
        finally:
            await server.stop()

    return asyncio.run(main())


def test_requests_on_one_connection_are_answered_in_their_order():
    async def use(server: HttpServer):
        async with HttpClient(server.base_url) as client:
            first = await client.request("GET", "/a?b=c", [(b"x-said", b"hi")])
            second = await client.request("POST", "/d", (), b"body")
        return first, second

    first, second = run(use)
    assert (first.body, second.body) == (b"GET /a?b=c ", b"POST /d? body")
    assert (b"x-seen", b"hi") in first.headers


def test_no_answer_hangs_up():
    async def nothing(_: Request):
        return None

    async def use(server: HttpServer):
        async with HttpClient(server.base_url) as client:
            await client.request("GET", "/")

    with pytest.raises(FetchError, match="without an answer"):
        run(use, nothing)


@pytest.mark.parametrize("size", [10, 11])
def test_a_body_that_is_too_large_is_refused(size: int):
    async def use(server: HttpServer):
        async with HttpClient(server.base_url) as client:
            return await client.request("POST", "/", (), b"x" * size)

    assert run(use, max_body=10).status == (200 if size == 10 else 413)


def test_who_waits_for_leave_to_go_on_gets_it():
    async def use(server: HttpServer):
        host, _, port = server.base_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"hi")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head

    assert run(use).startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http_ends_the_connection():
    async def use(server: HttpServer):
        host, _, port = server.base_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"nonsense\r\n\r\n")
        said = await reader.read()
        writer.close()
        return said

    assert run(use) == b""


def test_to_stop_ends_what_is_under_way():
    async def for_ever(_: Request):
        await asyncio.sleep(60)

    async def use(server: HttpServer):
        async with HttpClient(server.base_url) as client:
            asking = asyncio.create_task(client.request("GET", "/"))
            await asyncio.sleep(0.05)
            await server.stop()
            with pytest.raises(FetchError):
                await asking

    run(use, for_ever)


def test_a_server_that_is_not_running_has_no_url():
    with pytest.raises(StateError):
        _ = HttpServer(echo).base_url
