"""The simulator against rawbot's own server: VK's whole schedule of retries, and nothing that VK would not like."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from honest_vk import CHAT, CODE, GROUP, PNG, SECRET, TOKEN, USER

import rawbot
from rawbot.aio.server import serve
from rawbot.simulate.vk import VKPlatform
from rawbot.simulate.vk_callbacks import RETRIES
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.settings import VKGroup

SPAN = sum(RETRIES)
BUTTONS = {"inline": True, "buttons": [[{"action": {"type": "callback", "label": "Go", "payload": {"a": 1}}}]]}


def run(bot: rawbot.Bot, use: Callable[[VKPlatform, VKEndpoint], Awaitable[object]]) -> object:
    """Serve the bot, connect it as the console does, and have nothing wrong at the end."""

    async def main():
        async with VKPlatform() as platform:
            platform.add_group(GROUP, token=TOKEN, confirmation=CODE)
            group = VKGroup(secret=SECRET, confirmation=CODE, token=TOKEN)
            endpoint = VKEndpoint({GROUP: group}, api_url=platform.api_url)
            app = rawbot.App(bot)
            app.add("/webhook", endpoint)
            async with serve(app, port=0) as server, asyncio.timeout(20):
                await platform.connect(GROUP, f"http://{server.addresses[0]}/webhook", secret=SECRET)
                outcome = await use(platform, endpoint)
                await platform.settle()
            assert platform.problems == []
            assert platform.lost == []
            return outcome

    return asyncio.run(main())


def test_whatever_gets_lost_or_comes_twice_each_event_is_answered_once():
    bot, handled = rawbot.Bot(), Counter()

    @bot.on_message
    async def answer(event: rawbot.Event, reply: object):
        handled[event.text] += 1
        await asyncio.sleep(0.01)
        reply.write(event.text)

    async def use(platform: VKPlatform, _: VKEndpoint):
        for number in range(6):
            await platform.say(GROUP, USER + number % 2, f"{number}", lose_answer=number, twice=number % 3 == 1)
        await platform.advance(SPAN)
        await platform.wait_until(lambda: sum(len(platform.dialog(GROUP, USER + n).sent) for n in (0, 1)) == 6)
        return platform.dialog(GROUP, USER).shown, platform.dialog(GROUP, USER + 1).shown

    assert run(bot, use) == (["0", "2", "4"], ["1", "3", "5"])
    assert set(handled.values()) == {1}


def test_a_lost_result_of_the_api_shows_nothing_twice():
    bot = rawbot.Bot()

    @bot.on_message
    def answer(event: rawbot.Event, reply: object):
        reply.write(event.text)

    async def use(platform: VKPlatform, _: VKEndpoint):
        platform.fail("messages.send", hang_up=True, carried_out=True)
        platform.fail("messages.send", status=502, body=b"<html>")
        platform.fail("messages.send", 6)
        await platform.say(GROUP, USER, "once", peer_id=CHAT)
        await platform.wait_until(lambda: len(platform.calls) == 4)
        return platform.dialog(GROUP, CHAT).shown, [called.error for called in platform.calls]

    assert run(bot, use) == (["once"], [0, 0, 6, 0])


def test_buttons_and_pictures_are_what_vk_takes():
    bot = rawbot.Bot()

    @bot.on_message
    def answer(_: rawbot.Event, reply: object):
        reply.write("press")
        reply.attach_image(PNG)
        reply.keyboard(BUTTONS)

    @bot.on_event("message_event")
    def pressed(_: rawbot.Event, reply: object):
        reply.snackbar("done")

    async def use(platform: VKPlatform, _: VKEndpoint):
        await platform.say(GROUP, USER, "hello")
        (shown,) = await platform.wait_sent(GROUP, USER)
        press = (await platform.press(GROUP, USER, shown, "Go")).press
        await platform.wait_until(lambda: press.answered)
        return shown.files, press.answer

    assert run(bot, use) == ([PNG], {"type": "show_snackbar", "text": "done"})


def test_the_operators_commands_are_vks():
    bot = rawbot.Bot()

    @bot.on_message
    def answer(event: rawbot.Event, reply: object):
        reply.write(event.text)

    async def use(platform: VKPlatform, endpoint: VKEndpoint):
        (server,) = platform.group(GROUP).live_servers()
        endpoint.switch_version(GROUP, "5.100")
        await platform.say(GROUP, USER, "new")
        await platform.wait_sent(GROUP, USER, 1)
        await platform.say(GROUP, USER, "old")
        await platform.wait_sent(GROUP, USER, 2)
        endpoint.remove_server(GROUP)
        await platform.say(GROUP, USER, "last")
        await platform.wait_sent(GROUP, USER, 3)
        return server.api_version, platform.group(GROUP).live_servers(), platform.dialog(GROUP, USER).shown

    assert run(bot, use) == ("5.100", [], ["new", "old", "last"])
