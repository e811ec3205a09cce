"""rawbot/onebot/channels.py: connect, status_update, and then all else, for an application that reads, or does not.

OneBot 12, connect/communication/websocket and websocket-reverse.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator

import ormsgpack
import pytest
from fake_channel import ADDRESS, FakeHost
from fake_transport import FakeTransport
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from onebot_parts import BOT, T0, VERSION, Data, Gate, Handlers, asking, make, message, ok
from websocket_frames import BINARY, PING, PONG, TEXT, Sent, frame, read_frames

from rawbot.aio.settings import Timeouts
from rawbot.aio.websocket import WebSocketProtocol
from rawbot.exchange import EncodedText
from rawbot.onebot import channels
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.settings import MAX_QUEUE_BYTES
from rawbot.websocket.connection import WebSocketConnection
from rawbot.websocket.handshake import Handshake
from rawbot.websocket.settings import WebSocketSettings

SIZE = len(make().prepare(message(10)).text)
"""Bytes of an event with a number of two digits."""


class Shell:
    """Takes what the channel says whenever it says that there is something, as long as the application reads."""

    def __init__(self, implementation: Implementation, *, max_queue_bytes: int = MAX_QUEUE_BYTES) -> None:
        self.opened_in: set[OneBotChannel] = set()
        self.channel = OneBotChannel(implementation, max_queue_bytes=max_queue_bytes, opened_in=self.opened_in)
        self.channel.on_ready = self.flush
        self.handlers = Handlers()
        self.reads = True
        self.frames: list[bytes | str] = []

    def open(self) -> list[Data]:
        """Open it; return the greetings."""
        self.channel.opened(T0)
        self.flush()
        return self.take()

    def flush(self) -> None:
        if self.reads:
            self.frames += self.channel.to_send()

    def ask(self, value: Data | bytes | str) -> None:
        told = json.dumps(value) if isinstance(value, dict) else value
        for event in self.channel.receive(told, T0):
            self.handlers.dispatch(event)
        self.flush()

    def take(self) -> list[Data]:
        """Return what the application has got since."""
        frames, self.frames = self.frames, []
        assert all(isinstance(one, bytes) for one in frames)
        return [json.loads(one) if isinstance(one, EncodedText) else ormsgpack.unpackb(one) for one in frames]


def texts(frames: list[Data]) -> list[object]:
    """Tell them apart: events by their ids, responses by their echoes."""
    return [one["echo"] if "retcode" in one else one["id"] for one in frames]


@pytest.fixture
def ob() -> Implementation:
    ob = make()
    ob.gate = Gate()

    @ob.action("say")
    def say(text: str = "") -> str:
        return text

    @ob.action("ring")
    def ring(number: int) -> None:
        ob.push(message(number))

    @ob.action("wait")
    async def wait(*, ring: int = 0) -> str:
        await ob.gate
        if ring:
            ob.push(message(ring))
        return "waited"

    return ob


@pytest.fixture
def shell(ob: Implementation) -> Shell:
    shell = Shell(ob)
    shell.open()
    return shell


# The beginning


def test_the_first_event_is_connect_the_second_tells_all_bots():
    greetings = Shell(make(bots=["b1", "b2"])).open()
    assert [one["detail_type"] for one in greetings] == ["connect", "status_update"]
    assert greetings[0]["version"] == VERSION
    assert [bot["self"]["user_id"] for bot in greetings[1]["status"]["bots"]] == ["b1", "b2"]


def test_events_of_the_time_before_are_not_told_and_those_after_come_behind_the_greetings(ob: Implementation):
    shell = Shell(ob)
    shell.reads = False
    ob.push(message(1))
    shell.open()
    ob.push(message(2))
    ob.set_online("b1", online=False)
    shell.reads = True
    shell.flush()
    frames = shell.take()
    assert [one["detail_type"] for one in frames] == ["connect", "status_update", "private", "status_update"]
    assert frames[2]["id"] == "e2"
    assert frames[3]["status"]["good"] is False


def test_greetings_are_never_dropped():
    ob = make()
    shell = Shell(ob, max_queue_bytes=1)
    shell.reads = False
    shell.open()
    for number in range(5):
        ob.push(message(number))
    shell.reads = True
    shell.flush()
    assert [one["detail_type"] for one in shell.take()] == ["connect", "status_update", "private"]


def test_a_greeting_goes_to_the_new_one_only(ob: Implementation, shell: Shell):
    Shell(ob).open()
    assert shell.take() == []


def test_a_channel_whose_handshake_is_refused_is_nobody(ob: Implementation):
    shell = Shell(ob)
    ob.push(message(1))
    assert (list(shell.channel.to_send()), shell.opened_in, ob._sinks) == ([], set(), [])


def test_an_open_channel_listens(ob: Implementation, shell: Shell):
    assert ob.is_heard()
    assert shell.opened_in == {shell.channel}
    OneBotChannel(ob, max_queue_bytes=1).opened(T0)


# Actions


def test_a_text_is_answered_with_a_text_and_bytes_with_bytes(shell: Shell):
    shell.ask(asking("say", text="x", echo=1))
    shell.ask(ormsgpack.packb(asking("say", text="y", echo=2)))
    assert [isinstance(one, EncodedText) for one in shell.frames] == [True, False]
    assert shell.take() == [ok("x", echo=1), ok("y", echo=2)]


@pytest.mark.parametrize("bad", ["", "{", "[]", "\ufeff{}", "null", b"", b"\x81", b"{}", b"\xc1", "{}" * 2])
def test_bad_input_is_answered_in_its_own_form_and_ends_nothing(shell: Shell, bad: bytes | str):
    shell.ask(bad)
    assert isinstance(shell.frames[0], EncodedText) is isinstance(bad, str)
    (response,) = shell.take()
    assert (response["status"], response["retcode"], response.get("echo")) == ("failed", 10001, None)
    shell.ask(asking("say", text="still there"))
    assert shell.take() == [ok("still there")]
    assert shell.channel.closing is None


def test_without_the_extra_bytes_are_answered_in_json(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channels, "MSGPACK", None)
    shell.ask(ormsgpack.packb(asking("say", echo=1)))
    (response,) = shell.take()
    assert response["retcode"] == 10001
    assert "msgpack" in response["message"]


def test_a_fast_action_does_not_wait_for_a_slow_one(ob: Implementation, shell: Shell):
    shell.ask(asking("wait", echo="slow"))
    shell.ask(asking("say", echo="fast"))
    assert texts(shell.take()) == ["fast"]
    ob.gate.open = True
    shell.handlers.go_on()
    assert texts(shell.take()) == ["slow"]


def test_get_latest_events_is_not_spoken_here(shell: Shell):
    shell.ask(asking("get_latest_events", echo=1))
    assert shell.take()[0]["retcode"] == 10002


def test_the_response_goes_before_what_its_handler_emits(shell: Shell):
    shell.ask(asking("ring", number=5, echo="e"))
    assert texts(shell.take()) == ["e", "e5"]


def test_what_a_coroutine_emits_comes_when_it_is_emitted(ob: Implementation, shell: Shell):
    shell.ask(asking("wait", ring=5, echo="e"))
    ob.gate.open = True
    shell.handlers.go_on()
    assert texts(shell.take()) == ["e5", "e"]


def test_other_connections_get_what_a_handler_emits_at_once(ob: Implementation, shell: Shell):
    other = Shell(ob)
    other.open()
    shell.ask(asking("ring", number=5))
    assert texts(other.take()) == ["e5"]


# An application that does not read


def test_responses_go_before_events_that_wait(ob: Implementation, shell: Shell):
    shell.reads = False
    for number in (1, 2):
        ob.push(message(number))
    shell.ask(asking("say", echo="a"))
    shell.ask(asking("say", echo="b"))
    shell.reads = True
    shell.flush()
    assert texts(shell.take()) == ["a", "b", "e1", "e2"]


def test_of_more_than_fits_the_oldest_events_are_dropped_and_counted():
    ob = make()
    shell = Shell(ob, max_queue_bytes=3 * SIZE)
    shell.open()
    shell.reads = False
    for number in range(10, 20):
        ob.push(message(number))
    shell.ask(asking("get_version", echo="e"))
    shell.reads = True
    shell.flush()
    assert texts(shell.take()) == ["e", "e17", "e18", "e19"]
    assert (shell.channel.dropped, ob.dropped) == (7, 7)
    for number in range(20, 25):
        ob.push(message(number))
    assert texts(shell.take()) == ["e20", "e21", "e22", "e23", "e24"]
    assert ob.dropped == 7


def test_a_single_event_may_be_larger_than_all_that_fits():
    ob = make()
    shell = Shell(ob, max_queue_bytes=10)
    shell.open()
    shell.reads = False
    ob.push(message(1))
    ob.push(message(2, text="x" * 1000))
    shell.reads = True
    shell.flush()
    assert texts(shell.take()) == ["e2"]


def test_one_that_does_not_read_holds_up_nobody_else(ob: Implementation):
    stuck, reading = Shell(ob, max_queue_bytes=2 * SIZE), Shell(ob)
    for shell in (stuck, reading):
        shell.open()
    stuck.reads = False
    for number in range(10, 30):
        ob.push(message(number))
    assert len(reading.take()) == 20
    assert stuck.channel.dropped == 18


def test_what_is_taken_in_part_goes_on_where_it_stopped(ob: Implementation, shell: Shell):
    shell.reads = False
    for number in range(3):
        ob.push(message(number))
    some = iter(shell.channel.to_send())
    first = next(some)
    some.close()
    shell.ask(asking("say", echo="e"))
    assert json.loads(first)["id"] == "e0"
    assert texts([json.loads(one) for one in shell.channel.to_send()]) == ["e", "e1", "e2"]


# The end


def test_after_the_end_nothing_is_said_and_nothing_kept(ob: Implementation, shell: Shell):
    shell.reads = False
    shell.ask(asking("wait", echo="e"))
    ob.push(message(1))
    shell.channel.on_ready = None
    shell.channel.closed(1006, T0)
    ob.push(message(2))
    ob.gate.open = True
    shell.handlers.go_on()
    assert list(shell.channel.to_send()) == []
    assert (shell.opened_in, ob._sinks, len(ob.performer)) == (set(), [], 0)


def test_an_answer_goes_to_the_connection_that_asked_and_to_no_later_one(ob: Implementation, shell: Shell):
    shell.ask(asking("wait", echo="e"))
    shell.channel.closed(1006, T0)
    later = Shell(ob)
    later.open()
    ob.gate.open = True
    shell.handlers.go_on()
    assert later.take() == []


# In the shell that it is made for


class Stage:
    """A channel on a WebSocket, on a transport in memory."""

    def __init__(self, implementation: Implementation, *, stuck: bool, max_queue_bytes: int = MAX_QUEUE_BYTES) -> None:
        loop = asyncio.get_running_loop()
        self.host = FakeHost(loop, Timeouts())
        self.channel = OneBotChannel(implementation, max_queue_bytes=max_queue_bytes)
        self.handlers = Handlers()
        connection = WebSocketConnection(WebSocketSettings(), loop.time())
        self.protocol = WebSocketProtocol(
            self.host, self.channel, Handshake(connection), self.handlers.dispatch, address=ADDRESS
        )
        self.transport = FakeTransport(self.protocol, stuck=stuck)
        self.frames: list[Sent] = []

    def read(self) -> list[Data]:
        """Have the application read what was written so far, and no more; return the messages."""
        frames = list(read_frames(self.transport.take()))
        self.frames += frames
        return [json.loads(one.payload) for one in frames if one.opcode == TEXT]

    def read_all(self) -> list[Data]:
        """Have it read until nothing comes any more."""
        return [one for some in iter(self.read, []) for one in some]

    def ask(self, value: Data) -> None:
        if self.transport.reading:
            self.protocol.data_received(frame(TEXT, json.dumps(value).encode()))


@contextlib.contextmanager
def on_stage(implementation: Implementation, **options: object) -> Iterator[Stage]:
    """Put a channel of this implementation's on a stage, on a loop that does not run."""
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(loop)
    try:
        stage = Stage(implementation, **options)
        yield stage
        stage.handlers.stop()
        stage.transport.abort()
        stage.protocol.connection_lost(None)
        assert stage.host.failures == []
        assert implementation._sinks == []
        stage.host.wheel.close()
    finally:
        asyncio._set_running_loop(None)
        loop.close()


