"""The admin app: health and metrics of an app, for an address that only the operator reaches.

Engine room. It is an ordinary app beside the one that it tells of, so that it still answers while that one drains, and
takes none of its connections.
"""

from rawbot.aio.app import App
from rawbot.aio.watching.health import Liveness, Readiness
from rawbot.aio.watching.metrics import Metrics, MetricsEndpoint
from rawbot.aio.watching.watched import Watchable

LIVENESS_PATH = "/healthz"
READINESS_PATH = "/readyz"
METRICS_PATH = "/metrics"


def make_admin(app: Watchable, *, metrics: Metrics | None = None) -> App:
    """Return an app that answers on `/healthz` and `/readyz` for this one, and with `metrics` on `/metrics`."""
    admin = App()
    admin.add(LIVENESS_PATH, Liveness())
    admin.add(READINESS_PATH, Readiness(app))
    if metrics is not None:
        admin.add(METRICS_PATH, MetricsEndpoint(app, metrics=metrics))
    return admin
