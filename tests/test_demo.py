"""rawbot/demo.py: its settings, texts, cards and pictures. What its bot answers is in end_to_end/test_demo_bot.py."""

import asyncio
import struct
import zlib

import pytest
from onebot_application import application
from talking import in_time

import rawbot
from rawbot import demo
from rawbot.errors import ConfigError
from rawbot.simulate.http_client import HttpClient
from rawbot.simulate.wecom import WeComPlatform
from rawbot.simulate.wecom_envelope import encode_callback
from rawbot.wecom.cards import check_card
from rawbot.wecom.crypto import WeComCrypto

SET = {
    "RAWBOT_WECOM_TOKEN": "demoToken",
    "RAWBOT_WECOM_ENCODING_AES_KEY": "DemoKey0123456789abcdefghijklmnopqrstuvwxyz",
}
KEY = SET["RAWBOT_WECOM_ENCODING_AES_KEY"]


def reason(**changes: str) -> str:
    with pytest.raises(ConfigError) as caught:
        demo.make_app(SET | changes)
    text = str(caught.value)
    assert "demoToken" not in text
    assert KEY not in text
    return text


def test_the_app_answers_on_one_path():
    assert [route.path for route in demo.make_app(SET).routes] == [demo.WECOM_PATH] == ["/callback/command"]


@pytest.mark.parametrize("name", SET)
def test_token_and_key_are_needed(name: str):
    assert reason(**{name: ""}) == (
        "set RAWBOT_WECOM_TOKEN and RAWBOT_WECOM_ENCODING_AES_KEY, or try: python -m rawbot demo"
    )


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "A", f"{KEY[:-1]}$", "短"])
def test_a_bad_key_is_refused_without_repeating_it(key: str):
    text = reason(RAWBOT_WECOM_ENCODING_AES_KEY=key)
    assert text.startswith("RAWBOT_WECOM_…: ")
    assert key not in text


@pytest.mark.parametrize("delay", ["", "soon", "-1", "nan", "inf"])
def test_a_delay_is_a_number_of_seconds(delay: str):
    assert reason(RAWBOT_DEMO_DELAY=delay) == f"RAWBOT_DEMO_DELAY is a number of seconds, not {delay!r}"
    assert demo.make_app(SET | {"RAWBOT_DEMO_DELAY": "0"})


def test_the_receive_id_is_the_endpoints():
    request = rawbot.Request("POST", "/", *callback())
    for receive_id, status in (("wwcorp", 200), ("", 400), ("another", 400)):
        app = demo.make_app(SET | {"RAWBOT_WECOM_RECEIVE_ID": receive_id})
        assert next(iter(app.routes)).endpoint.receive(request, 0.0).response.status == status


def callback() -> tuple[str, tuple[()], bytes]:
    crypto = WeComCrypto("demoToken", KEY, receive_id="wwcorp")
    query, body = encode_callback(crypto, {"msgid": "1", "msgtype": "event"}, timestamp=1, nonce="2")
    return query, (), body


@pytest.mark.parametrize(("setting", "allowed"), [({}, True), ({"RAWBOT_DEMO_LOOPBACK": "0"}, False)])
def test_loopback_is_allowed_for_simulators_unless_it_is_switched_off(setting: dict[str, str], *, allowed: bool):
    assert demo.allows_loopback(setting) == allowed
    policy = demo.make_app(SET | setting)._outgoing
    assert (policy.allow_loopback, policy.allow_http, policy.allow_private) == (allowed, allowed, False)


def test_the_module_makes_its_app_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    for name in SET:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set RAWBOT_WECOM_TOKEN"):
        _ = demo.app
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    assert isinstance(demo.app, rawbot.App)
    with pytest.raises(AttributeError, match="no attribute 'application'"):
        _ = demo.application


@pytest.mark.parametrize("size", [0, 1, 39, 40, 41, 1000, 20_480, 30_000, 1_000_000])
def test_long_text_has_exactly_the_size_that_was_asked_for(size: int):
    text = demo.long_text(size)
    assert len(text) == len(text.encode()) == size
    assert "1. The quick brown fox jumps over the lazy dog.\n\n2. The".startswith(text[:50])


