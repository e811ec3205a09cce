"""rawbot/wecom/endpoint.py as a whole: whatever comes in is answered, and nothing of it is left behind."""

import base64
import gc
import json
import sys

import pytest
import reference_wecom as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wecom_callbacks import (
    KEY,
    T0,
    TOKEN,
    Json,
    card_event,
    event,
    message,
    post,
    query_for,
    refresh,
    request_for,
    seal,
    text,
)

from rawbot.exchange import Answer, Endpoint, Exchange, Pending, Request
from rawbot.wecom.endpoint import TICK, WeComEndpoint
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.streams import Stream

MANY = 100_000
KINDS = [
    *(text(), refresh("boot-1"), event("enter_chat"), card_event(), event("feedback_event", {"id": "x", "type": 1})),
    message(msgtype="mixed", mixed={"msg_item": [{"msgtype": "image", "image": {"url": "u"}}]}),
    text(chattype="group", chatid="c", quote={"msgtype": "voice", "voice": {"content": "x"}}),
]


def answer(exchange: Exchange) -> int:
    """Bring an exchange to its end as a shell does, bot included; return the status."""
    if exchange.event is not None:
        if not exchange.event.reply.finished and exchange.event.kind != "template_card_event":
            exchange.event.reply.write("x")
        exchange.event.reply.finish()
    response = exchange.answer(exchange.deadline) if isinstance(exchange, Pending) else exchange.response
    assert isinstance(exchange, Pending) or (exchange.error is None) == (response.status == 200)
    return response.status


def test_it_is_an_endpoint_for_get_and_post():
    endpoint: Endpoint = WeComEndpoint(TOKEN, KEY)
    assert endpoint.methods == ("GET", "POST")


class NoCipher:
    """Stands in for the crypto, which remembers nothing: a callback's ciphertext is its msgid."""

    key = bytes(32)

    def verify(self, *_: bytes) -> bool:
        return True

    def sign(self, *_: bytes) -> str:
        return ""

    def encrypt(self, message: bytes) -> bytes:
        return message[:0]

    def take_ahead(self, message: bytes) -> bytes:
        return message[:0]

    def decrypt(self, msgid: bytes) -> bytes:
        return b'{"msgid":"%b","msgtype":"text","text":{"content":"hello"},"from":{"userid":"u%b"}}' % (msgid, msgid)


def test_a_hundred_thousand_messages_leave_nothing_behind():
    endpoint = WeComEndpoint(TOKEN, KEY)
    endpoint._ciphers = [NoCipher()]
    query = query_for("")

    def deliver(msgid: int, now: float) -> Exchange:
        return endpoint.receive(Request("POST", "/", query, body=b'{"encrypt":"%d"}' % msgid), now)

    gc.collect()
    others = replies()  # of tests whose logged errors are still held
    deliver(MANY, T0)
    gc.collect()
    before = sys.getallocatedblocks()
    now = T0
    for number in range(MANY):
        now = T0 + number * 0.01
        exchange = deliver(number, now)
        assert exchange.event is not None
        if number % 10:  # each tenth is left to the watchdog
            exchange.event.reply.write("an answer")
            exchange.event.reply.finish()
    peak = sys.getallocatedblocks() - before
    assert len(endpoint.streams) < (330 + 420) * 100 < MANY  # memory returned long before the end
    assert len(endpoint._remembered) == 65_536
    del exchange
    endpoint.tick(now + 330)
    endpoint.tick(now + 3600)
    assert (len(endpoint.streams), endpoint.streams.bytes_held, endpoint.unsettled()) == (0, 0, 0)
    assert (len(endpoint._remembered), endpoint.deliveries.waiting(), endpoint.streams._in_flight) == (0, 0, {})
    gc.collect()
    assert sys.getallocatedblocks() - before < peak / 100
    assert not [reply for reply in replies() if not any(reply is other for other in others)]


def replies() -> list[object]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Stream | EventReply)]


