"""rawbot/aio/dispatcher.py: when handlers run, in which order, and how their replies end however they end."""

import asyncio
import functools
import logging
import sys
from collections.abc import Sequence

import pytest
from fake_endpoint import FakeReply, make_event

from rawbot.aio import dispatcher as dispatcher_module
from rawbot.aio.dispatcher import Dispatcher
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot, Handler
from rawbot.event import Attachment, Event


async def fetch(*_: object):
    """Stand in for the client's."""


class Stage:
    """A bot whose handlers note what happens, and wait for `release` where the text says so."""

    def __init__(self, **options: object) -> None:
        self.bot = Bot(**options)
        self.bot.on_message(self.answer)
        self.bot.on_event()(self.answer)
        self.seen = []
        self.released = None

    async def answer(self, event: Event, reply: FakeReply):
        self.released = self.released or asyncio.Event()
        self.seen.append(f"{event.text} begins")
        try:
            if event.text.startswith("wait"):
                await self.released.wait()
            if event.text.startswith("stubborn"):
                await self.resist()
        except asyncio.CancelledError:
            self.seen.append(f"{event.text} is cancelled")
            raise
        self.seen.append(f"{event.text} ends")
        reply.write("done")

    async def resist(self):
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.seen.append("no")


async def turns(count: int = 6):
    for _ in range(count):
        await asyncio.sleep(0)


def begin(stage: Stage, events: Sequence[Event] = ()):
    """Dispatch the events to a new dispatcher."""
    dispatcher = Dispatcher(stage.bot, asyncio.get_running_loop(), fetch)
    for event in events:
        dispatcher.dispatch(event)
    return dispatcher


# How a handler ends decides how its reply ends


def run_one(handler: Handler | None, kind: str = "message"):
    """Dispatch one event to the handler; return its reply and what was logged."""
    bot = Bot()
    if handler is not None:
        (bot.on_message if kind == "message" else bot.on_event())(handler)
    event = make_event("hello", kind=kind)

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        dispatcher.dispatch(event)
        assert event.reply.endings == []
        await turns()
        assert dispatcher.running == 0
        assert len(dispatcher._lanes) == 0

    asyncio.run(run())
    return event.reply


def test_a_plain_function_is_called_on_the_next_turn_and_returning_finishes_the_reply():
    reply = run_one(lambda event, reply: reply.write(event.text))
    assert (reply.text, reply.endings) == ("hello", ["finished"])


def test_a_coroutine_function_runs_as_a_task_and_returning_finishes_the_reply():
    async def handler(event: Event, reply: FakeReply):
        await asyncio.sleep(0)
        reply.write(event.text)

    reply = run_one(handler)
    assert (reply.text, reply.endings) == ("hello", ["finished"])


def test_a_handler_that_never_waits_is_done_in_its_first_turn_where_python_has_eager_tasks():
    """CPython 3.12 brought them: `asyncio.Task(eager_start=True)`."""
    stage = Stage()
    event = make_event("hello")

    async def run():
        begin(stage, [event])
        await asyncio.sleep(0)
        assert bool(event.reply.endings) == (sys.version_info >= (3, 12))
        await turns()
        assert event.reply.endings == ["finished"]

    asyncio.run(run())


def test_a_coroutine_function_has_begun_after_one_turn_of_the_loop():
    seen, bot = [], Bot()

    @bot.on_message
    async def answer(event: Event, _: FakeReply):
        seen.append(event.text)

    async def run():
        Dispatcher(bot, asyncio.get_running_loop(), fetch).dispatch(make_event("hello"))
        await asyncio.sleep(0)
        assert seen == ["hello"]
        await turns()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["plain", "coroutine function", "object", "partial", "awaitable"])
def test_nothing_of_a_handler_runs_in_the_call_that_dispatches_its_event(kind: str):
    """That call stands between the bytes of one connection and those of the next."""
    seen: list[str] = []

    async def coroutine(event: Event, _: FakeReply):
        seen.append(event.text)

    class Callable:
        async def __call__(self, event: Event, _: FakeReply) -> None:
            seen.append(event.text)

    handlers = {
        "plain": lambda event, _: seen.append(event.text),
        "coroutine function": coroutine,
        "object": Callable(),
        "partial": functools.partial(coroutine),
        "awaitable": lambda event, reply: asyncio.ensure_future(coroutine(event, reply)),
    }
    bot = Bot()
    bot.on_message(handlers[kind])

    async def run():
        Dispatcher(bot, asyncio.get_running_loop(), fetch).dispatch(make_event("hello"))
        assert seen == []
        await turns()
        assert seen == ["hello"]

    asyncio.run(run())


