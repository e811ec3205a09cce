"""The platform's side of a callback, for the tests of this wing: made and opened with the textbook's crypto.

Shapes: developer.work.weixin.qq.com/document/path/100719 (messages), 101027 (events), 101033 (envelopes).
"""

import json

import reference_wecom as reference

from rawbot.event import Event
from rawbot.exchange import Answer, Exchange, Pending, Request, Response
from rawbot.wecom.endpoint import WeComEndpoint

TOKEN, KEY, OTHER_KEY = reference.TOKEN, reference.KEY, reference.OTHER_KEY
NONCE = "1700007919"
T0 = 1_767_225_600.0
URL = "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=capability"
FILE_URL = "https://ww-aibot-img-1258476243.cos.ap-guangzhou.myqcloud.com/obj?sign=capability"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)
JPG = b"\xff\xd8\xff\xe0" + bytes(24)
CARD = {
    "card_type": "text_notice",
    "main_title": {"title": "a title"},
    "card_action": {"type": 1, "url": "https://example.com/"},
    "task_id": "task-1",
}

Json = dict[str, object]


def message(msgid: str = "m1", **more: object) -> Json:
    fields: Json = {"msgid": msgid, "aibotid": "BOT", "chattype": "single", "from": {"userid": "zhangsan"}}
    return fields | more


def text(content: str = "hello", msgid: str = "m1", **more: object) -> Json:
    return message(msgid, msgtype="text", text={"content": content}) | {"response_url": URL} | more


def refresh(stream_id: str, msgid: str = "r1") -> Json:
    return message(msgid, msgtype="stream", stream={"id": stream_id})


def event(name: str, payload: object = None, msgid: str = "e1", **more: object) -> Json:
    body: Json = {"eventtype": name} if payload is None else {"eventtype": name, name: payload}
    return message(msgid, msgtype="event", event=body) | more


def card_event(task_id: str = "task-1", msgid: str = "e1") -> Json:
    payload = {"card_type": "button_interaction", "event_key": "yes", "task_id": task_id}
    return event("template_card_event", payload, msgid, response_url=URL)


def seal(plaintext: Json | bytes, *, key: str = KEY, receive_id: str = "") -> str:
    data = plaintext if isinstance(plaintext, bytes) else json.dumps(plaintext).encode()
    return reference.encrypt(key, data, receive_id)


def query_for(encrypted: str, *, token: str = TOKEN, timestamp: str = str(int(T0)), nonce: str = NONCE) -> str:
    signature = reference.sign(token, timestamp, nonce, encrypted)
    return f"msg_signature={signature}&timestamp={timestamp}&nonce={nonce}"


def request_for(encrypted: str, **signed_with: str) -> Request:
    body = json.dumps({"encrypt": encrypted}).encode()
    return Request("POST", "/callback", query_for(encrypted, **signed_with), body=body)


def post(
    endpoint: WeComEndpoint, plaintext: Json | bytes, now: float = T0, *, key: str = KEY, **signed_with: str
) -> Exchange:
    """Let a callback come in, at `now`, whatever its own timestamp says."""
    return endpoint.receive(request_for(seal(plaintext, key=key), **signed_with), now)


def say(endpoint: WeComEndpoint, plaintext: Json, now: float = T0) -> Event:
    """Let something come in that the bot is told about, and return what the bot is told."""
    exchange = post(endpoint, plaintext, now)
    assert exchange.event is not None
    return exchange.event


def open_answer(
    exchange: Exchange | Response, now: float = T0, *, token: str = TOKEN, key: str = KEY, nonce: str = NONCE
) -> Json:
    """Check the envelope of an answer given at `now` as the platform may, and return what is in it."""
    assert not isinstance(exchange, Pending)
    response = exchange.response if isinstance(exchange, Answer) else exchange
    assert (response.status, response.content_type) == (200, b"application/json")
    envelope = json.loads(response.body)
    assert sorted(envelope) == ["encrypt", "msgsignature", "nonce", "timestamp"]
    assert (envelope["timestamp"], envelope["nonce"]) == (int(now), nonce)
    assert type(envelope["timestamp"]) is int
    assert envelope["msgsignature"] == reference.sign(token, str(int(now)), nonce, envelope["encrypt"])
    _, plaintext, receive_id = reference.decrypt(key, envelope["encrypt"])
    assert receive_id == ""
    return json.loads(plaintext)


def shown(exchange: Exchange | Response, now: float = T0) -> tuple[str, bool]:
    """Return what a stream reply shows, and whether it ends the bubble."""
    stream = open_answer(exchange, now)["stream"]
    return stream["content"], stream["finish"]


def is_empty(exchange: Exchange) -> bool:
    """Tell whether this is the answer that says nothing: 200, no body."""
    return isinstance(exchange, Answer) and exchange.response == Response(200)
