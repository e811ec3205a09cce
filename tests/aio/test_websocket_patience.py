"""rawbot/aio/websocket_flow.py: channels that keep what the peer does not read yet, and beside them the others."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from fake_channel import FakeChannel, PatientChannel, Stage, on_stage
from hypothesis import given, settings
from hypothesis import strategies as st
from websocket_frames import BINARY, CLOSE, PING, TEXT, close, frame

from rawbot.aio.settings import Timeouts
from rawbot.aio.websocket_flow import TURN
from rawbot.aio.wheel import TICK
from rawbot.exchange import EncodedText

BRIEF = 0.08
SLACK = 0.5
"""Seconds that a busy machine may be late."""
LARGE = b"x" * 70_000
"""More than a transport buffers before it says that the peer is slow."""


def run(play: Callable[[Stage], Awaitable[None]], channel: FakeChannel | None = None, **options: object) -> Stage:
    """Let this happen on a stage."""
    stages = []

    async def main() -> None:
        async with asyncio.timeout(20), on_stage(channel or PatientChannel(), **options) as stage:
            stages.append(stage)
            await play(stage)

    asyncio.run(main())
    return stages[0]


def read_all(stage: Stage) -> list[bytes]:
    """Read till nothing comes any more."""
    said = []
    while more := stage.said():
        said += more
    return said


# Kept while the peer does not read


def test_what_the_peer_does_not_read_stays_with_the_channel():
    numbers = [b"%05d" % n + bytes(10_000) for n in range(30)]

    async def play(stage: Stage) -> None:
        stage.channel.say(*numbers)
        kept = len(stage.channel.waiting)
        assert 20 < kept < 30
        asked = stage.channel.calls.count("to_send")
        for _ in range(100):
            stage.channel.say(b"later")
        assert len(stage.channel.waiting) == kept + 100
        assert stage.channel.calls.count("to_send") == asked
        assert stage.protocol._connection._queue_size < stage.transport.HIGH_WATER
        assert read_all(stage) == [*numbers, *[b"later"] * 100]
        assert stage.channel.waiting == []

    run(play, stuck=True)


@pytest.mark.parametrize("stuck", [False, True])
def test_any_number_of_messages_is_no_reason_to_end_it(stuck: bool):  # noqa: FBT001 - a state
    """The bounds are the channel's own."""

    async def play(stage: Stage) -> None:
        stage.channel.say(*[b"%05d" % n for n in range(20_000)])
        assert read_all(stage) == [b"%05d" % n for n in range(20_000)]
        stage.channel.say(*[LARGE] * 20)
        assert read_all(stage) == [LARGE] * 20

    run(play, stuck=stuck, max_queue=2, max_queue_size=100)


def test_as_it_opens_it_may_say_more_than_the_peer_reads():
    channel = PatientChannel()
    channel.waiting = [LARGE] * 5

    async def play(stage: Stage) -> None:
        assert len(channel.waiting) == 4
        sent = stage.sent()
        while more := stage.sent():
            sent += more
        assert [s.payload for s in sent] == [LARGE] * 5

    run(play, channel, stuck=True)


def test_answers_come_when_the_peer_reads_again_and_what_it_said_meanwhile_is_heard_then():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, "kept")
        stage.feed(frame(TEXT, b"one") + frame(TEXT, b"two"))  # a transport may have had it at hand
        assert stage.channel.received == []
        assert not stage.transport.reading
        assert [said[:5] for said in read_all(stage)] == [b"xxxxx", b"kept", b"one", b"two"]
        assert stage.channel.received == ["one", "two"]
        assert stage.transport.reading

    run(play, stuck=True)


def test_one_that_hears_on_takes_messages_meanwhile_and_pongs_go_first():
    channel = PatientChannel()
    channel.hears_on = True

    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, LARGE, "kept")
        assert stage.transport.reading
        stage.feed(frame(PING, b"there?") + frame(TEXT, b"one"))
        assert stage.channel.received == ["one"]
        stage.feed(frame(TEXT, b"two"))
        channel.hears_on = False
        stage.feed(frame(TEXT, b"three"))
        assert not stage.transport.reading
        assert stage.channel.received == ["one", "two"]
        assert [said[:6] for said in read_all(stage)] == [
            *(b"xxxxxx", b"there?", b"xxxxxx", b"kept", b"one", b"two", b"three")
        ]
        assert stage.transport.reading

    run(play, channel, stuck=True)


def test_an_answer_is_not_stuck_behind_a_pause_that_it_has_brought_about_itself():
    channel = PatientChannel(lambda message: [LARGE, message])

    async def play(stage: Stage) -> None:
        stage.feed(b"".join(frame(BINARY, b"%d" % n) for n in range(5)))
        assert [said for said in read_all(stage) if said != LARGE] == [b"%d" % n for n in range(5)]

    run(play, channel, stuck=True)


def test_in_turns_nothing_is_lost_either():
    async def play(stage: Stage) -> None:
        wire = b"".join(frame(BINARY, b"%05d" % n + bytes(3000)) for n in range(3 * TURN))
        stage.feed(wire)
        said = []
        while len(said) < 3 * TURN:
            await asyncio.sleep(0)
            said += stage.said()
        assert [int(payload[:5]) for payload in said] == list(range(3 * TURN))

    run(play, stuck=True)


Move = tuple[str, int]
MOVES = st.tuples(st.sampled_from(["say", "hear", "read", "wake"]), st.integers(0, 3))
SIZES = (0, 300, 20_000, 70_000)


