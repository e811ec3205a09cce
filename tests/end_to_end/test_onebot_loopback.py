"""`python -m rawbot onebot` as a process: what it opens by itself, what it says on stderr, and how it ends."""

import asyncio
import json
import signal
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager

import ormsgpack
import pytest
from honest_bot import read_request, response
from onebot_processes import Loopback
from processes import end, start
from talking import in_time, until
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rawbot import cli
from rawbot.onebot_server import OneBot
from rawbot.simulate.http_client import HttpClient

TOKEN = "token of the loop-back"
ME = {"platform": "loopback", "user_id": "loopback-bot"}
STATUS = {"good": True, "bots": [{"self": ME, "online": True}]}
NEVER = "600000"
"""Milliseconds that no test has."""

Event = dict[str, object]


class Receiver:
    """An application at the other end of a webhook. It answers with 204, or with what `answers` holds."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = deque(answers)
        self.connections = 0
        self.heads: list[bytes] = []
        self.events: list[Event] = []
        self.times: list[float] = []
        self._taken = 0
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/hook?app=1"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Be there; whoever connects before is refused."""
        server = await asyncio.start_server(self._accept, sock=self._socket)
        try:
            yield
        finally:
            server.close()

    async def next(self) -> Event:
        """Return the next event."""
        await until(lambda: len(self.events) > self._taken)
        self._taken += 1
        return self.events[self._taken - 1]

    def close(self) -> None:
        self._socket.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                method, target, head, body = await read_request(reader)
                assert (method, target) == ("POST", "/hook?app=1")
                self.times.append(asyncio.get_running_loop().time())
                self.heads.append(head)
                self.events.append(json.loads(body))
                writer.write(self.answers.popleft() if self.answers else b"HTTP/1.1 204 No Content\r\n\r\n")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def run(use: Callable[[ExitStack], Awaitable[None]]) -> None:
    """Let a test run in a loop; what it puts on the stack is closed afterwards, outside of the loop."""
    with ExitStack() as stack:
        in_time(use(stack))
    assert threading.active_count() == 1


async def call(port: int, action: str, **params: object) -> object:
    """Carry out an action by HTTP; return the data."""
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {TOKEN}".encode())]
    async with HttpClient(f"http://127.0.0.1:{port}") as client:
        body = json.dumps({"action": action, "params": params}).encode()
        answer = json.loads((await client.request("POST", "/", headers, body)).body)
    assert (answer["status"], answer["retcode"]) == ("ok", 0)
    return answer["data"]


def say(text: str) -> dict[str, object]:
    return {"detail_type": "private", "user_id": "zhangsan", "message": text}


def fields_of(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:-2]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def kind(event: Event) -> str:
    return f"{event['type']}.{event['detail_type']}"


async def listening(loopback: Loopback) -> int:
    return await asyncio.to_thread(lambda: loopback.port)


def test_a_webhook_is_told_of_the_bots_at_the_start_and_after_a_failed_push():
    receiver = Receiver(response(500, b""))

    async def use(stack: ExitStack) -> None:
        stack.callback(receiver.close)
        async with receiver.listening():
            loopback = stack.enter_context(Loopback("--webhook", receiver.url, token=TOKEN))
            port = await listening(loopback)
            began = asyncio.get_running_loop().time()
            first, second = await receiver.next(), await receiver.next()
            assert receiver.times[0] - began < 1
            for event in first, second:
                assert (kind(event), event["status"], "self" in event) == ("meta.status_update", STATUS, False)
            assert first["id"] != second["id"]
            receiver.answers.append(response(503, b""))
            await call(port, "send_message", **say("lost"))
            assert [kind(await receiver.next()) for _ in range(2)] == ["message.private", "meta.status_update"]
            await call(port, "send_message", **say("arrives"))
            assert (await receiver.next())["alt_message"] == "arrives"
            assert receiver.connections == 1

    run(use)
    for head in receiver.heads:
        fields = fields_of(head)
        assert fields["authorization"] == f"Bearer {TOKEN}"
        assert fields["content-type"] == "application/json"
        assert fields["user-agent"] == "OneBot/12 (loopback) rawbot-loopback/1.0.0"
        assert (fields["x-onebot-version"], fields["x-impl"]) == ("12", "rawbot-loopback")


