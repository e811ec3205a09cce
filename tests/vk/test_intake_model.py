"""rawbot/vk/intake.py under any order of events, repetitions, handlers' ends, answers, crashes and restarts.

What must hold whatever comes: an event that was done is never given to the bot again; one that was acknowledged and has
not failed is given to it till it is done; and a user sees each answer once.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from memory_journal import MemoryJournal
from vk_platform import NOW, Call, FakeApi, refused
from vk_samples import GROUP, USER, envelope, new_message

from rawbot.event import Event
from rawbot.vk.intake import Intake, Refusal
from rawbot.vk.register import Register
from rawbot.vk.settings import VKGroup

MAX_RUNNING = 4
NUMBERS = st.integers(1, 5)


def answer_of(number: int) -> str:
    return f"ответ {number}"


def half_of(number: int) -> str:
    return f"половина {number}"


def number_of(call: Call) -> int:
    return int(call.params["message"].split()[1])


class IntakeMachine(RuleBasedStateMachine):
    """VK, which brings events as often as it likes, a bot, and a machine that loses power."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = MemoryJournal()
        self.dialogs = FakeApi().dialogs
        self.now = NOW
        self.handlers: dict[int, Event] = {}
        """Those that run."""
        self.answering: set[int] = set()
        """Those whose handlers are done, and that VK has not answered."""
        self.halves: set[int] = set()
        """Those of these whose handlers have failed."""
        self.done: set[int] = set()
        self.failed: set[int] = set()
        """Those whose last run has failed: only VK brings them again."""
        self.unnoted: set[int] = set()
        """Those whose end the journal could not keep."""
        self.boot()

    def boot(self) -> None:
        """Begin in a new process."""
        self.api = FakeApi()
        self.api.dialogs, self.api.held = self.dialogs, True
        register = Register()
        self.intake = Intake(
            {GROUP: VKGroup()}, {GROUP: self.api}, register=register, journal=self.journal, max_running=MAX_RUNNING
        )
        self.recall(self.handlers.keys() | self.answering | self.unnoted)

    def recall(self, expected: set[int]) -> None:
        """Be given what was left, all of it and nothing else."""
        self.journal.broken = False
        self.handlers.clear()
        self.answering.clear()
        self.halves.clear()
        self.unnoted.clear()
        self.done -= expected
        for event in self.intake.recall(self.now):
            self.begin(event)
        assert self.handlers.keys() == expected

    def begin(self, event: Event) -> None:
        number = int(event.message_id)
        assert number not in self.done | self.answering | self.handlers.keys()
        self.handlers[number] = event
        self.failed.discard(number)

    def end(self, number: int, *, well: bool) -> None:
        (self.done if well else self.failed).add(number)
        if self.journal.broken:
            self.unnoted.add(number)

    @rule(number=NUMBERS)
    def vk_brings(self, number: int) -> None:
        body = envelope(value=new_message(cmid=number, peer_id=USER + number % 2), event_id=f"{number:040x}")
        running = self.handlers.keys() | self.answering
        try:
            taken = self.intake.take(body, self.now)
        except OSError:
            assert self.journal.broken
            return
        if isinstance(taken, Event):
            assert not self.journal.broken
            self.unnoted.discard(number)
            self.begin(taken)
        elif taken is Refusal.FULL:
            assert len(running) == MAX_RUNNING
        else:
            assert taken is (Refusal.RUNNING if number in running else Refusal.DONE)
            assert number in running | self.done

    @precondition(lambda self: self.handlers)
    @rule(data=st.data())
    def a_handler_says_its_answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.handlers)))
        event = self.handlers.pop(number)
        event.reply.write(answer_of(number))
        self.answering.add(number)
        event.reply.finish()

    @precondition(lambda self: self.handlers)
    @rule(data=st.data(), how=st.sampled_from(["says nothing", "fails", "fails halfway"]))
    def a_handler_ends_otherwise(self, data: st.DataObject, how: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.handlers)))
        event = self.handlers.pop(number)
        if how == "fails halfway":
            event.reply.write(half_of(number))
            self.answering.add(number)
            self.halves.add(number)
            event.reply.fail()
        else:
            self.end(number, well=how == "says nothing")
            event.reply.finish() if how == "says nothing" else event.reply.fail()

    @precondition(lambda self: self.api.open)
    @rule(well=st.booleans())
    def vk_answers(self, well: bool) -> None:  # noqa: FBT001 - drawn
        self.answer(well=well)

    def answer(self, *, well: bool) -> None:
        call = self.api.open[0]
        self.answering.remove(number_of(call))
        self.end(number_of(call), well=well and call.params["message"] == answer_of(number_of(call)))
        self.halves.discard(number_of(call))
        self.api.answer(call, None if well else refused())
        assert not well or call.params["message"] in self.api.texts(call.params["peer_ids"])

    @precondition(lambda self: len(self.intake))
    @rule(data=st.data(), how=st.sampled_from(["power", "new process", "same process"]))
    def it_goes_down_and_comes_back(self, data: st.DataObject, how: str) -> None:
        if how == "power":
            for call in self.api.open:
                if data.draw(st.booleans(), label="VK has got the message"):
                    self.api.answer(Call(call.method, call.params, lambda _: None))
            self.boot()
            return
        for event in self.handlers.values():
            event.reply.cancel("shutdown")
        for number in self.halves:
            self.answering.remove(number)
            self.end(number, well=False)
        self.api.close()
        assert len(self.intake) == 0
        if how == "new process":
            self.boot()
            return
        self.api.start()
        done = self.done & self.unnoted
        self.recall((self.handlers.keys() | self.answering | self.unnoted) - done)
        assert done <= self.done

    @rule(seconds=st.sampled_from([1.0, 180.0, 1000.0]), disk=st.sampled_from(["as before", "full", "empty"]))
    def time_passes(self, seconds: float, disk: str) -> None:
        if disk != "as before":
            self.journal.broken = disk == "full"
        if self.now + seconds < NOW + 6000:
            self.now += seconds
        self.intake.tick(self.now)

    @invariant()
    def what_runs_is_what_should(self) -> None:
        assert len(self.intake) == len(self.handlers) + len(self.answering)

    @invariant()
    def nobody_is_told_twice(self) -> None:
        for dialog in self.dialogs.values():
            texts = [shown.text for shown in dialog]
            assert len(texts) == len(set(texts))

    def teardown(self) -> None:
        """Let it all end: every event that did not fail is done, and its answer is there."""
        if not hasattr(self, "intake"):
            return
        self.journal.broken = False
        for number in sorted(self.handlers):
            event = self.handlers.pop(number)
            event.reply.write(answer_of(number))
            self.answering.add(number)
            event.reply.finish()
        while self.api.open:
            self.answer(well=True)
        assert (len(self.intake), self.answering) == (0, set())


TestIntakeMachine = IntakeMachine.TestCase
