"""rawbot/onebot/outlets.py: what an implementation opens by itself.

OneBot 12, connect/communication/http-webhook and websocket-reverse. Over real sockets: test_onebot_server.py.
"""

import json
import math

import pytest
from onebot_parts import T0, TOKEN, Handlers, asking, make, message

from rawbot.errors import MissingExtraError, StateError
from rawbot.exchange import Response
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.outlets import Outlets, ReverseWebSocket
from rawbot.onebot.settings import HTTPWebhook, WebSocketReverse
from rawbot.onebot.webhook import PATIENCE
from rawbot.websocket import handshake

HOOK, OTHER = HTTPWebhook("http://h/hook?access_token=in-the-url"), HTTPWebhook("http://other/")
REVERSE = WebSocketReverse("ws://h/ws?access_token=in-the-url", reconnect_interval=1500, max_size=77)


def test_each_connection_becomes_a_source_or_a_dial():
    outlets = Outlets(make(), [HOOK, REVERSE, OTHER, WebSocketReverse("wss://x/")])
    assert [dial.url for dial in outlets.dials] == [REVERSE.url, "wss://x/"]
    assert len(outlets.sources) == 2
    assert (outlets.keeps_state, outlets.needs_bot, outlets.handlers) == (True, False, outlets.implementation.handlers)


def test_a_dial_says_who_it_is_by_the_subprotocol():
    dial = ReverseWebSocket(make(), REVERSE)
    assert dial.subprotocols == ("12.my-impl",)
    assert (dial.interval, dial.max_size) == (1.5, 77)
    assert list(dial.headers) == [(b"user-agent", b"OneBot/12 (loop) my-impl/1.2")]


def test_the_token_goes_along_where_there_is_one():
    with_token = ReverseWebSocket(make(), WebSocketReverse("ws://h", access_token=TOKEN))
    assert (b"authorization", f"Bearer {TOKEN}".encode()) in with_token.headers
    assert b"authorization" not in dict(ReverseWebSocket(make(), WebSocketReverse("ws://h", access_token="")).headers)


def test_each_connection_that_comes_about_has_a_channel_of_its_own():
    ob = make()
    dial = ReverseWebSocket(ob, WebSocketReverse("ws://h", max_queue_bytes=5))
    channels = [dial.open(), dial.open()]
    assert channels[0] is not channels[1]
    assert all(isinstance(channel, OneBotChannel) and channel._max_queue_bytes == 5 for channel in channels)
    assert ob._sinks == []


def test_nothing_shows_url_or_token():
    outlets = Outlets(make(), [HOOK, REVERSE])
    shown = [repr(outlets), repr(outlets.dials), repr(outlets.webhooks)]
    assert shown == ["<Outlets of my-impl>", "[<Dial>]", "[<Webhook>]"]


def test_websockets_need_their_library(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "INSTALLED", False)
    Outlets(make(), [HOOK])
    with pytest.raises(MissingExtraError, match="rawbot\\[websocket\\]"):
        Outlets(make(), [REVERSE])


def started(*connections: HTTPWebhook | WebSocketReverse, **options: object) -> Outlets:
    outlets = Outlets(make(**options), connections)
    outlets.start(T0)
    for webhook in outlets.webhooks:
        webhook.enabled = True
        webhook.on_ready = lambda: None
    return outlets


def test_each_webhook_begins_with_a_status_update_at_the_first_tick():
    outlets = started(HOOK, OTHER)
    ready: list[object] = []
    for webhook in outlets.webhooks:
        webhook.on_ready = lambda webhook=webhook: ready.append(webhook)
    assert outlets.deadline == T0
    outlets.tick(T0)
    assert ready == outlets.webhooks
    for webhook in outlets.webhooks:
        assert json.loads(webhook.next_request(T0).body)["detail_type"] == "status_update"
    assert outlets.deadline == math.inf


def test_it_is_looked_at_again_when_a_part_of_it_wants_to_be():
    outlets = started(HOOK, OTHER, heartbeat=5000)
    outlets.tick(T0)
    assert outlets.deadline == T0 + 5
    webhook = outlets.webhooks[1]
    webhook.receive(webhook.next_request(T0), None, T0)
    assert outlets.deadline == T0 + PATIENCE[0]
    outlets.tick(T0 + 5)
    assert outlets.deadline == T0 + 10


def test_without_webhooks_only_the_implementation_counts():
    outlets = started(REVERSE)
    outlets.tick(T0)
    assert (outlets.deadline, outlets.unsettled()) == (math.inf, 0)


def test_the_end_takes_events_that_wait_along_and_no_more():
    outlets = started(HOOK)
    outlets.tick(T0)
    ob, (webhook,) = outlets.implementation, outlets.webhooks
    webhook.receive(webhook.next_request(T0), Response(204), T0)
    ob.push(message(1))
    outlets.drain(T0)
    ob.push(message(2))
    assert outlets.unsettled() == 2
    bodies = []
    while request := webhook.next_request(T0):
        bodies.append(json.loads(request.body))
        webhook.receive(request, Response(204), T0)
    assert bodies[0]["id"] == "e1"
    assert bodies[1]["status"] == {"good": False, "bots": []}
    assert (len(bodies), outlets.unsettled()) == (2, 0)


def test_at_the_end_nobody_waits_for_an_application_that_is_not_there():
    outlets = started(HOOK)
    outlets.tick(T0)
    outlets.implementation.push(message(1))
    (webhook,) = outlets.webhooks
    assert outlets.unsettled() == 1
    webhook.receive(webhook.next_request(T0), None, T0)
    assert outlets.unsettled() == 0
    webhook.enabled = False
    outlets.tick(T0 + 60)
    assert outlets.unsettled() == 0


def test_actions_that_answers_ask_for_are_dispatched_by_the_shell_and_complaints_told():
    told: list[str] = []
    ob = make()
    done: list[str] = []

    @ob.action("later")
    async def later() -> None:
        done.append("later")

    outlets = Outlets(ob, [HOOK], complain=told.append)
    outlets.dispatch = Handlers().dispatch
    outlets.start(T0)
    (webhook,) = outlets.webhooks
    body = json.dumps([asking("later"), 5]).encode()
    webhook.receive(webhook.next_request(T0), Response(200, body, b"application/json"), T0)
    assert done == ["later"]
    assert told == ["a webhook's answer holds what is no action request: an action request is an object"]


def test_outside_of_an_app_nothing_can_be_dispatched():
    ob = make()

    @ob.action("later")
    async def later() -> None:
        """Never begun."""

    outlets = Outlets(ob, [HOOK])
    (webhook,) = outlets.webhooks
    body = json.dumps([asking("later")]).encode()
    with pytest.raises(StateError, match="no running app"):
        webhook.receive(webhook.next_request(T0), Response(200, body, b"application/json"), T0)


def test_complaints_go_nowhere_unless_somebody_wants_them():
    outlets = started(HOOK)
    (webhook,) = outlets.webhooks
    webhook.receive(webhook.next_request(T0), None, T0)


def test_what_webhooks_do_is_shown_in_numbers():
    outlets = started(HOOK, HTTPWebhook("http://x/", max_queue_bytes=1))
    first, second = outlets.webhooks
    first.receive(first.next_request(T0), Response(204), T0)
    second.receive(second.next_request(T0), Response(500), T0)
    for number in range(3):
        outlets.implementation.push(message(number))
    figures = {figure.name: (figure.kind, figure.value) for figure in outlets.figures()}
    assert figures == {
        "onebot_webhook_pushed": ("counter", 1),
        "onebot_webhook_failed": ("counter", 1),
        "onebot_webhook_dropped": ("counter", 2),
    }
