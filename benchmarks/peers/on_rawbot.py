"""rawbot, by its public interface."""

import logging

import rawbot
from benchmarks.peers.callbacks import MAX_STREAMS, NEWS
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import KEY, PATH, TOKEN


def serve(order: Order) -> None:
    """Serve until a signal. Refreshes are not held, as the peers do not hold them, nor is an end waited for."""
    logging.getLogger("rawbot").setLevel(logging.ERROR)  # the peers say nothing of what they refuse, either
    bot = rawbot.Bot()

    @bot.on_message
    async def tell(_event: rawbot.Event, reply: rawbot.Reply) -> None:
        reply.write(NEWS)

    app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=0, settle=0))
    app.add(PATH, rawbot.WeComEndpoint(TOKEN, KEY, refresh_hold=0.0, max_streams=MAX_STREAMS))
    rawbot.run(app, host=HOST, port=order.port, loop=order.loop, on_ready=_stay_quiet)


def _stay_quiet(_server: rawbot.Server) -> None:
    pass
