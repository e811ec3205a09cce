"""How ASGI applications are served: by uvicorn, one process, quietly.

Left out is what a bot behind a proxy of its own does not need, and what costs: the access log, the search for
forwarded addresses, the WebSocket protocol, the name of the server in every head.
"""

from typing import Any, Literal

import uvicorn

from benchmarks.peers.order import HOST, Order

Parser = Literal["h11", "httptools"]


def serve_by_uvicorn(app: Any, order: Order, parser: Parser) -> None:  # noqa: ANN401 - each framework has a type of its own
    """Serve until a signal."""
    config = uvicorn.Config(
        app,
        host=HOST,
        port=order.port,
        loop=order.loop,
        http=parser,
        ws="none",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run()
