"""rawbot/onebot/buffer.py: events that wait for get_latest_events, and pollers that wait for events.

OneBot 12, interface/meta/actions (get_latest_events), connect/communication/http (event_buffer_size).
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from onebot_parts import T0, message

from rawbot.exchange import Pending, Response
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.buffer import LATELY, EventBuffer
from rawbot.onebot.events import heartbeat, status_update


def push(buffer: EventBuffer, *numbers: int) -> None:
    for number in numbers:
        buffer.push(Broadcast(message(number)))


def take(buffer: EventBuffer, limit: int = 0) -> list[int]:
    return numbers_of(buffer.take(limit, T0))


def numbers_of(events: list[dict[str, object]]) -> list[int]:
    return [int(event["alt_message"]) for event in events]


class Poller:
    """Waits for events as the shell lets it: it is answered in the call that wakes it."""

    def __init__(self, buffer: EventBuffer, limit: int = 0) -> None:
        self.got: list[int] | None = None
        self.pending = Pending(None, T0 + 60, self.respond, needs_reader=True)
        self.buffer = buffer
        self.limit = limit
        buffer.wait(self.pending)
        self.pending.attach(self.answer)

    def respond(self, now: float) -> Response:
        self.got = numbers_of(self.buffer.take(self.limit, now))
        return Response(200)

    def answer(self) -> None:
        self.pending.answer(T0)


def test_events_are_taken_oldest_first_and_once():
    buffer = EventBuffer(0)
    push(buffer, 1, 2, 3)
    assert len(buffer) == 3
    assert take(buffer) == [1, 2, 3]
    assert (take(buffer), len(buffer)) == ([], 0)


@pytest.mark.parametrize(
    ("limit", "taken", "left"), [(0, [1, 2, 3], []), (2, [1, 2], [3]), (3, [1, 2, 3], []), (9, [1, 2, 3], [])]
)
def test_no_more_are_taken_than_asked_for_and_0_is_for_all(limit: int, taken: list[int], left: list[int]):
    buffer = EventBuffer(0)
    push(buffer, 1, 2, 3)
    assert (take(buffer, limit), take(buffer)) == (taken, left)


def test_events_about_the_implementation_are_left_out():
    buffer = EventBuffer(0)
    poller = Poller(buffer)
    for event in (heartbeat(5), status_update({})):
        buffer.push(Broadcast(event))
    assert (len(buffer), poller.got) == (0, None)


def test_of_more_than_fit_the_oldest_are_dropped_and_counted():
    buffer = EventBuffer(2)
    push(buffer, 1, 2, 3, 4)
    assert (take(buffer), buffer.dropped) == ([3, 4], 2)


def test_0_is_for_any_number():
    buffer = EventBuffer(0)
    push(buffer, *range(1000))
    assert (len(take(buffer)), buffer.dropped) == (1000, 0)


def test_a_poller_is_woken_by_the_first_event():
    buffer = EventBuffer(1)
    poller = Poller(buffer, limit=5)
    assert buffer.waiting == 1
    push(buffer, 1)
    assert (poller.got, len(buffer), buffer.waiting) == ([1], 0, 0)


def test_of_several_pollers_each_waits_for_its_turn():
    buffer = EventBuffer(0)
    first, second, third = (Poller(buffer) for _ in range(3))
    push(buffer, 1)
    assert (first.got, second.got, third.got) == ([1], None, None)
    push(buffer, 2)
    assert (second.got, third.got, buffer.waiting) == ([2], None, 1)


def test_a_poller_that_has_gone_takes_nothing():
    buffer = EventBuffer(0)
    gone, there = Poller(buffer), Poller(buffer)
    gone.pending.abandon()
    assert buffer.waiting == 1
    push(buffer, 1)
    assert (gone.got, there.got) == (None, [1])


def test_what_only_those_who_have_gone_waited_for_stays():
    buffer = EventBuffer(0)
    for _ in range(3):
        Poller(buffer).pending.abandon()
    push(buffer, 1)
    assert (take(buffer), buffer.waiting) == ([1], 0)


def test_a_poller_whose_time_is_over_takes_nothing_later():
    buffer = EventBuffer(0)
    poller = Poller(buffer)
    poller.answer()
    assert (poller.got, buffer.waiting) == ([], 0)
    push(buffer, 1)
    assert take(buffer) == [1]


def test_those_who_have_gone_do_not_pile_up():
    buffer = EventBuffer(0)
    for _ in range(100):
        Poller(buffer).pending.abandon()
        assert buffer.waiting == 0
    assert len(buffer._pollers) == 0


def test_at_the_end_all_who_wait_are_answered():
    buffer = EventBuffer(0)
    pollers = [Poller(buffer) for _ in range(3)]
    pollers[1].pending.abandon()
    buffer.release()
    assert [poller.got for poller in pollers] == [[], None, []]
    assert buffer.waiting == 0


def test_somebody_is_there_while_he_polls_and_a_while_after():
    buffer = EventBuffer(0)
    assert not buffer.listens(T0)
    poller = Poller(buffer)
    assert buffer.listens(T0)
    poller.answer()
    assert buffer.listens(T0 + LATELY - 1)
    assert not buffer.listens(T0 + LATELY)
    assert not buffer.listens(T0 - 3600)


def test_nobody_is_there_who_has_gone_while_he_waited():
    buffer = EventBuffer(0)
    Poller(buffer).pending.abandon()
    assert not buffer.listens(T0)


class BufferMachine(RuleBasedStateMachine):
    """Events, polls, and pollers that go, in any order: no event is lost or told twice unless there is no room."""

    size = 4

    def __init__(self) -> None:
        super().__init__()
        self.buffer = EventBuffer(self.size)
        self.number = 0
        self.pollers: list[Poller] = []
        self.told: list[int] = []
        self.dropped: list[int] = []
        self.held: list[int] = []

    @rule()
    def emit(self) -> None:
        self.number += 1
        self.held.append(self.number)
        waiting = next((poller for poller in self.pollers if not poller.pending.over), None)
        push(self.buffer, self.number)
        if waiting is not None:
            assert waiting.got == [self.number]
            self.told += self.held
            self.held = []
            self.pollers.remove(waiting)
        elif len(self.held) > self.size:
            self.dropped.append(self.held.pop(0))

    @rule(limit=st.integers(0, 3))
    def poll(self, limit: int) -> None:
        if self.held:
            count = limit or len(self.held)
            assert take(self.buffer, limit) == self.held[:count]
            self.told += self.held[:count]
            self.held = self.held[count:]
        else:
            self.pollers.append(Poller(self.buffer, limit))

    @rule()
    def go_away(self) -> None:
        if self.pollers:
            self.pollers.pop(0).pending.abandon()

    @rule()
    def time_out(self) -> None:
        if self.pollers:
            poller = self.pollers.pop()
            poller.answer()
            assert poller.got == []

    @invariant()
    def every_event_is_somewhere(self) -> None:
        assert sorted([*self.told, *self.dropped, *self.held]) == list(range(1, self.number + 1))
        assert self.told == sorted(self.told)
        assert (len(self.buffer), self.buffer.dropped) == (len(self.held), len(self.dropped))
        assert self.buffer.waiting == len(self.pollers)


BufferMachine.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
test_events_and_polls_in_any_order = BufferMachine.TestCase
