"""rawbot/aio/listening/tls.py over real sockets: certificates of both sides, new ones, and peers that misbehave."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization  # which trustme brings along
from fake_endpoint import GET, FakeEndpoint, make_app, until
from listening import (
    Authority,
    Echo,
    MemoryClient,
    NewLoop,
    ask,
    dial,
    dial_socket,
    each_loop,
    hang_up,
    listening,
    run,
    say,
    serial_of,
)

from rawbot.aio.listening.listen import Listen, Origin
from rawbot.aio.listening.listeners import accept, reload_certificates
from rawbot.aio.listening.tls import TLS, client_certificate, start_tls
from rawbot.errors import ConfigError

PASSWORD = "correct horse"  # of a key that the suite makes
ENCRYPTED_KEY = "-----BEGIN ENCRYPTED PRIVATE KEY-----"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def encrypt(keyfile: str, password: str) -> None:
    """Encrypt a key where it lies."""
    path = Path(keyfile)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(kind, form, serialization.BestAvailableEncryption(password.encode())))


# Files


def test_a_context_speaks_nothing_old_and_nobody_may_renegotiate(authority: Authority):
    tls = authority.tls()
    context = tls.make_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert tls.make_context() is context
    assert TLS(*authority.issue(), minimum_version="1.3").make_context().minimum_version == ssl.TLSVersion.TLSv1_3


def test_one_file_may_hold_both(authority: Authority):
    certfile, keyfile = authority.issue()
    both = authority.folder / "both.pem"
    both.write_bytes(Path(keyfile).read_bytes() + Path(certfile).read_bytes())
    TLS(str(both)).make_context()


def test_an_encrypted_key_is_opened_with_its_password(authority: Authority):
    certfile, keyfile = authority.issue()
    encrypt(keyfile, PASSWORD)
    TLS(certfile, keyfile, PASSWORD).make_context()


def broken(authority: Authority, what: str) -> TLS:
    certfile, keyfile = authority.issue()
    _, other_key = authority.issue("other")
    folder = authority.folder
    for name, text in {
        "empty.pem": "",
        "text.pem": "hello",
        "damaged.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "damaged.key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }.items():
        (folder / name).write_text(text)
    encrypted = str(folder / "encrypted.key")
    Path(encrypted).write_bytes(Path(keyfile).read_bytes())
    encrypt(encrypted, PASSWORD)
    return {
        "no file": TLS(str(folder / "nothing.pem"), keyfile),
        "no key file": TLS(certfile, str(folder / "nothing.pem")),
        "no ca file": TLS(certfile, keyfile, ca_certs=str(folder / "nothing.pem")),
        "a folder": TLS(str(folder), keyfile),
        "a nul": TLS("a\x00b", keyfile),
        "empty": TLS(str(folder / "empty.pem"), keyfile),
        "text": TLS(str(folder / "text.pem"), keyfile),
        "swapped": TLS(keyfile, certfile),
        "key missing": TLS(certfile),
        "text for key": TLS(certfile, str(folder / "text.pem")),
        "damaged": TLS(str(folder / "damaged.pem"), keyfile),
        "damaged key": TLS(certfile, str(folder / "damaged.key")),
        "another's key": TLS(certfile, other_key),
        "encrypted": TLS(certfile, encrypted),
        "wrong password": TLS(certfile, encrypted, "wrong"),
        "endless password": TLS(certfile, encrypted, "x" * 5000),
        "text for ca": TLS(certfile, keyfile, ca_certs=str(folder / "text.pem")),
        "ciphers": TLS(certfile, keyfile, ciphers="NONSENSE"),
    }[what]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("no file", r"cannot read .*nothing\.pem: No such file or directory"),
        ("no key file", r"cannot read .*nothing\.pem: No such file or directory"),
        ("no ca file", r"cannot read .*nothing\.pem: No such file or directory"),
        ("a folder", "cannot read .*: Is a directory"),
        ("a nul", "cannot read .*: .*null.*"),
        ("empty", r"no certificate in .*empty\.pem"),
        ("text", r"no certificate in .*text\.pem"),
        ("swapped", r"no certificate in .*server\.key"),
        ("key missing", r"no key in .*server\.pem"),
        ("text for key", r"no key in .*text\.pem"),
        ("damaged", r"the certificate in .*damaged\.pem or the key in .*server\.key is broken"),
        ("damaged key", r"the certificate in .*server\.pem or the key in .*damaged\.key is broken"),
        ("another's key", r"the key in .*other\.key is not that of the certificate in .*server\.pem"),
        ("encrypted", r"the key in .*encrypted\.key is encrypted, and keyfile_password does not open it"),
        ("wrong password", r"the key in .*encrypted\.key is encrypted, and keyfile_password does not open it"),
        ("endless password", r"the key in .*encrypted\.key is encrypted, and keyfile_password does not open it"),
        ("text for ca", r"no certificates in .*text\.pem"),
        ("ciphers", "OpenSSL knows no ciphers 'NONSENSE'"),
    ],
)
def test_unusable_files_are_named_in_one_line_that_tells_no_secret(authority: Authority, what: str, text: str):
    tls = broken(authority, what)
    with pytest.raises(ConfigError, match=f"^TLS: {text}$") as caught:
        tls.make_context()
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "wrong" not in message


def test_what_cannot_be_used_keeps_everything_from_being_opened(authority: Authority):
    path = authority.folder / "bot.sock"

    async def go():
        with pytest.raises(ConfigError, match=r"^TLS: "):
            async with listening(Listen(uds=str(path)), Listen(port=0, tls=broken(authority, "empty"))):
                pass

    asyncio.run(go())
    assert not path.exists()


# Handshakes


@each_loop
def test_it_speaks_tls_on_tcp_and_on_unix_sockets(new_loop: NewLoop, authority: Authority):
    tls = authority.tls()

    async def go():
        context = authority.client()
        async with listening(
            Listen(port=0, tls=tls), Listen(uds=str(authority.folder / "bot.sock"), tls=tls)
        ) as listeners:
            for listener in listeners:
                assert listener.url.startswith("https://")
                assert listener.origin.scheme == "https"
                assert await ask(listener, context=context) == b"https - hello"

    run(new_loop, go())


@each_loop
def test_an_accepted_socket_may_be_under_tls(new_loop: NewLoop, authority: Authority):
    async def go():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        streams, _ = await asyncio.gather(
            asyncio.open_connection(sock=theirs, ssl=authority.client(), server_hostname="localhost"),
            accept(ours, Echo, loop, listen=Listen(tls=authority.tls())),
        )
        assert await say(streams) == b"https - hello"
        await hang_up(streams)

    run(new_loop, go())


def test_only_http_1_1_is_agreed_on(authority: Authority):
    tls = authority.tls()

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)):
                context = authority.client()
                if offered:
                    context.set_alpn_protocols(offered)
                streams = await dial(listener, context=context)
                assert streams[1].get_extra_info("ssl_object").selected_alpn_protocol() == chosen
                await hang_up(streams)

    asyncio.run(go())


def test_versions_and_ciphers_are_as_asked_for(authority: Authority):
    async def go():
        tls = authority.tls(minimum_version="1.3")
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await ask(listener, context=authority.client(maximum_version=ssl.TLSVersion.TLSv1_2))
            assert await ask(listener, context=authority.client())
        tls = authority.tls(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            streams = await dial(listener, context=authority.client(maximum_version=ssl.TLSVersion.TLSv1_2))
            assert streams[1].get_extra_info("cipher")[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"
            await hang_up(streams)

    asyncio.run(go())


class Shown(Echo):
    """Says who its client is by the certificate."""

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's shape
        certificate = client_certificate(self.transport)
        assert certificate is None or dict(certificate["subject"][0])
        names = [] if certificate is None else [name for _, name in certificate["subjectAltName"]]
        self.transport.write(f"{names}".encode())


@each_loop
def test_a_clients_certificate_is_verified_and_shown_to_the_app(new_loop: NewLoop, authority: Authority):
    mine = authority.issue("client", "bob.example")
    foreign = trustme.CA().issue_cert("mallory.example")
    files = (str(authority.folder / "foreign.pem"), str(authority.folder / "foreign.key"))
    foreign.cert_chain_pems[0].write_to_path(files[0])
    foreign.private_key_pem.write_to_path(files[1])

    async def go(cert_reqs: str | None, expected: dict[str, bytes]):
        tls = authority.tls(ca_certs=authority.ca_file, cert_reqs=cert_reqs)
        async with listening(Listen(port=0, tls=tls), connect=Shown) as [listener]:
            for show, name in ((mine, "mine"), (files, "foreign"), (None, "nothing")):
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    context = authority.client(show=show, maximum_version=version)
                    got = b""
                    with contextlib.suppress(ssl.SSLError, ConnectionError):
                        got = await ask(listener, context=context)
                    assert got == expected[name], (cert_reqs, name, version)
            assert listener.failed == 2 * list(expected.values()).count(b"")

    bob = b"['bob.example']"
    run(new_loop, go(None, {"mine": bob, "foreign": b"", "nothing": b""}))
    run(new_loop, go("required", {"mine": bob, "foreign": b"", "nothing": b""}))
    run(new_loop, go("optional", {"mine": bob, "foreign": b"", "nothing": b"[]"}))


def test_without_tls_there_is_no_certificate():
    async def go():
        async with listening(Listen(port=0), connect=Shown) as [listener]:
            assert await ask(listener) == b"[]"

    asyncio.run(go())


# Peers that misbehave


@each_loop
def test_a_client_that_says_nothing_is_cut_off(
    new_loop: NewLoop, authority: Authority, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="rawbot")
    tls = authority.tls(ssl_handshake_timeout=0.1)

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            started = time.monotonic()
            streams = await dial(listener)
            assert await streams[0].read() == b""
            assert 0.09 < time.monotonic() - started < 5
            await hang_up(streams)
            assert listener.failed == 1
            assert await ask(listener, context=authority.client()) == b"https - hello"

    run(new_loop, go())
    [record] = caplog.records
    assert "a connection from 127.0.0.1 did not get through: " in record.getMessage()


@each_loop
def test_a_client_that_stops_within_its_handshake_is_cut_off_at_the_same_time(new_loop: NewLoop, authority: Authority):
    tls = authority.tls(ssl_handshake_timeout=0.2)

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            started = time.monotonic()
            streams = await dial(listener)
            await asyncio.sleep(0.1)
            streams[1].write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            with contextlib.suppress(ConnectionError):
                assert await streams[0].read() == b""
            assert 0.19 < time.monotonic() - started < 5
            await hang_up(streams)
            await until(lambda: listener.failed == 1)

    run(new_loop, go())


@each_loop
def test_silent_clients_do_not_keep_others_waiting(new_loop: NewLoop, authority: Authority):
    tls = authority.tls(ssl_handshake_timeout=60)

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            silent = [dial_socket(listener) for _ in range(100)]
            await until(lambda: listener._server.waiting == 100)
            async with asyncio.timeout(20):
                assert await ask(listener, context=authority.client()) == b"https - hello"
            for sock in silent:
                sock.close()
            await until(lambda: listener._server.waiting == 0)

    run(new_loop, go())


@pytest.mark.parametrize(
    "data",
    [
        GET,
        b"\x16\x03\x01\x00\x05hello",
        b"\x80\x2e\x01\x00\x02",
        b"\x00" * 100,
        b"\xff" * 20_000,
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"",
    ],
)  # HTTP, a broken ClientHello, SSL 2, nothing, rubbish, an alert, an end
@each_loop
def test_what_is_no_tls_ends_that_connection_alone(
    new_loop: NewLoop, authority: Authority, caplog: pytest.LogCaptureFixture, data: bytes
):
    caplog.set_level(logging.INFO, logger="rawbot")
    tls = authority.tls()

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            good = await dial(listener, context=authority.client())
            streams = await dial(listener)
            streams[1].write(data)
            streams[1].write_eof()
            with contextlib.suppress(ConnectionError):
                assert len(await streams[0].read()) < 20  # an alert at most
            await hang_up(streams)
            assert await say(good) == b"https - hello"
            await hang_up(good)
            await until(lambda: listener.failed)
            assert listener.failed == 1

    run(new_loop, go())
    assert len(caplog.records) == 1, "one line at most for each"


@each_loop
def test_a_client_that_vanishes_in_its_handshake_ends_that_connection_alone(new_loop: NewLoop, authority: Authority):
    tls = authority.tls()

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            for _ in range(5):
                sock = dial_socket(listener)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                sock.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                sock.close()  # a reset
            assert await ask(listener, context=authority.client()) == b"https - hello"
            await until(lambda: listener.failed == 5)

    run(new_loop, go())


@each_loop
def test_a_handshake_that_is_under_way_ends_with_the_server(new_loop: NewLoop, authority: Authority):
    tls = authority.tls()

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            silent = [await dial(listener) for _ in range(3)]
            await until(lambda: listener._server.waiting == 3)
            listener.close()
            await asyncio.sleep(0.01)
            assert listener._server.waiting == 3, "closing leaves them their time"
            listener.abort()
            for streams in silent:
                with contextlib.suppress(ConnectionError):
                    assert await streams[0].read() == b""
                await hang_up(streams)
            assert listener._server.waiting == 0

    run(new_loop, go())


# New certificates


@each_loop
def test_new_certificates_are_for_new_handshakes_and_old_connections_go_on(new_loop: NewLoop, authority: Authority):
    tls = authority.tls()

    async def go():
        places = [Listen(port=0, tls=tls), Listen(uds=str(authority.folder / "bot.sock"), tls=tls)]
        async with listening(*places) as listeners:
            old = [await dial(listener, context=authority.client()) for listener in listeners]
            for _ in range(3):
                authority.issue()
                reload_certificates(listeners)
                new = [await dial(listener, context=authority.client()) for listener in listeners]
                assert serial_of(new[0]) == serial_of(new[1]) != serial_of(old[0])
                for streams in (*old, *new):
                    assert await say(streams) == b"https - hello"
                for streams in old:
                    await hang_up(streams)
                old = new
            for streams in old:
                await hang_up(streams)

    run(new_loop, go())


def shake_hands(
    port: int, context: ssl.SSLContext, name: str | None = "localhost", session: ssl.SSLSession | None = None
) -> tuple[bytes | None, ssl.SSLSession | None, bool]:
    """Return the certificate that the server shows, the session, and whether it is the one of before."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as sock,
        context.wrap_socket(sock, server_hostname=name, session=session) as wrapped,
    ):
        wrapped.send(b"hello")
        assert wrapped.recv(100) == b"https - hello"
        return wrapped.getpeercert(binary_form=True), wrapped.session, wrapped.session_reused


