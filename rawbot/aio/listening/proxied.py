"""Reads the PROXY header off a connection, and not one byte more.

Engine room; `rawbot.http.peers.proxy_protocol` knows what the header says.

What follows belongs to whoever gets the socket next: a TLS handshake must find its first byte there. A line's end is
known only when it is read, so each step first looks at what is there (MSG_PEEK) and then takes what belongs to the
header. A piece of a header is taken too: bytes that stay would make the loop report the socket again and again.
"""

import asyncio
import socket

from rawbot.errors import ProtocolError
from rawbot.http.peers.proxy_protocol import MAX_HEADER_SIZE, ProxyHeader, ProxyHeaderReader


async def read_proxy_header(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> ProxyHeader:
    """Return what the header says, once it is whole; how long that may take is the caller's to bound.

    `sock` is non-blocking. Raises `ProtocolError` for a header that is none, and for a connection that ends within it;
    `OSError` for one that breaks.
    """
    reader = ProxyHeaderReader()
    while reader.header is None:
        try:
            data = sock.recv(MAX_HEADER_SIZE, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await until_readable(sock, loop)
            continue
        if not data:
            raise ProtocolError("the connection ended within its PROXY header")
        sock.recv(reader.receive_data(data))
    return reader.header


async def until_readable(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    """Wait until there is a byte, or the end, on a non-blocking socket."""
    ready = loop.create_future()
    loop.add_reader(sock, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
