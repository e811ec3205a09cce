"""Pollers in an app, against a small Long Poll server on a real socket: restarts, outages, and an end without delay."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import orjson
import pytest
from fake_endpoint import until
from vk_polling import FakeQueue
from vk_samples import GROUP, SECRET, encode, message, update

import rawbot
from rawbot.exchange import Answer, Endpoint, Exchange, OutgoingRequest, Pending, Request, Response
from rawbot.simulate.http_client import HttpClient
from rawbot.stores.journal import SqliteJournal
from rawbot.vk import longpoll
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.group_longpoll import GroupLongPoll
from rawbot.vk.settings import VKGroup
from rawbot.vk.user_longpoll import UserLongPoll

_JSON = b"application/json"


class SmallVK(Endpoint):
    """Keys, polls that wait, and messages.send: for one community, or for one account with `numeric`."""

    below = True
    needs_bot = False

    def __init__(self, *, numeric: bool = False) -> None:
        self.queue = FakeQueue(numeric=numeric)
        self.url = ""
        self.sent: list[dict[str, str]] = []
        self.polls: list[str] = []
        self.waiting: list[Pending] = []
        self.failures: deque[Response] = deque()
        """What the next polls are answered in place of the truth."""

    def receive(self, request: Request, now: float) -> Exchange:
        method = request.path.rpartition("/")[2]
        if method == "poll":
            return self._poll(request, now)
        if method == "messages.send":
            self.sent.append(dict(parse_qsl(request.body.decode())))
            return _result(len(self.sent))
        assert method.endswith("getLongPollServer")
        server = f"{self.url}/poll"
        told = self.queue.server() | {"server": server.removeprefix("http://") if self.queue.numeric else server}
        return _result(told)

    def _poll(self, request: Request, now: float) -> Exchange:
        self.polls.append(request.query)
        asked = OutgoingRequest("GET", f"{self.url}/poll?{request.query}", b"", (), 0)
        if self.failures:
            return Answer(self.failures.popleft())
        answer = self.queue.poll(asked)
        if orjson.loads(answer.body).get("updates") != []:
            return Answer(answer)
        wait = int(dict(parse_qsl(request.query))["wait"])
        pending = Pending(None, now + wait, lambda _: self.queue.poll(asked))
        self.waiting.append(pending)
        return pending

    def push(self, *events: object) -> None:
        self.queue.events += events
        self.ring()

    def ring(self) -> None:
        waiting, self.waiting = self.waiting, []
        for pending in waiting:
            pending.wake()


def _result(value: object) -> Answer:
    return Answer(Response(200, orjson.dumps({"response": value}), _JSON))


def numbered(number: int, text: str, peer_id: int = 5) -> dict[str, object]:
    about = {"message": message(text, peer_id=peer_id, cmid=number)}
    return update("message_new", about, event_id=f"{number:040x}")


@asynccontextmanager
async def small_vk(port: int = 0, vk: SmallVK | None = None) -> AsyncIterator[SmallVK]:
    vk = vk or SmallVK()
    app = rawbot.App(timeouts=rawbot.Timeouts(graceful=0.1, settle=0.1))
    app.add("/vk", vk)
    async with rawbot.serve(app, port=port) as server:
        vk.url = f"http://127.0.0.1:{server.port}/vk"
        yield vk
        vk.ring()


class Told:
    """A bot that remembers what it was told, and answers."""

    def __init__(self, answer: str = "") -> None:
        self.texts: list[str] = []
        self.bot = rawbot.Bot()
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.bot.on_message(self.receive)

    async def receive(self, event: rawbot.Event, reply: rawbot.Reply) -> None:
        self.texts.append(event.text)
        await self.gate.wait()
        if self.answer:
            reply.write(f"{self.answer} {event.text}")


@asynccontextmanager
async def polling(told: Told, service: GroupLongPoll | UserLongPoll) -> AsyncIterator[rawbot.Server]:
    app = rawbot.App(told.bot, timeouts=rawbot.Timeouts(graceful=0.3, settle=1.0))
    app.attach(service)
    async with rawbot.serve(app, port=0) as server:
        yield server


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main(), 20)

    asyncio.run(bounded())


def test_messages_come_in_their_order_and_are_answered():
    async def main() -> None:
        told = Told("echo")
        async with small_vk() as vk, polling(told, GroupLongPoll(GROUP, "token", api_url=vk.url)):
            await until(lambda: vk.waiting)
            vk.push(*[numbered(n, str(n)) for n in range(5)])
            await until(lambda: len(vk.sent) == 5)
            vk.push(numbered(5, "last"))
            await until(lambda: len(vk.sent) == 6)
            assert told.texts == ["0", "1", "2", "3", "4", "last"]
            assert [sent["message"] for sent in vk.sent] == [f"echo {text}" for text in told.texts]
            assert len({sent["random_id"] for sent in vk.sent}) == 6
            assert (len(vk.waiting), vk.queue.keys) == (1, 1)
            assert "content-length" not in vk.polls[0]

    run(main)


def test_an_account_is_polled_as_well():
    async def main() -> None:
        told = Told("echo")
        async with small_vk(vk=SmallVK(numeric=True)) as vk, polling(told, UserLongPoll("token", api_url=vk.url)):
            await until(lambda: vk.waiting)
            vk.push([4, 17, 1, 5, 1_700_000_000, "a<br>b", {}, {}, 0], [61, 5, 1])
            await until(lambda: vk.sent)
            assert (told.texts, vk.sent[0]["peer_id"], vk.sent[0]["message"]) == (["a\nb"], "5", "echo a\nb")

    run(main)


def test_keys_that_are_over_and_answers_that_are_none_do_not_lose_a_message():
    async def main() -> None:
        told = Told()
        async with small_vk() as vk, polling(told, GroupLongPoll(GROUP, "token", api_url=vk.url, entropy=bytes)):
            await until(lambda: vk.waiting)
            vk.queue.expire_key()
            vk.failures += [Response(502, b"<html>"), Response(200, b'{"ts":"9","upda')]
            vk.push(numbered(1, "a"))
            await until(lambda: told.texts)
            vk.push(numbered(2, "b"))
            await until(lambda: len(told.texts) == 2)
            assert (told.texts, vk.queue.keys) == (["a", "b"], 2)

    run(main)


def test_an_outage_is_sat_out():
    async def main() -> None:
        told, vk = Told(), SmallVK()
        async with AsyncExitStack() as stack:
            async with small_vk(vk=vk):
                port = int(vk.url.rpartition(":")[2].partition("/")[0])
                service = GroupLongPoll(GROUP, "token", api_url=vk.url, entropy=bytes)
                await stack.enter_async_context(polling(told, service))
                await until(lambda: vk.waiting)
            vk.queue.events.append(numbered(1, "while it was away"))
            await until(lambda: service.poll.setbacks.failures["no connection"])
            async with small_vk(port, vk):
                await until(lambda: told.texts)
                await stack.aclose()
        assert told.texts == ["while it was away"]
        assert service.poll.gaps == 0

    run(main)


def test_a_new_process_is_told_what_came_while_there_was_none(tmp_path: Path):
    async def main() -> None:
        async with small_vk() as vk:
            for number, text in enumerate(("first", "second", "third"), 1):
                told, journal = Told(), SqliteJournal(tmp_path / "events.db")
                async with polling(told, GroupLongPoll(GROUP, "token", api_url=vk.url, journal=journal)):
                    await until(lambda: vk.waiting)
                    assert told.texts == ([] if number == 1 else [f"between {number - 1}"])
                    vk.push(numbered(number, text))
                    await until(lambda told=told, text=text: text in told.texts)
                journal.close()
                vk.ring()
                vk.push(numbered(100 + number, f"between {number}"))

    run(main)


def test_what_an_end_cuts_off_is_taken_on_by_the_next_process(tmp_path: Path):
    async def main() -> None:
        async with small_vk() as vk:
            told, journal = Told("echo"), SqliteJournal(tmp_path / "events.db")
            told.gate.clear()
            async with polling(told, GroupLongPoll(GROUP, "token", api_url=vk.url, journal=journal)):
                await until(lambda: vk.waiting)
                vk.push(numbered(1, "a"))
                await until(lambda: told.texts)
            journal.close()
            assert vk.sent == []
            told, journal = Told("echo"), SqliteJournal(tmp_path / "events.db")
            async with polling(told, GroupLongPoll(GROUP, "token", api_url=vk.url, journal=journal)):
                await until(lambda: vk.sent)
            journal.close()
            assert (told.texts, len(vk.sent)) == (["a"], 1)

    run(main)


def test_a_poll_under_way_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with small_vk() as vk:
            async with polling(Told(), GroupLongPoll(GROUP, "token", api_url=vk.url)):
                await until(lambda: vk.waiting)
                begun = time.monotonic()
            assert time.monotonic() - begun < 0.9  # less than `settle`

    with caplog.at_level(logging.WARNING):
        run(main)
    assert caplog.messages == []


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(longpoll, "MARGIN", -0.8)

    async def main() -> None:
        told = Told()
        async with small_vk() as vk:
            service = GroupLongPoll(GROUP, "token", wait=1, api_url=vk.url, entropy=bytes)
            async with polling(told, service):
                await until(lambda: service.poll.setbacks.failures["HTTP 504"])
                vk.push(numbered(1, "a"))
                await until(lambda: told.texts)

    run(main)


def test_beside_a_callback_door_each_message_is_handled_once():
    async def main() -> None:
        told = Told("echo")
        async with small_vk() as vk:
            door = VKEndpoint({GROUP: VKGroup(secret=SECRET, token="token")}, api_url=vk.url)
            app = rawbot.App(told.bot, timeouts=rawbot.Timeouts(graceful=0.3, settle=1.0))
            app.add("/webhook", door)
            app.attach(GroupLongPoll(GROUP, beside=door))
            async with rawbot.serve(app, port=0) as server, HttpClient(f"http://127.0.0.1:{server.port}") as client:
                await until(lambda: vk.waiting)
                both = [numbered(n, str(n)) for n in range(4)]
                for event in both[:2]:
                    answer = await client.request("POST", "/webhook", (), encode(event | {"secret": SECRET}))
                    assert answer.body == b"ok"
                vk.push(*both)
                await until(lambda: len(vk.sent) == 4)
                for event in both:
                    answer = await client.request("POST", "/webhook", (), encode(event | {"secret": SECRET}))
                    assert answer.body == b"ok"
                await asyncio.sleep(0.05)
            assert sorted(told.texts) == ["0", "1", "2", "3"]
            assert len(vk.sent) == 4

    run(main)


def test_a_refused_version_is_in_the_log(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        async with small_vk(vk=SmallVK(numeric=True)) as vk:
            vk.failures.append(Response(200, b'{"failed":4,"min_version":0,"max_version":19}', _JSON))
            service = UserLongPoll("token", version=99, api_url=vk.url)
            async with polling(Told(), service):
                await until(lambda: caplog.messages)
                assert len(vk.polls) == 1

    with caplog.at_level(logging.ERROR):
        run(main)
    assert caplog.records[0].exc_info is not None
    assert "VK does not speak version 99 of Long Poll (failed 4), but 0 to 19" in str(caplog.records[0].exc_info[1])