@settings(deadline=None, max_examples=300)
@given(st.lists(MOVES, max_size=30), st.booleans())
def test_whatever_happens_each_message_is_sent_once_and_in_order(moves: list[Move], stuck: bool):  # noqa: FBT001 - a state
    numbers = count()
    expected: list[int] = []

    def make(size: int) -> bytes:
        expected.append(next(numbers))
        return expected[-1].to_bytes(4, "big") + bytes(SIZES[size])

    async def play(stage: Stage) -> None:
        said: list[bytes] = []
        for move, size in moves:
            if move == "say":
                stage.channel.say(*[make(size) for _ in range(3)])
            elif move == "hear" and stage.transport.reading:  # the answer is the message
                stage.feed(frame(BINARY, make(size)))
            elif move == "read":
                said += stage.said()
            else:
                stage.channel.on_ready()
        said += read_all(stage)
        assert [int.from_bytes(payload[:4], "big") for payload in said] == expected
        assert stage.channel.waiting == []

    run(play, stuck=stuck, max_queue=5)


# The end


def test_what_is_kept_goes_out_before_the_close_of_a_channel_that_ends_it():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, *[LARGE] * 3, "last words")
        stage.channel.closing = (4000, "enough")
        stage.channel.on_ready()
        assert stage.protocol._connection.phase.name == "OPEN"
        said = read_all(stage)
        assert said == [LARGE] * 4 + [b"last words", b"\x0f\xa0enough"]
        stage.feed(close(4000))

    assert run(play, stuck=True).channel.codes == [4000]


def test_a_channel_may_say_more_than_is_read_and_end_it_in_one_go():
    channel = PatientChannel(lambda _: [LARGE, LARGE, LARGE])

    async def play(stage: Stage) -> None:
        channel.closing = (1000, "")
        stage.feed(frame(TEXT, b"all of it, please"))
        assert read_all(stage) == [LARGE] * 3 + [b"\x03\xe8"]
        stage.feed(close(1000))

    assert run(play, channel, stuck=True).channel.codes == [1000]


def test_a_close_of_the_peer_s_behind_a_pause_is_answered_after_what_is_kept():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, "kept")
        stage.feed(close(4001))
        assert read_all(stage) == [LARGE, b"kept", b"\x0f\xa1"]

    assert run(play, stuck=True).channel.codes == [4001]


def test_a_peer_that_never_reads_is_cut_off_though_the_channel_waits():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, LARGE)
        stage.channel.closing = (1000, "")
        stage.channel.on_ready()
        assert BRIEF <= await stage.lost() < BRIEF + TICK + SLACK
        assert stage.transport.aborted

    stage = run(play, stuck=True, timeouts=Timeouts(write=BRIEF, linger=BRIEF))
    assert stage.channel.codes == [1006]
    assert stage.channel.waiting == [LARGE]


def test_a_connection_that_breaks_leaves_what_was_kept_with_the_channel():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, LARGE, "kept")
        stage.transport.abort()
        await stage.lost()

    stage = run(play, stuck=True)
    assert (stage.channel.codes, stage.channel.waiting) == ([1006], [LARGE, "kept"])


def test_at_shutdown_the_close_goes_out_when_the_peer_reads():
    async def play(stage: Stage) -> None:
        stage.channel.say(LARGE, "kept")
        stage.protocol.close_when_idle()
        assert [said[:4] for said in read_all(stage)] == [b"xxxx", b"\x03\xe9go"]
        stage.feed(close(1001))

    assert run(play, stuck=True).channel.codes == [1001]


def test_a_channel_that_fails_midway_ends_it_behind_what_it_has_given():
    class Failing(PatientChannel):
        def to_send(self):
            yield from super().to_send()
            raise ValueError("a secret message")

    async def play(stage: Stage) -> None:
        sent = stage.sent()
        assert [s.opcode for s in sent] == [CLOSE]

    stage = run(play, Failing())
    assert [str(failure) for failure in stage.host.failures] == ["ValueError"]


# Those that are not patient


@pytest.mark.parametrize("channel", [FakeChannel, PatientChannel])
@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([b"x" * 60_000, b"x" * 5_000_000, b"x" * 60_000], {}),
        (["\U0001f600" * 10_000, "\U0001f600" * 1_100_000], {}),
        ([b"x" * 600] * 10, {"max_queue_size": 1000}),
        ([b"x"] * 10, {"max_queue_size": 1}),
        ([b"x"] * 10, {"max_queue": 1}),
    ],
    ids=["small and large", "emoji", "a small queue", "a smaller one", "a short one"],
)
def test_a_peer_that_reads_is_not_taken_for_slow_whatever_is_said_at_once(
    channel: type[FakeChannel], messages: list[bytes | str], options: dict[str, int]
):
    async def play(stage: Stage) -> None:
        stage.channel.say(*messages)
        encoded = [message.encode() if isinstance(message, str) else message for message in messages]
        assert stage.said() == encoded
        for at, message in enumerate(encoded):  # one for each of several that came together
            stage.channel.answer = lambda _, message=message: [message]
            stage.feed(frame(TEXT, b"%d" % at))
        assert stage.said() == encoded

    stage = run(play, channel(), **options)
    assert stage.host.refusals == []


def test_text_that_is_encoded_already_is_text():
    async def play(stage: Stage) -> None:
        text = EncodedText("機器人".encode())
        stage.channel.say(text, bytes(text), "機器人", EncodedText(b""))
        assert [(s.opcode, s.payload) for s in stage.sent()] == [
            (TEXT, text), (BINARY, text), (TEXT, text), (TEXT, b""),
        ]  # fmt: skip

    run(play)
