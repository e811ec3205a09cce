"""Sanic: its own server, in one process.

A signal ends it at once: since Python 3.12, Sanic's own end waits for its clients to close their connections.
"""

import asyncio
import os
import signal

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty, raw

from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import PATH


def serve(order: Order) -> None:
    """Serve until a signal."""
    app = _make_app(Callbacks(order.ciphers))
    app.config.USE_UVLOOP = order.loop == "uvloop"
    app.after_server_start(_end_at_a_signal)
    app.run(host=HOST, port=order.port, single_process=True, access_log=False, motd=False)


def _make_app(callbacks: Callbacks) -> Sanic:
    app = Sanic("peer", configure_logging=False)

    @app.post(PATH)
    async def callback(request: Request) -> HTTPResponse:
        query = split_query(request.query_string)
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                request.body,
            )
        except RefusedError as error:
            return empty(error.status)
        if opened is not None:
            callbacks.start(opened)
        return raw(answer, content_type=JSON)

    return app


async def _end_at_a_signal(_app: Sanic) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, os._exit, 0)
