"""rawbot/vk/calls.py against a model that looks at every call."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from rawbot.errors import ConfigError, StateError
from rawbot.vk.calls import LATER, NEW, OVER, SPARE, UNDER_WAY, WAITING, Call, CallQueue, always
from rawbot.vk.methods import EncodedCall

MAX_WAITING = 4
NOW = 1000.0


def make(timeout: float = 30.0, method: str = "users.get", **fields: str) -> Call:
    return Call(method, fields, lambda _: None, timeout)


def begun(*calls: Call, max_waiting: int = 99) -> CallQueue:
    """Return a queue in which these calls wait since `NOW`."""
    queue = CallQueue(max_waiting)
    assert all(queue.add(call) for call in calls)
    assert queue.advance(NOW) == ([], 0.0)
    return queue


class QueueMachine(RuleBasedStateMachine):
    """Calls that come, go out, come back and end in any order, while the clock goes on or is set back."""

    out = Bundle("out")

    def __init__(self) -> None:
        super().__init__()
        self.queue = CallQueue(MAX_WAITING)
        self.now = NOW
        self.new: list[Call] = []
        self.line: list[Call] = []
        self.away: list[Call] = []
        self.later: list[tuple[float, Call]] = []
        self.ends: dict[Call, float] = {}
        self.queue.advance(self.now)

    def drop(self, call: Call) -> None:
        for held in (self.new, self.line, self.away):
            if call in held:
                held.remove(call)
        self.later = [entry for entry in self.later if entry[1] is not call]
        self.ends.pop(call, None)

    @rule(timeout=st.sampled_from([0.5, 2.0, 30.0]))
    def add(self, timeout: float) -> None:
        room = len(self.new) + len(self.line) + len(self.later) < MAX_WAITING
        call = make(timeout)
        assert self.queue.add(call) is room
        if room:
            self.new.append(call)

    def advance(self, now: float) -> None:
        set_back = self.now - now if self.now - now > 1 else 0.0
        overdue, told = self.queue.advance(now)
        assert told == set_back
        self.later = [(at - set_back, call) for at, call in self.later]
        self.ends = {call: end - set_back for call, end in self.ends.items()}
        self.now = now if set_back else max(self.now, now)
        self.ends |= {call: self.now + call.timeout for call in self.new}
        back = [call for at, call in sorted(self.later, key=lambda e: (e[0], e[1].number)) if at <= self.now]
        self.later = [entry for entry in self.later if entry[1] not in back]
        self.line = back + self.line + self.new
        self.new = []
        assert sorted(overdue, key=id) == sorted((c for c, end in self.ends.items() if end <= self.now), key=id)
        for call in overdue:
            self.queue.finish(call)
            self.drop(call)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 8.0, -0.5, -1.5, -3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.advance(self.now + seconds)

    @rule(target=out)
    def take(self) -> object:
        head = self.queue.head()
        assert head is (self.line[0] if self.line else None)
        if head is None:
            return multiple()
        self.queue.take(head)
        self.away.append(self.line.pop(0))
        return head

    @rule(call=consumes(out))
    def put_back(self, call: Call) -> None:
        if call in self.away:
            self.queue.put_back(call)
            self.away.remove(call)
            self.line.insert(0, call)

    @rule(call=consumes(out), seconds=st.sampled_from([0.5, 4.0]))
    def put_off(self, call: Call, seconds: float) -> None:
        if call in self.away:
            self.queue.put_off(call, self.now + seconds)
            self.away.remove(call)
            self.later.append((self.now + seconds, call))

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        calls = self.new + self.line + self.away + [call for _, call in self.later]
        if calls:
            call = data.draw(st.sampled_from(calls))
            self.queue.finish(call)
            self.drop(call)

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert len(self.queue) == len(self.new) + len(self.line) + len(self.later)
        assert list(self.queue.waiting()) == self.line
        later = [call for _, call in self.later]
        assert sorted(self.queue.open_calls(), key=id) == sorted(self.new + self.line + self.away + later, key=id)
        for phase, calls in ((NEW, self.new), (WAITING, self.line), (UNDER_WAY, self.away), (LATER, later)):
            assert all(call.phase is phase for call in calls)
        assert all((call.expires_at, call.since) == (end, end - call.timeout) for call, end in self.ends.items())

    @invariant()
    def it_tells_what_is_due_next(self) -> None:
        times = [at for at, _ in self.later] + list(self.ends.values())
        assert self.queue.due == min(times, default=float("inf"))


QueueMachine.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
test_it_does_what_the_model_does = QueueMachine.TestCase


@pytest.mark.parametrize("max_waiting", [0, -1])
def test_a_queue_without_room_is_refused(max_waiting: int):
    with pytest.raises(ConfigError):
        CallQueue(max_waiting)


def test_those_under_way_take_no_room():
    queue = begun(call := make(), max_waiting=1)
    assert not queue.add(make())
    queue.take(call)
    assert queue.add(make())
    assert not queue.add(make())


def test_a_call_s_time_begins_when_the_queue_is_told_the_time():
    queue = CallQueue(9)
    queue.add(call := make(30))
    assert (queue.head(), queue.due) == (None, float("inf"))
    queue.advance(NOW + 7)
    assert (call.since, call.expires_at, queue.due, queue.now) == (NOW + 7, NOW + 37, NOW + 37, NOW + 7)


def test_one_that_ends_before_its_time_began_is_forgotten():
    queue = CallQueue(9)
    queue.add(call := make())
    queue.finish(call)
    assert queue.advance(NOW) == ([], 0.0)
    assert (len(queue), queue.due, queue.open_calls()) == (0, float("inf"), [])


def test_tries_that_fall_due_together_stand_in_front_in_their_order():
    first, second, third = make(), make(), make()
    queue = begun(first, second, third)
    queue.take(first)
    queue.take(second)
    queue.put_off(second, NOW + 2)
    queue.put_off(first, NOW + 2)
    queue.advance(NOW + 2)
    assert list(queue.waiting()) == [first, second, third]


def test_what_a_call_held_is_let_go_at_its_end():
    queue = begun(call := make(message="x" * 1000))
    call.upload = EncodedCall("", b"x" * 1000, ())
    queue.finish(call)
    assert (call.fields, call.upload, call.over) == ({}, None, True)


def test_the_ends_of_those_that_are_over_do_not_pile_up():
    queue = begun(make(3600), make(7200))
    for _ in range(10 * SPARE):
        queue.add(call := make(1800))
        queue.advance(NOW)
        queue.finish(call)
        assert len(queue._ends) <= 2 * 2 + SPARE + 1
    assert queue.due == NOW + 3600


@pytest.mark.parametrize("move", ["take", "put_back", "put_off"])
def test_what_is_over_stays_over(move: str):
    queue = begun(call := make())
    queue.finish(call)
    with pytest.raises(StateError, match="over"):
        getattr(queue, move)(call, *([NOW] if move == "put_off" else []))
    assert call.phase is OVER


@pytest.mark.parametrize("move", ["put_back", "put_off"])
def test_only_what_was_taken_is_put_back_or_off(move: str):
    queue = begun(call := make())
    with pytest.raises(StateError, match="waiting"):
        getattr(queue, move)(call, *([NOW] if move == "put_off" else []))


@pytest.mark.parametrize(
    ("method", "fields", "shareable"),
    [
        ("messages.send", {"message": "x"}, True),
        ("execute", {"code": "return 1;"}, False),
        ("execute.procedure", {}, False),
        ("messages.send", {"captcha_sid": "1", "captcha_key": "x"}, False),
        ("messages.send", {"success_token": "1"}, False),
        ("users.get", {"v": "5.131"}, False),
        ("users.get", {"lang": "0"}, False),
    ],
)
def test_some_calls_go_alone(method: str, fields: dict[str, str], shareable: bool):  # noqa: FBT001 - of the table
    call = make(method=method, **fields)
    assert call.shareable is shareable
    call.alone = True
    assert not call.shareable


def test_an_upload_goes_alone():
    call = make(method="upload")
    call.upload = EncodedCall("", b"", ())
    assert not call.shareable


def test_a_call_s_fields_are_not_in_its_repr():
    call = make(method="messages.send", message="private")
    assert repr(call) == "<Call messages.send, new>"
    assert call.wanted is always
    assert call.wanted()
