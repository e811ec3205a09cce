"""One HTTP connection on asyncio's loop.

Engine room. All that it does is in `flow`; here it becomes an `asyncio.Protocol`.
"""

import asyncio
from typing import cast

from rawbot.aio.flow import HttpFlow
from rawbot.aio.host import Transport


class HttpProtocol(HttpFlow, asyncio.Protocol):
    """The server's side of one connection, made by `App.protocol_factory`."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport | Transport) -> None:
        """Begin."""
        super().connection_made(cast("Transport", transport))
