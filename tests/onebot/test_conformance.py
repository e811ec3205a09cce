"""OneBot 12 over real sockets, line by line: what the standard expects, by each way and in each form.

connect/communication/http and websocket; connect/data-protocol/action-request and action-response. The clients know
nothing of rawbot: bytes on a socket for HTTP, the `websockets` library for WebSockets.
"""

import asyncio
import json
import time
from typing import NamedTuple
from urllib.parse import quote

import pytest
from onebot_parts import TOKEN, VERSION, Data, asking, message
from onebot_serving import BOT, JSON, MSGPACK, OTHER, Http, ask, hear, pack, serve, unpack, websocket
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus

from rawbot.onebot.settings import HTTP, WebSocket
from rawbot.onebot_server import OneBot, OneBotServer

FORMS = {"JSON": JSON, "MessagePack": MSGPACK}
each_form = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))

STRANGER = {"platform": "loop", "user_id": "nobody"}
OK = {"status": "ok", "retcode": 0, "message": ""}
SENT = {"message_id": "m1", "time": 1.0, "said": ["private", 1, "u"]}
SEND: Data = {"detail_type": "private", "message": "hi", "user_id": "u"}


class Case(NamedTuple):
    """A request, and what is expected."""

    name: str
    request: object
    retcode: int
    data: object = None
    echo: object = None


