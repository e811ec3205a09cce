"""Quart on Hypercorn, served by Hypercorn's own function for a running loop: one process."""

import asyncio

from hypercorn.asyncio import serve as serve_by_hypercorn
from hypercorn.config import Config
from quart import Quart, Response, request

from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.loops import run, stopped
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import PATH


def serve(order: Order) -> None:
    """Serve until a signal."""
    run(serve_quart(_make_app(Callbacks(order.ciphers)), order.port), order.loop)


async def serve_quart(app: Quart, port: int) -> None:
    """Serve an application of Quart's until a signal, without logs."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.graceful_timeout = 1
    stop = stopped(asyncio.get_running_loop())
    await serve_by_hypercorn(app, config, shutdown_trigger=stop.wait)


def _make_app(callbacks: Callbacks) -> Quart:
    app = Quart(__name__)

    @app.post(PATH)
    async def callback() -> Response:
        query = split_query(request.query_string.decode())
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                await request.get_data(cache=False),
            )
        except RefusedError as error:
            return Response("", status=error.status)
        if opened is not None:
            callbacks.start(opened)
        return Response(answer, content_type=JSON)

    return app
