"""An app's numbers in the two forms that Prometheus reads, by prometheus_client.

Engine room; imported only where the extra `metrics` is there. Each `Exposition` has a registry of its own, so several
apps in a process do not meet, and the library's global one is not touched.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rawbot.aio.watching.families import count_families, figure_families, gauge_families
from rawbot.aio.watching.tallies import Tallies
from rawbot.aio.watching.version import read_version
from rawbot.aio.watching.watched import Watched

_OPEN_METRICS = "application/openmetrics-text"

Look = Callable[[], Watched | None]
"""Returns the app at work, or None before and after."""


class Exposition(Collector):
    """What was counted, and what is seen of the app at work at the moment of asking."""

    def __init__(self, tallies: Tallies, look: Look) -> None:
        self.registry = CollectorRegistry()
        self._tallies = tallies
        self._look = look
        self._build = InfoMetricFamily("rawbot_build", "The version that runs.", {"version": read_version()})
        # With an Accept of ours, never the peer's: the library puts its version into the answer, or stumbles over it.
        self._text = choose_encoder("text/plain")
        self._open_metrics = choose_encoder(f"{_OPEN_METRICS}; version=1.0.0")
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def encode(self, accept: str) -> tuple[bytes, bytes]:
        """Return all numbers, and the media type that they are in: OpenMetrics when `accept` asks for it, else text."""
        encode, content_type = self._open_metrics if _OPEN_METRICS in accept.lower() else self._text
        return encode(self.registry), content_type.encode("ascii")

    def collect(self) -> list[Metric]:
        """Return the numbers as the library's families."""
        ours = [self._build, *count_families(self._tallies)]
        watched = self._look()
        if watched is None:
            return ours
        ours += gauge_families(watched)
        return [*ours, *figure_families(watched.figures(), {family.name for family in ours})]
