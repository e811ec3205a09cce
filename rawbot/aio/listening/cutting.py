"""Cutting off a peer that does not read, in the kernel too.

Engine room. `transport.abort` throws away what waits in the process. What the kernel has taken over it goes on
offering to the peer for minutes, up to some megabytes for each connection, and no counter of ours sees it. A reset ends
that, and a time-out of TCP's own catches those whose last bytes were in the kernel before anybody noticed.
"""

import asyncio
import contextlib
import socket
import struct

_RESET = struct.pack("ii", 1, 0)
"""On, after 0 seconds: what closes with this is reset (socket(7), SO_LINGER)."""

_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)
"""Linux's (RFC 5482): milliseconds for which sent bytes may stay unacknowledged, also after the socket is closed."""


def cut_off(transport: asyncio.WriteTransport) -> None:
    """Close at once; nothing is kept for the peer, neither here nor in the kernel."""
    with contextlib.suppress(Exception):  # it is gone already, and each loop says so in its own way
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def limit_unread(sock: socket.socket, seconds: float) -> None:
    """Have the kernel give up a TCP peer that acknowledges nothing for so long. Set on what listens, all inherit it."""
    if _USER_TIMEOUT is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and seconds > 0:
        sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, max(1, int(seconds * 1000)))
