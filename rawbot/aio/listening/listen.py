"""Where to listen, as the user writes it, and what the connections of one socket have in common.

Engine room, pure: values and their rules. `rawbot.aio.listening.listeners` opens the sockets.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rawbot.aio.listening.tls import TLS
from rawbot.errors import ConfigError
from rawbot.http.peers.trust import TrustedPeers, read_trusted_peers

HOST = "127.0.0.1"
PORT = 8080

_ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104 - what None stands for
_MAX_PORT = 0xFFFF
_MAX_MODE = 0o777


class SocketLike(Protocol):
    """A socket, as far as it is looked at here."""

    def fileno(self) -> int:
        """Return its descriptor."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One place to listen at: `host` and `port`, or exactly one of `uds`, `fd`, `sock` and `systemd`.

    Raises `ConfigError` for settings that cannot work, as soon as it is made.
    """

    host: str | Sequence[str] | None = HOST
    """A name or address, or several; None for all interfaces, IPv4 and IPv6. "::" is IPv6 alone, here and everywhere:
    through it IPv4 peers would come as ::ffff:192.0.2.1, which neither lists nor logs know."""
    port: int = PORT
    """0 takes a free one: the same on every address of `host`."""
    uds: str | None = None
    """The path of a Unix socket; with "@" in front a name in Linux's abstract namespace. A socket that is left over
    there is replaced, one that somebody listens at is not, nor any other file. It is removed at the end."""
    uds_mode: int | None = None
    """Permissions of that path, as 0o660; whoever may write may connect. None leaves it to the umask."""
    fd: int | None = None
    """An inherited descriptor of a socket that is bound. It stays open: what we listen at is a duplicate."""
    sock: SocketLike | None = None
    """A bound socket. It stays its owner's and open, as with `fd`, and is non-blocking from then on."""
    systemd: bool = False
    """The sockets that systemd hands over (LISTEN_FDS)."""
    reuse_port: bool = False
    """Let other processes listen there too (SO_REUSEPORT). Connections that wait in one that ends are lost."""
    backlog: int = 2048
    """Connections that the kernel holds for us; asyncio's 100 overflows in a burst of polls."""
    tls: TLS | None = None
    max_handshakes: int = 1024
    """Connections whose TLS handshake or PROXY header is not through; those that come then wait in the kernel. One that
    is silent holds 3 KiB; one in a handshake 600 KiB on asyncio's own loop, and 80 KiB on uvloop."""
    proxy_protocol: bool = False
    """Every connection begins with a PROXY header, version 1 or 2. It is closed when its peer is not one of
    `forwarded_allow_ips`, or the header is missing: otherwise anybody could say who he is."""
    proxy_header_timeout: float = 5.0
    """Seconds for that header, from the connection's start; the proxy writes it at once."""
    forwarded_allow_ips: str | Sequence[str] = ()
    """Proxies whose X-Forwarded-For, X-Forwarded-Proto, Forwarded and PROXY headers are believed: addresses, networks,
    "unix" for the peers of a Unix socket, "*" for everybody. By default nobody."""

    def __post_init__(self) -> None:
        self._check_way()
        self._check_tcp()
        self._check_unix()
        if self.fd is not None and self.fd < 0:
            raise ConfigError(f"cannot listen on fd {self.fd}: no descriptor is below 0")
        if self.backlog < 1 or self.max_handshakes < 1:
            raise ConfigError("listen.backlog and listen.max_handshakes must be 1 or more")
        if not math.isfinite(self.proxy_header_timeout) or self.proxy_header_timeout <= 0:
            raise ConfigError("listen.proxy_header_timeout must be a finite number of seconds above 0")
        trusted = self.trusted  # which raises for what cannot be one
        if self.proxy_protocol and not trusted:
            raise ConfigError("listen.proxy_protocol needs listen.forwarded_allow_ips: the proxies that are believed")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses that `host` stands for; none unless `host` and `port` are what is listened on."""
        if self._other_ways():
            return ()
        if self.host is None:
            return _ALL_INTERFACES
        return (self.host,) if isinstance(self.host, str) else tuple(self.host)

    @property
    def trusted(self) -> TrustedPeers:
        """Who is believed about the client."""
        return read_trusted_peers(self.forwarded_allow_ips)

    @property
    def is_abstract(self) -> bool:
        """Whether `uds` is a name in the abstract namespace, which no file stands for."""
        return self.uds is not None and self.uds[:1] in ("@", "\0")

    def _other_ways(self) -> list[str]:
        return [name for name in ("uds", "fd", "sock") if getattr(self, name) is not None] + ["systemd"] * self.systemd

    def _check_way(self) -> None:
        ways = self._other_ways()
        if ways and (self.host, self.port) != (HOST, PORT):
            ways.append("host and port")
        if len(ways) > 1:
            raise ConfigError(f"one listen is one place, not {' and '.join(ways)}")

    def _check_tcp(self) -> None:
        if self.reuse_port and not self.hosts:
            raise ConfigError("listen.reuse_port goes with host and port")
        if not self.hosts and not self._other_ways():
            raise ConfigError("listen.host is empty; None stands for all interfaces")
        for host in self.hosts:
            if not host:
                raise ConfigError("listen.host has an empty name; None stands for all interfaces")
            if not 0 <= self.port <= _MAX_PORT:
                raise ConfigError(f"cannot listen on {write_address((host, self.port))}: ports are 0 to {_MAX_PORT}")

    def _check_unix(self) -> None:
        if self.uds is not None and ("\0" in self.uds[1:] or self.uds in ("", "@", "\0")):
            raise ConfigError("listen.uds is no path, nor @ and a name")
        if self.uds_mode is None:
            return
        if self.uds is None or self.is_abstract:
            raise ConfigError("listen.uds_mode goes with the path of a Unix socket")
        if not 0 <= self.uds_mode <= _MAX_MODE:
            raise ConfigError("listen.uds_mode is 0 to 0o777")


@dataclass(frozen=True, slots=True)
class Origin:
    """What all connections of one listening socket have in common."""

    scheme: str
    """`https` under TLS, else `http`."""
    name: str
    """The socket's own address, as `write_address` gives it."""
    unix: bool
    """Whether it is a Unix socket, whose peers have no address."""
    trusted: TrustedPeers
    """Who is believed about the client. When it is false, no field of a request has to be looked at."""


