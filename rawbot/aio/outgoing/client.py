"""Outgoing HTTP: downloads what users sent, posts what the wings have to say. The one file that uses httpx.

Layer 3. It knows no platform: an `Attachment` brings its decoder, an `OutgoingRequest` its body. The URLs come from
peers, so they are treated as hostile:

- **Whither.** The guard sits where sockets are opened. The pool's network backend resolves the name, checks every
  address and connects to a checked one, never to the name: there is no gap for a second DNS answer, and a redirect is
  checked as a first request is. Pool, Host, SNI and certificate still go by the name, so a kept connection serves no
  other one. The environment's proxies and netrc are not looked at.
- **How much, how long.** Size caps hold before and during a transfer, encodings are refused, and one deadline spans it
  all, whatever trickles in.
- **What is told.** Path and query of a URL are a capability: no error and no log line holds more than its host.

Of httpx we use the engine, httpcore, and the trust store. `AsyncClient` above them cannot be given a network backend,
logs every URL at INFO, keeps cookies, and parses `Location` even when it is told not to follow it.

httpx is the extra `client`. It is loaded at the first request, in a thread: with TLS set-up that takes 120 ms.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import TYPE_CHECKING

from rawbot.aio.outgoing.download import Download
from rawbot.aio.outgoing.policy import OutgoingPolicy, Place
from rawbot.errors import FetchError, MissingExtraError, ProtocolError, StateError
from rawbot.event import Attachment
from rawbot.exchange import Headers, OutgoingRequest, Response
from rawbot.media import Media

if TYPE_CHECKING:
    import httpcore

TIMEOUT = 120.0
"""Seconds for a whole exchange, redirects and body included: 100 MB at 1 MB/s and some patience."""

CONNECT_TIMEOUT = 5.0
"""Seconds for each of name, TCP and TLS. TCP knocks three times in this; a name's addresses share it."""

READ_TIMEOUT = 20.0
"""Seconds of silence after which a peer is given up."""

MAX_CONNECTIONS = 50
"""At once, over all hosts; further requests wait, up to READ_TIMEOUT. Each may hold THREAD_ABOVE bytes undecoded."""

KEEP_ALIVE = 5.0
"""Seconds for which an unused connection stays open. Short, since a request on a connection that the peer is just
closing is lost without our knowing whether it took effect."""

MAX_REDIRECTS = 3
"""Hops of one download: a file store needs one."""

MAX_RESPONSE = 64 * 1024
"""Bytes kept of the answer to `send`: vendors answer with a few hundred, read for a code."""

MAX_OVERHEAD = 1024
"""Bytes that a file may be longer before it is decoded: WeCom's padding takes 32."""

THREAD_ABOVE = 256 * 1024
"""Bytes that a thread decodes and fewer do not. A thread's round trip costs 52 µs, decrypting this much 600 µs: less is
not worth the trip, more would hold up the loop."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_OK = 200
_OUR_HEADERS = ((b"accept-encoding", b"identity"), (b"user-agent", b"rawbot"))
"""What is said unless the request says it otherwise."""
_FRAMING = frozenset((b"content-length", b"host", b"transfer-encoding"))
"""What no request says by itself: it would be another one."""


class _UnreachableError(FetchError):
    """No connection came about, so surely nothing was sent."""


async def resolve(host: str, port: int, policy: OutgoingPolicy) -> list[str]:
    """Return a host's addresses in the system's order, all of them checked.

    Raises `FetchError` when one is not permitted: a name with both kinds of addresses is an attack.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    except OSError:
        raise _UnreachableError(f"{host}: the name cannot be resolved") from None
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not all(policy.permits(ip_address(address)) for address in addresses):
        raise FetchError(f"{host}: its address is not one that may be connected to")
    return addresses


