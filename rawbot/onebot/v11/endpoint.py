"""OneBot 11's door: actions by their names, and WebSockets on three paths below its own.

Layer 3, pure. Source: OneBot 11, communication/http, ws and authorization. Before all else the token: 401 for none, 403
for a wrong one. Then

    GET, POST /<action>[/]           an action; 406 and 400 for a body of the wrong type or form, 404 for no such action
    GET /, /api[/], /event[/]        a WebSocket for both, for requests, for events

where what asks for a WebSocket is never an action.
"""

from collections.abc import Callable, Iterable
from functools import partial

from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.event import Event
from rawbot.exchange import Answer, Endpoint, Exchange, Figure, Request, Response, Upgrade, refuse
from rawbot.onebot.authorization import Authorization
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.codec import JSON
from rawbot.onebot.endpoint import Held
from rawbot.onebot.v11.calls import translate_request
from rawbot.onebot.v11.channels import V11Channel
from rawbot.onebot.v11.face import Face
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.forms import decode_http
from rawbot.onebot.v11.settings import V11HTTP, Role, V11WebSocket
from rawbot.websocket.handshake import require, wants_upgrade

_ROLES: dict[str, Role] = {"": "Universal", "/api": "API", "/event": "Event"}
"""What a WebSocket is for, by its path without the last slash."""


class V11Endpoint(Endpoint):
    """A door for HTTP as `http` says, and for WebSockets as `websocket` does; one may be None.

    The host and port of both are for who listens. Raises `ConfigError` for neither and as `Faces.face_for` does,
    `MissingExtraError` where the library for WebSockets is missing.
    """

    below = True
    needs_bot = False
    keeps_state = True  # events are pushed to the process that a WebSocket came to

    def __init__(self, faces: Faces, *, http: V11HTTP | None = None, websocket: V11WebSocket | None = None) -> None:
        self.implementation = faces.implementation
        self.handlers = faces.implementation.handlers
        self.methods = ("GET",) if http is None else ("GET", "POST")
        self.max_body_size = http.max_size if http is not None else 0
        self._faces = faces
        self._channels: set[OneBotChannel] = set()
        ways: list[Callable[[Request, str], Exchange]] = []
        if http is not None:
            ways.append(partial(self._receive_action, faces.face_for(http), Authorization(http.access_token)))
        if websocket is not None:
            require("a WebSocket of OneBot's")
            authorization = Authorization(websocket.access_token)
            ways.append(partial(self._open, faces.face_for(websocket), authorization, websocket))
        if not ways:
            raise ConfigError("an endpoint of OneBot is for HTTP, for WebSockets, or for both")
        self._usual_way, self._upgraded_way = ways[0], ways[-1]

    def __repr__(self) -> str:
        return f"<V11Endpoint of {self.implementation.impl}>"

    @property
    def deadline(self) -> float:  # type: ignore[override] # a service's is an attribute, this one is that of its parts
        """When `tick` is due."""
        return min(self.implementation.deadline, self._faces.performer.deadline)

    def receive(self, request: Request, now: float) -> Exchange:  # noqa: ARG002 - an endpoint's shape
        """Carry out an action, or open a WebSocket."""
        path = request.path[len(self.mounted_at.rstrip("/")) :]
        way = self._upgraded_way if wants_upgrade(request) else self._usual_way
        try:
            return way(request, path)
        except ProtocolError as error:
            return refuse(error)

    def start(self, now: float) -> None:
        """Take on actions."""
        self.implementation.start(now)

    def tick(self, now: float) -> None:
        """Let time pass."""
        self.implementation.tick(now)
        self._faces.performer.tick(now)

    def drain(self, now: float) -> None:  # noqa: ARG002 - a service's shape
        """Say that it is about to go."""
        self.implementation.drain()
        self._faces.performer.drain()

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield from self.implementation.figures()
        yield from self._faces.figures()
        yield Figure("onebot_websockets", "gauge", len(self._channels), "WebSockets of applications.")

    def _receive_action(self, face: Face, authorization: Authorization, request: Request, path: str) -> Exchange:
        _demand_token(authorization, request)
        call = translate_request(decode_http(request, path), face)
        held = Held(JSON)
        self._faces.performer.perform(call, face, self._dispatch, held.tell)
        if held.data is not None:
            return Answer(Response(held.status, held.data, JSON.content_type))
        return held.pend(None)

    def _open(
        self, face: Face, authorization: Authorization, settings: V11WebSocket, request: Request, path: str
    ) -> Exchange:
        _demand_token(authorization, request)
        role = _ROLES.get(path.removesuffix("/"))
        if role is None:
            raise ProtocolError("the path is none of the three for WebSockets", status=404)
        channel = V11Channel(
            self._faces,
            face,
            self._dispatch,
            role=role,
            max_queue_bytes=settings.max_queue_bytes,
            opened_in=self._channels,
        )
        return Upgrade(channel, max_size=settings.max_size)

    def _dispatch(self, event: Event) -> None:
        if self.dispatch is None:
            raise StateError("this endpoint belongs to no running app")
        self.dispatch(event)


def _demand_token(authorization: Authorization, request: Request) -> None:
    if not authorization.admits(request):
        if authorization.is_brought(request):
            raise ProtocolError("a wrong access token", status=403)
        raise ProtocolError("no access token", status=401, headers=((b"www-authenticate", b"Bearer"),))
