"""rawbot/onebot_loopback.py: users who say back what the bot says.

As a process, with what it opens and how it ends: end_to_end/test_onebot_loopback.py, and with NoneBot test_nonebot.py.
"""

import base64
import json
import time

import ormsgpack
import pytest
from onebot_parts import Data, asking
from onebot_serving import MSGPACK, Http, hear, pack, websocket
from talking import in_time

from rawbot import cli, onebot_loopback
from rawbot.onebot.settings import HTTP, HTTPWebhook, WebSocket, WebSocketReverse
from rawbot.onebot_loopback import make_loopback, serve_loopback
from rawbot.onebot_server import OneBot

ME = {"platform": "try", "user_id": "bot-1"}
SEGMENTS = [
    {"type": "text", "data": {"text": "你好 &amp; [CQ:at]\n"}},
    {"type": "mention", "data": {"user_id": "u"}},
    {"type": "loopback.any", "data": {"list": [1, 2.5, None, True, {"deep": "er"}]}},
]


def talk_to(talk: object, **options: object) -> None:
    """Serve the platform, and talk to it by HTTP."""
    ob = make_loopback("try", "bot-1", [HTTP(port=0), WebSocket(port=0)], **options)

    async def run() -> None:
        async with ob.serve() as server, Http(server.port) as http:
            await talk(http)

    in_time(run())


def say(message: object = "hi", **to: object) -> Data:
    return {"message": message} | (to or {"detail_type": "private", "user_id": "u"})


