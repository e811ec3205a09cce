"""robyn, a framework on a server in Rust. It brings uvloop itself and knows no other loop on Linux.

Run as one process it hears no signals, so one ends it at once.
"""

import os
import signal
from typing import NoReturn

from robyn import Request, Response, Robyn
from robyn.argument_parser import Config

from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import PATH

_HEADERS = {"content-type": JSON}


def serve(order: Order) -> None:
    """Serve until a signal."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    _make_app(Callbacks(order.ciphers)).start(host=HOST, port=order.port, _check_port=False)


def _make_app(callbacks: Callbacks) -> Robyn:
    config = Config()
    config.disable_openapi = True
    config.log_level = "WARNING"
    app = Robyn(__file__, config=config)

    @app.post(PATH)
    async def callback(request: Request) -> Response:
        query = request.query_params
        body = request.body
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                body if isinstance(body, bytes) else body.encode(),
            )
        except RefusedError as error:
            return Response(error.status, {}, b"")
        if opened is not None:
            callbacks.start(opened)
        return Response(200, _HEADERS, answer)

    return app


def _end(_signal: int, _frame: object) -> NoReturn:
    os._exit(0)
