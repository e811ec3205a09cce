"""The limits: servers that do less than the work, to show what a part of it costs at the least.

Each finds out where requests end and answers every one with the same bytes, a good answer to some message.
`constant` looks for the end as cheaply as can be; h11 and httptools parse, and h11 writes the answer's head, too.
"""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from typing import ClassVar, cast

from benchmarks.peers.callbacks import JSON, Callbacks, split_query
from benchmarks.peers.loops import run, stopped
from benchmarks.peers.order import HOST, Order
from benchmarks.traffic import Traffic

_END = b"\r\n\r\n"
_LENGTH = b"Content-Length: "


class Limit(asyncio.Protocol):
    """One connection, and the answer that it gives."""

    answer: ClassVar[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)
        self._begin()

    def _begin(self) -> None:
        """Get ready for the first request."""


class Constant(Limit):
    """Counts requests by their lengths, as long as the field is spelled as our load spells it."""

    def _begin(self) -> None:
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        if self._rest:
            data = self._rest + data
        begin = answers = 0
        while (end := _end_of_request(data, begin)) <= len(data):
            answers += 1
            begin = end
        self._rest = data[begin:]
        if answers:
            self._transport.write(self.answer * answers)


def serve_constant(order: Order) -> None:
    """Serve the constant answer until a signal."""
    _serve(Constant, order)


def serve_h11(order: Order) -> None:
    """Serve by h11 alone until a signal."""
    import h11  # noqa: PLC0415 - each limit runs without the packages of the others

    body = _make_body()
    response = h11.Response(status_code=200, reason=b"OK", headers=_make_fields(body))
    data, end = h11.Data(data=body), h11.EndOfMessage()

    class H11(Limit):
        def _begin(self) -> None:
            self._connection = h11.Connection(h11.SERVER)

        def data_received(self, received: bytes) -> None:
            connection = self._connection
            try:
                connection.receive_data(received)
                while (event := connection.next_event()) is not h11.NEED_DATA and event is not h11.PAUSED:
                    if isinstance(event, h11.ConnectionClosed):
                        return
                    if isinstance(event, h11.EndOfMessage):
                        send = connection.send
                        self._transport.write((send(response) or b"") + (send(data) or b"") + (send(end) or b""))
                        connection.start_next_cycle()
            except h11.ProtocolError:
                self._transport.close()

    _serve(H11, order)


def serve_httptools(order: Order) -> None:
    """Serve by httptools alone until a signal."""
    import httptools  # noqa: PLC0415 - as above

    class Httptools(Limit):
        def _begin(self) -> None:
            self._feed = httptools.HttpRequestParser(self).feed_data

        def data_received(self, data: bytes) -> None:
            try:
                self._feed(data)
            except httptools.HttpParserError:
                self._transport.close()

        def on_message_complete(self) -> None:
            self._transport.write(self.answer)

    _serve(Httptools, order)


def _serve(limit: type[Limit], order: Order) -> None:
    body = _make_body()
    head = b"".join(b"%b: %b\r\n" % field for field in _make_fields(body))
    limit.answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body
    run(_listen(limit, order.port), order.loop)


async def _listen(protocol: Callable[[], asyncio.Protocol], port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = stopped(loop)
    server = await loop.create_server(protocol, HOST, port)
    await stop.wait()
    server.close()


def _end_of_request(data: bytes, begin: int) -> int:
    """Return where the request that begins here ends; beyond all data when that is not known yet."""
    end = data.find(_END, begin)
    if end < 0 or begin == len(data):
        return len(data) + 1
    length = data.find(_LENGTH, begin, end)
    if length < 0:
        return end + len(_END)
    start = length + len(_LENGTH)
    return end + len(_END) + int(data[start : data.index(b"\r\n", start)])


def _make_body() -> bytes:
    """Return what a peer answers to a message."""
    head, _, body = Traffic().messages(1)[0].request.partition(_END)
    query = split_query(head.split(b" ")[1].partition(b"?")[2].decode())
    return Callbacks("cached").answer(query["msg_signature"], query["timestamp"], query["nonce"], body)[0]


def _make_fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the least that an answer's head holds."""
    return [
        (b"date", formatdate(usegmt=True).encode()),
        (b"content-type", JSON.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
