"""rawbot/aio/websocket.py and websocket_flow.py: a channel on a transport, and what the peer and time do to it."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

import pytest
from fake_channel import GREETING, FakeChannel, Stage, on_stage
from fake_endpoint import make_event
from fake_transport import FakeTransport
from websocket_frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Sent, close, frame

from rawbot.aio.settings import Timeouts
from rawbot.aio.websocket_flow import MIN_PROGRESS, TURN
from rawbot.aio.wheel import TICK
from rawbot.event import Event

BRIEF = 0.08
SLACK = 0.5
"""Seconds that a busy machine may be late."""
SHORT = Timeouts(write=BRIEF, linger=BRIEF)


def run(play: Callable[[Stage], Awaitable[None]], channel: FakeChannel | None = None, **options: object) -> Stage:
    """Let this happen on a stage."""
    stages = []

    async def main() -> None:
        async with asyncio.timeout(20), on_stage(channel, **options) as stage:
            stages.append(stage)
            await play(stage)

    asyncio.run(main())
    return stages[0]


def code_of(sent: Sent) -> int:
    assert sent.opcode == CLOSE
    return int.from_bytes(sent.payload[:2], "big")


# Messages


def test_messages_reach_the_channel_and_its_answers_the_peer_in_the_same_call():
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"Hello") + frame(BINARY, b"\xff"))
        assert stage.sent() == [Sent(TEXT, b"Hello"), Sent(BINARY, b"\xff")]
        assert stage.channel.received == ["Hello", b"\xff"]

    run(play)


def test_the_handshake_s_answer_and_the_first_words_are_one_write():
    channel = FakeChannel()
    channel.waiting = ["welcome"]

    async def play(stage: Stage) -> None:
        assert stage.transport.writes == [GREETING + b"\x81\x07welcome"]

    run(play, channel, transport=Counting)


def test_answers_to_what_came_together_leave_together():
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * 50 + frame(PING, b"p"))
        assert len(stage.transport.writes) == 2
        assert stage.said() == [b"p"] + [b"x"] * 50

    run(play, transport=Counting)


class Counting(FakeTransport):
    """Keeps the writes apart."""

    def __init__(self, protocol: asyncio.Protocol, **options: bool) -> None:
        self.writes: list[bytes] = []
        super().__init__(protocol, **options)

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


def test_events_are_started_and_the_channel_says_what_it_has_to_outside_of_our_calls():
    events = [make_event("one"), make_event("two")]
    channel = FakeChannel(lambda _: [])
    channel.events = events

    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x"))
        assert stage.host.dispatched == events
        assert stage.sent() == []
        channel.say("later", b"and more")
        assert stage.said() == [b"later", b"and more"]

    run(play, channel)


def test_a_channel_may_call_on_ready_within_our_calls():
    class Eager(FakeChannel):
        def receive(self, message: bytes | str, now: float) -> list[Event]:
            super().receive(message, now)
            self.on_ready()
            return []

    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
        assert stage.said() == [b"a", b"b"]

    run(play, Eager())


# How it ends


async def peer_closes(stage: Stage) -> None:
    stage.feed(close(4001, b"bye"))
    assert code_of(stage.sent()[-1]) == 4001


async def peer_closes_without_a_code(stage: Stage) -> None:
    stage.feed(frame(CLOSE))
    assert stage.sent()[-1] == Sent(CLOSE, b"")


async def channel_closes(stage: Stage) -> None:
    stage.channel.closing = (1000, "done")
    stage.channel.say("last words")
    assert stage.said() == [b"last words", b"\x03\xe8done"]
    assert not stage.transport.closing
    stage.feed(close(1000))


async def channel_closes_while_it_receives(stage: Stage) -> None:
    stage.channel.closing = (1003, "text only")
    stage.feed(frame(BINARY, b"x") + frame(TEXT, b"never seen"))
    assert stage.said() == [b"x", b"\x03\xebtext only"]
    stage.feed(close(1003))


async def peer_half_closes(stage: Stage) -> None:
    assert not stage.protocol.eof_received()
    assert stage.transport.closing


async def peer_resets(stage: Stage) -> None:
    stage.transport.abort()


async def peer_breaks_the_rules(stage: Stage) -> None:
    stage.feed(frame(CONT, b"x"))
    assert code_of(stage.sent()[-1]) == 1002
    assert stage.transport.half_closed


async def message_is_too_big(stage: Stage) -> None:
    stage.feed(frame(TEXT, size=5000)[:8])
    assert code_of(stage.sent()[-1]) == 1009
    stage.feed(b"x" * 5000)


async def server_goes_away(stage: Stage) -> None:
    stage.protocol.close_when_idle()
    assert stage.said() == [b"\x03\xe9going away"]
    stage.feed(close(1001))


async def server_is_stopped(stage: Stage) -> None:
    stage.protocol.abort()
    stage.protocol.close_when_idle()


async def channel_says_too_much(stage: Stage) -> None:
    stage.transport.stuck = True
    stage.channel.say(b"x" * 70_000)
    stage.channel.say(*["x"] * 21)
    assert len(stage.sent()) == 1
    assert code_of(stage.sent()[-1]) == 1013
    stage.transport.stuck = False
    stage.channel.say("more")
    stage.feed(close(1013))


async def channel_speaks_after_the_end(stage: Stage) -> None:
    stage.feed(close(1000))
    stage.channel.say("too late")
    assert stage.said() == [b"\x03\xe8"]


async def channel_names_a_code_that_is_none(stage: Stage) -> None:
    stage.channel.closing = (1006, "")
    stage.channel.say("x")
    assert [sent.opcode for sent in stage.sent()] == [TEXT, CLOSE]


ENDS = {
    # what happened: the code that the channel is told, what was noted of the peer, whether the channel is to blame
    peer_closes: (4001, [], False),
    peer_closes_without_a_code: (1005, [], False),
    channel_closes: (1000, [], False),
    channel_closes_while_it_receives: (1003, [], False),
    peer_half_closes: (1006, [], False),
    peer_resets: (1006, [], False),
    peer_breaks_the_rules: (1006, [1002], False),
    message_is_too_big: (1006, [1009], False),
    server_goes_away: (1001, [], False),
    server_is_stopped: (1006, [], False),
    channel_says_too_much: (1013, [1013], False),
    channel_speaks_after_the_end: (1000, [], False),
    channel_names_a_code_that_is_none: (1006, [], True),
}


ABRUPT = (peer_half_closes, peer_resets, server_is_stopped)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("within", [False, True], ids=["between frames", "within a frame"])
def test_however_it_ends_the_channel_hears_of_it_once(
    end: Callable[[Stage], Awaitable[None]],
    within: bool,  # noqa: FBT001 - a state
):
    code, noted, ours = ENDS[end]

    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"half")[:5] if within and end in ABRUPT else b"")
        await end(stage)
        await stage.lost()
        before = bytes(stage.transport.written)
        stage.protocol.close_when_idle()
        assert stage.transport.written == before

    stage = run(play, timeouts=SHORT, max_size=1000, max_queue=20)
    assert stage.channel.codes == [code]
    assert stage.host.refusals == noted
    assert len(stage.host.failures) == ours
    assert stage.channel.received in ([], [b"x"])


@pytest.mark.parametrize("fault", ["opened", "receive", "to_send", "closed"])
def test_a_channel_that_raises_ends_with_1011_and_is_logged_without_what_was_said(fault: str):
    async def play(stage: Stage) -> None:
        if not stage.transport.half_closed:
            stage.feed(frame(TEXT, b"a secret message") + frame(TEXT, b"another"))
        sent = stage.sent()
        if fault != "closed":
            assert code_of(sent[-1]) == 1011
            await stage.lost()

    stage = run(play, FakeChannel(fault=fault), timeouts=SHORT)
    assert stage.channel.calls.count(fault) == 1
    (failure,) = stage.host.failures
    told = "".join(traceback.format_exception(failure))
    assert "ValueError" in told
    assert f"in {fault}" in told
    assert "secret message" not in told.replace('"a secret message"', "")  # but for the line of this test that raises


# Closing in stages


def test_after_a_broken_frame_the_rest_is_thrown_away_until_the_peer_has_read_our_close():
    async def play(stage: Stage) -> None:
        stage.feed(frame(CONT, b"x") + frame(TEXT, b"x"))
        assert stage.transport.half_closed
        assert not stage.transport.closing
        for _ in range(100):
            stage.feed(b"x" * 10_000)
        assert stage.transport.reading
        assert [code_of(sent) for sent in stage.sent()] == [1002]
        assert stage.transport.closing
        assert not stage.transport.aborted

    stage = run(play, stuck=True)
    assert stage.channel.received == []


def test_a_peer_that_does_not_close_after_a_broken_frame_is_cut_off():
    async def play(stage: Stage) -> None:
        stage.feed(frame(CONT, b"x"))
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK
        assert stage.transport.aborted

    run(play, timeouts=SHORT, transport=Stubborn)


class Stubborn(FakeTransport):
    """A peer that never closes."""

    def _answer_eof(self) -> None:
        pass


class Tls(FakeTransport):
    """Cannot close one side alone."""

    def can_write_eof(self) -> bool:
        return False

    def write_eof(self) -> None:
        raise NotImplementedError


def test_under_tls_a_peer_that_broke_the_rules_is_left_to_close():
    async def play(stage: Stage) -> None:
        stage.feed(frame(CONT, b"x"))
        assert not stage.transport.closing
        assert code_of(stage.sent()[0]) == 1002
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK

    run(play, timeouts=SHORT, transport=Tls)


def test_under_tls_the_close_handshake_ends_at_once():
    async def play(stage: Stage) -> None:
        stage.feed(close(1000))
        assert stage.transport.closing
        assert await stage.lost() < SLACK

    run(play, transport=Tls)


def test_a_client_leaves_it_to_the_server_to_close():
    """RFC 6455, section 7.1.1."""

    async def play(stage: Stage) -> None:
        stage.feed(frame(CLOSE, b"\x03\xe8", key=None))
        assert not stage.transport.closing
        assert stage.sent() == [Sent(CLOSE, b"\x03\xe8", masked=True)]
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK

    stage = run(play, timeouts=SHORT, client=True)
    assert stage.channel.codes == [1000]


# Time


def test_a_quiet_peer_is_pinged_and_stays_as_long_as_it_answers():
    async def play(stage: Stage) -> None:
        for _ in range(3):
            await until_sent(stage)
            assert stage.sent() == [Sent(PING, b"")]
            stage.feed(frame(PONG))
        assert not stage.transport.closing
        await until_sent(stage)
        assert BRIEF <= await stage.lost() < 2 * (BRIEF + TICK) + SLACK
        assert code_of(stage.sent()[-1]) == 1011

    stage = run(play, timeouts=SHORT, ping_interval=BRIEF, ping_timeout=BRIEF)
    assert stage.host.refusals == [1011]


async def until_sent(stage: Stage) -> None:
    if stage.greeting:
        stage.sent()
    while not stage.transport.written:  # noqa: ASYNC110 - a transport in memory signals nobody
        await asyncio.sleep(0.005)


def test_a_message_that_drips_has_its_time():
    async def play(stage: Stage) -> None:
        wire = frame(TEXT, b"x" * 900)
        for at in range(900):
            if stage.transport.half_closed:
                break
            stage.feed(wire[at : at + 1])
            await asyncio.sleep(0.002)
        assert code_of(stage.sent()[-1]) == 1008

    run(play, ping_interval=None, message_timeout=BRIEF)


def test_a_close_that_is_not_answered_ends_in_its_time_whatever_else_is_said():
    async def play(stage: Stage) -> None:
        stage.channel.closing = (1000, "")
        stage.channel.say()
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not stage.transport.lost:
            stage.feed(frame(PING) + frame(TEXT, b"x"))
            await asyncio.sleep(0.005)
        assert BRIEF <= loop.time() - start < BRIEF + TICK + SLACK
        assert stage.said() == [b"\x03\xe8"]

    stage = run(play, close_timeout=BRIEF)
    assert (stage.channel.received, stage.channel.codes) == ([], [1006])


# Turns

READ = 256 * 1024
"""What asyncio reads at once."""


async def until_through(stage: Stage) -> list[Sent]:
    """Let it have its turns; return what was sent."""
    sent = stage.sent()
    while stage.protocol._yielding:
        await asyncio.sleep(0)
        sent += stage.sent()
    return sent


def ring(stage: Stage) -> None:
    """Have its deadline come now."""
    stage.host.wheel.discard(stage.protocol, stage.protocol._bucket)
    stage.protocol.on_deadline()


def test_one_read_full_of_messages_leaves_the_loop_to_others_and_keeps_the_order():
    texts = [b"%d" % n for n in range(10 * TURN + 1)]

    async def play(stage: Stage) -> None:
        heard = []
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: heard.append(len(stage.channel.received)))
        stage.feed(b"".join(frame(TEXT, text) for text in texts))
        loop.call_soon(lambda: heard.append(len(stage.channel.received)))
        sent = await until_through(stage)
        assert heard == [TURN, 2 * TURN]
        assert [echo.payload for echo in sent] == texts
        assert stage.channel.received == [text.decode() for text in texts]

    run(play)


@pytest.mark.parametrize(
    "kind", [frame(PING), frame(PONG), frame(CONT, fin=False)], ids=["pings", "pongs", "empty fragments"]
)
def test_a_flood_of_frames_that_say_nothing_leaves_the_loop_to_others_too(kind: bytes):
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"a", fin=False) + kind * (READ // len(kind)))
        turns, left = 0, len(stage.protocol._connection._buffer)
        while stage.protocol._yielding:
            assert not stage.transport.reading
            await asyncio.sleep(0)
            turns += 1
            before, left = left, len(stage.protocol._connection._buffer)
            assert 0 < before - left <= TURN * len(kind)
        assert turns == READ // len(kind) // TURN
        assert stage.transport.reading
        assert len(stage.said()) <= 2 * TURN + turns
        stage.feed(frame(CONT, b"b"))
        assert stage.said() == [b"ab"]

    run(play)


def test_while_what_was_read_is_not_through_no_more_is_read():
    wire = frame(TEXT, b"x") * (4 * TURN)

    async def play(stage: Stage) -> None:
        for _ in range(5):
            stage.feed(wire)
            assert not stage.transport.reading
            assert len(stage.protocol._connection._buffer) < len(wire)
            stage.feed(frame(TEXT, b"last"))  # a transport may have had it at hand
            assert len(stage.channel.received) % (4 * TURN + 1) == TURN
            sent = await until_through(stage)
            assert stage.transport.reading
            assert len(stage.protocol._connection._buffer) == 0
            assert [echo.payload for echo in sent] == [b"x"] * (4 * TURN) + [b"last"]

    run(play)


def test_a_peer_that_stops_reading_between_turns_is_waited_for_and_loses_nothing():
    payloads = [b"%05d" % n + b"x" * 3000 for n in range(3 * TURN)]

    async def play(stage: Stage) -> None:
        stage.feed(b"".join(frame(BINARY, payload) for payload in payloads))
        said = []
        while len(said) < len(payloads):
            await asyncio.sleep(0)
            assert len(stage.transport.written) < 5 * stage.transport.HIGH_WATER
            said += stage.said()
        assert said == payloads
        await asyncio.sleep(0)
        assert stage.transport.reading

    run(play, stuck=True)


@pytest.mark.parametrize("stuck", [False, True])
def test_what_was_read_before_the_connection_broke_reaches_the_channel_in_turns(stuck: bool):  # noqa: FBT001 - a state
    texts = [b"%d" % n + b"x" * 1000 for n in range(5 * TURN)]

    async def play(stage: Stage) -> None:
        stage.feed(b"".join(frame(TEXT, text) for text in texts))
        assert len(stage.channel.received) <= TURN
        stage.transport.abort()
        stage.protocol.close_when_idle()
        await stage.lost()
        assert stage.channel.received == [text.decode() for text in texts]
        assert stage.channel.calls[-1] == "closed"

    stage = run(play, stuck=stuck, max_queue=20)
    assert (stage.channel.codes, stage.host.refusals) == ([1006], [])


def test_what_was_read_before_the_peer_half_closed_reaches_the_channel():
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (3 * TURN))
        assert not stage.protocol.eof_received()
        stage.transport.close()  # as asyncio does then
        await stage.lost()
        assert stage.channel.received == ["x"] * (3 * TURN)

    assert run(play).channel.codes == [1006]


def test_a_close_behind_many_messages_is_heard_even_when_the_connection_breaks():
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (3 * TURN) + close(4001) + frame(TEXT, b"never seen") * TURN)
        stage.transport.abort()
        await stage.lost()
        assert stage.channel.received == ["x"] * (3 * TURN)

    assert run(play).channel.codes == [4001]


@pytest.mark.parametrize("broken", [False, True])
def test_an_abort_between_turns_ends_it_at_once(broken: bool):  # noqa: FBT001 - a state
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (100 * TURN))
        if broken:
            stage.transport.abort()
            await asyncio.sleep(0)
            assert stage.protocol._yielding
        stage.protocol.abort()
        await stage.lost()
        heard = len(stage.channel.received)
        assert heard <= 3 * TURN
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(stage.channel.received) == heard

    assert run(play).channel.codes == [1006]


def test_a_channel_that_closes_or_fails_between_turns_hears_no_more():
    async def closes(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (3 * TURN) + close(1000))
        stage.channel.closing = (1000, "done")
        stage.channel.say()
        sent = await until_through(stage)
        assert [s.payload for s in sent] == [b"x"] * TURN + [b"\x03\xe8done"]
        assert stage.transport.closing

    async def fails(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (3 * TURN))
        stage.channel.fault = "to_send"
        stage.channel.say()
        assert stage.transport.reading
        assert code_of((await until_through(stage))[-1]) == 1011

    for play, code in ((closes, 1000), (fails, 1006)):
        stage = run(play)
        assert (stage.channel.received, stage.channel.codes) == (["x"] * TURN, [code])


def test_the_time_between_turns_is_not_held_against_the_peer_but_a_flood_does_not_stretch_a_message():
    """The host's clock jumps instead of turns that take long."""

    async def play(stage: Stage) -> None:
        ahead = 0.0
        loop = asyncio.get_running_loop()
        stage.host.time = lambda: loop.time() + ahead
        stage.feed(frame(TEXT, b"x") * (2 * TURN) + frame(TEXT, b"a", fin=False))
        ahead = 100.0
        ring(stage)
        await until_through(stage)
        assert stage.protocol._connection.phase.name == "OPEN"
        stage.feed(frame(CONT, fin=False) * (2 * TURN) + frame(CONT, b"b") + frame(TEXT, b"c", fin=False))
        ahead = 200.0
        ring(stage)
        await until_through(stage)
        assert stage.channel.received[-1] == "ab"
        stage.feed(frame(CONT, fin=False) * (3 * TURN))
        ahead = 300.0
        assert code_of((await until_through(stage))[-1]) == 1008

    stage = run(play)
    assert stage.host.refusals == [1008]


