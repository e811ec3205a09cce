"""The options of `rawbot serve`, and what they say: where to listen, within which bounds, watched by whom.

Layer 4, a part of the command line. Options are spelled as uvicorn spells them where it has the same thing.
"""

import argparse
import os
from dataclasses import replace
from typing import Any, NamedTuple, get_args

from rawbot.aio.app import App
from rawbot.aio.listening.listen import HOST, PORT, Listen
from rawbot.aio.listening.tls import TLS
from rawbot.aio.running import Loop
from rawbot.aio.settings import Capacity, Timeouts
from rawbot.aio.watching.access_log import AccessLog
from rawbot.aio.watching.metrics import Metrics
from rawbot.aio.watching.observer import Observer
from rawbot.errors import ConfigError
from rawbot.http.access_log import FORMS
from rawbot.http.limits import Limits
from rawbot.websocket.settings import WebSocketSettings

KEY_PASSWORD = "RAWBOT_SSL_KEYFILE_PASSWORD"  # noqa: S105 - the name of a variable
"""Where the key's password is read from: a command line is seen by every user of the machine."""


class Bound(NamedTuple):
    """A bound that an option may set."""

    flag: str
    section: str
    """Which of the app's settings it belongs to."""
    field: str
    help: str


BOUNDS = (
    Bound("--timeout-keep-alive", "timeouts", "keep_alive", "seconds until an idle connection is closed"),
    Bound("--timeout-header", "timeouts", "header", "seconds for a request's head, then 408"),
    Bound("--timeout-body", "timeouts", "body", "seconds for a request's body, then 408"),
    Bound("--timeout-write", "timeouts", "write", "seconds until a client that does not read is cut off"),
    Bound("--timeout-linger", "timeouts", "linger", "seconds for a client to take a last answer and close"),
    Bound("--timeout-graceful-shutdown", "timeouts", "graceful", "seconds for handlers at the end"),
    Bound("--timeout-settle", "timeouts", "settle", "seconds for platforms to fetch the end of each answer"),
    Bound("--timeout-shutdown-hooks", "timeouts", "hooks", "seconds for all shutdown hooks together"),
    Bound("--limit-concurrency", "capacity", "max_connections", "connections, then 503"),
    Bound("--limit-address", "capacity", "max_connections_per_address", "connections of one address, then 503"),
    Bound("--limit-requests", "capacity", "max_requests_per_connection", "answers until a connection is closed"),
    Bound("--limit-pending", "capacity", "max_pending", "answers held back for the bot; more are given at once"),
    Bound("--limit-read-ahead", "capacity", "read_ahead", "bytes of pipelined requests that wait in memory"),
    Bound("--limit-bodies", "capacity", "max_body_bytes", "bytes of all bodies on their way, then 503"),
    Bound("--limit-target", "limits", "max_target_size", "bytes of a request target, then 414"),
    Bound("--limit-header", "limits", "max_header_size", "bytes of a head, then 431"),
    Bound("--limit-header-count", "limits", "max_header_count", "fields of a head, then 431"),
    Bound("--limit-body", "limits", "max_body_size", "bytes of a body, then 413"),
    Bound("--ws-max-size", "websocket", "max_size", "bytes of a WebSocket message, then 1009"),
    Bound("--ws-max-queue", "websocket", "max_queue", "messages that wait for a peer, then 1013"),
    Bound("--ws-ping-interval", "websocket", "ping_interval", "seconds of silence before a ping"),
    Bound("--ws-ping-timeout", "websocket", "ping_timeout", "seconds for its answer, then 1011"),
)  # fmt: skip

