"""A bare handler on aiohttp: JSON by the standard library, the secret compared, `ok`.

What is left out beside rawbot: a bot that is told, what is repeated, order within a dialog, a look at what the body
holds, more than one community, confirmation, limits. The count is of what it has acknowledged.
"""

import json

from aiohttp import web

from benchmarks.peers.community import HANDLED, PATH, SECRET
from benchmarks.peers.loops import loop_factory
from benchmarks.peers.order import HOST, Order


def serve(order: Order) -> None:
    """Serve until a signal."""
    loop = loop_factory(order.loop)()
    web.run_app(_make_app(), host=HOST, port=order.port, shutdown_timeout=1, access_log=None, print=None, loop=loop)


def _make_app() -> web.Application:
    handled = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal handled
        event = json.loads(await request.read())
        if event.get("secret") != SECRET:
            return web.Response(status=403)
        handled += 1
        return web.Response(text="ok")

    async def tell(_request: web.Request) -> web.Response:
        return web.Response(text=str(handled))

    app = web.Application()
    app.router.add_post(PATH, take)
    app.router.add_get(HANDLED, tell)
    return app
