"""rawbot/aio/asgi/websocket.py and asgi.py: a channel behind a host's WebSocket, by hand and under a real uvicorn."""

import asyncio
import contextlib
import itertools
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from asgi_hosting import CONNECT, HTTP, WEBSOCKET, WHOLE, Hosting, hosted
from fake_channel import FakeChannel
from fake_endpoint import PATH, FakeEndpoint, Waiting, connect, hang_up, make_app, make_event, until
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from starlette.applications import Starlette
from starlette.routing import Mount
from websocket_frames import TEXT, frame
from websocket_requests import FIELDS
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rawbot.aio import engine as engine_module
from rawbot.aio.asgi.app import ASGIApp, Message
from rawbot.aio.asgi.websocket import HostedWebSocket
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot
from rawbot.errors import ProtocolError, StateError
from rawbot.event import Event
from rawbot.exchange import Answer, Channel, FileRegion, Request, Response, Upgrade
from rawbot.websocket.connection import Phase
from rawbot.websocket.handshake import wants_upgrade
from rawbot.websocket.settings import WebSocketSettings

BRIEF = 0.1
SLACK = 1.0
"""Seconds that a busy machine may be late."""
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
LARGE = bytes(256 * 1024)
DENY = {"type": "websocket.close"}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine have its time at the end."""
    monkeypatch.setattr(engine_module, "FLUSH", 10.0)


def text(content: str) -> Message:
    return {"type": "websocket.send", "text": content}


def says(content: bytes | str) -> Message:
    return {"type": "websocket.receive", "text" if isinstance(content, str) else "bytes": content}


def close(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def gone(code: int | None = None) -> Message:
    return {"type": "websocket.disconnect"} | ({} if code is None else {"code": code})


class Witness(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.connections = 0
        self.answers: list[int] = []
        self.refusals: list[tuple[int, int | None, str]] = []

    def opened(self) -> None:
        self.connections += 1

    def closed(self) -> None:
        self.connections -= 1

    def answered(self, request: Request, route: str, response: Response, took: float, now: float) -> None:  # noqa: ARG002 - an Observer's shape
        assert took >= 0
        self.answers.append(response.status)

    def refused(self, error: ProtocolError, peer: str, now: float) -> None:  # noqa: ARG002 - an Observer's shape
        self.refusals.append((error.status, error.code, peer))


class Stage:
    """A channel, and the host that speaks for its client."""

    def __init__(self, endpoint: FakeEndpoint, channel: FakeChannel, witness: Witness) -> None:
        self.endpoint = endpoint
        self.channel = channel
        self.witness = witness
        self.hosting: Hosting
        self.asgi: ASGIApp

    @property
    def connections(self) -> int:
        return len(self.asgi._engine.connections)


@contextlib.asynccontextmanager
async def staged(
    channel: FakeChannel | None = None,
    *messages: Message,
    endpoint: FakeEndpoint | None = None,
    room: int = 1000,
    changed: Message | None = None,
    bot: Bot | None = None,
    timeouts: Timeouts | None = None,
    capacity: Capacity | None = None,
    hosts: list[str] | None = None,
    **settings: object,
) -> AsyncIterator[Stage]:
    """Let a client ask for a WebSocket; in the end nothing of it may be left."""
    channel = channel or FakeChannel()
    endpoint = endpoint or FakeEndpoint(lambda *_: Upgrade(channel))
    stage = Stage(endpoint, channel, Witness())
    options = {"timeouts": timeouts, "capacity": capacity, "hosts": hosts, "observers": [stage.witness]}
    app = make_app(endpoint, bot=bot, websocket=WebSocketSettings(**settings), **options)
    stage.asgi = ASGIApp(app)
    scope = WEBSOCKET | (changed or {})
    stage.hosting = Hosting(stage.asgi, scope, CONNECT, *messages, room=room)
    try:
        yield stage
    finally:
        await until(stage.hosting.call.done)
        assert stage.asgi._engine is None or not stage.connections
        await stage.asgi.aclose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert stage.witness.connections == 0
        assert channel.calls.count("opened") == len(channel.codes) <= 1
        assert channel.on_ready is None


def play(
    act: Callable[[Stage], Awaitable[None]], channel: FakeChannel | None = None, *messages: Message, **options: object
) -> Stage:
    """Let this happen; return what is left of it."""
    stages = []

    async def main() -> None:
        async with asyncio.timeout(20), staged(channel, *messages, **options) as stage:
            stages.append(stage)
            await act(stage)

    asyncio.run(main())
    return stages[0]


async def end(stage: Stage) -> None:
    """Wait for the end."""
    await stage.hosting.end()


# The handshake


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")],
        [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"WebSocket")],
        [(b"connection", b"keep-alive")],
        [(b"upgrade", b"h2c, websocket")],
    ],
)
@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(("scheme", "shown"), [("ws", "http"), ("wss", "https"), ("https", "https")])
def test_whatever_fields_a_host_leaves_in_the_endpoint_sees_a_request_for_a_websocket(
    fields: list[tuple[bytes, bytes]], version: str, scheme: str, shown: str
):
    changed = {
        "headers": [(b"host", b"x"), *fields, (b"cookie", b"a=1")],
        "http_version": version,
        "scheme": scheme,
        "path": "/mount/bot",
        "root_path": "/mount",
        "query_string": b"a=%2B&b=+",
    }
    stage = play(end, None, gone(), changed=changed)
    (request,) = stage.endpoint.requests
    assert wants_upgrade(request)
    assert (request.method, request.path, request.query, request.body) == ("GET", PATH, "a=%2B&b=+", b"")
    assert (request.scheme, request.peer, request.http_version) == (shown, "192.0.2.1", "1.1")
    assert (request.header(b"host"), request.header(b"cookie")) == (b"x", b"a=1")
    assert stage.hosting.sent == [ACCEPT]


@pytest.mark.parametrize("fields", [[], [(b"sec-websocket-protocol", b"a, b")]])
def test_the_subprotocol_that_was_chosen_goes_into_the_answer(fields: list[tuple[bytes, bytes]]):
    channel = FakeChannel()
    endpoint = FakeEndpoint(lambda *_: Upgrade(channel, "b", ((b"X-A", b"1"), (b"set-cookie", b"c=2"))))
    stage = play(end, channel, gone(), endpoint=endpoint, changed={"subprotocols": ["a", "b"], "headers": fields})
    headers = [(b"x-a", b"1"), (b"set-cookie", b"c=2")]
    assert stage.hosting.sent == [{"type": "websocket.accept", "subprotocol": "b", "headers": headers}]
    (request,) = stage.endpoint.requests
    assert [value for name, value in request.headers if name == b"sec-websocket-protocol"] == [b"a, b"]
    assert stage.witness.answers == [101]


@pytest.mark.parametrize(
    "upgrade",
    [
        Upgrade(FakeChannel(), "c"),
        Upgrade(FakeChannel(), headers=((b"x-a", b"1\r\nx-b: 2"),)),
        Upgrade(FakeChannel(), headers=((b"x a", b"1"),)),
        Upgrade(FakeChannel(), headers=((b"Connection", b"close"),)),
        Upgrade(FakeChannel(), headers=((b"sec-websocket-extensions", b"permessage-deflate"),)),
    ],
    ids=["subprotocol", "value", "name", "hop", "websocket"],
)
def test_what_an_endpoint_should_not_have_chosen_is_a_fault_of_ours(upgrade: Upgrade, caplog: pytest.LogCaptureFixture):
    stage = play(end, endpoint=FakeEndpoint(lambda *_: upgrade), changed={"subprotocols": ["a", "b"]})
    assert status_of(stage) == 500
    assert [record.message for record in caplog.records] == ["a WebSocket cannot be opened"]
    assert upgrade.channel.calls == []


def status_of(stage: Stage) -> int:
    start, *parts = stage.hosting.sent
    assert start["type"] == "websocket.http.response.start"
    assert {part["type"] for part in parts} == {"websocket.http.response.body"}
    return start["status"]


def test_an_answer_in_its_place_refuses_the_handshake_and_its_event_is_started():
    seen = []
    bot = Bot()
    bot.on_message(lambda event, _: seen.append(event.text))
    response = Response(418, b"teapot", headers=((b"x-a", b"1"),))
    endpoint = FakeEndpoint(lambda *_: Answer(response, make_event("hello")))
    stage = play(end, endpoint=endpoint, bot=bot)
    headers = [(b"content-length", b"6"), (b"content-type", b"text/plain; charset=utf-8"), (b"x-a", b"1")]
    assert stage.hosting.sent == [
        {"type": "websocket.http.response.start", "status": 418, "headers": headers},
        {"type": "websocket.http.response.body", "body": b"teapot", "more_body": False},
    ]
    assert (seen, stage.witness.answers) == (["hello"], [418])


@pytest.mark.parametrize("extensions", [{}, None, {"tls": {}}])
def test_a_host_that_cannot_be_told_the_answer_is_told_no(extensions: object):
    endpoint = FakeEndpoint(lambda *_: Answer(Response(418, b"teapot")))
    assert play(end, endpoint=endpoint, changed={"extensions": extensions}).hosting.sent == [DENY]


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_an_answer_that_is_a_file_is_closed_in_any_case(extensions: object, tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    region = FileRegion(path.open("rb", buffering=0), 2, 5)
    endpoint = FakeEndpoint(lambda *_: Answer(Response(200, region=region)))
    stage = play(end, endpoint=endpoint, changed={"extensions": extensions})
    assert region.file.closed
    assert [message.get("body") for message in stage.hosting.sent] == ([None, b"23456"] if extensions else [None])


def test_an_answer_that_waits_is_waited_for():
    waiting = Waiting()

    async def act(stage: Stage) -> None:
        await until(lambda: waiting.pending)
        assert stage.hosting.sent == []
        waiting.pending[0].wake()
        await end(stage)

    stage = play(act, endpoint=FakeEndpoint(waiting))
    assert stage.hosting.sent[1]["body"] == b"late "


def test_an_answer_that_waits_is_forgotten_when_the_client_goes():
    waiting = Waiting()
    assert play(end, None, gone(1006), endpoint=FakeEndpoint(waiting)).hosting.sent == []
    assert waiting.pending[0].over


def test_a_client_that_is_gone_before_is_not_heard_of():
    async def main() -> None:
        endpoint = FakeEndpoint()
        hosting = Hosting(ASGIApp(make_app(endpoint)), WEBSOCKET, gone(1006))
        assert await hosting.end() == []
        assert endpoint.requests == []

    asyncio.run(main())


def test_an_unknown_path_is_not_found():
    assert status_of(play(end, changed={"path": "/else"})) == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(b"host", b"bot.example:8080")], 101),
        ([(b"host", b"BOT.example")], 101),
        ([(b"host", b"evil.example")], 421),
        ([(b"host", b"bot.example"), (b"host", b"bot.example")], 421),
        ([(b"host", b"bot.example@evil.example")], 421),
        ([], 421),
    ],
)
def test_only_the_hosts_that_are_served_are_answered_for(fields: list[tuple[bytes, bytes]], status: int):
    """Of a page that had its own name point here, the browser sends the page's name (DNS rebinding)."""
    stage = play(end, None, gone(), changed={"headers": fields}, hosts=["bot.example"])
    if status == 101:
        assert stage.hosting.sent == [ACCEPT]
    else:
        assert status_of(stage) == status
        assert stage.witness.refusals == [(421, None, "192.0.2.1")]
        assert stage.endpoint.requests == []


