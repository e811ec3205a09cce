"""rawbot/onebot/v11/outlets.py: how reverse WebSockets introduce themselves, what is posted, and what answers bring.

Source: OneBot 11, communication/http-post and ws-reverse, event (quick operations).
"""

import hashlib
import hmac
import json
import math

import pytest
from onebot_parts import T0, Data
from v11_parties import NUMBER, Party, said

from rawbot.errors import ConfigError, MissingExtraError, StateError
from rawbot.event import Event
from rawbot.exchange import OutgoingRequest, Response
from rawbot.onebot.messages import Account
from rawbot.onebot.v11 import outlets as its_module
from rawbot.onebot.v11.channels import V11Channel
from rawbot.onebot.v11.outlets import V11Outlets, V11Post
from rawbot.onebot.v11.settings import V11HTTPPost, V11WebSocketReverse
from rawbot.onebot.webhook import MAX_JOBS

URL = "http://127.0.0.1:1/"
GOOD = Response(204)


class Server:
    """What is posted to, without a wire."""

    def __init__(self, *, party: Party | None = None, **settings: object) -> None:
        self.party = party or Party()
        self.complaints: list[str] = []
        self.outlets = V11Outlets(self.party.faces, [V11HTTPPost(URL, **settings)], complain=self.complaints.append)
        self.outlets.dispatch = self.party.handlers.dispatch
        (self.source,) = self.outlets.sources
        self.outlets.start(self.now)
        self.outlets.tick(self.now)

    @property
    def now(self) -> float:
        return self.party.clock.now

    def emit(self, text: str = "hi") -> None:
        self.party.implementation.push(said(text))

    def take(self) -> OutgoingRequest:
        request = self.source.next_request(self.now)
        assert request is not None, "there is nothing to send"
        assert (request.method, request.url) == ("POST", URL)
        return request

    def serve(self, response: Response | None = GOOD) -> Data:
        """Take the next post, answer it, and return what was posted."""
        request = self.take()
        self.source.receive(request, response, self.now)
        self.party.handlers.go_on()
        return json.loads(bytes(request.body))

    def quickly(self, operation: object, text: str = "hi") -> list[Data]:
        """Answer a message with a quick operation; return what is sent."""
        self.emit(text)
        self.serve(Response(200, operation if isinstance(operation, bytes) else json.dumps(operation).encode()))
        return self.party.sent


def served(**settings: object) -> Server:
    """Return one that has been told of the start."""
    server = Server(**settings)
    assert server.serve()["sub_type"] == "enable"
    return server


def test_it_says_at_the_start_that_it_is_there_and_at_the_end_that_it_goes():
    server = Server()
    base = {"time": int(T0), "self_id": NUMBER, "post_type": "meta_event", "meta_event_type": "lifecycle"}
    server.emit()
    assert server.serve() == base | {"sub_type": "enable"}
    assert server.serve()["raw_message"] == "hi"
    server.emit("last")
    server.outlets.drain(T0)
    assert server.serve()["raw_message"] == "last"
    assert server.serve() == base | {"sub_type": "disable"}
    server.emit()
    assert server.source.next_request(T0) is None


def test_after_a_failure_it_says_again_that_it_is_there():
    server = served()
    server.emit("lost")
    server.emit("later")
    server.serve(Response(500))
    assert server.source.next_request(T0) is None
    server.party.clock.now += 60
    server.outlets.tick(server.now)
    assert [server.serve().get("sub_type"), server.serve()["raw_message"]] == ["enable", "later"]
    assert len(server.complaints) == 1


def test_a_server_that_does_not_answer_is_not_told_of_the_end():
    server = Server()
    server.serve(Response(500))
    server.outlets.drain(T0)
    server.party.clock.now += 60
    server.outlets.tick(server.now)
    assert server.serve()["sub_type"] == "enable"
    assert server.source.next_request(server.now) is None


def test_what_is_posted_says_who_speaks():
    headers = dict(Server().take().headers)
    assert headers == {
        b"content-type": b"application/json",
        b"user-agent": b"OneBot/11 (loop) my-impl/1.2",
        b"x-self-id": str(NUMBER).encode(),
    }


def test_what_is_posted_is_signed_as_the_standard_says():
    server = served(secret="a secret")
    server.emit("你好")
    request = server.take()
    digest = hmac.new(b"a secret", request.body, hashlib.sha1).hexdigest()
    assert (b"x-signature", f"sha1={digest}".encode()) in request.headers


@pytest.mark.parametrize(
    ("timeout", "expires_at"), [(0, math.inf), (30, T0 + 30), (0.5, T0 + 0.5), (0.0001, T0 + 0.001)]
)
def test_the_time_out_is_in_seconds(timeout: float, expires_at: float):
    assert Server(timeout=timeout).take().expires_at == expires_at


def test_heartbeats_are_posted_and_a_status_update_is_not():
    server = served(party=Party(heartbeat=3000))
    server.party.implementation.set_online("another")
    assert server.source.next_request(T0) is None
    server.outlets.tick(T0 + 3)
    assert server.serve()["meta_event_type"] == "heartbeat"


def test_a_status_update_while_it_is_told_of_the_start_changes_nothing():
    server = Server()
    request = server.take()
    server.party.implementation.set_online("another")
    server.source.receive(request, GOOD, T0)
    assert server.source.next_request(T0) is None


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_good_status_is_well(status: int):
    server = served()
    server.emit()
    server.serve(Response(status))
    assert (server.source.pushed, server.source.failed) == (2, 0)
    assert server.source.listens(T0)


