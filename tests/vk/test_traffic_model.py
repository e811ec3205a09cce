"""rawbot/vk/traffic.py under any order of calls, answers, time and ends.

What must hold whatever comes: every call ends once; nothing that may have taken effect and is not idempotent is sent
again; no second sees more requests than the rate; what waits is bounded.
"""

from collections import Counter

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from vk_calling import FakeShell, answer, error, fields_of, method_of, result

from rawbot.exchange import OutgoingRequest, Response
from rawbot.vk.errors import VKError

RATE = 4
MAX_WAITING = 6
METHODS = {"users.get": True, "wall.post": False}
"""Whether a repetition does harm."""

FAILURES = {
    # by name: the answer, and whether the calls may have taken effect
    "too fast": (error(6), False),
    "internal": (error(10), True),
    "flood": (error(9), False),
    "parameter": (error(100), False),
    "not compiled": (error(12), False),
    "broke off": (error(13), True),
    "bad gateway": (Response(502), True),
    "no json": (Response(200, b"<html>"), True),
    "slow down": (answer("slow", 429, retry_after="3"), False),
    "unreachable": (None, False),
}


class TrafficMachine(RuleBasedStateMachine):
    """A shell that does what shells do, and VK at its worst."""

    @initialize(batch=st.booleans(), places=st.sampled_from([1, 3, 99]))
    def begin(self, batch: bool, places: int) -> None:  # noqa: FBT001 - drawn
        self.shell = FakeShell(places=places, batch=batch, rate=RATE, max_waiting=MAX_WAITING)
        self.took = Counter[int]()
        self.ended = Counter[int]()
        self.count = 0
        self.tainted: set[int] = set()
        """Those that may have taken effect, and must not be sent again."""
        self.times: list[float] = []
        self.most = 0
        """Calls that were under way at once: they may all come back to those that wait."""
        self.shell.api.on_ready = self.pump

    def pump(self) -> None:
        known = len(self.shell.sending)
        self.shell.pump()
        self.most = max(self.most, sum(len(self.carried(request)) for request in self.shell.sending))
        for request in self.shell.sending[known:]:
            self.times.append(self.shell.now)
            carried = self.carried(request)
            assert not self.tainted.intersection(carried)
            assert not any(self.ended[number] for number in carried)

    def carried(self, request: OutgoingRequest) -> list[int]:
        fields = fields_of(request)
        if method_of(request) != "execute":
            return [int(fields["n"])]
        code = fields["code"].removeprefix("return [API.").removesuffix("];")
        return [int(orjson.loads(call.partition("(")[2].removesuffix(")"))["n"]) for call in code.split(",API.")]

    @rule(method=st.sampled_from(sorted(METHODS)), timeout=st.sampled_from([2.0, 30.0]))
    def submit(self, method: str, timeout: float) -> None:
        number = self.count
        self.count += 1
        self.took[number] = METHODS[method]
        params = {"n": number}
        self.shell.api.submit(method, params, lambda told: self.told(number, told), timeout=timeout)

    def told(self, number: int, told: object) -> None:
        self.ended[number] += 1
        assert isinstance(told, VKError) or told == number

    @rule(data=st.data())
    def answer_well(self, data: st.DataObject) -> None:
        if self.shell.sending:
            request = data.draw(st.sampled_from(self.shell.sending))
            carried = self.carried(request)
            self.finish(request, result(carried if method_of(request) == "execute" else carried[0]))

    @rule(data=st.data(), failure=st.sampled_from(sorted(FAILURES)))
    def answer_badly(self, data: st.DataObject, failure: str) -> None:
        if self.shell.sending:
            request = data.draw(st.sampled_from(self.shell.sending))
            response, uncertain = FAILURES[failure]
            if uncertain:
                self.tainted |= {number for number in self.carried(request) if not self.took[number]}
            self.finish(request, response)

    @rule(data=st.data())
    def some_fail_inside(self, data: st.DataObject) -> None:
        together = [request for request in self.shell.sending if method_of(request) == "execute"]
        if together:
            request = data.draw(st.sampled_from(together))
            carried = self.carried(request)
            failed = data.draw(st.sets(st.sampled_from(carried)))
            methods = {number: "users.get" if self.took[number] else "wall.post" for number in carried}
            told = [{"method": methods[n], "error_code": 6, "error_msg": "fast"} for n in carried if n in failed]
            values = [False if n in failed else n for n in carried]
            self.finish(request, answer({"response": values, "execute_errors": told}))

    def finish(self, request: OutgoingRequest, response: Response | None) -> None:
        self.shell.sending.remove(request)
        self.shell.api.receive(request, response, self.shell.now)
        self.pump()

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.34, 1.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.shell.now + seconds
        while self.shell.now < (due := self.shell.api.deadline) <= end:
            self.tick(due)
        self.tick(end)

    def tick(self, now: float) -> None:
        self.shell.now = now
        self.shell.api.tick(now)
        self.pump()

    @rule()
    def the_shell_ends_and_begins_again(self) -> None:
        self.shell.sending.clear()
        self.shell.api.enabled = False
        assert all(self.ended[number] == 1 for number in range(self.count))
        self.shell.api.enabled = True

    @invariant()
    def every_call_is_open_or_has_ended_once(self) -> None:
        api = self.shell.api
        assert max(self.ended.values(), default=0) <= 1
        assert self.count - len(self.ended) == len(api._queue.open_calls())
        assert api.waiting() <= MAX_WAITING + self.most

    @invariant()
    def no_second_sees_more_than_the_rate(self) -> None:
        assert all(sum(at <= other < at + 1 for other in self.times) <= RATE for at in self.times)

    def teardown(self) -> None:
        """Let it all end: in a minute nothing is open, whatever was on its way."""
        if hasattr(self, "shell"):
            self.time_passes(1.0)
            self.time_passes(31.0)
            assert all(self.ended[number] == 1 for number in range(self.count))
            assert self.shell.api.waiting() == 0


TrafficMachine.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
test_it_keeps_its_promises = TrafficMachine.TestCase
