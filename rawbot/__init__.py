"""rawbot: a low-level asyncio server for chat bots, without frameworks.

The facade: what a program imports. Nobody inside of the package imports it.
"""

from rawbot.aio.app import App
from rawbot.aio.asgi import ASGIApp
from rawbot.aio.outgoing_policy import OutgoingPolicy
from rawbot.aio.server import Server, run, serve
from rawbot.aio.settings import Timeouts
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
from rawbot.exchange import Answer, Attachment, Endpoint, Event, Exchange, Pending, Reply, Request, Response, refuse
from rawbot.http.limits import Limits
from rawbot.media import Media
from rawbot.wecom.endpoint import WeComEndpoint
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.messages import strip_mention
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

__version__ = "0.1.0"

__all__ = [
    "ASGIApp",
    "Answer",
    "App",
    "Attachment",
    "Bot",
    "ConfigError",
    "Endpoint",
    "Event",
    "EventReply",
    "Exchange",
    "FetchError",
    "LimitError",
    "Limits",
    "Media",
    "MissingExtraError",
    "OutgoingPolicy",
    "Pending",
    "ProtocolError",
    "RawbotError",
    "Reply",
    "Request",
    "Response",
    "Server",
    "StateError",
    "Stream",
    "Timeouts",
    "WeComEndpoint",
    "WeComTexts",
    "refuse",
    "run",
    "serve",
    "strip_mention",
]
