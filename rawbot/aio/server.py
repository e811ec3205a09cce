"""Serving an app: sockets, signals, and an end in the right order.

Engine room. `serve` is for a program that has a loop already, `run` for one that has not.

The end, when bubbles are open: new messages are refused with a word, polls go on being answered on old and on new
connections, handlers get their time and are then cancelled, the platforms fetch the last frames, and only then is the
socket closed. A server that stopped accepting first would leave each bubble spinning for minutes, since the platform
may open a connection for every poll. With nothing open it stops at once.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator

from rawbot.aio.app import App
from rawbot.aio.engine import Engine
from rawbot.aio.protocol import HttpProtocol
from rawbot.errors import ConfigError

BACKLOG = 2048
"""Connections that the kernel holds for us; asyncio's 100 overflows in a burst of polls."""


class Server:
    """A listening app, made by `serve`."""

    def __init__(self, app: App, engine: Engine, listener: asyncio.Server) -> None:
        self._app = app
        self._engine = engine
        self._listener = listener
        self._names = [sock.getsockname() for sock in listener.sockets]  # which a closed socket has no more

    @property
    def port(self) -> int:
        """The TCP port that was bound: the real one when 0 was asked for."""
        return int(self._names[0][1])

    @property
    def addresses(self) -> list[str]:
        """What is listened on, as `host:port`."""
        return [f"[{n[0]}]:{n[1]}" if ":" in n[0] else f"{n[0]}:{n[1]}" for n in self._names]

    async def close(self) -> None:
        """Stop gracefully: see the top of the file. Cancelling this closes at once."""
        try:
            if not self._engine.closed:
                await self._settle()
        finally:
            self._listener.close()
            await self._engine.close()
            await self._app.shutdown()

    async def _settle(self) -> None:
        self._engine.drain()
        if not self._engine.busy:
            self._listener.close()
        await self._engine.finish()


@contextlib.asynccontextmanager
async def serve(app: App, *, host: str = "127.0.0.1", port: int = 8080) -> AsyncIterator[Server]:
    """Serve inside a running loop, until the block is left.

    `port` 0 takes a free one, which `Server.port` tells. Raises `ConfigError` when the address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    engine = app.prepare(loop)
    try:
        listener = await loop.create_server(
            lambda: HttpProtocol(engine), host, port, backlog=BACKLOG, start_serving=False
        )
    except (OSError, OverflowError, ValueError) as error:  # the last for a name that cannot be one
        await engine.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from None
    server = Server(app, engine, listener)
    try:
        await app.startup()
        engine.start()
        await listener.start_serving()
        yield server
    finally:
        await server.close()


def run(
    app: App, *, host: str = "127.0.0.1", port: int = 8080, on_ready: Callable[[Server], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully; a second signal stops at once.

    `on_ready(server)` is called once the socket listens; without it a line on stderr says where.
    """
    with contextlib.suppress(asyncio.CancelledError):  # the second signal's
        asyncio.run(_main(app, host, port, on_ready or _announce))


async def _main(app: App, host: str, port: int, on_ready: Callable[[Server], None]) -> None:
    with stop_signals() as stopped:
        async with serve(app, host=host, port=port) as server:
            on_ready(server)
            await stopped.wait()


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """Set the event at the first SIGINT or SIGTERM, and cancel the current task at the second."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set() and task is not None:
            task.cancel()
        stopped.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _announce(server: Server) -> None:
    for address in server.addresses:
        print(f"rawbot listens on http://{address}", file=sys.stderr, flush=True)  # noqa: T201 - a program's first line
