"""rawbot/onebot/endpoint.py: OneBot 12, connect/communication/http and websocket, request by request.

Over real sockets: test_conformance.py and test_endpoint_polls.py.
"""

import json
import math

import ormsgpack
import pytest
from onebot_parts import BOT, T0, TOKEN, Data, Handlers, asking, make, message, ok, post
from websocket_requests import FIELDS, handshake_request

from rawbot.errors import ConfigError, MissingExtraError
from rawbot.event import Event
from rawbot.exchange import Answer, Exchange, Pending, Request, Response, Upgrade
from rawbot.onebot import endpoint as door
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.codec import JSON
from rawbot.onebot.endpoint import LONGEST_POLL, MAX_POLLS, Held, OneBotEndpoint
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.settings import HTTP, WebSocket
from rawbot.websocket import handshake

MSGPACK = b"application/msgpack"
BEARER = (b"authorization", f"Bearer {TOKEN}".encode())


def open_door(
    implementation: Implementation | None = None, token: str | None = None, **options: object
) -> OneBotEndpoint:
    """Return a started endpoint for both ways; `options` are those of HTTP."""
    http, websocket = HTTP(access_token=token, **options), WebSocket(access_token=token)
    endpoint = OneBotEndpoint(implementation or make(), http=http, websocket=websocket)
    endpoint.start(T0)
    return endpoint


def respond(endpoint: OneBotEndpoint, request: Request) -> Response:
    exchange = endpoint.receive(request, T0)
    assert isinstance(exchange, Answer)
    return exchange.response


def ask(endpoint: OneBotEndpoint, body: bytes | Data, content_type: bytes = b"application/json") -> Data:
    """Return the response to an action, which must be a whole one."""
    response = respond(endpoint, post(body, content_type))
    assert (response.status, response.content_type) == (200, content_type.partition(b";")[0].strip().lower())
    decoded = (ormsgpack.unpackb if response.content_type == MSGPACK else json.loads)(response.body)
    assert list(decoded)[:4] == ["status", "retcode", "data", "message"]
    return decoded


def upgrade(*fields: tuple[bytes, bytes], query: str = "", method: str = "GET") -> Request:
    return Request(method, "/", query, [*FIELDS.items(), *fields])


def poll(endpoint: OneBotEndpoint, **params: object) -> Exchange:
    return endpoint.receive(post(asking("get_latest_events", echo="e", **params)), T0)


def events_of(response: Response) -> list[str]:
    decoded = json.loads(response.body)
    assert (decoded["status"], decoded["echo"]) == ("ok", "e")
    return [event["id"] for event in decoded["data"]]


# Made


def test_a_door_is_for_something():
    with pytest.raises(ConfigError, match="for both"):
        OneBotEndpoint(make())


def test_a_door_for_websockets_needs_their_library(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "INSTALLED", False)
    with pytest.raises(MissingExtraError, match="rawbot\\[websocket\\]"):
        OneBotEndpoint(make(), websocket=WebSocket())
    OneBotEndpoint(make(), http=HTTP())


def test_it_shows_neither_token_nor_url():
    assert repr(open_door(token=TOKEN)) == "<OneBotEndpoint of my-impl>"


@pytest.mark.parametrize(
    ("http", "websocket", "methods", "size"),
    [
        (HTTP(max_size=7), WebSocket(), ("POST", "GET"), 7),
        (HTTP(max_size=7), None, ("POST",), 7),
        (None, WebSocket(), ("GET",), 0),
    ],
)
def test_it_takes_the_methods_and_bodies_that_it_has_a_use_for(
    http: HTTP | None, websocket: WebSocket | None, methods: tuple[str, ...], size: int
):
    endpoint = OneBotEndpoint(make(), http=http, websocket=websocket)
    assert (endpoint.methods, endpoint.max_body_size) == (methods, size)
    assert (endpoint.keeps_state, endpoint.needs_bot) == (True, False)


# Who is let in, and in which order that is looked at


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(asking("get_status")), 401),
        (post(asking("get_status"), b"text/plain"), 401),
        (post(b"{"), 401),
        (post(asking("get_status"), b"text/plain", BEARER), 415),
        (post(asking("get_status"), None, BEARER), 415),
        (post(b"{", b"application/json", BEARER), 200),
        (post(asking("get_status"), b"application/json", BEARER), 200),
        (post(asking("get_status"), b"application/json", (b"authorization", b"Bearer x")), 401),
        (post(b"", None, method="GET"), 405),
        (post(b"", None, method="PUT"), 405),
        (upgrade(), 401),
        (upgrade((b"authorization", b"Bearer x"), query=f"access_token={TOKEN}"), 401),
    ],
    ids=repr,
)
def test_method_then_token_then_type(request_: Request, status: int):
    assert respond(open_door(token=TOKEN), request_).status == status


