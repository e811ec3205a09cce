"""What goes out through response_url: the long answer's rest, the late answer, the words after a card event.

Layer 3, pure: a `Source` that the shell drains. Source of the rules: developer.work.weixin.qq.com/document/path/101138
(plain JSON, one use per URL, valid for an hour).
"""

import heapq
from collections import deque
from itertools import count

import orjson

from rawbot.exchange import OutgoingRequest, Response, Source

LIFETIME = 3600.0
"""Seconds for which a response_url is valid."""

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

    def can_post(self, url: str) -> bool:
        """Tell whether a body for this URL would be sent."""
        return bool(url) and self.enabled and self.waiting() < self._max_waiting

    def post(self, url: str, body: bytes, *, expires_at: float) -> None:
        """Send this body as soon as the shell can; `expires_at` is the end of the URL's life, Unix seconds."""
        if not self.can_post(url):
            self.lost += 1
            return
        self._ready.append(OutgoingRequest("POST", url, body, _HEADERS, expires_at))
        if self.on_ready is not None:
            self.on_ready()

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
        heapq.heappush(self._later, (now + RETRY_AFTER[request.tries], next(self._number), request))
        request.tries += 1
        return True

    def tick(self, now: float) -> None:
        """Bring back what has waited long enough."""
        if self._later:
            self._revive(now)
            if self._ready and self.on_ready is not None:
                self.on_ready()

    def waiting(self) -> int:
        """Count what waits to be sent, for the first time or again."""
        return len(self._ready) + len(self._later)

    def _revive(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

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
