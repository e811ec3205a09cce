"""rawbot/websocket/handshake.py: who becomes a WebSocket, who does not, and what is agreed on."""

import base64
import runpy
import sys
from dataclasses import replace

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket_frames import NOW
from websocket_requests import ACCEPT, KEY, handshake_request
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from rawbot.errors import ConfigError, MissingExtraError, ProtocolError, StateError
from rawbot.exchange import Channel, Request, Upgrade
from rawbot.websocket import connection, frames, handshake
from rawbot.websocket.handshake import (
    Handshake,
    accept,
    check_answer,
    encode_request,
    offered_subprotocols,
    wants_upgrade,
)
from rawbot.websocket.settings import WebSocketSettings

OFF = WebSocketSettings()
ON = WebSocketSettings(per_message_deflate=True)
NONCE = base64.b64decode(KEY)


def agree(request: Request, settings: WebSocketSettings = OFF, **upgrade: object) -> Handshake:
    return accept(request, Upgrade(Channel(), **upgrade), settings, NOW)


def fields_of(data: bytes) -> dict[bytes, bytes]:
    head, _, rest = data.partition(b"\r\n\r\n")
    assert not rest
    return dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])


# The server's side


def test_the_rfc_s_handshake_is_answered_as_the_rfc_does():
    """RFC 6455, section 1.3."""
    agreed = agree(handshake_request())
    assert agreed.data == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: " + ACCEPT + b"\r\n\r\n"
    )
    assert agreed.subprotocol is None
    assert not agreed.connection.client


@pytest.mark.parametrize(
    "request_",
    [
        handshake_request({b"upgrade": b"WebSocket"}),
        handshake_request({b"connection": b"keep-alive, Upgrade"}),
        handshake_request({b"connection": b"keep-alive ,\tupgrade,"}),
        handshake_request({b"connection": b"keep-alive"}, (b"connection", b"upgrade")),
        handshake_request({b"upgrade": b"h2c, websocket"}),
        handshake_request({b"origin": b"https://example.com", b"cookie": b"a=b"}),
        handshake_request({b"sec-websocket-extensions": b"permessage-deflate, x-webkit-deflate-frame"}),
        handshake_request({b"sec-websocket-extensions": b";;;"}),  # what nobody wants is not looked at
        handshake_request({b"sec-websocket-protocol": b"chat"}),
    ],
)
def test_what_asks_well_is_let_in(request_: Request):
    assert wants_upgrade(request_)
    assert fields_of(agree(request_).data)[b"sec-websocket-accept"] == ACCEPT


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/echo", headers=[(b"host", b"x")]),
        handshake_request({b"upgrade": None}),
        handshake_request({b"upgrade": b"h2c"}),
        handshake_request({b"upgrade": b"websockets"}),
        handshake_request({b"connection": None}),
        handshake_request({b"connection": b"keep-alive"}),
        handshake_request({b"connection": b"no-upgrade"}),
        handshake_request(http_version="1.0"),  # RFC 9110, section 7.8
        handshake_request(method="POST"),
        handshake_request(method="HEAD"),
        Request("POST", "/echo", headers=[(b"host", b"x")], body=b"x"),
    ],
)
def test_what_asks_for_no_websocket_is_told_that_one_is_needed(request_: Request):
    """RFC 9110, section 15.5.22."""
    assert not wants_upgrade(request_)
    with pytest.raises(ProtocolError) as caught:
        agree(request_)
    assert caught.value.status == 426
    assert caught.value.headers == ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))


@pytest.mark.parametrize("version", [b"8", b"0", b"14", b"130", b"013"])
def test_another_version_is_told_ours(version: bytes):
    """RFC 6455, section 4.4."""
    with pytest.raises(ProtocolError) as caught:
        agree(handshake_request({b"sec-websocket-version": version}))
    assert (caught.value.status, dict(caught.value.headers)[b"sec-websocket-version"]) == (426, b"13")