each_version = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@each_version
@pytest.mark.parametrize("name", ["localhost", None])
def test_a_client_without_a_server_name_sees_the_new_one_too(
    authority: Authority, version: ssl.TLSVersion, name: str | None
):
    tls = authority.tls()
    context = authority.client(maximum_version=version, check_hostname=False)

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            before, _, _ = await asyncio.to_thread(shake_hands, listener.port, context, name)
            authority.issue()
            tls.reload()
            after, _, _ = await asyncio.to_thread(shake_hands, listener.port, context, name)
            assert before != after

    asyncio.run(go())


@each_version
def test_a_session_is_resumed_until_there_is_a_new_certificate(authority: Authority, version: ssl.TLSVersion):
    """Else a client could stay in for hours after its authority was taken out."""
    mine = authority.issue("client", "bob.example")
    tls = authority.tls(ca_certs=authority.ca_file)
    context = authority.client(show=mine, maximum_version=version)

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            _, session, _ = await asyncio.to_thread(shake_hands, listener.port, context)
            before, session, resumed = await asyncio.to_thread(shake_hands, listener.port, context, session=session)
            assert resumed
            authority.issue()
            tls.reload()
            after, _, resumed = await asyncio.to_thread(shake_hands, listener.port, context, session=session)
            assert not resumed
            assert before != after

    asyncio.run(go())


