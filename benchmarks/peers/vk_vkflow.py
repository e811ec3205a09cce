"""vkflow's WebhookApp, as its users start it, with one handler that does nothing but count.

Before it serves it asks VK's API whose token it was given (users.get, groups.getById). Its API client takes a URL for
that, here of a small server in this process; nothing of vkflow is left out or replaced.

As it comes, it makes two debug lines of each event, one of them the event as indented and coloured JSON, and drops them
since its level is INFO. `serve_without_log` takes away the log's one sink, and with it all that.
"""

from aiohttp import web
from loguru import logger
from vkflow import API, NewMessage
from vkflow.webhook import WebhookApp, WebhookBotEntry

from benchmarks.peers.community import CONFIRMATION, GROUP_ID, HANDLED, NAME, SECRET
from benchmarks.peers.loops import run
from benchmarks.peers.order import HOST, Order

_ANSWERS: dict[str, object] = {
    "users.get": [],  # the token is no user's
    "groups.getById": {"groups": [{"id": GROUP_ID, "name": NAME, "screen_name": "benchmark", "type": "group"}]},
}


class CountingApp(WebhookApp):
    """Tells beside all else how many messages its handler has seen."""

    handled = 0

    def create_aiohttp_app(self) -> web.Application:
        """Return what it serves, with one more route."""
        app = super().create_aiohttp_app()
        app.router.add_get(HANDLED, self._tell)
        return app

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.Response(text=str(self.handled))


def serve(order: Order) -> None:
    """Serve until a signal."""
    run(_serve(order.port), order.loop)


def serve_without_log(order: Order) -> None:
    """Serve until a signal, and make no line of a log."""
    logger.remove()
    serve(order)


async def _serve(port: int) -> None:
    app = CountingApp(prefixes=["/"])

    @app.on_message()
    async def count(_message: NewMessage) -> None:
        app.handled += 1

    platform = web.AppRunner(_make_platform())
    await platform.setup()
    await web.TCPSite(platform, HOST, 0).start()
    api = API("token", requests_url=f"http://{HOST}:{platform.addresses[0][1]}/method/")
    try:
        entry = WebhookBotEntry(api, secret_key=SECRET, confirmation_key=CONFIRMATION)
        await app.start(entry, host=HOST, port=port)
    finally:
        await platform.cleanup()


def _make_platform() -> web.Application:
    """Return the methods of the API that are called before it serves."""

    async def call(request: web.Request) -> web.Response:
        return web.json_response({"response": _ANSWERS[request.match_info["method"]]})

    app = web.Application()
    app.router.add_post("/method/{method}", call)
    return app