def test_a_refusal_tells_what_is_missing_and_nothing_else():
    endpoint = open_door(token=TOKEN)
    refused = respond(endpoint, post(asking("get_status")))
    assert (refused.status, refused.headers, refused.body) == (
        401,
        ((b"www-authenticate", b"Bearer"),),
        b"request refused\n",
    )
    refused = respond(endpoint, post(b"", None, method="GET"))
    assert (refused.status, refused.headers) == (405, ((b"allow", b"POST"),))


def test_each_way_in_has_its_own_token():
    endpoint = OneBotEndpoint(make(), http=HTTP(access_token="h"), websocket=WebSocket(access_token="w"))
    bearers = [(b"authorization", b"Bearer h"), (b"authorization", b"Bearer w")]
    assert [respond(endpoint, post(b"", b"application/json", one)).status for one in bearers] == [200, 401]
    exchanges = [endpoint.receive(upgrade(one), T0) for one in bearers]
    assert [isinstance(exchange, Upgrade) for exchange in exchanges] == [False, True]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_door_for_websockets_carries_out_no_action_by_http(method: str):
    endpoint = OneBotEndpoint(make(), websocket=WebSocket(access_token=TOKEN))
    response = respond(endpoint, post(asking("get_status"), method=method))
    assert (response.status, response.headers) == (405, ((b"allow", b"GET"),))


def test_a_door_for_actions_opens_no_websocket():
    endpoint = OneBotEndpoint(make(), http=HTTP())
    assert respond(endpoint, upgrade()).status == 405


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/json", 200),
        (b"Application/JSON", 200),
        (b"application/json; charset=utf-8", 200),
        (b"application/json;charset=utf-8", 200),
        (b"application/json ; a=b; c", 200),
        (b"application/msgpack", 200),
        (b"application/msgpack; a=b", 200),
        (b"text/plain", 415),
        (b"", 415),
        (b";", 415),
        (b"application/jsonp", 415),
        (b"application/json, application/json", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"\xff", 415),
    ],
)
def test_only_two_types_are_spoken_whatever_their_parameters(content_type: bytes, status: int):
    body = asking("get_status")
    data = ormsgpack.packb(body) if b"msgpack" in content_type else json.dumps(body).encode()
    response = respond(open_door(), post(data, content_type))
    assert response.status == status
    if status == 200:
        assert response.content_type == content_type.partition(b";")[0].strip().lower()


def test_without_the_extra_messagepack_is_a_type_that_is_not_spoken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door, "_CODECS", {JSON.content_type: JSON})
    assert respond(open_door(), post(b"\x80", MSGPACK)).status == 415


# Actions


def test_bad_bodies_are_answered_with_200_and_10001_in_their_own_form():
    endpoint = open_door()
    for body in (b"", b"{", b"[]", b"\xff", b"null", b'{"action": {}, "params": {}}'):
        assert ask(endpoint, body)["retcode"] == 10001
    for body in (b"", b"\x81", b"\x90", b"\x80\x80", b"\xc1", ormsgpack.packb({"action": "x"})[:-1]):
        assert ask(endpoint, body, MSGPACK)["retcode"] == 10001


def test_an_action_is_answered_on_the_way_through():
    ob = make()
    ob.action("say")(lambda text: text)
    endpoint = open_door(ob)
    assert ask(endpoint, asking("say", text="x", echo="e")) == ok("x", echo="e")
    assert ask(endpoint, ormsgpack.packb(asking("say", text="x")), MSGPACK) == ok("x")


def test_a_handler_that_fails_is_answered_and_then_raised_where_it_is_logged():
    ob = make()
    ob.action("fail")(lambda: 1 / 0)
    exchange = open_door(ob).receive(post(asking("fail", echo="e")), T0)
    assert isinstance(exchange, Answer)
    assert json.loads(exchange.response.body)["retcode"] == 20002
    handlers = Handlers()
    handlers.dispatch(exchange.event)
    assert isinstance(handlers.raised[0], ZeroDivisionError)


def begin(endpoint: OneBotEndpoint, action: str = "later") -> tuple[Pending, Event, list[Response]]:
    """Have an action begun; what is given is its answer, once it is there."""
    exchange = endpoint.receive(post(asking(action, echo="e")), T0)
    assert isinstance(exchange, Pending)
    assert exchange.event is not None
    given: list[Response] = []
    exchange.attach(lambda: given.append(exchange.answer(T0)))
    return exchange, exchange.event, given


