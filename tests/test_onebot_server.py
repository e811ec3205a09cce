"""rawbot/onebot_server.py: implementations with their connections, in one loop, again and again.

What goes over the connections: tests/onebot/test_conformance.py, test_endpoint_polls.py and test_webhook_pushes.py.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator

import pytest
from honest_bot import listen, read_request, response
from onebot_parts import TOKEN, VERSION, Clock, Data, asking, message
from onebot_serving import Http, ask, hear, make_onebot, pack, serve, unpack, websocket
from talking import in_time, until
from websocket_requests import FIELDS
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

import rawbot
from rawbot import onebot_server
from rawbot.aio.app import App
from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.aio.server import serve as serve_app
from rawbot.errors import ConfigError, MissingExtraError, StateError
from rawbot.onebot.settings import HTTP, HTTPWebhook, WebSocket, WebSocketReverse
from rawbot.onebot_server import OneBot, OneBotServer
from rawbot.websocket import handshake

LOCAL = OutgoingPolicy(allow_http=True, allow_loopback=True)
NEVER = 600_000
"""Milliseconds that no test has."""


async def version(port: int) -> Data:
    async with Http(port) as http:
        return await http.ask("get_version")


# Listening


def test_http_and_websocket_of_one_host_and_port_share_a_socket():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        assert len(server.urls) == len(server.servers) == 1
        assert server.urls == [f"http://127.0.0.1:{server.port}"]
        async with websocket(server.port) as ws:
            assert (await ask(ws, asking("get_version")))["data"] == (await version(server.port))["data"] == VERSION

    serve(talk)


def test_of_other_hosts_and_ports_each_has_a_socket_of_its_own():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        assert [url.split("//")[1].split(":")[0] for url in server.urls] == ["127.0.0.1", "127.0.0.2"]
        first, second = (served.port for served in server.servers)
        assert (await version(first))["data"] == VERSION
        reader, writer = await asyncio.open_connection("127.0.0.2", second)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"405"
        writer.close()

    serve(talk, HTTP(port=0), WebSocket(host="127.0.0.2", port=0))


def test_of_port_0_there_are_as_many_sockets_as_are_needed():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        assert len({served.port for served in server.servers}) == 2
        assert server.port == server.servers[0].port
        tokens = []
        for served in server.servers:
            async with Http(served.port) as http:
                for token in (b"one", b"two"):
                    http.send(pack(asking("get_version")), b"Authorization: Bearer " + token)
                    tokens.append((await http.receive())[0])
        assert tokens == [200, 401, 401, 200]
        async with websocket(server.servers[0].port) as ws:
            ob.push(message(1))
            assert (await hear(ws))["id"] == "e1"

    serve(talk, HTTP(port=0, access_token="one"), HTTP(port=0, access_token="two"), WebSocket(port=0))


def test_two_of_a_kind_cannot_share_a_port():
    for kind in (HTTP, WebSocket):
        with pytest.raises(ConfigError, match=r"cannot share 127\.0\.0\.1:8080"):
            make_onebot(kind(), kind())
    make_onebot(HTTP(), WebSocket(), HTTP(port=8081), HTTP(host="127.0.0.2"))


def test_a_port_that_is_taken_is_told_and_what_was_bound_before_is_let_go():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ob = make_onebot(HTTP(port=0), HTTP(port=taken.getsockname()[1]))

        async def run() -> None:
            with pytest.raises(ConfigError):
                async with ob.serve():
                    pytest.fail("it was served")

        in_time(run())
        assert ob._sinks == []
        assert ob._services == []


def test_without_any_place_to_listen_it_still_serves():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        assert (server.urls, server.port) == ([], 0)
        ob.push(message(1))

    ob = OneBot("my-impl", platform="loop", version="1", bots=["b1"])

    async def run() -> None:
        async with ob.serve() as server:
            await talk(ob, server)

    in_time(run())


def test_several_implementations_live_in_one_loop():
    async def run() -> None:
        obs = [make_onebot(bots=[f"b{number}"]) for number in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(ob.serve()) for ob in obs]
            sockets = [await stack.enter_async_context(websocket(server.port)) for server in servers]
            for number, (ob, server) in enumerate(zip(obs, servers, strict=True)):
                async with Http(server.port) as http:
                    assert (await http.ask("who"))["data"] == f"b{number}"
                ob.push(message(number))
            for number, ws in enumerate(sockets):
                assert (await hear(ws))["id"] == f"e{number}"

    in_time(run())


def test_it_starts_and_stops_again_and_again():
    ob = make_onebot()

    async def once(number: int) -> None:
        async with ob.serve() as server, websocket(server.port) as ws:
            assert (await version(server.port))["data"] == VERSION
            ob.push(message(number))
            assert (await hear(ws))["id"] == f"e{number}"
            assert (await ask(ws, asking("get_status")))["data"]["good"] is True

    async def run() -> None:
        for number in range(3):
            await once(number)
        assert (ob._sinks, ob._services) == ([], [])

    in_time(run())
    in_time(run())  # on another loop


def test_websockets_hear_that_it_goes_and_are_closed_with_1001():
    ob = make_onebot()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with ob.serve() as server:
                ws = await stack.enter_async_context(websocket(server.port))
                closing = asyncio.create_task(read_to_the_end(ws))
            events, code = await closing
            assert [event["status"] for event in events] == [{"good": False, "bots": []}]
            assert code == 1001

    in_time(run())


async def read_to_the_end(ws: ClientConnection | ServerConnection) -> tuple[list[Data], int | None]:
    events = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            events.append(json.loads(await ws.recv()))
    return events, ws.close_code


def test_actions_under_way_are_answered_before_the_end():
    ob = make_onebot()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with ob.serve() as server:
                http = await stack.enter_async_context(Http(server.port))
                ws = await stack.enter_async_context(websocket(server.port))
                http.send(pack(asking("wait", name="a", echo="h")))
                await ws.send(json.dumps(asking("wait", name="a", echo="w")))
                await until(lambda: len(ob.performer) == 2)
                asyncio.get_running_loop().call_later(0.05, ob.gates["a"].set)
            assert unpack((await http.receive())[2])["echo"] == "h"
            events, _ = await read_to_the_end(ws)
            assert [event.get("echo") for event in events] == [None, "w"]

    in_time(run())


def test_a_slow_application_holds_up_neither_emit_nor_the_others():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        loop = asyncio.get_running_loop()
        with stuck:
            await loop.sock_connect(stuck, ("127.0.0.1", server.port))
            fields = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in FIELDS.items())
            await loop.sock_sendall(stuck, f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
            async with websocket(server.port) as ws:
                await until(lambda: len(ob._sinks) == 3)
                got = 0
                began = loop.time()
                for number in range(200):
                    ob.push(message(number, text="x" * 100_000))
                    got += (await hear(ws))["id"] == f"e{number}"
                assert got == 200
                assert loop.time() - began < 5
                assert ob.dropped > 100
                assert (await ask(ws, asking("get_version")))["data"] == VERSION

    serve(talk, HTTP(port=0), WebSocket(port=0, max_queue_bytes=1_000_000))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_a_program_it_says_where_it_listens_and_serves_until_it_is_told_to_stop(
    number: int, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []

    def say(url: str) -> None:
        said.append(url)
        asyncio.get_running_loop().call_soon(signal.raise_signal, number)

    monkeypatch.setattr(onebot_server, "say_where", say)
    make_onebot().run()
    assert len(said) == 1
    assert said[0].startswith("http://127.0.0.1:")


def test_a_second_signal_stops_the_program_at_once(monkeypatch: pytest.MonkeyPatch):
    ob = make_onebot(HTTP(port=0))

    async def wait() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(0.05)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(60)

    async def ask_for_it(url: str) -> None:
        async with Http(int(url.rpartition(":")[2])) as http:
            http.send(pack(asking("forever", echo="e")))
            assert unpack((await http.receive())[2])["echo"] == "e"

    ob.action("forever")(wait)
    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(
        onebot_server, "say_where", lambda url: tasks.append(asyncio.get_running_loop().create_task(ask_for_it(url)))
    )
    began = time.monotonic()
    ob.run()
    assert time.monotonic() - began < 2
    assert tasks[0].exception() is None


# Reverse WebSockets


class Application:
    """Takes the WebSockets that come, and what they say first."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self, port: int = 0, **options: object) -> AsyncIterator[None]:
        async def accept(ws: ServerConnection) -> None:
            self.came.put_nowait(ws)
            await ws.wait_closed()

        async with serve_websockets(accept, "127.0.0.1", port, **options) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/onebot?access_token=in-the-url"
            yield

    async def greeted(self) -> ServerConnection:
        ws = await self.came.get()
        assert [(json.loads(await ws.recv()))["detail_type"] for _ in range(2)] == ["connect", "status_update"]
        return ws


