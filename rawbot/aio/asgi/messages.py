"""ASGI's dictionaries to our requests and messages, and ours to them.

Engine room, and yet pure: the engine is given, and so are the host's two functions. Source: asgi.readthedocs.io, HTTP
and WebSocket specification, version 2.x, with the extension `websocket.http.response`. `http.response.pathsend` is not
used: it sends whole files by their name, and we have a part of one that is open, whose name may lead elsewhere by now.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from rawbot.aio.admission import Budget
from rawbot.aio.doors import Door
from rawbot.aio.host import Host
from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import EncodedText, Exchange, FileRegion, Request, Response, Upgrade
from rawbot.http.fields import TEXT, TOKEN
from rawbot.http.peers.trust import plain_text
from rawbot.http.responses import WITHOUT_CONTENT, refusal
from rawbot.http.targets import split_authority
from rawbot.websocket.handshake import offered_subprotocols

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NO_CODE = 1005
"""What a host tells when the peer's Close had no code, or when it does not know (RFC 6455, section 7.4.1)."""

_DENIAL = "websocket.http.response"
_SCHEMES = {"ws": "http", "wss": "https"}
_HOP = frozenset((b"connection", b"upgrade"))
_TAKEN = _HOP | {b"content-length", b"host", b"transfer-encoding"}
_NAME = re.compile(TOKEN)
_VALUE = re.compile(TEXT + rb"*+")
_MAX_DIGITS = 18
"""Of a length; what is longer is too long with these already, and int() gives up at 4,300."""
_MAX_REASON = 123
"""Bytes that a Close has room for behind its code (RFC 6455, section 5.5)."""


class Body:
    """A request body as it arrives: so many bytes at most, and no more than there is room for in all bodies together.

    Room is taken for what is declared, else for what comes; `release` gives it back. Raises `ProtocolError`, 413 or
    503, before anything has come where it can.
    """

    __slots__ = ("_data", "_limit", "_reserved", "_room")

    def __init__(self, scope: Scope, limit: int, room: Budget) -> None:
        self._limit = limit
        self._room = room
        self._reserved = 0
        self._data = bytearray()
        lengths = [value for name, value in scope["headers"] if name == b"content-length" and value.isdigit()]
        self._reserve(max((int(value[:_MAX_DIGITS]) for value in lengths), default=0))

    def receive(self, message: Message) -> bytes | None:
        """Take an `http.request` message; return the whole body with the last one."""
        part = message.get("body", b"")
        self._reserve(len(self._data) + len(part))
        self._data += part
        return None if message.get("more_body", False) else bytes(self._data)

    def release(self) -> None:
        """Leave the room to others: the body has come, or never will."""
        self._room.give(self._reserved)
        self._reserved = 0

    def _reserve(self, size: int) -> None:
        if size > self._limit:
            raise LimitError("the body is too long", status=413)
        if size > self._reserved:
            if not self._room.take(size - self._reserved):
                raise ProtocolError("no room for a body", status=503, headers=((b"retry-after", b"1"),))
            self._reserved = size


