"""OneBot 11 beside OneBot 12 on real sockets: of one implementation, on one app, and for a gateway's channels."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from talking import in_time, make_app, make_platform, url_of
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

import rawbot
from rawbot.onebot.events import private_message
from rawbot.simulate.http_client import HttpClient

TOKEN = "a token"
BEARER = {"authorization": f"Bearer {TOKEN}"}
NOWHERE = "a..b"
"""What no name can be."""
BOT = rawbot.Account("wecom", "aib-of-the-office")

Data = dict[str, object]


def make(*connections: object, **options: object) -> rawbot.OneBot:
    """Make an implementation with one bot, which sends nothing anywhere."""
    ob = rawbot.OneBot("my-impl", platform="loop", version="1", bots=["10001"], connections=connections, **options)
    ob.action("send_message")(lambda user_id: {"message_id": f"to {user_id}", "time": 1.0})
    return ob


@asynccontextmanager
async def opened(url: str, path: str) -> AsyncIterator[ClientConnection]:
    async with connect(url.replace("http://", "ws://") + path, additional_headers=BEARER) as websocket:
        yield websocket


async def hear(websocket: ClientConnection) -> Data:
    return json.loads(await websocket.recv())


async def call(websocket: ClientConnection, action: str, **params: object) -> Data:
    await websocket.send(json.dumps({"action": action, "params": params, "echo": action}))
    return await hear(websocket)


async def get(url: str, target: str, token: str = TOKEN) -> tuple[int, bytes]:
    async with HttpClient(url) as client:
        answer = await client.request("GET", target, [(b"authorization", f"Bearer {token}".encode())], b"")
    return answer.status, answer.body


def test_both_versions_tell_of_the_same_events_and_take_actions_for_the_same_handlers():
    ob = make(
        rawbot.WebSocket(port=0, access_token=TOKEN),
        rawbot.V11HTTP(port=0, access_token=TOKEN),
        rawbot.V11WebSocket(port=0, access_token=TOKEN),
    )

    async def run() -> None:
        async with ob.serve() as server:
            twelve, eleven = server.urls  # those of OneBot 11 share a socket
            async with opened(twelve, "/") as new, opened(eleven, "/") as old, opened(eleven, "/event/") as ear:
                assert [(await hear(new))["detail_type"] for _ in range(2)] == ["connect", "status_update"]
                assert [(await hear(one))["sub_type"] for one in (old, ear)] == ["connect", "connect"]
                await ob.emit(private_message(next(iter(ob.roster)), "hi", "5", "7"))
                assert (await hear(new))["alt_message"] == "hi"
                assert [(await hear(one))["raw_message"] for one in (old, ear)] == ["hi", "hi"]
                answer = await call(new, "send_message", detail_type="private", user_id="5", message="x")
                assert answer["data"] == {"message_id": "to 5", "time": 1.0}
                answer = await call(old, "send_private_msg", user_id=5, message="x")
                status, body = await get(eleven, "/send_private_msg?user_id=5&message=x")
                assert (status, json.loads(body)["data"]) == (200, answer["data"])
            with pytest.raises(InvalidStatus):
                await connect(eleven.replace("http", "ws"), additional_headers={"authorization": "Bearer x"})
            assert (await get(eleven, "/get_status", "wrong"))[0] == 403

    in_time(run())


def test_an_app_has_both_on_two_paths():
    async def run() -> None:
        ob, app = make(), rawbot.App()
        here = {"access_token": TOKEN}
        ob.mount(app, "/new", http=rawbot.HTTP(**here), websocket=rawbot.WebSocket(**here))
        ob.mount(app, "/old", http=rawbot.V11HTTP(**here), websocket=rawbot.V11WebSocket(**here))
        async with rawbot.serve(app, port=0) as server:
            url = url_of(server)
            async with opened(url, "/new") as new, opened(url, "/old/api") as api, opened(url, "/old") as old:
                assert (await hear(new))["detail_type"] == "connect"
                assert (await hear(old))["self_id"] == 10001
                assert (await call(api, "get_status"))["data"] == {"online": True, "good": True}
            assert (await get(url, "/old/get_login_info"))[0] == 404  # there is no get_self_info
            assert (await get(url, "/old/get_version_info/"))[0] == 200

    in_time(run())


def test_what_cannot_be_connected_is_refused_when_it_is_given():
    here = {"port": 1}
    for connections in (
        [rawbot.HTTP(**here), rawbot.V11HTTP(**here)],
        [rawbot.V11WebSocket(**here), rawbot.V11WebSocket(**here)],
        [rawbot.V11HTTP(self_id=5), rawbot.V11WebSocket(self_id=6)],
        [rawbot.V11HTTP(self_id=0)],
        [rawbot.V11HTTP(message_format="xml")],
        [rawbot.V11HTTPPost(f"http://{NOWHERE}/")],
        [rawbot.V11WebSocketReverse(api_url="ws://x/", event_url=f"ws://{NOWHERE}/")],
    ):
        with pytest.raises(rawbot.ConfigError):
            make(*connections)
    with pytest.raises(rawbot.ConfigError, match="name it"):
        rawbot.OneBot("my-impl", platform="loop", version="1", connections=[rawbot.V11HTTP()])
    for http, websocket in ((rawbot.HTTP(), rawbot.V11WebSocket()), (rawbot.V11HTTP(), rawbot.WebSocket())):
        with pytest.raises(rawbot.ConfigError, match="a path of their own"):
            make().mount(rawbot.App(), "/", http=http, websocket=websocket)


def test_the_bots_number_is_told_on_all_connections_whichever_names_it():
    ob = make(rawbot.V11WebSocket(port=0, access_token=TOKEN), rawbot.V11HTTP(port=0, self_id=77))

    async def run() -> None:
        async with ob.serve() as server, opened(server.urls[0], "/") as websocket:
            assert (await hear(websocket))["self_id"] == 77

    in_time(run())


def test_an_application_of_onebot_11_answers_wecoms_users():
    async def run() -> None:
        app = make_app(rawbot.Bot())
        gateway = rawbot.OneBotGateway(app)
        gateway.mount(app, "/v11", websocket=rawbot.V11WebSocket(bot=BOT, self_id=10001, access_token=TOKEN))
        async with (
            rawbot.serve(app, port=0) as server,
            make_platform(url_of(server), bot_id=BOT.user_id) as platform,
            opened(url_of(server), "/v11/") as websocket,
        ):
            assert (await hear(websocket))["sub_type"] == "connect"
            assert (await call(websocket, "get_status"))["data"] == {"online": False, "good": False}
            saying = asyncio.create_task(platform.say("hello [CQ:face,id=1]"))
            event = await hear(websocket)
            assert (event["self_id"], event["message_type"]) == (10001, "private")
            assert event["message"] == [{"type": "text", "data": {"text": "hello [CQ:face,id=1]"}}]
            assert event["sender"]["nickname"] == "zhangsan"
            said = f"you said: {event['raw_message']}"
            answer = await call(websocket, "send_private_msg", user_id=event["user_id"], message=said)
            assert answer["retcode"] == 0
            conversation = await saying
            assert (conversation.problems, conversation.shown) == ([], "you said: hello [CQ:face,id=1]")
            assert (await call(websocket, "get_status"))["data"] == {"online": True, "good": True}
            answer = await call(websocket, "get_stranger_info", user_id=event["user_id"])
            assert answer["data"]["user_id"] == event["user_id"]
            assert (await call(websocket, "delete_msg", message_id=event["message_id"]))["retcode"] == 34001

    in_time(run())
