"""rawbot/aio/listening/accepting.py: what the kernel may answer to accept, and how many may be under way."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_endpoint import until
from listening import Echo, NewLoop, ask, dial, dial_socket, each_loop, hang_up, listening, run, say
from proxy_headers import LOCAL

from rawbot.aio.listening import accepting
from rawbot.aio.listening.accepting import AcceptingServer, Acceptor
from rawbot.aio.listening.listen import Listen, Origin

ANYBODY = Listen(port=0, proxy_protocol=True, forwarded_allow_ips="*")


class Troubled(socket.socket):
    """Fails to accept as often as it is told to."""

    __slots__ = ("troubles",)

    def __init__(self, *troubles: int) -> None:
        super().__init__()
        self.troubles = list(troubles)
        self.bind(("127.0.0.1", 0))
        self.listen()

    def accept(self) -> tuple[socket.socket, object]:
        if self.troubles:
            raise OSError(self.troubles.pop(0), "made up")
        return super().accept()


def make_server(sock: socket.socket) -> AcceptingServer:
    loop = asyncio.get_running_loop()
    origin = Origin("http", "here", unix=False, trusted=ANYBODY.trusted)
    server = AcceptingServer(sock, Acceptor(ANYBODY, origin, Echo, loop), loop, name="here", max_waiting=9)
    server.start()
    return server


async def ask_at(sock: socket.socket) -> bytes:
    streams = await asyncio.open_connection(*sock.getsockname())
    try:
        return await say(streams, LOCAL + b"hello")
    finally:
        await hang_up(streams)


@pytest.mark.parametrize("trouble", [errno.ECONNABORTED, errno.EAGAIN, errno.EINTR])
@each_loop
def test_a_connection_that_is_gone_before_it_is_accepted_is_nothing(
    new_loop: NewLoop, trouble: int, caplog: pytest.LogCaptureFixture
):
    async def go():
        sock = Troubled(trouble)
        server = make_server(sock)
        assert await ask_at(sock) == b"http - hello"
        server.close()

    run(new_loop, go())
    assert not caplog.records


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
@each_loop
def test_without_descriptors_it_rests_and_goes_on(
    new_loop: NewLoop, trouble: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(accepting, "_REST", 0.05)
    reported = []

    async def go():
        sock = Troubled(trouble, trouble)
        server = make_server(sock)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        started = loop.time()
        assert await ask_at(sock) == b"http - hello"
        assert loop.time() - started > 0.09
        for context in reported:  # as asyncio's selector_events reports it
            assert context["message"] == "socket.accept() out of system resource"
            assert context["exception"].errno == trouble
            assert context["socket"] is sock
        server.close()

    run(new_loop, go())
    assert len(reported) == 2
    assert caplog.records == []


@each_loop
def test_another_trouble_is_logged_and_it_goes_on_after_a_rest(
    new_loop: NewLoop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(accepting, "_REST", 0.01)

    async def go():
        sock = Troubled(errno.EPERM)  # a firewall's, accept(2)
        server = make_server(sock)
        assert await ask_at(sock) == b"http - hello"
        server.close()

    run(new_loop, go())
    assert [record.getMessage() for record in caplog.records] == ["here: cannot accept connections: made up"]


def without(sock: socket.socket, number: int) -> None:
    """Connect as often, and send what is no PROXY header."""
    for _ in range(number):
        with socket.create_connection(sock.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("end", [AcceptingServer.close, AcceptingServer.abort])
@each_loop
def test_of_many_that_do_not_get_through_ten_are_told_and_then_their_number_at_the_latest_at_the_end(
    new_loop: NewLoop, end: Callable[[AcceptingServer], None], caplog: pytest.LogCaptureFixture
):
    async def go():
        sock = Troubled()
        server = make_server(sock)
        without(sock, 25)
        await until(lambda: server.failed == 25)
        assert len(caplog.records) == 10
        end(server)

    with caplog.at_level(logging.INFO, "rawbot"):
        run(new_loop, go())
    assert len(caplog.records) == 11
    assert caplog.records[-1].getMessage() == "here: 15 more connections did not get through"


@each_loop
def test_the_number_is_told_when_its_time_is_over_also_if_nobody_else_comes(
    new_loop: NewLoop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(accepting, "_TOLD_FOR", 0.2)

    async def go():
        sock = Troubled()
        server = make_server(sock)
        without(sock, 12)
        await until(lambda: "more connections" in caplog.text)
        without(sock, 1)
        await until(lambda: server.failed == 13)
        server.close()

    with caplog.at_level(logging.INFO, "rawbot"):
        run(new_loop, go())
    assert sum("did not get through: " in record.getMessage() for record in caplog.records) <= 13
    assert caplog.text.count("more connections") == 1


@each_loop
def test_closing_ends_the_rest(new_loop: NewLoop):
    async def go():
        sock = Troubled(errno.EMFILE)
        server = make_server(sock)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        with socket.create_connection(sock.getsockname()):
            await until(lambda: server._rest)
            server.close()
            server.close()
            server._watch()
            assert sock.fileno() == -1

    run(new_loop, go())


@pytest.mark.parametrize("places", [2, 3, 4])
@each_loop
def test_when_too_many_are_under_way_the_rest_waits_in_the_kernel(new_loop: NewLoop, places: int):
    async def go():
        async with listening(replace(ANYBODY, max_handshakes=places)) as [listener]:
            silent = [await dial(listener) for _ in range(3)]
            await until(lambda: listener._server.waiting == min(places, 3))
            late = await dial(listener)
            late[1].write(LOCAL + b"hello")
            if places <= 3:
                await asyncio.sleep(0.02)
                assert listener._server.waiting == places
            for streams in silent[: 4 - places]:  # each that is through makes place for the next
                assert await say(streams, LOCAL + b"hello") == b"http - hello"
            assert await late[0].read(100) == b"http - hello"
            for streams in (*silent, late):
                await hang_up(streams)

    run(new_loop, go())


@each_loop
def test_a_burst_is_taken_in_portions(new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accepting, "_ACCEPTS_PER_TURN", 2)

    async def go():
        async with listening(ANYBODY) as [listener]:
            burst = [dial_socket(listener) for _ in range(7)]  # all of them before the loop turns
            loop = asyncio.get_running_loop()
            for sock in burst:
                with sock:
                    sock.setblocking(False)
                    await loop.sock_sendall(sock, LOCAL + b"hello")
                    assert await loop.sock_recv(sock, 100) == b"http - hello"

    run(new_loop, go())


@each_loop
def test_a_program_that_cannot_take_a_connection_on_goes_on_with_the_next(
    new_loop: NewLoop, caplog: pytest.LogCaptureFixture
):
    failures = [ZeroDivisionError("ours")]

    def connect(origin: Origin, peer: str | None) -> Echo:
        if failures:
            raise failures.pop()
        return Echo(origin, peer)

    async def go():
        async with listening(ANYBODY, connect=connect) as [listener]:
            assert await ask(listener, LOCAL + b"hello") == b""
            assert await ask(listener, LOCAL + b"hello") == b"http - hello"
            assert listener.failed == 1

    run(new_loop, go())
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info[0] is ZeroDivisionError
