"""rawbot/aio/asgi/websocket.py: channels that keep what the client does not read yet, and sizes of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from asgi_hosting import CONNECT, WEBSOCKET, Hosting, hosted
from fake_channel import FakeChannel, PatientChannel
from fake_endpoint import PATH, FakeEndpoint, make_app, until
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect as dial

from rawbot.aio.asgi.app import ASGIApp, Message
from rawbot.aio.settings import Timeouts
from rawbot.exchange import EncodedText, Upgrade
from rawbot.websocket.connection import WRITE_SIZE
from rawbot.websocket.settings import WebSocketSettings

LARGE = "x" * 70_000
"""More than is taken of a channel at once."""
GONE = {"type": "websocket.disconnect", "code": 1000}
ALL = 10_000


def text(content: str) -> Message:
    return {"type": "websocket.send", "text": content}


def says(content: str) -> Message:
    return {"type": "websocket.receive", "text": content}


def play(
    act: Callable[[Hosting, FakeChannel], Awaitable[None]],
    channel: FakeChannel | None = None,
    *messages: Message,
    room: int = 1,
    own_size: int | None = None,
    timeouts: Timeouts | None = None,
    **options: object,
) -> list[Message]:
    """Let this happen, then let the client read all and leave; return what it was sent behind the answer."""
    channel = channel or PatientChannel()

    async def main() -> list[Message]:
        app = make_app(
            FakeEndpoint(lambda *_: Upgrade(channel, max_size=own_size)),
            timeouts=timeouts,
            websocket=WebSocketSettings(**options),
        )
        asgi = ASGIApp(app)
        async with asyncio.timeout(20):
            hosting = Hosting(asgi, WEBSOCKET, CONNECT, *messages, room=room)
            await hosting.sends(1)
            await act(hosting, channel)
            hosting.take(ALL)
            await settle()
            hosting.say(GONE)
            await hosting.end()
            await asgi.aclose()
        assert len(channel.codes) == 1
        return hosting.sent[1:]

    return asyncio.run(main())


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def nothing(hosting: Hosting, channel: FakeChannel) -> None:
    del hosting, channel


def test_what_the_client_does_not_read_stays_with_the_channel():
    numbers = [f"{n:05}" for n in range(100)]

    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        await settle()
        channel.say("first")
        await settle()
        asked = channel.calls.count("to_send")
        for number in numbers:
            channel.say(number)
        await settle()
        assert channel.waiting == numbers
        assert channel.calls.count("to_send") == asked
        assert len(hosting.sent) == 1

    assert play(act, max_queue=2) == [text("first"), *map(text, numbers)]


def test_no_more_than_enough_is_taken_of_it_even_before_the_host_has_a_turn():
    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        await settle()
        for _ in range(50):
            channel.say("x" * 10_000)
        assert len(channel.waiting) == 50 - WRITE_SIZE // 10_000 - 1
        channel.say("last")
        assert len(hosting.sent) == 1

    assert play(act) == [text("x" * 10_000)] * 50 + [text("last")]


@pytest.mark.parametrize("room", [1, 100_000])
def test_any_number_of_messages_is_no_reason_to_end_it(room: int):
    numbers = [f"{n:05}" for n in range(5000)]

    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        channel.say(*numbers)
        hosting.take(ALL)
        await hosting.sends(1 + len(numbers))
        channel.say(*[LARGE] * 10)
        await hosting.sends(1 + len(numbers) + 10)

    sent = play(act, room=room, max_queue=2, max_queue_size=100)
    assert sent == [*map(text, numbers), *[text(LARGE)] * 10]


def test_as_it_opens_it_may_say_more_than_is_taken_at_once():
    channel = PatientChannel()
    channel.waiting = [LARGE, "a", LARGE, "b"]
    assert play(nothing, channel) == [text(LARGE), text("a"), text(LARGE), text("b")]


def test_answers_come_when_the_client_reads_again():
    async def act(_: Hosting, channel: FakeChannel) -> None:
        await until(lambda: channel.received)
        assert channel.received == ["one"]  # its answer is on its way, and nothing else is asked for
        channel.say("kept")

    assert play(act, None, says("one"), says("two")) == [text("one"), text("kept"), text("two")]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["say", "hear", "read", "wake", "turn"]), st.integers(0, 2)), max_size=25))
def test_whatever_happens_each_message_is_sent_once_and_in_order(moves: list[tuple[str, int]]):
    numbers = count()
    expected: list[str] = []
    heard: list[str] = []

    def make(size: int) -> str:
        expected.append(f"{next(numbers)} " + "x" * (0, 20_000, 70_000)[size])
        return expected[-1]

    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        for move, size in moves:
            if move == "say":
                channel.say(*[make(size) for _ in range(2)])
            elif move == "hear":  # it is answered when it is heard, which is later
                heard.append(f"heard {next(numbers)}")
                hosting.say(says(heard[-1]))
            elif move == "read":
                hosting.take()
            elif move == "wake":
                channel.on_ready()
            else:
                await settle()
        hosting.take(ALL)
        await until(lambda: len(hosting.sent) == 1 + len(expected) + len(heard))

    sent = [message["text"] for message in play(act)]
    assert [content for content in sent if not content.startswith("heard")] == expected
    assert [content for content in sent if content.startswith("heard")] == heard


# The end


@pytest.mark.parametrize("kept", [["a", "b"], [LARGE, "a", LARGE, "b"]], ids=["few", "much"])
@pytest.mark.parametrize("read", [False, True])
def test_what_is_kept_goes_out_before_the_close_of_a_channel_that_ends_it(kept: list[str], read: bool):  # noqa: FBT001 - a state
    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        if read:
            hosting.take(ALL)
        await settle()
        channel.say("first")
        if not read:
            await settle()
        channel.closing = (4000, "enough")
        channel.say(*kept)

    close = {"type": "websocket.close", "code": 4000, "reason": "enough"}
    assert play(act) == [text("first"), *map(text, kept), close]


def test_a_client_that_takes_nothing_is_given_up_though_the_channel_waits():
    channel = PatientChannel()

    async def act(hosting: Hosting, channel: FakeChannel) -> None:
        channel.say("first")
        await settle()
        channel.say("kept")
        channel.closing = (1000, "")
        channel.on_ready()
        await hosting.end()

    assert play(act, channel, timeouts=Timeouts(write=0.1)) == []
    assert (channel.codes, channel.waiting) == ([1006], ["kept"])


# Sizes, and text that is encoded already


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize(("own", "of_the_app"), [(None, 5), (5, 1000), (5, 1)])
def test_an_upgrade_may_have_a_limit_of_its_own(own: int | None, of_the_app: int, size: int):
    channel = FakeChannel()
    sent = play(nothing, channel, says("x" * size), room=10, own_size=own, max_size=of_the_app)
    too_big = {"type": "websocket.close", "code": 1009, "reason": "a message is above the limit"}
    assert sent == ([text("x" * size)] if size == 5 else [too_big])


def test_text_that_is_encoded_already_is_text():
    channel = FakeChannel()
    encoded = EncodedText("機器人".encode())
    channel.waiting = [encoded, bytes(encoded), EncodedText(b"")]
    binary = {"type": "websocket.send", "bytes": bytes(encoded)}
    assert play(nothing, channel, room=10) == [text("機器人"), binary, text("")]


def test_text_that_is_encoded_wrongly_is_a_fault_of_ours(caplog: pytest.LogCaptureFixture):
    channel = FakeChannel()
    channel.waiting = [EncodedText(b"\xff")]
    sent = play(nothing, channel, room=10)
    assert sent == [{"type": "websocket.close", "code": 1011, "reason": "internal error"}]
    assert "a channel failed" in caplog.text


def test_under_uvicorn_a_client_that_pauses_gets_all_of_it_once_and_in_order():
    channel = PatientChannel()
    numbers = [f"{n:05}" + "x" * 10_000 for n in range(2000)]

    async def main() -> None:
        asgi = ASGIApp(make_app(FakeEndpoint(lambda *_: Upgrade(channel)), websocket=WebSocketSettings(max_queue=2)))
        async with asyncio.timeout(20), hosted(asgi, lifespan="on", ws="auto") as port:
            async with dial(f"ws://127.0.0.1:{port}{PATH}", max_queue=1, compression=None) as client:
                channel.say(*numbers)
                await until(lambda: channel.waiting)
                await asyncio.sleep(0.05)
                assert len(channel.waiting) > 100
                for number in numbers:
                    assert await client.recv() == number
                await client.send("hello")
                assert await client.recv() == "hello"
            await until(lambda: channel.codes)
        assert channel.codes == [1000]

    asyncio.run(main())
