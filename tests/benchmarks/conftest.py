"""Figures and servers, made up."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import takewhile
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from benchmarks.measuring import Series
from benchmarks.tables import CPU, FIGURES, Row, Table

ROLES = {"rawbot": "rawbot", "constant": "limit", "langbot": "langbot", "granian": "compiled", "blacksheep": "compiled"}
CIPHERS = {"rawbot": "cached", "constant": "", "langbot": "own"}


@pytest.fixture
def make_row() -> Callable[..., Row]:
    """Return what makes a row of a name and its CPU times; all other figures are ones."""

    def make(name: str, *cpu: float) -> Row:
        peer, *qualities = name.partition("@")[0].split("+")
        loop = "uvloop" if "uvloop" in qualities else "asyncio"
        ciphers = CIPHERS.get(peer, "cached" if "cached" in qualities else "fresh")
        series = {figure: Series((1.0,) * len(cpu)) for figure in FIGURES} | {CPU: Series(cpu)}
        return Row(name, name.title(), ROLES.get(peer, "peer"), peer, loop, ciphers, series)

    return make


@pytest.fixture
def make_table(make_row: Callable[..., Row]) -> Callable[..., Table]:
    """Return what makes rows of CPU times by name, `_` for `+`."""

    def make(**cpu: float | tuple[float, ...]) -> Table:
        names = {name.replace("_", "+"): times if isinstance(times, tuple) else (times,) for name, times in cpu.items()}
        return {name: make_row(name, *times) for name, times in names.items()}

    return make


class Handler(StreamRequestHandler):
    def handle(self) -> None:
        while head := b"".join(takewhile(lambda line: line.strip(), self.rfile)):
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
            answer = self.server.answer(head, self.rfile.read(length))
            if answer is None:
                return
            self.wfile.write(answer)


class Stub(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128  # with fewer, a connection may wait a second for its second try
    answer: Callable[[bytes, bytes], bytes | None]

    def handle_error(self, _request: object, _client_address: object) -> None:
        pass  # a client that goes away is no news


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Return what starts a server on a port: it answers each request with what is made of its head and body."""
    with ExitStack() as servers:

        def start(answer: Callable[[bytes, bytes], bytes | None]) -> int:
            server = servers.enter_context(Stub(("127.0.0.1", 0), Handler))
            server.answer = answer
            Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            servers.callback(server.shutdown)
            return server.server_address[1]

        yield start
