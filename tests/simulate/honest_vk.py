"""A VK bot's server of a few lines, to try the simulator on: it does what its script says, right or wrong."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson
from honest_bot import listen, read_request, response

from rawbot.exchange import Response
from rawbot.simulate.http_client import HttpClient, split_url
from rawbot.simulate.vk import VKPlatform

GROUP = 7
USER = 100
CHAT = 2_000_000_003
SECRET = "honestSecret"
TOKEN = "vk1.a.honestToken"
CODE = "c0ffee42"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

OK = b"ok"
HANG_UP = None


@dataclass
class Raw:
    """An answer in full."""

    body: bytes = b""
    status: int = 200
    fields: tuple[bytes, ...] = ()


Said = bytes | Raw | None
Answer = Callable[[dict], Said | Awaitable[Said]]


@dataclass
class HonestVKBot:
    """`answer(event)` gives the answer to an event, `confirm` the one to a confirmation."""

    answer: Answer = lambda _: OK
    confirm: Said = b"c0ffee42"
    received: list[dict] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)
    """X-Retry-Counter of each event, "" where it was missing."""
    confirmations: list[dict] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        async with listen(self._handle) as base:
            yield base + "/webhook?bot=1"

    @property
    def event_ids(self) -> list[str]:
        return [event["event_id"] for event in self.received]

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        while True:
            method, target, head, body = await read_request(reader)
            assert (method, target) == ("POST", "/webhook?bot=1")
            self.heads.append(head)
            said = self._say(orjson.loads(body), head)
            if inspect.isawaitable(said):
                said = await said
            if said is HANG_UP:
                return
            raw = said if isinstance(said, Raw) else Raw(said)
            writer.write(response(raw.status, raw.body, *raw.fields))

    def _say(self, event: dict, head: bytes) -> Said | Awaitable[Said]:
        if event["type"] == "confirmation":
            self.confirmations.append(event)
            return self.confirm
        self.received.append(event)
        counters = [line[17:] for line in head.decode().lower().split("\r\n") if line.startswith("x-retry-counter:")]
        self.counters.append("".join(counters))
        return self.answer(event)


def script(*answers: Said) -> HonestVKBot:
    """Make a bot that gives these answers one after the other, the last one for ever."""
    left = list(answers)
    return HonestVKBot(lambda _: left.pop(0) if len(left) > 1 else left[0])


def simulate(use: Callable[[VKPlatform], Awaitable[object]], **options: object) -> object:
    """Run a platform with one community, and nobody connected."""

    async def run():
        async with VKPlatform(**options) as platform:
            platform.add_group(GROUP, token=TOKEN, confirmation=CODE)
            return await use(platform)

    return asyncio.run(run())


def serve(bot: HonestVKBot, use: Callable[[VKPlatform], Awaitable[object]], **options: object) -> object:
    """Run a platform to which this bot's server is connected, as the console does it."""

    async def connected(platform: VKPlatform):
        async with bot.serve() as url:
            await platform.connect(GROUP, url, secret=SECRET)
            return await use(platform)

    return simulate(connected, **options)


async def call(platform: VKPlatform, method: str, token: str = TOKEN, **params: object) -> object:
    """Call a method as a bot does; return what is in the answer."""
    form = urlencode({"v": "5.199"} | params).encode()
    fields = [(b"content-type", b"application/x-www-form-urlencoded")]
    if token:
        fields.append((b"authorization", b"Bearer " + token.encode()))
    return orjson.loads((await request(platform.api_url + method, "POST", fields, form)).body)


async def result(platform: VKPlatform, method: str, token: str = TOKEN, **params: object) -> object:
    """Call a method that has to succeed."""
    answer = await call(platform, method, token, **params)
    assert "response" in answer, answer
    return answer["response"]


async def error(platform: VKPlatform, method: str, token: str = TOKEN, **params: object) -> int:
    """Call a method that has to fail; return the code."""
    answer = await call(platform, method, token, **params)
    assert "error" in answer, answer
    return answer["error"]["error_code"]


async def request(url: str, method: str = "GET", fields: object = (), body: bytes = b"") -> Response:
    async with HttpClient(url) as client:
        return await client.request(method, split_url(url).target, fields, body)
