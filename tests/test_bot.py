"""rawbot/bot.py: which handler is called for what."""

from functools import partial

import pytest

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.event import MESSAGE
from rawbot.lanes import Policy


def handler(event: object, reply: object) -> None:
    """Stand for any handler."""


async def other(event: object, reply: object) -> None:
    """Stand for a coroutine function."""


def test_a_bot_without_handlers_calls_nothing():
    bot = Bot()
    assert bot.handler_for(MESSAGE) is None
    assert bot.handler_for("enter_chat") is None


def test_decorators_give_the_handler_back():
    bot = Bot()
    assert bot.on_message(handler) is handler
    assert bot.on_event("enter_chat")(other) is other
    assert bot.on_event()(handler) is handler


def test_messages_go_to_the_message_handler_alone():
    bot = Bot()
    bot.on_message(handler)
    assert bot.handler_for(MESSAGE) is handler
    assert bot.handler_for("enter_chat") is None


def test_an_event_goes_to_its_own_handler_first_and_else_to_the_one_for_all_others():
    bot = Bot()
    bot.on_event("enter_chat", "feedback_event")(handler)
    bot.on_event()(other)
    assert bot.handler_for("enter_chat") is handler
    assert bot.handler_for("feedback_event") is handler
    assert bot.handler_for("template_card_event") is other


def test_the_handler_for_all_other_events_gets_no_messages():
    bot = Bot()
    bot.on_event()(other)
    assert bot.handler_for(MESSAGE) is None


def test_a_second_handler_for_the_same_thing_is_refused():
    bot = Bot()
    bot.on_message(handler)
    bot.on_event("enter_chat")(handler)
    bot.on_event()(handler)
    for register in (bot.on_message, bot.on_event("enter_chat"), bot.on_event()):
        with pytest.raises(ConfigError, match="registered already"):
            register(other)


def test_on_event_without_its_brackets_is_refused_with_a_hint():
    with pytest.raises(ConfigError, match=r"@bot\.on_event\(\)"):
        Bot().on_event(handler)


def test_what_cannot_be_called_is_no_handler():
    bot = Bot()
    for register in (bot.on_message, bot.on_event("enter_chat"), bot.on_event()):
        with pytest.raises(ConfigError, match="not str"):
            register("answer")
    assert bot.handler_for("enter_chat") is None


def test_any_callable_can_be_a_handler():
    bot = Bot()
    bound = partial(handler)
    assert bot.on_message(bound) is bot.handler_for(MESSAGE) is bound


def test_the_policy_and_its_room_are_kept_for_the_lanes():
    assert (Bot().policy, Bot().max_waiting) == ("queue", 32)
    bot = Bot(policy="cancel_previous", max_waiting=1)
    assert (bot.policy, bot.max_waiting) == ("cancel_previous", 1)


def test_a_handler_that_yields_is_refused_since_nobody_would_listen():
    def plain(event: object, reply: object):
        yield event, reply

    async def asynchronous(event: object, reply: object):
        yield event, reply

    for handler in (plain, asynchronous):
        with pytest.raises(ConfigError, match="does not yield"):
            Bot().on_message(handler)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("policy", value) for value in ("nonsense", "", "Queue", None, ["queue"])),
        *(("max_waiting", value) for value in (-1, 1.5, float("nan"), float("inf"), "32", None, True)),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name_when_the_bot_is_made(setting: str, value: object):
    with pytest.raises(ConfigError, match=setting):
        Bot(**{setting: value})


@pytest.mark.parametrize("policy", ["queue", "parallel", "cancel_previous"])
def test_every_policy_may_be_chosen_and_nobody_has_to_wait(policy: Policy):
    bot = Bot(policy=policy, max_waiting=0)
    assert (bot.policy, bot.max_waiting) == (policy, 0)
