"""rawbot/aio/outgoing/dialing.py: WebSockets that we open, and servers that do not accept them."""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import trustme
from dialling import (
    TARGET,
    Behaviour,
    Reader,
    RogueServer,
    Stage,
    Writer,
    dialled,
    echo,
    honest,
    reset,
    run,
    saying,
    server_context,
    stay_silent,
    switching,
    url_of,
    warnings,
)
from fake_channel import FakeChannel
from fake_endpoint import make_event, until
from listening import NewLoop, each_loop
from websocket_frames import TEXT, frame
from websockets.asyncio.server import ServerConnection

from rawbot.aio.outgoing.dialing import Dialing
from rawbot.errors import ConfigError, MissingExtraError
from rawbot.exchange import Dial
from rawbot.http.answers import MAX_HEAD
from rawbot.websocket import handshake
from rawbot.websocket.settings import WebSocketSettings

HELLO = frame(TEXT, b"hello", key=None)


def answering(answer: bytes | Callable[[bytes], bytes]) -> Behaviour:
    async def behave(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(answer if isinstance(answer, bytes) else answer(head))
        await reader.read()

    return behave


# Opened


@each_loop
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_messages_go_both_ways_and_the_server_sees_what_it_was_to(
    new_loop: NewLoop, host: str, caplog: pytest.LogCaptureFixture, *, deflate: bool
):
    requests = []
    caplog.set_level(logging.DEBUG, "rawbot")

    async def peer(connection: ServerConnection) -> None:
        requests.append(connection.request)
        await connection.send("welcome")
        await echo(connection)

    async def main() -> None:
        settings = WebSocketSettings(per_message_deflate=deflate)
        async with honest(peer, host) as url:
            async with dialled(url, subprotocols=["12.rawbot", "a"], websocket=settings) as stage:
                channel = await stage.opens()
                channel.say("x" * 1000, b"\xff")
                await until(lambda: len(channel.received) == 3)
                assert channel.received == ["welcome", "x" * 1000, b"\xff"]
            assert channel.codes == [1001]  # the engine has closed, and the peer has answered
        (request,) = requests
        assert request.path == TARGET
        assert request.headers["host"] == urlsplit(url).netloc
        assert request.headers["authorization"] == "Bearer SECRET"
        assert request.headers["sec-websocket-protocol"] == "12.rawbot, a"

    run(main(), new_loop)
    assert warnings(caplog) == []
    assert [record.getMessage().rpartition(":")[0] for record in caplog.records] == [f"a WebSocket to {host}"]


def test_a_server_that_chooses_a_subprotocol_is_as_good():
    async def main() -> None:
        async with honest(echo, subprotocols=["b", "a"]) as url, dialled(url, subprotocols=["a"]) as stage:
            await stage.opens()

    run(main())


@pytest.mark.parametrize("scheme", ["ws", "WS", "Ws"])
def test_a_scheme_is_one_in_any_case(scheme: str):
    async def main() -> None:
        async with RogueServer(saying(until_left=True)).listen() as server:
            async with dialled(url_of(server.port, scheme=scheme)) as stage:
                await stage.opens()
            assert server.heads[0].startswith(b"GET " + TARGET.encode())

    run(main())


def test_events_are_told_to_the_dial_s_own_listener():
    async def main() -> None:
        async with (
            RogueServer(saying(HELLO, until_left=True)).listen() as server,
            dialled(url_of(server.port)) as stage,
        ):
            stage.dial.make = lambda: telling(stage)
            await until(lambda: stage.events)
            assert [event.text for event in stage.events] == ["hello"]

    def telling(stage: Stage) -> FakeChannel:
        assert stage.events == []
        channel = FakeChannel()
        channel.events = [make_event("hello")]
        return channel

    run(main())


# Not opened

REFUSED = {
    "unauthorized": (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nSECRET", "answered with 401"),
    "forbidden": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered with 403"),
    "not found": (b"HTTP/1.1 404 Not Found\r\nX: SECRET\r\n\r\n" + bytes(100_000), "answered with 404"),
    "no websocket": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>SECRET", "answered with 200"),
    "elsewhere": (b"HTTP/1.1 302 Found\r\nLocation: /?SECRET\r\n\r\n", "answered with 302"),
    "ssh": (b"SSH-2.0-SECRET\r\n\r\n", "the answer is not HTTP"),
    "tls": (b"\x15\x03\x01\x00\x02\x02\x16", "the answer is not HTTP"),
    "endless": (b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"SECRET" * MAX_HEAD, "the answer is not HTTP"),
    "stuttering": (b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD, "the head of the answer is too long"),
    "another key": (lambda head: switching(head, accept="SECRET"), "the answer is not to this handshake"),
    "another protocol": (
        lambda head: switching(head).replace(b"websocket", b"SECRET"),
        "the answer switches to something else",
    ),
    "subprotocol": (
        lambda head: switching(head, "Sec-WebSocket-Protocol: SECRET"),
        "the answer names a subprotocol that was not offered",
    ),
    "extension": (
        lambda head: switching(head, "Sec-WebSocket-Extensions: SECRET"),
        "the answer names an extension that was not offered",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_is_told_with_its_reason_and_tried_again(kind: str, caplog: pytest.LogCaptureFixture):
    answer, reason = REFUSED[kind]

    async def main() -> None:
        async with (
            RogueServer(answering(answer)).listen() as server,
            dialled(url_of(server.port), interval=0.05) as stage,
        ):
            await until(lambda: len(server.heads) == 2)
            assert stage.dial.channels == []
            assert server.most == 1

    with caplog.at_level(logging.DEBUG):
        run(main())
    told = warnings(caplog)
    assert len(told) in (1, 2)
    for line in told:
        assert line.startswith("no WebSocket to 127.0.0.1:")
        assert reason in line
        assert line.endswith("; the next try is in 0.05 s")


async def close_at_once(head: bytes, reader: Reader, writer: Writer) -> None:
    """Say nothing."""


async def break_off(head: bytes, reader: Reader, writer: Writer) -> None:
    del head, reader
    await reset(writer)


async def say_half(head: bytes, reader: Reader, writer: Writer) -> None:
    del reader
    writer.write(switching(head)[:-1])


async def drip(head: bytes, reader: Reader, writer: Writer) -> None:
    del reader
    for byte in switching(head) * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (close_at_once, "it closed the connection without an answer"),
        (break_off, "it closed the connection without an answer"),
        (say_half, "it closed the connection without an answer"),
        (stay_silent, "it did not answer in time"),
        (drip, "it did not answer in time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("secure", [False, True])
def test_a_server_that_does_not_answer_is_given_up_and_tried_again(
    behave: Behaviour, reason: str, trusted: trustme.CA, caplog: pytest.LogCaptureFixture, *, secure: bool
):
    async def main() -> None:
        context = server_context(trusted) if secure else None
        async with (
            RogueServer(behave).listen(context) as server,
            dialled(url_of(server.port, "localhost", "wss" if secure else "ws"), within=0.3) as stage,
        ):
            await until(lambda: len(server.heads) == 2)
            assert stage.dial.channels == []

    run(main())
    assert reason in warnings(caplog)[0]


def test_where_nobody_listens_it_is_tried_again_till_somebody_does(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with RogueServer(saying(until_left=True)).listen() as server:
            port = server.port
        async with dialled(url_of(port)) as stage:
            await until(lambda: len(caplog.records) == 2)
            async with server.listen(port=port):
                await stage.opens()
                assert all("Connect call failed" in line for line in warnings(caplog))
                stage.dialing.stop()
                await stage.engine.close()

    run(main())


def test_a_name_that_does_not_resolve_is_told(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with dialled(f"ws://rawbot.invalid{TARGET}"):  # RFC 6761, 6.4: never resolves
            await until(lambda: caplog.records)

    run(main())
    assert warnings(caplog)[0].startswith("no WebSocket to rawbot.invalid: ")


# What cannot be


@pytest.mark.parametrize(
    "url",
    [
        "", "ws", "http://x/", "https://x/", "wsx://x/", "//x/", "x:80", "ws://", "ws:///path", "ws://x:99999/", "ws://[::1/",
        "ws://user:SECRET@x/", "ws://x y/", "ws://127.1/", "ws://a\u2100b/?SECRET",
    ],
)  # fmt: skip
def test_a_url_that_leads_nowhere_is_refused_at_once_and_not_quoted(url: str):
    async def main() -> None:
        with pytest.raises(ConfigError) as caught:
            async with dialled(url):
                pytest.fail("it began")
        assert "SECRET" not in str(caught.value)
        assert caught.value.__cause__ is None

    run(main())


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_would_spin_or_never_end_is_refused(interval: float):
    with pytest.raises(ConfigError, match="the interval of a dial"):
        Dialing(None).add(Dial("ws://x/", interval=interval), lambda _: None)


def test_without_the_extra_it_is_refused_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "INSTALLED", False)
    with pytest.raises(MissingExtraError, match=r"rawbot\[websocket\]"):
        Dialing(None).add(Dial("ws://x/"), lambda _: None)


def test_fields_that_no_request_can_have_are_told_and_not_quoted(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with dialled("ws://127.0.0.1:9/", headers=[(b"authorization", b"SECRET\r\n")]):
            await until(lambda: caplog.records)

    run(main())
    assert "a field of the handshake holds characters that no field may hold" in warnings(caplog)[0]


def test_a_dial_that_fails_is_logged_without_its_text_and_tried_again(caplog: pytest.LogCaptureFixture):
    def fail() -> FakeChannel:
        raise ValueError(TARGET)

    async def main() -> None:
        async with (
            RogueServer(saying(until_left=True)).listen() as server,
            dialled(url_of(server.port)) as stage,
        ):
            stage.dial.make = fail
            await until(lambda: len(server.heads) == 3)
            stage.dial.make = FakeChannel
            await stage.opens()
            assert server.most == 1

    run(main())
    assert "could not be opened" in warnings(caplog)[0]


def test_of_many_failures_only_the_first_are_told_one_by_one(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with (
            RogueServer(answering(b"HTTP/1.1 403 Forbidden\r\n\r\n")).listen() as server,
            dialled(url_of(server.port)) as stage,
        ):
            await until(lambda: len(server.heads) == 14)
            assert len(warnings(caplog)) == 10
            stage.dialing.tick(stage.engine.now())
            assert len(warnings(caplog)) == 10
            stage.dialing.tick(stage.engine.now() + 61)
            stage.dialing.tick(stage.engine.now() + 61)
        (line,) = warnings(caplog)[10:]
        assert line.startswith("WebSockets could not be opened, or have ended, ")

    run(main())


def test_a_dialler_without_dials_does_nothing():
    async def main() -> None:
        dialing = Dialing(None)
        dialing.start()
        dialing.tick(1.0)
        dialing.stop()
        await dialing.aclose()

    run(main())
