"""Answers that take longer than a bubble lives: the watchdog ends it, and the rest follows through response_url."""

import asyncio

import pytest
from talking import Meeting, make_app, make_endpoint, meet, until

import rawbot
from rawbot.lanes import Policy
from rawbot.simulate.wecom import Conversation
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
WATCHDOG = 0.2


class LateBot(rawbot.Bot):
    """Says `before`, notices that its bubble is over, and says `after`."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__()
        self.overdue_after = 0.0
        self.on_message(self.answer)
        self._words = before, after

    async def answer(self, _event: rawbot.Event, reply: rawbot.Stream) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        before, after = self._words
        reply.write(before)
        await until(lambda: reply.overdue)
        self.overdue_after = loop.time() - started
        reply.write(after)
        if after == "raise":
            raise RuntimeError("at last")


def talk(bot: rawbot.Bot, *, response_url: str | None = None) -> Conversation:
    """Say something, wait for the bubble's end and for the message that follows it, if one may."""

    async def use(meeting: Meeting) -> Conversation:
        text = {"msgtype": "text", "text": {"content": "think"}, "chattype": "single", "from": {"userid": "zhangsan"}}
        conversation = await meeting.platform.send(text if response_url is None else text | {"response_url": ""})
        if response_url is None:
            await meeting.platform.wait_active(conversation)
            assert meeting.endpoint.deliveries.lost == 0
        return conversation

    return meet(make_app(bot, make_endpoint(watchdog=WATCHDOG)), use)


def test_the_handler_learns_that_its_bubble_is_over_and_what_it_says_then_follows():
    bot = LateBot("The first half.", "The second half.")
    conversation = talk(bot)
    assert (conversation.problems, conversation.finished) == ([], True)
    assert conversation.shown == f"The first half.\n\n{TEXTS.overdue}"
    assert conversation.active_messages == [{"msgtype": "markdown", "markdown": {"content": "The second half."}}]
    assert WATCHDOG <= bot.overdue_after < WATCHDOG + 3
    assert WATCHDOG <= conversation.frames[-1].at < WATCHDOG + 3


def test_a_bubble_without_a_word_ends_with_the_notice_alone():
    conversation = talk(LateBot("", "At last."))
    assert (conversation.shown, conversation.problems) == (TEXTS.overdue, [])
    assert conversation.active_messages[0]["markdown"] == {"content": "At last."}


def test_a_handler_that_fails_late_says_so_in_the_message_that_follows():
    conversation = talk(LateBot("Well, ", "raise"))
    assert conversation.problems == []
    assert conversation.active_messages[0]["markdown"] == {"content": f"raise\n\n{TEXTS.failed}"}


def test_without_a_response_url_the_notice_promises_nothing():
    conversation = talk(LateBot("Half", "lost"), response_url="")
    assert (conversation.shown, conversation.problems) == (f"Half\n\n{TEXTS.overdue_lost}", [])
    assert conversation.active_messages == []


def test_what_follows_fits_into_one_message_or_is_cut_with_a_notice():
    conversation = talk(LateBot("Half. ", "word " * 10_000))
    rest = conversation.active_messages[0]["markdown"]["content"]
    assert conversation.problems == []
    assert rest.startswith("word word ")
    assert rest.endswith(f"\n\n{TEXTS.cut}")


@pytest.mark.parametrize("policy", ["queue", "cancel_previous"])
def test_the_next_message_is_heard_although_the_last_answer_is_late(policy: Policy):
    bot = rawbot.Bot(policy=policy)
    gate = asyncio.Event()

    @bot.on_message
    async def answer(event: rawbot.Event, reply: rawbot.Stream) -> None:
        if event.text == "slow":
            await gate.wait()
        reply.write(event.text)

    async def use(meeting: Meeting) -> None:
        slow = await meeting.platform.say("slow")
        assert slow.shown == TEXTS.overdue
        saying = asyncio.create_task(meeting.platform.say("quick"))
        await asyncio.sleep(0.05)
        gate.set()
        quick = await saying
        await meeting.platform.wait_active(slow)
        late = slow.active_messages[0]["markdown"]["content"]
        assert (quick.shown, quick.problems, slow.problems) == ("quick", [], [])
        assert late == ("slow" if policy == "queue" else TEXTS.superseded)

    meet(make_app(bot, make_endpoint(watchdog=WATCHDOG)), use)
