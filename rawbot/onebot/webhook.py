"""Events posted to one application: one after the other, in order, on one connection that is kept.

Layer 3, pure: a `Source`, which the shell drains. Source: OneBot 12, connect/communication/http-webhook.

An answer of 204 is well; one of 200 is a list of action requests, which run one after the other and whose responses
nobody gets. Anything else, and no answer in time, is a failed push: that event is not sent again, since the application
may have acted on it. An event that surely never arrived stays first in the queue. After a failure the application may
be a new one that knows no bot: so a status_update is pushed, again and again until it is taken, before all else.
"""

import math
from collections import deque
from collections.abc import Callable

from rawbot.event import Event
from rawbot.exchange import EncodedText, OutgoingRequest, Response, Source
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON, MSGPACK, Codec
from rawbot.onebot.implementation import ONEBOT_VERSION, Implementation
from rawbot.onebot.requests import ActionRequest, decode_request
from rawbot.onebot.retcodes import ActionError
from rawbot.onebot.settings import HTTPWebhook

PATIENCE = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds after a failed push before the next try; the last one is for all that follow."""

_CODECS: dict[bytes, Codec] = {codec.content_type: codec for codec in (JSON, MSGPACK) if codec is not None}


class Webhook(Source):
    """One webhook. `dispatch` starts the handlers of the actions that answers ask for."""

    trusted = True

    def __init__(
        self, implementation: Implementation, settings: HTTPWebhook, dispatch: Callable[[Event], None]
    ) -> None:
        self.pushed = 0
        self.failed = 0
        """Pushes that were not answered well."""
        self.dropped = 0
        """Events that the application was too slow for."""
        self.deadline = math.inf
        """When `tick` is due."""
        self._implementation = implementation
        self._url = settings.url
        self._timeout = settings.timeout / 1000 if settings.timeout else math.inf
        self._max_queue_bytes = settings.max_queue_bytes
        self._headers = _headers(implementation, settings)
        self._dispatch = dispatch
        self._events: deque[EncodedText] = deque()
        self._queued = 0
        self._status_due = True
        self._probing = False
        """Whether what is under way is a status_update."""
        self._busy = False
        self._failures = 0
        self._again_at = -math.inf
        self._actions: deque[tuple[object, Codec]] = deque()
        self._acting = self._looping = False

    def __repr__(self) -> str:
        return "<Webhook>"  # its URL may hold a token

    def start(self, now: float) -> None:
        """Begin with the next `tick`: the first push says how the bots are."""
        self._status_due = True
        self.deadline = now
        self._implementation.leave(self)
        self._implementation.join(self)

    def stop(self) -> None:
        """Take no more events; what waits is still sent."""
        self._implementation.leave(self)

    def push(self, broadcast: Broadcast) -> None:
        """Let an event go out. While nothing gets through, those about the implementation itself are left out."""
        if broadcast.is_meta and (self._failures or self._status_due):
            return
        text = broadcast.text
        self._events.append(text)
        self._queued += len(text)
        while self._queued > self._max_queue_bytes and len(self._events) > 1:
            self._queued -= len(self._events.popleft())
            self.dropped += 1
        self._tell()

    def listens(self, now: float) -> bool:  # noqa: ARG002 - a sink's shape
        """Tell whether the last push was taken."""
        return self.pushed > 0 and not self._failures

    def waiting(self) -> int:
        """Count what waits to be sent."""
        return len(self._events)

    def next_request(self, now: float) -> OutgoingRequest | None:
        """Return the next push, unless one is under way or the last has failed just now."""
        if self._busy or now < self._again_at or not (self._events or self._status_due):
            return None
        self._busy, self._probing = True, self._status_due
        body = self._implementation.prepare_status().text if self._status_due else self._events[0]
        return OutgoingRequest("POST", self._url, body, self._headers, now + self._timeout)

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:  # noqa: ARG002 - a source's shape
        """Note how it went, and take the actions that the answer asks for."""
        self._busy = False
        probing, self._probing = self._probing, False
        if response is not None and not probing:
            self._queued -= len(self._events.popleft())
        if response is None or response.status not in (200, 204):
            self._note_failure(now)
            return probing or response is None
        self.pushed += 1
        recovered, self._failures = self._failures > 0, 0
        self._again_at, self.deadline = -math.inf, math.inf
        self._status_due = self._status_due and not probing
        if recovered and not probing:
            self._status_due = True
        return self._take_actions(response) if response.status == 200 and response.body else True  # noqa: PLR2004 - OK

    def tick(self, now: float) -> None:
        """Try again when it is time."""
        if now >= self.deadline:
            self.deadline = math.inf
            self._tell()

    def _note_failure(self, now: float) -> None:
        self.failed += 1
        self._status_due = True
        self._again_at = self.deadline = now + PATIENCE[min(self._failures, len(PATIENCE) - 1)]
        self._failures += 1

    def _tell(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    # What answers ask for

    def _take_actions(self, response: Response) -> bool:
        """Queue the actions of an answer; False when it holds no list of them."""
        codec = _CODECS.get(response.content_type.partition(b";")[0].strip().lower())
        if codec is None:
            return False
        try:
            values = codec.decode(response.body)
        except ActionError:
            return False
        if not isinstance(values, list):
            return False
        self._actions += ((value, codec) for value in values)
        self._act()
        return True

    def _act(self) -> None:
        """Run the actions that wait, each when the one before has been answered."""
        if self._looping:
            return
        self._looping = True
        while self._actions and not self._acting:
            value, codec = self._actions.popleft()
            try:
                request = decode_request(value)
            except ActionError:
                self._implementation.performer.failed += 1
                continue
            self._perform(request, codec)
        self._looping = False

    def _perform(self, request: ActionRequest, codec: Codec) -> None:
        self._acting = True
        event = self._implementation.performer.perform(request, codec, self._performed)
        if event is not None:
            self._dispatch(event)

    def _performed(self, _response: bytes) -> None:
        self._acting = False
        self._act()


def _headers(implementation: Implementation, settings: HTTPWebhook) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"user-agent", implementation.user_agent),
        (b"x-onebot-version", ONEBOT_VERSION.encode("ascii")),
        (b"x-impl", implementation.impl.encode("ascii")),
    ]
    if settings.access_token:
        headers.append((b"authorization", b"Bearer " + settings.access_token.encode("ascii")))
    return headers
