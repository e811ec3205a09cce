"""Answers that get lost and callbacks that come twice, over real sockets: the bot hears each message once."""

import asyncio
from collections import Counter

import pytest
from talking import Meeting, make_app, make_endpoint, meet

import rawbot
from rawbot.simulate.wecom import Conversation
from rawbot.simulate.wecom_messages import JsonObject
from rawbot.wecom import cards

LOST = "an answer was dropped on purpose"


class CountingBot(rawbot.Bot):
    """Answers in three pieces, `pause` seconds apart, and counts what it hears."""

    def __init__(self, pause: float = 0.01) -> None:
        super().__init__()
        self.heard: Counter[str] = Counter()
        self.pause = pause
        self.on_message(self.answer)
        self.on_event()(self.note)

    async def answer(self, event: rawbot.Event, reply: rawbot.Stream) -> None:
        self.heard[event.text] += 1
        for piece in ("You ", "said: ", event.text):
            await asyncio.sleep(self.pause)
            reply.write(piece)

    def note(self, event: rawbot.Event, reply: rawbot.EventReply) -> None:
        self.heard[event.kind] += 1
        if event.kind == "enter_chat":
            reply.write("Welcome!")
        elif event.kind == "template_card_event":
            reply.update_card(answered(event.message.task_id))


def answered(task_id: str) -> cards.Card:
    action = {"type": 1, "url": "https://example.com/"}
    return cards.text_notice(main_title={"title": "Done"}, card_action=action, task_id=task_id)


def talk(bot: rawbot.Bot, *texts: str, endpoint: rawbot.WeComEndpoint | None = None, **options: object):
    """Say all texts at once, each as a user of its own; give the conversations."""

    async def use(meeting: Meeting) -> list[Conversation]:
        return await asyncio.gather(*(meeting.platform.say(text, user=f"user-{text}") for text in texts))

    return meet(make_app(bot, endpoint), use, **options)


def first_of(msgtype: str, *, times: int = 1):
    """Lose the first answers to each callback of this type."""

    def lose(callback: JsonObject, number: int) -> bool:
        return callback["msgtype"] == msgtype and number <= times

    return lose


@pytest.mark.parametrize("msgtype", ["text", "stream"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("pause", [0.0, 0.03])
def test_a_lost_answer_costs_a_delivery_and_nothing_else(msgtype: str, times: int, pause: float):
    bot = CountingBot(pause)
    (conversation,) = talk(bot, "hello", lose_reply=first_of(msgtype, times=times))
    assert (conversation.shown, conversation.problems) == ("You said: hello", [])  # the simulator compares the ids
    assert conversation.notes == [LOST]
    assert bot.heard == {"hello": 1}


def test_a_message_whose_bubble_is_over_by_the_time_of_the_repetition_is_answered_with_its_end():
    bot = CountingBot(pause=0.0)

    async def use(meeting: Meeting) -> Conversation:
        first = await meeting.platform.say("hello")
        return await meeting.platform.send(first.message)

    repeated = meet(make_app(bot), use)
    assert (repeated.shown, repeated.deliveries, repeated.problems) == ("You said: hello", 1, [])
    assert bot.heard == {"hello": 1}


@pytest.mark.parametrize("first_hold", [0.0, 0.05])
@pytest.mark.parametrize("pause", [0.0, 0.03])
def test_overlapping_deliveries_are_one_message(first_hold: float, pause: float):
    bot = CountingBot(pause)
    endpoint = make_endpoint(feedback=True, first_hold=first_hold)
    conversations = talk(bot, *"abcde", endpoint=endpoint, duplicate=1.0)
    for text, conversation in zip("abcde", conversations, strict=True):
        assert (conversation.shown, conversation.problems) == (f"You said: {text}", [])
        assert conversation.frames[0].feedback_id
        assert conversation.deliveries % 2 == 0
    assert bot.heard == dict.fromkeys("abcde", 1)


@pytest.mark.parametrize("seed", [1, 2])
def test_in_bad_weather_every_user_gets_one_whole_answer(seed: int):
    texts = [str(number) for number in range(40)]
    bot = CountingBot()
    faults = {"lose_reply": 0.1, "duplicate": 0.3, "seed": seed}
    conversations = talk(bot, *texts, endpoint=make_endpoint(feedback=True), **faults)
    for text, conversation in zip(texts, conversations, strict=True):
        assert conversation.problems == []
        assert conversation.shown == f"You said: {text}" or conversation.state == "unanswered"
    assert bot.heard == dict.fromkeys(texts, 1)
    assert sum(conversation.finished for conversation in conversations) > 30
    assert sum(LOST in conversation.notes for conversation in conversations) > 5


def test_events_that_come_twice_reach_the_bot_once():
    bot = CountingBot()

    async def use(meeting: Meeting) -> list[Conversation]:
        card = cards.button_interaction(
            main_title={"title": "Well?"}, button_list=[cards.button("Yes", "yes")], task_id="T-1"
        )
        platform = meeting.platform
        conversations = []
        for event in (await platform.enter_chat(), await platform.press(card, "yes")):
            conversations += [event, await platform.send(event.message, card=card)]
        return [*conversations, await platform.give_feedback("F"), await platform.send_event("of_tomorrow")]

    welcome, welcome_again, press, press_again, *silent = meet(make_app(bot), use, duplicate=1.0)
    assert welcome.shown == welcome_again.shown == "Welcome!"
    assert press.frames[0].card == press_again.frames[0].card == answered("T-1")
    assert [(event.shown, event.deliveries) for event in silent] == [("", 2)] * 2
    assert not any(event.problems for event in (welcome, welcome_again, press, press_again, *silent))
    assert bot.heard == {"enter_chat": 1, "template_card_event": 1, "feedback_event": 1, "of_tomorrow": 1}
