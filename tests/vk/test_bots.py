"""rawbot/vk/bots.py: each community's events are its own bot's."""

import pytest
from fake_endpoint import FakeReply

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.event import Event
from rawbot.vk.bots import Bots, own_bots


def event(bot: str, kind: str = "message") -> Event:
    return Event(kind, "vk", f"{bot}/5", "5", "hi", FakeReply(), None, bot=bot)


def saying(heard: list[str], name: str) -> Bot:
    bot = Bot(max_waiting=5)
    bot.on_message(lambda event, _: heard.append(f"{name} {event.bot}"))
    return bot


def test_an_event_is_for_the_bot_of_its_community():
    heard: list[str] = []
    bots = Bots({1: saying(heard, "one"), 2: saying(heard, "two")})
    for bot in ("2", "1"):
        happened = event(bot)
        handler = bots.handler_for("message")
        assert handler is not None
        assert handler(happened, happened.reply) is None
    assert heard == ["two 2", "one 1"]
    assert (bots.policy, bots.max_waiting) == ("queue", 5)


def test_a_bot_without_a_handler_for_it_does_not_hear_of_an_event_that_another_handles():
    heard: list[str] = []
    listening, deaf = Bot(), Bot()
    listening.on_event("group_join")(lambda event, _: heard.append(event.bot))
    bots = Bots({1: listening, 2: deaf})
    handler = bots.handler_for("group_join")
    assert handler is not None
    for bot in ("1", "2"):
        happened = event(bot, "group_join")
        assert handler(happened, happened.reply) is None
    assert heard == ["1"]
    assert bots.handler_for("group_leave") is None


def test_what_a_coroutine_function_returns_is_handed_on_to_be_awaited():
    bot = Bot()

    @bot.on_message
    async def answer(event: Event, reply: FakeReply) -> None: ...

    handler = Bots({1: bot}).handler_for("message")
    assert handler is not None
    coroutine = handler(event("1"), FakeReply())
    coroutine.close()


def test_bots_that_queue_differently_cannot_share_a_door():
    with pytest.raises(ConfigError, match="policy"):
        Bots({1: Bot(), 2: Bot(policy="parallel")})
    with pytest.raises(ConfigError, match="max_waiting"):
        Bots({1: Bot(), 2: Bot(max_waiting=1)})


def test_either_all_communities_have_bots_of_their_own_or_none_has():
    assert own_bots({1: None, 2: None}) is None
    assert own_bots({1: Bot(), 2: Bot()}) is not None
    with pytest.raises(ConfigError, match="none has"):
        own_bots({1: Bot(), 2: None})
