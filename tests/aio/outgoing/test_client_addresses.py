"""rawbot/aio/outgoing/client.py: whither it goes: addresses, redirects, look-ups that lie, certificates."""

import asyncio
import ssl
from pathlib import Path

import httpcore
import pytest
import trustme
from rogue_server import PNG, meeting, plain, redirect, resolve_as, response

from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.errors import FetchError
from rawbot.exchange import OutgoingRequest

LOOPBACK = OutgoingPolicy(allow_loopback=True)


@pytest.mark.parametrize(
    "policy", [None, OutgoingPolicy(allow_http=True), OutgoingPolicy(allow_http=True, allow_private=True)]
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_this_machine_is_closed_by_default(policy: OutgoingPolicy | None, host: str):
    async def run():
        async with meeting(response(PNG), policy=policy) as (server, client):
            url = server.url(host, "http" if policy else "https")
            with pytest.raises(FetchError, match="may be connected to"):
                await client.fetch(plain(url), 1000, None)
            with pytest.raises(FetchError, match="may be connected to"):
                await client.send(OutgoingRequest("POST", url, b"", (), 2000.0), 1000.0)
            return server.connections

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize(
    "location",
    [
        *("http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://0.0.0.0/", "//192.168.0.1/"),
        *("http://[::ffff:10.0.0.1]/", "http://[64:ff9b::a00:1]/", "http://[fe80::1]/", "http://[ff02::1]/"),
        *("http://2130706433/", "http://0x7f000001/", "http://[::1", "//[", "http://a:b@1.1.1.1/"),
        *("file:///etc/passwd", "ftp://1.1.1.1/", "gopher://1.1.1.1/"),
    ],
)
def test_a_redirect_is_checked_as_a_first_request_is(location: str):
    async def run():
        async with meeting(redirect(location)) as (server, client):
            with pytest.raises(FetchError, match=r"may be connected to|malformed|begin with https|credentials"):
                await client.fetch(plain(server.url()), 1000, None)

    asyncio.run(run())


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["8.8.8.8", "fd00::1"]])
def test_a_name_is_refused_when_any_of_its_addresses_is(monkeypatch: pytest.MonkeyPatch, addresses: list[str]):
    resolve_as(monkeypatch, files=addresses)

    async def run():
        async with meeting(response(PNG)) as (server, client):
            with pytest.raises(FetchError, match=r"^files\.example: its address"):
                await client.fetch(plain(server.url("files.example")), 1000, None)
            return server.connections

    assert asyncio.run(run()) == 0


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch):
    # what a rebinding name server says: harmless to the check, something else to the connection
    asked = resolve_as(monkeypatch, files=[["127.0.0.1"], ["10.0.0.1"]])

    async def run():
        async with meeting(response(PNG)) as (server, client):
            media = await client.fetch(plain(server.url("files.example")), 1000, None)
            return media.data, server

    data, server = asyncio.run(run())
    assert data == PNG
    assert asked.count("files.example") == 1
    assert f"\r\nhost: files.example:{server.port}\r\n".encode() in server.requests[0].lower()


def test_the_next_address_is_tried_when_the_first_does_not_answer(monkeypatch: pytest.MonkeyPatch):
    resolve_as(monkeypatch, files=["127.0.0.2", "127.0.0.1"])  # the server listens on the second only

    async def run():
        async with meeting(response(PNG)) as (server, client):
            return (await client.fetch(plain(server.url("files.example")), 1000, None)).data

    assert asyncio.run(run()) == PNG


def test_an_address_that_is_silent_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch):
    resolve_as(monkeypatch, files=["127.0.0.2", "127.0.0.1"])
    connect = httpcore.AnyIOBackend.connect_tcp

    async def swallow(backend: httpcore.AnyIOBackend, host: str, **options: object) -> httpcore.AsyncNetworkStream:
        if host == "127.0.0.1":
            return await connect(backend, host, **options)
        assert options["timeout"] == 0.1
        await asyncio.sleep(options["timeout"])
        raise httpcore.ConnectTimeout

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", swallow)

    async def run():
        async with meeting(response(PNG), connect_timeout=0.2) as (server, client):
            return (await client.fetch(plain(server.url("files.example")), 1000, None)).data

    assert asyncio.run(run()) == PNG


def test_an_ipv6_address_is_dialled_without_its_brackets_and_named_with_them(monkeypatch: pytest.MonkeyPatch):
    asked = resolve_as(monkeypatch, **{"::1": ["127.0.0.1"]})  # a machine without IPv6 can run this too

    async def run():
        async with meeting(response(PNG)) as (server, client):
            await client.fetch(plain(server.url("[::1]")), 1000, None)
            return server

    server = asyncio.run(run())
    assert asked[-1] == "::1"
    assert f"\r\nhost: [::1]:{server.port}\r\n".encode() in server.requests[0].lower()


def test_the_environment_does_not_choose_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def run():
        async with meeting(response(PNG)) as (server, client):
            await client.fetch(plain(server.url()), 1000, None)
            return server.requests[0].lower()

    assert b"authorization" not in asyncio.run(run())


Tls = tuple[ssl.SSLContext, ssl.SSLContext, list[str]]


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch) -> Tls:
    """Return the server's context, that of a client which trusts it, and the list that names asked for go to."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = trustme.CA()
    authority.issue_cert("files.example").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    asked: list[str] = []
    served.sni_callback = lambda _socket, name, _context: asked.append(name)
    resolve_as(monkeypatch, files=["127.0.0.1"], other=["127.0.0.1"])
    return served, trusting, asked


def test_tls_goes_by_the_name_though_the_address_is_dialled(tls: Tls):
    served, trusting, asked = tls

    async def run():
        async with meeting(response(PNG), context=served, policy=LOOPBACK, ssl_context=trusting) as (server, client):
            media = await client.fetch(plain(server.url("files.example", "https")), 1000, None)
            return media.data, server.requests[0].lower()

    data, request = asyncio.run(run())
    assert data == PNG
    assert asked == ["files.example"]
    assert b"\r\nhost: files.example:" in request


def test_another_name_on_the_same_address_needs_its_own_certificate_though_a_connection_is_kept(tls: Tls):
    served, trusting, _ = tls

    async def run():
        async with meeting(response(PNG), context=served, policy=LOOPBACK, ssl_context=trusting) as (server, client):
            await client.fetch(plain(server.url("files.example", "https")), 1000, None)
            for host in ("other.example", "127.0.0.1"):
                with pytest.raises(FetchError, match=rf"^{host}: no connection .*certificate") as caught:
                    await client.fetch(plain(server.url(host, "https")), 1000, None)
                assert "hidden" not in str(caught.value)
            post = OutgoingRequest("POST", server.url("other.example", "https"), b"", (), 2000.0)
            assert await client.send(post, 1000.0) is None
            return len(server.requests)

    assert asyncio.run(run()) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(tls: Tls):
    async def run():
        async with meeting(response(PNG), context=tls[0], policy=LOOPBACK) as (server, client):
            with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.fetch(plain(server.url("files.example", "https")), 1000, None)

    asyncio.run(run())
