"""Listening for tests: on every loop there is, with a protocol that tells what it was told, and clients for it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
import trustme

from rawbot.aio.listening.listen import Listen, Origin
from rawbot.aio.listening.listeners import Listener, open_listeners
from rawbot.aio.listening.tls import TLS

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):
    import uvloop

    LOOPS.append(uvloop.new_event_loop)

each_loop = pytest.mark.parametrize("new_loop", LOOPS, ids=lambda new_loop: new_loop.__module__.partition(".")[0])
NewLoop = Callable[[], asyncio.AbstractEventLoop]


def run(new_loop: NewLoop, main: Coroutine[object, object, object]) -> object:
    """Run to the end on a loop of this kind."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no ::1")


class Echo(asyncio.Protocol):
    """Answers each piece with the scheme, the peer that it was told of (or - for none) and the piece."""

    alive: int = 0

    def __init__(self, origin: Origin, peer: str | None) -> None:
        self.origin = origin
        self.peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Echo.alive += 1
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        peer = "-" if self.peer is None else self.peer
        self.transport.write(f"{self.origin.scheme} {peer} ".encode() + data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's shape
        Echo.alive -= 1


@contextlib.asynccontextmanager
async def listening(
    *listens: Listen, connect: Callable[[Origin, str | None], asyncio.Protocol] = Echo, serve: bool = True
) -> AsyncIterator[list[Listener]]:
    """Open, serve and close."""
    listeners = await open_listeners(listens, connect, asyncio.get_running_loop())
    try:
        if serve:
            for listener in listeners:
                await listener.start_serving()
        yield listeners
    finally:
        for listener in listeners:
            listener.abort()
        await asyncio.sleep(0)  # uvloop closes a turn later
        await asyncio.sleep(0)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(listener: Listener, *, context: ssl.SSLContext | None = None, first: bytes = b"") -> Streams:
    """Connect to where this listener is; `first` goes out in the clear, in one segment with the TLS ClientHello."""
    name = None if context is None else "localhost"
    if listener.tcp is not None and not first:
        return await asyncio.open_connection(*listener.tcp, ssl=context, server_hostname=name)
    sock = dial_socket(listener)
    sock.setblocking(False)
    if first and context is None:
        sock.send(first)
    if first and context is not None:
        sock, theirs = socket.socketpair(), sock
        return await _dial_through(sock, theirs, first, context)
    if listener.tcp is None:
        return await asyncio.open_unix_connection(sock=sock, ssl=context, server_hostname=name)
    return await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)


async def _dial_through(
    pair: tuple[socket.socket, socket.socket], out: socket.socket, first: bytes, context: ssl.SSLContext
) -> Streams:
    """Speak TLS through a pump that sends `first` and the ClientHello with one call, so in one segment."""
    loop = asyncio.get_running_loop()
    near, far = pair
    far.setblocking(False)

    async def pump(source: socket.socket, target: socket.socket, head: bytes) -> None:
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(source, 65536):
                await loop.sock_sendall(target, head + data)
                head = b""
            target.shutdown(socket.SHUT_WR)

    async def both() -> None:
        with far, out:
            await asyncio.gather(pump(far, out, first), pump(out, far, b""))

    task = asyncio.create_task(both())
    _PUMPS.add(task)
    task.add_done_callback(_PUMPS.discard)
    return await asyncio.open_connection(sock=near, ssl=context, server_hostname="localhost")


_PUMPS: set["asyncio.Task[None]"] = set()


def dial_socket(listener: Listener) -> socket.socket:
    """Connect a plain blocking socket to where this listener is."""
    if listener.tcp is not None:
        return socket.create_connection(listener.tcp, timeout=5)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    name = listener.address.removeprefix("unix:")
    sock.connect("\0" + name[1:] if name.startswith("@") else name)
    return sock


async def say(streams: Streams, data: bytes = b"hello") -> bytes:
    """Send, return what comes back (empty when the connection is closed), stay connected."""
    reader, writer = streams
    try:
        writer.write(data)
        return await reader.read(1000)
    except ConnectionError:
        return b""


async def ask(
    listener: Listener, data: bytes = b"hello", *, context: ssl.SSLContext | None = None, first: bytes = b""
) -> bytes:
    """Connect, send, return what comes back, and hang up."""
    streams = await dial(listener, context=context, first=first)
    try:
        return await say(streams, data)
    finally:
        await hang_up(streams)


async def hang_up(streams: Streams) -> None:
    """Close, broken connections too."""
    streams[1].close()
    with contextlib.suppress(OSError):
        await streams[1].wait_closed()


class MemoryClient:
    """A TLS client whose bytes the test sends when it likes."""

    def __init__(self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.reader, self.writer = reader, writer

    async def shake_hands(self) -> None:
        """Do it, but for the last bytes of ours, which are not sent."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send()
                self.incoming.write(await self.reader.read(65536))
            else:
                return

    def send(self) -> None:
        """Send in one segment what there is."""
        self.writer.write(self.outgoing.read())

    async def receive(self) -> bytes:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self.tls.read(1000)
            self.incoming.write(await self.reader.read(65536))


class Authority:
    """A certificate authority of the suite's own, which writes its files into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str = "server", *hosts: str) -> tuple[str, str]:
        """Write a certificate and its key, over older ones of this name; return their paths."""
        cert = self.ca.issue_cert(*(hosts or ("localhost",)))
        certfile, keyfile = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certfile.write_bytes(b"".join(pem.bytes() for pem in cert.cert_chain_pems))
        keyfile.write_bytes(cert.private_key_pem.bytes())
        return str(certfile), str(keyfile)

    def tls(self, **options: object) -> TLS:
        """Return a server's TLS with a new certificate."""
        return TLS(*self.issue(), **options)

    def client(self, *, show: tuple[str, str] | None = None, **options: object) -> ssl.SSLContext:
        """Return a client's context that trusts this authority, and shows a certificate perhaps."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if show is not None:
            context.load_cert_chain(*show)
        for name, value in options.items():
            setattr(context, name, value)
        return context


def serial_of(streams: Streams) -> str:
    """Return the serial number of the certificate that the server has shown."""
    return streams[1].get_extra_info("peercert")["serialNumber"]
