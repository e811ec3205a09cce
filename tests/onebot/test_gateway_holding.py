"""rawbot/onebot/gateway.py: for how long a reply is held open, and what ends it before its time."""

from collections.abc import Callable

import pytest
from memory_files import MemoryStore

from rawbot.event import MESSAGE, Event
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.files import Files
from rawbot.onebot.gateway import ABSENCE, Gateway
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account, text

START = 1_700_000_000.0
HOLD = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Application:
    """A sink whose application is there or not."""

    def __init__(self) -> None:
        self.is_there = True
        self.heard: list[Broadcast] = []

    def push(self, broadcast: Broadcast) -> None:
        self.heard.append(broadcast)

    def listens(self, _now: float) -> bool:
        return self.is_there


class Bubble:
    """A reply that remembers how it ended."""

    def __init__(self) -> None:
        self.text = ""
        self.end = ""

    @property
    def finished(self) -> bool:
        return bool(self.end)

    def write(self, words: str) -> None:
        self.text += words

    def replace(self, words: str) -> None:
        self.text = words

    def finish(self) -> None:
        self.end = "finished"

    def fail(self) -> None:
        self.end = "failed"

    def cancel(self, reason: str) -> None:
        self.end = reason


class Scene:
    """A gateway, an application that hears of everything, and one message."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.application = Application()
        implementation = Implementation("rawbot", platform="rawbot", version="1", clock=self.clock)
        implementation.join(self.application)
        self.gateway = Gateway(implementation, Files(MemoryStore(), clock=self.clock), hold=HOLD)
        self.bubble = Bubble()
        self.event = Event(MESSAGE, "wecom", "single:zhangsan", "zhangsan", "hello", self.bubble, None, bot="aib")
        self.bot = Account("wecom", "aib")
        self.gateway.hear(self.event)

    def handler_returns(self) -> None:
        assert self.event.keeper is not None
        self.event.keeper.returned(self.event)

    def send(self, words: str) -> None:
        self.gateway.send_message(self.bot, "private", [text(words)], user_id="zhangsan")

    def stream(self, words: str, **options: object) -> str:
        """Write a piece, to the conversation or to the stream given; return the stream's name."""
        return str(self.gateway.write_stream(self.bot, [text(words)], **options)["stream_id"])

    def pass_time(self, seconds: float) -> None:
        """Let the shell tick each second."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            self.gateway.tick(self.clock.now)


def test_what_is_streamed_before_the_handler_returns_is_not_taken_for_its_words():
    scene = Scene()
    stream_id = scene.stream("one", user_id="zhangsan")
    scene.handler_returns()
    assert not scene.bubble.finished
    scene.stream(", two", stream_id=stream_id, finish=True)
    assert (scene.bubble.text, scene.bubble.end) == ("one, two", "finished")


def test_a_stream_that_was_ended_ends_with_the_handler():
    scene = Scene()
    scene.stream("all of it", user_id="zhangsan", finish=True)
    assert not scene.bubble.finished
    scene.handler_returns()
    assert scene.bubble.end == "finished"


def test_shutdown_ends_a_half_written_stream_as_what_it_is():
    scene = Scene()
    scene.stream("half", user_id="zhangsan")
    scene.handler_returns()
    scene.gateway.drain(scene.clock.now)
    assert (scene.bubble.text, scene.bubble.end) == ("half", "shutdown")


@pytest.mark.parametrize("say", [Scene.send, lambda scene, words: scene.event.reply.write(words)])
def test_the_words_of_either_end_the_reply_once_the_handler_has_returned(say: Callable[[Scene, str], None]):
    scene = Scene()
    say(scene, "words")
    assert not scene.bubble.finished
    scene.handler_returns()
    assert (scene.bubble.text, scene.bubble.end) == ("words", "finished")


def test_without_words_the_reply_is_held_for_its_time():
    scene = Scene()
    scene.handler_returns()
    scene.pass_time(HOLD - 1)
    assert not scene.bubble.finished
    scene.pass_time(1)
    assert scene.bubble.end == "finished"


def test_nobody_waits_for_an_application_that_has_gone():
    scene = Scene()
    scene.handler_returns()
    scene.application.is_there = False
    scene.pass_time(ABSENCE)
    assert not scene.bubble.finished  # it was noticed a tick later
    scene.pass_time(1)
    assert scene.bubble.end == "finished"


def test_an_application_that_has_gone_takes_no_words_from_a_handler_that_goes_on():
    scene = Scene()
    scene.application.is_there = False
    scene.pass_time(ABSENCE + 1)
    assert not scene.bubble.finished
    scene.bubble.write("from the process")
    scene.handler_returns()
    assert (scene.bubble.text, scene.bubble.end) == ("from the process", "finished")


def test_an_application_that_comes_back_in_time_still_answers():
    scene = Scene()
    scene.handler_returns()
    for _ in range(3):
        scene.application.is_there = False
        scene.pass_time(ABSENCE - 1)
        scene.application.is_there = True
        scene.pass_time(1)
    assert not scene.bubble.finished
    scene.send("here I am again")
    assert (scene.bubble.text, scene.bubble.end) == ("here I am again", "finished")