def test_a_close_that_is_not_answered_ends_in_its_time_between_turns_too():
    async def play(stage: Stage) -> None:
        stage.feed(frame(TEXT, b"x") * (100 * TURN))
        stage.protocol.close_when_idle()
        loop = asyncio.get_running_loop()
        stage.host.time = lambda: loop.time() + 100.0
        ring(stage)
        assert stage.transport.aborted
        await stage.lost()

    assert run(play).channel.codes == [1006]


# A peer that does not read

CHUNK = b"x" * 10_000


def test_while_the_peer_does_not_read_nothing_of_it_is_read_and_nothing_is_lost():
    async def play(stage: Stage) -> None:
        wire = frame(BINARY, CHUNK) * 100
        stage.feed(wire)
        assert not stage.transport.reading
        received = len(stage.channel.received)
        assert received < 20
        assert len(stage.transport.written) < 2 * stage.transport.HIGH_WATER + len(CHUNK)
        echoed = []
        while len(echoed) < 100:
            said = stage.said()
            assert said
            echoed += said
        assert echoed == [CHUNK] * 100
        assert stage.transport.reading

    run(play, stuck=True)


def test_what_the_channel_says_in_the_meantime_waits_and_keeps_its_order():
    async def play(stage: Stage) -> None:
        stage.channel.say(*[b"x" * 70_000, "a", "b"])
        assert not stage.transport.reading
        for letter in "cdef":
            stage.channel.say(letter)
        written = len(stage.transport.written)
        assert written < 70_100 + len(GREETING)
        assert [payload[:1] for payload in stage.said()] == [b"x"]
        assert stage.said() == [b"a", b"b", b"c", b"d", b"e", b"f"]
        assert stage.transport.reading

    run(play, stuck=True)