def test_refused_requests_leave_nothing_to_the_garbage_collector():
    endpoint = WeComEndpoint(TOKEN, KEY)
    sealed = request_for(seal(text()))
    requests = [
        request_for(seal(text()), token="another"),
        request_for("not base64"),
        request_for(seal(b"not JSON")),
        request_for(seal(text(), receive_id="another")),
        Request("POST", "/", sealed.query, body=b"not JSON"),
        Request("POST", "/", "", body=sealed.body),
    ]
    kept = [endpoint.receive(request, T0).error for request in requests]
    assert None not in kept
    assert [(error.__traceback__, error.__context__) for error in kept] == [(None, None)] * len(kept)
    gc.collect()
    gc.disable()
    try:
        for request in requests * 10:
            endpoint.receive(request, T0)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_time_passes_with_every_request():
    endpoint = WeComEndpoint(TOKEN, KEY)
    exchange = post(endpoint, text())
    assert exchange.event is not None
    endpoint.receive(Request("GET", "/"), T0 + 330)
    assert isinstance(exchange.event.reply, Stream)
    assert exchange.event.reply.overdue


def test_requests_let_time_pass_now_and_then():
    endpoint = WeComEndpoint(TOKEN, KEY)
    ticks: list[float] = []
    endpoint.streams.tick = ticks.append
    passed = (0, 0, 0.9, 1, 1.5, 0.5, 0.6)  # in ticks; the clock may be set back
    for now in passed:
        endpoint.receive(Request("GET", "/"), T0 + now * TICK)
    assert [round((now - T0) / TICK, 3) for now in ticks] == [0, 1, 0.5]


@given(
    st.sampled_from(["GET", "POST"]),
    st.text(max_size=40) | st.lists(st.sampled_from([*query_for("x").split("&"), "echostr=+"])).map("&".join),
    st.binary(max_size=60) | st.sampled_from([b'{"encrypt":"%b"}' % b"A" * 40, b'{"encrypt":{}}', b"[" * 9]),
)
@example("POST", query_for("x"), b"[" * 100_000)
@settings(deadline=None, max_examples=200)
def test_any_request_is_answered(method: str, query: str, body: bytes):
    exchange = WeComEndpoint(TOKEN, KEY).receive(Request(method, "/", query, body=body), T0)
    assert isinstance(exchange, Answer)
    assert exchange.response.status in (400, 403)


@given(st.sampled_from(KINDS), st.data())
@settings(deadline=None, max_examples=200)
def test_a_mutated_envelope_is_answered(fields: Json, data: st.DataObject):
    request = request_for(seal(fields))
    target = bytearray(request.body) if data.draw(st.booleans()) else bytearray(request.query.encode())
    is_body = len(target) == len(request.body) and bytes(target) == request.body
    for _ in range(data.draw(st.integers(1, 4))):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 255))
    if is_body:
        request.body = bytes(target)
    else:
        request.query = target.decode("latin-1")
    assert answer(WeComEndpoint(TOKEN, KEY, first_hold=1).receive(request, T0)) in (200, 400, 403)


@given(st.sampled_from(KINDS), st.data())
@settings(deadline=None, max_examples=200)
def test_a_mutated_ciphertext_that_is_signed_is_answered(fields: Json, data: st.DataObject):
    ciphertext = bytearray(base64.b64decode(seal(fields)))
    for _ in range(data.draw(st.integers(1, 3))):
        ciphertext[data.draw(st.integers(0, len(ciphertext) - 1))] ^= data.draw(st.integers(1, 255))
    request = request_for(base64.b64encode(ciphertext).decode())
    assert answer(WeComEndpoint(TOKEN, KEY).receive(request, T0)) in (200, 400)


@given(st.sampled_from(KINDS), st.data())
@settings(deadline=None, max_examples=300)
def test_a_mutated_message_is_answered(fields: Json, data: st.DataObject):
    plaintext = bytearray(json.dumps(fields).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(plaintext) - 1))
        plaintext[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"[", b'"', b"\xff", b"0"])
        )
        plaintext = plaintext or bytearray(b"x")
    endpoint = WeComEndpoint(TOKEN, KEY, refresh_hold=0)
    assert answer(post(endpoint, bytes(plaintext))) in (200, 400)
    assert answer(post(endpoint, bytes(plaintext))) in (200, 400)


@given(st.binary(max_size=80))
@settings(deadline=None, max_examples=100)
def test_any_frame_that_is_signed_is_answered(frame: bytes):
    encrypted = reference.seal(KEY, reference.add_padding(frame))
    endpoint = WeComEndpoint(TOKEN, KEY)
    assert answer(endpoint.receive(request_for(encrypted), T0)) == 400


@pytest.mark.parametrize("fields", KINDS, ids=lambda fields: fields["msgtype"])
def test_each_kind_unchanged_is_answered_well(fields: Json):
    assert answer(post(WeComEndpoint(TOKEN, KEY), fields)) == 200