def test_without_a_place_it_is_refused_and_the_next_one_has_it_again():
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        assert (stage.connections, stage.witness.connections) == (1, 1)
        (connection,) = stage.asgi._engine.connections
        assert (connection.idle, connection.unfinished) == (False, False)
        for scope in (WEBSOCKET, WEBSOCKET | {"extensions": {}}):
            other = Hosting(stage.asgi, scope, CONNECT)
            sent = await other.end()
            assert sent[0] == DENY or (sent[0]["status"], sent[0]["headers"][-1]) == (503, (b"retry-after", b"5"))
        stage.hosting.say(gone(1000))
        await end(stage)
        other = Hosting(stage.asgi, WEBSOCKET, CONNECT)
        await other.sends(1)
        assert other.sent == [ACCEPT]
        stage.channel.codes.clear()
        stage.channel.calls.remove("opened")
        other.say(gone(1000))
        await other.end()

    stage = play(act, capacity=Capacity(max_connections=1))
    assert stage.witness.refusals == [(503, None, "192.0.2.1")] * 2


def test_plain_http_is_told_that_an_upgrade_is_required():
    async def main() -> None:
        channel = FakeChannel()
        asgi = ASGIApp(make_app(FakeEndpoint(lambda *_: Upgrade(channel))))
        start, _ = await Hosting(asgi, HTTP, WHOLE).end()
        assert (start["status"], dict(start["headers"])[b"upgrade"]) == (426, b"websocket")
        assert channel.calls == []
        await asgi.aclose()

    asyncio.run(main())


