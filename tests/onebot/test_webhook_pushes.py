"""Webhooks over real sockets, to applications that misbehave: rawbot/onebot/webhook.py with the shell around it.

OneBot 12, connect/communication/http-webhook. What the command line's platform pushes is in
end_to_end/test_onebot_loopback.py.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx  # noqa: F401 - here, since the first push of all would have to wait for it
import ormsgpack
import pytest
from honest_bot import listen, read_request, response
from onebot_parts import TOKEN, Data, asking, message
from onebot_serving import make_onebot
from talking import in_time, until

from rawbot.aio import engine
from rawbot.onebot import webhook
from rawbot.onebot.settings import HTTPWebhook
from rawbot.onebot_server import OneBot

Misbehave = Callable[[asyncio.StreamWriter], Awaitable[None]]
Answer = bytes | Misbehave
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
JSON = b"Content-Type: application/json"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch):
    """Try again after a moment, not after seconds."""
    monkeypatch.setattr(webhook, "PATIENCE", (0.02, 0.04))
    monkeypatch.setattr(engine, "TICK", 0.02)


class Application:
    """Answers pushes with 204, or as it is told: with bytes, or with what it then does to the connection."""

    def __init__(self, *answers: Answer) -> None:
        self.answers: deque[Answer] = deque(answers)
        self.connections = self.left = 0
        self.at_once = 0
        self.heads: list[bytes] = []
        self.events: list[Data] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with listen(self._serve) as url:
            self.url = f"{url}/hook?access_token=in-the-url"
            yield

    @property
    def told(self) -> list[object]:
        """What came: the ids of events, the names of those about the implementation."""
        return [event["id"] if event["type"] != "meta" else event["detail_type"] for event in self.events]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            await self._answer(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.left += 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            _, target, head, body = await read_request(reader)
            assert target == "/hook?access_token=in-the-url"
            self.at_once += 1
            assert self.at_once == 1
            self.heads.append(head)
            self.events.append(json.loads(body))
            answer = self.answers.popleft() if self.answers else TAKEN
            await asyncio.sleep(0.001)  # so that a second push could come, if there were one
            self.at_once -= 1
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
                return


def push_to(application: Application, talk: Callable[[OneBot], Awaitable[None]], **options: object) -> OneBot:
    """Serve an implementation with a webhook to this application, and talk to it once it has been told of the bots."""
    obs: list[OneBot] = []

    async def run() -> None:
        async with application.open():
            ob = make_onebot(HTTPWebhook(application.url, **options))
            obs.append(ob)
            async with ob.serve():
                await until(lambda: application.events)
                await talk(ob)

    in_time(run())
    return obs[0]


def emit(ob: OneBot, *numbers: int) -> None:
    for number in numbers:
        ob.push(message(number))


def test_events_come_in_order_one_at_a_time_on_one_connection():
    application = Application()

    async def talk(ob: OneBot) -> None:
        emit(ob, *range(30))
        await until(lambda: len(application.events) == 31)

    push_to(application, talk, access_token=TOKEN)
    names = [f"e{number}" for number in range(30)]
    assert application.told == ["status_update", *names, "status_update"]
    assert application.events[-1]["status"] == {"good": False, "bots": []}  # as it goes
    assert application.connections == 1
    for head in application.heads:
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        assert fields[b"content-type"] == b"application/json"
        assert fields[b"user-agent"] == b"onebot/12 (loop) my-impl/1.2"
        assert (fields[b"x-onebot-version"], fields[b"x-impl"]) == (b"12", b"my-impl")
        assert fields[b"authorization"] == f"Bearer {TOKEN}".lower().encode()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"nonsense\r\n\r\n")


async def break_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n[")


async def be_silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(2)


async def drip(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 200:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "failure",
    [
        response(500, b""),
        response(404, b"[]", JSON),
        response(202, b""),
        response(302, b"", b"Location: http://127.0.0.1:1/"),
        hang_up,
        say_nonsense,
        break_off,
        be_silent,
        drip,
    ],
    ids=["500", "404", "202", "302", "hang up", "nonsense", "break off", "silence", "drip"],
)
def test_a_failed_push_is_not_repeated_and_the_next_one_tells_of_the_bots(
    failure: Answer, caplog: pytest.LogCaptureFixture
):
    application = Application(TAKEN, failure)

    async def talk(ob: OneBot) -> None:
        emit(ob, 1, 2)
        await until(lambda: "e2" in application.told)

    push_to(application, talk, timeout=400 if failure in (be_silent, drip) else 5000)
    assert application.told[:4] == ["status_update", "e1", "status_update", "e2"]
    assert application.told.count("e1") == 1
    assert "my-impl: a webhook's push failed (" in caplog.text
    assert "in-the-url" not in caplog.text


def test_a_first_push_that_fails_is_said_again_until_it_is_taken():
    application = Application(response(503, b""), hang_up, response(500, b""))

    async def talk(ob: OneBot) -> None:
        emit(ob, 1)
        await until(lambda: "e1" in application.told)

    push_to(application, talk)
    assert application.told[:5] == ["status_update"] * 4 + ["e1"]


def test_an_application_that_comes_later_gets_all_that_waits(caplog: pytest.LogCaptureFixture):
    application = Application()

    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        ob = make_onebot(HTTPWebhook(f"http://127.0.0.1:{port}/hook?access_token=in-the-url"))
        async with ob.serve():
            emit(ob, 1)
            await until(lambda: "no connection" in caplog.text)
            emit(ob, 2)
            ob.set_online("b1", online=False)
            server = await asyncio.start_server(application._serve, "127.0.0.1", port)
            await until(lambda: len(application.events) == 3)
            server.close()  # without waiting for our own connection, as `async with` does from 3.12 on
        await until(lambda: application.left == application.connections)

    in_time(run())
    assert application.told[:3] == ["status_update", "e1", "e2"]
    assert application.events[0]["status"]["good"] is False
    assert "in-the-url" not in caplog.text


@pytest.mark.parametrize("form", ["application/json", "application/json; charset=utf-8", "application/msgpack"])
def test_the_actions_of_an_answer_are_run_in_their_order_coroutines_too(form: str):
    done: list[object] = []
    requests = [
        asking("slow", number=1),
        asking("fast", number=2),
        asking("send_message"),
        "no request",
        asking("slow", number=3, bot={"platform": "loop", "user_id": "b1"}),
        asking("fast", number=4),
    ]
    body = ormsgpack.packb(requests) if "msgpack" in form else json.dumps(requests).encode()
    application = Application(response(200, body, f"Content-Type: {form}".encode()), response(200, b""))

    async def talk(ob: OneBot) -> None:
        await until(lambda: len(done) == 4)
        emit(ob, 1)
        await until(lambda: "e1" in application.told)

    async def run() -> None:
        async with application.open():
            ob = make_onebot(HTTPWebhook(application.url))

            @ob.action("slow")
            async def slow(number: int) -> None:
                await asyncio.sleep(0.02 / number)
                done.append(number)

            @ob.action("fast")
            def fast(number: int) -> None:
                done.append(number)

            async with ob.serve():
                await talk(ob)

    in_time(run())
    assert done == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "answer",
    [
        response(200, b"{", JSON),
        response(200, b"{}", JSON),
        response(200, b"null", JSON),
        response(200, b"[]", b"Content-Type: text/html"),
        response(200, b"[]"),
        response(200, b"[" + b" " * 5_000_000 + b"]", JSON),
        response(200, ormsgpack.packb([])[:0] + b"\x91", b"Content-Type: application/msgpack"),
    ],
)
def test_a_bad_list_is_only_logged_and_the_push_counts_as_taken(answer: bytes, caplog: pytest.LogCaptureFixture):
    application = Application(TAKEN, answer)

    async def talk(ob: OneBot) -> None:
        emit(ob, 1, 2)
        await until(lambda: "e2" in application.told)

    push_to(application, talk)
    assert application.told[:3] == ["status_update", "e1", "e2"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["my-impl: the answer to a webhook's push is no list of action requests, or too long a one"]


def test_a_connection_that_the_application_closes_between_two_pushes_costs_nothing():
    application = Application()
    application.answers.append(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    async def talk(ob: OneBot) -> None:
        for number in range(3):
            emit(ob, number)
            await until(lambda number=number: f"e{number}" in application.told)

    push_to(application, talk)
    assert application.told[:4] == ["status_update", "e0", "e1", "e2"]
    assert application.connections == 2


def test_two_webhooks_do_not_wait_for_each_other():
    async def run() -> None:
        enough = asyncio.Event()

        async def think(writer: asyncio.StreamWriter) -> None:
            await enough.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        slow, quick = Application(TAKEN, think), Application()
        async with slow.open(), quick.open():
            ob = make_onebot(HTTPWebhook(slow.url), HTTPWebhook(quick.url))
            async with ob.serve():
                await until(lambda: slow.events and quick.events)
                emit(ob, *range(10))
                await until(lambda: len(quick.events) == 11)
                assert len(slow.events) == 2
                enough.set()
                await until(lambda: len(slow.events) == 11)

    in_time(run())


def test_events_that_wait_are_sent_before_the_end():
    application = Application()
    ob = push_to(application, lambda ob: asyncio.sleep(0, emit(ob, *range(20))))
    assert [name for name in application.told if name != "status_update"] == [f"e{number}" for number in range(20)]
    assert ob._sinks == []
