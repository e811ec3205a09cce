"""Shutdown in mid-stream, restarts and foreign workers: whatever happens to a server, the user's bubble ends."""

import asyncio
import time

import pytest
from talking import Meeting, balancer, in_time, make_app, make_platform, meet, until, url_of

import rawbot
from rawbot.simulate.wecom import Conversation
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
PATIENT = rawbot.Timeouts(graceful=0.3, settle=5.0)


class EndlessBot(rawbot.Bot):
    """Writes a word every few milliseconds, till it is stopped or has written `words` of them."""

    def __init__(self, words: int = 1_000_000) -> None:
        super().__init__()
        self.running = 0
        self.cancelled = 0
        self._words = words
        self.on_message(self.answer)

    async def answer(self, _event: rawbot.Event, reply: rawbot.Stream) -> None:
        self.running += 1
        try:
            for number in range(self._words):
                reply.write(f"{number} ")
                await asyncio.sleep(0.004)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


async def close_in_mid_stream(server: rawbot.Server, conversation: "asyncio.Task[Conversation]", bot: EndlessBot):
    """Close the server while the bot is writing; give the finished conversation and how long closing took."""
    await until(lambda: bot.running)
    await asyncio.sleep(0.05)
    assert not conversation.done()
    started = time.monotonic()
    await server.close()
    took = time.monotonic() - started
    return await conversation, started, took


def times_after(started: float, conversation: Conversation, said_at: float) -> int:
    return sum(said_at + frame.at > started for frame in conversation.frames)


@pytest.mark.parametrize("new_connections", [False, True])
def test_while_it_shuts_down_the_server_answers_polls_to_the_visible_end(*, new_connections: bool):
    bot = EndlessBot()

    async def run() -> None:
        async with (
            rawbot.serve(make_app(bot, timeouts=PATIENT), port=0) as server,
            balancer(server) as balanced,
            make_platform(balanced if new_connections else url_of(server)) as platform,
        ):
            said_at = time.monotonic()
            saying = asyncio.create_task(platform.say("write"))
            conversation, started, took = await close_in_mid_stream(server, saying, bot)
        assert (conversation.problems, conversation.finished) == ([], True)
        assert conversation.shown.startswith("0 1 2 ")
        assert conversation.shown.endswith(f"\n\n{TEXTS.shutdown}")
        assert times_after(started, conversation, said_at) > 5  # it went on growing while the server drained
        assert 0.3 <= took < 1.5  # the handler had its time; nobody waited for `settle` to pass
        assert (bot.cancelled, bot.running) == (1, 0)

    in_time(run())


def test_a_handler_that_ends_in_its_time_is_not_cut_short():
    bot = EndlessBot(words=40)

    async def use(meeting: Meeting) -> None:
        saying = asyncio.create_task(meeting.platform.say("write"))
        conversation, _, took = await close_in_mid_stream(meeting.server, saying, bot)
        assert (conversation.shown, conversation.problems) == ("".join(f"{n} " for n in range(40)), [])
        assert took < 3
        assert bot.cancelled == 0

    meet(make_app(bot, timeouts=rawbot.Timeouts(graceful=5.0, settle=5.0)), use)


def test_whoever_writes_during_shutdown_is_told_to_come_back():
    bot = EndlessBot()

    async def use(meeting: Meeting) -> None:
        saying = asyncio.create_task(meeting.platform.say("write"))
        await until(lambda: bot.running)
        closing = asyncio.create_task(meeting.server.close())
        await asyncio.sleep(0)
        late = await meeting.platform.say("too late", user="lisi")
        welcome = await meeting.platform.enter_chat(user="wangwu")
        assert (late.shown, late.deliveries, late.problems) == (TEXTS.restarting, 1, [])
        assert (welcome.shown, welcome.problems) == ("", [])
        assert bot.running == 1
        await asyncio.gather(saying, closing)

    meet(make_app(bot, timeouts=PATIENT), use)


def test_messages_that_wait_for_their_turn_end_visibly_too():
    bot = EndlessBot()

    async def use(meeting: Meeting) -> None:
        saying = [asyncio.create_task(meeting.platform.say(text)) for text in ("first", "second", "third")]
        await until(lambda: bot.running)
        await meeting.server.close()
        first, *waiting = await asyncio.gather(*saying)
        assert first.shown.endswith(TEXTS.shutdown)
        assert [conversation.shown for conversation in waiting] == [TEXTS.shutdown] * 2
        assert first.problems == waiting[0].problems == waiting[1].problems == []

    meet(make_app(bot, timeouts=PATIENT), use)


@pytest.mark.parametrize("kept_connection", [False, True])
def test_an_idle_server_closes_at_once(*, kept_connection: bool):
    async def use(meeting: Meeting) -> float:
        if kept_connection:
            assert (await meeting.platform.say("hello")).finished
        started = time.monotonic()
        await meeting.server.close()
        return time.monotonic() - started

    assert meet(make_app(EndlessBot(words=3), timeouts=PATIENT), use) < 1


def test_nobody_waits_longer_than_was_set_for_a_platform_that_does_not_ask():
    bot = EndlessBot()
    timeouts = rawbot.Timeouts(graceful=0.1, settle=0.2)

    async def use(meeting: Meeting) -> float:
        saying = asyncio.create_task(meeting.platform.say("write"))
        await until(lambda: bot.running)
        saying.cancel()
        started = time.monotonic()
        await meeting.server.close()
        return time.monotonic() - started

    assert 0.3 <= meet(make_app(bot, timeouts=timeouts), use) < 3


def test_after_a_restart_the_bubble_ends_with_a_sentence():
    bot = EndlessBot()
    at_once = rawbot.Timeouts(graceful=0.0, settle=0.0)

    async def run() -> Conversation:
        async with rawbot.serve(make_app(bot, timeouts=at_once), port=0) as server:
            port = server.port
            async with make_platform(url_of(server), interval=0.1) as platform:
                saying = asyncio.create_task(platform.say("write"))
                await until(lambda: bot.running)
                await server.close()
                async with rawbot.serve(make_app(bot), port=port):
                    return await saying

    conversation = in_time(run())
    assert (conversation.shown, conversation.problems) == (TEXTS.unknown, [])
    assert (conversation.finished, bot.running) == (True, 0)


def test_a_poll_that_reaches_another_worker_ends_the_bubble_with_a_sentence():
    bot = EndlessBot(words=20)

    async def run() -> list[Conversation]:
        async with (
            rawbot.serve(make_app(bot), port=0) as one,
            rawbot.serve(make_app(bot), port=0) as other,
            balancer(one, other) as base_url,
            make_platform(base_url) as platform,
        ):
            return [await platform.say("first"), await platform.say("second")]

    for conversation in in_time(run()):
        assert (conversation.shown, conversation.deliveries, conversation.problems) == (TEXTS.unknown, 2, [])
