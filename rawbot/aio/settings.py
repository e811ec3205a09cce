"""How long things may take and how many there may be at once: each bound with its name and its reason.

Engine room, pure. What bounds a single request's bytes is `rawbot.http.limits.Limits`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from rawbot.aio.watching.observer import Observer
from rawbot.errors import ConfigError
from rawbot.http.limits import Limits
from rawbot.websocket.settings import WebSocketSettings


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each is an absolute deadline of its phase: bytes that trickle in do not stretch it."""

    keep_alive: float = 75.0
    """An idle connection is closed; longer than the 60 s of common proxies, so that they close first."""
    header: float = 10.0
    """From the first byte of a request (or the connection's start) to the end of its head, else 408."""
    body: float = 30.0
    """From the end of the head to the end of the body, else 408: 1 MiB at 35 KB/s."""
    write: float = 30.0
    """A peer that does not read is cut off."""
    linger: float = 2.0
    """After a last answer: for the peer to take it and close, while what it still sends is thrown away."""
    graceful: float = 8.0
    """At shutdown: for the handlers that still run, after which they are cancelled."""
    settle: float = 2.5
    """At shutdown, afterwards: for the platforms to fetch the last frame of each bubble; two polls of theirs."""

    hooks: float = 10.0
    """At shutdown, at last: for all shutdown hooks together."""

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if not math.isfinite(seconds) or seconds < 0:
                raise ConfigError(f"timeouts.{field.name} must be a finite number of seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much is taken on at once."""

    max_connections: int = 10_000
    """Connections, else 503 with Retry-After. Each holds a descriptor and some KiB; under TLS 275 KiB, on uvloop 46."""
    max_connections_per_address: int | None = None
    """Connections from one address, else 503. None, since behind a proxy all come from one."""
    max_requests_per_connection: int | None = None
    """Answers after which a connection is closed, in order, by `Connection: close`. None for any number."""
    max_pending: int = 10_000
    """Answers that wait for the bot; one more is given at once, as it is then."""
    read_ahead: int = 64 * 1024
    """Bytes of pipelined requests that wait in memory while an answer is owed: as many as asyncio buffers of writes."""
    max_body_bytes: int = 256 * 1024 * 1024
    """Bytes of bodies on their way, all together, of each what is beyond `read_ahead`; else 503."""
    retry_after: int = 5
    """Seconds that a client which was turned away is asked to wait."""

    def __post_init__(self) -> None:
        for name in (
            "max_connections",
            "max_connections_per_address",
            "max_requests_per_connection",
            "read_ahead",
            "max_body_bytes",
        ):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ConfigError(f"capacity.{name} must be 1 or more")
        if self.max_pending < 0 or self.retry_after < 0:
            raise ConfigError("capacity.max_pending and .retry_after must be 0 or more")


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an app was given besides bots and endpoints.

    `hosts` are the names that it answers to, None for any; without `fast_path` every request goes through h11.
    """

    limits: Limits
    timeouts: Timeouts
    capacity: Capacity
    websocket: WebSocketSettings
    observers: tuple[Observer, ...] = ()
    hosts: frozenset[bytes] | None = None
    fast_path: bool = True


def make_settings(
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    capacity: Capacity | None = None,
    *,
    websocket: WebSocketSettings | None = None,
    observers: Iterable[Observer] = (),
    hosts: Sequence[str] | None = None,
    fast_path: bool = True,
) -> Settings:
    """Fill in what was left out. Raises `ConfigError` for host names that no request can carry."""
    names = None
    if hosts is not None:
        if isinstance(hosts, str) or any(not host.isascii() or not host or "/" in host for host in hosts):
            raise ConfigError("hosts is a sequence of ASCII host names, without scheme and path")
        names = frozenset(host.lower().encode("ascii") for host in hosts)
    return Settings(
        limits or Limits(),
        timeouts or Timeouts(),
        capacity or Capacity(),
        websocket or WebSocketSettings(),
        tuple(observers),
        names,
        fast_path,
    )
