"""Pollers against VK as the simulator plays it: every `failed`, lost answers, and what VK would not like."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fake_endpoint import until

import rawbot
from rawbot.simulate.vk import VKPlatform
from rawbot.stores.journal import SqliteJournal
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.group_longpoll import GroupLongPoll
from rawbot.vk.longpoll_service import LongPollService
from rawbot.vk.settings import VKGroup
from rawbot.vk.user_longpoll import UserLongPoll

GROUP, USER, OWNER = 191949777, 578716413, 7
TOKEN, SECRET, CODE = "vk1.a.token", "a-secret", "c0de"


def make_bot(told: list[str]) -> rawbot.Bot:
    bot = rawbot.Bot()

    @bot.on_message
    async def answer(event: rawbot.Event, reply: rawbot.Reply) -> None:
        told.append(event.text)
        reply.write(f"echo {event.text}")

    return bot


@asynccontextmanager
async def serving(told: list[str], service: LongPollService) -> AsyncIterator[None]:
    app = rawbot.App(make_bot(told), timeouts=rawbot.Timeouts(graceful=1, settle=1))
    app.attach(service)
    async with rawbot.serve(app, port=0):
        yield


def run(use: Callable[[VKPlatform], Awaitable[None]]) -> None:
    """Use a platform with a community, and have nothing wrong at the end."""

    async def main() -> None:
        async with VKPlatform() as platform, asyncio.timeout(20):
            platform.add_group(GROUP, token=TOKEN, confirmation=CODE, long_poll=True)
            await use(platform)
            assert platform.problems == []

    asyncio.run(main())


def test_every_way_in_which_a_poll_can_fail_loses_nothing_that_vk_has():
    async def use(platform: VKPlatform) -> None:
        told: list[str] = []
        stream = platform.group(GROUP).stream
        service = GroupLongPoll(GROUP, TOKEN, api_url=platform.api_url, entropy=bytes)
        async with serving(told, service):
            await until(lambda: stream.waiting)
            await platform.say(GROUP, USER, "first")
            await platform.wait_sent(GROUP, USER, 1)
            stream.expire_keys()
            await platform.say(GROUP, USER, "after failed 2")
            await platform.wait_sent(GROUP, USER, 2)
            stream.fail(status=502)
            stream.fail(hang_up=True)
            await platform.say(GROUP, USER, "after an outage")
            await platform.wait_sent(GROUP, USER, 3)
            stream.next_ts_header = False
            await platform.say(GROUP, USER, "without a hint")
            await platform.wait_sent(GROUP, USER, 4)
            assert service.poll.gaps == 0
            stream.fail({"failed": 1, "ts": stream.ts})
            await platform.say(GROUP, USER, "answered with failed 1")
            await until(lambda: service.poll.gaps == 1)
            await platform.say(GROUP, USER, "after failed 1")
            await platform.wait_sent(GROUP, USER, 6)
            assert platform.dialog(GROUP, USER).shown == [f"echo {text}" for text in told]
            assert len(told) == 6

    run(use)


def test_what_comes_between_two_processes_is_told_to_the_second(tmp_path: Path):
    async def use(platform: VKPlatform) -> None:
        stream = platform.group(GROUP).stream
        told: list[str] = []
        for number in range(3):
            journal = SqliteJournal(tmp_path / "events.db")
            service = GroupLongPoll(GROUP, TOKEN, api_url=platform.api_url, journal=journal)
            async with serving(told, service):
                await until(lambda: stream.waiting)
                await platform.say(GROUP, USER, f"during {number}")
                await platform.wait_sent(GROUP, USER, 2 * number + 1)
            journal.close()
            await platform.say(GROUP, USER, f"after {number}")
        assert told == ["during 0", "after 0", "during 1", "after 1", "during 2"]

    run(use)


def test_beside_a_door_whose_answers_get_lost_each_message_is_answered_once():
    async def use(platform: VKPlatform) -> None:
        told: list[str] = []
        stream = platform.group(GROUP).stream
        door = VKEndpoint({GROUP: VKGroup(secret=SECRET, confirmation=CODE, token=TOKEN)}, api_url=platform.api_url)
        app = rawbot.App(make_bot(told), timeouts=rawbot.Timeouts(graceful=1, settle=1))
        app.add("/webhook", door)
        app.attach(GroupLongPoll(GROUP, beside=door))
        async with rawbot.serve(app, port=0) as server:
            await platform.connect(GROUP, f"http://{server.addresses[0]}/webhook", secret=SECRET)
            await until(lambda: stream.waiting)
            for number in range(5):
                await platform.say(GROUP, USER, f"{number}", lose_answer=number % 3, twice=number % 2 == 0)
            await platform.advance(10_000)
            await platform.wait_sent(GROUP, USER, 5)
            await platform.settle()
        assert sorted(told) == ["0", "1", "2", "3", "4"]
        assert sorted(platform.dialog(GROUP, USER).shown) == [f"echo {number}" for number in range(5)]

    run(use)


def test_an_account_hears_its_friends_and_answers_them():
    async def use(platform: VKPlatform) -> None:
        told: list[str] = []
        account = platform.add_account(OWNER, token="user-token")
        service = UserLongPoll("user-token", api_url=platform.api_url, entropy=bytes)
        async with serving(told, service):
            await until(lambda: account.stream.waiting)
            platform.say_to_user(OWNER, USER, "a < b & c\nd")
            await until(lambda: len(told) == 1)
            account.stream.expire_keys()
            platform.say_to_user(OWNER, USER, "again")
            await until(lambda: len(told) == 2)
            assert told == ["a < b & c\nd", "again"]

    run(use)