@pytest.mark.parametrize("stuck", [False, True])
def test_a_channel_may_say_much_at_once_to_a_peer_that_reads(stuck: bool):  # noqa: FBT001 - a state
    async def play(stage: Stage) -> None:
        stage.channel.say(*[b"%05d" % n for n in range(5000)])
        assert stage.said() == [b"%05d" % n for n in range(5000)]
        stage.channel.say(*[CHUNK] * 20)
        assert stage.said() + stage.said() + stage.said() == [CHUNK] * 20

    run(play, stuck=stuck, max_queue=20)


def test_a_channel_may_say_much_as_it_opens():
    channel = FakeChannel()
    channel.waiting = [b"%05d" % n for n in range(5000)]

    async def play(stage: Stage) -> None:
        assert stage.said() == [b"%05d" % n for n in range(5000)]

    run(play, channel)


def test_more_than_the_queue_holds_ends_it_and_holds_nothing():
    async def play(stage: Stage) -> None:
        stage.channel.say(b"x" * 70_000)
        for _ in range(30):
            stage.channel.say("x")
        assert stage.channel.calls.count("to_send") < 30
        assert stage.protocol._connection._queue_size == 0
        assert len(stage.sent()) == 1
        assert [code_of(sent) for sent in stage.sent()] == [1013]

    stage = run(play, stuck=True, max_queue=20)
    assert stage.host.refusals == [1013]


