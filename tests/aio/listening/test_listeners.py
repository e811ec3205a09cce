"""rawbot/aio/listening/listeners.py over real sockets: every kind of listening, free ports, the two IPs, ends."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_endpoint import GET, FakeEndpoint, make_app
from listening import (
    HAS_IPV6,
    Echo,
    NewLoop,
    ask,
    dial,
    dial_socket,
    each_loop,
    hang_up,
    listening,
    needs_ipv6,
    run,
    say,
)
from proxy_headers import LOCAL

from rawbot.aio.listening import sockets as listening_sockets
from rawbot.aio.listening.listen import Listen
from rawbot.aio.listening.listeners import accept, open_listeners
from rawbot.errors import ConfigError

FREE = Listen(port=0)


async def open_only(*listens: Listen) -> None:
    async with listening(*listens, serve=False):
        pass


async def is_refused(dial_it: Callable[[], socket.socket]) -> bool:
    try:
        sock = dial_it()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    sock.close()
    return False


def bound(family: socket.AddressFamily = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> socket.socket:
    sock = socket.socket(family)
    sock.bind(address)
    return sock


# TCP


@each_loop
def test_a_free_port_is_served_and_told(new_loop: NewLoop):
    async def go():
        async with listening(FREE) as [listener]:
            assert listener.port > 0
            assert listener.address == f"127.0.0.1:{listener.port}"
            assert listener.url == f"http://127.0.0.1:{listener.port}"
            assert (listener.origin.name, listener.origin.scheme) == (listener.address, "http")
            assert not listener.origin.unix
            assert await ask(listener) == b"http - hello"

    run(new_loop, go())


@each_loop
def test_the_kernel_holds_as_many_connections_as_were_asked_for(new_loop: NewLoop):
    async def go():
        async with listening(Listen(port=0, backlog=77)) as [listener]:
            # of a listening socket `tcpi_sacked` is its backlog (tcp_get_info in Linux, net/ipv4/tcp.c)
            info = listener._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            assert int.from_bytes(info[28:32], sys.byteorder) == 77

    run(new_loop, go())


@needs_ipv6
@each_loop
def test_port_0_is_the_same_free_port_on_every_address(new_loop: NewLoop):
    async def go():
        async with listening(Listen(host=["127.0.0.1", "::1", "127.0.0.2"], port=0)) as listeners:
            port = listeners[0].port
            assert [listener.address for listener in listeners] == [
                f"127.0.0.1:{port}",
                f"[::1]:{port}",
                f"127.0.0.2:{port}",
            ]
            assert listeners[1].url == f"http://[::1]:{port}"
            for listener in listeners:
                assert await ask(listener) == b"http - hello"

    run(new_loop, go())


def test_a_port_that_is_free_on_the_first_address_only_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    """The kernel is asked for another one, until it is free on all of them."""
    bind = listening_sockets._bind
    taken: list[int] = []

    def bind_with_neighbours(listen: Listen, place: listening_sockets._Place, port: int) -> socket.socket:
        if port and len(taken) < 3:
            taken.append(port)
            raise OSError(98, "Address already in use")  # EADDRINUSE
        return bind(listen, place, port)

    monkeypatch.setattr(listening_sockets, "_bind", bind_with_neighbours)

    async def go():
        async with listening(Listen(host=["127.0.0.1", "127.0.0.2"], port=0)) as [first, second]:
            assert first.port == second.port
            assert first.port not in taken
            assert len(set(taken)) == 3
            for port in taken:
                bound(address=("127.0.0.1", port)).close()  # which it could not while we held it

    asyncio.run(go())


def test_when_no_port_is_free_on_all_of_them_it_says_so(monkeypatch: pytest.MonkeyPatch):
    bind = listening_sockets._bind

    def bind_alone(listen: Listen, place: listening_sockets._Place, port: int) -> socket.socket:
        if port:
            raise OSError(98, "Address already in use")  # EADDRINUSE
        return bind(listen, place, port)

    monkeypatch.setattr(listening_sockets, "_bind", bind_alone)
    with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1, 127\.0\.0\.2: no port is free"):
        asyncio.run(open_only(Listen(host=["127.0.0.1", "127.0.0.2"], port=0)))


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "ipv4", "ipv6"),
    [("::", False, True), ("0.0.0.0", True, False), (None, True, True), (["0.0.0.0", "::"], True, True)],
)
def test_an_address_for_all_interfaces_is_of_its_own_family_and_none_is_of_both(
    host: str | list[str] | None,
    ipv4: bool,  # noqa: FBT001 - a table's column
    ipv6: bool,  # noqa: FBT001
):
    async def go():
        async with listening(Listen(host=host, port=0)) as listeners:
            port = listeners[0].port
            assert len(listeners) == ipv4 + ipv6
            assert await is_refused(lambda: socket.create_connection(("127.0.0.1", port), 5)) is not ipv4
            assert await is_refused(lambda: socket.create_connection(("::1", port), 5)) is not ipv6

    asyncio.run(go())


def test_all_interfaces_are_those_there_are(monkeypatch: pytest.MonkeyPatch):
    bind = listening_sockets._bind

    def bind_without_ipv6(listen: Listen, place: listening_sockets._Place, port: int) -> socket.socket:
        if place.family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")  # EAFNOSUPPORT
        return bind(listen, place, port)

    monkeypatch.setattr(listening_sockets, "_bind", bind_without_ipv6)

    async def go():
        async with listening(Listen(host=None, port=0)) as [listener]:
            assert listener.address == f"0.0.0.0:{listener.port}"

    asyncio.run(go())
    with pytest.raises(ConfigError, match=r"cannot listen on \[::\]:0: Address family not supported"):
        asyncio.run(open_only(Listen(host="::", port=0)))
    with pytest.raises(ConfigError, match=r"cannot listen on \[::1\]:0: Address family not supported"):
        asyncio.run(open_only(Listen(host=["127.0.0.1", "::1"], port=0)))


def test_a_name_may_have_addresses_that_this_machine_has_not():
    """As localhost has ::1 in /etc/hosts of machines without IPv6."""

    async def go():
        loop = asyncio.get_running_loop()

        async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            assert host == "bot.test"
            found = ["198.51.100.1", "127.0.0.1", "198.51.100.2", "127.0.0.1"]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        loop.getaddrinfo = resolve
        async with listening(Listen(host="bot.test", port=0)) as [listener]:
            assert listener.address == f"127.0.0.1:{listener.port}"

        async def resolve_elsewhere(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"198.51.100.{n}", port)) for n in (1, 2)]

        loop.getaddrinfo = resolve_elsewhere
        with pytest.raises(ConfigError, match=r"cannot listen on bot\.test:0: Cannot assign requested address"):
            await open_only(Listen(host="bot.test", port=0))

    asyncio.run(go())


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("198.51.100.1", 0, "Cannot assign requested address"),  # RFC 5737: nobody has it
        (["127.0.0.1", "198.51.100.1"], 0, "Cannot assign requested address"),
        ("a" * 64 + ".b", 0, "label"),
        ("a\x00b", 0, "known|null"),
        ("[::1]", 0, "known|resolution|hostname|Name"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_with_the_reason(host: str | list[str], port: int, reason: str):
    with pytest.raises(ConfigError, match=f"^cannot listen on .*: .*({reason})"):
        asyncio.run(open_only(Listen(host=host, port=port)))


@each_loop
def test_a_port_that_somebody_listens_at_is_refused_before_anything_is_served(new_loop: NewLoop):
    async def go():
        async with listening(FREE) as [listener]:
            with pytest.raises(
                ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{listener.port}: Address already in"
            ):
                await open_only(Listen(port=listener.port))
            assert await ask(listener) == b"http - hello"

    run(new_loop, go())


@each_loop
def test_processes_share_a_port_when_both_say_so(new_loop: NewLoop):
    async def go():
        async with (
            listening(Listen(port=0, reuse_port=True)) as [one],
            listening(Listen(port=one.port, reuse_port=True)) as [two],
        ):
            assert one.address == two.address
            for _ in range(8):
                assert await ask(one) == b"http - hello"
            with pytest.raises(ConfigError, match="Address already in use"):
                await open_only(Listen(port=one.port))

    run(new_loop, go())


def test_an_address_asked_for_twice_is_refused_though_the_kernel_would_bind_it():
    port = free_port()
    with pytest.raises(ConfigError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: it is asked for twice"):
        asyncio.run(open_only(Listen(port=port), Listen(port=port)))
    with pytest.raises(ConfigError, match="it is asked for twice"):
        asyncio.run(open_only(Listen(host="0.0.0.0", port=port), Listen(port=port)))
    asyncio.run(open_only(Listen(port=port, reuse_port=True), Listen(port=port, reuse_port=True)))


def free_port() -> int:
    with bound() as sock:
        return sock.getsockname()[1]


# All or nothing, and when


@each_loop
def test_until_it_serves_connections_are_refused(new_loop: NewLoop):
    async def go():
        async with listening(FREE, serve=False) as [listener]:
            assert await is_refused(lambda: dial_socket(listener))
            await listener.start_serving()
            assert await ask(listener) == b"http - hello"

    run(new_loop, go())


@each_loop
def test_when_one_address_cannot_be_had_the_others_are_given_back(new_loop: NewLoop, tmp_path: Path):
    path = tmp_path / "bot.sock"
    port = free_port()

    async def go():
        with bound() as taken:
            taken.listen()
            with pytest.raises(ConfigError, match="cannot listen on"):
                await open_only(Listen(port=port), Listen(uds=str(path)), Listen(port=taken.getsockname()[1]))
        assert await is_refused(lambda: socket.create_connection(("127.0.0.1", port), 5))
        assert not path.is_socket()
        await open_only(Listen(port=port), Listen(uds=str(path)))

    run(new_loop, go())


@each_loop
def test_who_begins_to_listen_in_the_meantime_is_told_of(new_loop: NewLoop):
    async def go():
        async with listening(FREE, serve=False) as [listener]:
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(listener.tcp)
                other.listen()
                with pytest.raises(
                    ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{listener.port}: Address already"
                ):
                    await listener.start_serving()

    run(new_loop, go())


@each_loop
def test_closing_ends_the_accepting_and_leaves_connections_alone(new_loop: NewLoop):
    async def go():
        async with listening(FREE) as [listener]:
            streams = await dial(listener)
            assert await say(streams) == b"http - hello"
            listener.close()
            listener.close()
            await asyncio.sleep(0.01)
            assert await is_refused(lambda: dial_socket(listener))
            assert await say(streams) == b"http - hello"
            assert listener.address == f"127.0.0.1:{listener.port}"  # still known
            await hang_up(streams)

    run(new_loop, go())


@each_loop
def test_what_never_served_is_closed_all_the_same(new_loop: NewLoop):
    async def go():
        loop = asyncio.get_running_loop()
        [listener] = await open_listeners([FREE], Echo, loop)
        listener.close()
        await open_only(Listen(port=listener.port))

    run(new_loop, go())


# Unix


@each_loop
def test_a_unix_socket_is_served_with_its_mode_and_removed_at_the_end(new_loop: NewLoop, tmp_path: Path):
    path = tmp_path / "bot.sock"

    async def go():
        async with listening(Listen(uds=str(path), uds_mode=0o660)) as [listener]:
            assert path.is_socket()
            assert path.stat().st_mode & 0o777 == 0o660
            assert (listener.address, listener.url, listener.port) == (f"unix:{path}", f"http://unix:{path}", None)
            assert listener.origin.unix
            assert await ask(listener) == b"http - hello"
        assert not path.exists()

    run(new_loop, go())


def test_without_a_mode_the_umask_decides(tmp_path: Path):
    path = tmp_path / "bot.sock"

    async def go():
        async with listening(Listen(uds=str(path)), serve=False):
            return path.stat().st_mode & 0o777

    before = os.umask(0o027)
    try:
        assert asyncio.run(go()) == 0o750
    finally:
        os.umask(before)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
@each_loop
def test_an_abstract_name_leaves_no_file(new_loop: NewLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    name = f"rawbot-test-{os.getpid()}"

    async def go():
        async with listening(Listen(uds=f"@{name}")) as [listener]:
            assert listener.address == f"unix:@{name}"
            assert await ask(listener) == b"http - hello"
            with pytest.raises(ConfigError, match=f"cannot listen on unix:.*{name}: Address already in use"):
                await open_only(Listen(uds=f"\0{name}"))

    run(new_loop, go())
    assert list(tmp_path.iterdir()) == []


@each_loop
def test_a_socket_that_was_left_behind_is_replaced(new_loop: NewLoop, tmp_path: Path):
    path = tmp_path / "bot.sock"
    bound(socket.AF_UNIX, str(path)).close()
    assert path.is_socket()

    async def go():
        async with listening(Listen(uds=str(path))) as [listener]:
            assert await ask(listener) == b"http - hello"

    run(new_loop, go())


@each_loop
def test_a_socket_that_somebody_listens_at_is_left_alone(new_loop: NewLoop, tmp_path: Path):
    path = str(tmp_path / "bot.sock")

    async def go():
        async with listening(Listen(uds=path)) as [listener]:
            with pytest.raises(ConfigError, match=r"cannot listen on unix:.*bot\.sock: somebody listens there"):
                await open_only(Listen(uds=path))
            assert await ask(listener) == b"http - hello"

    run(new_loop, go())


def test_a_server_that_does_not_serve_yet_is_not_taken_for_a_stale_one(tmp_path: Path):
    path = str(tmp_path / "bot.sock")

    async def go():
        async with listening(Listen(uds=path), serve=False) as [listener]:
            with pytest.raises(ConfigError, match="somebody listens there"):
                await open_only(Listen(uds=path))
            await listener.start_serving()
            assert await ask(listener) == b"http - hello"

    asyncio.run(go())


def test_a_server_whose_queue_is_full_is_not_taken_for_a_stale_one(tmp_path: Path):
    path = str(tmp_path / "bot.sock")
    with (
        bound(socket.AF_UNIX, path) as busy,
        socket.socket(socket.AF_UNIX) as first,
        socket.socket(socket.AF_UNIX) as more,
    ):
        busy.listen(0)
        first.connect(path)
        more.setblocking(False)
        with pytest.raises(BlockingIOError):
            more.connect(path)
        with pytest.raises(ConfigError, match="somebody listens there"):
            asyncio.run(open_only(Listen(uds=path)))


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path):
    target = tmp_path / "data"
    target.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(target)
    datagrams = tmp_path / "datagrams"
    with bound_datagrams(datagrams):
        for path in (target, link, tmp_path, datagrams):
            with pytest.raises(
                ConfigError, match=rf"cannot listen on unix:{path}: (a file that is no socket|Protocol wrong)"
            ):
                asyncio.run(open_only(Listen(uds=str(path))))
    assert target.read_text() == "precious"
    assert link.is_symlink()
    assert datagrams.is_socket()


def bound_datagrams(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    return sock


@pytest.mark.parametrize(("path", "reason"), [("x" * 200, "too long"), ("no/such/folder/bot.sock", "No such file")])
def test_a_path_that_cannot_be_one_is_named(path: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^cannot listen on unix:{path}: .*{reason}"):
        asyncio.run(open_only(Listen(uds=path)))


@each_loop
def test_a_file_that_a_successor_has_put_there_is_not_removed(new_loop: NewLoop, tmp_path: Path):
    path = tmp_path / "bot.sock"

    async def go():
        async with listening(Listen(uds=str(path))):
            path.unlink()
            successor = bound(socket.AF_UNIX, str(path))
        with successor:
            assert path.is_socket()

    run(new_loop, go())


@each_loop
def test_a_file_that_is_gone_does_no_harm(new_loop: NewLoop, tmp_path: Path):
    path = tmp_path / "bot.sock"

    async def go():
        async with listening(Listen(uds=str(path))):
            path.unlink()

    run(new_loop, go())


# Handed in


@needs_ipv6
@each_loop
def test_a_descriptor_is_served_whatever_its_family_and_stays_open(new_loop: NewLoop, tmp_path: Path):
    path = str(tmp_path / "bot.sock")

    async def go(given: socket.socket, *, unix: bool):
        fd = os.dup(given.fileno())
        try:
            async with listening(Listen(fd=fd)) as [listener]:
                assert listener.origin.unix is unix
                assert await ask(listener) == b"http - hello"
            assert os.fstat(fd)
            assert given.getsockname() == (path if unix else listener.tcp + (0, 0) * (":" in listener.tcp[0]))
        finally:
            os.close(fd)

    with bound() as ipv4, bound(socket.AF_INET6, ("::1", 0)) as ipv6, bound(socket.AF_UNIX, path) as unix:
        run(new_loop, go(ipv4, unix=False))
        run(new_loop, go(ipv6, unix=False))
        run(new_loop, go(unix, unix=True))
        assert Path(path).is_socket(), "what was handed in is not ours to remove"


def test_descriptor_0_is_one_like_any_other():
    assert Listen(fd=0).hosts == ()
    with pytest.raises(ConfigError, match=r"^cannot listen on fd 0: "):
        asyncio.run(open_only(Listen(fd=0)))


@each_loop
def test_a_socket_is_served_and_stays_its_owners(new_loop: NewLoop):
    async def go():
        with bound() as given:
            async with listening(Listen(sock=given)) as [listener]:
                assert listener.tcp == given.getsockname()
                assert await ask(listener) == b"http - hello"
            async with listening(Listen(sock=given)) as [listener]:  # so the next server goes on with it
                assert await ask(listener) == b"http - hello"
            waiting = dial_socket(listener)  # and in between the kernel lets connections wait
            async with listening(Listen(sock=given)):
                loop = asyncio.get_running_loop()
                waiting.setblocking(False)
                await loop.sock_sendall(waiting, b"hello")
                assert await loop.sock_recv(waiting, 100) == b"http - hello"
                waiting.close()

    run(new_loop, go())


@each_loop
def test_the_sockets_of_systemd_are_served(new_loop: NewLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = [bound(), bound(socket.AF_UNIX, str(tmp_path / "bot.sock"))]
    for sock in given:
        sock.listen()
    monkeypatch.setattr(listening_sockets, "activated_sockets", lambda: given)

    async def go():
        async with listening(Listen(systemd=True)) as [tcp, unix]:
            assert (tcp.origin.unix, unix.origin.unix) == (False, True)
            for listener in (tcp, unix):
                assert await ask(listener) == b"http - hello"
        assert (tmp_path / "bot.sock").is_socket(), "systemd goes on listening there"

    run(new_loop, go())


def test_without_systemd_there_is_nothing_to_serve(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with pytest.raises(ConfigError, match="LISTEN_FDS"):
        asyncio.run(open_only(Listen(systemd=True)))


def a_pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def a_connection() -> int:
    """As of inetd, or of a unit with Accept=yes."""
    with bound() as server, socket.socket() as client:
        server.listen()
        client.connect(server.getsockname())
        return server.accept()[0].detach()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (a_pipe, "Socket operation on non-socket"),
        (lambda: socket.socket().detach(), "it is not bound"),
        (lambda: socket.socket(socket.AF_UNIX).detach(), "it is not bound"),
        (lambda: socket.socket(type=socket.SOCK_DGRAM).detach(), "it is no stream socket"),
        (a_connection, "it is a connection"),
    ],
)
def test_a_descriptor_of_something_else_is_refused(make: Callable[[], int], reason: str):
    fd = make()
    try:
        with pytest.raises(ConfigError, match=f"^cannot listen on fd {fd}: .*({reason})"):
            asyncio.run(open_only(Listen(fd=fd)))
        assert os.fstat(fd), "it stays open for whoever owns it"
    finally:
        os.close(fd)


def test_one_of_a_pair_is_a_connection():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ConfigError, match=r"^cannot listen on the given socket: it is a connection"):
        asyncio.run(open_only(Listen(sock=ours)))


def test_a_descriptor_that_is_none_is_refused():
    fd = 1_000_000
    with pytest.raises(ConfigError, match=f"^cannot listen on fd {fd}: Bad file descriptor"):
        asyncio.run(open_only(Listen(fd=fd)))
    gone = socket.socket()
    gone.close()
    with pytest.raises(ConfigError, match=r"^cannot listen on the given socket: Bad file descriptor"):
        asyncio.run(open_only(Listen(sock=gone)))


# Accepted elsewhere


@each_loop
def test_a_connection_that_was_accepted_elsewhere_is_served(new_loop: NewLoop):
    async def go():
        loop = asyncio.get_running_loop()
        with bound() as server, socket.socket() as client:
            server.listen()
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            await accept(accepted, Echo, loop)
            client.setblocking(False)
            await loop.sock_sendall(client, b"hello")
            assert await loop.sock_recv(client, 100) == b"http - hello"
        await asyncio.sleep(0.01)

    run(new_loop, go())


@each_loop
def test_one_end_of_a_socket_pair_is_served_as_a_unix_socket(new_loop: NewLoop):
    async def go():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        made: list[Echo] = []
        await accept(ours, lambda origin, peer: made.append(Echo(origin, peer)) or made[-1], loop)
        with theirs:
            theirs.setblocking(False)
            await loop.sock_sendall(theirs, b"hello")
            assert await loop.sock_recv(theirs, 100) == b"http - hello"
        assert made[0].origin.unix
        await asyncio.sleep(0.01)

    run(new_loop, go())


@each_loop
def test_tcp_connections_do_not_wait_for_full_segments_however_they_came(new_loop: NewLoop):
    """Asyncio sets TCP_NODELAY only on sockets that were made with the number of TCP."""
    delays: list[int] = []

    class Look(Echo):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            delays.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def go():
        loop = asyncio.get_running_loop()
        with bound() as server:
            server.listen()
            places = [FREE, Listen(port=0, proxy_protocol=True, forwarded_allow_ips="*"), Listen(sock=server)]
            async with listening(*places, connect=Look) as listeners:
                for listener in listeners:
                    assert await ask(listener, LOCAL * listener.listen.proxy_protocol + b"hello") == b"http - hello"
            with socket.socket() as client:
                client.connect(server.getsockname())
                await accept(server.accept()[0], Look, loop)
            await asyncio.sleep(0.01)
        assert len(delays) == 4
        assert all(delays)

    run(new_loop, go())


# The real protocol


@each_loop
def test_an_app_is_served_at_several_places(new_loop: NewLoop, tmp_path: Path):
    async def go():
        app = make_app(FakeEndpoint())
        factory = app.protocol_factory(asyncio.get_running_loop())
        places = [Listen(uds=str(tmp_path / "bot.sock")), Listen(host=["127.0.0.1"] + ["::1"] * HAS_IPV6, port=0)]
        async with listening(*places, connect=lambda _origin, _peer: factory()) as listeners:
            for listener in listeners:
                assert (await ask(listener, GET)).startswith(b"HTTP/1.1 200 OK\r\n")
            await app.aclose()

    run(new_loop, go())
