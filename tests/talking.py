"""A bot served on a real socket with WeCom's side in front of it, for the tests that go end to end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar

from honest_bot import listen, read_request, response

import rawbot
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.wecom import WeComPlatform

TOKEN = "endToEndToken"
KEY = "EndToEndKey0123456789abcdefghijklmnopqrstuv"
PATH = "/callback/command"
QUICK = rawbot.Timeouts(graceful=0.1, settle=0.1)
PATIENCE = 20.0
"""Seconds after which a test that waits for something has failed."""

T = TypeVar("T")


@dataclass
class Meeting:
    """A server, its endpoint, and a platform whose users talk to it."""

    server: rawbot.Server
    endpoint: rawbot.WeComEndpoint
    platform: WeComPlatform


def make_app(
    bot: rawbot.Bot, endpoint: rawbot.WeComEndpoint | None = None, timeouts: rawbot.Timeouts = QUICK
) -> rawbot.App:
    """Put a bot behind the callback path; files and response_urls of the simulator's are allowed."""
    outgoing = rawbot.OutgoingPolicy(allow_loopback=True, allow_http=True)
    app = rawbot.App(bot, timeouts=timeouts, outgoing=outgoing)
    app.add(PATH, endpoint or make_endpoint())
    return app


def make_endpoint(*, refresh_hold: float = 0.02, **options: object) -> rawbot.WeComEndpoint:
    return rawbot.WeComEndpoint(TOKEN, KEY, refresh_hold=refresh_hold, **options)


def make_platform(base_url: str, *, interval: float = 0.01, **options: object) -> WeComPlatform:
    return WeComPlatform(base_url + PATH, token=TOKEN, encoding_aes_key=KEY, interval=interval, **options)


def url_of(server: rawbot.Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def meet(app: rawbot.App, use: Callable[[Meeting], Awaitable[T]], **options: object) -> T:
    """Serve an app and let `use` talk to it; `options` are the platform's."""

    async def run() -> T:
        endpoint = next(iter(app.routes)).endpoint
        assert isinstance(endpoint, rawbot.WeComEndpoint)
        async with rawbot.serve(app, port=0) as server, make_platform(url_of(server), **options) as platform:
            return await use(Meeting(server, endpoint, platform))

    return in_time(run())


def in_time(work: Awaitable[T]) -> T:
    """Run this on a loop of its own."""

    async def run() -> T:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in this very loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is state, and signals nobody
            await asyncio.sleep(0.002)


@asynccontextmanager
async def balancer(*servers: rawbot.Server) -> AsyncIterator[str]:
    """Hand each request to the next server, over a connection of its own; give the base URL."""
    turns = cycle([url_of(server) for server in servers])

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            method, target, _, body = await read_request(reader)
            async with HttpClient(next(turns)) as client:
                answer = await client.request(method, target, (), body)
            writer.write(response(answer.status, answer.body))

    async with listen(forward) as base_url:
        yield base_url