class Visit:
    """One scope of a host's: its request, the door that this comes to, and what the host is told to answer."""

    __slots__ = ("_began", "_engine", "door", "receive", "request", "scope", "send")

    def __init__(self, engine: Host, scope: Scope, receive: Receive, send: Send) -> None:
        self._engine = engine
        self._began = engine.stopwatch()
        self.scope = scope
        self.receive = receive
        self.send = send
        self.request = decode_request(scope) if scope["type"] == "http" else decode_handshake(scope)
        self.door: Door | None = None

    def check(self) -> None:
        """Raise `ProtocolError` for what no endpoint is to see."""
        check_host(self.request, self._engine.hosts)

    async def read_body(self) -> bytes | None:
        """Return the body, or None when the client went away. Raises `ProtocolError`."""
        body = Body(self.scope, self._engine.body_limit(self.request), self._engine.bodies)
        try:
            while True:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    return None
                if (whole := body.receive(message)) is not None:
                    return whole
        finally:
            body.release()

    def route(self, body: bytes = b"") -> Exchange:
        """Return what the endpoint makes of the whole request, having the bot told where it is to be told."""
        self.request.body = body
        exchange, self.door = self._engine.receive(self.request, self._engine.now())
        if not isinstance(exchange, Upgrade) and exchange.event is not None and self.door is not None:
            self.door.dispatch(exchange.event)
        return exchange

    async def refuse(self, error: ProtocolError) -> None:
        """Note and answer what broke a rule of HTTP's or a limit."""
        self._engine.note_refusal(error, self.request.peer)
        await self._say(refusal(error))

    async def answer(self, response: Response) -> FileRegion | None:
        """Tell the observers, and say the response; return the region that has to follow (`encode_part`)."""
        self.tell(response)
        await self._say(response)
        return region_to_send(self.scope, self.request, response)

    def tell(self, response: Response) -> None:
        """Tell the observers of an answer. Its time begins with the host's call: nothing is known of before."""
        engine, route = self._engine, "" if self.door is None else self.door.path
        took = engine.stopwatch() - self._began
        for observer in engine.observers:
            observer.answered(self.request, route, response, took, engine.now())

    async def _say(self, response: Response) -> None:
        for message in encode_response(self.scope, self.request, response):
            await self.send(message)


# Requests


def decode_request(scope: Scope) -> Request:
    """Return the request of an `http` scope, still without its body; its path is the one below the mount point."""
    client = scope.get("client")
    return Request(
        scope.get("method", "GET"),
        _path(scope),
        scope.get("query_string", b"").decode("latin-1"),
        [(bytes(name), bytes(value)) for name, value in scope["headers"]],
        b"",
        scope.get("http_version", "1.1"),
        plain_text(client[0]) if client else "",
        scope.get("scheme", "http"),
    )