@pytest.mark.parametrize(
    "to",
    [
        {"detail_type": "private", "user_id": "u"},
        {"detail_type": "group", "group_id": "g"},
        {"detail_type": "group", "group_id": "g", "user_id": "u"},
        {"detail_type": "channel", "guild_id": "g", "channel_id": "c"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "message", ["hi", SEGMENTS, SEGMENTS[0], []], ids=["text", "segments", "one segment", "nothing"]
)
def test_what_is_said_comes_back_from_where_it_went(to: Data, message: object):
    async def talk(http: Http) -> None:
        before = time.time()
        sent = await http.ask("send_message", **say(message, **to))
        assert (sent["status"], sorted(sent["data"])) == ("ok", ["message_id", "time"])
        assert before - 1 < sent["data"]["time"] < before + 5
        (event,) = (await http.ask("get_latest_events", timeout=5))["data"]
        said = {"hi": [{"type": "text", "data": {"text": "hi"}}]}.get(str(message), message)
        assert event["message"] == (said if isinstance(said, list) else [said])
        assert event["message_id"] == sent["data"]["message_id"]
        assert (event["type"], event["self"]) == ("message", ME)
        assert {name: event[name] for name in to} == to
        assert event["user_id"] == to.get("user_id", "somebody")

    talk_to(talk)


@pytest.mark.parametrize(
    ("params", "retcode"),
    [
        ({}, 10003),
        ({"message": "hi"}, 10003),
        (say(detail_type="private"), 10003),
        (say(detail_type="private", user_id=""), 10003),
        (say(detail_type="group", user_id="u"), 10003),
        (say(detail_type="channel", guild_id="g"), 10003),
        (say(detail_type="channel", channel_id="c"), 10003),
        (say(detail_type="other", user_id="u"), 10003),
        (say(5), 10003),
        (say([{"type": "text", "data": {}}]), 10006),
        (say([{"type": "x.y", "data": {"qq": 1, "qq.id": 2}}]), 10006),
        (say([{"type": "x.y", "data": {"deep": json.loads("[" * 120 + "]" * 120)}}]), 10006),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused_and_comes_from_nobody(params: Data, retcode: int):
    async def talk(http: Http) -> None:
        refused = await http.ask("send_message", echo="e", **params)
        assert (refused["status"], refused["retcode"], refused["echo"]) == ("failed", retcode, "e")
        assert (await http.ask("get_friend_list"))["data"] == []
        assert (await http.ask("get_latest_events"))["data"] == []

    talk_to(talk)


def test_a_message_can_be_deleted_once():
    async def talk(http: Http) -> None:
        message_id = (await http.ask("send_message", **say()))["data"]["message_id"]
        assert (await http.ask("delete_message", message_id=message_id))["data"] is None
        for unknown in (message_id, "", "x"):
            assert (await http.ask("delete_message", message_id=unknown))["retcode"] == 35000

    talk_to(talk)


def test_it_tells_who_everybody_is():
    async def talk(http: Http) -> None:
        assert (await http.ask("get_self_info"))["data"] == {
            "user_id": "bot-1",
            "user_name": "bot-1",
            "user_displayname": "",
        }
        user = {"user_id": "u", "user_name": "u", "user_displayname": "", "user_remark": ""}
        assert (await http.ask("get_user_info", user_id="u"))["data"] == user
        assert (await http.ask("get_user_info"))["retcode"] == 10003
        for name in ("u", "v", "u"):
            await http.ask("send_message", **say(detail_type="private", user_id=name))
        assert [friend["user_id"] for friend in (await http.ask("get_friend_list"))["data"]] == ["v", "u"]

    talk_to(talk)


def test_it_remembers_so_many_and_for_an_hour(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onebot_loopback, "MAX_KEPT", 3)

    async def talk(http: Http) -> None:
        for number in range(5):
            await http.ask("send_message", **say(detail_type="private", user_id=str(number)))
        friends = [friend["user_id"] for friend in (await http.ask("get_friend_list"))["data"]]
        assert friends == ["2", "3", "4"]
        now = time.time() + 3600
        monkeypatch.setattr(onebot_loopback.time, "time", lambda: now)
        assert (await http.ask("get_friend_list"))["data"] == []

    talk_to(talk)


def test_it_says_truthfully_what_it_can_and_how_it_is():
    async def talk(http: Http) -> None:
        actions = (await http.ask("get_supported_actions"))["data"]
        assert sorted(actions) == [
            *("delete_message", "get_file", "get_file_fragmented", "get_friend_list", "get_self_info", "get_status"),
            *("get_supported_actions", "get_user_info", "get_version", "send_message", "upload_file"),
            "upload_file_fragmented",
        ]
        for action in actions:
            assert (await http.ask(action))["retcode"] != 10002
        assert (await http.ask("get_status"))["data"] == {"good": True, "bots": [{"self": ME, "online": True}]}
        assert (await http.ask("get_version"))["data"]["impl"] == "rawbot-loopback"

    talk_to(talk)


def test_a_file_that_was_uploaded_is_given_back():
    data = bytes(range(256)) * 10

    async def talk(http: Http) -> None:
        encoded = base64.b64encode(data).decode()
        file_id = (await http.ask("upload_file", type="data", name="a.bin", data=encoded))["data"]["file_id"]
        assert (await http.ask("get_file", file_id=file_id, type="data"))["data"]["data"] == encoded
        http.send(pack(asking("get_file", file_id=file_id, type="data"), MSGPACK), content_type=MSGPACK)
        assert ormsgpack.unpackb((await http.receive())[2])["data"]["data"] == data
        await http.ask("send_message", **say([{"type": "image", "data": {"file_id": file_id}}]))
        (event,) = (await http.ask("get_latest_events", timeout=5))["data"]
        assert (event["message"][0]["data"]["file_id"], event["alt_message"]) == (file_id, "[image]")

    talk_to(talk)


def test_bytes_in_a_segment_reach_applications_in_json():
    async def talk(http: Http) -> None:
        message = [{"type": "x.y", "data": {"bytes": b"\x00\xff", "nan": float("nan")}}]
        sent = await http.ask("send_message", MSGPACK, **say(message))
        assert sent["status"] == "ok"
        (event,) = (await http.ask("get_latest_events", timeout=5))["data"]
        assert event["message"][0]["data"] == {"bytes": "AP8=", "nan": None}

    talk_to(talk)


def test_the_answer_comes_before_what_is_said_back():
    ob = make_loopback("try", "bot-1", [WebSocket(port=0)])

    async def run() -> None:
        async with ob.serve() as server, websocket(server.port) as ws:
            for number in range(3):
                await ws.send(json.dumps(asking("send_message", echo=number, **say())))
            told = [await hear(ws) for _ in range(6)]
            for number in range(3):
                answer = next(at for at, one in enumerate(told) if one.get("echo") == number)
                message_id = told[answer]["data"]["message_id"]
                assert any(one.get("message_id") == message_id for one in told[answer + 1 :])

    in_time(run())


# The command line


def served(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> OneBot:
    """Return the platform that a command line has served."""
    obs: list[OneBot] = []

    def run(ob: OneBot) -> None:
        obs.append(ob)

    monkeypatch.setattr(OneBot, "run", run)
    serve_loopback(cli.build_parser().parse_args(["onebot", *arguments]))
    return obs[0]


def test_without_options_it_listens_on_this_machine_only(monkeypatch: pytest.MonkeyPatch):
    ob = served(monkeypatch)
    (place,) = ob._places
    assert (place.host, place.port) == ("127.0.0.1", 5700)
    assert (place.http.access_token, place.websocket.access_token, ob._out) == (None, None, [])
    assert (ob.platform, ob.heartbeat, [bot.user_id for bot in ob.roster]) == ("loopback", 0, ["loopback-bot"])


def test_every_option_reaches_its_connection(monkeypatch: pytest.MonkeyPatch):
    ob = served(
        monkeypatch,
        *("--host", "127.0.0.2", "--port", "0", "--access-token", "t", "--webhook", "http://h/1"),
        *("--webhook", "http://h/2", "--reverse", "ws://h/3", "--heartbeat", "5000", "--reconnect", "70"),
        *("--platform", "try", "--self-id", "x"),
    )
    (place,) = ob._places
    assert (place.host, place.port, place.http.access_token, place.websocket.access_token) == ("127.0.0.2", 0, "t", "t")
    assert ob._out == [
        HTTPWebhook("http://h/1", access_token="t"),
        HTTPWebhook("http://h/2", access_token="t"),
        WebSocketReverse("ws://h/3", access_token="t", reconnect_interval=70),
    ]
    assert (ob.platform, ob.heartbeat, [bot.user_id for bot in ob.roster]) == ("try", 5000, ["x"])
