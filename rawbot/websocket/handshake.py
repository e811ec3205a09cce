"""The opening handshake of RFC 6455, section 4, for both sides: an HTTP request in, a WebSocket out.

Layer 2, pure. The grammar of the extension field and what permessage-deflate agrees on are the library's; the rules for
the request stand here, since it is HTTP's connection that has parsed it.

A page of any origin may open a WebSocket to any server, and the browser sends that server's cookies along. So an
endpoint that knows its visitor by a cookie must compare the field Origin with its own before it returns an `Upgrade`:
else a stranger's page speaks in the visitor's name (RFC 6455, section 10.2; CWE-1385). Nobody does it for the endpoint.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rawbot.errors import MissingExtraError, ProtocolError, StateError
from rawbot.exchange import Headers, Request, Upgrade
from rawbot.websocket.connection import WebSocketConnection
from rawbot.websocket.frames import INSTALLED
from rawbot.websocket.settings import WebSocketSettings

if INSTALLED:
    from websockets.exceptions import InvalidHandshake, NegotiationError
    from websockets.extensions import Extension
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
    from websockets.headers import build_extension, parse_extension
    from websockets.utils import accept_key

NONCE_SIZE = 16
"""Bytes of chance in a client's key (RFC 6455, section 4.1)."""

_SWITCHING = 101
_VERSION = b"13"
_NEEDED = ((b"upgrade", b"websocket"), (b"sec-websocket-version", _VERSION))
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset((b"connection", b"content-length", b"host", b"transfer-encoding", b"upgrade"))


class Handshake(NamedTuple):
    """What has been agreed on."""

    connection: WebSocketConnection
    data: bytes = b""
    """The server's answer, to be written first."""
    subprotocol: str | None = None


def require(purpose: str) -> None:
    """Raise `MissingExtraError` unless the library is there: for whatever may answer with an `Upgrade`, when made."""
    if not INSTALLED:
        raise MissingExtraError("websocket", purpose)


def wants_upgrade(request: Request) -> bool:
    """Tell whether a request asks to become a WebSocket, if not whether it does so well."""
    return (
        request.method == "GET"
        and request.http_version == "1.1"  # RFC 9110, section 7.8: in HTTP/1.0 the field is ignored
        and b"websocket" in _tokens(request.headers, b"upgrade")
        and b"upgrade" in _tokens(request.headers, b"connection")
    )


def offered_subprotocols(request: Request) -> list[str]:
    """Return the subprotocols that a request offers, the client's favourite first; what is no token is left out."""
    offers = _list(request.headers, b"sec-websocket-protocol")
    return [offer.decode("ascii") for offer in offers if _TOKEN.fullmatch(offer)]


def accept(request: Request, upgrade: Upgrade, settings: WebSocketSettings, now: float) -> Handshake:
    """Answer the handshake as the endpoint has decided (RFC 6455, section 4.2). `now` is the connection's clock.

    Raises `ProtocolError` with the status to answer with and the fields that it needs: 426 when no WebSocket was asked
    for, or one of another version, else 400. Raises `StateError` for what the endpoint should not have chosen.
    """
    if not wants_upgrade(request):
        raise ProtocolError("no WebSocket was asked for", status=426, headers=_NEEDED)
    require("a WebSocket")
    key = _check(request)
    if upgrade.max_size is not None:
        settings = replace(settings, max_size=upgrade.max_size)
    fields = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", accept_key(key.decode("ascii")).encode("ascii")),
    ]
    if upgrade.subprotocol is not None:
        if upgrade.subprotocol not in offered_subprotocols(request):
            raise StateError("an endpoint has chosen a subprotocol that the client does not offer")
        fields.append((b"sec-websocket-protocol", upgrade.subprotocol.encode("ascii")))
    extensions: list[Extension] = []
    if settings.per_message_deflate:
        agreed = _agree(request.headers, extensions)
        fields += [(b"sec-websocket-extensions", value) for value in agreed]
    lines = _encode_fields(fields) + _encode_fields(upgrade.headers, _OURS)
    data = b"HTTP/1.1 101 Switching Protocols\r\n%b\r\n" % lines
    return Handshake(WebSocketConnection(settings, now, extensions=extensions), data, upgrade.subprotocol)


def encode_request(
    host: str,
    target: str,
    nonce: bytes,
    settings: WebSocketSettings,
    *,
    subprotocols: Sequence[str] = (),
    headers: Headers = (),
) -> bytes:
    """Return a client's request for a WebSocket (RFC 6455, section 4.1).

    `nonce` is 16 fresh random bytes. Raises `StateError` for another length, and for characters that no field may hold.
    """
    require("a WebSocket")
    if len(nonce) != NONCE_SIZE:
        raise StateError("a nonce has 16 bytes")
    if not target.startswith("/") or not target.isascii() or not target.isprintable() or " " in target:
        raise StateError("a target begins with / and is printable ASCII without blanks")
    fields = [
        (b"host", host.encode("ascii")),
        *_NEEDED,
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", b64encode(nonce)),
    ]
    if subprotocols:
        fields.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode("ascii")))
    if settings.per_message_deflate:
        factory = _client_factory()
        offer = build_extension([(factory.name, factory.get_request_params())])
        fields.append((b"sec-websocket-extensions", offer.encode("ascii")))
    lines = _encode_fields(fields) + _encode_fields(headers, _OURS)
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target.encode("ascii"), lines)


