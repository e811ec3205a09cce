"""rawbot: a low-level asyncio server for chat bots, without frameworks.

The facade: what a program imports. Nobody inside of the package imports it. What not every program needs is loaded when
it is first asked for: OneBot takes 2.9 MiB (CPython 3.11).
"""

import importlib
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from rawbot.onebot.events import OneBotEvent
    from rawbot.onebot.messages import Account, Message, Segment
    from rawbot.onebot.retcodes import ActionError
    from rawbot.onebot.settings import HTTP, HTTPWebhook, WebSocket, WebSocketReverse
    from rawbot.onebot.v11.settings import V11HTTP, V11HTTPPost, V11WebSocket, V11WebSocketReverse
    from rawbot.onebot_gateway import OneBotGateway
    from rawbot.onebot_server import OneBot

__version__ = "0.4.0"

_LATER = {
    "rawbot.onebot.events": ("OneBotEvent",),
    "rawbot.onebot.messages": ("Account", "Message", "Segment"),
    "rawbot.onebot.retcodes": ("ActionError",),
    "rawbot.onebot.settings": ("HTTP", "HTTPWebhook", "WebSocket", "WebSocketReverse"),
    "rawbot.onebot.v11.settings": ("V11HTTP", "V11HTTPPost", "V11WebSocket", "V11WebSocketReverse"),
    "rawbot.onebot_gateway": ("OneBotGateway",),
    "rawbot.onebot_server": ("OneBot",),
}
"""What is loaded when it is first asked for, by module: the same as above."""

__all__ = [
    "HTTP",
    "TLS",
    "V11HTTP",
    "ASGIApp",
    "AccessLog",
    "Account",
    "ActionError",
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
    "HTTPWebhook",
    "LimitError",
    "Limits",
    "Listen",
    "Liveness",
    "Media",
    "Message",
    "Metrics",
    "MetricsEndpoint",
    "MissingExtraError",
    "Observer",
    "OneBot",
    "OneBotEvent",
    "OneBotGateway",
    "OutgoingPolicy",
    "Pending",
    "ProtocolError",
    "RawbotError",
    "Readiness",
    "Reply",
    "Request",
    "Response",
    "Segment",
    "Server",
    "StateError",
    "Stream",
    "Timeouts",
    "Upgrade",
    "V11HTTPPost",
    "V11WebSocket",
    "V11WebSocketReverse",
    "WeComEndpoint",
    "WeComTexts",
    "WebSocket",
    "WebSocketReverse",
    "WebSocketSettings",
    "make_admin",
    "paced_collections",
    "refuse",
    "run",
    "serve",
    "start_tls",
    "strip_mention",
]


def __getattr__(name: str) -> object:
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
