"""The connections of OneBot 11 that an implementation opens by itself: posts to servers, and reverse WebSockets.

Layer 3, pure: a `Service` of the app that sends and dials for it. Source: OneBot 11, communication/http-post and
ws-reverse. Each connection goes its own pace: a WebSocket's events do not wait for the answers to posted ones.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import ceil

from rawbot.exchange import Channel, Dial, EncodedText, Figure, Headers, OutgoingRequest, Response
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON
from rawbot.onebot.outlets import Outlets
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.settings import HTTPWebhook
from rawbot.onebot.v11.calls import V11Call, translate_quick_operation
from rawbot.onebot.v11.channels import V11Channel
from rawbot.onebot.v11.face import Json
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.performing import Dispatch
from rawbot.onebot.v11.settings import Role, V11HTTPPost, V11Outgoing, V11WebSocketReverse
from rawbot.onebot.v11.signing import Signer
from rawbot.onebot.webhook import MAX_JOBS, Webhook
from rawbot.websocket.handshake import require


class V11ReverseWebSocket(Dial):
    """A WebSocket to an application, which knows by two fields who calls, and what for."""

    def __init__(self, faces: Faces, settings: V11WebSocketReverse, url: str, role: Role, dispatch: Dispatch) -> None:
        face = faces.face_for(settings)
        headers = [
            (b"user-agent", faces.user_agent),
            (b"x-self-id", b"%d" % face.self_id),
            (b"x-client-role", role.encode("ascii")),
        ]
        if settings.access_token:
            headers.append((b"authorization", b"Bearer " + settings.access_token.encode("ascii")))
        super().__init__(url, headers=headers, interval=settings.reconnect_interval / 1000, max_size=settings.max_size)
        self._make = partial(V11Channel, faces, face, dispatch, role=role, max_queue_bytes=settings.max_queue_bytes)

    def open(self) -> Channel:
        """Return the channel for one connection."""
        return self._make()


class V11Post(Webhook):
    """Events posted to one server: one after the other, in order, signed; its answers are quick operations.

    The first push says that the implementation is there (lifecycle.enable), and so does the first after a failed one,
    since the server may have been started again and know no bot. The last one says that it goes (disable).
    """

    _good = range(200, 300)

    def __init__(
        self,
        faces: Faces,
        settings: V11HTTPPost,
        dispatch: Dispatch,
        *,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        timeout = ceil(settings.timeout * 1000)
        webhook = HTTPWebhook(settings.url, timeout=timeout, max_queue_bytes=settings.max_queue_bytes)
        super().__init__(faces.implementation, webhook, dispatch, complain=complain)
        self._faces = faces
        self._face = faces.face_for(settings)
        self._signer = None if settings.secret is None else Signer(settings.secret)
        self._headers = [
            (b"content-type", b"application/json"),
            (b"user-agent", faces.user_agent),
            (b"x-self-id", b"%d" % self._face.self_id),
        ]

    def push(self, broadcast: Broadcast) -> None:
        """Let an event go out, if OneBot 11 has words for it, which it has not for a status_update."""
        if broadcast.event.detail_type != "status_update":
            super().push(broadcast)

    def stop(self) -> None:
        """Take no more events, and say so to a server that listens; what waits is still sent."""
        super().stop()
        if not (self._failures or self._status_due):
            self._queue(self._faces.lifecycle("disable", self._face, self._implementation.clock()))

    def _encode(self, broadcast: Broadcast) -> EncodedText | None:
        return self._faces.encode(broadcast, self._face)

    def _probe(self, now: float) -> EncodedText:
        return self._faces.lifecycle("enable", self._face, now)

    def _headers_of(self, body: bytes) -> Headers:
        if self._signer is None:
            return self._headers
        return [*self._headers, (b"x-signature", self._signer.sign(body))]

    def _take_answer(self, request: OutgoingRequest, response: Response) -> bool:
        """Queue what an answer asks for. One that is no object asks for nothing, as does most that servers say."""
        try:
            operation = JSON.decode(response.body) if response.body else None
        except ActionError:
            return True
        if isinstance(operation, dict) and len(self._jobs) < MAX_JOBS:
            self._jobs.append(partial(self._operate, request.body, operation))
            self._act()
        elif isinstance(operation, dict):
            self._complain("a quick operation is left out: too many wait already")
        return True

    def _operate(self, event: bytes, operation: Json) -> None:
        call = translate_quick_operation(JSON.decode(bytes(event)), operation, self._face)
        self._faces.performer.perform(call, self._face, self._dispatch, partial(self._note, call))

    def _note(self, call: V11Call, data: bytes, _status: int) -> None:
        response = call.response
        if response["status"] == "failed":
            self._complain(f"a quick operation failed with {response['retcode']}: {response['message']}")
        self._performed(data)


class V11Outlets(Outlets):
    """All connections of OneBot 11 that one implementation opens. Raises as `Outlets` does, and `Faces.face_for`."""

    def __init__(
        self, faces: Faces, connections: Iterable[V11Outgoing], *, complain: Callable[[str], None] = lambda _: None
    ) -> None:
        super().__init__(faces.implementation, ())
        connections = list(connections)
        reverse = [settings for settings in connections if isinstance(settings, V11WebSocketReverse)]
        if reverse:
            require("a reverse WebSocket of OneBot's")
        self._faces = faces
        self.dials = [
            V11ReverseWebSocket(faces, settings, url, role, self._dispatch)
            for settings in reverse
            for url, role in settings.links
        ]
        self.webhooks = [
            V11Post(faces, settings, self._dispatch, complain=complain)
            for settings in connections
            if isinstance(settings, V11HTTPPost)
        ]
        self.sources = self.webhooks

    def __repr__(self) -> str:
        return f"<V11Outlets of {self.implementation.impl}>"

    @property
    def deadline(self) -> float:  # type: ignore[override] # as in `Outlets`
        """When `tick` is due."""
        return min(super().deadline, self._faces.performer.deadline)

    def tick(self, now: float) -> None:
        """Let time pass."""
        super().tick(now)
        self._faces.performer.tick(now)

    def drain(self, now: float) -> None:
        """Say that it is about to go, and take no more events."""
        super().drain(now)
        self._faces.performer.drain()

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        yield from super().figures()
        yield from self._faces.figures()