@pytest.fixture
def later() -> OneBotEndpoint:
    ob = make()

    @ob.action("later")
    async def say() -> str:
        return "at last"

    return open_door(ob)


def test_a_coroutine_is_answered_when_it_is_done(later: OneBotEndpoint):
    pending, event, given = begin(later)
    assert (pending.deadline, pending.needs_reader, given) == (math.inf, False, [])
    Handlers().dispatch(event)
    (response,) = given
    assert (response.status, json.loads(response.body)) == (200, ok("at last", echo="e"))


def test_a_client_that_goes_loses_its_answer_and_nothing_else(later: OneBotEndpoint):
    pending, event, given = begin(later)
    pending.abandon()
    Handlers().dispatch(event)
    assert given == []
    assert len(later.implementation.performer) == 0


def test_an_action_that_there_is_no_place_to_wait_for_is_told_that_it_may_take_effect(later: OneBotEndpoint):
    pending, event, given = begin(later)
    response = pending.answer(T0)  # as the shell does when too many answers are waited for
    decoded = json.loads(response.body)
    assert (response.status, response.content_type) == (200, b"application/json")
    assert (decoded["retcode"], decoded["echo"]) == (36000, "e")
    Handlers().dispatch(event)
    assert given == []


def test_whoever_gives_no_such_answer_is_answered_503():
    held = Held(JSON)
    assert held.pend(None).answer(T0).status == 503


# get_latest_events


def test_events_that_wait_are_told_at_once_oldest_first_and_once():
    ob = make()
    endpoint = open_door(ob)
    for number in (1, 2, 3):
        ob.push(message(number))
    assert events_of(poll(endpoint, timeout=60, limit=2).response) == ["e1", "e2"]
    assert events_of(poll(endpoint).response) == ["e3"]
    assert events_of(poll(endpoint).response) == []


def test_a_poll_waits_as_many_seconds_as_it_says_and_is_answered_by_the_first_event():
    ob = make()
    endpoint = open_door(ob)
    pending = poll(endpoint, timeout=3, limit=10)
    assert isinstance(pending, Pending)
    assert (pending.deadline, pending.event, pending.needs_reader) == (T0 + 3, None, True)
    given: list[Response] = []
    pending.attach(lambda: given.append(pending.answer(T0)))
    ob.push(message(1))
    ob.push(message(2))
    assert [events_of(response) for response in given] == [["e1"]]
    assert events_of(poll(endpoint).response) == ["e2"]


def test_a_poll_whose_time_is_over_is_answered_with_nothing():
    pending = poll(open_door(), timeout=3)
    assert events_of(pending.answer(T0 + 3)) == []


def test_a_poll_in_messagepack_is_answered_so_and_bytes_stay_bytes():
    ob = make()
    endpoint = open_door(ob)
    event = message(1)
    event.fields["loop.data"] = b"\x00\xff"
    ob.push(event)
    (told,) = ask(endpoint, ormsgpack.packb(asking("get_latest_events")), MSGPACK)["data"]
    assert told["loop.data"] == b"\x00\xff"
    ob.push(event)
    (told,) = ask(endpoint, asking("get_latest_events"))["data"]
    assert told["loop.data"] == "AP8="


@pytest.mark.parametrize("name", ["limit", "timeout"])
@pytest.mark.parametrize("value", [-1, 1.0, 0.5, "1", True, None, [], {}])
def test_limit_and_timeout_are_counts(name: str, value: object):
    ob = make()
    endpoint = open_door(ob)
    ob.push(message(1))
    decoded = json.loads(poll(endpoint, **{name: value}).response.body)
    assert (decoded["retcode"], decoded["echo"]) == (10003, "e")
    assert events_of(poll(endpoint).response) == ["e1"]


def test_the_largest_counts_are_taken_as_they_are_meant():
    ob = make()
    endpoint = open_door(ob)
    assert poll(endpoint, timeout=2**63 - 1).deadline == T0 + LONGEST_POLL
    endpoint.drain(T0)
    endpoint.start(T0)
    ob.push(message(1))
    assert events_of(poll(endpoint, limit=2**63 - 1).response) == ["e1"]


def test_other_parameters_are_ignored_unless_all_is_strict():
    assert events_of(poll(open_door(), _timeout=30).response) == []
    strict = json.loads(poll(open_door(make(strict=True)), _timeout=30).response.body)
    assert (strict["retcode"], strict["echo"]) == (10004, "e")
    assert events_of(poll(open_door(make(strict=True)), limit=1, timeout=0).response) == []


