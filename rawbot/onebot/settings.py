"""The four kinds of connection, as the operator describes them, and the names that the standard allows.

Layer 3, pure. Source: OneBot 12, connect/communication/{http,http-webhook,websocket,websocket-reverse} for the settings
and their units, glossary for the names. Each kind may be given any number of times.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rawbot.errors import ConfigError

HOST = "127.0.0.1"
PORT = 8080

NAME = re.compile(r"[a-z][\-a-z0-9]*(\.[\-a-z0-9]+)*")
"""What an implementation or a platform may be called (OneBot 12, glossary)."""

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of a request, by HTTP or as a WebSocket's message: a file of 20 MB in base64 with room to spare. Larger files
go in fragments."""

MAX_QUEUE_BYTES = 4 * 1024 * 1024
"""Bytes of events that wait for one application that is slower than they come; then the oldest are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTP:
    """Actions by `POST`, events by `get_latest_events` when `event_enabled`.

    `event_buffer_size` counts events; of more the oldest are dropped; 0 is for any number. Without an `access_token`,
    or with an empty one, everybody is let in.
    """

    host: str = HOST
    port: int = PORT
    access_token: str | None = field(default=None, repr=False)
    event_enabled: bool = True
    event_buffer_size: int = 256
    max_size: int = MAX_MESSAGE
    """Bytes of a request's body, else 413."""

    def __post_init__(self) -> None:
        check_port(self.port)
        check_token(self.access_token)
        demand_count("event_buffer_size", self.event_buffer_size)
        demand_positive("max_size", self.max_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    """Events and actions over WebSockets that applications open."""

    host: str = HOST
    port: int = PORT
    access_token: str | None = field(default=None, repr=False)
    max_size: int = MAX_MESSAGE
    """Bytes of a message, else the connection ends with 1009."""
    max_queue_bytes: int = MAX_QUEUE_BYTES

    def __post_init__(self) -> None:
        check_port(self.port)
        check_token(self.access_token)
        demand_positive("max_size", self.max_size)
        demand_positive("max_queue_bytes", self.max_queue_bytes)


@dataclass(frozen=True, slots=True)
class HTTPWebhook:
    """Events posted to an application, one after the other.

    `timeout` is in milliseconds, 0 for no other bound than the two minutes that any exchange has. An event whose push
    failed is not sent again unless it surely never arrived, since nobody can tell whether the application has acted on
    it.
    """

    url: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False, kw_only=True)
    timeout: int = field(default=5000, kw_only=True)
    max_queue_bytes: int = field(default=MAX_QUEUE_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        check_url(self.url, ("http", "https"))
        check_token(self.access_token)
        demand_count("timeout", self.timeout)
        demand_positive("max_queue_bytes", self.max_queue_bytes)


@dataclass(frozen=True, slots=True)
class WebSocketReverse:
    """Events and actions over a WebSocket that is opened to an application, again after `reconnect_interval` ms."""

    url: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False, kw_only=True)
    reconnect_interval: int = field(default=5000, kw_only=True)
    max_size: int = field(default=MAX_MESSAGE, kw_only=True)
    max_queue_bytes: int = field(default=MAX_QUEUE_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        check_url(self.url, ("ws", "wss"))
        check_token(self.access_token)
        demand_positive("reconnect_interval", self.reconnect_interval)
        demand_positive("max_size", self.max_size)
        demand_positive("max_queue_bytes", self.max_queue_bytes)


Connection = HTTP | WebSocket | HTTPWebhook | WebSocketReverse


def check_name(what: str, name: str) -> str:
    """Return a name that the standard allows. Raises `ConfigError` for any other."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"{what} is made of a-z, 0-9, - and . and begins with a letter: {name!r} is not")
    return name


def check_port(port: int) -> None:
    """Raise `ConfigError` for what is no port."""
    if not _is_whole(port) or not 0 <= port <= 65535:  # noqa: PLR2004 - 16 bits
        raise ConfigError("port must be from 0 to 65535")


def check_token(token: str | None) -> None:
    """Raise `ConfigError` for a token that cannot be sent."""
    if token is None:
        return
    if not (isinstance(token, str) and token.isprintable() and token.isascii()):
        raise ConfigError("access_token must be printable ASCII: it stands in a header field")
    if token != token.strip():
        raise ConfigError("access_token must not begin or end with a blank: HTTP takes those from a header field")


def check_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raise `ConfigError` for what is no URL of one of these two schemes, and for one with credentials in it."""
    if not isinstance(url, str):
        raise ConfigError("url must be a str")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError("url is malformed") from None
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)) or not parts.hostname:
        raise ConfigError(f"url must be of the form {schemes[0]}://host:port/path or {schemes[1]}://…")
    if "@" in parts.netloc:
        raise ConfigError("url must hold no credentials: give access_token")


def demand_positive(name: str, value: int) -> None:
    """Raise `ConfigError` unless this is a whole number above 0."""
    if not _is_whole(value) or value < 1:
        raise ConfigError(f"{name} must be a whole number, 1 or more")


def demand_count(name: str, value: int) -> None:
    """Raise `ConfigError` unless this is a whole number, 0 or more."""
    if not _is_whole(value) or value < 0:
        raise ConfigError(f"{name} must be a whole number, 0 or more")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
