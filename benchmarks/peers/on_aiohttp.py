"""aiohttp: its own server, with the parser in C that its wheels bring."""

from aiohttp import web

from benchmarks.peers.callbacks import JSON, Callbacks, RefusedError, split_query
from benchmarks.peers.loops import loop_factory
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import PATH


def serve(order: Order) -> None:
    """Serve until a signal."""
    web.run_app(
        _make_app(Callbacks(order.ciphers)),
        host=HOST,
        port=order.port,
        shutdown_timeout=1,
        access_log=None,
        print=None,
        loop=loop_factory(order.loop)(),
    )


def _make_app(callbacks: Callbacks) -> web.Application:
    async def callback(request: web.Request) -> web.Response:
        query = split_query(request.query_string)
        try:
            answer, opened = callbacks.answer(
                query.get("msg_signature", ""),
                query.get("timestamp", ""),
                query.get("nonce", ""),
                await request.read(),
            )
        except RefusedError as error:
            return web.Response(status=error.status)
        if opened is not None:
            callbacks.start(opened)
        return web.Response(body=answer, content_type=JSON)

    app = web.Application()
    app.router.add_post(PATH, callback)
    return app
