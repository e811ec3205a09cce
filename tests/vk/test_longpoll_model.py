"""rawbot/vk/longpoll.py and what stands around it, against VK's queue, a network that breaks, and processes that die.

Whatever happens: one poll at most is under way; no message is lost without a gap having been counted; none runs twice
at once, and none again that was done; those of a dialog come in their order; the position does not go back.
"""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from vk_calling import URL, error, result
from vk_polling import FakeApp, FakeJournal, FakeQueue, asked, half, reply
from vk_samples import GROUP, message, update

from rawbot.event import Event
from rawbot.exchange import Response
from rawbot.vk.group_longpoll import GroupLongPoll
from rawbot.vk.traffic import GRACE

NAME = f"community {GROUP}"
BROKEN = (
    None,
    Response(504),
    Response(502, b"<html>"),
    Response(200, b"<html>"),
    Response(200, b'{"ts":"9999","upd', headers=[(b"x-next-ts", b"9999")]),
    reply({"error": {"error_code": 10}}),
    reply({"failed": 77}),
)


class LongPollMachine(RuleBasedStateMachine):
    """A community's events on their way through one process after another."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FakeQueue(most=3)
        self.journal = FakeJournal()
        self.lost: set[int] = set()
        """Events that VK has forgotten before it was asked for them."""
        self.lost_from: int | None = None
        self.running: dict[int, Event] = {}
        self.deliveries: list[int] = []
        self.done: set[int] = set()
        self.gaps = 0
        """Of earlier processes."""
        self.position = 0
        self.begin(now=1_767_225_600.0)
        self.app.give_key(self.queue.server())

    # Processes

    def begin(self, now: float) -> None:
        service = GroupLongPoll(
            GROUP,
            "token",
            journal=self.journal,
            max_running=4,
            max_per_peer=2,
            api_url=URL,
            entropy=half,
        )
        self.app = FakeApp(service, now)
        self.start()

    def start(self) -> None:
        self.lost_from = None
        self.app.start()
        self.asked, self.asked_at = self.app.service.poll.asked, self.app.now
        self.take_events()

    @rule()
    def kill(self) -> None:
        """End the process at once; what ran may run again."""
        self.gaps += self.app.service.poll.gaps
        self.running.clear()
        self.begin(self.app.now)

    @rule()
    def shut_down(self) -> None:
        """End the process in order, cutting its handlers off."""
        self.app.stop()
        for event in self.running.values():
            event.reply.cancel("shutdown")
        self.kill()

    @rule()
    def restart_in_place(self) -> None:
        """Let the app of the same process end and begin again; its handlers have ended."""
        for number in list(self.running):
            self.running.pop(number).reply.finish()
            self.done.add(number)
        self.app.stop()
        self.start()

    # VK

    @rule(peer=st.integers(1, 3), more=st.integers(1, 4))
    def write(self, peer: int, more: int) -> None:
        for _ in range(more):
            number = len(self.queue.events)
            about = {"message": message(str(number), peer_id=peer, cmid=number + 1)}
            self.queue.events.append(update("message_new", about, event_id=f"{number:040x}"))

    @rule()
    def expire_key(self) -> None:
        self.queue.expire_key()

    @rule()
    def lose_information(self) -> None:
        self.queue.lose()

    @rule(count=st.integers(1, 5))
    def forget_old(self, count: int) -> None:
        self.queue.oldest = min(self.queue.oldest + count, len(self.queue.events))

    @rule(numeric=st.booleans(), hint=st.booleans())
    def change_form(self, *, numeric: bool, hint: bool) -> None:
        self.queue.numeric, self.queue.hint = numeric, hint

    # The network

    @precondition(lambda self: self.app.polls)
    @rule()
    def answer_poll(self) -> None:
        ts = int(asked(self.app.polls[0])["ts"])
        response = self.queue.poll(self.app.polls[0])
        if b'"failed":1' in response.body:
            self.lost.update(range(ts, len(self.queue.events)))
        elif b'"failed":3' in response.body:
            self.lost_from = ts
        self.app.answer_poll(response)
        self.take_events()

    @precondition(lambda self: self.app.polls)
    @rule(answer=st.sampled_from(BROKEN))
    def break_poll(self, answer: Response | None) -> None:
        self.app.answer_poll(answer)
        self.take_events()

    @precondition(lambda self: self.app.calls)
    @rule()
    def answer_call(self) -> None:
        if not self.app.method.endswith("getLongPollServer"):
            self.app.answer_call(result([{"peer_id": 1, "message_id": 1, "conversation_message_id": 1}]))
            return
        if self.lost_from is not None and self.app.service.poll.ts is None:
            self.lost.update(range(self.lost_from, len(self.queue.events)))
            self.lost_from = None
        self.app.give_key(self.queue.server())

    @precondition(lambda self: self.app.calls)
    @rule(answer=st.sampled_from([None, Response(502), error(10), error(29), error(5), result({"key": ""})]))
    def break_call(self, answer: Response | None) -> None:
        if self.app.method.endswith("getLongPollServer"):
            self.app.answer_call(answer)

    @rule(seconds=st.sampled_from([0.2, 1.0, 30.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.app.wait(seconds)
        self.take_events()

    # The bot

    def take_events(self) -> None:
        for event in self.app.events:
            number = int(event.text)
            assert number not in self.running, "it runs twice at once"
            assert number not in self.done, "it was done before"
            self.running[number] = event
            self.deliveries.append(number)
        self.app.events.clear()
        asked_for = self.app.service.poll.asked - self.asked
        assert self.app.now - self.asked_at >= 0.2 * asked_for, "keys are asked for in haste"
        if asked_for:
            self.asked, self.asked_at = self.app.service.poll.asked, self.app.now

    @precondition(lambda self: self.running)
    @rule(well=st.booleans(), text=st.sampled_from(["", "answer"]))
    def end_handler(self, *, well: bool, text: str) -> None:
        number = next(iter(self.running))
        reply_ = self.running[number].reply
        if text:
            reply_.write(text)
        if not well:
            reply_.fail()
        else:
            reply_.finish()
        while self.app.calls and self.app.method == "messages.send":
            self.answer_call()
        if len(self.app.service.intake) == len(self.running):  # the answer waits behind a call for a key
            self.settle_all()
        del self.running[number]
        if well:
            self.done.add(number)

    def settle_all(self) -> None:
        while self.app.calls:
            self.answer_call()
            self.take_events()

    # What holds

    @invariant()
    def one_call_for_a_key_at_most_is_under_way(self) -> None:
        awaited = [call for call in self.app.calls if call.expires_at > self.app.now + GRACE]
        assert sum(call.url.endswith("getLongPollServer") for call in awaited) <= 1

    @invariant()
    def the_position_does_not_go_back(self) -> None:
        position = int(self.journal.positions[NAME])
        assert self.position <= position <= len(self.queue.events)
        self.position = position

    @invariant()
    def all_before_the_position_was_taken_or_is_known_to_be_lost(self) -> None:
        assert set(range(self.position)) <= set(self.deliveries) | self.lost

    @invariant()
    def what_is_lost_was_counted(self) -> None:
        missed = self.lost - set(self.deliveries)
        assert not missed or self.gaps + self.app.service.poll.gaps

    @invariant()
    def a_dialog_s_messages_come_in_their_order(self) -> None:
        first = list(dict.fromkeys(self.deliveries))
        for peer in (1, 2, 3):
            numbers = [n for n in first if self.queue.events[n]["object"]["message"]["peer_id"] == peer]
            assert numbers == sorted(numbers)

    def teardown(self) -> None:
        """In the end, with a network and a VK that work, everything comes that VK still has."""
        for _ in range(3000):
            self.settle_all()
            for number in list(self.running):
                self.running.pop(number).reply.finish()
                self.done.add(number)
            poll = self.app.service.poll
            if poll.ts == str(len(self.queue.events)) and not poll.held and self.app.polls:
                break
            if self.app.polls:
                self.answer_poll()
            else:
                self.wait(min(max(self.app.service.deadline - self.app.now, 0.2), 60.0))
        else:
            pytest.fail("it has not caught up")
        self.the_position_does_not_go_back()
        assert set(range(len(self.queue.events))) - set(self.deliveries) <= self.lost
        assert max(Counter(self.deliveries).values(), default=0) <= len(self.deliveries)


TestLongPollMachine = LongPollMachine.TestCase
TestLongPollMachine.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