def write_address(address: object) -> str:
    """Write what `getsockname` gives: "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:@abstract"."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):
        return f"unix:@{address[1:].decode('utf-8', 'backslashreplace')}"
    return f"unix:{address}"


def make_origin(listen: Listen, address: object, *, unix: bool) -> Origin:
    """Return what connections to this address, in the form of `getsockname`, have in common."""
    return Origin(
        scheme="http" if listen.tls is None else "https",
        name=write_address(address),
        unix=unix,
        trusted=listen.trusted if unix else listen.trusted.without_unix(),
    )


def peer_of(address: object) -> str:
    """Return the address in what `getpeername` gives, empty for a Unix socket."""
    return str(address[0]) if isinstance(address, tuple) else ""


def find_clash(addresses: Iterable[tuple[str, int]]) -> tuple[str, int] | None:
    """Return an address that another one, or an address for all interfaces of its family, has taken already.

    Linux binds both, since neither listens yet, and refuses only the second `listen`: at a time when programs expect
    no more trouble with their configuration.
    """
    taken: set[tuple[str, int]] = set()
    for host, port in addresses:
        wildcard = _ALL_INTERFACES[":" in host]
        same = {h for h, p in taken if p == port and (":" in h) == (":" in host)}
        if same and (host == wildcard or wildcard in same or host in same):
            return host, port
        taken.add((host, port))
    return None
