"""Listening: all sockets opened first, or none; served when the program is ready; closed without a trace.

Engine room. A server calls `open_listeners`, then has the app start, then `Listener.start_serving`: until then
connections to TCP ports are refused, so whoever looks whether the service is up sees what is true, while every mistake
in the configuration has shown already.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence

from rawbot.aio.listening.accepting import AcceptingServer, Acceptor, Connect
from rawbot.aio.listening.cutting import limit_unread
from rawbot.aio.listening.listen import Listen, Origin, find_clash, make_origin, write_address
from rawbot.aio.listening.sockets import Bound, open_sockets, refused
from rawbot.aio.listening.tls import TLS
from rawbot.errors import ConfigError

ACCEPTS_PER_TURN = 64
"""What asyncio is told for a backlog: it accepts that often in a row, and when descriptors run out it does not stop at
the first failure but reports each (CPython 3.11 to 3.13)."""


class Listener:
    """One listening socket, made by `open_listeners`; a `Listen` with several addresses makes several."""

    def __init__(self, listen: Listen, bound: Bound, connect: Connect, loop: asyncio.AbstractEventLoop) -> None:
        self.listen = listen
        self.origin = _origin(listen, bound.sock)
        self._sock = bound.sock
        self._file = bound.file
        name = bound.sock.getsockname()  # which a closed socket has no more
        self.tcp: tuple[str, int] | None = (name[0], name[1]) if isinstance(name, tuple) else None
        """Host and port as bound, the real one when port 0 was asked for. None for a Unix socket."""
        self._connect = connect
        self._loop = loop
        self._acceptor = Acceptor(listen, self.origin, connect, loop)
        self._server: asyncio.Server | AcceptingServer | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """What is listened on: "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:@abstract"."""
        return self.origin.name

    @property
    def url(self) -> str:
        """The address with its scheme, as nginx writes it for a Unix socket: "http://unix:/path"."""
        return f"{self.origin.scheme}://{self.origin.name}"

    @property
    def port(self) -> int | None:
        """The TCP port that was bound: the real one when 0 was asked for. None for a Unix socket."""
        return None if self.tcp is None else self.tcp[1]

    @property
    def failed(self) -> int:
        """How many connections did not get through their PROXY header or TLS handshake."""
        return self._server.failed if isinstance(self._server, AcceptingServer) else 0

    def limit_unread(self, seconds: float) -> None:
        """Have the kernel give up peers that acknowledge nothing for so long."""
        limit_unread(self._sock, seconds)

    async def start_serving(self) -> None:
        """Accept connections. Raises `ConfigError` when somebody else has begun to listen there in the meantime."""
        backlog = self.listen.backlog
        try:
            self._sock.listen(backlog)  # here, since uvloop's own would not say what is wrong
        except OSError as error:
            raise refused(self.address, error) from None
        if self._acceptor.by_hand:
            self._server = AcceptingServer(
                self._sock,
                self._acceptor,
                self._loop,
                name=self.address,
                max_waiting=self.listen.max_handshakes,
            )
            self._server.start()
            return
        self._server = await self._loop.create_server(
            lambda: self._connect(self.origin, None), sock=self._sock, backlog=ACCEPTS_PER_TURN
        )
        self._sock.listen(backlog)  # which asyncio has just set to its own

    def close(self) -> None:
        """Accept no more, and remove the Unix socket's file. Connections go on, those in a TLS handshake too."""
        if self._closed:
            return
        self._closed = True
        if self._file is not None:
            self._file.unlink()
        if isinstance(self._server, asyncio.Server):
            _close_gently(self._server, self._loop)
        else:
            (self._server or self._sock).close()

    def abort(self) -> None:
        """Close, and end the connections that are not through their PROXY header or TLS handshake."""
        self.close()
        if isinstance(self._server, AcceptingServer):
            self._server.abort()


def _close_gently(server: asyncio.Server, loop: asyncio.AbstractEventLoop) -> None:
    """Stop accepting now, and close when the connections that were accepted in this turn of the loop are made.

    `asyncio.Server.close` (3.11 to 3.13) lets them fall: 25 of 120,000 requests were reset in rolling restarts.
    """
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    loop.call_soon(loop.call_soon, server.close)


async def open_listeners(
    listens: Sequence[Listen], connect: Connect, loop: asyncio.AbstractEventLoop
) -> list[Listener]:
    """Bind everything, without serving yet: all or nothing.

    Raises `ConfigError`, in one line, for the first address that cannot be had and for TLS files that cannot be used.
    """
    listeners: list[Listener] = []
    try:
        for listen in listens:
            if listen.tls is not None:
                listen.tls.make_context()  # before the socket: it may fail
            listeners += [Listener(listen, bound, connect, loop) for bound in await open_sockets(listen, loop)]
        _refuse_clashes(listeners)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


async def accept(
    sock: socket.socket, connect: Connect, loop: asyncio.AbstractEventLoop, *, listen: Listen | None = None
) -> None:
    """Serve a connection that somebody else has accepted, as one of `listen` (of which no address counts) would be.

    The socket is ours from then on. Raises as `Acceptor.accept` does, and `ConfigError` for unusable TLS files.
    """
    like = listen or Listen()
    await Acceptor(like, _origin(like, sock), connect, loop).accept(sock)


def reload_certificates(listeners: Iterable[Listener]) -> None:
    """Have every `TLS` read its files again (`TLS.reload`): what is broken is left as it was, and raised at the end."""
    failures = []
    for tls in {id(tls): tls for listener in listeners if (tls := listener.listen.tls) is not None}.values():
        failures += _reload(tls)
    if failures:
        raise ConfigError("; ".join(failures))


def _reload(tls: TLS) -> list[str]:
    try:
        tls.reload()
    except ConfigError as error:
        return [str(error)]
    return []


def _origin(listen: Listen, sock: socket.socket) -> Origin:
    return make_origin(listen, sock.getsockname(), unix=sock.family == socket.AF_UNIX)


def _refuse_clashes(listeners: Iterable[Listener]) -> None:
    bound = [it.tcp for it in listeners if it.tcp is not None and it.listen.hosts and not it.listen.reuse_port]
    clash = find_clash(bound)
    if clash is not None:
        raise ConfigError(f"cannot listen on {write_address(clash)}: it is asked for twice")
