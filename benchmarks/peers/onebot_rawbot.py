"""rawbot as an implementation of OneBot 12, by its public interface."""

import asyncio
import logging

import rawbot
from benchmarks.peers.loops import run, stopped
from benchmarks.peers.order import HOST, Order


def serve(order: Order) -> None:
    """Serve until a signal."""
    logging.getLogger("rawbot").setLevel(logging.ERROR)  # the others say nothing, either
    run(_serve(order.port), order.loop)


async def _serve(port: int) -> None:
    connections = [rawbot.HTTP(host=HOST, port=port), rawbot.WebSocket(host=HOST, port=port)]
    ob = rawbot.OneBot("bench", platform="bench", version="1.0", bots=["1"], connections=connections)

    @ob.action("echo_text")
    def echo_text(text: str) -> dict[str, str]:
        return {"text": text}

    stop = stopped(asyncio.get_running_loop())
    async with ob.serve():
        await stop.wait()
