"""What the conformance suite shares: a case, a real server that echoes, and a client that knows no HTTP but answers.

Each case is bytes for one connection and what must come back. A good request is sent behind every case: on a connection
that stays it must be answered, so nothing of the case is left in the stream; on one that ends it must not.
"""

import asyncio
import contextlib
import functools
import random
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import pairwise

import rawbot
from rawbot.exchange import Answer, Endpoint, Exchange, Request, Response
from rawbot.http.limits import Limits

HOST = b"Host: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PATHS = ("/", "/a", "/nothing", "/unchanged", "/probe", "//", "/%61//../")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND")
LIMITS = Limits(
    max_target_size=200,
    max_header_size=600,
    max_header_count=8,
    max_body_size=100,
    max_chunk_line_size=40,
    max_chunk_overhead=60,
    max_trailer_size=60,
)
PROBE = b"GET /probe HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TIMEOUT = 20.0
"""Seconds for all cases of a file in one feeding; they take less than one."""

TURNS = 2
"""Turns of the loop, which runs both sides, that the server needs to read what was sent."""

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [A-Za-z -]+\r\n")


@dataclass(frozen=True)
class Said:
    """An answer that is expected; `body` None is any that is as long as it says."""

    status: int
    body: bytes | None = None
    head_only: bool = False


@dataclass(frozen=True)
class Case:
    """Bytes for one connection, the answers to them, and whether the connection stays."""

    data: bytes
    answers: tuple[Said | bytes, ...]
    stays: bool


def get(fields: bytes = b"", *, line: bytes = b"GET /a?b=c HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"", *, version: bytes = b"1.1") -> bytes:
    return get(fields, line=b"POST /a HTTP/" + version) + body


def echoed(text: bytes | Said) -> Said:
    return text if isinstance(text, Said) else Said(200, text)


GOT = b"GET /a?b=c "


def answered(data: bytes, *bodies: bytes | Said) -> Case:
    """Make a case in which everything is answered, and the connection stays."""
    return Case(data, tuple(map(echoed, bodies)), stays=True)


def closed(data: bytes, *bodies: bytes | Said) -> Case:
    """Make a case in which everything is answered, and the connection ends."""
    return Case(data, tuple(map(echoed, bodies)), stays=False)


def refused(data: bytes, status: int, *before: bytes) -> Case:
    """Make a case that ends in a refusal, behind the answers to what came before."""
    return Case(data, (*map(echoed, before), Said(status)), stays=False)


class Echo(Endpoint):
    """Says what was asked; has nothing to say on /nothing and /unchanged."""

    methods = METHODS

    def receive(self, request: Request, now: float) -> Exchange:  # noqa: ARG002 - an endpoint's shape
        status = {"/nothing": 204, "/unchanged": 304}.get(request.path, 200)
        line = f"{request.method} {request.path}?{request.query} ".replace("? ", " ")
        return Answer(Response(status, line.encode() + request.body if status == 200 else b""))


def make_app(*, fast_path: bool) -> rawbot.App:
    app = rawbot.App(rawbot.Bot(), limits=LIMITS, fast_path=fast_path)
    for path in PATHS:
        app.add(path, Echo())
    return app


def whole(data: bytes) -> list[bytes]:
    return [data]


def single(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def torn(data: bytes) -> list[bytes]:
    chance = random.Random(data)
    edges = [0, *sorted(chance.randrange(len(data) + 1) for _ in range(5)), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


Feeding = Callable[[bytes], list[bytes]]
FEEDINGS: tuple[Feeding, ...] = (whole, single, torn)
FAST_PATH = (True, False)
"""Whether the recogniser may read what is common, which must show nowhere."""


class Talks:
    """All cases of a file at once over real sockets, once for each feeding, with the fast path and without."""

    def __init__(self, cases: Mapping[str, Case]) -> None:
        self._cases = cases
        self.said = functools.cache(self._said)

    def _said(self, feeding: Feeding, *, fast_path: bool) -> dict[str, bytes]:
        return asyncio.run(self._talk(feeding, make_app(fast_path=fast_path)))

    async def _talk(self, feeding: Feeding, app: rawbot.App) -> dict[str, bytes]:
        async with asyncio.timeout(TIMEOUT), rawbot.serve(app, port=0) as server:
            talks = [talk(server.port, feeding(case.data + PROBE)) for case in self._cases.values()]
            return dict(zip(self._cases, await asyncio.gather(*talks), strict=True))


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[socket.socket]:
    """Connect; what is sent leaves at once."""
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        yield client


@contextlib.asynccontextmanager
async def client_of_a_server(*, fast_path: bool) -> AsyncIterator[socket.socket]:
    """Serve, and connect."""
    app = make_app(fast_path=fast_path)
    async with asyncio.timeout(TIMEOUT), rawbot.serve(app, port=0) as server, connected(server.port) as client:
        yield client


async def send(client: socket.socket, pieces: list[bytes]) -> None:
    """Send the pieces so that the server reads each of them alone, as far as it is up to us."""
    loop = asyncio.get_running_loop()
    for piece in pieces:
        await loop.sock_sendall(client, piece)
        for _ in range(TURNS):
            await asyncio.sleep(0)


async def talk(port: int, pieces: list[bytes]) -> bytes:
    """Send the pieces and return all that comes until the server closes."""
    async with connected(port) as client:
        reading = asyncio.create_task(read_all(client))
        with contextlib.suppress(ConnectionError):  # it was closed on the way, for which there was an answer
            await send(client, pieces)
        return await reading


async def read_all(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    said = b""
    while data := await loop.sock_recv(client, 65536):
        said += data
    return said


def check(said: bytes, case: Case, *, tells_the_end: bool = True) -> None:
    """Compare what came back with what must; each answer is complete in itself, and nothing stands between them.

    The last answer on a connection must say that it is the last, unless the end came about behind it.
    """
    probe = (Said(200, b"GET /probe "),) if case.stays else ()
    expected = (*case.answers, *probe)
    for number, answer in enumerate(expected, 1):
        if isinstance(answer, bytes):
            assert said.startswith(answer)
            said = said.removeprefix(answer)
        else:
            said = check_answer(said, answer, last=number == len(expected) if tells_the_end else None)
    assert said == b""


def check_answer(said: bytes, answer: Said, *, last: bool | None) -> bytes:
    """Check the first answer, and whether it says that it is the last; return what stands behind it."""
    line = _STATUS_LINE.match(said)
    assert line, said
    assert int(line[1]) == answer.status, said
    head, _, rest = said[line.end() :].partition(b"\r\n\r\n")
    fields = dict(field.split(b": ", 1) for field in head.split(b"\r\n"))
    assert len(fields) == head.count(b"\r\n") + 1
    assert parsedate_to_datetime(fields[b"date"].decode()).tzname() == "UTC"
    assert last in (None, fields.get(b"connection") == b"close")
    if answer.status in (204, 304):
        assert b"content-length" not in fields
        return rest
    length = int(fields[b"content-length"])
    if answer.head_only:
        assert length
        return rest
    assert len(rest) >= length
    assert answer.body in (None, rest[:length])
    return rest[length:]