def _open_backend(policy: OutgoingPolicy) -> "httpcore.AsyncNetworkBackend":
    """Make the backend that opens sockets to checked addresses only."""
    import httpcore  # noqa: PLC0415 - comes with the extra

    class GuardedBackend(httpcore.AnyIOBackend):
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
            local_address: str | None = None,
            socket_options: "Iterable[httpcore.SOCKET_OPTION] | None" = None,
        ) -> "httpcore.AsyncNetworkStream":
            try:
                async with asyncio.timeout(timeout):
                    addresses = await resolve(host, port, policy)
            except TimeoutError:
                raise _UnreachableError(f"{host}: the name was not resolved in time") from None
            share = None if timeout is None else timeout / len(addresses)
            connect = partial(super().connect_tcp, port=port, timeout=share, local_address=local_address)
            for address in addresses[:-1]:
                with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                    return await connect(address, socket_options=socket_options)
            return await connect(addresses[-1], socket_options=socket_options)

    return GuardedBackend()


class Client:
    """Makes the outgoing requests of one event loop, over one pool of connections that is opened at the first.

    `timeout` bounds a whole exchange, `connect_timeout` each of name, TCP and TLS, `read_timeout` a silence; all in
    seconds, as is `keep_alive`. `ssl_context` replaces the public certificate authorities that httpx trusts. The first
    request raises `MissingExtraError` where httpx is not installed.
    """

    def __init__(
        self,
        *,
        policy: OutgoingPolicy | None = None,
        timeout: float = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
        max_redirects: int = MAX_REDIRECTS,
        max_response: int = MAX_RESPONSE,
        keep_alive: float = KEEP_ALIVE,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy or OutgoingPolicy()
        self._timeout = timeout
        self._timeouts = {"connect": connect_timeout, "read": read_timeout, "write": read_timeout, "pool": read_timeout}
        self._max_connections = max_connections
        self._max_redirects = max_redirects
        self._max_response = max_response
        self._keep_alive = keep_alive
        self._ssl_context = ssl_context
        self._pool: httpcore.AsyncConnectionPool | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def available(self) -> bool:
        """Whether the extra is installed, told without loading it."""
        return find_spec("httpx") is not None

    async def fetch(self, attachment: Attachment, max_bytes: int, path: str | None) -> Media:
        """Download, decode and describe a file; see `exchange.Fetch`. Files at `path` are made for the owner alone.

        Raises `FetchError`; OSError when `path` cannot be written.
        """
        place = self._policy.locate(attachment.url)
        download = Download(attachment, max_bytes, path)
        try:
            async with _within(min(self._timeout, attachment.expires_at - time.time()), place.host):
                return await self._download(place, download, max_bytes + MAX_OVERHEAD)
        except ProtocolError as error:
            raise FetchError(f"{place.host}: {error}") from None
        finally:
            if download.leaves_traces:
                await asyncio.shield(asyncio.to_thread(download.discard))

    async def send(self, request: OutgoingRequest, now: float) -> Response | None:
        """Send once; return the answer, its body cut at `max_response` bytes, a redirect being an answer like others.

        What the request says of `read_timeout` and `max_response` goes before what the client was given.
        None means that no connection came about: nothing was sent and it may be tried again. Raises `FetchError` for
        a refused URL or address, and when it is not known whether the request took effect: do not send it again.
        """
        place = self._policy.locate(request.url)
        body = request.body if request.body or request.method != "GET" else None  # not even a length of 0
        try:
            async with (
                _within(min(self._timeout, request.expires_at - now), place.host),
                self._exchange(place, request.method, request.headers, body, request.read_timeout) as response,
            ):
                return await _read_response(response, request.max_response or self._max_response)
        except _UnreachableError:
            return None

    async def aclose(self) -> None:
        """Close all connections; what is under way fails with `FetchError`, what comes later with `StateError`."""
        self._closed = True
        if self._pool is not None:
            await self._pool.aclose()

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        place: Place,
        method: str = "GET",
        headers: Headers = (),
        body: bytes | None = None,
        read_timeout: float | None = None,
    ) -> "AsyncIterator[httpcore.Response]":
        """Make one request; while the response is read inside, blame what goes wrong on the host."""
        pool = await self._opened()
        import httpcore  # noqa: PLC0415 - is loaded by now

        url = httpcore.URL(scheme=place.scheme, host=place.host, port=place.port, target=place.target)
        given = {name.lower() for name, _ in headers}
        if given & _FRAMING:
            raise FetchError(f"{place.host}: a field of the request is not for others to write")
        ours = [field for field in _OUR_HEADERS if field[0] not in given]
        fields = [(b"host", place.authority.encode()), *ours, *headers]
        timeouts = {"timeout": self._timeouts if read_timeout is None else self._timeouts | {"read": read_timeout}}
        try:
            async with pool.stream(method, url, headers=fields, content=body, extensions=timeouts) as response:
                yield response
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise _UnreachableError(f"{place.host}: no connection ({type(error).__name__}) {error}".rstrip()) from None
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError) as error:
            # without its text, which may quote what the peer sent
            raise FetchError(f"{place.host}: the exchange broke off ({type(error).__name__})") from None

    async def _download(self, place: Place, download: Download, max_received: int) -> Media:
        headers = download.attachment.headers
        for _ in range(1 + self._max_redirects):
            async with self._exchange(place, headers=headers) as response:
                location = _field(response, b"location")
                if response.status not in _REDIRECTS or not location:
                    _check_head(response, place.host, max_received)
                    return await _receive(response, download, max_received)
            origin = place.scheme, place.authority
            place = self._policy.locate(location.decode("utf-8", "replace"), place.url)
            headers = headers if (place.scheme, place.authority) == origin else ()
        raise FetchError(f"{place.host}: more than {self._max_redirects} redirects")

    async def _opened(self) -> "httpcore.AsyncConnectionPool":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._open)
        if self._closed:
            raise StateError("the client was closed")
        return self._pool

    def _open(self) -> "httpcore.AsyncConnectionPool":
        try:
            import httpcore  # noqa: PLC0415 - comes with the extra
            import httpx  # noqa: PLC0415 - is the extra
        except ImportError:
            raise MissingExtraError("client", "making requests") from None
        return httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context or httpx.create_ssl_context(trust_env=False),
            max_connections=self._max_connections,
            keepalive_expiry=self._keep_alive,
            network_backend=_open_backend(self._policy),
        )