# Messages


def test_messages_reach_the_channel_and_its_answers_the_client():
    channel = FakeChannel(lambda message: [message, message])
    channel.waiting = ["welcome"]
    stage = play(end, channel, says("a"), says(b"\xff"), says(bytearray(b"b")), says(""), gone(1000))
    assert channel.received == ["a", b"\xff", b"b", ""]
    assert [type(message) for message in channel.received] == [str, bytes, bytes, str]
    binary = {"type": "websocket.send", "bytes": b"\xff"}, {"type": "websocket.send", "bytes": b"b"}
    twice = [message for message in (text("a"), *binary, text("")) for _ in range(2)]
    assert stage.hosting.sent == [ACCEPT, text("welcome"), *twice]


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"bytes": b"x", "text": None}, b"x"),
        ({"bytes": None, "text": "x"}, "x"),
        ({"bytes": b"", "text": None}, b""),
        ({}, b""),
    ],
)
def test_of_text_and_bytes_one_is_left_out_or_none(message: Message, content: bytes | str):
    assert play(end, None, {"type": "websocket.receive"} | message, gone()).channel.received == [content]


def test_events_are_started():
    events = [make_event("one"), make_event("two")]
    seen = []
    bot = Bot()
    bot.on_message(lambda event, _: seen.append(event.text))
    channel = FakeChannel(lambda _: [])
    channel.events = events

    async def act(stage: Stage) -> None:
        await until(lambda: len(seen) == 2)
        stage.hosting.say(gone())
        await end(stage)

    play(act, channel, says("x"), bot=bot)
    assert seen == ["one", "two"]


def test_the_channel_speaks_outside_of_our_calls_too():
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        stage.channel.say("later", b"and more")
        stage.channel.say("and more")
        await stage.hosting.sends(4)
        stage.hosting.say(gone())
        await end(stage)

    stage = play(act)
    assert stage.hosting.sent[1:] == [text("later"), {"type": "websocket.send", "bytes": b"and more"}, text("and more")]