def test_a_peer_that_does_not_read_gets_the_newest_events_and_every_response(ob: Implementation):
    with on_stage(ob, stuck=True, max_queue_bytes=200_000) as stage:
        stage.ask(asking("wait", echo="e"))
        for number in range(100):
            ob.push(message(number, text="x" * 10_000))
        ob.gate.open = True
        stage.handlers.go_on()
        got = texts(stage.read_all())
        dropped = stage.channel.dropped
        events = [one for one in got[2:] if one != "e"]
        assert got.count("e") == 1
        assert dropped > 50
        assert len(events) == 100 - dropped
        assert events[-1] == "e99"
        assert got.index("e") < got.index("e99") - 5  # before the twenty that waited


def test_a_ping_is_answered_before_the_events_that_wait_for_the_peer(ob: Implementation):
    with on_stage(ob, stuck=True) as stage:
        stage.protocol.data_received(frame(PING, b"there?"))
        for number in range(100):
            ob.push(message(number, text="x" * 10_000))
        stage.read_all()
        kinds = [one.opcode for one in stage.frames]
        assert PONG in kinds[:3]


def test_a_peer_that_is_slow_is_heard_although_events_never_cease(ob: Implementation):
    with on_stage(ob, stuck=True, max_queue_bytes=200_000) as stage:
        got: list[object] = []
        for number in range(100):
            for _ in range(20):
                ob.push(message(number, text="x" * 10_000))
            if number == 50:
                assert stage.transport.paused_protocol
                assert stage.transport.reading
                stage.protocol.data_received(frame(PING, b"there?"))
                stage.ask(asking("say", echo="e"))
                asked_at = len(stage.frames)
            got += texts(stage.read())
            assert stage.channel._events
        behind = [one.opcode for one in stage.frames[asked_at:]]
        assert behind.index(PONG) < 20
        assert texts([json.loads(one.payload) for one in stage.frames[asked_at:] if one.opcode == TEXT]).index("e") < 20
        assert got.count("e") == 1


