"""What an endpoint shows to metrics: how its streams do, and why callbacks were refused.

Layer 3, pure.
"""

from collections.abc import Iterator, Mapping

from rawbot.exchange import Figure
from rawbot.wecom.stream_table import StreamTable


def gather_figures(streams: StreamTable, failures: Mapping[int, int]) -> Iterator[Figure]:
    """Return the numbers of one endpoint. `failures` counts by the vendor's -400xx code, 0 what has none."""
    yield Figure("wecom_streams_open", "gauge", streams.open_streams, "Bubbles that the bot still writes.")
    yield Figure("wecom_streams_held", "gauge", len(streams), "Streams held, open and over.")
    yield Figure("wecom_streams_unfetched", "gauge", streams.unsettled, "Bubbles whose last frame was not fetched.")
    yield Figure("wecom_stream_bytes", "gauge", streams.bytes_held, "Text and pictures held for them.")
    yield Figure("wecom_streams_finished", "counter", streams.finished, "Bubbles that ended with their handler.")
    yield Figure("wecom_streams_expired", "counter", streams.expired, "Bubbles that the watchdog ended.")
    for code, count in sorted(failures.items()):
        labels = (("code", str(code)),)
        yield Figure("wecom_failures", "counter", count, "Callbacks refused, by the vendor's code.", labels)