def test_a_reverse_websocket_is_as_a_forward_one():
    application = Application()

    async def run() -> None:
        async with application.open():
            ob = make_onebot(WebSocketReverse(application.url, access_token=TOKEN, reconnect_interval=NEVER))
            async with ob.serve():
                ws = await application.greeted()
                assert ws.request.headers["Authorization"] == f"Bearer {TOKEN}"
                assert ws.request.headers["Sec-WebSocket-Protocol"] == "12.my-impl"
                assert ws.request.headers["User-Agent"] == "OneBot/12 (loop) my-impl/1.2"
                for binary in (False, True):
                    assert (await ask(ws, asking("who", echo="e"), binary=binary))["data"] == "b1"
                for bad in ("{", b"\xc1"):
                    assert (await ask(ws, bad))["retcode"] == 10001
                ob.push(message(1))
                assert json.loads(await ws.recv())["id"] == "e1"

    in_time(run())


def test_each_event_comes_once_after_any_number_of_reconnections():
    application = Application()

    async def run() -> None:
        async with application.open():
            ob = make_onebot(WebSocketReverse(application.url, reconnect_interval=10))
            async with ob.serve():
                for number in range(4):
                    ws = await application.greeted()
                    assert len(ob._sinks) == 1
                    ob.push(message(number))
                    assert json.loads(await ws.recv())["id"] == f"e{number}"
                    assert application.came.empty()
                    await ws.close()
                ob.push(message(9))  # to nobody
                ws = await application.greeted()
                ob.push(message(10))
                assert json.loads(await ws.recv())["id"] == "e10"

    in_time(run())