def check_answer(
    nonce: bytes,
    status: int,
    headers: Headers,
    settings: WebSocketSettings,
    now: float,
    *,
    subprotocols: Sequence[str] = (),
) -> Handshake:
    """Take the server's answer to `encode_request`; names of `headers` are in lower case.

    Raises `ProtocolError` when it is a refusal, or answers something else than was asked (RFC 6455, section 4.1).
    """
    if status != _SWITCHING:
        raise ProtocolError(f"the handshake was answered with {status}")
    if _tokens(headers, b"upgrade") != [b"websocket"] or b"upgrade" not in _tokens(headers, b"connection"):
        raise ProtocolError("the answer switches to something else")
    if _values(headers, b"sec-websocket-accept") != [accept_key(b64encode(nonce).decode("ascii")).encode("ascii")]:
        raise ProtocolError("the answer is not to this handshake")
    chosen = [value.decode("latin-1") for value in _values(headers, b"sec-websocket-protocol")]
    if len(chosen) > 1 or any(subprotocol not in subprotocols for subprotocol in chosen):
        raise ProtocolError("the answer names a subprotocol that was not offered")
    extensions = _confirm(headers, settings)
    connection = WebSocketConnection(settings, now, client=True, extensions=extensions)
    return Handshake(connection, subprotocol=chosen[0] if chosen else None)


def _check(request: Request) -> bytes:
    """Return the key of a handshake that keeps the rules."""
    versions = _values(request.headers, b"sec-websocket-version")
    if len(versions) != 1 or not versions[0].isdigit():
        raise ProtocolError("a handshake names one version", headers=_NEEDED[1:])
    if versions[0] != _VERSION:
        raise ProtocolError("a version of the WebSocket that is not spoken here", status=426, headers=_NEEDED)
    keys = _values(request.headers, b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise ProtocolError("a handshake has one key, of 16 bytes in base64")
    if request.body:
        raise ProtocolError("a handshake has no content")
    return keys[0]


def _agree(headers: Headers, extensions: "list[Extension]") -> list[bytes]:
    """Take the first offer of compression that can be met; return the field's value, if there is one."""
    factory = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    for name, offer in _parse_extensions(headers):
        if name != factory.name:
            continue
        try:
            answer, extension = factory.process_request_params(offer, extensions)
        except NegotiationError:
            continue
        extensions.append(extension)
        return [build_extension([(factory.name, answer)]).encode("ascii")]
    return []


def _confirm(headers: Headers, settings: WebSocketSettings) -> "list[Extension]":
    """Return the extensions that the server has accepted, all of which must have been offered."""
    factory = _client_factory()
    extensions: list[Extension] = []
    for name, answer in _parse_extensions(headers):
        if not settings.per_message_deflate or name != factory.name:
            raise ProtocolError("the answer names an extension that was not offered")
        try:
            extensions.append(factory.process_response_params(answer, extensions))
        except NegotiationError:
            raise ProtocolError("the answer uses an extension in a way that was not offered") from None
    return extensions


def _client_factory() -> "ClientPerMessageDeflateFactory":
    return ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)


def _parse_extensions(headers: Headers) -> list[tuple[str, Sequence[tuple[str, str | None]]]]:
    try:
        values = [value.decode("latin-1") for value in _values(headers, b"sec-websocket-extensions") if value]
        return [(str(name), offer) for value in values for name, offer in parse_extension(value)]
    except InvalidHandshake:
        raise ProtocolError("the extension field breaks its grammar") from None


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _list(headers: Headers, name: bytes) -> list[bytes]:
    """Return the elements of a comma-separated field, however many lines it has (RFC 9110, section 5.6.1)."""
    items = (item.strip(b" \t") for value in _values(headers, name) for item in value.split(b","))
    return [item for item in items if item]


def _tokens(headers: Headers, name: bytes) -> list[bytes]:
    return [item.lower() for item in _list(headers, name)]


def _encode_fields(headers: Headers, taken: frozenset[bytes] = frozenset()) -> bytes:
    lines = bytearray()
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise StateError("a field of the handshake holds characters that no field may hold")
        if taken and (name.lower() in taken or name.lower().startswith(b"sec-websocket-")):
            raise StateError("a field of the handshake is written here, and by nobody else")
        lines += b"%b: %b\r\n" % (name, value)
    return bytes(lines)
