"""The demo's echo over real sockets: HTTP, and WebSockets against the `websockets` library's own client."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from fake_channel import FakeChannel
from fake_endpoint import connect, hang_up, read_response, until
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Authority
from talking import in_time
from websocket_frames import BINARY, CLOSE, CONT, PING, TEXT, Sent, close, frame, read_frames
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidStatus

import rawbot
from rawbot.demo_echo import ECHO_PATH, ECHO_SETTINGS, EchoEndpoint, make_echo_bot
from rawbot.exchange import Answer, Endpoint, Exchange, Request, Response, Upgrade
from rawbot.websocket.settings import WebSocketSettings

BRIEF = 0.1
PLAIN = b"host: x\r\n"
ASKING = (
    b"host: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def make_app(endpoint: Endpoint | None = None, **options: object) -> rawbot.App:
    app = rawbot.App(make_echo_bot(), **options)
    app.add(ECHO_PATH, endpoint or EchoEndpoint())
    return app


@contextlib.asynccontextmanager
async def served(app: rawbot.App | None = None) -> AsyncIterator[rawbot.Server]:
    async with rawbot.serve(app or make_app(), port=0) as server:
        yield server


def url_of(server: rawbot.Server) -> str:
    return f"ws://127.0.0.1:{server.port}{ECHO_PATH}"


def talk(use: Callable[[ClientConnection], Awaitable[None]], app: rawbot.App | None = None, **options: object) -> None:
    """Serve the app and let the library's client talk to it."""

    async def run() -> None:
        async with served(app) as server, dial(url_of(server), max_size=None, **options) as client:
            await use(client)

    in_time(run())