def test_an_answer_is_never_given_on_a_later_connection():
    application = Application()

    async def run() -> None:
        async with application.open():
            ob = make_onebot(WebSocketReverse(application.url, reconnect_interval=10))
            async with ob.serve():
                ws = await application.greeted()
                await ws.send(json.dumps(asking("wait", name="a", echo="old")))
                await until(lambda: len(ob.performer))
                ws.transport.abort()
                ws = await application.greeted()
                ob.gates["a"].set()
                await until(lambda: not len(ob.performer))
                assert (await ask(ws, asking("get_version", echo="new")))["echo"] == "new"

    in_time(run())


def test_heartbeats_come_on_every_connection_that_pushes():
    application = Application()

    async def run() -> None:
        async with application.open():
            reverse = WebSocketReverse(application.url)
            ob = make_onebot(HTTP(port=0), WebSocket(port=0), reverse, heartbeat=20)
            async with ob.serve() as server, websocket(server.port) as forward:
                for ws in (forward, await application.greeted()):
                    for _ in range(2):
                        beat = json.loads(await ws.recv())
                        assert (beat["type"], beat["detail_type"], beat["interval"]) == ("meta", "heartbeat", 20)

    in_time(run())


# Webhooks' and files' side of a restart


def test_a_webhook_is_told_of_the_bots_at_each_start():
    statuses: list[Data] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            while True:
                *_, body = await read_request(reader)
                statuses.append(json.loads(body)["status"])
                writer.write(response(204, b""))

    async def run() -> None:
        async with listen(accept) as url:
            ob = make_onebot(HTTPWebhook(url))
            for number in (1, 2):
                async with ob.serve():
                    await until(lambda number=number: len(statuses) == 2 * number - 1)
        assert [status["good"] for status in statuses] == [True, False, True, False]

    in_time(run())


