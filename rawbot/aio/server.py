"""Serving an app inside a running loop: sockets, and an end in the right order; `running` brings the loop, too.

Engine room. The beginning: everything is bound, then the start-up hooks run, then connections are accepted; so a
mistake in the configuration shows first, and whoever can connect is served.

The end, when bubbles are open: new messages are refused with a word, polls go on being answered on old and on new
connections, handlers get their time and are then cancelled, the platforms fetch the last frames, and only then is the
socket closed. A server that stopped accepting first would leave each bubble spinning for minutes, since the platform
may open a connection for every poll. With nothing open it stops at once, and so does an app that keeps no state
between requests: then another worker on the same socket takes the next one.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial

from rawbot.aio.app import App
from rawbot.aio.engine import Engine
from rawbot.aio.listening.listen import HOST, PORT, Listen
from rawbot.aio.listening.listeners import Listener, accept, open_listeners, reload_certificates
from rawbot.aio.protocol import HttpProtocol
from rawbot.errors import ConfigError

log = logging.getLogger("rawbot")

CLOSING_TURNS = 3
"""Turns of the loop until a listener that was closed is, and the connections that it had accepted have begun."""


class Server:
    """A listening app, made by `serve`."""

    def __init__(self, app: App, engine: Engine, listeners: Sequence[Listener]) -> None:
        self._app = app
        self._engine = engine
        self._listeners = listeners

    @property
    def port(self) -> int:
        """The first TCP port that was bound: the real one when 0 was asked for. 0 when there is none."""
        return next((port for listener in self._listeners if (port := listener.port) is not None), 0)

    @property
    def addresses(self) -> list[str]:
        """What is listened on: "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path"."""
        return [listener.address for listener in self._listeners]

    @property
    def urls(self) -> list[str]:
        """The addresses with their schemes."""
        return [listener.url for listener in self._listeners]

    @property
    def ready(self) -> bool:
        """Whether it takes requests and does not drain."""
        return self._engine.started and not self._engine.draining

    @property
    def unfinished(self) -> int:
        """How many handlers run, and answers are on their way: what `close` waits for."""
        engine = self._engine
        return engine.handlers + sum(connection.unfinished for connection in engine.connections)

    async def accept(self, sock: socket.socket, *, listen: Listen | None = None) -> None:
        """Serve a connection that was accepted elsewhere, as one of `listen` (of which no address counts) would be.

        The socket is ours from then on. Raises `OSError` when its TLS handshake fails.
        """
        await accept(sock, partial(HttpProtocol, self._engine), self._engine.loop, listen=listen)

    def reload(self) -> None:
        """Read the certificates again and open log files anew: what SIGHUP does. What is wrong is logged and stays."""
        try:
            reload_certificates(self._listeners)
        except ConfigError as error:
            log.error("the certificates are left as they were: %s", error)  # noqa: TRY400 - the text says it all
        else:
            log.info("certificates were read again, and log files opened anew")
        for observer in self._engine.observers:
            observer.reopen()

    def drain(self) -> None:
        """Take on nothing new and say so: readiness ends, each answer is its connection's last, polls are answered on.

        Call it some time before `close` where a load balancer must notice first.
        """
        if not self._engine.draining:
            self._engine.drain()

    def close_idle(self) -> int:
        """Close the connections that nothing is under way on; return how many there were."""
        return self._engine.close_idle()

    async def close(self) -> None:
        """Stop gracefully: see the top of the file. Cancelling this closes at once."""
        try:
            if not self._engine.closed:
                await self._settle()
        finally:
            for listener in self._listeners:
                listener.abort()
            try:
                await _turn()
                await self._engine.close()
            finally:
                await self._app.shutdown()

    async def _settle(self) -> None:
        self.drain()
        if not self._engine.awaits_requests:
            for listener in self._listeners:
                listener.close()
            await _turn()
        await self._engine.finish()


async def _turn() -> None:
    for _ in range(CLOSING_TURNS):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serve(app: App, *listen: Listen, host: str = HOST, port: int = PORT) -> AsyncIterator[Server]:
    """Serve inside a running loop, until the block is left.

    Each `Listen` is one place to listen at; without any it is `host` and `port`. Port 0 takes a free one, which
    `Server.port` tells. Raises `ConfigError` when an address cannot be bound, and what a start-up hook raises.
    """
    loop = asyncio.get_running_loop()
    places = listen or (Listen(host=host, port=port),)
    engine = app.prepare(loop)
    try:
        listeners = await open_listeners(places, partial(HttpProtocol, engine), loop)
    except BaseException:
        await engine.close()
        await app.shutdown()
        raise
    server = Server(app, engine, listeners)
    try:
        await app.startup()
        engine.start()
        for listener in listeners:
            listener.limit_unread(app.settings.timeouts.write)
            await listener.start_serving()
        yield server
    finally:
        await server.close()
