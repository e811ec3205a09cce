"""What no bubble holds comes below it, and second: also when nobody asks for the bubble, and when the server ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from talking import Meeting, make_app, make_endpoint, meet, until

import rawbot
from rawbot.demo import long_text
from rawbot.simulate.wecom import Conversation
from rawbot.wecom import deliveries
from rawbot.wecom.texts import WeComTexts

TEXT = long_text(30_000)
TEXTS = WeComTexts()


class LongBot(rawbot.Bot):
    """Answers with more than a bubble holds, when the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.done = 0
        self.on_message(self.answer)

    async def answer(self, _event: rawbot.Event, reply: rawbot.Stream) -> None:
        await self.gate.wait()
        reply.write(TEXT)
        self.done += 1


def parts(conversation: Conversation) -> str:
    (second,) = conversation.active_messages
    return conversation.shown + second["markdown"]["content"]


@pytest.mark.parametrize("refresh_hold", [0.0, 0.5])
@pytest.mark.parametrize("interval", [0.0, 0.2])
def test_users_get_the_end_of_the_bubble_before_what_follows_it(interval: float, refresh_hold: float):
    bot, seen = LongBot(), list[str]()

    async def use(meeting: Meeting) -> Conversation:
        saying = asyncio.create_task(meeting.platform.say("tell me all"))
        await until(lambda: seen)
        await asyncio.sleep(0.05)
        bot.gate.set()
        conversation = await saying
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = meet(
        make_app(bot, make_endpoint(refresh_hold=refresh_hold)),
        use,
        interval=interval,
        on_frame=lambda _, frame: seen.append("end" if frame.finish else "frame"),
        on_active=lambda *_: seen.append("second part"),
    )
    assert conversation.problems == []
    assert parts(conversation) == TEXT
    assert seen[-2:] == ["end", "second part"]


def give_up_asking(use: Callable[[Meeting, LongBot, Conversation], Awaitable[None]], **timeouts: float) -> Conversation:
    """Let the platform lose interest after its first poll; give what it knows after `use`."""
    bot, met = LongBot(), list[Conversation]()

    async def talk(meeting: Meeting) -> Conversation:
        saying = asyncio.create_task(meeting.platform.say("tell me all"))
        await until(lambda: met)
        saying.cancel()
        await asyncio.wait([saying])
        await use(meeting, bot, met[0])
        return met[0]

    app = make_app(bot, timeouts=rawbot.Timeouts(**timeouts))
    return meet(app, talk, on_frame=lambda conversation, _: met.append(conversation))


def test_the_second_part_comes_although_nobody_asks_for_the_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deliveries, "FETCHED_WITHIN", 0.1)

    async def use(meeting: Meeting, bot: LongBot, conversation: Conversation) -> None:
        bot.gate.set()
        await until(lambda: bot.done)
        assert meeting.endpoint.deliveries.waiting() == 1
        await meeting.platform.wait_active(conversation)

    conversation = give_up_asking(use, graceful=0.1, settle=0.1)
    assert TEXT.endswith(conversation.active_messages[0]["markdown"]["content"])


@pytest.mark.parametrize("when", ["held when the end begins", "written while it ends"])
def test_the_end_of_the_server_loses_no_second_part(when: str):
    async def use(meeting: Meeting, bot: LongBot, _: Conversation) -> None:
        if when == "held when the end begins":
            bot.gate.set()
            await until(lambda: bot.done)
            assert meeting.endpoint.unsettled() == meeting.endpoint.deliveries.waiting() == 1
        else:
            asyncio.get_running_loop().call_later(0.1, bot.gate.set)
        await meeting.server.close()
        assert meeting.endpoint.deliveries.waiting() == 0

    conversation = give_up_asking(use, graceful=5.0, settle=0.5)
    assert TEXT.endswith(conversation.active_messages[0]["markdown"]["content"])


def test_a_late_answer_comes_below_the_notice_that_announces_it():
    bot, seen = LongBot(), list[str]()

    async def use(meeting: Meeting) -> Conversation:
        saying = asyncio.create_task(meeting.platform.say("think"))
        await until(lambda: meeting.endpoint.streams.open_streams)
        await until(lambda: not meeting.endpoint.streams.open_streams)  # the watchdog
        bot.gate.set()
        conversation = await saying
        await meeting.platform.wait_active(conversation)
        return conversation

    conversation = meet(
        make_app(bot, make_endpoint(watchdog=0.1)),
        use,
        interval=1.5,
        on_frame=lambda _, frame: seen.append(frame.content),
        on_active=lambda *_: seen.append("the answer"),
    )
    assert seen[1:] == [TEXTS.overdue, "the answer"]
    assert conversation.problems == []
