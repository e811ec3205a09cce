"""One HTTP connection on asyncio's loop.

Engine room. All that it does is in `flow`; here it becomes an `asyncio.Protocol`.
"""

import asyncio
from typing import cast

from rawbot.aio.flow import HttpFlow
from rawbot.aio.host import Transport

READ_SIZE = 64 * 1024
"""Bytes that are read at once; asyncio's 256 KiB cost 12 µs more for each read, in memory that is made for nothing, and
let one connection hold the loop four times as long."""


class HttpProtocol(HttpFlow, asyncio.Protocol):
    """The server's side of one connection, made by `App.protocol_factory`."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport | Transport) -> None:
        """Begin."""
        if hasattr(transport, "max_size"):  # asyncio's own attribute, which no document names
            transport.max_size = READ_SIZE
        super().connection_made(cast("Transport", transport))
