"""OneBot's door: action requests by POST, and WebSockets, on one path.

Layer 3, pure. Source: OneBot 12, connect/communication/http and websocket. In this order, so that nobody learns
anything without the token: method (405), token (401), content type (415). From there on every error is a retcode, and
the status is 200.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

from rawbot.errors import ConfigError, ProtocolError
from rawbot.event import Event
from rawbot.exchange import Answer, Endpoint, Exchange, Figure, Pending, Request, Response, Upgrade, refuse
from rawbot.onebot.authorization import Authorization
from rawbot.onebot.buffer import EventBuffer
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.codec import JSON, MSGPACK, Codec
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.performing import Running
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import BAD_PARAM, TIRED, UNSUPPORTED_PARAM, ActionError
from rawbot.onebot.settings import HTTP, WebSocket
from rawbot.websocket.handshake import require, wants_upgrade

GET_LATEST_EVENTS = "get_latest_events"
_PARAMS = frozenset(("limit", "timeout"))

LONGEST_POLL = 600.0
"""Seconds for which a poll waits at the most, whatever it asks for."""

MAX_POLLS = 1000
"""Polls that wait at once on one door."""

_CHALLENGE = ((b"www-authenticate", b"Bearer"),)
_CODECS: dict[bytes, Codec] = {codec.content_type: codec for codec in (JSON, MSGPACK) if codec is not None}


class OneBotEndpoint(Endpoint):
    """A door to an implementation: for HTTP as `http` says, and for WebSockets as `websocket` does; one may be None.

    The host and port of both are for who listens. Raises `ConfigError` for neither, `MissingExtraError` where the
    library for WebSockets is missing.
    """

    needs_bot = False
    keeps_state = True  # events are pushed to the process that a WebSocket, or the next poll, came to

    def __init__(
        self, implementation: Implementation, *, http: HTTP | None = None, websocket: WebSocket | None = None
    ) -> None:
        if http is None and websocket is None:
            raise ConfigError("an endpoint of OneBot is for HTTP, for WebSockets, or for both")
        if websocket is not None:
            require("a WebSocket of OneBot's")
        self.implementation = implementation
        self.handlers = implementation.handlers
        self.methods = tuple(method for method, one in (("POST", http), ("GET", websocket)) if one is not None)
        self.max_body_size = http.max_size if http is not None else 0
        self._http = http
        self._websocket = websocket
        self._http_authorization = Authorization(http.access_token if http is not None else None)
        self._websocket_authorization = Authorization(websocket.access_token if websocket is not None else None)
        self._buffer = EventBuffer(http.event_buffer_size) if http is not None and http.event_enabled else None
        self._channels: set[OneBotChannel] = set()
        self._draining = False

    def __repr__(self) -> str:
        return f"<OneBotEndpoint of {self.implementation.impl}>"

    @property
    def deadline(self) -> float:  # type: ignore[override] # a service's is an attribute, this one is its implementation's
        """When `tick` is due."""
        return self.implementation.deadline

    def receive(self, request: Request, now: float) -> Exchange:
        """Answer an action request, or open a WebSocket."""
        if request.method == "POST" and self._http is not None:
            return self._receive_action(request, now)
        if request.method == "GET" and self._websocket is not None:
            return self._open(request, self._websocket)
        return _refuse_method(self.methods)

    def start(self, now: float) -> None:
        """Take on actions, and gather events."""
        self._draining = False
        self.implementation.start(now)
        if self._buffer is not None:
            self.implementation.leave(self._buffer)
            self.implementation.join(self._buffer)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.implementation.tick(now)

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Answer the polls, and say that it is about to go."""
        self._draining = True
        self.implementation.drain()
        if self._buffer is not None:
            self._buffer.release()
            self.implementation.leave(self._buffer)

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield from self.implementation.figures()
        yield Figure("onebot_websockets", "gauge", len(self._channels), "WebSockets of applications.")
        if self._buffer is not None:
            yield Figure("onebot_buffer_events", "gauge", len(self._buffer), "Events that wait for a poll.")
            yield Figure("onebot_buffer_dropped", "counter", self._buffer.dropped, "Events that no poll came for.")

    # HTTP

    def _receive_action(self, request: Request, now: float) -> Exchange:
        if not self._http_authorization.admits(request):
            return _refuse_token()
        content_type = request.header(b"content-type") or b""
        codec = _CODECS.get(content_type) or _CODECS.get(content_type.partition(b";")[0].strip().lower())
        if codec is None:
            return refuse(ProtocolError("the content type is none that is spoken here", status=415))
        performer = self.implementation.performer
        action = performer.read(request.body, codec)
        if isinstance(action, bytes):
            return Answer(Response(200, action, codec.content_type))
        if action.action == GET_LATEST_EVENTS and self._buffer is not None:
            return self._poll(action, codec, self._buffer, now)
        told: list[bytes] = []
        event = performer.perform(action, codec, told.append)
        if told:  # on the way through: what may have to wait is made for those that do, which saves 0.7 µs
            return Answer(Response(200, told[0], codec.content_type), event)
        tired = ActionError(TIRED, "too many actions wait to be answered; this one may still take effect")
        held = Held(codec, partial(performer.refuse, tired, action.echo, codec))
        if event is not None and isinstance(event.reply, Running):
            event.reply.tell_to(held.tell)
        return held.pend(event)

    def _poll(self, action: ActionRequest, codec: Codec, buffer: EventBuffer, now: float) -> Exchange:
        """Answer with the events that there are, or with the first that comes."""
        performer = self.implementation.performer
        try:
            limit, timeout = _read_params(action, strict=performer.strict)
        except ActionError as error:
            return Answer(Response(200, performer.refuse(error, action.echo, codec), codec.content_type))
        if timeout and not buffer and buffer.waiting >= MAX_POLLS:
            tired = ActionError(TIRED, "too many polls wait already")
            return Answer(Response(200, performer.refuse(tired, action.echo, codec), codec.content_type))

        def respond(at: float) -> Response:
            return Response(200, performer.respond(buffer.take(limit, at), action.echo, codec), codec.content_type)

        if buffer or not timeout or self._draining:
            return Answer(respond(now))
        pending = Pending(None, now + timeout, respond, needs_reader=True)
        buffer.wait(pending)
        return pending

    # WebSockets

    def _open(self, request: Request, settings: WebSocket) -> Exchange:
        if not wants_upgrade(request) and self._http is not None:
            return _refuse_method(("POST",))
        if not self._websocket_authorization.admits(request):
            return _refuse_token()
        channel = OneBotChannel(self.implementation, max_queue_bytes=settings.max_queue_bytes, opened_in=self._channels)
        return Upgrade(channel, max_size=settings.max_size)


