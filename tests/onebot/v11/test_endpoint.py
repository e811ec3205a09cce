"""rawbot/onebot/v11/endpoint.py: who is let in, and what is answered with which status.

Source: OneBot 11, communication/http, ws, authorization.
"""

import json
import math

import pytest
from onebot_parts import T0, TOKEN, Data
from v11_parties import Party

from rawbot.errors import ConfigError, MissingExtraError, StateError
from rawbot.exchange import Answer, Exchange, Pending, Request, Response, Upgrade
from rawbot.onebot.v11 import endpoint as its_module
from rawbot.onebot.v11.endpoint import V11Endpoint
from rawbot.onebot.v11.settings import V11HTTP, V11WebSocket
from rawbot.websocket.handshake import require

BEARER = b"Bearer " + TOKEN.encode()
UPGRADE = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"


class Door:
    """An endpoint on a path."""

    def __init__(self, *, http: V11HTTP | None = None, websocket: V11WebSocket | None = None, path: str = "/") -> None:
        self.party = Party()
        self.endpoint = V11Endpoint(self.party.faces, http=http, websocket=websocket)
        self.endpoint.mounted_at = path
        self.endpoint.dispatch = self.party.handlers.dispatch

    def ask(
        self,
        path: str,
        body: bytes = b"",
        content_type: bytes = JSON,
        *fields: tuple[bytes, bytes],
        method: str = "",
        query: str = "",
        token: bytes | None = BEARER,
    ) -> Exchange:
        headers = [(b"content-type", content_type), *fields]
        if token is not None:
            headers.append((b"authorization", token))
        return self.endpoint.receive(Request(method or ("POST" if body else "GET"), path, query, headers, body), T0)

    def status(self, *arguments: object, **options: object) -> int:
        return answer_of(self.ask(*arguments, **options)).status

    def open(self, path: str, **options: object) -> Exchange:
        return self.ask(path, b"", JSON, *UPGRADE, **options)


def answer_of(exchange: Exchange) -> Response:
    assert isinstance(exchange, Answer)
    return exchange.response


def value_of(exchange: Exchange) -> Data:
    response = answer_of(exchange)
    assert (response.status, response.content_type) == (200, JSON)
    return json.loads(response.body)


@pytest.fixture
def door() -> Door:
    return Door(http=V11HTTP(access_token=TOKEN), websocket=V11WebSocket(access_token=TOKEN))


@pytest.mark.parametrize("path", ["/send_private_msg", "/send_private_msg/"])
@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("user_id=5&message=a%20b", b"", JSON),
        ("", b"user_id=5&message=a+b", FORM),
        ("", b'{"user_id": "5", "message": "a b"}', b"application/json; charset=utf-8"),
        ("user_id=7", b'{"user_id": 5, "message": [{"type": "text", "data": {"text": "a b"}}]}', JSON),
    ],
)
def test_an_action_is_asked_for_in_any_of_the_ways(door: Door, path: str, query: str, body: bytes, content_type: bytes):
    answer = value_of(door.ask(path, body, content_type, query=query))
    assert (answer["status"], answer["retcode"]) == ("ok", 0)
    assert door.party.sent == [{"text": "a b", "user_id": "5"}]


@pytest.mark.parametrize("websocket", [False, True])
def test_who_brings_no_token_is_told_so_and_who_brings_a_wrong_one_something_else(door: Door, *, websocket: bool):
    def status(query: str = "", token: bytes | None = None) -> int:
        exchange = (door.open if websocket else door.ask)("/" if websocket else "/wait", query=query, token=token)
        return answer_of(exchange).status if isinstance(exchange, Answer) else 0

    assert status() == 401
    assert status("access_token=wrong") == 403
    assert status(token=b"Bearer wrong") == 403
    assert status(f"access_token={TOKEN}", b"Bearer wrong") == 403
    assert status("access_token=a+token%2C+with+blanks+%26+signs") in (0, 200)
    assert status(token=BEARER) in (0, 200)


def test_without_the_token_nobody_learns_which_actions_there_are(door: Door):
    for path in ("/", "/fly", "/send_msg", "/a/b"):
        assert door.status(path, token=None) == 401
        assert door.status(path, b"{", token=None) == 401
    assert (b"www-authenticate", b"Bearer") in door.ask("/", token=None).error.headers


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status"),
    [
        ("/send_msg", b"{", JSON, 400),
        ("/send_msg", b"[]", JSON, 400),
        ("/send_msg", b"x=\xff", FORM, 400),
        ("/send_msg", b"x", b"text/plain", 406),
        ("/fly", b"", JSON, 404),
        ("/fly", b"{}", JSON, 404),
        ("/", b"", JSON, 404),
        ("/send_msg/x", b"", JSON, 404),
        ("/send_msg", b"{}", JSON, 200),
    ],
)
def test_a_bad_request_has_the_standards_status(door: Door, path: str, body: bytes, content_type: bytes, status: int):
    assert door.status(path, body, content_type) == status