def test_files_can_be_fetched_after_a_restart_too_and_are_gone_after_each():
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            await read_request(reader)
            writer.write(response(200, b"the file", b"Connection: close"))

    async def run() -> None:
        ob = make_onebot(outgoing=LOCAL)
        ob.serve_files()
        async with listen(accept) as url:
            file_id = ""
            for _ in range(3):
                async with ob.serve() as server, Http(server.port) as http:
                    if file_id:
                        gone = await http.ask("get_file", file_id=file_id, type="data")
                        assert gone["status"] == "failed"
                    sent = await http.ask("upload_file", type="url", name="a.txt", url=url)
                    assert sent["status"] == "ok", sent
                    file_id = sent["data"]["file_id"]
                    read = await http.ask("get_file", file_id=file_id, type="data")
                    assert read["data"]["data"] == "dGhlIGZpbGU="

    in_time(run())


def test_files_are_there_till_the_last_connection_is_closed():
    ob = make_onebot(HTTP(port=0), WebSocketReverse("ws://127.0.0.1:1/", reconnect_interval=NEVER))
    ob.serve_files()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with ob.serve() as server:
                http = await stack.enter_async_context(Http(server.port))
                sent = await http.ask("upload_file", type="data", name="a", data="YQ==")
                http.send(pack(asking("wait", name="a")))
                http.send(pack(asking("get_file", file_id=sent["data"]["file_id"], type="data")))
                await until(lambda: len(ob.performer) == 1)
                asyncio.get_running_loop().call_later(0.05, ob.gates["a"].set)
            assert unpack((await http.receive())[2])["data"] == "a"

    in_time(run())


# On an app of one's own


def test_on_an_app_it_answers_where_it_is_mounted():
    async def run() -> None:
        ob, app = make_onebot(HTTP()), App()
        ob.mount(app, "/onebot", http=HTTP(access_token=TOKEN), websocket=WebSocket())
        async with serve_app(app, port=0) as server, Http(server.port) as http:
            http.send(pack(asking("get_version")), f"Authorization: Bearer {TOKEN}".encode(), target=b"/onebot")
            status, _, body = await http.receive()
            assert (status, unpack(body)["data"]) == (200, VERSION)
            http.send(pack(asking("get_version")), target=b"/onebot")
            assert (await http.receive())[0] == 401

    in_time(run())


def test_on_two_paths_of_an_app_what_it_opens_is_opened_once():
    application = Application()

    async def run() -> None:
        async with application.open():
            ob, app = make_onebot(WebSocketReverse(application.url, reconnect_interval=NEVER)), App()
            ob.mount(app, "/a", http=HTTP())
            ob.mount(app, "/b", websocket=WebSocket())
            async with serve_app(app, port=0):
                await application.greeted()
                async with ob.serve():  # what listens besides opens nothing twice, either
                    await asyncio.sleep(0.02)
                    assert application.came.empty()

    in_time(run())


def test_an_app_that_runs_again_has_all_of_it_again():
    application = Application()

    async def run() -> None:
        async with application.open():
            ob, app = make_onebot(WebSocketReverse(application.url)), App()
            ob.mount(app, "/a", http=HTTP(), websocket=WebSocket())
            for number in range(2):
                async with serve_app(app, port=0) as server, Http(server.port) as http:
                    ws = await application.greeted()
                    ob.push(message(number))
                    assert json.loads(await ws.recv())["id"] == f"e{number}"
                    http.send(pack(asking("get_latest_events")), target=b"/a")
                    assert [event["id"] for event in unpack((await http.receive())[2])["data"]] == [f"e{number}"]

    in_time(run())


def test_for_neither_way_it_cannot_be_mounted():
    with pytest.raises(ConfigError):
        make_onebot().mount(App(), "/")


# What is refused, warned of, and shown


@pytest.mark.parametrize(
    "wrong", [5, None, "http://127.0.0.1", {"port": 8080}, HTTP, rawbot.WebSocketSettings()], ids=repr
)
def test_what_is_no_connection_is_refused(wrong: object):
    with pytest.raises(ConfigError, match="is no connection"):
        make_onebot(HTTP(), wrong)


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "h_", "a..b"])
def test_a_url_that_leads_nowhere_is_refused_when_it_is_given(host: str):
    for connection in (HTTPWebhook(f"http://{host}/secret"), WebSocketReverse(f"ws://{host}/secret")):
        with pytest.raises(ConfigError) as refused:
            make_onebot(connection)
        assert "secret" not in str(refused.value)


