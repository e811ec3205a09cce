"""What goes out through response_url: the long answer's rest, the late answer, the words after a card event.

Layer 3, pure: a `Source` that the shell drains. Source of the rules: developer.work.weixin.qq.com/document/path/101138
(plain JSON, one use per URL, valid for an hour).

What follows a bubble waits till the bubble's last frame was fetched, or else users may read the second part first:
the bubble grows with the platform's next poll only, a second later, and a post is there at once.
"""

import heapq
from collections import OrderedDict, deque
from itertools import count

import orjson

from rawbot.errors import StateError
from rawbot.exchange import OutgoingRequest, Response, Source
from rawbot.wecom.clock import SteadyClock

LIFETIME = 3600.0
"""Seconds for which a response_url is valid."""

FETCHED_WITHIN = 7.0
"""Seconds for which a body waits for the frame before it to be fetched; a bubble that nobody asks for any more must not
keep the rest for itself. The platform polls about once a second; when an answer is lost, it notices after five and asks
again. The URL is good for an hour, so there is time for that."""

RETRY_AFTER = (1.0, 5.0, 20.0, 60.0)
"""Seconds before each new try of a delivery that surely never reached the platform."""

_HEADERS = ((b"content-type", b"application/json"),)


class Deliveries(Source):
    """Bodies on their way to response_urls, each sent once; tried again only if no byte of it can have arrived.

    At most `max_waiting` wait; more are counted as lost, as are those that expired or were refused.
    """

    def __init__(self, *, max_waiting: int = 10_000) -> None:
        self.sent = 0
        self.lost = 0
        self._max_waiting = max_waiting
        self._ready: deque[OutgoingRequest] = deque()
        self._later: list[tuple[float, int, OutgoingRequest]] = []
        """A heap by the time of the next try; the number keeps the order of those with the same."""
        self._number = count()
        self._held: OrderedDict[str, tuple[float, OutgoingRequest]] = OrderedDict()
        """By the bubble that they follow, with the time at which their patience ends; all are equally patient."""
        self._patient = True
        self._clock = SteadyClock()
        self._now = 0.0

    def can_post(self, url: str) -> bool:
        """Tell whether a body for this URL would be sent."""
        return bool(url) and self.enabled and self.waiting() < self._max_waiting

    def demand(self, url: str, *, expires_at: float) -> None:
        """Raise `StateError`, and say why, if a body for this URL would not be sent."""
        if not url:
            raise StateError("no response_url came with this, or it has carried its one message")
        if not self.enabled:
            raise StateError("outgoing requests are not possible: they need a running App and rawbot[client]")
        if expires_at <= self._now:
            raise StateError("the response_url was good for an hour, which is over")
        if not self.can_post(url):
            raise StateError("too many messages wait to be posted to response_urls")

    def post(self, url: str, body: bytes, *, expires_at: float, after: str = "") -> None:
        """Send this body as soon as the shell can; `expires_at` is the end of the URL's life, Unix seconds.

        With `after`, the id of a bubble, it waits for `release` first, `FETCHED_WITHIN` seconds at the most.
        """
        if not self.can_post(url):
            self.lost += 1
            return
        request = OutgoingRequest("POST", url, body, _HEADERS, expires_at)
        if after and self._patient:
            self._held[after] = (self._now + FETCHED_WITHIN, request)
        else:
            self._ready.append(request)
            self._tell()

    def release(self, bubble: str) -> None:
        """Send what follows this bubble, if anything does: its last frame is fetched or given up."""
        if (held := self._held.pop(bubble, None)) is not None:
            self._ready.append(held[1])
            self._tell()

    def start(self) -> None:
        """Let bodies wait for their bubbles (again)."""
        self._patient = True

    def drain(self) -> None:
        """Let no body wait any more: at the end, that all is sent counts for more than in which order."""
        self._patient = False
        while self._held:
            self.release(next(iter(self._held)))

    def next_request(self, now: float) -> OutgoingRequest | None:
        """Return the next body to send."""
        self._revive(now)
        while self._ready:
            request = self._ready.popleft()
            if request.expires_at > now:
                return request
            self._count(lost=True)
        return None

    def receive(self, request: OutgoingRequest, response: Response | None, now: float) -> bool:
        """Note how it went; None brings the request back after a while (`Source.receive`)."""
        if response is not None:
            return self._count(lost=not _accepted(response))
        if request.tries == len(RETRY_AFTER):
            return self._count(lost=True)
        again_at = self._clock.read(now) + RETRY_AFTER[request.tries]
        heapq.heappush(self._later, (again_at, next(self._number), request))
        request.tries += 1
        return True

    def tick(self, now: float) -> None:
        """Bring back what has waited long enough."""
        self._revive(now)
        while self._held and next(iter(self._held.values()))[0] <= self._now:
            self.release(next(iter(self._held)))
        self._tell()

    def waiting(self) -> int:
        """Count what waits to be sent: for its bubble, for the first time or again."""
        return len(self._held) + len(self._ready) + len(self._later)

    def _revive(self, now: float) -> None:
        self._now = self._clock.read(now)
        while self._later and self._later[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._later)[2])

    def _tell(self) -> None:
        if self._ready and self.on_ready is not None:
            self.on_ready()

    def _count(self, *, lost: bool) -> bool:
        if lost:
            self.lost += 1
        else:
            self.sent += 1
        return not lost


def _accepted(response: Response) -> bool:
    """Tell whether the platform took it: 200 and errcode 0, or no errcode at all."""
    if response.status != 200:  # noqa: PLR2004 - the one success of this API
        return False
    try:
        result = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return True
    return not isinstance(result, dict) or not result.get("errcode")