@each_version
def test_a_server_of_somebody_elses_gets_the_new_one_too(authority: Authority, version: ssl.TLSVersion):
    tls = authority.tls()

    async def go():
        factory = lambda: Echo(Origin("https", "", unix=False, trusted=Listen().trusted), None)  # noqa: E731
        alive = Echo.alive
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls.make_context())
        port = server.sockets[0].getsockname()[1]
        seen = []
        for _ in range(3):
            context = authority.client(maximum_version=version)
            seen.append((await asyncio.to_thread(shake_hands, port, context))[0])
            authority.issue()
            tls.reload()
        assert len(set(seen)) == 3
        server.close()
        await until(lambda: Echo.alive == alive)

    asyncio.run(go())


def spoil(authority: Authority, tls: TLS, damage: str) -> None:
    certfile, keyfile = Path(tls.certfile), Path(tls.keyfile)
    key = keyfile.read_bytes()
    if damage == "half":  # of a renewal
        authority.issue()
        keyfile.write_bytes(key)
    if damage in ("certificate", "both"):
        certfile.write_text("-----BEGIN CERTIFICATE-----\n")
    if damage in ("key", "both"):
        keyfile.write_text("")
    if damage == "gone":
        certfile.unlink()


@pytest.mark.parametrize("damage", ["certificate", "key", "both", "gone", "half"])
def test_broken_files_change_nothing_and_are_told_of(authority: Authority, damage: str):
    tls = authority.tls()

    async def go():
        async with listening(Listen(port=0, tls=tls)) as [listener]:
            old = await dial(listener, context=authority.client())
            spoil(authority, tls, damage)
            with pytest.raises(ConfigError, match=r"^TLS: "):
                reload_certificates([listener])
            new = await dial(listener, context=authority.client())
            assert serial_of(new) == serial_of(old)
            for streams in (old, new):
                assert await say(streams) == b"https - hello"
                await hang_up(streams)
            authority.issue()
            reload_certificates([listener])
            newest = await dial(listener, context=authority.client())
            assert serial_of(newest) != serial_of(old)
            await hang_up(newest)

    asyncio.run(go())


