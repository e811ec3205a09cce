"""rawbot/demonstration.py: it finds nothing wrong with the demo bot, and the fault of every other."""

import io
from collections.abc import Awaitable, Callable

import pytest
from talking import KEY, PATH, TOKEN, in_time, make_app, url_of

import rawbot
from rawbot import demo, demonstration
from rawbot.terminal import Transcript

STEPS = 9

Answer = Callable[[rawbot.Event, rawbot.Stream], Awaitable[None]]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demonstration, "INTERVAL", 0.01)
    monkeypatch.setattr(demonstration, "PATIENCE", 1.0)


def demonstrate(bot: rawbot.Bot, *, token: str = TOKEN, path: str = PATH) -> tuple[int, list[str]]:
    """Hold the conversation with a bot; give the number of failures, and what was said to be wrong."""
    stream = io.StringIO()

    async def run() -> int:
        async with rawbot.serve(make_app(bot), port=0) as server:
            return await demonstration.demonstrate(url_of(server) + path, token, KEY, "", Transcript(stream))

    failures = in_time(run())
    return failures, [line.partition("✘ │ ")[2] for line in stream.getvalue().splitlines() if "✘ │" in line]


def spoil(command: str, answer: Answer) -> rawbot.Bot:
    """Make the demo bot, but with another answer to what begins like this."""
    bot, demo_bot = rawbot.Bot(), demo.make_bot(0.0)

    @bot.on_message
    async def answer_or_pass(event: rawbot.Event, reply: rawbot.Stream) -> None:
        await (answer if event.text.startswith(command) else demo_bot.handler_for("message"))(event, reply)

    for name in ("enter_chat", "template_card_event"):
        bot.on_event(name)(demo_bot.handler_for(name))
    return bot


def saying(text: str) -> Answer:
    async def answer(_event: rawbot.Event, reply: rawbot.Stream) -> None:
        reply.write(text)

    return answer


async def sending_another_card(_event: rawbot.Event, reply: rawbot.Stream) -> None:
    reply.write("Please decide.")
    reply.card(demo.answered_card("T-1", "nothing"))


def test_with_the_demo_bot_all_is_right():
    assert demonstrate(demo.make_bot(0.0)) == (0, [])


@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("Hello", saying("Hm."), "the user sees 'Hm.' instead of 'You said: Hello rawbot, 你好! Please say"),
        ("and in", saying("Hm."), "the user sees 'Hm.' instead of 'You said: and in a group?'"),
        ("/card", saying("Please decide."), "no card came"),
        ("/card", sending_another_card, "the card has nothing to press with this key"),
        ("/image", saying("Here is a picture."), "the picture did not arrive as it was sent"),
        ("/long", saying(demo.long_text(20_000)), "not done within 1 s"),
        ("/long", saying(demo.long_text(30_000).upper()), "the two parts are not the whole text"),
    ],
)
def test_what_a_bot_does_wrong_is_told(command: str, answer: Answer, reason: str):
    failures, told = demonstrate(spoil(command, answer))
    assert (failures, len(told)) == (1, 1)
    assert told[0].startswith(reason)


def test_a_bot_without_a_welcome_and_without_an_eye_for_its_cards_is_told_so():
    bot, demo_bot = rawbot.Bot(), demo.make_bot(0.0)
    bot.on_message(demo_bot.handler_for("message"))
    failures, (welcome, card) = demonstrate(bot)
    assert (failures, card) == (2, "the card did not change")
    assert welcome.startswith("the user sees '' instead of 'Hello!")


def test_every_step_of_a_bot_that_cannot_be_talked_to_fails_without_a_crash():
    failures, told = demonstrate(demo.make_bot(0.0), token="anotherToken")
    assert (failures, len(told)) == (STEPS, STEPS)
    assert told[0].startswith("the answer's status is 403: it found the signature wrong")
    assert told[-1] == "an answer's status is 403"
    failures, told = demonstrate(demo.make_bot(0.0), path="/elsewhere")
    assert (failures, told[0]) == (STEPS, "the answer's status is 404: nothing is served at this path")


def test_a_server_that_is_not_there_fails_every_step():
    url = f"http://127.0.0.1:1{PATH}"  # tcpmux, which nobody serves
    assert in_time(demonstration.demonstrate(url, TOKEN, KEY, "", Transcript(io.StringIO()))) == STEPS


def test_without_the_extra_the_steps_that_need_it_are_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    stream = io.StringIO()

    async def run() -> int:
        async with rawbot.serve(make_app(demo.make_bot(0.0)), port=0) as server:
            return await demonstration.demonstrate(url_of(server) + PATH, TOKEN, KEY, "", Transcript(stream))

    assert in_time(run()) == 0
    assert "report.pdf" not in stream.getvalue()
    assert "pip install 'rawbot[client]', or '.[client]' in a checkout" in stream.getvalue()


def test_where_the_bot_may_not_reach_the_simulator_the_steps_that_need_it_are_left_out_with_a_word():
    stream = io.StringIO()

    async def run() -> int:
        app = rawbot.App(demo.make_bot(0.0))
        app.add(PATH, rawbot.WeComEndpoint(TOKEN, KEY))
        async with rawbot.serve(app, port=0) as server:
            url = url_of(server) + PATH
            return await demonstration.demonstrate(url, TOKEN, KEY, "", Transcript(stream), loopback=False)

    assert in_time(run()) == 0
    assert "report.pdf" not in stream.getvalue()
    assert "RAWBOT_DEMO_LOOPBACK=0 forbids" in stream.getvalue()