def test_a_channel_may_call_on_ready_within_our_calls():
    class Eager(FakeChannel):
        def receive(self, message: bytes | str, now: float) -> list[Event]:
            super().receive(message, now)
            self.on_ready()
            return []

    assert play(end, Eager(), says("a"), says("b"), gone()).hosting.sent == [ACCEPT, text("a"), text("b")]


@pytest.mark.parametrize(
    ("message", "size"),
    [(says(b"x" * 8), 8), (says("x" * 8), 8), (says("\u00e9" * 4), 8), (says("\U0001f600\U0001f600"), 8)],
    ids=["bytes", "ascii", "two bytes each", "four bytes each"],
)
@pytest.mark.parametrize("above", [-1, 0, 1])
def test_a_message_has_a_limit_in_bytes(message: Message, size: int, above: int):
    async def act(stage: Stage) -> None:
        if above > 0:
            await end(stage)
        else:
            await stage.hosting.sends(2)
            stage.hosting.say(gone(1000))
            await end(stage)

    stage = play(act, None, message, max_size=size - above)
    if above > 0:
        assert stage.hosting.sent == [ACCEPT, close(1009, "a message is above the limit")]
        assert (stage.channel.received, stage.channel.codes) == ([], [1006])
        assert stage.witness.refusals == [(400, 1009, "192.0.2.1")]
    else:
        assert (len(stage.channel.received), stage.channel.codes) == (1, [1000])


# How it ends


async def peer_closes(stage: Stage) -> None:
    stage.hosting.say(gone(4001))


async def peer_closes_and_the_host_knows_no_code(stage: Stage) -> None:
    stage.hosting.say({"type": "websocket.disconnect", "code": None})


async def peer_speaks_and_leaves(stage: Stage) -> None:
    stage.hosting.say(says("x"), gone(1001))


async def channel_closes(stage: Stage) -> None:
    stage.channel.closing = (1000, "done")
    stage.channel.say("last words")
    assert (await stage.hosting.sends(3))[1:] == [text("last words"), close(1000, "done")]
    stage.hosting.say(says("never seen"), gone(1000))


async def channel_closes_and_the_host_does_not_tell_what_the_peer_answered(stage: Stage) -> None:
    """Say 1005 after every Close of the application's, as uvicorn's older implementation does."""
    stage.channel.closing = (4321, "done")
    stage.channel.say()
    await stage.hosting.sends(2)
    stage.hosting.say(gone(1005))


async def channel_closes_and_the_peer_names_another_code(stage: Stage) -> None:
    stage.channel.closing = (1000, "")
    stage.channel.say()
    await stage.hosting.sends(2)
    stage.hosting.say(gone(1002))


async def channel_closes_while_it_receives(stage: Stage) -> None:
    stage.channel.closing = (1003, "text only")
    stage.hosting.say(says("x"), says("never seen"))
    assert (await stage.hosting.sends(3))[1:] == [text("x"), close(1003, "text only")]
    stage.hosting.say(gone(1003))


async def channel_closes_and_hears_nothing(stage: Stage) -> None:
    stage.channel.closing = (1000, "")
    stage.channel.say()


async def channel_gives_a_long_reason(stage: Stage) -> None:
    stage.channel.closing = (1000, "\u00e9" * 100)
    stage.channel.say()
    assert (await stage.hosting.sends(2))[1] == close(1000, "\u00e9" * 61)
    stage.hosting.say(gone(1000))


async def channel_names_a_code_that_is_none(stage: Stage) -> None:
    stage.channel.closing = (1006, "")
    stage.channel.say("x")
    assert (await stage.hosting.sends(3))[1:] == [text("x"), close(1011, "internal error")]


async def channel_says_what_no_text_is(stage: Stage) -> None:
    stage.channel.say("x", "\ud800")
    assert (await stage.hosting.sends(3))[1:] == [text("x"), close(1011, "internal error")]


async def channel_says_what_no_message_is(stage: Stage) -> None:
    stage.channel.say(4)
    assert (await stage.hosting.sends(2))[1:] == [close(1011, "internal error")]


async def channel_fails_as_the_peer_leaves(stage: Stage) -> None:
    stage.hosting.say(gone(1000))
    stage.channel.say(4)
    await end(stage)
    assert stage.hosting.sent == [ACCEPT]


async def host_raises_when_it_is_asked(stage: Stage) -> None:
    stage.hosting.fault_in = ConnectionResetError()
    stage.hosting.say(gone())
    with pytest.raises(ConnectionResetError):
        await end(stage)


async def host_says_that_nobody_is_there(stage: Stage) -> None:
    """Raise OSError from `send`, as version 2.4 has it, and still tell of the end."""
    stage.hosting.fault = BrokenPipeError()
    stage.channel.say("x", "y")
    await asyncio.sleep(0.01)
    stage.channel.say("z")
    stage.hosting.say(says("never seen"), gone(4002))


async def host_says_that_nobody_is_there_and_nothing_else(stage: Stage) -> None:
    stage.hosting.fault = BrokenPipeError()
    stage.channel.say("x")


async def host_says_that_nobody_is_there_for_our_close(stage: Stage) -> None:
    stage.hosting.fault = BrokenPipeError()
    stage.channel.closing = (1000, "")
    stage.channel.say()
    stage.hosting.say(gone(4002))