def test_an_application_that_comes_later_is_told_of_the_bots():
    receiver = Receiver()

    async def use(stack: ExitStack) -> None:
        stack.callback(receiver.close)
        loopback = stack.enter_context(Loopback("--webhook", receiver.url))
        line = await asyncio.to_thread(loopback.log.wait, lambda line: "no connection" in line)
        assert receiver.url not in line  # it may hold a secret
        async with receiver.listening():
            assert (await receiver.next())["status"] == STATUS
        assert "authorization" not in fields_of(receiver.heads[0])

    run(use)


def test_what_an_answer_asks_for_is_done_in_its_order():
    actions = [
        {"action": "send_message", "params": say("one")},
        {"action": "send_message", "params": {}},
        "no action at all",
        {"action": "send_message", "params": say("two"), "self": ME},
    ]
    content_type = b"Content-Type: application/json; charset=utf-8"
    receiver = Receiver(response(200, json.dumps(actions).encode(), content_type), response(200, b""))

    async def use(stack: ExitStack) -> None:
        stack.callback(receiver.close)
        async with receiver.listening():
            stack.enter_context(Loopback("--webhook", receiver.url))
            assert kind(await receiver.next()) == "meta.status_update"
            assert [(await receiver.next())["alt_message"] for _ in range(2)] == ["one", "two"]

    run(use)


@asynccontextmanager
async def applications(**options: object) -> AsyncIterator[tuple[str, "asyncio.Queue[ServerConnection]"]]:
    """Listen for reverse WebSockets; give the URL and those that come, each open till it is closed."""
    came: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def accept(websocket: ServerConnection) -> None:
        came.put_nowait(websocket)
        await websocket.wait_closed()

    async with serve(accept, **({"host": "127.0.0.1", "port": 0} | options)) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/app", came


async def read(websocket: ServerConnection) -> Event:
    return json.loads(await websocket.recv(decode=True))


def test_a_reverse_websocket_is_opened_at_once_and_introduces_itself():
    async def use(stack: ExitStack) -> None:
        options = ("--reconnect", NEVER, "--platform", "any.where", "--self-id", "b")
        async with applications() as (url, came):
            stack.enter_context(Loopback("--reverse", url, *options, token=TOKEN))
            websocket = await came.get()
            request = websocket.request
            assert request.path == "/app"
            assert request.headers["Sec-WebSocket-Protocol"] == "12.rawbot-loopback"
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"
            assert request.headers["User-Agent"] == "OneBot/12 (any.where) rawbot-loopback/1.0.0"
            connected, updated = await read(websocket), await read(websocket)
            version = {"impl": "rawbot-loopback", "version": "1.0.0", "onebot_version": "12"}
            assert (kind(connected), connected["version"]) == ("meta.connect", version)
            me = {"platform": "any.where", "user_id": "b"}
            assert updated["status"] == {"good": True, "bots": [{"self": me, "online": True}]}
            await websocket.send(json.dumps({"action": "get_version", "params": {}, "echo": 7}))
            success = {"status": "ok", "retcode": 0, "message": ""}
            assert await read(websocket) == success | {"data": version, "echo": 7}
            await websocket.send(ormsgpack.packb({"action": "get_version", "params": {}, "echo": "8"}))
            assert ormsgpack.unpackb(await websocket.recv()) == success | {"data": version, "echo": "8"}

    run(use)


def test_a_sub_protocol_that_is_chosen_is_taken_as_well():
    async def use(stack: ExitStack) -> None:
        async with applications(subprotocols=["12.rawbot-loopback"]) as (url, came):
            stack.enter_context(Loopback("--reverse", url, "--reconnect", NEVER))
            websocket = await came.get()
            assert websocket.subprotocol == "12.rawbot-loopback"
            assert "Authorization" not in websocket.request.headers
            assert kind(await read(websocket)) == "meta.connect"

    run(use)


