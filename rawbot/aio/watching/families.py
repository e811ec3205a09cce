"""Numbers as Prometheus names them: the tallies, what is seen of the app at work, and the endpoints' own figures.

Engine room, pure; imported only where the extra `metrics` is there, since the families are prometheus_client's.

Names and units follow prometheus.io/docs/practices/naming: seconds, and `_total` for what only grows, which the library
adds itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from rawbot.aio.watching.tallies import Histogram, Tallies
from rawbot.aio.watching.watched import Watched
from rawbot.exchange import Figure

MAX_SERIES = 100
"""Figures with one name that are shown of one route; more would be labels that a peer can choose."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(?<!_total)(?<!_created)(?<!_bucket)(?<!_count)(?<!_sum)(?<!_info)")
_LABEL = re.compile(r"(?!__|le$|route$)[a-zA-Z_][a-zA-Z0-9_]*")


def count_families(tallies: Tallies) -> Iterator[Metric]:
    """Return what was counted."""
    yield from _requests(tallies)
    yield from _handlers(tallies)


def _requests(tallies: Tallies) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "rawbot_requests", "Requests answered, by the route that they were for.", labels=("route", "method", "status")
    )
    for (route, method, status), count in tallies.requests.items():
        requests.add_metric((_clean(route), method, str(status)), count)
    yield requests
    yield _histograms(
        "rawbot_request_seconds",
        "Time from the first byte of a request to the first byte of its answer.",
        "route",
        tallies.request_seconds,
    )
    refused = CounterMetricFamily(
        "rawbot_refused",
        "Requests that broke HTTP or a limit, by the status that they were answered with.",
        labels=("status",),
    )
    for status, count in tallies.refusals.items():
        refused.add_metric((str(status),), count)
    yield refused
    yield CounterMetricFamily("rawbot_connections_opened", "Connections since the start.", tallies.connections)


def _handlers(tallies: Tallies) -> Iterator[Metric]:
    yield _histograms("rawbot_handler_seconds", "Time that handlers took.", "kind", tallies.handler_seconds)
    yield _by_kind("rawbot_handler_failures", "Handlers that raised.", tallies.failures)
    yield _by_kind("rawbot_handler_cancellations", "Handlers that were stopped.", tallies.cancellations)


def _histograms(name: str, text: str, label: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=(label,), unit="seconds")
    for value, histogram in histograms.items():
        bounds = [*map(str, histogram.bounds), "+Inf"]
        family.add_metric((_clean(value),), list(zip(bounds, histogram.cumulative(), strict=True)), histogram.total)
    return family


def _by_kind(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=("kind",))
    for kind, count in counts.items():
        family.add_metric((_clean(kind),), count)
    return family


def gauge_families(watched: Watched) -> Iterator[Metric]:
    """Return what is seen of an app at this moment."""
    ready = watched.started and not watched.draining
    for name, text, value in (
        ("ready", "1 while requests are taken, 0 while starting or draining.", ready),
        ("connections", "Open connections.", len(watched.connections)),
        ("pending_replies", "Answers that wait for the bot.", watched.pending),
        ("running_handlers", "Handlers that run.", watched.handlers),
        ("waiting_messages", "Messages that wait for an earlier one of their conversation.", watched.waiting),
        ("outgoing_sending", "Outgoing requests under way.", watched.sending),
        ("outgoing_queued", "Outgoing requests that wait.", watched.queued),
        ("loop_lag_seconds", "How late the event loop came the last time.", watched.lag),
        ("loop_lag_max_seconds", "How late the event loop came at worst in the last minute or two.", watched.max_lag),
    ):
        unit = "seconds" if name.endswith("_seconds") else ""
        yield GaugeMetricFamily(f"rawbot_{name}", text, float(value), unit=unit)


def figure_families(figures: Iterable[tuple[str, Figure]], taken: AbstractSet[str]) -> Iterator[Metric]:
    """Return the endpoints' numbers with their routes.

    One for which Prometheus would refuse them all is left out: a name or a label that is none, or is taken.
    """
    families: dict[str, _FigureFamily] = {}
    for route, figure in figures:
        labels = tuple(name for name, _ in figure.labels)
        if f"rawbot_{figure.name}" in taken or not _NAME.fullmatch(figure.name):
            continue
        if len(set(labels)) < len(labels) or not all(map(_LABEL.fullmatch, labels)):
            continue
        family = families.get(figure.name)
        if family is None:
            family = families[figure.name] = _FigureFamily(figure, labels)
        family.add(route, figure, labels)
    for family in families.values():
        yield family.metric()


class _FigureFamily:
    """The figures of one name. The first one says which kind and labels they have; each series is there once."""

    def __init__(self, first: Figure, labels: tuple[str, ...]) -> None:
        self._first = first
        self._labels = labels
        self._routes: dict[str, dict[tuple[str, ...], float]] = {}

    def add(self, route: str, figure: Figure, labels: tuple[str, ...]) -> None:
        """Take in a figure if it goes with the first one."""
        if figure.kind != self._first.kind or labels != self._labels:
            return
        series = self._routes.setdefault(route, {})
        if len(series) < MAX_SERIES:
            series[tuple(_clean(value) for _, value in figure.labels)] = figure.value

    def metric(self) -> Metric:
        """Return them in the library's form."""
        name, text, labels = f"rawbot_{self._first.name}", self._first.help, ("route", *self._labels)
        kind = CounterMetricFamily if self._first.kind == "counter" else GaugeMetricFamily
        family = kind(name, text, labels=labels)
        for route, series in self._routes.items():
            for values, value in series.items():
                family.add_metric((_clean(route), *values), float(value))
        return family


def _clean(text: str) -> str:
    """Return a text that can be encoded: half a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