def test_a_peer_that_never_reads_is_cut_off():
    async def play(stage: Stage) -> None:
        stage.channel.say(b"x" * 70_000)
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK
        assert stage.transport.aborted

    run(play, stuck=True, timeouts=SHORT)


def test_a_peer_that_reads_slowly_but_fast_enough_is_not_cut_off():
    async def play(stage: Stage) -> None:
        transport = stage.transport
        stage.channel.say(b"x" * 5 * MIN_PROGRESS)
        for _ in range(3):
            before = stage.protocol._unread
            transport.unread -= MIN_PROGRESS
            while stage.protocol._unread == before:  # noqa: ASYNC110 - until it has looked
                await asyncio.sleep(0.005)
            assert not transport.aborted
        transport.unread -= MIN_PROGRESS - 1
        await stage.lost()
        assert transport.aborted

    run(play, stuck=True, timeouts=SHORT, max_queue_size=MIN_PROGRESS)


def test_silence_of_a_peer_that_we_do_not_read_is_not_held_against_it():
    async def play(stage: Stage) -> None:
        stage.channel.say(b"x" * 70_000)
        await asyncio.sleep(3 * (BRIEF + TICK))
        assert stage.said()[0][:1] == b"x"
        assert stage.said() == []
        await until_sent(stage)
        assert stage.sent() == [Sent(PING, b"")]

    run(play, stuck=True, ping_interval=BRIEF, ping_timeout=BRIEF)