CASES = [
    Case("not an object: list", [], 10001),
    Case("not an object: text", "x", 10001),
    Case("not an object: number", 5, 10001),
    Case("not an object: null", None, 10001),
    Case("empty object", {}, 10001),
    Case("action is an object", {"action": {}, "params": {}, "echo": "e"}, 10001, None, "e"),
    Case("action is a number", {"action": 5, "params": {}, "echo": "e"}, 10001, None, "e"),
    Case("action is missing", {"params": {}, "echo": "e"}, 10001, None, "e"),
    Case("params is a list", {"action": "get_status", "params": [], "echo": "e"}, 10001, None, "e"),
    Case("params is null", {"action": "get_status", "params": None, "echo": "e"}, 10001, None, "e"),
    Case("params is missing", {"action": "get_status", "echo": "e"}, 10001, None, "e"),
    Case("self without platform", asking("who", echo="e", bot={"user_id": "b1"}), 10001, None, "e"),
    Case("self is a text", asking("who", echo="e") | {"self": "b1"}, 10001, None, "e"),
    Case("unknown self", asking("who", echo="e", bot=STRANGER), 10102, None, "e"),
    Case("known self", asking("who", echo="e", bot=BOT), 0, "b1", "e"),
    Case("no self, one bot", asking("who", echo="e"), 0, "b1", "e"),
    Case("unknown action", asking("fly", echo="e"), 10002, None, "e"),
    Case("unknown action, unknown self", asking("fly", echo="e", bot=STRANGER), 10002, None, "e"),
    Case("send_message without params", asking("send_message", echo="e"), 10003, None, "e"),
    Case("param mistyped", asking("send_message", echo="e", **SEND | {"user_id": 5}), 10003, None, "e"),
    Case(
        "segment without data",
        asking("send_message", echo="e", **SEND | {"message": {"type": "text"}}),
        10003,
        None,
        "e",
    ),
    Case(
        "segment with bad data",
        asking("send_message", echo="e", **SEND | {"message": [{"type": "text", "data": {}}]}),
        10006,
        None,
        "e",
    ),
    Case("unknown param is ignored", asking("send_message", echo="e", **SEND | {"_timeout": 30}), 0, SENT, "e"),
    Case("success", asking("send_message", echo="e", **SEND), 0, SENT, "e"),
    Case("success without echo", asking("send_message", **SEND), 0, SENT),
    Case("empty echo", asking("send_message", echo="", **SEND), 0, SENT),
    Case("echo of another type", asking("send_message", echo=7, **SEND), 0, SENT, 7),
    Case("large echo", asking("fly", echo="e" * 100_000), 10002, None, "e" * 100_000),
    Case("get_version", asking("get_version", echo="e"), 0, VERSION, "e"),
    Case("get_version, unknown self", asking("get_version", bot=STRANGER), 0, VERSION),
    Case("get_status", asking("get_status"), 0, {"good": True, "bots": [{"self": BOT, "online": True}]}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

UNREADABLE = {
    "JSON": [
        b"",
        b"{",
        b"[",
        b"nonsense",
        b"{}{}",
        b'{"a":1,}',
        b"\xff\xfe",
        b'{"action":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"NaN",
    ],
    "MessagePack": [
        b"",
        pack(asking("get_status"), MSGPACK)[:-1],
        pack(asking("get_status"), MSGPACK) + b"\x00",
        b"\xc1",
        b"{}",
        b"\x81\x01\x02",
        b"\xd4\x05\x00",
    ],
}
unreadable = pytest.mark.parametrize(
    ("form", "body"), [(FORMS[name], body) for name, bodies in UNREADABLE.items() for body in bodies]
)


def check(response: Data, case: Case) -> None:
    """Compare a response with what is expected: no key less and none more."""
    assert list(response)[:4] == ["status", "retcode", "data", "message"]
    expected = {"status": "failed" if case.retcode else "ok", "retcode": case.retcode, "data": case.data}
    told = response.pop("message")
    assert isinstance(told, str)
    assert bool(told) is bool(case.retcode)
    assert response == expected | ({} if case.echo is None else {"echo": case.echo})


# The same by both ways


@each_form
@each_case
def test_a_request_by_http(case: Case, form: bytes):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            for _ in range(2):  # on a connection that goes on
                http.send(pack(case.request, form), content_type=form)
                status, fields, body = await http.receive()
                assert (status, fields[b"content-type"]) == (200, form)
                check(unpack(body, form), case)

    serve(talk)


@each_form
@each_case
def test_a_request_by_websocket(case: Case, form: bytes):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as ws:
            for _ in range(2):
                packed = pack(case.request, form)
                check(await ask(ws, packed if form == MSGPACK else packed.decode()), case)

    serve(talk)


@unreadable
def test_what_cannot_be_read_is_10001_by_http(form: bytes, body: bytes):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            http.send(body, content_type=form)
            status, fields, answer = await http.receive()
            assert (status, fields[b"content-type"]) == (200, form)
            check(unpack(answer, form), Case("", None, 10001))
            assert (await http.ask("get_version", form))["data"] == VERSION

    serve(talk)


@unreadable
def test_what_cannot_be_read_is_10001_by_websocket(form: bytes, body: bytes):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as ws:
            text = body.decode("utf-8", "surrogateescape")
            if form == JSON and not text.isprintable():
                return  # a text frame that is not UTF-8 breaks RFC 6455, section 8.1, before it is anything else
            check(await ask(ws, body if form == MSGPACK else text), Case("", None, 10001))
            assert (await ask(ws, asking("get_version"), binary=form == MSGPACK))["data"] == VERSION

    serve(talk)


@each_form
def test_of_two_bots_one_must_be_named_but_not_for_actions_about_the_implementation(form: bytes):
    cases = [
        Case("", asking("who", echo="e"), 10101, None, "e"),
        Case("", asking("who", echo="e", bot=OTHER), 0, "b2", "e"),
        Case("", asking("who", echo="e", bot=STRANGER), 10102, None, "e"),
        Case("", asking("get_version"), 0, VERSION),
    ]

    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http, websocket(server.port) as ws:
            for case in cases:
                http.send(pack(case.request, form), content_type=form)
                check(unpack((await http.receive())[2], form), case)
                check(await ask(ws, case.request, binary=form == MSGPACK), case)
            for answer in (
                await http.ask("get_status", form),
                await ask(ws, asking("get_status"), binary=form == MSGPACK),
            ):
                assert [bot["self"] for bot in answer["data"]["bots"]] == [BOT, OTHER]

    serve(talk, bots=["b1", "b2"])


# HTTP


BEARER = f"Authorization: Bearer {TOKEN}".encode()
QUERY = b"/?access_token=" + quote(TOKEN).encode()
GOOD = json.dumps(asking("get_version")).encode()


@pytest.mark.parametrize(
    ("line", "fields", "content_type", "status"),
    [
        (b"POST /", [], JSON, 401),
        (b"POST /", [b"Authorization: Bearer wrong"], JSON, 401),
        (b"POST " + QUERY, [b"Authorization: Bearer wrong"], JSON, 401),
        (b"POST " + QUERY, [], JSON, 200),
        (b"POST /?access_token=wrong", [], JSON, 401),
        (b"POST /?access_token=wrong", [BEARER], JSON, 200),
        (b"POST /", [BEARER], JSON, 200),
        (b"POST /", [BEARER], b"application/json; charset=utf-8", 200),
        (b"POST /", [BEARER], b"APPLICATION/JSON", 200),
        (b"POST /", [BEARER], b"text/plain", 415),
        (b"POST /", [BEARER], None, 415),
        (b"POST /", [], b"text/plain", 401),
        (b"GET /", [BEARER], JSON, 405),
        (b"PUT /", [BEARER], JSON, 405),
        (b"DELETE /", [], None, 405),
        (b"HEAD /", [], None, 405),
        (b"POST /other", [BEARER], JSON, 404),
        (b"POST //", [BEARER], JSON, 404),
        (b"POST /get_version", [BEARER], JSON, 404),
    ],
    ids=str,
)
def test_a_status_says_who_is_let_in_and_where(
    line: bytes, fields: list[bytes], content_type: bytes | None, status: int
):
    method, target = line.split(b" ")

    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            http.send(GOOD, *fields, content_type=content_type, method=method, target=target)
            if method == b"HEAD":
                assert (await http.reader.readline()).split()[1] == b"405"
                return
            answer, told, body = await http.receive()
            assert answer == status
            if status == 200:
                assert (told[b"content-type"], json.loads(body)["data"]) == (b"application/json", VERSION)
            if status == 401:
                assert told[b"www-authenticate"] == b"Bearer"
                assert TOKEN.encode() not in body
            if status == 405:
                assert b"POST" in told[b"allow"]

    serve(talk, HTTP(port=0, access_token=TOKEN), WebSocket(port=0, access_token=TOKEN))


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_everybody_is_let_in(token: str | None):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http, websocket(server.port, "whatever"):
            http.send(GOOD, b"Authorization: Bearer whatever", target=b"/?access_token=x")
            assert (await http.receive())[0] == 200

    serve(talk, HTTP(port=0, access_token=token), WebSocket(port=0, access_token=token))


def test_one_connection_takes_all_the_bad_input_and_goes_on():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            for form, bodies in ((FORMS[name], bodies) for name, bodies in UNREADABLE.items()):
                for body in bodies:
                    http.send(body, content_type=form)
                    assert (await http.receive())[0] == 200
            for fields in ({"content_type": b"text/plain"}, {"method": b"GET"}, {"target": b"/other"}):
                http.send(b"", **fields)
                assert (await http.receive())[0] in (404, 405, 415)
            assert (await http.ask("get_version"))["data"] == VERSION

    serve(talk)


def test_pipelined_requests_are_answered_in_their_order():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            for number in range(3):
                http.send(pack(asking("wait" if number == 1 else "get_version", echo=number, name="a")))
            assert unpack((await http.receive())[2])["echo"] == 0
            await asyncio.sleep(0.01)
            ob.gates["a"].set()
            assert [unpack((await http.receive())[2])["echo"] for _ in range(2)] == [1, 2]

    serve(talk)


def test_a_body_above_the_limit_is_413_and_one_at_it_is_taken():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        body = GOOD.ljust(1000)
        async with Http(server.port) as http:
            http.send(body)
            assert (await http.receive())[0] == 200
            http.send(body + b" ")
            assert (await http.receive())[0] == 413

    serve(talk, HTTP(port=0, max_size=1000))


def test_an_action_of_twenty_megabytes_is_taken():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        @ob.action("size")
        def size(data: str) -> int:
            return len(data)

        body = b'{"action":"size","params":{"data":"%b"}}' % (b"x" * 20_000_000)
        async with Http(server.port) as http, websocket(server.port) as ws:
            http.send(body)
            assert unpack((await http.receive())[2])["data"] == 20_000_000
            assert (await ask(ws, body.decode()))["data"] == 20_000_000

    serve(talk)


@pytest.mark.parametrize("timeout", [0, 1])
def test_get_latest_events_answers_when_its_seconds_are_over(timeout: int):
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            began = time.monotonic()
            assert await http.ask("get_latest_events", timeout=timeout, echo="e") == OK | {"data": [], "echo": "e"}
            assert timeout <= time.monotonic() - began < timeout + 0.5

    serve(talk)


@each_form
def test_get_latest_events_answers_as_soon_as_an_event_comes(form: bytes):
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with Http(server.port) as http:
            loop = asyncio.get_running_loop()
            loop.call_later(0.02, ob.push, message(1))
            began = time.monotonic()
            answer = await http.ask("get_latest_events", form, timeout=30, echo="e")
            assert 0.01 < time.monotonic() - began < 1
            assert [event["id"] for event in answer["data"]] == ["e1"]
            assert answer["data"][0]["self"] == BOT

    serve(talk)


# WebSockets


async def refused(url: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as raised:
        async with open_websocket(url, additional_headers=headers):
            pytest.fail("it was let in")
    return raised.value.response.status_code


def test_a_websocket_without_the_token_is_401_before_it_is_any():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        url = f"ws://127.0.0.1:{server.port}/"
        assert await refused(url) == 401
        assert await refused(f"{url}?access_token=wrong") == 401
        assert await refused(f"{url}?access_token={quote(TOKEN)}", Authorization="Bearer wrong") == 401
        assert await refused(url, Authorization=f"bearer {TOKEN}") == 401
        assert await refused(f"{url}other", Authorization=f"Bearer {TOKEN}") == 404
        async with open_websocket(f"{url}?access_token={quote(TOKEN)}") as ws:
            assert (await hear(ws))["detail_type"] == "connect"
        async with websocket(server.port, TOKEN) as ws:
            assert (await ask(ws, asking("get_version")))["data"] == VERSION

    serve(talk, WebSocket(port=0, access_token=TOKEN))


def test_a_subprotocol_need_not_be_chosen():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port, subprotocols=["12.client"]) as ws:
            assert ws.subprotocol is None

    serve(talk)


def test_a_bad_text_and_then_a_good_request():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as ws:
            await ws.send("{")
            await ws.send(json.dumps(asking("get_version", echo="e")))
            assert (await hear(ws))["retcode"] == 10001
            assert await hear(ws) == OK | {"data": VERSION, "echo": "e"}

    serve(talk)


def test_one_websocket_takes_all_the_bad_input_and_goes_on():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as ws:
            for body in UNREADABLE["MessagePack"]:
                assert (await ask(ws, body))["retcode"] == 10001
            for case in CASES:
                check(await ask(ws, json.dumps(case.request)), case)
                check(await ask(ws, pack(case.request, MSGPACK)), case)

    serve(talk)


def test_a_slow_action_and_then_a_fast_one_are_answered_the_other_way_round():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as ws:
            await ws.send(json.dumps(asking("wait", echo="slow", name="a")))
            assert (await ask(ws, asking("get_version", echo="fast")))["echo"] == "fast"
            ob.gates["a"].set()
            assert await hear(ws) == OK | {"data": "a", "echo": "slow"}

    serve(talk)


def test_events_are_text_in_json_on_every_connection():
    async def talk(ob: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as one, websocket(server.port) as other:
            ob.push(message(1))
            for ws in (one, other):
                event = await hear(ws)
                assert (event["id"], event["self"], event["type"]) == ("e1", BOT, "message")

    serve(talk)


def test_a_message_above_the_limit_ends_the_connection_with_1009_and_no_other():
    async def talk(_: OneBot, server: OneBotServer) -> None:
        async with websocket(server.port) as one, websocket(server.port) as other:
            await one.send("x" * 1001)
            await one.wait_closed()
            assert one.close_code == 1009
            assert (await ask(other, asking("get_version")))["data"] == VERSION

    serve(talk, WebSocket(port=0, max_size=1000))
