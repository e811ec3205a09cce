"""rawbot/onebot/implementation.py: bots, events for everybody, and what the implementation tells about itself.

OneBot 12, interface/meta/actions and interface/meta/events; connect/data-protocol/event.
"""

import asyncio
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from onebot_parts import BOT, T0, VERSION, Clock, Data, FakeSink, heard, make, message

from rawbot.errors import ConfigError, StateError
from rawbot.onebot import events
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import ActionError


class FakeFiles:
    def __init__(self) -> None:
        self.ticks: list[float] = []

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def figures(self) -> list[str]:
        return ["a figure of the files"]


# Made


@pytest.mark.parametrize(
    "wrong",
    [
        {"platform": "Loop"},
        {"platform": ""},
        {"bots": "b1"},
        {"bots": ["b1", "b1"]},
        {"bots": [""]},
        {"bots": [Account("Bad Platform", "b1")]},
        {"bots": [Account("", "b1")]},
        {"version": "1\r\nx: y"},
        {"version": 1},
        {"heartbeat": -1},
        {"heartbeat": 0.5},
        {"heartbeat": "5000"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_when_it_is_made(wrong: Data):
    with pytest.raises(ConfigError):
        make(**wrong)


@pytest.mark.parametrize("impl", ["", "My", "a_b", None, 5])
def test_its_name_is_one_that_the_standard_allows(impl: object):
    with pytest.raises(ConfigError, match=r"^impl is made of"):
        Implementation(impl, platform="loop", version="1", clock=Clock())


def test_bots_are_ids_on_its_platform_or_accounts_on_any():
    ob = make(bots=["b1", Account("other", "b1", {"other.name": "x"})])
    assert list(ob.roster) == [Account("loop", "b1"), Account("other", "b1")]


def test_there_need_be_no_bot():
    assert make(bots=[]).roster.status() == {"good": True, "bots": []}


def test_it_shows_its_name_and_is_called_so_on_the_wire():
    ob = make(version="1.2 “beta”")
    assert repr(ob) == "<Implementation my-impl>"
    assert ob.user_agent == b"OneBot/12 (loop) my-impl/1.2 ?beta?"


def test_three_actions_about_itself_are_there_from_the_start():
    ob = make()
    names = ["get_supported_actions", "get_status", "get_version"]
    assert ob.actions.names() == names
    ob.action("send_message")(lambda: None)
    assert ob._get_supported_actions() == [*names, "send_message"]
    assert ob._get_version() == VERSION
    assert ob._get_status() == {"good": True, "bots": [{"self": BOT.encode(), "online": True}]}


def test_an_action_is_registered_once_unless_it_is_to_be_replaced():
    ob = make()

    @ob.action("twice")
    def first() -> None:
        """Stays callable by its name."""

    assert first() is None
    with pytest.raises(ConfigError):
        ob.action("twice")(first)
    ob.action("twice", replace=True)(first)


# Events


def test_an_event_goes_to_all_with_an_id_and_a_time():
    ob = make()
    sinks = [heard(ob), heard(ob)]
    event = message()
    event.id = ""
    asyncio.run(ob.emit(event))
    for sink in sinks:
        (sent,) = sink.events
        assert (sent["time"], sent["id"]) == (T0, (1).to_bytes(12, "big").hex())
        assert isinstance(sent["time"], float)
        assert list(sent)[:6] == ["id", "time", "type", "detail_type", "sub_type", "self"]
    assert ob.emitted == 1


def test_an_id_and_a_time_of_its_own_are_kept():
    ob = make()
    sink = heard(ob)
    event = message(7)
    event.time = 5.5
    ob.push(event)
    assert (sink.events[0]["id"], sink.events[0]["time"]) == ("e7", 5.5)


def test_an_event_without_a_bot_gets_the_only_one():
    ob = make()
    sink = heard(ob)
    ob.push(events.OneBotEvent("request", "loop.join"))
    assert sink.events[0]["self"] == BOT.encode()


@pytest.mark.parametrize("bots", [[], ["b1", "b2"]])
def test_where_there_is_not_exactly_one_it_must_be_named(bots: list[str]):
    ob = make(bots=bots)
    with pytest.raises(StateError, match="names its bot"):
        ob.push(events.OneBotEvent("request", "loop.join"))


def test_an_event_about_the_implementation_has_no_bot():
    ob = make()
    sink = heard(ob)
    ob.push(events.OneBotEvent("meta", "loop.extended"))
    assert "self" not in sink.events[0]


def test_who_has_left_gets_nothing_more_and_may_leave_twice():
    ob = make()
    sinks = [heard(ob), heard(ob)]
    ob.leave(sinks[0])
    ob.leave(sinks[0])
    ob.push(message())
    assert [len(sink.broadcasts) for sink in sinks] == [0, 1]


def test_an_event_that_cannot_be_said_goes_to_nobody():
    ob = make()
    sink = heard(ob)
    for wrong in (events.OneBotEvent("x", "y", bot=BOT), events.OneBotEvent("notice", "y", bot=BOT, fields={"a": {1}})):
        with pytest.raises(StateError):
            ob.push(wrong)
    assert (sink.broadcasts, ob.emitted) == ([], 0)


def test_it_is_heard_where_one_of_its_sinks_listens():
    ob = make()
    assert (ob.is_heard(), ob.has_sinks) == (False, False)
    ob.join(FakeSink(hears=False))
    assert (ob.is_heard(), ob.has_sinks) == (False, True)
    ob.join(FakeSink())
    assert (ob.is_heard(), ob.has_sinks) == (True, True)


class Leaving(FakeSink):
    def push(self, broadcast: Broadcast) -> None:
        super().push(broadcast)
        self.ob.leave(self)


def test_a_sink_may_leave_while_it_gets_an_event():
    ob = make()
    leaving, staying = Leaving(), FakeSink()
    leaving.ob = ob
    for sink in (leaving, staying):
        ob.join(sink)
    ob.push(message(1))
    ob.push(message(2))
    assert [len(sink.broadcasts) for sink in (leaving, staying)] == [1, 2]


class Answering(FakeSink):
    """Emits an event when it gets another, as the handler of a request does that stands behind a poll."""

    def push(self, broadcast: Broadcast) -> None:
        super().push(broadcast)
        if broadcast.event.id == "e1":
            self.ob.push(message(2))


def test_all_get_events_in_the_order_in_which_they_were_emitted():
    ob = make()
    before = heard(ob)
    answering = Answering()
    answering.ob = ob
    ob.join(answering)
    after = heard(ob)
    ob.push(message(1))
    for sink in (before, answering, after):
        assert [event["id"] for event in sink.events] == ["e1", "e2"]


class Broken(FakeSink):
    def push(self, broadcast: Broadcast) -> None:
        raise ZeroDivisionError(broadcast)


def test_a_broken_sink_does_not_silence_all_events_for_ever():
    ob = make()
    broken, sink = Broken(), FakeSink()
    ob.join(broken)
    ob.join(sink)
    with pytest.raises(ZeroDivisionError):
        ob.push(message(1))
    ob.leave(broken)
    ob.push(message(2))
    assert [event["id"] for event in sink.events] == ["e2"]


# How it is


def test_a_bot_that_goes_or_comes_is_told_of_once():
    ob = make()
    sink = heard(ob)
    ob.set_online("b1")
    assert sink.events == []
    for online in (False, False, True):
        ob.set_online("b1", online)
    assert [event["status"] for event in sink.events] == [
        {"good": False, "bots": [{"self": BOT.encode(), "online": False}]},
        {"good": True, "bots": [{"self": BOT.encode(), "online": True}]},
    ]
    assert set(sink.names) == {"status_update"}
    assert all("self" not in event for event in sink.events)


def test_a_new_bot_is_told_of_alone():
    ob = make()
    sink = heard(ob)
    ob.set_online(Account("other", "b9"))
    assert sink.events[0]["status"] == {
        "good": True,
        "bots": [{"self": {"platform": "other", "user_id": "b9"}, "online": True}],
    }


def test_a_bot_that_is_removed_is_told_of_as_offline_and_all_is_well_without_it():
    ob = make(bots=["b1", "b2"])
    sink = heard(ob)
    ob.remove_bot("b2")
    assert sink.events[0]["status"] == {
        "good": True,
        "bots": [{"self": {"platform": "loop", "user_id": "b2"}, "online": False}],
    }
    assert list(ob.roster) == [BOT]
    ob.remove_bot("b2")
    assert len(sink.events) == 1


def test_applications_hear_that_all_is_well_again_when_the_bot_that_was_offline_is_removed():
    ob = make(bots=["b1", "b2"])
    sink = heard(ob)
    ob.set_online("b2", online=False)
    ob.remove_bot(Account("loop", "b2"))
    assert [event["status"]["good"] for event in sink.events] == [False, True]


def test_being_well_or_not_is_told_of_without_bots():
    ob = make()
    sink = heard(ob)
    for good in (True, False, False, True):
        ob.set_good(good)
    assert [event["status"] for event in sink.events] == [{"good": False, "bots": []}, {"good": True, "bots": []}]


def test_a_new_websocket_is_greeted_with_connect_and_then_with_all_bots():
    ob = make(bots=["b1", "b2"])
    connect, status = ob.greetings()
    assert connect.value == {
        "id": (1).to_bytes(12, "big").hex(),
        "time": T0,
        "type": "meta",
        "detail_type": "connect",
        "sub_type": "",
        "version": VERSION,
    }
    assert status.value["detail_type"] == "status_update"
    assert [bot["self"]["user_id"] for bot in status.value["status"]["bots"]] == ["b1", "b2"]
    assert status.value["id"] != connect.value["id"]
    assert ob.emitted == 0


# Time


def beats(ob: Implementation, sink: FakeSink, *times: float) -> list[int]:
    """Tick at these times after the start; return how many beats there were by then."""
    counts = []
    for time in times:
        ob.tick(T0 + time)
        counts.append(sink.names.count("heartbeat"))
    return counts


def test_the_heart_beats_once_each_interval_and_first_after_one():
    ob = make(heartbeat=5000)
    sink = heard(ob)
    assert ob.deadline == math.inf
    ob.start(T0)
    assert ob.deadline == T0 + 5
    assert beats(ob, sink, 0, 4.9, 5, 5.0, 6, 9.9, 10.1, 15) == [0, 0, 1, 1, 1, 1, 2, 3]
    assert ob.deadline == T0 + 20
    (event, *_) = sink.events
    assert (event["type"], event["interval"], event["sub_type"]) == ("meta", 5000, "")


def test_any_number_of_callers_may_let_time_pass_and_begin():
    ob = make(heartbeat=5000)
    sink = heard(ob)
    ob.start(T0)
    ob.start(T0 + 3)
    assert beats(ob, sink, 5, 5, 5, 5) == [1, 1, 1, 1]


def test_beats_that_were_missed_are_not_made_up_for():
    ob = make(heartbeat=5000)
    sink = heard(ob)
    ob.start(T0)
    assert beats(ob, sink, 62, 62, 63, 66.9, 67) == [1, 1, 1, 1, 2]


def test_a_clock_that_is_set_back_delays_no_beat():
    ob = make(heartbeat=5000)
    sink = heard(ob)
    ob.start(T0)
    assert beats(ob, sink, -3600, -3596, -3595) == [0, 0, 1]


def test_after_a_restart_the_first_beat_comes_after_one_interval_again():
    ob = make(heartbeat=5000)
    sink = heard(ob)
    ob.start(T0)
    beats(ob, sink, 5)
    ob.drain()
    assert ob.deadline == math.inf
    assert beats(ob, sink, 60) == [1]
    ob.start(T0 + 100)
    assert beats(ob, sink, 100, 104.9, 105) == [1, 1, 2]


def test_without_an_interval_there_is_no_beat():
    ob = make()
    sink = heard(ob)
    ob.start(T0)
    assert (beats(ob, sink, 0, 1e6), ob.deadline) == ([0, 0], math.inf)


def test_the_end_and_a_new_beginning_are_told_of():
    ob = make()
    sink = heard(ob)
    ob.start(T0)
    ob.drain()
    ob.drain()
    ob.start(T0)
    assert [event["status"]["good"] for event in sink.events] == [False, True]


def test_time_passes_for_the_files_too():
    ob = make()
    ob.tick(T0)
    ob.files = FakeFiles()
    ob.tick(T0 + 1)
    assert ob.files.ticks == [T0 + 1]


def test_what_it_does_is_shown_in_numbers():
    ob = make()
    heard(ob)
    ob.push(message())
    figures = {figure.name: figure.value for figure in ob.figures()}
    assert figures == {
        "onebot_sinks": 1,
        "onebot_events": 1,
        "onebot_websockets_dropped": 0,
        "onebot_actions": 0,
        "onebot_actions_failed": 0,
        "onebot_actions_running": 0,
    }
    ob.files = FakeFiles()
    assert list(ob.figures())[-1] == "a figure of the files"


def test_ids_differ():
    ob = Implementation("my-impl", platform="loop", version="1", clock=Clock())
    assert len({ob.new_id() for _ in range(1000)}) == 1000


def test_a_handler_of_its_own_may_emit():
    ob = make()
    sink = heard(ob)

    @ob.action("ring")
    def ring() -> None:
        ob.push(message(5))

    ob.actions.bind(_request("ring"), BOT)()
    assert sink.events[0]["id"] == "e5"
    with pytest.raises(ActionError):
        ob.actions.bind(_request("unknown"), BOT)


def _request(action: str) -> ActionRequest:
    return ActionRequest(action, {}, None, None)


class Beating(RuleBasedStateMachine):
    """Time goes on, jumps, and is set back; the heart neither races nor stops for longer than its interval."""

    def __init__(self) -> None:
        super().__init__()
        self.ob = make(heartbeat=5000)
        self.sink = heard(self.ob)
        self.now = T0
        self.ob.start(self.now)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self._tick(self.now + seconds, least=0, most=1)

    @rule(seconds=st.sampled_from([5.0, 60.0, 3600.0]))
    def it_jumps(self, seconds: float) -> None:
        self._tick(self.now + seconds, least=1, most=1)

    @rule(seconds=st.sampled_from([1.0, 60.0, 3600.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self._tick(self.now - seconds, least=0, most=0)

    def _tick(self, now: float, *, least: int, most: int) -> None:
        before = len(self.sink.broadcasts)
        self.now = now
        self.ob.tick(now)
        assert least <= len(self.sink.broadcasts) - before <= most

    @invariant()
    def the_next_beat_is_no_further_than_an_interval(self) -> None:
        assert self.now < self.ob.deadline <= self.now + 5


Beating.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=20)
test_the_heart_beats_whatever_the_clock_does = Beating.TestCase