async def host_breaks_when_something_is_sent(stage: Stage) -> None:
    stage.hosting.fault = RuntimeError("never again")
    stage.channel.say("x")
    with pytest.raises(RuntimeError):
        await end(stage)


async def host_runs_out_of_time(stage: Stage) -> None:
    """Raise what we raise when ours is over."""
    stage.hosting.fault_in = TimeoutError()
    stage.hosting.say(gone())
    with pytest.raises(TimeoutError):
        await end(stage)


async def host_cancels(stage: Stage) -> None:
    stage.hosting.call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await end(stage)


async def app_is_closed(stage: Stage) -> None:
    """Wait for the end of the WebSockets in it."""
    closing = asyncio.create_task(stage.asgi.aclose())
    assert (await stage.hosting.sends(2))[1] == close(1001, "going away")
    stage.hosting.say(gone(1001))
    await closing
    assert stage.hosting.call.done()


async def app_is_closed_and_nobody_answers(stage: Stage) -> None:
    await stage.asgi.aclose()


ENDS = {
    # what happened: the code that the channel is told, whether the channel is to blame
    peer_closes: (4001, False),
    peer_closes_and_the_host_knows_no_code: (1005, False),
    peer_speaks_and_leaves: (1001, False),
    channel_closes: (1000, False),
    channel_closes_and_the_host_does_not_tell_what_the_peer_answered: (4321, False),
    channel_closes_and_the_peer_names_another_code: (1002, False),
    channel_closes_while_it_receives: (1003, False),
    channel_closes_and_hears_nothing: (1006, False),
    channel_gives_a_long_reason: (1000, False),
    channel_names_a_code_that_is_none: (1006, True),
    channel_says_what_no_text_is: (1006, True),
    channel_says_what_no_message_is: (1006, True),
    channel_fails_as_the_peer_leaves: (1006, True),
    host_raises_when_it_is_asked: (1006, False),
    host_says_that_nobody_is_there: (4002, False),
    host_says_that_nobody_is_there_and_nothing_else: (1006, False),
    host_says_that_nobody_is_there_for_our_close: (4002, False),
    host_breaks_when_something_is_sent: (1006, False),
    host_runs_out_of_time: (1006, False),
    host_cancels: (1006, False),
    app_is_closed: (1001, False),
    app_is_closed_and_nobody_answers: (1006, False),
}


IN_VAIN = (
    channel_closes_and_hears_nothing,
    host_says_that_nobody_is_there_and_nothing_else,
    app_is_closed_and_nobody_answers,
)
"""Where something is waited for that does not come."""


@pytest.mark.parametrize("how", ENDS, ids=lambda how: how.__name__)
def test_however_it_ends_the_channel_hears_of_it_once(
    how: Callable[[Stage], Awaitable[None]], caplog: pytest.LogCaptureFixture
):
    code, ours = ENDS[how]

    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        await how(stage)
        await until(stage.hosting.call.done)

    stage = play(act, close_timeout=BRIEF if how in IN_VAIN else 20)
    assert stage.channel.codes == [code]
    assert stage.channel.received in ([], ["x"])
    assert [record.message for record in caplog.records] == ["a channel failed"] * ours


@pytest.mark.parametrize("fault", ["opened", "receive", "to_send", "closed"])
def test_a_channel_that_raises_ends_with_1011_and_is_logged_without_what_was_said(
    fault: str, caplog: pytest.LogCaptureFixture
):
    stage = play(end, FakeChannel(fault=fault), says("a secret message"), gone(1000))
    (record,) = caplog.records
    told = "".join(traceback.format_exception(*record.exc_info))
    assert "ValueError" in told
    assert f"in {fault}" in told
    assert "secret message" not in told.replace('"a secret message"', "")  # but for the line of this test that raises
    failed = [close(1011, "internal error")] if fault != "closed" else [text("a secret message")]
    assert stage.hosting.sent == [ACCEPT, *failed]
    assert len(stage.channel.codes) == 1


def test_at_shutdown_handlers_may_still_speak_and_new_websockets_are_refused():
    """As on our own server: WebSockets are closed when the handlers have ended."""
    channel = FakeChannel(lambda _: [])
    channel.events = [make_event("hello")]
    bot, release = Bot(), []

    @bot.on_message
    async def answer(_event: object, _reply: object) -> None:
        going_on = asyncio.Event()
        release.append(going_on.set)
        await going_on.wait()
        channel.say("in time")

    async def act(stage: Stage) -> None:
        await until(lambda: release)
        closing = asyncio.create_task(stage.asgi.aclose())
        await asyncio.sleep(0)
        other = Hosting(stage.asgi, WEBSOCKET, CONNECT)
        assert (await other.end())[0]["status"] == 503
        release[0]()
        assert (await stage.hosting.sends(3))[1:] == [text("in time"), close(1001, "going away")]
        stage.hosting.say(gone(1001))
        await closing

    play(act, channel, says("x"), bot=bot)


def test_a_host_that_never_lets_go_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "FLUSH", BRIEF)

    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        stage.channel.say("x")
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await stage.asgi.aclose()
        assert loop.time() - start < BRIEF + SLACK
        await end(stage)

    assert play(act, room=1).channel.codes == [1006]