def test_a_reverse_websocket_comes_again_however_it_has_ended():
    async def use(stack: ExitStack) -> None:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))  # nobody listens there yet
        url = f"ws://127.0.0.1:{sock.getsockname()[1]}/app?token=secret"
        loopback = stack.enter_context(Loopback("--reverse", url, "--reconnect", "50"))
        await asyncio.to_thread(loopback.log.wait, lambda line: "the next try is in 0.05 s" in line)
        async with applications(host=None, port=None, sock=sock) as (_, came):
            for leave in (
                lambda websocket: websocket.close(),
                lambda websocket: websocket.close(1011, "it has failed"),
                lambda websocket: asyncio.sleep(0, websocket.transport.abort()),
                lambda _: asyncio.sleep(0),
            ):
                websocket = await came.get()
                assert [kind(await read(websocket)) for _ in range(2)] == ["meta.connect", "meta.status_update"]
                await leave(websocket)
        assert "secret" not in loopback.log.text
        assert "Traceback" not in loopback.log.text

    run(use)


def test_hearts_beat_on_every_way_that_pushes():
    receiver = Receiver()

    async def beats(read: Callable[[], Awaitable[Event]], count: int) -> None:
        while count:
            event = await read()
            if kind(event) == "meta.heartbeat":
                assert (event["interval"], "self" in event) == (50, False)
                count -= 1

    async def use(stack: ExitStack) -> None:
        stack.callback(receiver.close)
        async with receiver.listening(), applications() as (url, came):
            options = ("--heartbeat", "50", "--webhook", receiver.url, "--reverse", url)
            port = await listening(stack.enter_context(Loopback(*options)))
            async with connect(f"ws://127.0.0.1:{port}/") as forward:
                reverse = await came.get()
                await asyncio.gather(
                    beats(lambda: read(forward), 3), beats(lambda: read(reverse), 3), beats(receiver.next, 3)
                )

    run(use)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_says_goodbye_and_ends_well(number: int):
    receiver = Receiver()

    async def use(stack: ExitStack) -> None:
        stack.callback(receiver.close)
        async with receiver.listening(), applications() as (url, came):
            loopback = stack.enter_context(Loopback("--webhook", receiver.url, "--reverse", url))
            async with connect(f"ws://127.0.0.1:{await listening(loopback)}/") as forward:
                reverse = await came.get()
                await receiver.next()
                stopping = asyncio.create_task(asyncio.to_thread(loopback.stop, number))
                for websocket in forward, reverse:
                    events = [await read(websocket) for _ in range(3)]
                    assert events[-1]["status"] == {"good": False, "bots": []}
                    with pytest.raises(ConnectionClosed) as caught:
                        await read(websocket)
                    assert caught.value.rcvd.code == 1001
                assert await stopping == 0
            assert (await receiver.next())["status"]["good"] is False
            assert [line for line in loopback.log.text.splitlines()[1:] if " INFO a WebSocket to " not in line] == []

    run(use)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("--webhook=example.org/hook", "url must be of the form http://host:port/path or https://…"),
        ("--webhook=http://[::1/secret", "url is malformed"),
        ("--reverse=http://127.0.0.1/", "url must be of the form ws://host:port/path or wss://…"),
        ("--reverse=ws://127.0.0.1:99999/secret", "url is malformed"),
        ("--reverse=ws://name:secret@127.0.0.1/", "url must hold no credentials: give access_token"),
        ("--access-token=hemlighet å", "access_token must be printable ASCII"),
        ("--platform=WeCom", "platform is made of a-z"),
        ("--self-id=", "a bot's id must not be empty"),
        ("--heartbeat=-1", "heartbeat must be a whole number, 0 or more"),
        ("--reconnect=0", "reconnect_interval must be a whole number, 1 or more"),
        ("--port=65536", "port must be from 0 to 65535"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    fault: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(cli, "_log_to_stderr", lambda *_: None)
    monkeypatch.setattr(OneBot, "run", lambda _: pytest.fail("it was served"))
    status = cli.main(["onebot", "--port=0", "--reverse=ws://127.0.0.1:1/", fault])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("rawbot: ")
    assert told in err
    assert err.count("\n") == 1
    assert "secret" not in err


def test_a_malformed_url_ends_the_process_without_a_traceback():
    ended = end(start("onebot", "--port", "0", "--reverse", "127.0.0.1"))
    told = "rawbot: url must be of the form ws://host:port/path or wss://…\n"
    assert (ended.status, ended.out, ended.err) == (2, "", told)


def test_a_port_in_use_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = end(start("onebot", "--port", str(port)))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"rawbot: cannot listen on 127.0.0.1:{port}: Address already in use\n"