@pytest.mark.parametrize(
    "request_",
    [
        handshake_request({b"sec-websocket-version": None}),
        handshake_request({b"sec-websocket-version": b""}),
        handshake_request({b"sec-websocket-version": b"+13"}),
        handshake_request({b"sec-websocket-version": b"\xb9"}),  # a superscript one in Latin-1
        handshake_request({b"sec-websocket-version": b"13, 8"}),
        handshake_request(None, (b"sec-websocket-version", b"13")),
        handshake_request({b"sec-websocket-key": None}),
        handshake_request({b"sec-websocket-key": b""}),
        handshake_request(None, (b"sec-websocket-key", KEY)),
        handshake_request({b"sec-websocket-key": KEY[:-1]}),
        handshake_request({b"sec-websocket-key": KEY + b"="}),
        handshake_request({b"sec-websocket-key": KEY.replace(b"=", b"A")}),
        handshake_request({b"sec-websocket-key": base64.b64encode(bytes(15))}),
        handshake_request({b"sec-websocket-key": base64.b64encode(bytes(17))}),
        handshake_request({b"sec-websocket-key": KEY.replace(b"d", b"-")}),
        handshake_request({b"sec-websocket-key": KEY.replace(b"d", b"\xe9")}),
        handshake_request(body=b"GET / HTTP/1.1\r\n\r\n"),
    ],
)
def test_a_handshake_that_breaks_the_rules_is_refused(request_: Request):
    """RFC 6455, section 4.2.1."""
    with pytest.raises(ProtocolError) as caught:
        agree(request_)
    assert caught.value.status == 400


def test_offers_are_read_from_all_lines_and_in_their_order():
    request = handshake_request(
        {b"sec-websocket-protocol": b"12.onebot.v11, chat,,"},
        (b"sec-websocket-protocol", b" b\xe9d, un\x00safe, last "),
    )
    assert offered_subprotocols(request) == ["12.onebot.v11", "chat", "last"]
    assert offered_subprotocols(handshake_request()) == []


def test_the_chosen_subprotocol_is_told():
    request = handshake_request({b"sec-websocket-protocol": b"a, b"})
    agreed = agree(request, subprotocol="b")
    assert (agreed.subprotocol, fields_of(agreed.data)[b"sec-websocket-protocol"]) == ("b", b"b")


@pytest.mark.parametrize("max_size", [None, 1, 7, 10**9])
def test_an_endpoint_may_have_a_limit_of_its_own_for_messages(max_size: int | None):
    ours = WebSocketSettings(max_size=5, max_queue=3)
    settings = agree(handshake_request(), ours, max_size=max_size).connection.settings
    assert settings == (ours if max_size is None else replace(ours, max_size=max_size))


@pytest.mark.parametrize("max_size", [0, -1])
def test_a_limit_that_lets_nothing_through_is_the_endpoint_s_fault(max_size: int):
    with pytest.raises(ConfigError):
        agree(handshake_request(), max_size=max_size)


@pytest.mark.parametrize("subprotocol", ["c", "a, b", "", "é", "a\r\nx: y"])
def test_a_subprotocol_that_was_not_offered_is_the_endpoint_s_fault(subprotocol: str):
    """CVE-2026-42544 was a subprotocol outside of ASCII."""
    request = handshake_request({b"sec-websocket-protocol": "a, b, é".encode()})
    with pytest.raises(StateError):
        agree(request, subprotocol=subprotocol)


def test_an_endpoint_s_own_fields_are_added():
    assert fields_of(agree(handshake_request(), headers=[(b"set-cookie", b"a=b")]).data)[b"set-cookie"] == b"a=b"


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nb: c"), (b"x", b"\0"), (b"x y", b"a"), (b"", b"a"), (b"x:", b"a"), (b"Connection", b"close"),
        (b"upgrade", b"h2c"), (b"Content-Length", b"0"), (b"Transfer-Encoding", b"chunked"),
        (b"Sec-WebSocket-Accept", b"a"), (b"sec-websocket-extensions", b"permessage-deflate"),
    ],
)  # fmt: skip
def test_fields_that_would_change_the_handshake_are_refused(field: tuple[bytes, bytes]):
    with pytest.raises(StateError):
        agree(handshake_request(), headers=[field])