def test_a_broken_certificate_does_not_keep_another_one_from_being_renewed(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    places = [Listen(port=0, tls=one.tls()), Listen(port=0, tls=two.tls())]

    async def go():
        async with listening(*places) as listeners:
            before = await dial(listeners[1], context=two.client())
            spoil(one, places[0].tls, "certificate")
            two.issue()
            with pytest.raises(ConfigError, match=r"^TLS: the certificate in .*/a/server\.pem or .* is broken$"):
                reload_certificates(listeners)
            after = await dial(listeners[1], context=two.client())
            assert serial_of(before) != serial_of(after)
            assert await ask(listeners[0], context=one.client()) == b"https - hello"
            await hang_up(before)
            await hang_up(after)

    asyncio.run(go())


@each_loop
def test_the_authorities_of_clients_are_read_again_too(new_loop: NewLoop, authority: Authority):
    mine = authority.issue("client", "bob.example")
    ours, others = Path(authority.ca_file).read_bytes(), trustme.CA().cert_pem.bytes()
    clients = authority.folder / "clients.pem"
    clients.write_bytes(others)
    tls = authority.tls(ca_certs=str(clients))

    async def go():
        async with listening(Listen(port=0, tls=tls), connect=Shown) as [listener]:

            async def shows() -> bytes:
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    return await ask(listener, context=authority.client(show=mine))
                return b""

            assert await shows() == b""
            clients.write_bytes(ours)
            tls.reload()
            assert await shows() == b"['bob.example']"
            clients.write_bytes(others)
            tls.reload()
            assert await shows() == b""

    run(new_loop, go())


def test_reloading_what_was_not_used_yet_reads_it(authority: Authority):
    authority.tls().reload()
    with pytest.raises(ConfigError):
        broken(authority, "empty").reload()


# An upgrade of a connection that began in the clear


class Door(asyncio.Protocol):
    """The embedder's server of `start_tls`'s docstring."""

    def __init__(self, tls: TLS, protocol: asyncio.Protocol) -> None:
        self.tls = tls
        self.protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data != b"STARTTLS\r\n":
            self.transport.abort()
            return
        self.transport.write(b"OK\r\n")
        self.task = asyncio.ensure_future(start_tls(self.transport, self.protocol, self.tls))


@contextlib.asynccontextmanager
async def door(tls: TLS, protocol: asyncio.Protocol):
    doors: list[Door] = []

    def make() -> Door:
        doors.append(Door(tls, protocol))
        return doors[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield doors, reader, writer
    finally:
        server.close()
        await hang_up((reader, writer))


@each_loop
def test_an_embedder_upgrades_a_connection_and_hands_it_to_the_app(new_loop: NewLoop, authority: Authority):
    async def go():
        app = make_app(FakeEndpoint())
        factory = app.protocol_factory(asyncio.get_running_loop())
        async with door(authority.tls(), factory()) as (doors, reader, writer):
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"OK\r\n"
            await writer.start_tls(authority.client(), server_hostname="localhost")
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert (await doors[0].task).get_extra_info("sslcontext") is not None
        await app.aclose()

    run(new_loop, go())


@each_loop
def test_a_request_right_behind_the_handshake_is_not_lost(new_loop: NewLoop, authority: Authority):
    """The client's last handshake bytes and its request in one segment: asyncio hands that out before it returns."""

    async def go():
        protocol = Echo(Origin("https", "", unix=False, trusted=Listen().trusted), None)
        async with door(authority.tls(), protocol) as (doors, reader, writer):
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"OK\r\n"
            client = MemoryClient(authority.client(), reader, writer)
            await client.shake_hands()
            client.tls.write(b"hello")
            client.send()
            await doors[0].task
            assert await client.receive() == b"https - hello"

    run(new_loop, go())


@each_loop
def test_a_client_that_is_gone_right_behind_its_handshake_leaves_nothing(new_loop: NewLoop, authority: Authority):
    async def go():
        alive = Echo.alive
        protocol = Echo(Origin("https", "", unix=False, trusted=Listen().trusted), None)
        async with door(authority.tls(), protocol) as (doors, reader, writer):
            writer.write(b"STARTTLS\r\n")
            await reader.readline()
            client = MemoryClient(authority.client(), reader, writer)
            await client.shake_hands()
            client.tls.write(b"hello")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.tls.unwrap()
            client.send()
            with contextlib.suppress(ConnectionResetError):  # uvloop sees the end a turn later, and hands it over
                await doors[0].task
            await reader.read()
            await until(lambda: Echo.alive == alive)

    run(new_loop, go())


@each_loop
def test_an_upgrade_that_fails_closes_the_connection(new_loop: NewLoop, authority: Authority):
    async def go(data: bytes, tls: TLS, error: type[Exception]):
        alive = Echo.alive
        protocol = Echo(Origin("https", "", unix=False, trusted=Listen().trusted), None)
        async with door(tls, protocol) as (doors, reader, writer):
            writer.write(b"STARTTLS\r\n")
            await reader.readline()
            writer.write(data)
            if data == b"":
                writer.close()
            with pytest.raises(error):
                await doors[0].task
            with contextlib.suppress(ConnectionError):
                await reader.read()
        assert Echo.alive == alive, "the protocol has seen nothing of it"

    run(new_loop, go(GET, authority.tls(), ssl.SSLError))
    run(new_loop, go(b"\x16\x03\x01", authority.tls(ssl_handshake_timeout=0.1), OSError))
    run(new_loop, go(b"", authority.tls(), OSError))
