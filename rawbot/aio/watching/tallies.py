"""What happens in an app, counted: requests, answers, refusals, connections, handlers.

Engine room, pure. The counts are plain numbers in plain dicts, turned into Prometheus' form only when somebody asks:
an answer costs 0.4 µs here and 3.2 µs through `Counter.labels().inc()` and `Histogram.labels().observe()` of
prometheus_client, 1.2 µs with their children kept (CPython 3.11, prometheus_client 0.26). They are for one thread, as
the loop is.

What a peer can choose never makes more and more numbers: methods that HTTP does not know count as one, requests for
unknown paths have the route "", and of event kinds the first `MAX_KINDS` are told apart.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from rawbot.aio.watching.observer import Observer
from rawbot.errors import ProtocolError
from rawbot.event import Event
from rawbot.exchange import Request, Response

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""The methods of RFC 9110, section 9.1, and RFC 5789."""

OTHER = "other"
"""What everything unknown is counted as."""

MAX_KINDS = 32
"""Event kinds that are told apart: a platform has about ten, but their names come from the peer."""

REQUEST_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
"""Seconds to the first byte of an answer: from the tenth of a millisecond that a callback takes, past the half second
for which a poll is held, to the five seconds after which platforms give up."""

HANDLER_BUCKETS = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds of a handler: from one that knows the answer to the five minutes for which a bubble may grow."""


class Histogram:
    """How often a value lay between which bounds, and the sum of all values."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """Return how many values were at most each bound, and last how many there were."""
        return list(accumulate(self._counts))


class Tallies(Observer):
    """The counts of one app since it was made."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        """Answers by route, method and status."""
        self.request_seconds: dict[str, Histogram] = {}
        """Time to the first byte of the answer, by route."""
        self.refusals: dict[int, int] = {}
        """Requests that broke HTTP or a limit, by status."""
        self.connections = 0
        """Connections that were opened."""
        self.handler_seconds: dict[str, Histogram] = {}
        """Time of a handler, by kind of event."""
        self.failures: dict[str, int] = {}
        """Handlers that raised, by kind of event."""
        self.cancellations: dict[str, int] = {}
        """Handlers that were stopped, by kind of event."""

    def opened(self) -> None:
        """Count a connection."""
        self.connections += 1

    def answered(self, request: Request, route: str, response: Response, took: float, now: float) -> None:  # noqa: ARG002 - an Observer's shape
        """Count an answer."""
        method = request.method
        key = (route, method if method in METHODS else OTHER, response.status)
        self.requests[key] = self.requests.get(key, 0) + 1
        histogram = self.request_seconds.get(route)
        if histogram is None:
            histogram = self.request_seconds[route] = Histogram(REQUEST_BUCKETS)
        histogram.observe(took)

    def refused(self, error: ProtocolError, peer: str, now: float) -> None:  # noqa: ARG002 - an Observer's shape
        """Count a refusal."""
        self.refusals[error.status] = self.refusals.get(error.status, 0) + 1

    def handled(self, event: Event, took: float, error: BaseException | None) -> None:
        """Count a handler's end."""
        kind = event.kind
        histogram = self.handler_seconds.get(kind)
        if histogram is None:
            kind = kind if len(self.handler_seconds) < MAX_KINDS else OTHER
            histogram = self.handler_seconds.setdefault(kind, Histogram(HANDLER_BUCKETS))
        histogram.observe(took)
        if error is not None:  # a cancellation is no Exception
            counts = self.failures if isinstance(error, Exception) else self.cancellations
            counts[kind] = counts.get(kind, 0) + 1