def test_a_quick_reply_goes_to_who_has_written():
    server = served()
    assert server.quickly({"reply": "hello [CQ:face,id=1]"}) == [{"text": "hello cq.face", "user_id": "5"}]
    assert server.quickly({"reply": "[CQ:face,id=1]", "auto_escape": True})[1]["text"] == "[CQ:face,id=1]"


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"[]", b"null", b'"x"', b"{}", b'{"status": "ok"}', b'{"reply": null}', b"\xff"]
)
def test_an_answer_that_asks_for_nothing_is_no_fault(body: bytes):
    server = served()
    assert server.quickly(body) == []
    assert server.complaints == []
    assert server.source.failed == 0


def test_an_operation_that_fails_is_told_to_the_operator():
    server = served()
    assert server.quickly({"reply": 5}) == []
    assert len(server.complaints) == 1
    assert "a quick operation failed with 10003" in server.complaints[0]


def test_operations_are_carried_out_one_after_the_other():
    server = served()
    image = [{"type": "image", "data": {"file": "base64://aGVsbG8="}}]
    assert server.quickly({"reply": image}) == []  # its upload waits
    assert server.quickly({"reply": "second"}) == []
    server.party.open("upload")
    assert [message["text"] for message in server.party.sent] == ["image", "second"]


def test_only_so_many_operations_wait():
    server = served()
    server.quickly({"reply": [{"type": "image", "data": {"file": "base64://aGVsbG8="}}]})
    for _ in range(MAX_JOBS + 1):
        server.quickly({"reply": "later"})
    assert server.complaints == ["a quick operation is left out: too many wait already"]


def test_reverse_websockets_say_who_calls_and_what_for():
    party = Party()
    settings = [
        V11WebSocketReverse("ws://x/ws", access_token="token", reconnect_interval=1500, max_size=77),
        V11WebSocketReverse(api_url="ws://x/api", event_url="ws://x/event", bot=Account("loop", "other"), self_id=12),
    ]
    universal, api, event = V11Outlets(party.faces, settings).dials
    assert (universal.url, universal.interval, universal.max_size) == ("ws://x/ws", 1.5, 77)
    assert dict(universal.headers) == {
        b"user-agent": b"OneBot/11 (loop) my-impl/1.2",
        b"x-self-id": str(NUMBER).encode(),
        b"x-client-role": b"Universal",
        b"authorization": b"Bearer token",
    }
    for dial, url, role in ((api, "ws://x/api", b"API"), (event, "ws://x/event", b"Event")):
        headers = dict(dial.headers)
        assert (dial.url, headers[b"x-client-role"], headers[b"x-self-id"]) == (url, role, b"12")
        assert b"authorization" not in headers
        assert dial.subprotocols == ()


def test_a_reverse_websocket_is_a_new_channel_each_time():
    outlets = V11Outlets(Party().faces, [V11WebSocketReverse("ws://x/")])
    first, second = outlets.dials[0].open(), outlets.dials[0].open()
    assert isinstance(first, V11Channel)
    assert first is not second


def test_it_takes_part_in_an_apps_life():
    server = served()
    for text in "ab":
        server.quickly({"reply": text})
    channel = V11Outlets(server.party.faces, [V11WebSocketReverse("ws://x/")]).dials[0].open()
    for text in "cde":
        request = {"action": "send_private_msg_rate_limited", "params": {"user_id": 5, "message": text}}
        channel.receive(json.dumps(request), T0)
    assert server.outlets.deadline == T0 + 0.5
    server.outlets.tick(T0 + 0.5)
    assert [message["text"] for message in server.party.sent] == ["a", "b", "c", "d"]
    names = {figure.name for figure in server.outlets.figures()}
    assert {"onebot_webhook_pushed", "onebot_v11_queued"} <= names
    server.outlets.drain(T0)
    assert len(server.party.faces.performer) == 0
    assert (repr(server.outlets), repr(server.source)) == ("<V11Outlets of my-impl>", "<Webhook>")


def test_connections_that_belong_to_no_app_start_no_handler():
    server = served()
    server.outlets.dispatch = None
    with pytest.raises(StateError):
        server.quickly({"reply": [{"type": "image", "data": {"file": "base64://aGVsbG8="}}]})


def test_a_bot_that_cannot_be_told_is_refused():
    party = Party()
    party.implementation.set_online("another")
    for settings in (V11HTTPPost(URL), V11WebSocketReverse("ws://x/")):
        with pytest.raises(ConfigError):
            V11Outlets(party.faces, [settings])


def test_without_the_library_there_are_no_websockets(monkeypatch: pytest.MonkeyPatch):
    def missing(purpose: str) -> None:
        raise MissingExtraError("websocket", purpose)

    monkeypatch.setattr(its_module, "require", missing)
    V11Outlets(Party().faces, [V11HTTPPost(URL)])
    with pytest.raises(MissingExtraError):
        V11Outlets(Party().faces, [V11WebSocketReverse("ws://x/")])


def test_without_somebody_to_complain_to_it_goes_on():
    party = Party()
    started: list[Event] = []
    post = V11Post(party.faces, V11HTTPPost(URL), started.append)
    post.start(T0)
    assert post.receive(post.next_request(T0), Response(500), T0)
    assert started == []