async def open_raw(port: int, fields: bytes = ASKING) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket by hand."""
    reader, writer = await connect(port)
    writer.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (ECHO_PATH.encode(), fields))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


# HTTP


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_any_method_is_answered_with_its_own_body(method: str):
    async def run() -> None:
        async with served() as server:
            reader, writer = await connect(server.port)
            for body in (b"", b"Hello", os.urandom(70_000)):
                head = (
                    f"{method} {ECHO_PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: text/x\r\ncontent-length: {len(body)}"
                )
                writer.write(head.encode() + b"\r\n\r\n" + body)
                status, fields, got = await read_response(reader)
                assert (status, got) == (200, body)
                assert not body or fields[b"content-type"] == b"text/x"
            await hang_up(writer)

    in_time(run())


def test_head_is_answered_without_the_body():
    async def run() -> None:
        async with served() as server:
            reader, writer = await connect(server.port)
            writer.write(b"HEAD %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % ECHO_PATH.encode())
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            await hang_up(writer)

    in_time(run())


def test_pipelined_requests_are_echoed_in_their_order():
    async def run() -> None:
        async with served() as server:
            reader, writer = await connect(server.port)
            for number in range(20):
                head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n" % ECHO_PATH.encode()
                writer.write(head + b"%02d" % number)
            assert [(await read_response(reader))[2] for _ in range(20)] == [b"%02d" % n for n in range(20)]
            await hang_up(writer)

    in_time(run())


# WebSocket


@settings(deadline=None, max_examples=5)
@given(st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=20))
def test_text_comes_back_as_text_and_bytes_as_bytes(messages: list[str | bytes]):
    async def use(client: ClientConnection) -> None:
        for message in messages:
            await client.send(message)
        assert [await client.recv() for _ in messages] == messages

    talk(use)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1024 * 1024])
def test_every_size_comes_back_compressed_or_not(size: int, deflate: bool):  # noqa: FBT001 - a setting
    content = os.urandom(min(size, 1000))
    message = (content * (size // 1000 + 1))[:size]

    async def use(client: ClientConnection) -> None:
        assert len(client.protocol.extensions) == deflate
        await client.send(message)
        assert await client.recv() == message
        await client.send([message[: size // 3], message[size // 3 :]])
        assert await client.recv() == message

    talk(use, make_app(websocket=WebSocketSettings(per_message_deflate=deflate)))


def test_sixteen_megabytes_come_back():
    message = os.urandom(16 * 1024 * 1024)

    async def use(client: ClientConnection) -> None:
        await client.send(message)
        assert await client.recv() == message

    talk(use, make_app(websocket=ECHO_SETTINGS))


@pytest.mark.parametrize(("excess", "code"), [(-1, None), (0, None), (1, 1009)])
@pytest.mark.parametrize("step", [999, 1_000_000])
def test_the_limit_holds_for_one_frame_and_for_many(excess: int, code: int | None, step: int):
    size = 100_000
    message = b"x" * (size + excess)

    async def use(client: ClientConnection) -> None:
        await client.send([message[at : at + step] for at in range(0, len(message), step)])
        if code is None:
            assert await client.recv() == message
            return
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
        assert caught.value.rcvd.code == code

    talk(use, make_app(websocket=WebSocketSettings(max_size=size)))


def test_a_close_is_answered_with_its_code():
    async def use(client: ClientConnection) -> None:
        await client.close(4321, "enough")
        assert client.protocol.close_code == 4321

    talk(use)


def test_pings_are_answered_and_ours_are_sent():
    async def use(client: ClientConnection) -> None:
        await (await client.ping(b"are you there"))
        await asyncio.sleep(5 * BRIEF)
        await client.send("still here")
        assert await client.recv() == "still here"

    talk(use, make_app(websocket=WebSocketSettings(ping_interval=BRIEF, ping_timeout=2.0)), ping_interval=None)


def test_what_comes_with_the_handshake_in_one_piece_is_echoed():
    async def run() -> None:
        async with served() as server:
            reader, writer = await connect(server.port)
            writer.write(
                b"GET %b HTTP/1.1\r\n%b\r\n" % (ECHO_PATH.encode(), ASKING) + frame(TEXT, b"at once") + close(1000)
            )
            head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert list(read_frames(rest)) == [Sent(TEXT, b"at once"), Sent(CLOSE, b"\x03\xe8")]
            await hang_up(writer)

    in_time(run())


def test_a_websocket_begins_behind_requests_on_the_same_connection():
    async def run() -> None:
        async with served() as server:
            reader, writer = await connect(server.port)
            for _ in range(2):
                writer.write(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % ECHO_PATH.encode())
            writer.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (ECHO_PATH.encode(), ASKING) + frame(BINARY, b"x"))
            assert [(await read_response(reader))[0] for _ in range(2)] == [200, 200]
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(3) == b"\x82\x01x"
            await hang_up(writer)

    in_time(run())


def test_a_frame_that_is_sent_byte_by_byte_is_echoed():
    async def run() -> None:
        async with served() as server:
            reader, writer = await open_raw(server.port)
            for byte in frame(TEXT, "κόσμε".encode()) + close(1000):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert list(read_frames(await reader.read())) == [Sent(TEXT, "κόσμε".encode()), Sent(CLOSE, b"\x03\xe8")]
            await hang_up(writer)

    in_time(run())


def test_whoever_breaks_the_rules_in_full_flood_can_read_what_was_wrong():
    """What is unread when a socket is closed turns its last words into a reset."""

    async def run() -> None:
        async with served() as server:
            for _ in range(10):
                reader, writer = await open_raw(server.port)
                writer.write(frame(CONT, b"x") + b"x" * 3_000_000)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                (sent,) = read_frames(await reader.read())
                assert (sent.opcode, sent.payload[:2]) == (CLOSE, (1002).to_bytes(2, "big"))
                await hang_up(writer)

    in_time(run())


@pytest.mark.parametrize("breaks", [False, True])
def test_under_tls_it_is_the_same(tmp_path: Path, breaks: bool):  # noqa: FBT001 - what happens
    authority = Authority(tmp_path)

    async def run() -> None:
        place = rawbot.Listen(port=0, tls=authority.tls())
        async with rawbot.serve(make_app(websocket=ECHO_SETTINGS), place) as server:
            url = f"wss://127.0.0.1:{server.port}{ECHO_PATH}"
            async with dial(url, ssl=authority.client(), server_hostname="localhost", max_size=None) as client:
                message = os.urandom(3_000_000)
                await client.send(message)
                assert await client.recv() == message
                if not breaks:
                    return
                client.transport.write(frame(CONT, b"x") + b"x" * 3_000_000)
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert caught.value.rcvd.code == 1002

    in_time(run())


# The end, and the peers that make it difficult


class ChannelEndpoint(Endpoint):
    """Opens a channel for everyone who wants one, and says so to all others."""

    needs_bot = False

    def __init__(self, make: Callable[[], FakeChannel] = FakeChannel) -> None:
        self.make = make
        self.channels: list[FakeChannel] = []

    def receive(self, request: Request, now: float) -> Exchange:  # noqa: ARG002 - an endpoint's shape
        if request.query == "http":
            return Answer(Response(200, b"no WebSocket"))
        self.channels.append(self.make())
        return Upgrade(self.channels[-1])


@pytest.mark.parametrize(
    ("fields", "status"),
    [(PLAIN, 426), (ASKING.replace(b": 13", b": 8"), 426), (ASKING.replace(b"dGhl", b""), 400)],
)
def test_a_handshake_that_fails_is_an_answer_like_any_other(fields: bytes, status: int):
    endpoint = ChannelEndpoint()

    async def run() -> None:
        async with served(make_app(endpoint)) as server:
            reader, writer = await connect(server.port)
            for _ in range(2):
                writer.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (ECHO_PATH.encode(), fields))
                got, answered, _ = await read_response(reader)
                assert got == status
                assert b"date" in answered
                if status == 426:
                    assert (answered[b"upgrade"], answered[b"sec-websocket-version"]) == (b"websocket", b"13")
            await hang_up(writer)
        assert [channel.calls for channel in endpoint.channels] == [[], []]

    in_time(run())


def test_the_library_s_client_is_told_why_it_was_refused():
    class Refusing(Endpoint):
        def receive(self, request: Request, now: float) -> Exchange:  # noqa: ARG002 - an endpoint's shape
            return Answer(Response(403, b"not from this origin\n"))

    async def use(_client: ClientConnection) -> None:
        raise AssertionError("it was let in")

    with pytest.raises(InvalidStatus) as caught:
        talk(use, make_app(Refusing()), origin="https://stranger.example")
    assert caught.value.response.status_code == 403


def test_when_the_server_stops_its_websockets_hear_1001():
    endpoint = ChannelEndpoint()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as clients:
            async with served(make_app(endpoint)) as server:
                opened = [await clients.enter_async_context(dial(url_of(server))) for _ in range(5)]
                for client in opened:
                    await client.send("x")
                    assert await client.recv() == "x"
            for client in opened:
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
                assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "going away")
        assert [channel.codes for channel in endpoint.channels] == [[1001]] * 5

    in_time(run())


@pytest.mark.parametrize("how", ["close", "reset", "silence"])
def test_a_peer_that_goes_without_a_word_is_noticed(how: str):
    endpoint = ChannelEndpoint()
    quick = WebSocketSettings(ping_interval=BRIEF, ping_timeout=BRIEF)

    async def run() -> None:
        async with served(make_app(endpoint, websocket=quick, timeouts=rawbot.Timeouts(linger=BRIEF))) as server:
            reader, writer = await open_raw(server.port)
            writer.write(frame(TEXT, b"x"))
            await reader.readexactly(3)
            if how == "close":
                writer.close()
            elif how == "reset":
                writer.transport.abort()
            await until(lambda: endpoint.channels[0].codes)
            await hang_up(writer)
        assert endpoint.channels[0].codes == [1006]

    in_time(run())


def test_a_peer_that_does_not_read_holds_little_and_is_cut_off():
    endpoint = ChannelEndpoint()

    async def run() -> None:
        async with served(make_app(endpoint, timeouts=rawbot.Timeouts(write=5 * BRIEF))) as server:
            reader, writer = await open_raw(server.port)
            piece = frame(BINARY, b"x" * 50_000)
            sent = 0
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(10):
                    while sent < 200_000_000:
                        writer.write(piece)
                        sent += len(piece)
                        await writer.drain()
            assert sent < 100_000_000  # what both kernels and both programs buffer
            await until(lambda: endpoint.channels[0].codes)
            await hang_up(writer)
            del reader
        assert endpoint.channels[0].codes == [1006]

    in_time(run())


def test_hundreds_of_open_websockets_are_all_answered():
    async def run() -> None:
        async with served() as server:
            opened = [await open_raw(server.port) for _ in range(300)]
            for _, writer in opened:
                writer.write(frame(PING, b"p"))
            for reader, _ in opened:
                assert await reader.readexactly(3) == b"\x8a\x01p"
            await hang_up(*(writer for _, writer in opened))

    in_time(run())
