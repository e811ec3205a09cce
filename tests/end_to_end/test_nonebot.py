"""NoneBot 2 with its OneBot adapter, as they come, in front of the loop-back platform: by every way, as processes."""

import base64
import hashlib
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from onebot_processes import HEARD, WAYS, CallError, NoneBot, Party

TOKEN = "token of the loop-back"
STACKS = {"httpx and websockets": "~fastapi+~httpx+~websockets", "aiohttp": "~fastapi+~aiohttp"}
BYTES = random.Random(12).randbytes(100_000)
SEGMENTS = [
    {"type": "mention", "data": {"user_id": "somebody else"}},
    {"type": "text", "data": {"text": "你好, <world> &amp; \N{SLIGHTLY SMILING FACE}\n\0"}},
    {"type": "image", "data": {"file_id": "1"}},
    {"type": "location", "data": {"latitude": 31.0, "longitude": -117.5, "title": "", "content": "here"}},
    {"type": "loopback.any", "data": {"list": [1, 2.5, None, True, {"deep": "er"}]}},
]
"""NoneBot takes a reply, and a mention of the bot itself, out of what it hands to bots."""

by_every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(
    scope="module",
    params=[
        ("httpx and websockets", "", False),
        ("httpx and websockets", TOKEN, True),
        ("aiohttp", "", True),
        ("aiohttp", TOKEN, False),
    ],
    ids=lambda chosen: f"{chosen[0]}, {'a' if chosen[1] else 'no'} token, {'MessagePack' if chosen[2] else 'JSON'}",
)
def party(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    """Have all three ways open to one NoneBot. Each two of client stack, token and codec meet."""
    stack, token, msgpack = request.param
    with ExitStack() as exits:
        folder = tmp_path_factory.mktemp("nonebot")
        party = Party(exits, folder, STACKS[stack], token=token, onebot_v12_use_msgpack={"rawbot-loopback": msgpack})
        party.msgpack = msgpack
        for way in WAYS:
            connected = party.nonebot.wait(way, "connect")
            assert (connected["platform"], connected["impl"]) == ("loopback", "rawbot-loopback")
        yield party
        assert "Traceback" not in party.nonebot.log.text
        assert party.stop() == [0, 0, 0]
        assert "Traceback" not in "".join(platform.log.text for platform in party.platforms.values())


def make_round_trip(nonebot: NoneBot, bot: str, message: object = "hello", **to: object) -> list[dict]:
    """Have the bot say something, hear it said back, and say that back; return what comes in the end."""
    since = len(nonebot.reports)
    target = to or {"detail_type": "private", "user_id": "zhangsan"}
    sent = nonebot.call(bot, "send_message", message=message, **target)
    came = nonebot.wait(bot, f"message.{target['detail_type']}", since=since, message_id=sent["message_id"])["event"]
    alt = f"{HEARD}{came['alt_message']}"
    again = nonebot.wait(bot, f"message.{target['detail_type']}", since=since, alt_message=alt)["event"]
    assert again["message_id"] != sent["message_id"]
    assert {name: again.get(name) for name in target} == target
    return again["original_message"]


@by_every_way
def test_messages_make_the_round_trip_whole(party: Party, way: str):
    prefix = {"type": "text", "data": {"text": HEARD}}
    assert make_round_trip(party.nonebot, way, SEGMENTS) == [prefix, *SEGMENTS]


@by_every_way
def test_groups_and_channels_are_answered_where_they_have_written(party: Party, way: str):
    make_round_trip(party.nonebot, way, detail_type="group", group_id="g1")
    make_round_trip(party.nonebot, way, detail_type="channel", guild_id="g2", channel_id="c")


@by_every_way
def test_actions_are_answered(party: Party, way: str):
    call = party.nonebot.call
    assert call(way, "get_version") == {"impl": "rawbot-loopback", "version": "1.0.0", "onebot_version": "12"}
    me = {"platform": "loopback", "user_id": way}
    assert call(way, "get_status") == {"good": True, "bots": [{"self": me, "online": True}]}
    assert call(way, "get_self_info")["user_id"] == way
    assert call(way, "get_user_info", user_id="lisi")["user_id"] == "lisi"
    call(way, "send_message", detail_type="private", user_id="wangwu", message="/say nothing to that")
    assert "wangwu" in [friend["user_id"] for friend in call(way, "get_friend_list")]
    supported = call(way, "get_supported_actions")
    assert {"send_message", "delete_message", "upload_file", "get_file_fragmented", "get_status"} < set(supported)


@by_every_way
def test_a_timeout_that_nonebot_sends_as_a_parameter_does_no_harm(party: Party, way: str):
    assert party.nonebot.call(way, "get_self_info", _timeout=20)["user_id"] == way


@by_every_way
@pytest.mark.parametrize(
    ("action", "params", "retcode", "name"),
    [
        ("fly", {}, 10002, "UnsupportedAction"),
        ("send_message", {}, 10003, "BadParam"),
        ("send_message", {"detail_type": "private", "user_id": 5, "message": "x"}, 10003, "BadParam"),
        (
            "send_message",
            {"detail_type": "private", "user_id": "x", "message": [{"type": "text", "data": {}}]},
            10006,
            "BadSegmentData",
        ),
        ("delete_message", {"message_id": "never sent"}, 35000, "LogicError"),
    ],
)
def test_an_action_that_fails_is_seen_with_its_retcode(
    party: Party, way: str, *, action: str, params: dict, retcode: int, name: str
):
    with pytest.raises(CallError) as caught:
        party.nonebot.call(way, action, **params)
    error = caught.value
    if way == "http":  # the adapter wraps what it raises
        assert error.raised == "NetworkError"
        error = error.cause
    assert (error.raised, error.retcode) == (name, retcode)
    assert error.message


@by_every_way
def test_bytes_survive(party: Party, way: str):
    def decoded(data: object) -> object:
        return data if party.msgpack else base64.b64decode(data)

    call, sha256 = party.nonebot.call, hashlib.sha256(BYTES).hexdigest()
    uploaded = call(way, "upload_file", type="data", name="bytes", data=BYTES, sha256=sha256)
    file = call(way, "get_file", type="data", file_id=uploaded["file_id"])
    assert (file["name"], file["sha256"]) == ("bytes", sha256)
    assert decoded(file["data"]) == BYTES


@by_every_way
def test_a_file_goes_in_fragments(party: Party, way: str):
    def decoded(data: object) -> object:
        return data if party.msgpack else base64.b64decode(data)

    def up(stage: str, **params: object) -> object:
        return party.nonebot.call(way, "upload_file_fragmented", stage=stage, **params)

    def down(stage: str, **params: object) -> object:
        return party.nonebot.call(way, "get_file_fragmented", stage=stage, **params)

    sha256 = hashlib.sha256(BYTES).hexdigest()
    begun = up("prepare", name="parts", total_size=len(BYTES))["file_id"]
    for offset in (80_000, 0, 40_000):
        part = BYTES[offset : offset + 40_000]
        assert up("transfer", file_id=begun, offset=offset, data=part) is None
    file_id = up("finish", file_id=begun, sha256=sha256)["file_id"]
    assert down("prepare", file_id=file_id) == {"name": "parts", "total_size": len(BYTES), "sha256": sha256}
    parts = [down("transfer", file_id=file_id, offset=offset, size=50_000)["data"] for offset in (0, 50_000)]
    assert b"".join(map(decoded, parts)) == BYTES


@by_every_way
def test_hearts_beat(party: Party, way: str):
    party.nonebot.wait(way, "meta.heartbeat", interval=301 + WAYS.index(way))


def test_after_a_restart_everything_goes_on(tmp_path: Path):
    with ExitStack() as exits:
        parties = [
            (number, Party(exits, tmp_path, driver, token=TOKEN))
            for number, driver in zip((signal.SIGTERM, signal.SIGKILL), STACKS.values(), strict=True)
        ]
        for _, party in parties:
            for way in WAYS:
                party.nonebot.wait(way, "connect")
        marks = [len(party.nonebot.reports) for _, party in parties]
        for number, party in parties:
            assert party.stop(number) == [0 if number == signal.SIGTERM else -signal.SIGKILL] * 3
            for platform in party.platforms.values():
                platform.start()
        for (_, party), since in zip(parties, marks, strict=True):
            for way in ("forward", "reverse"):
                party.nonebot.wait(way, "disconnect", since=since)
                party.nonebot.wait(way, "connect", since=since)
            status = {"good": True, "bots": [{"self": {"platform": "loopback", "user_id": "http"}, "online": True}]}
            party.nonebot.wait("http", "meta.status_update", since=since, status=status)
            for way in WAYS:
                make_round_trip(party.nonebot, way)


def test_a_wrong_token_opens_no_way(tmp_path: Path):
    with ExitStack() as exits:
        party = Party(exits, tmp_path, STACKS["httpx and websockets"], token=TOKEN, shown="another one")
        party.nonebot.log.wait(lambda line: "HTTP 401" in line)
        party.platforms["reverse"].log.wait(lambda line: "403" in line)
        party.platforms["http"].log.wait(lambda line: "403" in line)
        assert '"seen"' not in party.nonebot.reports.text
