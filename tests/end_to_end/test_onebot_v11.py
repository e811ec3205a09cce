"""NoneBot's adapter for OneBot 11 and aiocqhttp, as they come, in front of the loop-back platform, as processes."""

import base64
import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from onebot_processes import CallError, NoneBot
from v11_applications import Aiocqhttp, V11Loopback, V11NoneBot, loopback_in_a_thread, place

import rawbot

TOKEN = "token-of-the-loop-back"  # aiocqhttp knows none with blanks
SECRET = "secret of the posts"
RECONNECT = ("--reconnect", "100")
BEAT = ("--heartbeat", "300")
HEARD = "NoneBot heard: "
AIOCQHTTP_HEARD = "aiocqhttp heard: "

REVERSE, FORWARD, POST, WRONG_REVERSE, WRONG_FORWARD, WRONG_POST, WRONG_API = (str(10_001 + i) for i in range(7))
"""NoneBot's bots: how each is connected. An application knows each number once."""
UNIVERSAL, SPLIT, QUICK, WRONG = (str(20_001 + i) for i in range(4))
"""aiocqhttp's."""

by_every_way = pytest.mark.parametrize("bot", [REVERSE, FORWARD, POST], ids=["reverse", "forward", "HTTP and POST"])


class Party:
    """Both applications, and a platform for each bot of theirs."""

    def __init__(self, stack: ExitStack, folder: pytest.TempPathFactory) -> None:
        nonebot, at = stack.enter_context(place())
        aiocqhttp, there = stack.enter_context(place())
        reverse, post = f"ws://{at}/onebot/v11/ws", f"http://{at}/onebot/v11/http"
        signed, forged = ("--v11-secret", SECRET), ("--v11-secret", "another")
        there_too = "--v11-reverse", f"ws://{there}/ws/", "--v11-post", f"http://{there}/"
        options = {
            REVERSE: ("--v11-reverse", reverse, *RECONNECT, *BEAT),
            FORWARD: BEAT,
            POST: ("--v11-post", post, *signed, *BEAT),
            WRONG_REVERSE: ("--v11-reverse", reverse),
            WRONG_FORWARD: (),
            WRONG_POST: ("--v11-post", post, *forged),
            WRONG_API: ("--v11-post", post, *signed),
            UNIVERSAL: (*there_too[:2], *RECONNECT),
            QUICK: (*there_too[2:], *signed),
            WRONG: (*there_too, *forged),
        }
        wrong = (WRONG_REVERSE, WRONG_FORWARD, WRONG_API, WRONG)
        self.platforms = {
            bot: stack.enter_context(V11Loopback(bot, *told, token="another-token" if bot in wrong else TOKEN))
            for bot, told in options.items()
        }
        ports = {bot: self.platforms[bot].v11_port for bot in (FORWARD, POST, WRONG_FORWARD, WRONG_API, QUICK)}
        self.quick_port = ports[QUICK]
        path = folder.mktemp("applications")
        self.nonebot = stack.enter_context(
            V11NoneBot(
                path,
                "~fastapi+~httpx+~websockets",
                nonebot,
                onebot_v11_access_token=TOKEN,
                onebot_v11_secret=SECRET,
                onebot_v11_ws_urls=[f"ws://127.0.0.1:{ports[bot]}/" for bot in (FORWARD, WRONG_FORWARD)],
                onebot_v11_api_roots={bot: f"http://127.0.0.1:{ports[bot]}/" for bot in (POST, WRONG_API)},
            )
        )
        self.aiocqhttp = stack.enter_context(Aiocqhttp(path, aiocqhttp, access_token=TOKEN, secret=SECRET))
        split = rawbot.V11WebSocketReverse(
            api_url=f"ws://{there}/ws/api",
            event_url=f"ws://{there}/ws/event/",
            access_token=TOKEN,
            reconnect_interval=100,
            message_format="string",
        )
        stack.enter_context(loopback_in_a_thread(SPLIT, split))


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    with ExitStack() as stack:
        party = Party(stack, tmp_path_factory)
        for bot in (REVERSE, FORWARD, POST):
            party.nonebot.wait(bot, "connect")
        for bot in (UNIVERSAL, SPLIT):
            party.aiocqhttp.wait(bot, "meta_event.lifecycle.connect")
        party.aiocqhttp.wait(QUICK, "meta_event.lifecycle.enable")
        yield party
        assert "Traceback" not in "".join(platform.log.text for platform in party.platforms.values())