def test_a_close_that_the_peer_does_not_read_ends_in_its_time():
    async def play(stage: Stage) -> None:
        stage.channel.say(b"x" * 70_000, "more")
        stage.protocol.close_when_idle()
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK

    run(play, stuck=True, close_timeout=BRIEF)


def test_what_waits_and_our_close_go_out_when_the_peer_reads_again():
    async def play(stage: Stage) -> None:
        stage.channel.say(b"x" * 70_000, "more")
        stage.channel.closing = (1000, "bye")
        stage.channel.say("last")
        assert len(stage.said()) == 1
        assert stage.said() == [b"more", b"last", b"\x03\xe8bye"]
        stage.feed(close(1000))
        assert stage.transport.closing

    run(play, stuck=True)


def test_the_end_waits_until_a_slow_peer_has_read_it():
    async def play(stage: Stage) -> None:
        stage.feed(frame(BINARY, b"x" * 70_000) + frame(TEXT, b"more") + frame(CONT))
        assert not stage.transport.half_closed
        assert len(stage.said()) == 1
        sent = stage.sent()
        assert [s.payload for s in sent[:-1]] == [b"more"]
        assert code_of(sent[-1]) == 1002
        assert stage.transport.half_closed

    run(play, stuck=True)


@pytest.mark.parametrize("size", [1000, 70_000])
def test_a_peer_that_reads_nothing_of_the_end_is_cut_off(size: int):
    async def play(stage: Stage) -> None:
        stage.feed(frame(BINARY, b"x" * size) + close(1000))
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK
        assert stage.transport.aborted

    run(play, stuck=True, timeouts=SHORT)


def test_a_pause_after_the_end_changes_nothing():
    """A transport tells of its buffer as long as something is in it."""

    async def play(stage: Stage) -> None:
        stage.feed(frame(CONT))
        assert stage.transport.half_closed
        stage.protocol.pause_writing()
        stage.protocol.resume_writing()
        assert stage.transport.reading
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK

    run(play, timeouts=SHORT, transport=Stubborn)


def test_the_engine_never_takes_it_for_idle():
    async def play(stage: Stage) -> None:
        assert not stage.protocol.idle

    run(play)