def test_of_a_peer_that_asks_and_does_not_read_no_more_is_taken_than_can_be_owed(ob: Implementation):
    with on_stage(ob, stuck=True) as stage:
        for number in range(20):
            ob.push(message(number, text="x" * 10_000))
        asked = 0
        while stage.transport.reading:
            asked += 1
            stage.ask(asking("say", echo=asked, text="x" * 1000))
        assert channels.MAX_OWED <= stage.channel._owed < channels.MAX_OWED + 2000
        answered = [one["echo"] for one in stage.read_all() if "retcode" in one]
        assert answered == list(range(1, asked + 1))
        assert (stage.channel._owed, stage.transport.reading) == (0, True)


def test_in_binary_and_text_the_frames_are_of_the_requests_kind(ob: Implementation):
    with on_stage(ob, stuck=False) as stage:
        stage.read_all()
        stage.protocol.data_received(frame(BINARY, ormsgpack.packb(asking("say", text="x", echo=1))))
        stage.protocol.data_received(frame(TEXT, b"{"))
        stage.read_all()
        assert [one.opcode for one in stage.frames[-2:]] == [BINARY, TEXT]
        assert ormsgpack.unpackb(stage.frames[-2].payload) == ok("x", echo=1)


class ChannelMachine(RuleBasedStateMachine):
    """Events, actions and a peer that reads when it likes, in any order, down to the bytes of the frames."""

    bound = 50_000

    def __init__(self) -> None:
        super().__init__()
        self.ob = make()
        self.gates: dict[int, Gate] = {}
        self.number = 0
        self.asked: set[int] = set()
        self.begun: list[int] = []
        self.got: list[Data] = []
        self.emitted: list[str] = []

        @self.ob.action("now")
        def now(number: int, *, ring: bool) -> int:
            if ring:
                self._emit(100)
            return number

        @self.ob.action("later")
        async def later(number: int) -> int:
            await self.gates[number]
            return number

        self._exit = contextlib.ExitStack()
        self.stage = self._exit.enter_context(on_stage(self.ob, stuck=True, max_queue_bytes=self.bound))

    def _emit(self, size: int) -> None:
        self.number += 1
        self.emitted.append(f"e{self.number}")
        self.ob.push(message(self.number, text="x" * size))

    @rule(size=st.sampled_from([1, 100, 20_000, 70_000]), count=st.integers(1, 4))
    def emit(self, size: int, count: int) -> None:
        for _ in range(count):
            self._emit(size)

    @rule(ring=st.booleans())
    def ask(self, ring: bool) -> None:  # noqa: FBT001 - drawn
        if self.stage.transport.reading:
            self.number += 1
            self.asked.add(self.number)
            self.stage.ask(asking("now", echo=self.number, number=self.number, ring=ring))

    @rule()
    def begin(self) -> None:
        if self.stage.transport.reading:
            self.number += 1
            self.asked.add(self.number)
            self.begun.append(self.number)
            self.gates[self.number] = Gate()
            self.stage.ask(asking("later", echo=self.number, number=self.number))

    @rule()
    def end(self) -> None:
        if self.begun:
            self.gates[self.begun.pop(0)].open = True
            self.stage.handlers.go_on()

    @rule()
    def read(self) -> None:
        self.got += self.stage.read()

    @rule()
    def read_all(self) -> None:
        self.got += self.stage.read_all()
        responses = [one for one in self.got if "retcode" in one]
        assert {one["echo"] for one in responses} == self.asked - set(self.begun)
        assert len(self._events()) + self.stage.channel.dropped == len(self.emitted)

    def _events(self) -> list[object]:
        return [one["id"] for one in self.got if one.get("type") == "message"]

    @invariant()
    def all_is_in_order_and_once(self) -> None:
        kinds = [one.get("detail_type") for one in self.got]
        assert kinds[:2] == ["connect", "status_update"][: len(kinds)]
        events = self._events()
        assert events == [one for one in self.emitted if one in set(events)]
        echoes = [one["echo"] for one in self.got if "retcode" in one]
        assert len(echoes) == len(set(echoes))
        assert all(one["data"] == one["echo"] for one in self.got if "retcode" in one)

    @invariant()
    def what_waits_is_bounded(self) -> None:
        channel = self.stage.channel
        assert channel._queued == sum(map(len, channel._events))
        assert channel._queued <= self.bound or len(channel._events) == 1

    def teardown(self) -> None:
        self.read_all()
        self._exit.close()


ChannelMachine.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
test_a_peer_that_pauses_and_goes_on_misses_only_what_was_dropped = ChannelMachine.TestCase


def test_an_event_names_its_bot(ob: Implementation, shell: Shell):
    ob.push(message(1))
    assert shell.take()[0]["self"] == BOT.encode()