# Compression

OFFERS = {
    # RFC 7692, section 7.1; what can be met is met, and nothing is kept between messages
    b"permessage-deflate": True,
    b"permessage-deflate; client_max_window_bits": True,
    b"permessage-deflate; client_max_window_bits=9": True,
    b'permessage-deflate; client_max_window_bits="10"': True,
    b"permessage-deflate; server_max_window_bits=9": True,
    b"permessage-deflate; server_no_context_takeover; client_no_context_takeover": True,
    b"x-webkit-deflate-frame, permessage-deflate": True,
    b"permessage-deflate; server_max_window_bits=8, permessage-deflate": True,  # zlib cannot do 8
    b"permessage-deflate; unknown": False,
    b"permessage-deflate; client_max_window_bits=16": False,
    b"permessage-deflate; server_max_window_bits": False,
    b"permessage-deflate; server_no_context_takeover; server_no_context_takeover": False,
    b"permessage-deflate; server_no_context_takeover=1": False,
    b"x-webkit-deflate-frame": False,
    b"": False,
}


@pytest.mark.parametrize("offer", OFFERS)
def test_compression_is_agreed_on_where_it_can_be(offer: bytes):
    request = handshake_request({b"sec-websocket-extensions": offer})
    answer = fields_of(agree(request, ON).data).get(b"sec-websocket-extensions")
    assert (answer is not None) == OFFERS[offer]
    if answer:
        assert answer.startswith(b"permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        assert b"," not in answer
    assert b"sec-websocket-extensions" not in fields_of(agree(request, OFF).data)


@pytest.mark.parametrize("offer", [b";", b"a b", b"permessage-deflate; a=", b'permessage-deflate; a="\x01"', b"\xe9"])
def test_an_extension_field_that_is_none_is_refused_where_it_matters(offer: bytes):
    with pytest.raises(ProtocolError) as caught:
        agree(handshake_request({b"sec-websocket-extensions": offer}), ON)
    assert caught.value.status == 400


# The client's side


def ask(settings: WebSocketSettings = OFF, **options: object) -> Request:
    """Let h11 read our request."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(encode_request("example.com:8080", "/onebot?a=b", NONCE, settings, **options))
    event = server.next_event()
    assert event.target == b"/onebot?a=b"
    path, _, query = event.target.decode().partition("?")
    return Request(event.method.decode(), path, query, list(event.headers), b"", event.http_version.decode())


def answer(agreed: Handshake) -> tuple[int, list[tuple[bytes, bytes]]]:
    return 101, list(fields_of(agreed.data).items())


@pytest.mark.parametrize("settings", [OFF, ON])
@pytest.mark.parametrize("offers", [[], ["a"], ["a", "b"]])
def test_both_sides_agree(settings: WebSocketSettings, offers: list[str]):
    request = ask(settings, subprotocols=offers, headers=[(b"authorization", b"Bearer x")])
    assert request.header(b"authorization") == b"Bearer x"
    assert offered_subprotocols(request) == offers
    chosen = offers[-1] if offers else None
    agreed = check_answer(
        NONCE, *answer(agree(request, settings, subprotocol=chosen)), settings, NOW, subprotocols=offers
    )
    assert (agreed.subprotocol, agreed.connection.client) == (chosen, True)
    assert len(agreed.connection._extensions) == (settings is ON)


@given(st.binary(min_size=16, max_size=16))
def test_any_nonce_makes_a_key_that_is_taken(nonce: bytes):
    data = encode_request("x", "/", nonce, OFF)
    request = handshake_request({b"sec-websocket-key": fields_of(data)[b"sec-websocket-key"]})
    assert check_answer(nonce, *answer(agree(request)), OFF, NOW).connection.client


GOOD_ANSWER = {b"upgrade": b"websocket", b"connection": b"upgrade", b"sec-websocket-accept": ACCEPT}


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (200, {}), (401, {}), (301, {b"location": b"/"}), (101, {b"upgrade": b"h2c"}), (101, {b"connection": b"close"}),
        (101, {b"sec-websocket-accept": KEY}), (101, {b"sec-websocket-accept": ACCEPT.lower()}),
        (101, {b"sec-websocket-protocol": b"other"}), (101, {b"sec-websocket-protocol": b"a, b"}),
        (101, {b"sec-websocket-extensions": b"x"}), (101, {b"sec-websocket-extensions": b";"}),
        (101, {b"sec-websocket-extensions": b"permessage-deflate"}),
        (101, {b"sec-websocket-extensions": b"permessage-deflate; server_no_context_takeover; unknown"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("settings", [OFF, ON])
def test_an_answer_to_something_else_is_refused(settings: WebSocketSettings, status: int, changed: dict[bytes, bytes]):
    """RFC 6455, section 4.1, on what a client must check."""
    with pytest.raises(ProtocolError):
        check_answer(NONCE, status, list((GOOD_ANSWER | changed).items()), settings, NOW, subprotocols=["a", "b"])


@pytest.mark.parametrize(
    ("host", "target", "nonce", "options"),
    [
        ("x", "/", bytes(15), {}),
        ("x", "http://x/", NONCE, {}),
        ("x", "/a b", NONCE, {}),
        ("x", "/é", NONCE, {}),
        ("x", "/\r\nX: y", NONCE, {}),
        ("x\r\nX: y", "/", NONCE, {}),
        ("x", "/", NONCE, {"subprotocols": ["a\r\nX: y"]}),
        ("x", "/", NONCE, {"headers": [(b"x", b"\n")]}),
        ("x", "/", NONCE, {"headers": [(b"Host", b"y")]}),
    ],
)
def test_a_request_cannot_hold_more_than_it_should(host: str, target: str, nonce: bytes, options: dict):
    with pytest.raises(StateError):
        encode_request(host, target, nonce, OFF, **options)


# A second opinion


@pytest.mark.parametrize("settings", [OFF, ON])
def test_the_library_s_client_takes_our_answer(settings: WebSocketSettings):
    client = ClientProtocol(
        parse_uri("ws://example.com/echo"), subprotocols=["a", "b"], extensions=[ClientPerMessageDeflateFactory()]
    )
    client.send_request(client.connect())
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"".join(client.data_to_send()))
    event = server.next_event()
    request = Request("GET", "/echo", headers=list(event.headers))
    client.receive_data(agree(request, settings, subprotocol="b").data)
    assert (client.state, client.handshake_exc, client.subprotocol) == (OPEN, None, "b")
    assert len(client.extensions) == (settings is ON)


@pytest.mark.parametrize("settings", [OFF, ON])
def test_the_library_s_server_takes_our_request(settings: WebSocketSettings):
    server = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
    server.receive_data(encode_request("x", "/echo", NONCE, settings))
    (request,) = server.events_received()
    response = server.accept(request)
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.raw_items()]
    agreed = check_answer(NONCE, response.status_code, headers, settings, NOW)
    assert len(agreed.connection._extensions) == len(server.extensions) == (settings is ON)


# The extra


def test_without_the_library_it_is_named_what_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshake, "INSTALLED", False)
    for call in (lambda: agree(handshake_request()), lambda: encode_request("x", "/", NONCE, OFF)):
        with pytest.raises(MissingExtraError, match=r"rawbot\[websocket\]") as caught:
            call()
        assert caught.value.extra == "websocket"


def test_without_the_library_all_can_be_imported(monkeypatch: pytest.MonkeyPatch):
    for module in ("websockets", "websockets.frames"):
        monkeypatch.setitem(sys.modules, module, None)
    assert not runpy.run_path(frames.__file__)["INSTALLED"]
    monkeypatch.setattr(frames, "INSTALLED", False)
    runpy.run_path(connection.__file__)
    require = runpy.run_path(handshake.__file__)["require"]
    with pytest.raises(MissingExtraError, match=r"^the echo needs the extra 'websocket'"):
        require("the echo")
