"""pylibob, as its users write it. It runs on a starlette below 1.0 only, so mostly by an interpreter of its own.

It is served by uvicorn, which parses HTTP in C. Its own `run` is on asyncio and writes a line for each request, which
nothing public turns off; `serve` does what that does, without the access log, and on any loop. Heartbeats are off.
"""

from pylibob import HTTP, Bot, OneBotImpl, WebSocket
from pylibob.runner import ServerRunner

from benchmarks.peers.loops import run
from benchmarks.peers.order import HOST, Order


def serve(order: Order) -> None:
    """Serve until a signal."""
    _make_implementation(order.port)
    run(ServerRunner(HOST, order.port, log_level="warning", access_log=False).run(), order.loop)


def serve_by_run(order: Order) -> None:
    """Serve until a signal, with all that comes with it."""
    _make_implementation(order.port).run()


def _make_implementation(port: int) -> OneBotImpl:
    connections = [HTTP(host=HOST, port=port), WebSocket(host=HOST, port=port, enable_heartbeat=False)]
    impl = OneBotImpl("bench", "1.0", connections, Bot(platform="bench", user_id="1", online=True))

    @impl.action("echo_text")
    async def echo_text(text: str) -> dict[str, str]:
        return {"text": text}

    return impl