@pytest.mark.parametrize(
    ("argument", "number"),
    [("2", 2.0), ("0.5", 0.5), ("", 7.0), ("many", 7.0), ("-3", 0.0), ("1e99", 1e6), ("inf", 1e6), ("nan", 0.0)],
)
def test_whatever_stands_behind_a_command_is_a_number_within_bounds(argument: str, number: float):
    assert demo._number(argument, 7.0) == number


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (64, 64)])
def test_the_picture_is_a_png(width: int, height: int):
    data = demo.png(width, height)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + size]
        assert zlib.crc32(kind + body) == int.from_bytes(data[position + 8 + size : position + 12 + size])
        chunks[kind] = body
        position += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)


def test_the_cards_keep_to_the_limits_and_to_one_task():
    asked, answered = demo.question_card("demo-1"), demo.answered_card("demo-1", "yes")
    check_card(asked)
    check_card(answered)
    assert asked["task_id"] == answered["task_id"] == "demo-1"
    assert answered["main_title"]["title"] == "You pressed yes."


# The gateway


def paths(**more: str) -> list[str]:
    return [route.path for route in demo.make_app(SET | more).routes]


def test_a_path_for_applications_is_offered_where_one_is_set():
    assert paths() == paths(RAWBOT_ONEBOT_PATH="") == [demo.WECOM_PATH]
    assert paths(RAWBOT_ONEBOT_PATH="/onebot") == ["/onebot", demo.WECOM_PATH]
    with pytest.raises(ConfigError):
        paths(RAWBOT_ONEBOT_PATH=demo.WECOM_PATH)


@pytest.mark.parametrize(
    ("setting", "shown", "status"),
    [
        ({}, "", 200),
        ({"RAWBOT_ONEBOT_ACCESS_TOKEN": ""}, "", 200),
        ({"RAWBOT_ONEBOT_ACCESS_TOKEN": "secret"}, "", 401),
        ({"RAWBOT_ONEBOT_ACCESS_TOKEN": "secret"}, "another", 401),
        ({"RAWBOT_ONEBOT_ACCESS_TOKEN": "secret"}, "secret", 200),
    ],
)
def test_applications_show_the_token(setting: dict[str, str], shown: str, status: int):
    app = demo.make_app(SET | {"RAWBOT_ONEBOT_PATH": "/onebot"} | setting)
    fields = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {shown}".encode())]
    body = b'{"action":"get_supported_actions","params":{}}'
    endpoint = next(route.endpoint for route in app.routes if route.path == "/onebot")
    response = endpoint.receive(rawbot.Request("POST", "/onebot", "", fields, body), 0.0).response
    assert response.status == status
    assert (b"rawbot.write_stream" in response.body) == (status == 200)


def test_the_demo_bot_is_silent_while_an_application_listens():
    app = demo.make_app(SET | {"RAWBOT_ONEBOT_PATH": "/onebot", "RAWBOT_DEMO_DELAY": "0"})

    async def use(port: int, platform: WeComPlatform) -> list[str]:
        shown = [(await platform.say("hello")).shown]
        async with application(f"ws://127.0.0.1:{port}/onebot") as listening:
            saying = asyncio.create_task(platform.say("hello"))
            await listening.heard("private")
            await listening.send("said by the application")
            shown.append((await saying).shown)
            shown.append((await platform.enter_chat()).shown)
        return shown

    async def run() -> list[str]:
        async with rawbot.serve(app, port=0) as server:
            url = f"http://127.0.0.1:{server.port}{demo.WECOM_PATH}"
            platform = WeComPlatform(url, token=SET["RAWBOT_WECOM_TOKEN"], encoding_aes_key=KEY, interval=0.01)
            async with platform:
                return await use(server.port, platform)

    assert in_time(run()) == ["You said: hello", "said by the application", demo.HELP]


def test_what_the_echo_does_is_none_of_the_applications_business():
    environ = {"RAWBOT_DEMO_ECHO": "1", "RAWBOT_ONEBOT_PATH": "/onebot"}

    async def run() -> list[str]:
        async with (
            rawbot.serve(demo.make_app(environ), port=0) as server,
            application(f"ws://127.0.0.1:{server.port}/onebot") as listening,
            HttpClient(f"http://127.0.0.1:{server.port}") as client,
        ):
            assert (await client.request("POST", "/echo", (), b"x")).body == b"x"
            await listening.call("get_version")
            return [event["detail_type"] for event in listening.events]

    assert in_time(run()) == ["connect", "status_update"]
