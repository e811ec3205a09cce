"""A bot that has VK call it, and has a server that VK gave up confirmed anew: against VK's side, on sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fake_endpoint import until

import rawbot
from rawbot.errors import ProtocolError
from rawbot.simulate.vk import VKPlatform
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.server_watch import ServerWatch
from rawbot.vk.settings import VKGroup
from rawbot.vk.setup import SetUp, events_for, set_up

GROUP, USER, SECRET, TOKEN = 7, 100, "a-secret", "vk1.a.token"


class Meeting:
    """A bot at work, VK, and what has been said."""

    def __init__(self, platform: VKPlatform) -> None:
        self.platform = platform
        self.heard: list[str] = []
        self.bot = rawbot.Bot()
        self.bot.on_message(lambda event, _: self.heard.append(event.text))
        self.bot.on_event("group_join")(lambda event, _: self.heard.append(event.kind))
        group = VKGroup(secret=SECRET, token=TOKEN)  # the API tells the confirmation string
        self.endpoint = VKEndpoint({GROUP: group}, api_url=platform.api_url)
        self.app = rawbot.App(self.bot, timeouts=rawbot.Timeouts(graceful=1, settle=1))
        self.app.add("/webhook", self.endpoint)
        self.url = ""

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[None]:
        async with rawbot.serve(self.app, port=port) as server:
            self.url = f"http://127.0.0.1:{server.port}/webhook"
            yield

    async def set_up(self, **options: str) -> SetUp:
        events = events_for(self.bot.kinds)
        return await set_up(self.endpoint.apis[GROUP], GROUP, url=self.url, events=events, **options)


@contextlib.asynccontextmanager
async def meeting() -> AsyncIterator[Meeting]:
    async with asyncio.timeout(20), VKPlatform() as platform:
        platform.add_group(GROUP, token=TOKEN, confirmation="console", api_confirmation="by-the-api")
        yield Meeting(platform)


def test_a_bot_sets_itself_up_and_hears_of_what_it_has_handlers_for():
    async def run() -> None:
        async with meeting() as met, met.serve():
            done = await met.set_up(secret=SECRET)
            assert (done.created, done.server.status, done.events) == (True, "ok", ("group_join", "message_new"))
            await met.platform.say(GROUP, USER, "привет")
            await met.platform.join(GROUP, USER)
            assert (await met.platform.leave(GROUP, USER)).deliveries == []
            await until(lambda: met.heard == ["привет", "group_join"])
            again = await met.set_up()
            assert (again.created, again.changed, again.server) == (False, False, done.server)
            assert met.platform.problems == []

    asyncio.run(run())


def test_a_server_with_the_wrong_secret_gets_the_right_one():
    async def run() -> None:
        async with meeting() as met, met.serve():
            with pytest.raises(ProtocolError, match="403"):
                await met.platform.connect(GROUP, met.url, secret="wrong")
            server = await met.platform.connect(GROUP, met.url, secret="wrong", ask=False)
            (delivery,) = (await met.platform.say(GROUP, USER, "один")).deliveries
            assert delivery.attempts[0].status == 403
            done = await met.set_up(secret=SECRET)
            assert (done.created, done.changed, done.server.id) == (False, True, server.id)
            await met.platform.say(GROUP, USER, "два")
            await until(lambda: "два" in met.heard)

    asyncio.run(run())


def test_a_server_that_vk_has_given_up_is_confirmed_anew():
    async def run() -> None:
        async with meeting() as met:
            async with met.serve():
                await met.set_up(secret=SECRET)
            (server,) = met.platform.group(GROUP).live_servers()
            for _ in range(10):
                await met.platform.say(GROUP, USER, "пока бота нет")
            assert server.status == "failed"
            watch = ServerWatch(met.endpoint.apis, url=met.url, first_look=0.1)
            met.app.attach(watch)
            async with met.serve(int(met.url.rpartition(":")[2].partition("/")[0])):
                await until(lambda: server.status == "ok")
                assert watch.renewed == 1
                await met.platform.say(GROUP, USER, "снова здесь")
                await until(lambda: "снова здесь" in met.heard)

    asyncio.run(run())
