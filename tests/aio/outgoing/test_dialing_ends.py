"""rawbot/aio/outgoing/dialing.py: how a WebSocket that we opened ends, and when the next one is opened."""

import asyncio
import logging

import pytest
from dialling import (
    Behaviour,
    Reader,
    RogueServer,
    Writer,
    dialled,
    honest,
    reset,
    run,
    saying,
    stay,
    switching,
    url_of,
    warnings,
)
from fake_channel import FakeChannel
from fake_endpoint import until
from websocket_frames import CLOSE, PING, TEXT, frame
from websockets.asyncio.server import ServerConnection

from rawbot.aio.websocket_flow import TURN
from rawbot.websocket.settings import WebSocketSettings

FAR = 60.0
"""Seconds to a next try that does not come."""
SLACK = 1.0
"""Seconds that a busy machine may be late."""


def close(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big"), key=None)


leave = saying()
leave.__name__ = "leave"


async def say_goodbye(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(switching(head) + close(1008))
    await reader.readexactly(8)  # our Close


async def say_goodbye_and_linger(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(switching(head) + close(1008))
    await stay(reader)


async def break_off(head: bytes, reader: Reader, writer: Writer) -> None:
    del reader
    writer.write(switching(head))
    await reset(writer)


async def mask(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(switching(head) + frame(TEXT, b"SECRET"))
    await stay(reader)


async def say_too_much(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(switching(head) + frame(TEXT, b"SECRET" * 100, key=None))
    await stay(reader)


fall_silent = saying(until_left=True)
fall_silent.__name__ = "fall_silent"


async def say_much_and_leave(head: bytes, reader: Reader, writer: Writer) -> None:
    del reader
    writer.write(switching(head) + frame(TEXT, b"x", key=None) * (5 * TURN))


ENDS = {
    # what the server does: the code that the channel is told, and the reason that the operator is
    leave: (1006, "the connection broke off"),
    say_goodbye: (1008, "it was closed with 1008"),
    say_goodbye_and_linger: (1008, "it was closed with 1008"),
    break_off: (1006, "the connection broke off"),
    mask: (1006, "incorrect masking"),
    say_too_much: (1006, "a frame is above the limit"),
    fall_silent: (1006, "no answer to a ping"),
    say_much_and_leave: (1006, "the connection broke off"),
}


@pytest.mark.parametrize("behave", ENDS, ids=lambda behave: behave.__name__)
def test_when_it_has_ended_the_next_one_is_opened_but_not_before(behave: Behaviour, caplog: pytest.LogCaptureFixture):
    code, reason = ENDS[behave]
    settings = WebSocketSettings(ping_interval=0.05, ping_timeout=0.05)

    async def main() -> None:
        async with (
            RogueServer(behave).listen() as server,
            dialled(url_of(server.port), interval=0.001, websocket=settings, max_size=500) as stage,
        ):
            await until(lambda: stage.dial.order.count("c") >= 4)
            stage.dialing.stop()
            assert server.most == 1
            assert "oo" not in stage.dial.order
            for channel in stage.dial.channels[:4]:
                assert channel.codes == [code]
                assert len(channel.received) == (5 * TURN if behave is say_much_and_leave else 0)

    with caplog.at_level(logging.INFO, "rawbot"):
        run(main())
    told = warnings(caplog)
    assert told
    assert all(reason in line for line in told)
    assert "refused" not in caplog.text  # nobody asked us for anything


def test_the_next_try_comes_after_the_interval():
    async def main() -> None:
        loop, times = asyncio.get_running_loop(), []

        async def peer(connection: ServerConnection) -> None:
            times.append(loop.time())
            await connection.close()

        async with honest(peer) as url:
            start = loop.time()
            async with dialled(url, interval=0.2) as stage:
                await stage.opens(3)
            assert times[0] - start < 0.2  # the first one at once
            assert 0.2 <= times[1] - times[0] < 0.2 + SLACK
            assert 0.2 <= times[2] - times[1] < 0.2 + SLACK

    run(main())


def test_a_channel_that_ends_it_has_the_next_one_opened():
    async def main() -> None:
        async def peer(connection: ServerConnection) -> None:
            await connection.wait_closed()
            codes.append(connection.close_code)

        codes: list[int] = []
        async with honest(peer) as url, dialled(url) as stage:
            for count in (1, 2):
                channel = await stage.opens(count)
                channel.closing = (4000, "enough")
                channel.say("last words")
            await stage.opens(3)
            assert codes == [4000, 4000]

    run(main())


@pytest.mark.parametrize("fault", ["opened", "receive", "to_send", "closed"])
def test_a_channel_that_fails_does_not_keep_the_next_one_from_being_opened(
    fault: str, caplog: pytest.LogCaptureFixture
):
    async def peer(connection: ServerConnection) -> None:
        await connection.send("SECRET")
        if fault == "closed":
            await connection.close()
        await connection.wait_closed()

    async def main() -> None:
        async with honest(peer) as url, dialled(url) as stage:
            stage.dial.make = lambda: FakeChannel(lambda _: [], fault)
            await until(lambda: stage.dial.order.count("c") >= 3)
            assert "oo" not in stage.dial.order
            stage.dial.make = FakeChannel

    run(main())
    assert "a channel failed" in caplog.text
    assert "SECRET" not in caplog.text


def test_pings_are_answered_and_sent():
    async def main() -> None:
        pongs: list[bytes] = []

        async def behave(head: bytes, reader: Reader, writer: Writer) -> None:
            writer.write(switching(head) + frame(PING, b"are you there", key=None))
            pongs.append(await reader.readexactly(6 + 13))
            pongs.append(await reader.readexactly(6))

        settings = WebSocketSettings(ping_interval=0.05)
        async with (
            RogueServer(behave).listen() as server,
            dialled(url_of(server.port), interval=FAR, websocket=settings),
        ):
            await until(lambda: len(pongs) == 2)
        assert [wire[:2] for wire in pongs] == [b"\x8a\x8d", b"\x89\x80"]

    run(main())
