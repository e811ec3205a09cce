"""rawbot as the server of a VK community, by its public interface, with one handler that does nothing but count."""

import logging

import rawbot
from benchmarks.peers.community import CONFIRMATION, GROUP_ID, HANDLED, PATH, SECRET
from benchmarks.peers.order import HOST, Order
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.settings import VKGroup


class Handled(rawbot.Endpoint):
    """Tells how many events the bot has handled."""

    methods = ("GET",)

    def __init__(self) -> None:
        self.count = 0

    def receive(self, request: rawbot.Request, now: float) -> rawbot.Exchange:  # noqa: ARG002 - an endpoint's shape
        """Answer with the number."""
        return rawbot.Answer(rawbot.Response(200, b"%d" % self.count))


def serve(order: Order) -> None:
    """Serve until a signal."""
    logging.getLogger("rawbot").setLevel(logging.ERROR)  # the others say nothing, either
    bot, handled = rawbot.Bot(), Handled()

    @bot.on_message
    async def count(_event: rawbot.Event, _reply: rawbot.Reply) -> None:
        handled.count += 1

    app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=0, settle=0))
    app.add(PATH, VKEndpoint({GROUP_ID: VKGroup(secret=SECRET, confirmation=CONFIRMATION)}))
    app.add(HANDLED, handled)
    rawbot.run(app, host=HOST, port=order.port, loop=order.loop, on_ready=_stay_quiet)


def _stay_quiet(_server: rawbot.Server) -> None:
    pass