def made_round_trip(application: NoneBot, bot: str, **to: object) -> list[dict]:
    """Let the bot say something, hear it said back, and answer; return what it hears then."""
    since, kind = len(application.reports), "group.normal" if "group_id" in to else "private.friend"
    sent = application.call(bot, "send_msg", **to)
    came = application.wait(bot, f"message.{kind}", since=since, message_id=sent["message_id"])["event"]
    assert (came["self_id"], came["time"] > 0) == (int(bot), True)
    assert all(came[name] == to[name] for name in ("user_id", "group_id") if name in to)
    heard = AIOCQHTTP_HEARD if isinstance(application, Aiocqhttp) else HEARD
    found = application.reports.wait(
        lambda line: heard in json.loads(line).get("event", {}).get("raw_message", ""), since=since
    )
    return json.loads(found)["event"]


@by_every_way
def test_messages_make_the_round_trip_through_nonebot(party: Party, bot: str):
    segments = [
        {"type": "at", "data": {"qq": "5"}},
        {"type": "text", "data": {"text": "你好 [CQ:face,id=1] &amp; \N{SLIGHTLY SMILING FACE}, bye"}},
        {"type": "face", "data": {"id": "14"}},
    ]
    for target in ({"user_id": 55}, {"group_id": 66}):
        came = made_round_trip(party.nonebot, bot, message=segments, **target)
        assert came["original_message"] == [{"type": "text", "data": {"text": HEARD}}, *segments]


@by_every_way
def test_actions_are_answered(party: Party, bot: str):
    call = party.nonebot.call
    assert call(bot, "get_login_info") == {"user_id": int(bot), "nickname": bot}
    assert call(bot, "get_status") == {"online": True, "good": True}
    assert call(bot, "get_version_info")["app_name"] == "rawbot-loopback"
    assert call(bot, "get_stranger_info", user_id=77)["nickname"] == "77"
    assert call(bot, "can_send_image", _timeout=5) == {"yes": True}
    call(bot, "send_private_msg", user_id=78, message="/say nothing to that")
    assert 78 in [friend["user_id"] for friend in call(bot, "get_friend_list")]
    since = len(party.nonebot.reports)
    assert call(bot, "send_private_msg_rate_limited", user_id=79, message="/nor to that") is None
    party.nonebot.wait(bot, "message.private.friend", since=since, user_id=79)


@by_every_way
def test_a_file_goes_in_and_comes_out(party: Party, bot: str):
    content = base64.b64encode(bytes(range(256)) * 64).decode()
    since = len(party.nonebot.reports)
    image = {"type": "image", "data": {"file": f"base64://{content}"}}
    party.nonebot.call(bot, "send_private_msg", user_id=56, message=[image])
    came = party.nonebot.wait(bot, "message.private.friend", since=since, user_id=56)["event"]["message"]
    assert [segment["type"] for segment in came] == ["image"]
    file = party.nonebot.call(bot, "get_image", file=came[0]["data"]["file"])
    assert file == {"file": f"base64://{content}"}


@by_every_way
def test_an_application_looks_up_what_is_replied_to(party: Party, bot: str):
    since = len(party.nonebot.reports)
    first = party.nonebot.call(bot, "send_private_msg", user_id=57, message="/first")["message_id"]
    reply = [{"type": "reply", "data": {"id": str(first)}}, {"type": "text", "data": {"text": "/second"}}]
    party.nonebot.call(bot, "send_private_msg", user_id=57, message=reply)
    came = party.nonebot.wait(bot, "message.private.friend", since=since, raw_message=f"[CQ:reply,id={first}]/second")
    replied_to = came["event"]["reply"]
    assert (replied_to["message_id"], replied_to["message"]) == (first, [{"type": "text", "data": {"text": "/first"}}])


@by_every_way
@pytest.mark.parametrize(
    ("action", "params", "retcode"),
    [
        ("fly", {}, 1404),
        ("set_group_kick", {"group_id": 5, "user_id": 6}, 1404),
        ("send_private_msg", {"user_id": "x", "message": "/"}, 10003),
        ("send_private_msg", {"user_id": 5}, 10003),
        ("delete_msg", {"message_id": 5}, 35000),
    ],
)
def test_an_action_that_fails_is_seen_with_its_retcode(party: Party, bot: str, action: str, params: dict, retcode: int):
    with pytest.raises(CallError) as caught:
        party.nonebot.call(bot, action, **params)
    if bot == POST and retcode == 1404:  # of which HTTP tells by its status
        assert caught.value.raised == "NetworkError"
    else:
        assert (caught.value.raised, caught.value.retcode) == ("ActionFailed", retcode)


