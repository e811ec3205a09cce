"""rawbot/websocket/connection.py: a server and a client talk and close in any order, over a wire that delivers late."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from websocket_frames import CLOSE, NOW, read, read_frames, take

from rawbot.websocket.connection import Phase, WebSocketConnection
from rawbot.websocket.settings import WebSocketSettings

SIDES = st.sampled_from(["server", "client"])
OTHER = {"server": "client", "client": "server"}
QUIET = WebSocketSettings(ping_interval=None, close_timeout=1000.0, message_timeout=1e6)


class TwoSides(RuleBasedStateMachine):
    """What one side says, the other hears: whole, in order, each once, and nothing after a Close."""

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.sides = {side: WebSocketConnection(QUIET, NOW, client=side == "client") for side in OTHER}
        self.wires = dict.fromkeys(OTHER, b"")  # what is on its way from a side
        self.wrote = dict.fromkeys(OTHER, b"")
        self.said: dict[str, list[bytes | str]] = {side: [] for side in OTHER}
        self.heard: dict[str, list[bytes | str]] = {side: [] for side in OTHER}
        self.codes: dict[str, int] = {}
        self.cut = False

    def write(self, side: str) -> None:
        data = take(self.sides[side])
        self.wires[side] += data
        self.wrote[side] += data

    @rule(side=SIDES, message=st.text(max_size=10) | st.binary(max_size=10))
    def say(self, side: str, message: bytes | str) -> None:
        if self.sides[side].phase is Phase.OPEN:
            self.sides[side].send(message, self.now)
            self.said[side].append(message)

    @rule(side=SIDES)
    def flush(self, side: str) -> None:
        self.write(side)

    @rule(side=SIDES, share=st.floats(0, 1))
    def deliver(self, side: str, share: float) -> None:
        wire = self.wires[side]
        count = round(len(wire) * share)
        self.wires[side] = wire[count:]
        other = OTHER[side]
        self.sides[other].receive_data(wire[:count], self.now)
        self.heard[side] += read(self.sides[other])

    @rule(side=SIDES, code=st.sampled_from([1000, 1001, 3000, 4999]))
    def close(self, side: str, code: int) -> None:
        if self.sides[side].phase is Phase.OPEN:
            self.codes[side] = code
        self.sides[side].close(code, "why", self.now)

    @rule(side=SIDES)
    def fail(self, side: str) -> None:
        if self.sides[side].phase is Phase.OPEN:
            self.codes[side] = 1011
        self.sides[side].fail("internal error")

    @rule(seconds=st.sampled_from([1.0, 500.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for connection in self.sides.values():
            connection.tick(self.now)

    @precondition(lambda self: not self.cut)
    @rule(side=SIDES)
    def break_off(self, side: str) -> None:
        """Cut the wire: what was on its way is lost."""
        self.cut = True
        self.wires[side] = b""
        self.sides[OTHER[side]].receive_eof()

    @rule()
    def settle(self) -> None:
        """Deliver everything that is on its way, both ways, until nothing moves."""
        for _ in range(4):
            for side in OTHER:
                self.write(side)
                if not self.cut:
                    self.deliver(side, 1.0)
        if not self.cut and self.codes:
            assert all(connection.phase is Phase.CLOSED for connection in self.sides.values())

    @invariant()
    def what_is_heard_is_what_was_said(self) -> None:
        for side in OTHER:
            assert self.heard[side] == self.said[side][: len(self.heard[side])]

    @invariant()
    def a_close_is_the_last_frame_and_the_only_one(self) -> None:
        for side, wrote in self.wrote.items():
            opcodes = [sent.opcode for sent in read_frames(wrote)]
            assert CLOSE not in opcodes[:-1], side

    @invariant()
    def the_code_that_is_told_was_sent_by_the_other_side(self) -> None:
        for side, connection in self.sides.items():
            if connection.close_code != 1006:
                theirs = [s.payload for s in read_frames(self.wrote[OTHER[side]]) if s.opcode == CLOSE]
                assert int.from_bytes(theirs[0][:2], "big") == connection.close_code
                assert connection.close_code in self.codes.values()

    @invariant()
    def nobody_is_blamed(self) -> None:
        assert all(connection.error is None for connection in self.sides.values())

    @invariant()
    def who_is_closed_waits_for_nothing(self) -> None:
        for connection in self.sides.values():
            assert connection.deadline > self.now or connection.phase is Phase.OPEN
            assert connection.phase is not Phase.CLOSED or not connection._buffer


TwoSides.TestCase.settings = settings(deadline=None, max_examples=80, stateful_step_count=30)
test_two_sides_understand_each_other = TwoSides.TestCase
