"""granian, a server in Rust, over RSGI, its own interface, without a framework.

It is two processes: one that answers and one that watches it. WebSockets and HTTP/2 are left out, which spares it a
look at what comes.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.rsgi import HTTPProtocol, Scope

from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.order import HOST, Ciphers, Order
from benchmarks.traffic import PATH

_HEADERS = [("content-type", JSON)]


def serve(order: Order) -> None:
    """Serve until a signal."""
    server = Granian(
        "callback",
        address=HOST,
        port=order.port,
        interface=Interfaces.RSGI,
        loop=Loops(order.loop),
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        workers_kill_timeout=1,
    )
    server.serve(target_loader=partial(_make_app, order.ciphers), wrap_loader=False)


def _make_app(ciphers: Ciphers) -> Callable[[Scope, HTTPProtocol], Awaitable[None]]:
    callbacks = Callbacks(ciphers)

    async def callback(scope: Scope, protocol: HTTPProtocol) -> None:
        if scope.path != PATH or scope.method != "POST":
            protocol.response_empty(404, [])
            return
        query = split_query(scope.query_string)
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                await protocol(),
            )
        except RefusedError as error:
            protocol.response_empty(error.status, [])
            return
        if opened is not None:
            callbacks.start(opened)
        protocol.response_bytes(200, _HEADERS, answer)

    return callback