@by_every_way
def test_heartbeats_come(party: Party, bot: str):
    beat = party.nonebot.wait(bot, "meta_event.heartbeat", since=len(party.nonebot.reports))["event"]
    assert (beat["interval"], beat["status"]) == (300, {"online": True, "good": True})


def test_nonebot_refuses_a_wrong_token_and_a_wrong_signature(party: Party):
    party.platforms[WRONG_REVERSE].log.wait(lambda line: "no WebSocket" in line and "403" in line)
    party.platforms[WRONG_POST].log.wait(lambda line: "push failed (403)" in line)
    assert not [bot for bot in (WRONG_REVERSE, WRONG_POST) if f'"{bot}"' in party.nonebot.reports.text]


def test_nonebot_is_refused_with_a_wrong_token(party: Party):
    party.platforms[WRONG_FORWARD].log.wait(lambda line: "a wrong access token" in line)
    assert f'"{WRONG_FORWARD}"' not in party.nonebot.reports.text
    party.nonebot.wait(WRONG_API, "connect")  # by a post
    with pytest.raises(CallError) as caught:
        party.nonebot.call(WRONG_API, "get_status")
    assert caught.value.raised == "NetworkError"
    party.platforms[WRONG_API].log.wait(lambda line: "a wrong access token" in line)


@pytest.mark.parametrize("bot", [UNIVERSAL, SPLIT], ids=["Universal", "API and Event"])
def test_messages_make_the_round_trip_through_aiocqhttp(party: Party, bot: str):
    came = made_round_trip(party.aiocqhttp, bot, user_id=58, message="hello [CQ:face,id=1]")
    assert came["raw_message"] == f"{AIOCQHTTP_HEARD}hello [CQ:face,id=1]"
    told = (
        came["raw_message"]
        if bot == SPLIT
        else [
            {"type": "text", "data": {"text": f"{AIOCQHTTP_HEARD}hello "}},
            {"type": "face", "data": {"id": "1"}},
        ]
    )
    assert came["message"] == told
    came = made_round_trip(party.aiocqhttp, bot, group_id=67, message="hello")
    assert came["raw_message"] == f"[CQ:at,qq={came['user_id']}] {AIOCQHTTP_HEARD}hello"


@pytest.mark.parametrize("bot", [UNIVERSAL, SPLIT], ids=["Universal", "API and Event"])
def test_aiocqhttp_calls_actions(party: Party, bot: str):
    assert party.aiocqhttp.call(bot, "get_login_info") == {"user_id": int(bot), "nickname": bot}
    with pytest.raises(CallError) as caught:
        party.aiocqhttp.call(bot, "fly")
    assert (caught.value.raised, caught.value.retcode) == ("ActionFailed", 1404)


def test_an_event_that_is_posted_to_aiocqhttp_is_answered_with_a_quick_operation(party: Party):
    since = len(party.aiocqhttp.reports)
    params = {"access_token": TOKEN, "user_id": 59, "message": "posted"}
    answer = httpx.get(f"http://127.0.0.1:{party.quick_port}/send_private_msg", params=params).json()
    came = party.aiocqhttp.wait(QUICK, "message.private.friend", since=since, raw_message="posted")["event"]
    assert came["message_id"] == answer["data"]["message_id"]
    party.aiocqhttp.wait(QUICK, "message.private.friend", since=since, raw_message=f"{AIOCQHTTP_HEARD}posted")


def test_aiocqhttp_refuses_a_wrong_token_and_a_wrong_signature(party: Party):
    log = party.platforms[WRONG].log
    log.wait(lambda line: "no WebSocket" in line and "403" in line)
    log.wait(lambda line: "push failed (403)" in line)
    assert f'"{WRONG}"' not in party.aiocqhttp.reports.text


def test_a_platform_that_is_started_again_is_there_again(party: Party):
    platform, since = party.platforms[REVERSE], len(party.nonebot.reports)
    assert platform.stop(signal.SIGTERM) == 0
    party.nonebot.wait(REVERSE, "disconnect", since=since)
    platform.start()
    party.nonebot.wait(REVERSE, "connect", since=since)
    assert made_round_trip(party.nonebot, REVERSE, user_id=60, message="again")["user_id"] == 60


def test_who_is_posted_to_hears_of_the_end(party: Party):
    assert party.platforms[QUICK].stop(signal.SIGTERM) == 0
    party.aiocqhttp.wait(QUICK, "meta_event.lifecycle.disable")