class Watching(Observer):
    """Notes how handlers ended."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool, str]] = []

    def handled(self, event: Event, took: float, error: BaseException | None) -> None:
        self.seen.append((event.text, 0 <= took < 60, type(error).__name__))


def test_observers_hear_how_each_handler_ended_and_after_how_long():
    watching, bot = Watching(), Bot()

    @bot.on_message
    async def answer(event: Event, _: FakeReply):
        await asyncio.sleep(0)
        if event.text == "bad":
            raise ZeroDivisionError

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch, (watching,))
        for text in ("good", "bad"):
            dispatcher.dispatch(make_event(text, chat=text))
        await turns(10)

    asyncio.run(run())
    assert watching.seen == [("good", True, "NoneType"), ("bad", True, "ZeroDivisionError")]


def test_an_awaitable_of_another_kind_is_awaited_too():
    def handler(_: object, reply: FakeReply):
        future = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(lambda: (reply.write("late"), future.set_result(None)))
        return future

    reply = run_one(handler)
    assert (reply.text, reply.endings) == ("late", ["finished"])


@pytest.mark.parametrize("kind", ["message", "enter_chat"])
def test_without_a_handler_the_reply_is_finished(kind: str):
    assert run_one(None, kind).endings == ["finished"]


def plain_failure(*_: object):
    raise ZeroDivisionError


async def late_failure(*_: object):
    await asyncio.sleep(0)
    raise ZeroDivisionError


@pytest.mark.parametrize("handler", [plain_failure, late_failure])
@pytest.mark.parametrize("kind", ["message", "enter_chat"])
def test_an_exception_fails_the_reply_and_is_logged_with_its_traceback(
    handler: Handler | None, kind: str, caplog: pytest.LogCaptureFixture
):
    assert run_one(handler, kind).endings == ["failed"]
    (record,) = caplog.records
    assert (record.name, record.levelno, record.exc_info[0]) == ("rawbot", logging.ERROR, ZeroDivisionError)
    assert kind in record.getMessage()


def plain_cancellation(*_: object):
    raise asyncio.CancelledError


async def late_cancellation(*_: object):
    raise asyncio.CancelledError


@pytest.mark.parametrize("handler", [plain_cancellation, late_cancellation])
def test_a_handler_that_cancels_itself_has_failed(handler: Handler | None):
    assert run_one(handler).endings == ["failed"]


def test_attachments_can_be_downloaded_by_the_time_the_handler_runs():
    attachment = Attachment("image", "https://x/", expires_at=0)
    event = make_event()
    event.attachments = [attachment]
    bot = Bot()
    seen = []
    bot.on_message(lambda event, _: seen.append(event.attachments[0].fetch))

    async def run():
        Dispatcher(bot, asyncio.get_running_loop(), fetch).dispatch(event)
        await turns()

    asyncio.run(run())
    assert seen == [fetch]


@pytest.mark.parametrize("ending", ["finish", "fail", "cancel"])
def test_a_reply_that_cannot_be_ended_does_not_hold_up_its_conversation(ending: str):
    broken, following = make_event(), make_event()
    setattr(broken.reply, ending, plain_failure)
    handlers = {"finish": lambda *_: None, "fail": plain_failure, "cancel": lambda *_: asyncio.Event().wait()}
    bot = Bot(policy="cancel_previous" if ending == "cancel" else "queue")
    bot.on_message(lambda event, reply: handlers[ending](event, reply) if event is broken else None)

    async def run():
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        dispatcher.dispatch(broken)
        await asyncio.sleep(0)
        dispatcher.dispatch(following)
        await turns()
        assert [type(context["exception"]) for context in failures] == [ZeroDivisionError]

    asyncio.run(run())
    assert following.reply.endings == ["finished"]


def test_an_event_that_cannot_be_refused_is_logged_and_hurts_nobody_else(caplog: pytest.LogCaptureFixture):
    """A connection dispatches between two requests: what is raised there would end it."""
    bot = Bot(max_waiting=0)
    running, broken, other = make_event("wait"), make_event(), make_event(chat="other")
    broken.reply.cancel = plain_failure

    @bot.on_message
    async def answer(event: Event, _: FakeReply):
        if event is running:
            await asyncio.sleep(0.01)

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        for event in (running, broken, other):
            dispatcher.dispatch(event)
        await turns()
        assert (running.reply.endings, broken.reply.endings, other.reply.endings) == ([], [], ["finished"])
        await asyncio.sleep(0.05)
        assert running.reply.endings == ["finished"]

    asyncio.run(run())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info[0] is ZeroDivisionError
    # where tasks begin at once the loop itself calls what fails, and logs it
    assert record.name == ("asyncio" if sys.version_info >= (3, 12) else "rawbot")


def test_an_attachment_that_cannot_be_fetched_fails_its_reply_and_the_conversation_goes_on():
    bot = Bot()
    bot.on_message(lambda *_: None)
    broken, following = make_event(), make_event()
    broken.attachments = [object()]

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        dispatcher.dispatch(broken)
        dispatcher.dispatch(following)
        await turns()

    asyncio.run(run())
    assert (broken.reply.endings, following.reply.endings) == (["failed"], ["finished"])


def test_the_set_of_running_handlers_shrinks_when_none_is_left():
    stage = Stage(policy="parallel")

    async def run():
        dispatcher = begin(stage, [make_event(f"wait {number}") for number in range(1000)])
        await turns()
        peak = sys.getsizeof(dispatcher._tasks)
        assert (dispatcher.running, peak > 10 * sys.getsizeof(set())) == (1000, True)
        stage.released.set()
        await turns()
        assert (dispatcher.running, sys.getsizeof(dispatcher._tasks)) == (0, sys.getsizeof(set()))

    asyncio.run(run())


# Order within a conversation


def test_queue_keeps_the_order_within_a_chat_and_lets_other_chats_and_events_pass():
    stage = Stage()

    async def run():
        others = [make_event("3", chat="other"), make_event("event", kind="enter_chat")]
        begin(stage, [make_event("wait 1"), make_event("2"), *others])
        await turns()
        assert stage.seen == ["wait 1 begins", "3 begins", "3 ends", "event begins", "event ends"]
        stage.released.set()
        await turns()
        assert stage.seen[5:] == ["wait 1 ends", "2 begins", "2 ends"]

    asyncio.run(run())


def test_parallel_lets_them_run_side_by_side():
    stage = Stage(policy="parallel")

    async def run():
        dispatcher = begin(stage, [make_event("wait 1"), make_event("2")])
        await turns()
        assert stage.seen == ["wait 1 begins", "2 begins", "2 ends"]
        assert dispatcher.running == 1
        stage.released.set()
        await turns()

    asyncio.run(run())


def test_cancel_previous_stops_the_earlier_one_first_then_starts_the_newest():
    stage = Stage(policy="cancel_previous")
    first, second, third = make_event("wait 1"), make_event("2"), make_event("3")

    async def run():
        dispatcher = begin(stage)
        dispatcher.dispatch(first)
        await turns()
        dispatcher.dispatch(second)
        dispatcher.dispatch(third)
        await turns()

    asyncio.run(run())
    assert stage.seen == ["wait 1 begins", "wait 1 is cancelled", "3 begins", "3 ends"]
    assert [event.reply.endings for event in (first, second, third)] == [["superseded"], ["superseded"], ["finished"]]


def test_a_message_that_is_superseded_on_the_turn_it_would_start_never_starts():
    stage = Stage(policy="cancel_previous")
    first, second, third = make_event("wait 1"), make_event("2"), make_event("3")

    async def run():
        dispatcher = begin(stage)
        dispatcher.dispatch(first)
        await turns()
        dispatcher.dispatch(second)
        await asyncio.sleep(0)
        await turns(2)
        assert first.reply.ended
        dispatcher._receive(dispatcher_module._Job(third))
        await turns()

    asyncio.run(run())
    assert stage.seen == ["wait 1 begins", "wait 1 is cancelled", "3 begins", "3 ends"]
    assert (second.reply.ended, third.reply.ended) == ("superseded", "finished")


def test_a_handler_is_cancelled_once_however_many_messages_supersede_it():
    stage = Stage(policy="cancel_previous")
    events = [make_event("stubborn"), make_event("2"), make_event("3")]

    async def run():
        dispatcher = begin(stage)
        for event in events:
            dispatcher.dispatch(event)
            await turns()
        assert stage.seen == ["stubborn begins", "no"]
        stage.released.set()
        await turns()

    asyncio.run(run())
    assert stage.seen[2:] == ["stubborn ends", "3 begins", "3 ends"]
    assert [event.reply.ended for event in events] == ["finished", "superseded", "finished"]


def test_a_conversation_that_is_too_far_behind_is_told_so(caplog: pytest.LogCaptureFixture):
    stage = Stage(max_waiting=1)
    events = [make_event("wait"), make_event("2"), make_event("3")]

    async def run():
        begin(stage, events)
        await turns()
        assert [event.reply.endings for event in events] == [[], [], ["busy"]]
        stage.released.set()
        await turns()

    asyncio.run(run())
    assert [event.reply.ended for event in events] == ["finished", "finished", "busy"]
    assert "1 messages waiting" in caplog.text


# Shutdown


def close(stage: Stage, events: list[Event], seconds: float = 0.05, release: float | None = None):
    """Dispatch the events, close, and return how long that took."""

    async def run():
        loop = asyncio.get_running_loop()
        dispatcher = begin(stage, events)
        if release is not None:
            loop.call_later(release, lambda: stage.released.set())  # noqa: PLW0108 - made later
        start = loop.time()
        await dispatcher.close(seconds)
        await turns()
        took = loop.time() - start
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        return took

    return asyncio.run(run())


def test_handlers_get_their_time_and_so_do_those_that_wait_behind_them():
    events = [make_event("wait 1"), make_event("wait 2"), make_event("event", kind="x")]
    assert close(Stage(), events, 5.0, release=0.02) < 1
    assert [event.reply.endings for event in events] == [["finished"]] * 3


def test_what_is_not_done_in_time_is_cancelled_and_so_is_what_waits():
    stage = Stage()
    events = [make_event("wait 1"), make_event("2"), make_event("wait", kind="enter_chat")]
    assert 0.04 < close(stage, events) < 1
    assert [event.reply.endings for event in events] == [["shutdown"]] * 3
    assert "2 begins" not in stage.seen


def test_what_comes_after_the_end_is_told_so_and_never_started():
    stage = Stage()
    late = [make_event("late"), make_event("wait", kind="enter_chat")]

    async def run():
        dispatcher = begin(stage)
        await dispatcher.close(0)
        for event in late:
            dispatcher.dispatch(event)
        await turns()
        assert dispatcher.running == 0

    asyncio.run(run())
    assert [event.reply.endings for event in late] == [["shutdown"]] * 2
    assert stage.seen == []


def test_a_handler_that_ignores_its_cancellation_is_left_behind_and_its_successor_never_starts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatcher_module, "STUBBORN", 0.02)
    stage = Stage()
    events = [make_event("stubborn"), make_event("2"), make_event("3")]

    async def run():
        dispatcher = begin(stage, events[:2])
        await dispatcher.close(0.02)
        dispatcher.dispatch(events[2])
        await turns()
        assert [event.reply.endings for event in events] == [[], ["shutdown"], ["shutdown"]]
        assert dispatcher.running == 1
        stage.released.set()
        await turns()

    asyncio.run(run())
    assert "1 handlers ignored their cancellation" in caplog.text
    assert events[0].reply.endings == ["finished"]


def test_a_message_whose_turn_comes_just_as_the_time_is_over_is_not_started():
    stage = Stage()
    events = [make_event("wait 1"), make_event("2")]

    async def run():
        closing = asyncio.create_task(begin(stage, events).close(60))
        await turns()
        stage.released.set()
        await asyncio.sleep(0)  # the first has ended; the second's turn comes in two turns of the loop
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await turns()

    asyncio.run(run())
    assert "2 begins" not in stage.seen
    assert [event.reply.endings for event in events] == [["finished"], ["shutdown"]]


def test_cancelling_the_closing_cancels_the_handlers_at_once():
    stage = Stage()
    event = make_event("wait")

    async def run():
        dispatcher = begin(stage, [event])
        closing = asyncio.create_task(dispatcher.close(60))
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await turns()
        assert dispatcher.running == 0

    asyncio.run(run())
    assert event.reply.endings == ["shutdown"]


def test_a_plain_function_that_returns_an_awaitable_is_waited_for_and_so_is_what_waits_behind_it():
    bot = Bot()
    bot.on_message(lambda *_: asyncio.sleep(0.01))
    events = [make_event(str(number)) for number in range(4)]

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        for event in events:
            dispatcher.dispatch(event)
        await dispatcher.close(5)

    asyncio.run(run())
    assert [event.reply.endings for event in events] == [["finished"]] * 4


def test_a_handler_that_returns_its_words_is_told_that_handlers_write(caplog: pytest.LogCaptureFixture):
    assert run_one(lambda *_: "my answer").endings == ["finished"]
    assert "returned a str: handlers write" in caplog.text
    assert "my answer" not in caplog.text


# Listeners and keepers


class FakeKeeper:
    """Remembers whose handlers have returned."""

    def __init__(self, *, failing: bool = False) -> None:
        self.failing = failing
        self.kept: list[tuple[str, list[str]]] = []

    def returned(self, event: Event) -> None:
        self.kept.append((event.text, list(event.reply.endings)))
        if self.failing:
            raise ZeroDivisionError


def test_listeners_are_told_in_the_very_call_and_before_any_handler():
    told: list[str] = []
    stage = Stage()

    async def run():
        dispatcher = begin(stage)
        dispatcher.listeners = [
            lambda event: told.append(f"{event.text} {len(stage.seen)}"),
            lambda _: told.append("too"),
        ]
        dispatcher.dispatch(make_event("hello"))
        assert told == ["hello 0", "too"]
        await turns()

    asyncio.run(run())
    assert stage.seen == ["hello begins", "hello ends"]


@pytest.mark.parametrize("kind", ["message", "enter_chat"])
def test_a_listener_that_fails_is_logged_and_the_others_and_the_handler_have_their_turn(
    kind: str, caplog: pytest.LogCaptureFixture
):
    told: list[Event] = []
    stage, event = Stage(), make_event("hello", kind=kind)

    def fail(_: Event) -> None:
        raise ZeroDivisionError

    async def run():
        dispatcher = begin(stage)
        dispatcher.listeners = [fail, told.append]
        dispatcher.dispatch(event)
        await turns()

    asyncio.run(run())
    assert (told, event.reply.endings) == ([event], ["finished"])
    assert "a service could not take an event in" in caplog.text


@pytest.mark.parametrize("kind", ["message", "enter_chat"])
@pytest.mark.parametrize("handler", ["plain", "coroutine", "none"])
def test_a_keeper_is_told_that_the_handler_has_returned_and_the_reply_is_left_to_it(kind: str, handler: str):
    bot, keeper, event = Bot(), FakeKeeper(), make_event("hello", kind=kind)
    event.keeper = keeper

    async def answer(event: Event, reply: FakeReply):
        assert keeper.kept == []
        await asyncio.sleep(0)
        reply.write(event.text)

    if handler != "none":
        chosen = answer if handler == "coroutine" else lambda event, reply: reply.write(event.text)
        (bot.on_message if kind == "message" else bot.on_event())(chosen)

    async def run():
        Dispatcher(bot, asyncio.get_running_loop(), fetch).dispatch(event)
        await turns()

    asyncio.run(run())
    assert keeper.kept == [("hello", [])]
    assert event.reply.endings == []


def test_a_listener_may_bring_the_keeper():
    stage, keeper, event = Stage(), FakeKeeper(), make_event("hello")

    def listen(event: Event) -> None:
        event.keeper = keeper

    async def run():
        dispatcher = begin(stage)
        dispatcher.listeners = [listen]
        dispatcher.dispatch(event)
        await turns()

    asyncio.run(run())
    assert (keeper.kept, event.reply.endings) == ([("hello", [])], [])


def test_a_handler_that_fails_or_is_stopped_ends_the_reply_whoever_keeps_it():
    bot, keeper = Bot(policy="cancel_previous"), FakeKeeper()
    events = [make_event("bad", chat="other"), make_event("wait"), make_event("wait"), make_event("self", chat="third")]
    for event in events:
        event.keeper = keeper

    @bot.on_message
    async def answer(event: Event, _: FakeReply):
        if event.text == "bad":
            raise ZeroDivisionError
        if event.text == "self":
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    async def run():
        dispatcher = Dispatcher(bot, asyncio.get_running_loop(), fetch)
        for event in events:
            dispatcher.dispatch(event)
            await turns()
        await dispatcher.close(0.01)

    asyncio.run(run())
    assert [event.reply.endings for event in events] == [["failed"], ["superseded"], ["shutdown"], ["failed"]]
    assert keeper.kept == []


def test_a_keeper_that_fails_leaves_no_reply_open_and_the_conversation_goes_on(caplog: pytest.LogCaptureFixture):
    stage, keeper = Stage(), FakeKeeper(failing=True)
    events = [make_event("one"), make_event("two")]
    for event in events:
        event.keeper = keeper

    async def run():
        dispatcher = begin(stage, events)
        await turns(12)
        assert dispatcher.running == dispatcher.waiting == 0

    asyncio.run(run())
    assert [event.reply.endings for event in events] == [["failed"]] * 2
    assert [text for text, _ in keeper.kept] == ["one", "two"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2