class Held:
    """The response to an action that may take a while. Where there is no place to wait: what `tired` makes, or 503."""

    __slots__ = ("_codec", "_pending", "_tired", "data", "status")

    def __init__(self, codec: Codec, tired: Callable[[], bytes] | None = None) -> None:
        self.data: bytes | None = None
        self.status = 200
        self._codec = codec
        self._tired = tired
        self._pending: Pending | None = None

    def tell(self, data: bytes, status: int = 200) -> None:
        """Take the response; whoever waits for it has it at once."""
        self.data = data
        self.status = status
        if self._pending is not None:
            self._pending.wake()

    def pend(self, event: Event | None) -> Pending:
        """Wait for it. That it comes is the performer's care."""
        self._pending = Pending(event, math.inf, self._respond)
        return self._pending

    def _respond(self, _now: float) -> Response:
        if self.data is not None:
            return Response(self.status, self.data, self._codec.content_type)
        if self._tired is not None:
            return Response(200, self._tired(), self._codec.content_type)
        return Response(503, b"Service Unavailable\n", headers=((b"retry-after", b"1"),))


def _read_params(action: ActionRequest, *, strict: bool) -> tuple[int, float]:
    """Return limit and timeout. Raises `ActionError`: 10003 for others than counts, 10004 for more when `strict`."""
    if strict and not action.params.keys() <= _PARAMS:
        raise ActionError(UNSUPPORTED_PARAM, f"{GET_LATEST_EVENTS} knows limit and timeout, and no more")
    return _count(action, "limit"), min(_count(action, "timeout"), LONGEST_POLL)


def _count(action: ActionRequest, name: str) -> int:
    value = action.params.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ActionError(BAD_PARAM, f"{name} must be a whole number, 0 or more")
    return value


def _refuse_method(allowed: Iterable[str]) -> Answer:
    allow = ", ".join(allowed).encode("ascii")
    return refuse(ProtocolError("actions come by POST, WebSockets by GET", status=405, headers=((b"allow", allow),)))


def _refuse_token() -> Answer:
    return refuse(ProtocolError("no access token, or a wrong one", status=401, headers=_CHALLENGE))