def test_a_missing_library_is_named_when_it_is_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onebot_server, "find_spec", lambda name: None if name == "httpx" else 1)
    with pytest.raises(MissingExtraError, match=r"rawbot\[client\]"):
        make_onebot(HTTPWebhook("http://h/"))
    monkeypatch.setattr(handshake, "INSTALLED", False)
    for connection in (WebSocket(), WebSocketReverse("ws://h/")):
        with pytest.raises(MissingExtraError, match=r"rawbot\[websocket\]"):
            make_onebot(connection)
    make_onebot(HTTP())


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [
        ("127.0.0.1", None, False),
        ("127.0.0.3", "", False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", "", True),
        ("0.0.0.0", TOKEN, False),
    ],
)
def test_whoever_lets_everybody_in_from_everywhere_is_warned(
    host: str,
    token: str | None,
    warned: bool,  # noqa: FBT001 - a parameter of the table
    caplog: pytest.LogCaptureFixture,
):
    async def talk(_: OneBot, __: OneBotServer) -> None:
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert bool(warnings) is warned
        assert all(f"OneBot listens on {host} without an access token" in warning for warning in warnings)

    serve(talk, HTTP(host=host, port=0, access_token=token), WebSocket(host=host, port=0, access_token=TOKEN))


@pytest.mark.parametrize("host", ["::", "example.com", "", "192.0.2.1", "127.example.com", "::1", "127.0.0.1"])
def test_what_is_this_machine_only_is_known_by_its_address(host: str):
    assert onebot_server._is_loopback(host) is (host in ("::1", "127.0.0.1"))


def test_tokens_are_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "rawbot")
    application = Application()

    async def run() -> None:
        async with application.open():
            dead = "127.0.0.1:1/?access_token=in-the-url"
            ob = make_onebot(
                HTTP(port=0, access_token=TOKEN),
                WebSocket(port=0, access_token=TOKEN),
                HTTPWebhook(f"http://{dead}", access_token=TOKEN),
                WebSocketReverse(f"ws://{dead}", access_token=TOKEN, reconnect_interval=NEVER),
                WebSocketReverse(application.url, access_token=TOKEN, reconnect_interval=NEVER),
            )
            async with ob.serve() as server, Http(server.port) as http, websocket(server.port, TOKEN):
                await application.greeted()
                for fields in ([], [b"Authorization: Bearer wrong-token"], [f"Authorization: Bearer {TOKEN}".encode()]):
                    http.send(pack(asking("get_version")), *fields, target=b"/?access_token=wrong-token")
                    await http.receive()
                await until(lambda: "no connection" in caplog.text and "no WebSocket to" in caplog.text)
                shown = [repr(ob), *map(repr, ob._services), *map(repr, ob._places), *map(repr, ob._out), repr(server)]
        for text in (caplog.text, *shown):
            assert TOKEN not in text
            assert "wrong-token" not in text
            assert "in-the-url" not in text

    in_time(run())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_complaints_do_not_fill_the_log(caplog: pytest.LogCaptureFixture):
    clock = Clock()
    ob = make_onebot(clock=clock)
    for _ in range(50):
        ob._complain("something")
    clock.now += 60
    ob._complain("another thing")
    assert caplog.messages == [
        *["my-impl: something"] * 10,
        "my-impl: that, or the like, 40 more times",
        "my-impl: another thing",
    ]


def test_while_its_app_runs_it_cannot_be_mounted_there():
    async def run() -> None:
        ob, app = make_onebot(), App()
        ob.mount(app, "/a", http=HTTP())
        async with serve_app(app, port=0):
            with pytest.raises(StateError):
                ob.mount(app, "/b", http=HTTP())

    in_time(run())


def test_its_place_in_the_facade_is_loaded_when_it_is_asked_for():
    assert rawbot.OneBot is OneBot