def test_the_access_token_of_the_query_is_no_parameter(door: Door):
    taken: list[Data] = []
    door.party.implementation.action("keep")(lambda **params: taken.append(params))
    value_of(door.ask("/keep", query="access_token=a+token%2C+with+blanks+%26+signs&a=1", token=None))
    assert taken == [{"a": "1"}]


def test_what_has_to_be_waited_for_is_answered_later(door: Door):
    pending = door.ask("/wait", query="gate=a")
    assert isinstance(pending, Pending)
    assert pending.deadline == math.inf
    told: list[int] = []
    pending.attach(lambda: told.append(1))
    door.party.open("a")
    assert told == [1]
    assert json.loads(pending.answer(T0).body)["data"] == "a"


def test_what_fails_later_has_its_status_too(door: Door):
    pending = door.ask("/get_stranger_info", query="user_id=5")
    assert door.status("/get_stranger_info", query="user_id=5") == 404  # there is no get_user_info
    assert isinstance(pending, Answer)
    door.party.implementation.action("get_user_info")(door.party._fail)
    pending = door.ask("/get_stranger_info", query="user_id=5")
    door.party.handlers.go_on()
    assert pending.answer(T0).status == 200


def test_where_no_place_is_left_to_wait_it_says_so(door: Door):
    assert door.ask("/wait", query="gate=a").answer(T0).status == 503


@pytest.mark.parametrize(
    ("path", "greets"),
    [("/", True), ("/api", False), ("/api/", False), ("/event", True), ("/event/", True)],
)
@pytest.mark.parametrize("mounted_at", ["", "/onebot/v11"])
def test_a_websocket_is_for_what_its_path_says(mounted_at: str, path: str, greets: bool):  # noqa: FBT001 - a table's
    door = Door(websocket=V11WebSocket(max_size=77), path=mounted_at or "/")
    upgrade = door.open(mounted_at + path)
    assert isinstance(upgrade, Upgrade)
    assert upgrade.max_size == 77
    upgrade.channel.opened(T0)
    assert bool(list(upgrade.channel.to_send())) is greets
    upgrade.channel.receive(b'{"action": "get_status"}', T0)
    assert bool(list(upgrade.channel.to_send())) is ("event" not in path)
    assert {figure.name: figure.value for figure in door.endpoint.figures()}["onebot_websockets"] == 1


def test_a_path_without_its_slash_is_the_doors_own():
    assert isinstance(Door(websocket=V11WebSocket(), path="/v11").open("/v11"), Upgrade)
    assert value_of(Door(http=V11HTTP(), path="/v11").ask("/v11/get_version_info"))["retcode"] == 0


@pytest.mark.parametrize("path", ["/x", "/api/x", "//api", "/API"])
def test_on_other_paths_there_is_no_websocket(door: Door, path: str):
    assert answer_of(door.open(path)).status == 404


def test_a_door_for_one_of_both_knows_nothing_of_the_other():
    for_actions, for_websockets = Door(http=V11HTTP()), Door(websocket=V11WebSocket())
    assert for_actions.endpoint.methods == ("GET", "POST")
    assert for_websockets.endpoint.methods == ("GET",)
    assert answer_of(for_actions.open("/")).status == 404
    assert value_of(for_actions.open("/get_status"))["data"] == {"online": True, "good": True}
    assert isinstance(for_websockets.ask("/"), Upgrade)  # which the shell answers with 426
    assert for_websockets.status("/get_status") == 404
    assert (for_actions.endpoint.max_body_size, for_websockets.endpoint.max_body_size) == (V11HTTP().max_size, 0)


def test_it_takes_part_in_an_apps_life(door: Door):
    endpoint, party = door.endpoint, door.party
    party.implementation.set_good(good=False)
    endpoint.start(T0)
    assert party.implementation.roster.good
    for text in "ab":
        door.ask("/send_private_msg_rate_limited", query=f"user_id=5&message={text}")
    assert endpoint.deadline == T0 + 0.5
    endpoint.tick(T0 + 0.5)
    assert [message["text"] for message in party.sent] == ["a", "b"]
    assert endpoint.deadline == math.inf
    door.ask("/send_private_msg_rate_limited", query="user_id=5&message=c")
    endpoint.drain(T0)
    assert not party.implementation.roster.good
    assert endpoint.deadline == math.inf
    assert "onebot_actions" in {figure.name for figure in endpoint.figures()}
    assert repr(endpoint) == "<V11Endpoint of my-impl>"


def test_a_door_that_belongs_to_no_app_starts_no_handler(door: Door):
    door.endpoint.dispatch = None
    with pytest.raises(StateError):
        door.ask("/wait", query="gate=a")


def test_a_door_for_nothing_is_refused():
    with pytest.raises(ConfigError):
        V11Endpoint(Party().faces)


def test_without_the_library_there_are_no_websockets(monkeypatch: pytest.MonkeyPatch):
    def missing(purpose: str) -> None:
        raise MissingExtraError("websocket", purpose)

    assert its_module.require is require
    monkeypatch.setattr(its_module, "require", missing)
    Door(http=V11HTTP())
    with pytest.raises(MissingExtraError):
        Door(websocket=V11WebSocket())
