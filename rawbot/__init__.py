"""rawbot: a low-level asyncio server for chat bots, without frameworks.

The facade: what a program imports. Nobody inside of the package imports it.
"""

from rawbot.aio.app import App
from rawbot.aio.asgi.app import ASGIApp
from rawbot.aio.collecting import paced_collections
from rawbot.aio.files.endpoint import Files
from rawbot.aio.listening.listen import Listen
from rawbot.aio.listening.tls import TLS, start_tls
from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.aio.running import run
from rawbot.aio.server import Server, serve
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.access_log import AccessLog
from rawbot.aio.watching.admin import make_admin
from rawbot.aio.watching.health import Liveness, Readiness
from rawbot.aio.watching.metrics import Metrics, MetricsEndpoint
from rawbot.aio.watching.observer import Observer
from rawbot.bot import Bot
from rawbot.errors import (
    ConfigError,
    FetchError,
    LimitError,
    MissingExtraError,
    ProtocolError,
    RawbotError,
    StateError,
)
from rawbot.event import Attachment, Event, Reply
from rawbot.exchange import (
    Answer,
    Channel,
    Endpoint,
    Exchange,
    Figure,
    FileRegion,
    Pending,
    Request,
    Response,
    Upgrade,
    refuse,
)
from rawbot.http.limits import Limits
from rawbot.media import Media
from rawbot.websocket.settings import WebSocketSettings
from rawbot.wecom.endpoint import WeComEndpoint
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.messages import strip_mention
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

__version__ = "0.3.0"

__all__ = [
    "TLS",
    "ASGIApp",
    "AccessLog",
    "Answer",
    "App",
    "Attachment",
    "Bot",
    "Capacity",
    "Channel",
    "ConfigError",
    "Endpoint",
    "Event",
    "EventReply",
    "Exchange",
    "FetchError",
    "Figure",
    "FileRegion",
    "Files",
    "LimitError",
    "Limits",
    "Listen",
    "Liveness",
    "Media",
    "Metrics",
    "MetricsEndpoint",
    "MissingExtraError",
    "Observer",
    "OutgoingPolicy",
    "Pending",
    "ProtocolError",
    "RawbotError",
    "Readiness",
    "Reply",
    "Request",
    "Response",
    "Server",
    "StateError",
    "Stream",
    "Timeouts",
    "Upgrade",
    "WeComEndpoint",
    "WeComTexts",
    "WebSocketSettings",
    "make_admin",
    "paced_collections",
    "refuse",
    "run",
    "serve",
    "start_tls",
    "strip_mention",
]
