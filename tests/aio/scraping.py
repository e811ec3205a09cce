"""What is shown to Prometheus, read back by the parsers of prometheus_client; and something to show."""

from fake_endpoint import make_event
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rawbot.aio.watching.exposition import Exposition
from rawbot.aio.watching.tallies import Tallies
from rawbot.errors import LimitError
from rawbot.exchange import Request, Response

OPEN_METRICS = "application/openmetrics-text"


def read(exposition: Exposition, accept: str = OPEN_METRICS) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Let the library read what is shown; return the values by name and labels, with nothing there twice."""
    body, content_type = exposition.encode(accept)
    parse = parse_open_metrics if content_type.startswith(b"application") else parse_text
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in series
            series[labels] = sample.value
    return found


def busy_tallies() -> Tallies:
    """Return counts of everything that is counted."""
    tallies = Tallies()
    tallies.opened()
    tallies.answered(Request("GET", "/a"), "/a", Response(200), 0.0002, 0.0)
    tallies.answered(Request("BREW", "/b"), "", Response(404), 0.0002, 0.0)
    tallies.refused(LimitError("x", status=431), "", 0.0)
    tallies.handled(make_event(), 0.2, ValueError())
    tallies.handled(make_event(), 0.2, KeyboardInterrupt())
    return tallies