def decode_handshake(scope: Scope) -> Request:
    """Return the request of a `websocket` scope as it would look on a connection of ours, so that endpoints know it.

    Its fields of one hop (RFC 9110, section 7.6.1) were between the client and the host: some hosts leave them in, some
    do not, and over HTTP/2 there are none (RFC 8441). So they are written anew.
    """
    request = decode_request(scope)
    fields = [field for field in request.headers if field[0] not in _HOP]
    offered = scope.get("subprotocols")
    if offered and request.header(b"sec-websocket-protocol") is None:
        fields.append((b"sec-websocket-protocol", ", ".join(offered).encode("latin-1")))
    request.headers = [*fields, (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    request.http_version = "1.1"
    request.scheme = _SCHEMES.get(request.scheme, request.scheme)
    return request


def check_host(request: Request, hosts: frozenset[bytes] | None) -> None:
    """Raise `ProtocolError` (421) for a request to another host than these; None stands for any."""
    if hosts is None:
        return
    named = [value for name, value in request.headers if name == b"host"]
    authority = split_authority(named[0]) if len(named) == 1 else None
    if authority is None or authority[0] not in hosts:
        raise ProtocolError("a host that is not served here", status=421)


def too_slow(scope: Scope) -> ProtocolError:
    """Return what to answer to a body that takes too long: the rest of it is not waited for, where that can be said.

    RFC 9110, section 15.5.9, asks for the field; HTTP/2 has no such thing (RFC 9113, section 8.2.2).
    """
    close = ((b"connection", b"close"),) if scope.get("http_version", "1.1").startswith("1.") else ()
    return ProtocolError("the request took too long", status=408, headers=close)


# Responses


def encode_response(scope: Scope, request: Request, response: Response) -> list[Message]:
    """Return the messages that say a response; of one whose file is to follow (`region_to_send`) all but that.

    The host adds Date. A host that cannot be told how to refuse the handshake of a WebSocket answers 403 by itself.
    """
    if not _can_respond(scope):
        return [{"type": "websocket.close"}]
    size = len(response.body) if response.region is None else response.region.count
    headers = [] if response.status in WITHOUT_CONTENT else [(b"content-length", b"%d" % size)]
    if size and response.status not in WITHOUT_CONTENT:
        headers.append((b"content-type", response.content_type))
    headers.extend(response.headers)
    start = {"type": f"{_prefix(scope)}.start", "status": response.status, "headers": headers}
    if region_to_send(scope, request, response) is not None:
        return [start]
    return [start, encode_part(scope, response.body if _has_content(request, response) else b"", more=False)]


def region_to_send(scope: Scope, request: Request, response: Response) -> FileRegion | None:
    """Return the region that is to follow, in parts."""
    region = response.region
    if region is None or not region.count or not _has_content(request, response) or not _can_respond(scope):
        return None
    return region


def encode_part(scope: Scope, data: bytes, *, more: bool) -> Message:
    """Return a part of a response's body; the last one has no `more`."""
    return {"type": f"{_prefix(scope)}.body", "body": data, "more_body": more}


# WebSockets


def encode_accept(request: Request, upgrade: Upgrade) -> Message:
    """Return the answer to a handshake. Raises `StateError` for what the endpoint should not have chosen."""
    if upgrade.subprotocol is not None and upgrade.subprotocol not in offered_subprotocols(request):
        raise StateError("an endpoint has chosen a subprotocol that the client does not offer")
    headers = [(name.lower(), value) for name, value in upgrade.headers]
    for name, value in headers:  # not every host looks, and what it lets through would become syntax
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise StateError("a field of the handshake holds characters that no field may hold")
        if name in _TAKEN or name.startswith(b"sec-websocket-"):
            raise StateError("a field of the handshake is written by the host, and by nobody else")
    return {"type": "websocket.accept", "subprotocol": upgrade.subprotocol, "headers": headers}


def encode_message(message: bytes | str) -> tuple[Message, int]:
    """Return a message to be sent and how many bytes it has. Raises `StateError` for what is neither text nor bytes."""
    if isinstance(message, EncodedText):
        return {"type": "websocket.send", "text": message.decode()}, len(message)
    if isinstance(message, bytes):
        return {"type": "websocket.send", "bytes": message}, len(message)
    if not isinstance(message, str):
        raise StateError(f"a WebSocket's message is str or bytes, not {type(message).__name__}")
    try:
        size = len(message.encode())
    except UnicodeEncodeError:
        raise StateError("a text holds a lone surrogate, which UTF-8 cannot say") from None
    return {"type": "websocket.send", "text": message}, size


def decode_message(message: Message, limit: int) -> bytes | str:
    """Return what a `websocket.receive` brings. Raises `LimitError` when that has more than `limit` bytes."""
    text = message.get("text")
    if text is None:
        data = bytes(message.get("bytes") or b"")
        if len(data) > limit:
            raise LimitError("a message is above the limit")
        return data
    # counted only where it may matter: a character has one byte to four (RFC 3629)
    if len(text) * 4 > limit and (len(text) > limit or len(text.encode()) > limit):
        raise LimitError("a message is above the limit")
    return str(text)


def encode_close(code: int, reason: str) -> Message:
    """Return a Close; a reason is cut to the bytes that it may have. Raises `StateError` for a code not to be sent."""
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):  # noqa: PLR2004 - RFC 6455, 7.4.2
        raise StateError(f"{code} is no close code that may be sent")
    text = reason.encode("utf-8", "replace")[:_MAX_REASON].decode("utf-8", "ignore")
    return {"type": "websocket.close", "code": code, "reason": text}


def _prefix(scope: Scope) -> str:
    return "http.response" if scope["type"] == "http" else _DENIAL


def _can_respond(scope: Scope) -> bool:
    return scope["type"] == "http" or _DENIAL in (scope.get("extensions") or ())


def _has_content(request: Request, response: Response) -> bool:
    """Tell whether the answer has more than a head (RFC 9110, section 6.4.1)."""
    return request.method != "HEAD" and response.status not in WITHOUT_CONTENT


def _path(scope: Scope) -> str:
    """Return the path below the mount point. `path` holds the root_path in newer hosts and not in older ones."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    if path == root or path.startswith(f"{root}/"):
        path = path[len(root) :] or "/"
    return str(path)
