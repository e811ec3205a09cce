"""Events posted to one application: one after the other, in order, on one connection that is kept.

Layer 3, pure: a `Source`, which the shell drains. Source: OneBot 12, connect/communication/http-webhook.

An answer of 204 is well; one of 200 is a list of action requests, which run one after the other and whose responses
nobody gets. Anything else, and no answer in time, is a failed push: that event is not sent again, since the application
may have acted on it. An event that surely never arrived stays first in the queue. After a failure the application may
be a new one that knows no bot: so a status_update is pushed, again and again until it is taken, before all else.
"""

import math
from collections import deque
from collections.abc import Callable, Container
from functools import partial

from rawbot.event import Event
from rawbot.exchange import EncodedText, Headers, OutgoingRequest, Response, Source
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON, MSGPACK, Codec
from rawbot.onebot.implementation import ONEBOT_VERSION, Implementation
from rawbot.onebot.requests import decode_request
from rawbot.onebot.retcodes import OK, ActionError
from rawbot.onebot.settings import HTTPWebhook

LONGEST = 120.0
"""Seconds that any exchange may take, the client's bound; who is silent for so long is one who answers at the end."""

PATIENCE = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds after a failed push before the next try; the last one is for all that follow."""

MAX_JOBS = 1000
"""Actions that wait for those before them; an answer that asks for more is refused."""

_CODECS: dict[bytes, Codec] = {codec.content_type: codec for codec in (JSON, MSGPACK) if codec is not None}


class Webhook(Source):
    """One webhook. `dispatch` starts the handlers of the actions that answers ask for.

    `complain` tells the operator what goes wrong; none of the texts holds the URL.
    """

    trusted = True

    def __init__(
        self,
        implementation: Implementation,
        settings: HTTPWebhook,
        dispatch: Callable[[Event], None],
        *,
        complain: Callable[[str], None] = lambda _: None,
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
        self._complain = complain
        self._events: deque[tuple[EncodedText, bool]] = deque()
        """What waits, and whether it is about the implementation itself."""
        self._queued = 0
        self._status_due = True
        self._probing = False
        """Whether what is under way is a status_update."""
        self._outdated = False
        """Whether that does not tell the newest."""
        self._busy: tuple[EncodedText, bool] | None = None
        """What is under way, likewise."""
        self._failures = 0
        self._again_at = -math.inf
        self._jobs: deque[Callable[[], None]] = deque()
        """What answers ask for: each is begun when the one before has called `_performed`."""
        self._acting = self._looping = False

    def __repr__(self) -> str:
        return "<Webhook>"  # its URL may hold a token

    def start(self, now: float) -> None:
        """Begin with the next `tick`: the first push says how the bots are. What a stop has cut off is not resumed."""
        self._status_due, self._probing, self._busy = True, False, None
        self._failures, self._again_at, self.deadline = 0, -math.inf, now
        self._leave_out_meta()
        self._jobs.clear()
        self._acting = False
        self._implementation.leave(self)
        self._implementation.join(self)

    def stop(self) -> None:
        """Take no more events; what waits is still sent."""
        self._implementation.leave(self)

    def push(self, broadcast: Broadcast) -> None:
        """Let an event go out. While nothing gets through, those about the implementation itself are left out."""
        if broadcast.is_meta and (self._failures or self._status_due):
            self._outdated |= broadcast.event.detail_type == "status_update"
            return
        text = self._encode(broadcast)
        if text is not None:
            self._queue(text, is_meta=broadcast.is_meta)

    def _queue(self, text: EncodedText, *, is_meta: bool = False) -> None:
        self._events.append((text, is_meta))
        self._queued += len(text)
        while self._queued > self._max_queue_bytes and len(self._events) > 1:
            self._take()
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
        if self._busy is not None or now < self._again_at or not (self._events or self._status_due):
            return None
        self._probing, self._outdated = self._status_due, False
        self._busy = (self._probe(now), True) if self._probing else self._take()
        body = self._busy[0]
        ends_at, silence = now + self._timeout, min(self._timeout, LONGEST)
        return OutgoingRequest("POST", self._url, body, self._headers_of(body), ends_at, read_timeout=silence)

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        """Note how it went, and take the actions that the answer asks for."""
        pushed, self._busy = self._busy, None
        probing, self._probing = self._probing, False
        if response is None or response.status not in self._good:
            self._note_failure(response, now)
            if pushed is None or pushed[1]:
                return True  # the status_update that comes first tells it again
            if response is not None:
                return False
            self._events.appendleft(pushed)
            self._queued += len(pushed[0])
            return True
        self.pushed += 1
        self._failures = 0
        self._again_at, self.deadline = -math.inf, math.inf
        self._status_due = probing and self._outdated
        if not self._take_answer(request, response):
            self._complain("the answer to a webhook's push is no list of action requests, or too long a one")
        return True

    def tick(self, now: float) -> None:
        """Try again when it is time."""
        latest = now + PATIENCE[-1]
        if latest < self._again_at:  # the clock was set back since
            self._again_at = self.deadline = latest
        if now >= self.deadline:
            self.deadline = math.inf
            self._tell()

    def _take(self) -> tuple[EncodedText, bool]:
        taken = self._events.popleft()
        self._queued -= len(taken[0])
        return taken

    def _leave_out_meta(self) -> None:
        """Let go of what is about the implementation itself: the status_update that comes first tells newer things."""
        self._events = deque(waiting for waiting in self._events if not waiting[1])
        self._queued = sum(len(text) for text, _ in self._events)

    def _note_failure(self, response: Response | None, now: float) -> None:
        wait = PATIENCE[min(self._failures, len(PATIENCE) - 1)]
        self.failed += 1
        self._status_due = True
        self._leave_out_meta()
        self._again_at = self.deadline = now + wait
        self._failures += 1
        what = "no connection" if response is None else str(response.status)
        self._complain(f"a webhook's push failed ({what}): the next one is in {wait:g} s")

    def _tell(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    # What is said

    _good: Container[int] = (200, 204)
    """The statuses of pushes that are taken."""

    def _encode(self, broadcast: Broadcast) -> EncodedText | None:
        return broadcast.text

    def _probe(self, now: float) -> EncodedText:  # noqa: ARG002 - for those who tell the time
        """Return the push that comes before all others."""
        return self._implementation.prepare_status().text

    def _headers_of(self, body: bytes) -> Headers:  # noqa: ARG002 - for those who sign
        return self._headers

    # What answers ask for

    def _take_answer(self, request: OutgoingRequest, response: Response) -> bool:  # noqa: ARG002 - for those who look back
        """Queue the actions of an answer; False when it holds no list of them."""
        if response.status != 200 or not response.body:  # noqa: PLR2004 - OK
            return True
        codec = _CODECS.get(response.content_type.partition(b";")[0].strip().lower())
        if codec is None:
            return False
        try:
            values = codec.decode(response.body)
        except ActionError:
            return False
        if not isinstance(values, list) or len(self._jobs) + len(values) > MAX_JOBS:
            return False
        self._jobs += (partial(self._perform, value, codec) for value in values)
        self._act()
        return True

    def _act(self) -> None:
        """Do what waits, each when the one before has been answered."""
        if self._looping:
            return
        self._looping = True
        try:
            while self._jobs and not self._acting:
                self._acting = True
                self._jobs.popleft()()
        finally:
            self._looping = False

    def _perform(self, value: object, codec: Codec) -> None:
        performer = self._implementation.performer
        try:
            request = decode_request(value)
        except ActionError as error:
            performer.refuse(error, None, codec)
            self._complain(f"a webhook's answer holds what is no action request: {error}")
            self._performed(b"")
            return
        event = performer.perform(request, _UNENCODED, partial(self._note_outcome, request.action))
        if event is not None:
            self._dispatch(event)

    def _note_outcome(self, action: str, response: object) -> None:
        if isinstance(response, dict) and response["retcode"] != OK:
            known = action in self._implementation.actions
            name = action if known else "an unknown action"  # whose name is the peer's word
            self._complain(f"{name} of a webhook's answer failed with {response['retcode']}: {response['message']}")
        self._performed(b"")

    def _performed(self, _response: bytes, _status: int = 200) -> None:
        self._acting = False
        self._act()


class _Unencoded:
    """The form of responses that nobody gets."""

    @staticmethod
    def encode(response: object) -> object:
        """Leave it as it is."""
        return response


_UNENCODED = _Unencoded()


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
