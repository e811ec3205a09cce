"""One WebSocket between a bot and an application of OneBot 11, whoever opened it: events out, requests in.

Layer 3, pure. Source: OneBot 11, communication/ws and ws-reverse. All is JSON text. What the connection is for decides
what happens on it: requests are taken by API and Universal, events are told by Event and Universal, of which the first
is `lifecycle.connect`. A request that is none is answered with 1400; what comes in where no requests are taken is not
looked at.
"""

from collections.abc import Sequence

from rawbot.event import Event
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.channels import OneBotChannel
from rawbot.onebot.codec import JSON
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.v11.calls import translate_request
from rawbot.onebot.v11.face import Face
from rawbot.onebot.v11.faces import Faces
from rawbot.onebot.v11.performing import Dispatch
from rawbot.onebot.v11.settings import Role


class V11Channel(OneBotChannel):
    """A connection to one application. `dispatch` starts the handlers of actions."""

    def __init__(
        self,
        faces: Faces,
        face: Face,
        dispatch: Dispatch,
        *,
        role: Role,
        max_queue_bytes: int,
        opened_in: set[OneBotChannel] | None = None,
    ) -> None:
        super().__init__(faces.implementation, max_queue_bytes=max_queue_bytes, opened_in=opened_in)
        self._faces = faces
        self._face = face
        self._dispatch = dispatch
        self._takes_requests = role != "Event"
        self._tells_events = role != "API"

    def opened(self, now: float) -> None:
        """Begin with lifecycle.connect where events are told; whatever is emitted from now on comes behind."""
        self._opened_in.add(self)
        if self._tells_events:
            self._respond(self._faces.lifecycle("connect", self._face, now))
            self._implementation.join(self)

    def receive(self, message: bytes | str, now: float) -> Sequence[Event]:  # noqa: ARG002 - a channel's shape
        """Carry out a request."""
        if not self._takes_requests:
            return ()
        try:
            value = JSON.decode(message)
        except ActionError:
            value = None
        self._called = True
        try:
            call = translate_request(value, self._face)
            self._faces.performer.perform(call, self._face, self._dispatch, self._answer)
        finally:
            self._called = False
        return ()

    def push(self, broadcast: Broadcast) -> None:
        """Let an event go out, if it is this bot's and OneBot 11 has words for it."""
        text = self._faces.encode(broadcast, self._face)
        if text is not None:
            self._queue(text)

    def _answer(self, data: bytes, _status: int) -> None:
        self._tell_text(data)