def test_a_poll_needs_no_bot_and_ignores_any():
    endpoint = open_door(make(bots=["b1", "b2"]))
    for bot in (None, BOT.encode(), {"platform": "?", "user_id": "?"}):
        assert ask(endpoint, asking("get_latest_events", bot=bot)) == ok([])


def test_a_self_that_is_none_is_refused_there_too():
    assert ask(open_door(), asking("get_latest_events", bot={"user_id": "b1"}))["retcode"] == 10001


def test_polls_are_not_spoken_where_events_are_not_enabled():
    assert ask(open_door(event_enabled=False), asking("get_latest_events"))["retcode"] == 10002
    ob = make()
    open_door(ob, event_enabled=False)
    assert not ob._sinks


def test_the_action_is_not_listed():
    assert "get_latest_events" not in ask(open_door(), asking("get_supported_actions"))["data"]


def test_the_buffer_holds_as_many_as_it_is_told():
    ob = make()
    endpoint = open_door(ob, event_buffer_size=2)
    for number in range(5):
        ob.push(message(number))
    assert events_of(poll(endpoint).response) == ["e3", "e4"]


def test_each_door_has_a_buffer_of_its_own():
    ob = make()
    endpoints = [open_door(ob), open_door(ob)]
    ob.push(message(1))
    assert [events_of(poll(endpoint).response) for endpoint in endpoints] == [["e1"], ["e1"]]


def test_no_more_polls_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(door, "MAX_POLLS", 2)
    ob = make()
    endpoint = open_door(ob)
    pending = [poll(endpoint, timeout=9) for _ in range(2)]
    assert json.loads(poll(endpoint, timeout=9).response.body)["retcode"] == 36000
    assert events_of(poll(endpoint).response) == []
    pending[0].abandon()
    assert isinstance(poll(endpoint, timeout=9), Pending)
    assert MAX_POLLS >= 100


def test_at_the_end_polls_are_answered_and_later_ones_do_not_wait():
    ob = make()
    endpoint = open_door(ob)
    pending = poll(endpoint, timeout=60)
    given: list[Response] = []
    pending.attach(lambda: given.append(pending.answer(T0)))
    endpoint.drain(T0)
    assert [events_of(response) for response in given] == [[]]
    assert events_of(poll(endpoint, timeout=60).response) == []
    ob.push(message(1))
    assert events_of(poll(endpoint).response) == []


def test_what_waits_is_kept_over_a_restart():
    ob = make()
    endpoint = open_door(ob)
    ob.push(message(1))
    endpoint.drain(T0)
    endpoint.start(T0)
    ob.push(message(2))
    assert events_of(poll(endpoint).response) == ["e1", "e2"]
    assert isinstance(poll(endpoint, timeout=1), Pending)


# WebSockets, and the rest


def test_a_websocket_is_opened_with_its_own_limit():
    endpoint = OneBotEndpoint(make(), websocket=WebSocket(max_size=77, max_queue_bytes=5))
    exchange = endpoint.receive(upgrade(), T0)
    assert isinstance(exchange, Upgrade)
    assert isinstance(exchange.channel, OneBotChannel)
    assert (exchange.max_size, exchange.subprotocol, exchange.channel._max_queue_bytes) == (77, None, 5)


def test_who_asks_for_no_websocket_is_told_by_the_shell_where_there_is_nothing_else():
    endpoint = OneBotEndpoint(make(), websocket=WebSocket(access_token=TOKEN))
    assert respond(endpoint, handshake_request({b"upgrade": None})).status == 401
    assert isinstance(endpoint.receive(handshake_request({b"upgrade": None}, BEARER), T0), Upgrade)


def test_figures_count_what_is_open_and_what_waits():
    ob = make()
    endpoint = open_door(ob, event_buffer_size=1)
    channel = endpoint.receive(upgrade(), T0).channel
    channel.opened(T0)
    for number in range(3):
        ob.push(message(number))
    figures = {figure.name: figure.value for figure in endpoint.figures()}
    assert figures["onebot_websockets"] == 1
    assert (figures["onebot_buffer_events"], figures["onebot_buffer_dropped"]) == (1, 2)
    assert figures["onebot_events"] == 3
    channel.closed(1000, T0)
    assert {figure.name: figure.value for figure in endpoint.figures()}["onebot_websockets"] == 0
    names = [figure.name for figure in OneBotEndpoint(ob, websocket=WebSocket()).figures()]
    assert "onebot_buffer_events" not in names


def test_time_passes_for_the_implementation():
    ob = make(heartbeat=5000)
    endpoint = open_door(ob)
    assert endpoint.deadline == ob.deadline == T0 + 5
    endpoint.tick(T0 + 5)
    assert endpoint.deadline == T0 + 10
