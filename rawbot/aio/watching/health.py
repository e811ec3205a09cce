"""Whether it lives, and whether it takes requests: what load balancers and supervisors ask.

Engine room, pure. The status is the answer; the body is one word for people. Nothing about version, load or
configuration is told, so the endpoints may stand on a public address, too.
"""

from rawbot.aio.watching.watched import Watchable
from rawbot.exchange import Answer, Endpoint, Request, Response

RETRY_AFTER = b"1"
"""Seconds after which asking again makes sense: a start-up takes about as long, and a drain ends in a closed socket."""

_NOT_KEPT = (b"cache-control", b"no-store")
_ALIVE = Answer(Response(200, b"alive\n", headers=(_NOT_KEPT,)))
_READY = Answer(Response(200, b"ready\n", headers=(_NOT_KEPT,)))


class Liveness(Endpoint):
    """Answers 200 for as long as the event loop turns. Who gets no answer should restart the process."""

    methods = ("GET",)
    needs_bot = False

    def receive(self, request: Request, now: float) -> Answer:  # noqa: ARG002 - an endpoint's shape
        """Answer that the loop turns."""
        return _ALIVE


class Readiness(Endpoint):
    """Answers 200 while the app takes requests: 503 before its start-up hooks have run, while it drains, and after."""

    methods = ("GET",)
    needs_bot = False

    def __init__(self, app: Watchable) -> None:
        self._app = app

    def receive(self, request: Request, now: float) -> Answer:  # noqa: ARG002 - an endpoint's shape
        """Answer whether requests are taken."""
        running = self._app.running
        if running is None:
            return _not_ready(b"stopped\n")
        if running.draining:
            return _not_ready(b"draining\n")
        return _READY if running.started else _not_ready(b"starting\n")


def _not_ready(word: bytes) -> Answer:
    return Answer(Response(503, word, headers=(_NOT_KEPT, (b"retry-after", RETRY_AFTER))))
