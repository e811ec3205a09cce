"""rawbot/simulate/wecom.py again: who watches hears of problems as they occur, and does not wait for a dead server."""

import asyncio
import time

import pytest
from honest_bot import HANG_UP, KEY, TOKEN, HonestBot, Raw, stream

from rawbot.errors import ConfigError
from rawbot.simulate.wecom import Conversation, WeComPlatform

CLOSED = "the server closed the connection without an answer"
NAN, INFINITY = float("nan"), float("inf")


def watch(answer: object, **options: object) -> tuple[Conversation, list[tuple[int, str]]]:
    """Say something to a bot that answers its n-th callback with `answer(n)`.

    Give the conversation, and each problem with the number of callbacks that the bot had got when it was told.
    """
    told: list[tuple[int, str]] = []
    bot = HonestBot(lambda _: answer(len(bot.received)))

    async def run() -> Conversation:
        async with (
            bot.serve() as url,
            WeComPlatform(
                url,
                token=TOKEN,
                encoding_aes_key=KEY,
                interval=0.005,
                on_problem=lambda _, problem: told.append((len(bot.received), problem)),
                **options,
            ) as platform,
        ):
            return await platform.say("hello")

    return asyncio.run(run()), told


def test_a_problem_is_told_when_it_is_found_and_once():
    answers = {1: stream("a"), 2: stream(""), 3: stream(""), 4: stream("x" * 20_481), 5: stream("done", finish=True)}
    conversation, told = watch(answers.get)
    assert told == [
        (2, "text that was shown became empty"),
        (4, "content has 20481 bytes; what is beyond 20480 is cut off"),
    ]
    assert conversation.problems == [problem for _, problem in told]
    assert conversation.finished


@pytest.mark.parametrize(("failure", "problem"), [(HANG_UP, CLOSED), (Raw(b"", 503), "an answer's status is 503")])
def test_a_server_that_answers_no_more_is_given_up_after_some_time(failure: Raw, problem: str):
    started = time.monotonic()
    conversation, told = watch(lambda number: stream("so far") if number < 3 else failure, patience=0.1)
    assert 0.1 <= time.monotonic() - started < 5
    assert told[0] == (3, problem)
    assert told[1][1] == "no answer for 0.1 s: given up"
    assert len(told) == 2
    assert (conversation.state, conversation.shown) == ("expired", "so far")


def test_a_server_that_comes_back_in_time_is_not_given_up():
    def answer(number: int) -> object:
        return HANG_UP if number % 12 else stream(f"{number}", finish=number > 60)

    conversation, told = watch(lambda number: stream("a") if number == 1 else answer(number), patience=5.0)
    assert (conversation.shown, conversation.finished) == ("72", True)
    assert told == [(2, CLOSED)]


def test_an_answer_that_is_lost_on_purpose_is_an_answer():
    conversation, told = watch(
        lambda number: stream("a", finish=number > 30), patience=0.01, lose_reply=lambda _, number: number < 3
    )
    assert (conversation.finished, told) == (True, [])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("interval", value) for value in (-1.0, NAN, INFINITY)),
        *(("speed", value) for value in (0.0, -1.0, NAN, INFINITY)),
        *(("timeout", value) for value in (0.0, NAN, INFINITY)),
        *(("patience", value) for value in (0.0, -1.0, NAN)),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(setting: str, value: float):
    with pytest.raises(ConfigError, match=f"^{setting} is a number"):
        WeComPlatform("http://127.0.0.1:1/", token=TOKEN, encoding_aes_key=KEY, **{setting: value})
