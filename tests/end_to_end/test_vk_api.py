"""`VKApi` over real sockets, drained by the engine room: what the awaiting code sees."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qsl

import orjson
import pytest
from talking import in_time, until, url_of

import rawbot
from rawbot.errors import StateError
from rawbot.exchange import Answer, Endpoint, Exchange, Pending, Request, Response, Service
from rawbot.vk.api import VKApi
from rawbot.vk.errors import AccessError, CallTimeoutError, ShutdownError, UnreachableError, VKError

TOKEN = "vk1.a.SecretTokenOfACommunity-_"


class FakeVK(Endpoint):
    """Answers calls as `reply` says, at once or, for "slow.slow", never; `calls` are what it was asked."""

    below = True
    needs_bot = False

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.tokens: set[bytes | None] = set()
        self.times: list[float] = []
        self.reply: Callable[[str, dict[str, str]], object] = lambda method, _: {"response": method}
        self.files: list[bytes] = []

    def receive(self, request: Request, now: float) -> Exchange:
        method = request.path.rpartition("/")[2]
        if method == "upload":
            self.files.append(request.body)
            assert request.header(b"authorization") is None
            return Answer(Response(200, b'{"server":1,"photo":"[1]","hash":"x"}'))
        fields = dict(parse_qsl(request.body.decode("ascii")))
        self.calls.append((method, fields))
        self.times.append(time.monotonic())
        self.tokens.add(request.header(b"authorization"))
        assert TOKEN not in request.path + request.query + request.body.decode()
        if method == "slow.slow":
            return Pending(None, now + 60, lambda _: Response(504))
        return Answer(Response(200, orjson.dumps(self.reply(method, fields)), b"application/json"))


class Attached(Service):
    """Takes an API into an app, as an endpoint does."""

    def __init__(self, api: VKApi) -> None:
        self.api = api
        self.sources = [api]

    def start(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        self.api.promise = self.promise
        self.api.start()

    def tick(self, now: float) -> None:
        self.api.tick(now)
        self.deadline = self.api.deadline


@contextlib.asynccontextmanager
async def meeting(url: str = "", **settings: float) -> AsyncIterator[tuple[VKApi, FakeVK]]:
    """Let an app with an API meet VK, or whoever is at this URL."""
    vk = FakeVK()
    platform = rawbot.App()
    platform.add("/method", vk)
    async with rawbot.serve(platform, port=0) as there:
        api = VKApi(TOKEN, url=url or url_of(there) + "/method", **settings)
        app = rawbot.App()
        app.attach(Attached(api))
        async with rawbot.serve(app, port=0):
            yield api, vk


def test_a_call_is_awaited():
    async def talk() -> None:
        async with meeting() as (api, vk):
            assert await api.users.get(user_ids=[1, 2]) == "users.get"
            assert await asyncio.gather(*(api.call("messages.send", n=n) for n in range(5))) == ["messages.send"] * 5
        assert vk.tokens == {b"Bearer " + TOKEN.encode()}
        assert vk.calls[0] == ("users.get", {"user_ids": "1,2", "v": "5.199"})
        assert len({fields["random_id"] for _, fields in vk.calls[1:]}) == 5

    in_time(talk())


def test_what_vk_refuses_is_raised_where_it_is_awaited():
    async def talk() -> None:
        async with meeting() as (api, vk):
            vk.reply = lambda *_: {"error": {"error_code": 901, "error_msg": "no permission"}}
            with pytest.raises(AccessError, match=r"messages\.send: 901 no permission"):
                await api.messages.send(peer_id=1, message="x")

    in_time(talk())


def test_calls_beyond_the_rate_wait_for_the_next_second():
    async def talk() -> None:
        async with meeting(rate=5) as (api, vk):
            await asyncio.gather(*(api.users.get() for _ in range(12)))
        assert len(vk.times) == 12
        assert vk.times[5] - vk.times[0] > 0.6  # the first ones have waited for their connections
        assert vk.times[10] - vk.times[5] > 0.9

    in_time(talk())


def test_calls_made_together_share_requests():
    def reply(method: str, fields: dict[str, str]) -> object:
        if method != "execute":
            return {"response": 0}
        methods = [part.partition("(")[0] for part in fields["code"].split("API.")[1:]]
        errors = [{"method": "wall.pin", "error_code": 15, "error_msg": "no"}]
        return {"response": [method != "wall.pin" for method in methods], "execute_errors": errors}

    async def talk() -> None:
        async with meeting(batch=True) as (api, vk):
            vk.reply = reply
            calls = [api.users.get(), api.wall.post(), api.wall.pin(), api.wall.post()]
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert [method for method, _ in vk.calls] == ["users.get", "execute"]
        assert results[:2] == [0, True]
        assert str(results[2]) == "wall.pin: 15 no"
        assert results[3] is True

    in_time(talk())


def test_a_file_is_uploaded():
    async def talk() -> None:
        async with meeting() as (api, vk):
            answers = {
                "photos.getMessagesUploadServer": {"upload_url": api._access.url + "upload"},
                "photos.saveMessagesPhoto": [{"id": 1, "owner_id": -2, "access_key": "k"}],
            }
            vk.reply = lambda method, _: {"response": answers[method]}
            assert await api.upload_photo(b"\x89PNG\r\n\x1a\n" + bytes(300_000), peer_id=7) == "photo-2_1_k"
        (file,) = vk.files
        assert len(file) > 300_000

    in_time(talk())


def test_who_does_not_wait_any_longer_leaves_nothing_behind():
    async def talk() -> None:
        async with meeting(rate=1) as (api, vk):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await api.slow.slow()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await api.users.get()  # waits for the next second
            assert await api.groups.get() == "groups.get"
        assert [method for method, _ in vk.calls] == ["slow.slow", "groups.get"]

    in_time(talk())


def test_a_call_has_its_time_and_no_more():
    async def talk() -> None:
        async with meeting(timeout=0.5) as (api, _):
            began = time.monotonic()
            with pytest.raises(CallTimeoutError) as caught:
                await api.slow.slow()
            assert caught.value.uncertain
            assert time.monotonic() - began < 2

    in_time(talk())


def test_when_nobody_is_there_it_is_told_after_some_tries():
    async def talk(url: str) -> None:
        async with meeting(url, timeout=1.5) as (api, _):
            with pytest.raises((UnreachableError, CallTimeoutError)) as caught:
                await api.wall.post()
            assert not caught.value.uncertain
            assert api.repeated > 0

    with socket.socket() as place:  # nobody listens there, and nobody else will
        place.bind(("127.0.0.1", 0))
        in_time(talk(f"http://127.0.0.1:{place.getsockname()[1]}/"))


def test_the_end_of_the_app_is_the_end_of_its_calls():
    ended: list[VKError] = []

    async def wait(api: VKApi) -> None:
        try:
            await api.slow.slow()
        except VKError as error:
            ended.append(error)

    async def talk() -> None:
        async with meeting() as (api, vk):
            tasks = [asyncio.create_task(wait(api)) for _ in range(2)]
            await until(lambda: len(vk.calls) == 2)
        await asyncio.gather(*tasks)
        with pytest.raises(ShutdownError):
            await api.users.get()

    in_time(talk())
    assert [type(error) for error in ended] == [ShutdownError] * 2
    assert all(error.uncertain for error in ended)


def test_before_the_app_runs_there_is_nothing_to_await():
    with pytest.raises(StateError):
        VKApi(TOKEN).users.get()
