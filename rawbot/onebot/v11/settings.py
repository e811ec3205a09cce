"""The four kinds of connection of OneBot 11, as the operator describes them.

Layer 3, pure. Source: OneBot 11, communication/{http,http-post,ws,ws-reverse,authorization} for the settings, their
units and defaults. Each kind may be given any number of times, beside those of OneBot 12. Not the standard's default is
the address that is listened on: 127.0.0.1 in place of all.

Each connection is for one bot: `bot` is its id in OneBot 12, with its platform where that is not the implementation's;
None stands for the only one. Applications know it by a number: its id where that is one, else one that is made of the
id, unless `self_id` says another. `message_format` says how events tell messages, as strings with CQ codes or as arrays
of segments; requests may have either.
"""

from dataclasses import dataclass, field
from typing import Literal

from rawbot.errors import ConfigError
from rawbot.onebot.messages import Account
from rawbot.onebot.settings import (
    HOST,
    MAX_MESSAGE,
    MAX_QUEUE_BYTES,
    check_port,
    check_token,
    check_url,
    demand_positive,
)
from rawbot.onebot.v11.face import MessageFormat
from rawbot.onebot.v11.signing import Signer

HTTP_PORT = 5700
WEBSOCKET_PORT = 6700

Role = Literal["Universal", "API", "Event"]
"""What a WebSocket is for: requests, events, or both."""

ROLES: tuple[Role, ...] = ("Universal", "API", "Event")

_WEBSOCKETS = ("ws", "wss")


@dataclass(frozen=True, slots=True, kw_only=True)
class V11HTTP:
    """Actions by `GET` or `POST` of their names.

    Without an `access_token`, or with an empty one, everybody is let in.
    """

    host: str = HOST
    port: int = HTTP_PORT
    access_token: str | None = field(default=None, repr=False)
    bot: str | Account | None = None
    self_id: int | None = None
    message_format: MessageFormat = "array"
    max_size: int = MAX_MESSAGE
    """Bytes of a request's body, else 413."""

    def __post_init__(self) -> None:
        check_port(self.port)
        check_token(self.access_token)
        demand_positive("max_size", self.max_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class V11WebSocket:
    """Events and actions over WebSockets that applications open: on `/event` the ones, on `/api` the others.

    On `/` it is both.
    """

    host: str = HOST
    port: int = WEBSOCKET_PORT
    access_token: str | None = field(default=None, repr=False)
    bot: str | Account | None = None
    self_id: int | None = None
    message_format: MessageFormat = "array"
    max_size: int = MAX_MESSAGE
    """Bytes of a message, else the connection ends with 1009."""
    max_queue_bytes: int = MAX_QUEUE_BYTES

    def __post_init__(self) -> None:
        check_port(self.port)
        check_token(self.access_token)
        demand_positive("max_size", self.max_size)
        demand_positive("max_queue_bytes", self.max_queue_bytes)


@dataclass(frozen=True, slots=True)
class V11HTTPPost:
    """Events posted to an application, one after the other, signed with the `secret` if there is one.

    Its answers may ask for quick operations. `timeout` is in seconds, 0 for no other bound than any exchange has; the
    next event waits for the answer to the one before. What becomes of an event whose push failed is as in
    `HTTPWebhook`.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False, kw_only=True)
    timeout: float = field(default=0, kw_only=True)
    bot: str | Account | None = field(default=None, kw_only=True)
    self_id: int | None = field(default=None, kw_only=True)
    message_format: MessageFormat = field(default="array", kw_only=True)
    max_queue_bytes: int = field(default=MAX_QUEUE_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        check_url(self.url, ("http", "https"))
        if self.secret is not None:
            Signer(self.secret)
        if not 0 <= self.timeout < float("inf"):
            raise ConfigError("timeout must be 0 or more seconds")
        demand_positive("max_queue_bytes", self.max_queue_bytes)


@dataclass(frozen=True, slots=True)
class V11WebSocketReverse:
    """Events and actions over WebSockets that are opened to an application, again after `reconnect_interval` ms.

    With `url` it is one, in this `role`; with `api_url` or `event_url` in its place it is one for each of them.
    """

    url: str = field(default="", repr=False)
    role: Role = field(default="Universal", kw_only=True)
    api_url: str = field(default="", repr=False, kw_only=True)
    event_url: str = field(default="", repr=False, kw_only=True)
    access_token: str | None = field(default=None, repr=False, kw_only=True)
    reconnect_interval: int = field(default=3000, kw_only=True)
    bot: str | Account | None = field(default=None, kw_only=True)
    self_id: int | None = field(default=None, kw_only=True)
    message_format: MessageFormat = field(default="array", kw_only=True)
    max_size: int = field(default=MAX_MESSAGE, kw_only=True)
    max_queue_bytes: int = field(default=MAX_QUEUE_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConfigError(f"role is one of {', '.join(ROLES)}")
        if bool(self.url) is bool(self.api_url or self.event_url):
            raise ConfigError("give url, or api_url and event_url in its place")
        for url, _ in self.links:
            check_url(url, _WEBSOCKETS)
        check_token(self.access_token)
        demand_positive("reconnect_interval", self.reconnect_interval)
        demand_positive("max_size", self.max_size)
        demand_positive("max_queue_bytes", self.max_queue_bytes)

    @property
    def links(self) -> list[tuple[str, Role]]:
        """What is opened: where it leads, and what it is for."""
        links: list[tuple[str, Role]] = [(self.url, self.role), (self.api_url, "API"), (self.event_url, "Event")]
        return [link for link in links if link[0]]


V11Connection = V11HTTP | V11WebSocket | V11HTTPPost | V11WebSocketReverse
V11Listening = V11HTTP | V11WebSocket
V11Outgoing = V11HTTPPost | V11WebSocketReverse