@contextlib.asynccontextmanager
async def _within(seconds: float, host: str) -> AsyncIterator[None]:
    """Bound what is inside. Raises `FetchError` when the time is over, before or after."""
    if seconds <= 0:
        raise FetchError(f"{host}: the URL has expired")
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise FetchError(f"{host}: not done within {seconds:.3g} s") from None


def _field(response: "httpcore.Response", name: bytes) -> bytes:
    """Return the first value of a header field, asked for in lower case, or nothing."""
    return next((value for key, value in response.headers if key.lower() == name), b"")


def _check_head(response: "httpcore.Response", host: str, max_received: int) -> None:
    """Refuse what need not be read. Raises `FetchError`."""
    if response.status != _OK:
        raise FetchError(f"{host}: answered {response.status}")
    if _field(response, b"content-encoding").lower() not in (b"", b"identity"):
        raise FetchError(f"{host}: the answer is compressed, which was not asked for")
    if int(_field(response, b"content-length") or 0) > max_received:
        raise FetchError(f"{host}: the file is larger than allowed")


async def _receive(response: "httpcore.Response", download: Download, max_received: int) -> Media:
    """Pass the body on, in a thread where that pays."""
    gathered = bytearray()
    received = 0
    async for piece in response.aiter_stream():
        received += len(piece)
        if received > max_received:
            raise FetchError("the file is larger than allowed")
        gathered += piece
        if len(gathered) > THREAD_ABOVE:
            await asyncio.to_thread(download.take, bytes(gathered))
            gathered.clear()
    finish = partial(download.finish, bytes(gathered), _field(response, b"content-disposition"))
    return await asyncio.to_thread(finish) if download.path is not None or received > THREAD_ABOVE else finish()


async def _read_response(response: "httpcore.Response", max_bytes: int) -> Response:
    """Return a response in the hall's terms, its body cut at `max_bytes`."""
    body = bytearray()
    async for piece in response.aiter_stream():
        body += piece
        if len(body) >= max_bytes:
            break
    headers = [(name.lower(), value) for name, value in response.headers]
    return Response(response.status, bytes(body[:max_bytes]), _field(response, b"content-type"), headers)
