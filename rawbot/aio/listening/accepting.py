"""Accepting by hand: for connections that must get through something before they are HTTP, a PROXY header or TLS.

Engine room. asyncio's own server would do for TLS, but it says nothing of handshakes: neither how many are under way,
nor which failed, nor can it end them. And it reads ahead, which before a TLS handshake must not be.
"""

import asyncio
import errno
import logging
import math
import socket
from collections.abc import Callable

from rawbot.aio.listening.listen import Listen, Origin, peer_of
from rawbot.aio.listening.proxied import read_proxy_header, until_readable
from rawbot.aio.watching.quiet import Quiet
from rawbot.errors import ProtocolError

Connect = Callable[[Origin, str | None], asyncio.Protocol]
"""Makes the protocol of a new connection. The text is its client's address by the word of a PROXY header; None when the
transport's own peer is the client."""

_LEAST = 0.001
"""Seconds for a handshake whose first byte came at the last moment; asyncio takes no 0."""
_ACCEPTS_PER_TURN = 64
"""Connections accepted in a row: those that are there already must not wait for a burst of new ones."""
_REST = 1.0
"""Seconds until the next try when there are no descriptors left; connections wait in the kernel. asyncio's own."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What asyncio's own accept loop calls out of system resource, and reports to the loop."""
_TOLD_FOR = 60.0
"""Seconds within which ten failed connections are told one by one, and the rest as a number: scanners make many."""

log = logging.getLogger("rawbot")


class Acceptor:
    """Hands one accepted connection to a protocol, through what must come before."""

    __slots__ = ("_connect", "_header", "_loop", "_origin", "_proxied", "_tls")

    def __init__(self, listen: Listen, origin: Origin, connect: Connect, loop: asyncio.AbstractEventLoop) -> None:
        self._origin = origin
        self._connect = connect
        self._loop = loop
        self._tls = listen.tls
        self._proxied = listen.proxy_protocol
        self._header = listen.proxy_header_timeout

    @property
    def by_hand(self) -> bool:
        """Whether there is anything that comes before."""
        return self._proxied or self._tls is not None

    async def accept(self, sock: socket.socket) -> None:
        """Return when the protocol has the connection.

        Raises `ProtocolError` when there is no PROXY header that may be believed, `OSError` for a handshake that fails
        and whatever takes too long or breaks. The socket is ours from the call on, and closed then.
        """
        tls = self._tls
        context = left = None
        try:
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:  # asyncio does it only for sockets that were made with the number of TCP
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = await self._read_peer(sock) if self._proxied else None
            if tls is not None:
                left = await self._await_hello(sock, tls.ssl_handshake_timeout)
                context = tls.make_context()
            protocol = self._connect(self._origin, peer)
        except BaseException:
            sock.close()
            raise
        await self._loop.connect_accepted_socket(  # which closes it itself
            lambda: protocol,
            sock,
            ssl=context,
            ssl_handshake_timeout=left,
            ssl_shutdown_timeout=None if tls is None else tls.ssl_shutdown_timeout,
        )

    async def _read_peer(self, sock: socket.socket) -> str | None:
        if peer_of(sock.getpeername()) not in self._origin.trusted:
            raise ProtocolError("its peer is not trusted to write PROXY headers")
        try:
            async with asyncio.timeout(self._header):
                return (await read_proxy_header(sock, self._loop)).peer
        except TimeoutError:
            raise TimeoutError("its PROXY header took too long") from None

    async def _await_hello(self, sock: socket.socket, seconds: float) -> float:
        """Wait for the first byte of a handshake, and return the seconds that are left for it.

        For each that has begun asyncio sets hundreds of KiB aside; so a silent connection costs nothing of the kind.
        """
        deadline = self._loop.time() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                await until_readable(sock, self._loop)
        except TimeoutError:
            raise TimeoutError("its TLS handshake has not begun") from None
        return max(deadline - self._loop.time(), _LEAST)


class AcceptingServer:
    """Takes the connections of one listening socket, which it owns, and has an `Acceptor` accept each."""

    def __init__(
        self, sock: socket.socket, acceptor: Acceptor, loop: asyncio.AbstractEventLoop, *, name: str, max_waiting: int
    ) -> None:
        self.failed = 0
        """Connections that did not get through: no header to believe, no handshake, too slow."""
        self._sock = sock
        self._acceptor = acceptor
        self._loop = loop
        self._name = name
        self._max_waiting = max_waiting
        self._waiting: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._watching = False
        self._closed = False
        self._told = Quiet(interval=_TOLD_FOR)
        self._summing_up: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Connections that are not through yet."""
        return len(self._waiting)

    def start(self) -> None:
        """Accept connections."""
        self._sock.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Accept no more. What has been accepted gets its time."""
        if not self._closed:
            self._closed = True
            self._unwatch()
            if self._rest is not None:
                self._rest.cancel()
            self._sock.close()
            self._sum_up(math.inf)

    def abort(self) -> None:
        """Close, and end the connections that are not through yet."""
        self.close()
        for task in self._waiting:
            task.cancel()
        self._sum_up(math.inf)

    def _watch(self) -> None:
        self._rest = None
        if not self._closed and not self._watching:
            self._watching = True
            self._loop.add_reader(self._sock, self._on_readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._sock)

    def _on_readable(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            task = self._loop.create_task(self._admit(sock, peer_of(address)))
            self._waiting.add(task)
            task.add_done_callback(self._let_go)
            if len(self._waiting) >= self._max_waiting:
                self._unwatch()
                return

    def _let_go(self, task: "asyncio.Task[None]") -> None:
        self._waiting.discard(task)
        if self._rest is None:
            self._watch()

    def _pause(self, error: OSError) -> None:
        """Wait a little: the connection is still there, and would be reported without end.

        That nothing is left is reported as asyncio does it, so that a program makes room the same way.
        """
        if error.errno in _EXHAUSTED:
            self._loop.call_exception_handler(
                {"message": "socket.accept() out of system resource", "exception": error, "socket": self._sock}
            )
        else:
            log.error("%s: cannot accept connections: %s", self._name, error.strerror)
        self._unwatch()
        self._rest = self._loop.call_later(_REST, self._watch)

    async def _admit(self, sock: socket.socket, peer: str) -> None:
        try:
            await self._acceptor.accept(sock)
        except (OSError, ProtocolError) as error:
            self.failed += 1
            self._tell(peer, error)
        except Exception:
            self.failed += 1
            log.exception("%s: a connection could not be taken on", self._name)

    def _tell(self, peer: str, error: Exception) -> None:
        now = self._loop.time()
        self._sum_up(now)
        if self._told.admit(now):
            log.info("%s: a connection from %s did not get through: %s", self._name, peer or "-", _reason(error))
        elif self._summing_up is None and not self._closed:
            # by then the interval is over: had another begun, its first failure would have summed up this one
            self._summing_up = self._loop.call_later(_TOLD_FOR, self._sum_up, math.inf)

    def _sum_up(self, now: float) -> None:
        """Say how many were not told of, once their time is over."""
        if held_back := self._told.summary(now):
            log.info("%s: %d more connections did not get through", self._name, held_back)
            if self._summing_up is not None:
                self._summing_up.cancel()
                self._summing_up = None


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong: OpenSSL's reason, the system's text, ours, or the kind of error."""
    words = (getattr(error, "reason", None), getattr(error, "strerror", None), str(error))
    return next((word for word in words if word), type(error).__name__)