# A client that does not read


def test_while_the_client_does_not_read_nothing_of_it_is_asked_for_and_nothing_is_lost():
    async def act(stage: Stage) -> None:
        await until(lambda: len(stage.channel.received) == 1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (stage.channel.received, stage.hosting.asked) == (["0"], 2)
        stage.channel.say("between")
        stage.hosting.take(100)
        await stage.hosting.sends(12)
        stage.hosting.say(gone())
        await end(stage)

    stage = play(act, None, *(says(str(number)) for number in range(10)), room=1)
    assert stage.hosting.sent[1:] == [text(said) for said in ("0", "between", *"123456789")]


@pytest.mark.parametrize("above", [-1, 0, 1])
@pytest.mark.parametrize(
    ("limits", "message", "count"),
    [({"max_queue": 5}, "x", 5), ({"max_queue_size": 5}, "x", 5), ({"max_queue_size": 10}, "\u00e9", 5)],
    ids=["messages", "bytes", "bytes of text"],
)
def test_what_waits_for_a_client_that_does_not_read_has_a_limit(
    limits: dict[str, int], message: str, count: int, above: int
):
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        stage.channel.say("first")
        await asyncio.sleep(0.01)
        for _ in range(count + above):
            stage.channel.say(message)
        stage.channel.say(*["more"] * (above > 0))
        stage.hosting.take(100)
        await stage.hosting.sends(3)
        stage.hosting.say(gone(1013 if above > 0 else 1000))
        await end(stage)

    stage = play(act, room=1, **limits)
    if above > 0:
        assert stage.hosting.sent[1:] == [text("first"), close(1013, "too slow")]
        assert (stage.channel.codes, stage.witness.refusals) == ([1013], [(400, 1013, "192.0.2.1")])
    else:
        assert stage.hosting.sent[1:] == [text("first"), *[text(message)] * (count + above)]
        assert (stage.channel.codes, stage.witness.refusals) == ([1000], [])


def test_a_single_message_may_be_larger_than_what_may_wait():
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        stage.channel.say("first")
        await asyncio.sleep(0.01)
        stage.channel.say("x" * 100)
        stage.hosting.take(2)
        await stage.hosting.sends(3)
        stage.hosting.say(gone())
        await end(stage)

    assert play(act, room=1, max_queue_size=10).hosting.sent[1:] == [text("first"), text("x" * 100)]


def test_what_is_said_in_one_go_has_no_limit_while_the_client_reads():
    channel = FakeChannel(lambda _: ["x"] * 100)

    async def act(stage: Stage) -> None:
        await stage.hosting.sends(201)
        for _ in range(100):
            channel.say("x")
        await stage.hosting.sends(301)
        stage.hosting.say(gone(1000))
        await end(stage)

    stage = play(act, channel, says("a"), says("b"), max_queue=10)
    assert (channel.codes, stage.witness.refusals) == ([1000], [])


@pytest.mark.parametrize("closing", [False, True])
def test_a_client_that_takes_nothing_is_given_up(closing: bool):  # noqa: FBT001 - a case
    async def act(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        await stage.hosting.sends(1)
        start = loop.time()
        stage.channel.say("x")
        if closing:
            await asyncio.sleep(0)
            stage.channel.closing = (1000, "")
            stage.channel.say()
        await end(stage)
        assert BRIEF * 0.9 <= loop.time() - start < BRIEF + SLACK

    limits = {"close_timeout": BRIEF} if closing else {"timeouts": Timeouts(write=BRIEF)}
    stage = play(act, room=1, **limits)
    assert (stage.channel.codes, stage.hosting.sent) == ([1006], [ACCEPT])


def test_a_host_that_turns_our_giving_up_into_a_fault_of_its_own_is_left_as_well():
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        send = stage.hosting._room.acquire

        async def acquire() -> None:
            try:
                await send()
            except asyncio.CancelledError:
                raise ConnectionResetError from None

        stage.hosting._room.acquire = acquire
        stage.channel.say("x")
        await end(stage)

    assert play(act, room=1, timeouts=Timeouts(write=BRIEF)).channel.codes == [1006]


def test_a_quiet_client_is_no_slow_one():
    async def act(stage: Stage) -> None:
        await stage.hosting.sends(1)
        await asyncio.sleep(3 * BRIEF)
        stage.channel.say("x")
        await stage.hosting.sends(2)
        await asyncio.sleep(3 * BRIEF)
        stage.hosting.say(gone(1000))
        await end(stage)

    assert play(act, timeouts=Timeouts(write=BRIEF), close_timeout=BRIEF).channel.codes == [1000]


# In any order


class Clock:
    """An engine and a limit for one WebSocket, on a clock that the test sets."""

    def __init__(self) -> None:
        self.websocket = WebSocketSettings(max_size=5, max_queue=3, close_timeout=10)
        self.timeouts = Timeouts(write=30)
        self.seconds = 1000.0
        self.ends = float("inf")
        self.forgotten = 0
        self.refusals: list[int | None] = []

    def time(self) -> float:
        return self.seconds

    def now(self) -> float:
        return self.seconds

    def forget(self, _connection: object, address: str) -> None:
        assert address == "192.0.2.1"
        self.forgotten += 1

    def note_refusal(self, error: ProtocolError, _peer: str) -> None:
        self.refusals.append(error.code)

    def reschedule(self, when: float | None) -> None:
        assert not self.expired()
        self.ends = float("inf") if when is None else when

    def expired(self) -> bool:
        return self.seconds >= self.ends


class Telling(Channel):
    """Says what it is told to say; the test keeps its own list."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.heard: list[bytes | str] = []
        self.codes: list[int] = []

    def receive(self, message: bytes | str, now: float) -> list[Event]:  # noqa: ARG002 - a channel's shape
        self.heard.append(message)
        return []

    def to_send(self) -> list[str]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def closed(self, code: int, now: float) -> None:  # noqa: ARG002 - a channel's shape
        self.codes.append(code)


class Course(RuleBasedStateMachine):
    """Whatever the channel, the client, the host and time do, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.channel, self.numbers = Clock(), Telling(), itertools.count()
        self.woken, self.sent, self.said = 0, [], []
        self.held = False
        self.websocket = HostedWebSocket(
            self.clock, Upgrade(self.channel), ACCEPT, None, address="192.0.2.1", wake=self.wake, limit=self.clock
        )
        self.websocket.open()

    def wake(self) -> None:
        self.woken += 1

    def going(self) -> bool:
        return not self.websocket.over

    @precondition(going)
    @rule()
    def take(self) -> None:
        message = self.websocket.next_message()
        self.held = message is not None
        if message is not None:
            self.sent.append(message)

    @rule(count=st.integers(0, 5))
    def speak(self, count: int) -> None:
        said = [str(next(self.numbers)) for _ in range(count)]
        before, waiting = self.woken, len(self.websocket._queue)
        if self.websocket._phase is not Phase.OPEN:
            self.websocket._ready()
            assert self.woken == before
            return
        self.channel.waiting += said
        self.websocket._ready()
        self.said += said
        assert self.woken == before + 1
        too_much = self.held and bool(said) and waiting + len(said) > self.clock.websocket.max_queue
        assert (self.websocket._phase is Phase.CLOSING) is too_much
        assert len(self.websocket._queue) == (1 if too_much else waiting + len(said))

    @precondition(going)
    @rule(size=st.integers(0, 7))
    def hear(self, size: int) -> None:
        before, phase = len(self.channel.heard), self.websocket._phase
        self.websocket.receive(says("x" * size))
        self.held = False
        assert len(self.channel.heard) == before + (phase is Phase.OPEN and size <= 5)

    @rule()
    def end_it(self) -> None:
        self.channel.closing = (4000, "")
        self.websocket._ready()

    @rule()
    def go_away(self) -> None:
        self.websocket.close_when_idle()

    @precondition(going)
    @rule(code=st.sampled_from([None, 1000, 1005, 4001]))
    def hear_the_end(self, code: int | None) -> None:
        self.websocket.receive(gone(code))
        assert self.websocket.over

    @precondition(going)
    @rule()
    def lose(self) -> None:
        self.websocket.lose()

    @rule()
    def abort(self) -> None:
        self.websocket.abort()
        if self.clock.ends <= 0:
            assert self.websocket.over

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @invariant()
    def what_is_sent_is_in_order_and_nothing_follows_the_end(self) -> None:
        kinds = [message["type"] for message in self.sent]
        assert kinds[:1] in ([], ["websocket.accept"])
        assert "websocket.close" not in kinds[:-1]
        numbers = [int(message["text"]) for message in self.sent if "text" in message]
        assert numbers == [int(said) for said in self.said[: len(numbers)]]

    @invariant()
    def there_is_an_end_to_waiting_whenever_something_is_awaited(self) -> None:
        closing = self.websocket._phase is Phase.CLOSING
        if self.held or closing:
            assert self.clock.ends <= self.clock.seconds + 30

    def teardown(self) -> None:
        self.websocket.finish()
        assert (len(self.channel.codes), self.clock.forgotten) == (1, 1)
        assert len(self.clock.refusals) <= 1
        assert (self.websocket._phase, self.channel.on_ready) == (Phase.CLOSED, None)
        self.websocket.close_when_idle()
        self.websocket._ready()
        assert len(self.channel.codes) == 1
        with pytest.raises(StateError, match="from CLOSED to OPEN"):
            self.websocket._move(Phase.OPEN)


TestCourse = Course.TestCase


# Under uvicorn


class Scripted(FakeChannel):
    """Does what it is told over the WebSocket."""

    def receive(self, message: bytes | str, now: float) -> list[Event]:
        if message == "close":
            self.closing = (4321, "done")
        elif message == "raise":
            raise ValueError("a secret message")
        elif message == "later":
            asyncio.get_running_loop().call_later(0.01, self.say, "later")
        elif message == "flood":
            self.flood()
        else:
            return list(super().receive(message, now))
        return []

    def flood(self) -> None:
        """Say more and more, until it is over."""
        if self.on_ready is not None:
            self.say(LARGE)
            self.waiting.clear()
            asyncio.get_running_loop().call_soon(self.flood)


class Doors(FakeEndpoint):
    """A new channel for each WebSocket."""

    def __init__(self) -> None:
        super().__init__(self.decide)
        self.channels: list[Scripted] = []

    def decide(self, request: Request, _now: float) -> Upgrade | Answer:
        if request.query == "no":
            return Answer(Response(418, b"teapot"))
        self.channels.append(Scripted())
        return Upgrade(
            self.channels[-1], "chat" if request.header(b"sec-websocket-protocol") else None, ((b"x-a", b"1"),)
        )


def talk(use: Callable[[str, Doors, ASGIApp], Awaitable[None]], **options: object) -> Doors:
    """Serve below a mount point of Starlette's, and use it; afterwards every channel must have heard of its end."""
    doors = Doors()
    asgi = ASGIApp(make_app(doors, **options))

    async def main() -> None:
        site = Starlette(routes=[Mount("/mount", asgi)])
        async with asyncio.timeout(20), hosted(site, lifespan="on", ws="auto") as port:
            await use(f"ws://127.0.0.1:{port}/mount{PATH}", doors, asgi)
            await until(lambda: all(channel.codes for channel in doors.channels) or not doors.channels)
            await asgi.aclose()

    asyncio.run(main())
    assert all(len(channel.codes) == 1 for channel in doors.channels)
    return doors


def test_under_uvicorn_messages_go_both_ways():
    async def use(url: str, doors: Doors, _asgi: ASGIApp) -> None:
        async with dial(url, subprotocols=["other", "chat"]) as client:
            assert (client.subprotocol, client.response.headers["x-a"]) == ("chat", "1")
            for message in ("Hello", b"\xff", "\u4e2d\u6587", "", b"", "x" * 100_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send("later")
            assert await client.recv() == "later"
            await client.close(4000, "mine")
        await until(lambda: doors.channels[0].codes)
        assert doors.channels[0].codes == [4000]

    request = talk(use).requests[0]
    assert (wants_upgrade(request), request.path, request.peer) == (True, PATH, "127.0.0.1")


@pytest.mark.parametrize(
    ("message", "code"), [("close", 4321), ("raise", 1011), ("x" * 1001, 1009)], ids=["close", "raise", "large"]
)
def test_under_uvicorn_the_client_is_told_why_it_ends(message: str, code: int):
    async def use(url: str, _doors: Doors, _asgi: ASGIApp) -> None:
        async with dial(url) as client:
            await client.send(message)
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd.code == code

    talk(use, websocket=WebSocketSettings(max_size=1000))


def test_under_uvicorn_a_refusal_has_its_status_and_its_body():
    async def use(url: str, _doors: Doors, _asgi: ASGIApp) -> None:
        for target, status, body in ((f"{url}?no", 418, b"teapot"), (f"{url}/else", 404, b"Not Found\n")):
            with pytest.raises(InvalidStatus) as caught:
                await dial(target)
            assert (caught.value.response.status_code, bytes(caught.value.response.body)) == (status, body)

    talk(use)


def test_under_uvicorn_an_app_that_ends_says_that_it_goes_away():
    async def use(url: str, _doors: Doors, asgi: ASGIApp) -> None:
        async with dial(url) as client:
            await client.send("x")
            await client.recv()
            closing = asyncio.create_task(asgi.aclose())
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "going away")
            await closing

    assert talk(use).channels[0].codes == [1001]


def test_under_uvicorn_a_host_that_ends_first_is_heard_of():
    async def main() -> None:
        doors = Doors()
        async with hosted(ASGIApp(make_app(doors)), lifespan="on", ws="auto") as port:
            client = await dial(f"ws://127.0.0.1:{port}{PATH}")
        await client.wait_closed()
        assert doors.channels[0].codes == [1012]

    asyncio.run(main())


def test_under_uvicorn_a_client_that_breaks_off_is_heard_of():
    async def use(url: str, _doors: Doors, _asgi: ASGIApp) -> None:
        client: ClientConnection = await dial(url)
        client.transport.abort()
        await client.wait_closed()

    assert talk(use).channels[0].codes[0] in (1005, 1006)  # the host's word


def test_under_uvicorn_a_client_that_does_not_read_is_given_up():
    async def use(url: str, doors: Doors, _asgi: ASGIApp) -> None:
        port = urlsplit(url).port
        assert port
        reader, writer = await connect(port)
        lines = b"".join(b"%b: %b\r\n" % field for field in FIELDS.items())
        writer.write(b"GET /mount/bot HTTP/1.1\r\n%b\r\n" % lines)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(TEXT, b"flood"))
        await until(lambda: doors.channels[0].codes)
        writer.transport.abort()
        await hang_up(writer)

    settings = WebSocketSettings(max_queue_size=1024 * 1024, close_timeout=BRIEF)
    witness = Witness()
    assert talk(use, websocket=settings, observers=[witness]).channels[0].codes == [1006]
    assert witness.refusals == [(400, 1013, "127.0.0.1")]