_SECTIONS: dict[str, type[Any]] = {
    "timeouts": Timeouts,
    "capacity": Capacity,
    "limits": Limits,
    "websocket": WebSocketSettings,
}
"""The app's settings that have bounds among them."""


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser all options of `serve`."""
    _add_places(parser.add_argument_group("where to listen"))
    _add_tls(parser.add_argument_group("TLS"))
    _add_proxies(parser.add_argument_group("behind a proxy"))
    bounds = parser.add_argument_group("bounds (the app's own unless given)")
    for flag, section, name, text in BOUNDS:
        default = getattr(_SECTIONS[section](), name)
        shown = "any number" if default is None else f"{default:g}" if isinstance(default, float) else f"{default:,}"
        kind = float if isinstance(default, float) else int
        bounds.add_argument(flag, type=kind, dest=_name(flag), metavar="N", help=f"{text} (default {shown})")
    bounds.add_argument(
        "--ws-per-message-deflate", action="store_true", help="compress WebSocket messages where the peer offers it"
    )
    bounds.add_argument("--no-fast-path", action="store_true", help="have h11 read the common requests, too")
    _add_views(parser.add_argument_group("seen from outside"))
    _add_processes(parser.add_argument_group("processes"))


def _name(flag: str) -> str:
    return flag[2:].replace("-", "_")


def _add_places(group: Any) -> None:  # noqa: ANN401 - argparse does not name its groups' type
    group.add_argument("--host", action="append", help=f"address or name; may be given several times (default {HOST})")
    group.add_argument("--port", type=int, help=f"0 for a free one (default {PORT})")
    group.add_argument("--uds", metavar="PATH", help="a Unix socket instead; @name for an abstract one")
    group.add_argument("--uds-mode", type=_mode, metavar="MODE", help="its permissions, as 660")
    group.add_argument(
        "--fd", type=int, action="append", help="an inherited socket instead; may be given several times"
    )
    group.add_argument("--systemd", action="store_true", help="the sockets of a systemd socket unit instead")
    group.add_argument("--reuse-port", action="store_true", help="let other processes listen there too")
    group.add_argument("--backlog", type=int, help=f"connections held by the kernel (default {Listen().backlog})")


def _add_tls(group: Any) -> None:  # noqa: ANN401
    group.add_argument("--ssl-certfile", metavar="FILE", help="certificate chain, PEM; SIGHUP reads it again")
    group.add_argument("--ssl-keyfile", metavar="FILE", help=f"its key; a password is read from ${KEY_PASSWORD}")
    group.add_argument("--ssl-ca-certs", metavar="FILE", help="authorities of client certificates")
    group.add_argument("--ssl-cert-reqs", choices=("none", "optional", "required"), help="whether clients need one")
    group.add_argument("--ssl-ciphers", metavar="LIST", help="for TLS 1.2, in OpenSSL's spelling")
    group.add_argument(
        "--ssl-handshake-timeout",
        type=float,
        metavar="N",
        help=f"seconds for a handshake (default {TLS('-').ssl_handshake_timeout:g})",
    )


def _add_proxies(group: Any) -> None:  # noqa: ANN401
    group.add_argument(
        "--forwarded-allow-ips", metavar="LIST", help="proxies that are believed: addresses, networks, unix, * (nobody)"
    )
    group.add_argument("--proxy-protocol", action="store_true", help="connections begin with a PROXY header, v1 or v2")


def _add_views(group: Any) -> None:  # noqa: ANN401
    group.add_argument("--access-log", nargs="?", const="-", metavar="FILE", help="a line per request; - is stdout")
    group.add_argument("--access-log-format", choices=sorted(FORMS), default="combined", help="default combined")
    group.add_argument("--admin", metavar="ADDRESS", help="[HOST:]PORT or PATH for /healthz, /readyz and /metrics")
    group.add_argument("--metrics", action="store_true", help="have /metrics there (extra metrics)")
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")


def _add_processes(group: Any) -> None:  # noqa: ANN401
    group.add_argument("--loop", choices=get_args(Loop), default="asyncio", help="event loop (default asyncio)")
    group.add_argument("--no-paced-gc", action="store_true", help="full garbage collections as Python has them")
    group.add_argument("--workers", type=int, default=1, metavar="N", help="processes; SIGHUP replaces them in turn")
    group.add_argument("--reload", action="store_true", help="start again at changes of .py files (extra reload)")
    group.add_argument(
        "--reload-dir", action="append", metavar="DIR", help="where (default: the current folder and the target's)"
    )


def _mode(text: str) -> int:
    return int(text, 8)


# What they say


def read_listens(options: argparse.Namespace) -> list[Listen]:
    """Return the places to listen at. Raises `ConfigError` for what cannot be."""
    shared: dict[str, Any] = {
        "tls": _read_tls(options),
        "proxy_protocol": options.proxy_protocol,
        "forwarded_allow_ips": options.forwarded_allow_ips or (),
    }
    if options.backlog is not None:
        shared["backlog"] = options.backlog
    places = [Listen(fd=fd, **shared) for fd in options.fd or ()]
    if options.systemd:
        places.append(Listen(systemd=True, **shared))
    if options.uds is not None:
        places.append(Listen(uds=options.uds, uds_mode=options.uds_mode, **shared))
    elif options.uds_mode is not None:
        raise ConfigError("--uds-mode goes with --uds")
    if options.host or options.port is not None or options.reuse_port or not places:
        host = tuple(options.host or (HOST,))
        port = PORT if options.port is None else options.port
        places.append(Listen(host=host, port=port, reuse_port=options.reuse_port, **shared))
    return places


def _read_tls(options: argparse.Namespace) -> TLS | None:
    others = ("keyfile", "ca_certs", "cert_reqs", "ciphers", "handshake_timeout")
    given = [name for name in others if getattr(options, f"ssl_{name}") is not None]
    if options.ssl_certfile is None:
        if given:
            raise ConfigError(f"--ssl-{given[0].replace('_', '-')} goes with --ssl-certfile")
        return None
    timeout = options.ssl_handshake_timeout
    seconds = {} if timeout is None else {"ssl_handshake_timeout": timeout}
    return TLS(
        options.ssl_certfile,
        options.ssl_keyfile,
        os.environ.get(KEY_PASSWORD),
        options.ssl_ca_certs,
        options.ssl_cert_reqs,
        options.ssl_ciphers,
        **seconds,
    )


def read_admin(options: argparse.Namespace) -> Listen | None:
    """Return where the admin endpoints are, if anywhere. Raises `ConfigError` for what is no address."""
    text = options.admin
    if options.metrics and text is None:
        raise ConfigError("--metrics goes with --admin, the address where they are shown")
    if text is None:
        return None
    if text.startswith(("/", "@", ".")):
        return Listen(uds=text)
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit():
        raise ConfigError(f"--admin is [HOST:]PORT or the path of a Unix socket, not {text!r}")
    return Listen(host=host.strip("[]") or HOST, port=int(port))


def configure(app: App, options: argparse.Namespace) -> None:
    """Put what the options say in place of the app's own bounds, and add its observers."""
    settings = app.settings
    changed = {
        name: replace(
            getattr(settings, name),
            **{b.field: v for b in BOUNDS if b.section == name and (v := getattr(options, _name(b.flag))) is not None},
        )
        for name in _SECTIONS
    }
    if options.ws_per_message_deflate:
        changed["websocket"] = replace(changed["websocket"], per_message_deflate=True)
    fast_path = settings.fast_path and not options.no_fast_path
    observers: list[Observer] = [*settings.observers]
    if options.access_log is not None:
        observers.append(AccessLog(options.access_log, style=options.access_log_format))
    if options.metrics:
        observers.append(Metrics())
    app.settings = replace(settings, observers=tuple(observers), fast_path=fast_path, **changed)


def worker_arguments(options: argparse.Namespace) -> list[str]:
    """Return the options that a worker process gets, which is given its sockets and is no supervisor itself."""
    arguments = []
    for name in ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs", "ssl_cert_reqs", "ssl_ciphers",
                 "ssl_handshake_timeout", "forwarded_allow_ips", "backlog", "access_log", "access_log_format",
                 "log_level", "loop",
                 *(_name(bound.flag) for bound in BOUNDS)):  # fmt: skip
        value = getattr(options, name)
        if value is not None:
            arguments.append(f"--{name.replace('_', '-')}={value}")
    flags = ("proxy_protocol", "ws_per_message_deflate", "no_fast_path", "no_paced_gc")
    return arguments + [f"--{name.replace('_', '-')}" for name in flags if getattr(options, name)]
