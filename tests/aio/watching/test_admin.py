"""rawbot/aio/watching/admin.py over real sockets: the second address of an app."""

import asyncio

import pytest
from fake_endpoint import PATH, FakeEndpoint, connect, hang_up, make_app, read_response, talk
from watched_app import FakeApp

from rawbot.aio.server import serve
from rawbot.aio.watching.admin import make_admin
from rawbot.aio.watching.health import Liveness, Readiness
from rawbot.aio.watching.metrics import Metrics, MetricsEndpoint
from rawbot.exchange import Figure


async def get(port: int, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, dict[bytes, bytes], bytes]:
    reader, writer = await connect(port)
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
        if method == "HEAD":
            head = (await reader.read()).removesuffix(b"\r\n\r\n")
            return int(head.split()[1]), dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:]), b""
        return await read_response(reader)
    finally:
        await hang_up(writer)


def test_it_tells_of_the_other_app_in_each_of_its_states():
    async def go():
        app = FakeApp(started=False)
        async with serve(make_admin(app), port=0) as admin:
            assert (await get(admin.port, "/healthz"))[::2] == (200, b"alive\n")
            assert (await get(admin.port, "/readyz"))[::2] == (503, b"starting\n")
            app.running.started = True
            assert (await get(admin.port, "/readyz"))[::2] == (200, b"ready\n")
            app.running.draining = True
            status, fields, body = await get(admin.port, "/readyz")
            assert (status, fields[b"retry-after"], body) == (503, b"1", b"draining\n")
            assert (await get(admin.port, "/healthz"))[0] == 200

    asyncio.run(go())


def test_it_shows_metrics_in_both_forms():
    async def go():
        metrics = Metrics()
        app = FakeApp(shown=[("/a", Figure("streams_open", "gauge", 2, "Streams that grow."))])
        async with serve(make_admin(app, metrics=metrics), port=0) as admin:
            status, fields, body = await get(admin.port, "/metrics")
            assert (status, fields[b"content-type"][:25]) == (200, b"text/plain; version=0.0.4")
            assert b'rawbot_streams_open{route="/a"} 2.0\n' in body
            _, fields, body = await get(admin.port, "/metrics", accept="application/openmetrics-text; version=1.0.0")
            assert fields[b"content-type"].startswith(b"application/openmetrics-text; version=1.0.0")
            assert body.endswith(b"# EOF\n")

    asyncio.run(go())


def test_without_metrics_there_is_no_such_path():
    async def go():
        async with serve(make_admin(FakeApp()), port=0) as admin:
            assert (await get(admin.port, "/metrics"))[0] == 404
            assert (await get(admin.port, "/"))[0] == 404

    asyncio.run(go())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_one_may_look_and_not_write(path: str):
    async def go():
        async with serve(make_admin(FakeApp(), metrics=Metrics()), port=0) as admin:
            status, fields, _ = await get(admin.port, path, "HEAD")
            assert status == 200
            assert int(fields[b"content-length"]) > 0
            status, fields, _ = await get(admin.port, path, "POST")
            assert status == 405
            assert b"GET" in fields[b"allow"]

    asyncio.run(go())


def test_beside_a_real_app_it_shows_what_happens_there():
    async def go():
        metrics = Metrics()
        app = make_app(FakeEndpoint(), observers=[metrics])
        async with serve(make_admin(app, metrics=metrics), port=0) as admin:
            assert (await get(admin.port, "/readyz"))[::2] == (503, b"stopped\n")
            async with serve(app, port=0) as server:
                assert (await get(admin.port, "/readyz"))[0] == 200
                assert (await get(server.port, PATH))[0] == 200
                assert (await get(server.port, "/elsewhere"))[0] == 404
                assert b"400" in await talk(server.port, b"GET / HTTP/1.1\r\n\r\n")  # RFC 9112, section 3.2: no Host
                shown = (await get(admin.port, "/metrics"))[2].splitlines()
                app.running.drain()
                assert (await get(admin.port, "/readyz"))[::2] == (503, b"draining\n")
            assert (await get(admin.port, "/readyz"))[::2] == (503, b"stopped\n")
        for line in (
            f'rawbot_requests_total{{method="GET",route="{PATH}",status="200"}} 1.0',
            'rawbot_requests_total{method="GET",route="",status="404"} 1.0',
            f'rawbot_request_seconds_count{{route="{PATH}"}} 1.0',
            'rawbot_refused_total{status="400"} 1.0',
            "rawbot_connections_opened_total 3.0",
            "rawbot_ready 1.0",
        ):
            assert line.encode() in shown

    asyncio.run(go())


def test_the_endpoints_stand_on_an_ordinary_app_as_well():
    async def go():
        metrics = Metrics()
        app = make_app(FakeEndpoint(), observers=[metrics])
        app.add("/healthz", Liveness())
        app.add("/readyz", Readiness(app))
        app.add("/metrics", MetricsEndpoint(app, metrics=metrics))
        async with serve(app, port=0) as server:
            for path in ("/healthz", "/readyz", "/metrics"):
                assert (await get(server.port, path))[0] == 200
            app.running.drain()
            assert (await get(server.port, "/readyz"))[0] == 503

    asyncio.run(go())
