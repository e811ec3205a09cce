"""Several messages at once, as their users see it: the bot's policies, and the three-in-flight rule."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest
from talking import Meeting, make_app, meet, until

import rawbot
from rawbot.lanes import Policy
from rawbot.simulate.wecom import Conversation
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()


class GatedBot(rawbot.Bot):
    """Says "…" and then, once the test lets this message pass, the message."""

    def __init__(self, policy: Policy, max_waiting: int = 32) -> None:
        super().__init__(policy=policy, max_waiting=max_waiting)
        self.started: list[str] = []
        self.in_flight: list[int] = []
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.on_message(self.answer)

    async def answer(self, event: rawbot.Event, reply: rawbot.Stream) -> None:
        self.started.append(event.text)
        self.in_flight.append(event.in_flight)
        reply.write("… ")
        await self.gates[event.text].wait()
        reply.write(event.text)


class Table:
    """What is being said, and what its users see at present."""

    def __init__(self, meeting: Meeting, seen: dict[str, str]) -> None:
        self._meeting = meeting
        self._tasks: list[asyncio.Task[Conversation]] = []
        self.seen = seen

    async def say(self, text: str, **options: object) -> None:
        """Say it and wait until the bubble is there."""
        self._tasks.append(asyncio.create_task(self._meeting.platform.say(text, **options)))
        await until(lambda: any(text in key for key in self.seen))

    async def ends(self) -> list[str]:
        conversations = await asyncio.gather(*self._tasks)
        assert [conversation.problems for conversation in conversations] == [[]] * len(conversations)
        return [conversation.shown for conversation in conversations]


def sit(bot: rawbot.Bot, use: Callable[[Table], Awaitable[None]]) -> None:
    seen: dict[str, str] = {}

    def show(conversation: Conversation, _frame: object) -> None:
        seen[conversation.message["text"]["content"]] = conversation.shown

    meet(make_app(bot), lambda meeting: use(Table(meeting, seen)), on_frame=show)


def test_in_a_queue_the_second_answer_waits_for_the_end_of_the_first():
    bot = GatedBot("queue")

    async def use(table: Table) -> None:
        for text in ("first", "second", "third"):
            await table.say(text)
        await until(lambda: table.seen["first"] == "… ")
        bot.gates["second"].set()
        await asyncio.sleep(0.03)
        assert bot.started == ["first"]
        assert table.seen["second"] == "<think></think>"
        bot.gates["first"].set()
        bot.gates["third"].set()
        assert await table.ends() == ["… first", "… second", "… third"]
        assert bot.started == ["first", "second", "third"]

    sit(bot, use)


def test_conversations_do_not_wait_for_each_other():
    bot = GatedBot("queue")

    async def use(table: Table) -> None:
        await table.say("mine")
        await table.say("yours", user="lisi")
        await table.say("ours", chat="wr-group")
        await until(lambda: len(bot.started) == 3)
        for text in bot.started:
            bot.gates[text].set()
        assert sorted(await table.ends()) == ["… mine", "… ours", "… yours"]

    sit(bot, use)


def test_a_message_for_which_the_queue_has_no_room_is_refused_visibly():
    bot = GatedBot("queue", max_waiting=1)

    async def use(table: Table) -> None:
        for text in ("first", "second", "third"):
            await table.say(text)
        bot.gates["first"].set()
        bot.gates["second"].set()
        first, second, third = await table.ends()
        assert (first, second) == ("… first", "… second")
        assert third == TEXTS.busy

    sit(bot, use)


def test_in_parallel_a_later_message_may_be_answered_first():
    bot = GatedBot("parallel")

    async def use(table: Table) -> None:
        await table.say("slow")
        await table.say("quick")
        bot.gates["quick"].set()
        await until(lambda: table.seen["quick"] == "… quick")
        assert table.seen["slow"] == "… "
        bot.gates["slow"].set()
        assert await table.ends() == ["… slow", "… quick"]

    sit(bot, use)


def test_with_cancel_previous_only_the_last_of_several_messages_is_answered():
    bot = GatedBot("cancel_previous")

    async def use(table: Table) -> None:
        for text in ("first", "second", "third"):
            await table.say(text)
        bot.gates["third"].set()
        first, second, third = await table.ends()
        assert first.endswith(TEXTS.superseded)
        assert second.endswith(TEXTS.superseded)
        assert third == "… third"
        assert bot.started[-1] == "third"

    sit(bot, use)


@pytest.mark.parametrize("policy", ["queue", "parallel"])
def test_a_handler_knows_how_many_messages_of_its_user_are_in_flight(policy: Policy):
    bot = GatedBot(policy)

    async def use(table: Table) -> None:
        for text in ("one", "two", "three"):
            await table.say(text)
        for text in ("one", "two", "three"):
            bot.gates[text].set()
        assert await table.ends() == ["… one", "… two", "… three"]
        bot.gates["four"].set()
        await table.say("four")
        bot.gates["five"].set()
        await table.say("five", user="lisi")
        await table.ends()
        assert sorted(bot.in_flight) == [1, 1, 1, 2, 3]
        assert bot.in_flight[-2:] == [1, 1]

    sit(bot, use)
