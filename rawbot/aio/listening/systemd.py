"""What a service manager hands in, and what it wants to be told: inherited sockets and readiness.

Engine room. Sources: systemd's pages sd_listen_fds(3), sd_notify(3) and systemd.service(5). Both protocols are a few
environment variables, so that whoever speaks them may be the manager: our own supervisor speaks the second one.
"""

import contextlib
import os
import re
import socket
import time
from collections.abc import MutableMapping

from rawbot.errors import ConfigError

LISTEN_FDS_START = 3
"""The first descriptor that is handed in, sd_listen_fds(3)."""

LISTEN_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
"""What describes them; of no use to a child, which does not inherit them."""

NOTIFY_SOCKET = "NOTIFY_SOCKET"
READY = "READY=1"
STOPPING = "STOPPING=1"

SEND_WITHIN = 1.0
"""Seconds for which a manager whose queue is full is waited for: a lost READY=1 would be a failed start, and one that
hangs must not hang us."""


def activated_sockets(*, environ: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """Return the listening sockets of a socket-activated service, in the unit's order. They are the caller's to close.

    Children inherit neither them nor the variables, so a second call finds nothing. Raises `ConfigError` when no socket
    was handed to this process, or when one is not open, or none that accepts streams; none is closed then.
    """
    environ = os.environ if environ is None else environ
    count, pid, *_ = (environ.pop(name, "") for name in LISTEN_VARIABLES)
    if not count:
        raise ConfigError("no sockets were handed in: LISTEN_FDS is not set, so this is no socket-activated service")
    if pid != str(os.getpid()):
        raise ConfigError(f"the sockets were handed to process {pid or 'none'}, which is not this one ({os.getpid()})")
    if not re.fullmatch("[1-9][0-9]{0,5}", count):
        raise ConfigError(f"LISTEN_FDS is {count[:10]!r}, which is no number of sockets")
    sockets = []
    with contextlib.ExitStack() as on_failure:
        for descriptor in range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)):
            sock = _inherited_socket(descriptor)
            sockets.append(sock)
            on_failure.callback(sock.detach)
        on_failure.pop_all()
    return sockets


def _inherited_socket(descriptor: int) -> socket.socket:
    """Return the socket behind a descriptor, its family found out from it, out of reach for children."""
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ConfigError(f"descriptor {descriptor} is no socket: {error.strerror}") from None
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise ConfigError(f"descriptor {descriptor} is no listening stream socket (in a unit: ListenStream, Accept=no)")
    sock.set_inheritable(False)
    return sock


def notify(state: str) -> bool:
    """Tell the service manager `READY`, `STOPPING`, `reloading()` or a `status()`; several go in lines of one text.

    Returns whether it was told: without NOTIFY_SOCKET, or when nobody listens there, nothing happens.
    """
    address = os.environ.get(NOTIFY_SOCKET, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SEND_WITHIN)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def reloading() -> str:
    """Return the state of a service that reloads, which it is till it says `READY` again.

    Since systemd 253 a unit of Type=notify-reload wants the time with it, in microseconds of the monotonic clock.
    """
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def status(text: str) -> str:
    """Return the state that shows a line of text beside the service."""
    return f"STATUS={' '.join(text.split())}"  # a line end would begin another assignment
