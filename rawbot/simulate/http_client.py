"""A small HTTP/1.1 client over kept connections, for the platforms' side.

Layer 3 (simulate). asyncio streams carry the bytes, h11 reads and writes them. It knows no platform; it does not follow
redirects, decompress, or speak through proxies: what a bot server answers is what a test wants to see.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import h11

from rawbot.errors import ConfigError, FetchError
from rawbot.exchange import Headers, Response

MAX_BODY = 256 * 1024 * 1024
"""The largest answer that is read. WeCom's largest, ten images of 10 MB in base64 twice over, takes 187 MB."""

_CHUNK = 65536


@dataclass(slots=True)
class Address:
    """What a URL says about where and what to ask."""

    secure: bool
    host: str
    port: int
    target: str
    """Path and query as they stand in the URL, `/` at least."""

    @property
    def authority(self) -> str:
        """The value of the Host field (RFC 9110 section 7.2): no port when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def split_url(url: str) -> Address:
    """Take an http or https URL apart. Raises `ConfigError`, which does not repeat it: a URL may hold a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("this is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("a URL of the form http://host:port/path or https://… is needed")
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise ConfigError("the path and query of a URL must be percent-encoded")
    return Address(secure, parts.hostname, port or (443 if secure else 80), target)


class HttpClient:
    """Talks to the server of one URL over one connection, which is made anew when the server has closed it.

    Requests wait for each other. `timeout` is the time in seconds that one of them may take altogether, connecting and
    reading the whole answer included. `ssl_context` replaces the system's certificates. `max_body` bounds what is read.
    Close it with `aclose`, or use it as an async context manager.
    """

    __slots__ = ("_address", "_link", "_lock", "_max_body", "_ssl", "_timeout")

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        ssl_context: ssl.SSLContext | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self._address = split_url(url)
        self._ssl = (ssl_context or ssl.create_default_context()) if self._address.secure else None
        self._timeout = timeout
        self._max_body = max_body
        self._lock = asyncio.Lock()
        self._link: _Link | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.aclose()

    async def request(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Response:
        """Send one request and return the whole answer, whatever its status.

        Host is added, and Content-Length where there is a body or the method is POST or PUT. A request is never sent
        twice: a connection that dies under it is a `FetchError`, for only the caller knows whether repeating it is safe
        (RFC 9112 section 9.3.1). Raises `FetchError` with the reason (no connection, no TLS, too slow, closed early,
        not HTTP, too large), and `ConfigError` for a request that HTTP does not allow.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._exchange(method, target, headers, body)
            except TimeoutError:
                raise FetchError(f"no whole answer within {self._timeout:g} s") from None
            except ConnectionRefusedError:
                raise FetchError(f"{self._address.authority}: connection refused: nothing listens there") from None
            except OSError as error:
                raise FetchError(f"{self._address.authority}: {error.strerror or error}") from None
            except h11.LocalProtocolError as error:
                raise ConfigError(f"this request cannot be sent: {error}") from None
            except h11.RemoteProtocolError as error:
                raise FetchError(f"the answer is not good HTTP: {error}") from None
            finally:
                self._drop_unless_reusable()

    async def aclose(self) -> None:
        """Close the connection, if there is one. The client may be used again."""
        link, self._link = self._link, None
        if link is not None:
            link.writer.close()
            with suppress(OSError):
                await link.writer.wait_closed()

    async def _exchange(self, method: str, target: str, headers: Headers, body: bytes) -> Response:
        link = await self._connected()
        link.send(method, target, self._fields(method, headers, body), body)  # not drained: it may answer early (413)
        return await link.read_response(self._max_body)

    def _fields(self, method: str, headers: Headers, body: bytes) -> list[tuple[bytes, bytes]]:
        fields = [(b"host", self._address.authority.encode()), *headers]
        if body or method in ("POST", "PUT"):
            fields.append((b"content-length", b"%d" % len(body)))
        return fields

    async def _connected(self) -> "_Link":
        """Return the kept connection, or a new one when there is none or the server has closed it meanwhile."""
        if self._link is not None:
            await asyncio.sleep(0)  # lets the loop see a close that has arrived already
            if not self._link.closed_by_peer():
                self._link.start_next()
                return self._link
            await self.aclose()
        reader, writer = await asyncio.open_connection(self._address.host, self._address.port, ssl=self._ssl)
        self._link = _Link(reader, writer)
        return self._link

    def _drop_unless_reusable(self) -> None:
        if self._link is not None and not self._link.reusable():
            self._link.writer.transport.abort()
            self._link = None


class HttpPool:
    """As many `HttpClient`s for one URL as there are requests at once; their connections are kept for the next ones."""

    __slots__ = ("_idle", "_new_client")

    def __init__(self, url: str, *, timeout: float = 5.0, ssl_context: ssl.SSLContext | None = None) -> None:
        if split_url(url).secure and ssl_context is None:
            ssl_context = ssl.create_default_context()  # one for all: loading the system's certificates takes 20 ms
        self._new_client = partial(HttpClient, url, timeout=timeout, ssl_context=ssl_context)
        self._idle: list[HttpClient] = []

    async def request(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Response:
        """Send one request at once, whatever else is under way. Returns and raises as `HttpClient.request`."""
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            return await client.request(method, target, headers, body)
        finally:
            self._idle.append(client)

    async def aclose(self) -> None:
        """Close the connections that are idle. The pool may be used again."""
        while self._idle:
            await self._idle.pop().aclose()


class _Link:
    """One connection: the streams and h11's view of what is said on them."""

    __slots__ = ("_http", "_reader", "_silent", "writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self._silent = True

    def closed_by_peer(self) -> bool:
        return self._reader.at_eof() or self.writer.is_closing()

    def reusable(self) -> bool:
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def start_next(self) -> None:
        self._http.start_next_cycle()
        self._silent = True

    def send(self, method: str, target: str, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        head = self._http.send(h11.Request(method=method, target=target, headers=list(fields))) or b""
        data = (self._http.send(h11.Data(data=body)) or b"") if body else b""
        self.writer.write(head + data + (self._http.send(h11.EndOfMessage()) or b""))

    async def read_response(self, max_body: int) -> Response:
        """Return the final answer; 1xx ones before it are passed over."""
        head: h11.Response | None = None
        pieces: list[bytes] = []
        size = 0
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > max_body:
                    raise FetchError(f"the answer is larger than {max_body} bytes")
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _response(head, b"".join(pieces))
            elif event is h11.PAUSED:
                raise FetchError("the server changed to another protocol")

    async def _receive(self) -> None:
        data = await self._reader.read(_CHUNK)
        if not data and self._silent:
            raise FetchError("the server closed the connection without an answer")
        self._silent = False
        self._http.receive_data(data)


def _response(head: h11.Response, body: bytes) -> Response:
    headers = [(bytes(name), bytes(value)) for name, value in head.headers]
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    return Response(head.status_code, body, content_type, headers)
