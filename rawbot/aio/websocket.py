"""One WebSocket on asyncio's loop.

Engine room. All that it does is in `websocket_flow`; here it becomes an `asyncio.Protocol`.
"""

import asyncio
from typing import cast

from rawbot.aio.host import Transport
from rawbot.aio.websocket_flow import WebSocketFlow


class WebSocketProtocol(WebSocketFlow, asyncio.Protocol):
    """What takes over the transport of an HTTP connection whose request became an `Upgrade`.

    Whoever had the transport calls `transport.set_protocol(protocol)` first, so that the answer to the handshake comes
    under the new flow control, then `connection_made(transport)`, then `data_received` with what was read beyond it.
    """

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport | Transport) -> None:
        """Answer the handshake, and let the channel begin."""
        super().connection_made(cast("Transport", transport))
